package scan

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/degas-dns/degas/detect/rules"
	"github.com/degas-dns/degas/events"
	"github.com/degas-dns/degas/internal/atomicfile"
	"github.com/degas-dns/degas/internal/printable"
)

// CompatFiles are the names of the files that Compat writes.
var CompatFiles = []string{"out.csv", "stats.json", "out.log"}

// Compat writes the files of leshark's Simple-DNS-tunneling-detector: out.csv, stats.json and out.log, for programs
// that read them. Its rules are asked about each DNS message, queries and responses, as it did. Unlike the original it
// writes out.csv anew, goes on behind a packet that it cannot read, and looks at the ports of DNS alone.
//
// Observe must be told of the messages of one file after the other. Close or Discard ends it.
type Compat struct {
	dir   string
	began time.Time
	out   *os.File
	rows  *bufio.Writer
	log   strings.Builder
	by    map[string]*compatCount // by path
	file  string                  // that is read
	base  string                  // its name in out.csv
	count *compatCount            // of that file
	last  int64                   // packet of that file that was called malicious last

	// The last name and what the rules say of it: an answer follows its question.
	name          []byte
	label, reason string
	hit           bool
}

type compatCount struct {
	Malicious int64 `json:"malicious_packets_count"`
	Packets   int64 `json:"packets_count"`
}

// NewCompat begins the files in dir, which it makes.
func NewCompat(dir string) (*Compat, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	out, err := os.CreateTemp(dir, ".out-*.csv")
	if err != nil {
		return nil, err
	}
	c := &Compat{dir: dir, began: time.Now(), out: out, rows: bufio.NewWriter(out), by: map[string]*compatCount{}}
	c.say("Started pcap parsing")
	return c, nil
}

// say adds a line to out.log, in the original's format with the number of a line of ours.
func (c *Compat) say(format string, args ...any) {
	fmt.Fprintf(&c.log, "%s:INFO:0:%s\n", time.Now().Format("2006-01-02 15:04:05,000"), fmt.Sprintf(format, args...))
}

// Observe is told of each message of a file. The first question that a rule speaks against ends its packet.
func (c *Compat) Observe(file string, e *events.Event) error {
	if file != c.file || c.count == nil {
		c.file, c.base = file, compatName(file)
		if c.by[file] == nil {
			c.by[file] = &compatCount{}
		}
		c.count, c.last = c.by[file], 0
	}
	if e.Line == c.last {
		return nil
	}
	if !bytes.Equal(e.Name, c.name) {
		c.name = append(c.name[:0], e.Name...)
		c.label, c.reason, c.hit = rules.Name(e.Name)
	}
	if !c.hit {
		return nil
	}
	c.last = e.Line
	c.count.Malicious++
	for i, cell := range []string{c.base, strconv.FormatInt(e.Line, 10), c.label, c.reason} {
		if i > 0 {
			_ = c.rows.WriteByte('|')
		}
		if strings.ContainsAny(cell, "|^\r\n") {
			cell = "^" + strings.ReplaceAll(cell, "^", "^^") + "^"
		}
		_, _ = c.rows.WriteString(cell)
	}
	_, err := c.rows.WriteString("\r\n")
	return err
}

// compatName is what the original calls a file: its name, which a stranger may have chosen, without folders.
func compatName(path string) string { return printable.Terminal(filepath.Base(path)) }

// Discard removes what was begun, unless Close has put it in place.
func (c *Compat) Discard() {
	_ = c.out.Close()
	_ = os.Remove(c.out.Name())
}

// Close writes the files, for the report of the scan. Files of one name in several folders are counted together.
func (c *Compat) Close(r *Report) error {
	defer c.Discard()
	stats := map[string]any{}
	named := map[string]*compatCount{}
	var malicious, packets int64
	for i := range r.Files {
		f := &r.Files[i]
		count := compatCount{Packets: f.Units}
		if seen := c.by[f.Path]; seen != nil {
			count.Malicious = seen.Malicious
		}
		name := compatName(f.Path)
		if named[name] == nil {
			named[name] = &compatCount{}
			stats[name] = named[name]
		}
		named[name].Malicious += count.Malicious
		named[name].Packets += count.Packets
		malicious, packets = malicious+count.Malicious, packets+count.Packets
		c.say("%s analysis finished. Total malicious  packets found: %d", name, count.Malicious)
	}
	c.say("all pcap files parsed, computing statistics...")
	took := max(time.Since(c.began).Seconds(), 0.001)
	stats["packets_per_second"] = int64(float64(packets) / took)
	stats["total_malicious_packets"], stats["total_packets"] = malicious, packets
	stats["total_time"] = float64(int64(took*1000)) / 1000
	c.say("statistics done, merging csv files...")
	c.say("Merging done")
	c.say("Temp data cleaned successfully, job finished")
	text, err := json.MarshalIndent(stats, "", "    ")
	return errors.Join(err, c.rows.Flush(), c.out.Chmod(0o644), c.out.Close(),
		atomicfile.Rename(c.out.Name(), filepath.Join(c.dir, "out.csv")),
		atomicfile.Write(filepath.Join(c.dir, "stats.json"), text),
		atomicfile.Write(filepath.Join(c.dir, "out.log"), []byte(c.log.String())))
}
