package capture

import (
	"archive/tar"
	"compress/gzip"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/degas-dns/degas/events"
)

// tsharkDiffers says where degas and tshark differ, by file and packet, and why.
var tsharkDiffers = map[string]map[int]string{
	"fuzz-2006-06-26-2594.pcap": {
		8: otherPort, 29: otherPort, 109: otherPort, 352: otherPort, 355: otherPort, 571: otherPort,
	},
	"frames.pcapng": {
		28: "tshark reads Ethernet in MPLS only if it is told to",
		37: "there is no GRE of version 2",
		44: "tshark allows more headers",
		49: "tshark knows jumbograms, but no offload over IPv6",
		50: "tshark wants a length of UDP over IPv4",
	},
	"tcp.pcap": {
		18: "the question of a message that goes on is given at once", 20: "as 18",
		27: "tshark does not read segments that overlap",
		38: "the segment begins with a message: tshark waits for the rest of what it saw before",
	},
}

const otherPort = "neither port is 53: tshark goes by the ports of an earlier packet"

// TestTshark compares the questions of every shared capture, and of the captures of the other tests, with those that
// tshark finds: number of the packet, direction, name and type.
func TestTshark(t *testing.T) {
	if testing.Short() {
		t.Skip("runs tshark on some forty files")
	}
	if _, err := exec.LookPath("tshark"); err != nil {
		t.Skip(err)
	}
	paths := built(t)
	for _, pattern := range []string{"pcap/*.pcap", "pcap/*.pcapng", "pcap2/*/*.pcap", "pcap2/*/*.pcapng"} {
		found, _ := filepath.Glob(filepath.Join(shared, pattern))
		paths = append(paths, found...)
	}
	for _, path := range paths {
		name := filepath.Base(path)
		t.Run(name, func(t *testing.T) {
			ours, theirs := questions(t, path), tsharkQuestions(t, path)
			seen := map[int]bool{}
			differ := func(who string, q question) {
				seen[q.packet] = true
				if tsharkDiffers[name][q.packet] == "" {
					t.Errorf("only %s has %+v", who, q)
				}
			}
			for q := range theirs {
				if !ours[q] {
					differ("tshark", q)
				}
			}
			for q := range ours {
				if !theirs[q] {
					differ("degas", q)
				}
			}
			for packet, why := range tsharkDiffers[name] {
				if !seen[packet] {
					t.Errorf("packet %d is the same for both: %s", packet, why)
				}
			}
		})
	}
}

// built writes the captures of the other tests to files: all frames into one, all TCP streams into another.
func built(t *testing.T) []string {
	frames, number := sectionBlock(little), map[uint32]uint32{}
	for _, test := range frameTests() {
		if _, ok := number[test.link]; !ok {
			number[test.link] = uint32(len(number))
			frames = append(frames, interfaceBlock(little, uint16(test.link))...)
		}
		frames = append(frames, enhanced(little, number[test.link], uint64(start.UnixMicro()), test.packet)...)
	}
	var packets [][]byte
	for i, test := range tcpTests() {
		for _, p := range test.packets {
			p = slices.Clone(p)
			at := 20 // of the client's port, which is another one in each test
			if p[20] == 0 && p[21] == 53 {
				at = 22
			}
			copy(p[at:], u16(40000+i))
			packets = append(packets, p)
		}
	}
	var paths []string
	for name, file := range map[string][]byte{"frames.pcapng": frames,
		"tcp.pcap":     pcapFile(little, magicNano, linkRaw, packets...),
		"hostile.pcap": pcapFile(little, magicNano, linkRaw, hostile(t)...)} {
		path := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(path, file, 0o600); err != nil {
			t.Fatal(err)
		}
		paths = append(paths, path)
	}
	return paths
}

// hostile is the shared messages that break readers, each in a packet of its own.
func hostile(t *testing.T) (packets [][]byte) {
	in, err := os.Open(filepath.Join(shared, "hostile", "dns-fuzzing.tar.gz"))
	if err != nil {
		return nil // it is not here
	}
	defer in.Close()
	z, err := gzip.NewReader(in)
	if err != nil {
		t.Fatal(err)
	}
	for files := tar.NewReader(z); ; {
		h, err := files.Next()
		if err == io.EOF {
			return packets
		}
		message, e := io.ReadAll(files)
		if err = errors.Join(err, e); err != nil {
			t.Fatal(err)
		}
		if strings.HasSuffix(h.Name, ".pkt") && len(message) < 65500 {
			packets = append(packets, ip4(protoUDP, udp(40000, 53, message)))
		}
	}
}

// question is what both find. Bytes of the name that are not printable are question marks.
type question struct {
	packet int
	kind   events.Kind
	name   string
	qtype  int
}

// questions are those that degas finds.
func questions(t *testing.T, path string) map[question]bool {
	in, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	out := map[question]bool{}
	if _, err := readAll(in, events.Options{}, func(e *events.Event) {
		name := strings.ReplaceAll(strings.ReplaceAll(string(e.Name), `\.`, "."), `\\`, `\`)
		// tshark decodes overlong UTF-8.
		for i := 0; i+1 < len(name); i++ {
			if name[i]&0xfe == 0xc0 && name[i+1]&0xc0 == 0x80 {
				name = name[:i] + string(rune(name[i]<<6|name[i+1]&0x3f)) + name[i+2:]
			}
		}
		out[question{int(e.Line), e.Kind, plain(name), int(e.Type)}] = true
	}); err != nil {
		t.Error(err)
	}
	return out
}

var (
	escaped = regexp.MustCompile(`\\[0-7]{3}|\\u[0-9A-F]{4}|\\U[0-9A-F]{8}|\\.`)
	strange = regexp.MustCompile(`[^!#-\[\]-~]+`)
)

// plain replaces what tshark writes in another way: each run of bytes that are not printable is one question mark.
func plain(name string) string { return strange.ReplaceAllString(name, "?") }

// tsharkQuestions are those that tshark finds.
func tsharkQuestions(t *testing.T, path string) map[question]bool {
	cmd := exec.Command("tshark", "-n", "-r", path, "-Y", "dns.flags.opcode == 0", "-T", "fields", "-E", "aggregator=\x01",
		"-o", "ip.defragment:FALSE", "-o", "ipv6.defragment:FALSE",
		"-e", "frame.number", "-e", "dns.flags.response", "-e", "dns.qry.name", "-e", "dns.qry.type")
	text, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	out := map[question]bool{}
	for line := range strings.Lines(string(text)) {
		fields := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
		responses, names, types := values(fields[1]), values(fields[2]), values(fields[3])
		for i, name := range names {
			kind := events.Query
			if responses[min(i, len(responses)-1)] == "1" {
				kind = events.Response
			}
			if name == "<Root>" {
				name = "."
			}
			if i >= len(types) || strings.HasPrefix(name, "<") {
				continue // tshark cannot read it
			}
			packet, _ := strconv.Atoi(fields[0])
			qtype, _ := strconv.Atoi(types[i])
			out[question{packet, kind, plain(escaped.ReplaceAllString(name, " ")), qtype}] = true
		}
	}
	return out
}

func values(field string) []string {
	if field == "" {
		return nil
	}
	return strings.Split(field, "\x01")
}
