package scan

import (
	"bufio"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/parquet-go/parquet-go"

	"github.com/degas-dns/degas/detect"
	"github.com/degas-dns/degas/events"
	"github.com/degas-dns/degas/internal/printable"
)

// Log writes events with their decisions.
type Log interface {
	// Write writes one event of a file.
	Write(file string, e *events.Event, d *detect.Decision) error
	// Close writes what is left. It does not close what is written to.
	Close() error
}

// LogSuffixes are the names' ends that tell which form an event log has.
var LogSuffixes = []string{".csv", ".jsonl", ".parquet"}

// NewLog writes an event log to out in the form that the end of path asks for: CSV with a header, JSON Lines as the
// format degas reads them, or Parquet. Names are as RFC 1035 writes them: \DDD for bytes of control and above ASCII.
func NewLog(out io.Writer, path string) (Log, error) {
	switch filepath.Ext(path) {
	case ".csv":
		w := csv.NewWriter(out)
		return &csvLog{w}, w.Write(csvHeader)
	case ".jsonl":
		return &jsonLog{w: bufio.NewWriterSize(out, 1<<16)}, nil
	case ".parquet":
		return &parquetLog{w: parquet.NewGenericWriter[logRow](out, parquet.Compression(&parquet.Zstd),
			parquet.MaxRowsPerRowGroup(rowGroup))}, nil
	}
	return nil, fmt.Errorf("%s: its name must end in %s", path, strings.Join(LogSuffixes, ", "))
}

// logRow is an event and its decision.
type logRow struct {
	File       string     `parquet:"file,dict"`
	Line       int64      `parquet:"line"`
	Time       *time.Time `parquet:"time,timestamp(nanosecond),optional"`
	Client     string     `parquet:"client,dict"`
	ClientPort uint16     `parquet:"client_port"`
	Server     string     `parquet:"server,dict"`
	Name       string     `parquet:"name"`
	Type       string     `parquet:"type,dict"`
	RCode      string     `parquet:"rcode,dict"`
	Transport  string     `parquet:"transport,dict"`
	Kind       string     `parquet:"kind,dict"`
	Size       int64      `parquet:"size"`
	Domain     string     `parquet:"registered_domain,dict"`
	Verdict    string     `parquet:"verdict,dict"`
	Action     string     `parquet:"action,dict"`
	Score      float64    `parquet:"score"`
	Label      string     `parquet:"label,dict"`
	Rule       string     `parquet:"rule,dict"`
	Reason     string     `parquet:"reason,dict"`
}

func newLogRow(file string, e *events.Event, d *detect.Decision) logRow {
	r := logRow{File: text(file), Line: e.Line, Client: text(e.Client.String()), ClientPort: e.Client.Port,
		Server: text(e.Server.String()),
		Name:   string(events.AppendEscaped(nil, e.Name)), Type: e.Type.String(), RCode: e.RCode.String(),
		Transport: e.Transport.String(), Kind: e.Kind.String(), Size: int64(e.Size),
		Domain: detect.Domain(string(e.Name)), Verdict: d.Verdict.String(), Action: d.Action.String(), Score: d.Score,
		Label: d.Class, Rule: d.Rule.String(), Reason: d.Reason}
	if !e.Time.IsZero() {
		at := e.Time.UTC()
		r.Time = &at
	}
	return r
}

// text is s in UTF-8, as Parquet's readers and others insist on.
func text(s string) string { return strings.ToValidUTF8(s, "\uFFFD") }

// rowGroup is how many rows Parquet holds back: they are in memory until they are all there.
const rowGroup = 1 << 18

// parquetLog writes rows by the thousand.
type parquetLog struct {
	w    *parquet.GenericWriter[logRow]
	rows []logRow
}

func (l *parquetLog) Write(file string, e *events.Event, d *detect.Decision) error {
	l.rows = append(l.rows, newLogRow(file, e, d))
	if len(l.rows) < 1000 {
		return nil
	}
	return l.flush()
}

func (l *parquetLog) flush() error {
	_, err := l.w.Write(l.rows)
	l.rows = l.rows[:0]
	return err
}

func (l *parquetLog) Close() error { return errors.Join(l.flush(), l.w.Close()) }

var csvHeader = []string{"file", "line", "time", "client", "client_port", "server", "name", "type", "rcode",
	"transport", "kind", "size", "registered_domain", "verdict", "action", "score", "label", "rule", "reason"}

type csvLog struct{ w *csv.Writer }

func (l *csvLog) Write(file string, e *events.Event, d *detect.Decision) error {
	r := newLogRow(file, e, d)
	at := ""
	if r.Time != nil {
		at = r.Time.Format(events.LogTime)
	}
	row := []string{r.File, strconv.FormatInt(r.Line, 10), at, r.Client, number(int64(r.ClientPort)), r.Server, r.Name,
		r.Type, r.RCode, r.Transport, r.Kind, number(r.Size), r.Domain, r.Verdict, r.Action,
		strconv.FormatFloat(r.Score, 'f', 6, 64), r.Label, r.Rule, r.Reason}
	for i, cell := range row {
		row[i] = printable.Cell(cell)
	}
	return l.w.Write(row)
}

func (l *csvLog) Close() error {
	l.w.Flush()
	return l.w.Error()
}

// number is n, "" for 0, which stands for what is not known.
func number(n int64) string {
	if n == 0 {
		return ""
	}
	return strconv.FormatInt(n, 10)
}

// jsonLog writes degas' own event log.
type jsonLog struct {
	w    *bufio.Writer
	line []byte
}

func (l *jsonLog) Write(file string, e *events.Event, d *detect.Decision) error {
	l.line = append(detect.AppendJSON(l.line[:0], e, d, events.Column{Name: "file", Value: file},
		events.Column{Name: "line", Value: strconv.FormatInt(e.Line, 10)}), '\n')
	_, err := l.w.Write(l.line)
	return err
}

func (l *jsonLog) Close() error { return l.w.Flush() }
