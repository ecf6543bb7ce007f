//go:build unix

package lists

import (
	"bufio"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/degas-dns/degas/internal/alloctest"
)

// BenchmarkOpen loads block lists of five million entries from disk.
func BenchmarkOpen(b *testing.B) {
	const n = 5_000_000
	for _, c := range []struct{ what, line string }{{"domains", "%c%d.example-%d.com\n"},
		{"adblock", "||%c%d.example-%d.net^\n"}, {"rpz", "%c%d.example-%d.org CNAME .\n"}} {
		b.Run(c.what, func(b *testing.B) {
			path := filepath.Join(b.TempDir(), "list")
			f, err := os.Create(path)
			if err != nil {
				b.Fatal(err)
			}
			w := bufio.NewWriter(f)
			for i := range n {
				fmt.Fprintf(w, c.line, 'a'+rune(i%26), i*7919, i%9973)
			}
			if err := w.Flush(); err != nil {
				b.Fatal(err)
			}
			f.Close()
			var s *Set
			before := used(b)
			for b.Loop() {
				taken := alloctest.Bytes(func() { s, err = Open(b.Context(), Options{Block: []string{path}}) })
				_, block, _ := s.Lists()
				if err != nil || block.Len() != n {
					b.Fatal(block.Len(), err)
				}
				b.ReportMetric(float64(block.Bytes())/n, "bytes/entry")
				b.ReportMetric(float64(taken)/(1<<20), "MiB-allocated")
			}
			b.ReportMetric((used(b)-before)/float64(b.N), "cpu-s/op")
		})
	}
}

// used is the time that the process has worked, in seconds: other processes do not add to it.
func used(b *testing.B) float64 {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return float64(u.Utime.Nano()+u.Stime.Nano()) / 1e9
}
