package logs

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/degas-dns/degas/events"
)

// sharedLogs are logs of real servers beside the repository, with the format of each file.
var sharedLogs = []struct{ pattern, format string }{
	{"logs/*-query.log", "bind"},
	{"logs/*-coredns.log", "coredns"},
	{"logs/*-dnsmasq.log", "dnsmasq"},
	{"logs/*-pdns.log", "powerdns"},
	{"pcap2/korving/*-query.log", "bind"},
	{"pcap2/korving/*-coredns.log", "coredns"},
	{"pcap2/korving/*-dnsmasq.log", "dnsmasq"},
	{"pcap2/slips/test10-zeek-tsv-dns.log", "zeek"},
	{"pcap2/rita/2024-04-19/dns.*.log.gz", "zeek"},
}

// Every shared log is recognised, and nothing is lost: units are events, or counted.
func TestSharedText(t *testing.T) {
	data := filepath.Join("..", "..", "..", "shared", "data")
	if _, err := os.Stat(data); err != nil {
		t.Skip("no shared data")
	}
	for _, s := range sharedLogs {
		files, err := filepath.Glob(filepath.Join(data, filepath.FromSlash(s.pattern)))
		if err != nil || len(files) == 0 {
			t.Errorf("no files %s", s.pattern)
		}
		for _, file := range files {
			f, err := events.Open(context.Background(), file, events.Options{}, nil)
			if err != nil {
				t.Error(err)
				continue
			}
			names, kinds := map[string]bool{}, map[events.Kind]int{}
			var e events.Event
			for err == nil {
				if err = f.Next(&e); err == nil {
					names[string(e.Name)] = true
					kinds[e.Kind]++
				}
			}
			if !errors.Is(err, io.EOF) || f.Close() != nil || f.Format.Name != s.format {
				t.Errorf("%s: format %s, want %s, %v", file, f.Format.Name, s.format, err)
			}
			st := &f.Stats
			if sum := st.Events + total(st.Skipped) + total(st.Refused); sum != st.Units || st.Events == 0 {
				t.Errorf("%s: %d units, %d accounted for", file, st.Units, sum)
			}
			for reason := range st.Refused {
				if s.format != "dnsmasq" || reason != string(hiddenName) {
					t.Errorf("%s: refused %v", file, st.Refused)
				}
			}
			t.Logf("%-45s %-8s %5d units %5d events %v %5d names, skipped %v, refused %v", filepath.Base(file),
				f.Format.Name, st.Units, st.Events, kindCounts(kinds), len(names), st.Skipped, st.Refused)
		}
	}
}

func kindCounts(m map[events.Kind]int) string {
	var out []string
	for k, n := range m {
		out = append(out, fmt.Sprintf("%v:%d", k, n))
	}
	slices.Sort(out)
	return strings.Join(out, " ")
}

func total(m map[string]int64) (sum int64) {
	for _, n := range m {
		sum += n
	}
	return sum
}
