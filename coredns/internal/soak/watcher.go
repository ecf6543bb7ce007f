package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"
)

// watcher looks at the server's metrics and its memory each second.
type watcher struct {
	server  *server
	client  http.Client
	running sync.WaitGroup

	first, most, last int // goroutines
	entries           map[string]float64
	emptied           []string // lists that lost their entries
	panics            float64
	dropped           map[string]float64
	resident, heap    []int64 // bytes
}

func newWatcher(s *server) *watcher {
	return &watcher{server: s, client: http.Client{Timeout: 5 * time.Second}, entries: map[string]float64{},
		dropped: map[string]float64{}}
}

// ready waits until all lists have entries.
func (w *watcher) ready(ctx context.Context, l *lists) error {
	for end := time.Now().Add(time.Minute); time.Now().Before(end); {
		if w.look(); len(w.entries) == urls+2 {
			w.first = w.last
			return nil
		}
		if len(w.server.done) > 0 {
			return errors.New("degas-dns does not start; see its log with --keep")
		}
		if !sleep(ctx, 100*time.Millisecond) {
			return ctx.Err()
		}
	}
	return fmt.Errorf("after a minute %d of %d lists have entries", len(w.entries), urls+2)
}

func (w *watcher) wait() { w.running.Wait() }

// start looks until ctx ends.
func (w *watcher) start(ctx context.Context) {
	w.running.Go(func() {
		for sleep(ctx, time.Second) {
			w.look()
			if n := residentOf(w.server.process.Process.Pid); n > 0 {
				w.resident = append(w.resident, n)
			}
		}
	})
}

// settle looks again when connections and queries have ended.
func (w *watcher) settle() {
	for end := time.Now().Add(40 * time.Second); time.Now().Before(end); {
		time.Sleep(time.Second)
		if w.look(); w.last <= w.first+100 {
			return
		}
	}
}

// look reads the metrics. They may be away for a moment while the Corefile is read.
func (w *watcher) look() {
	answer, err := w.client.Get("http://" + w.server.metrics + "/metrics")
	if err != nil {
		return
	}
	defer answer.Body.Close()
	for lines := bufio.NewScanner(answer.Body); lines.Scan(); {
		series, number, ok := strings.Cut(lines.Text(), " ")
		if at := strings.LastIndexByte(lines.Text(), ' '); at > 0 {
			series, number = lines.Text()[:at], lines.Text()[at+1:]
		}
		v, err := strconv.ParseFloat(number, 64)
		if !ok || err != nil {
			continue
		}
		metric, _, _ := strings.Cut(series, "{")
		switch metric {
		case "go_goroutines":
			w.last = int(v)
			w.most = max(w.most, w.last)
		case "go_memstats_heap_inuse_bytes":
			w.heap = append(w.heap, int64(v))
		case "coredns_panics_total":
			w.panics = v
		case "coredns_degas_events_dropped_total":
			w.dropped[series] = v
		case "coredns_degas_list_entries":
			if v == 0 && w.entries[series] > 0 {
				w.emptied = append(w.emptied, series)
			}
			if v > 0 {
				w.entries[series] = v
			}
		}
	}
}

// residentOf is how much memory a process has.
func residentOf(pid int) int64 {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", pid))
	if err != nil {
		return 0
	}
	fields := strings.Fields(string(text))
	if len(fields) < 2 {
		return 0
	}
	pages, _ := strconv.ParseInt(fields[1], 10, 64)
	return pages * int64(os.Getpagesize())
}

// growth is how much memory grew over the second half, by a straight line through it, and its mean, in bytes.
func (w *watcher) growth() (grew, mean float64) {
	half := w.resident[len(w.resident)/2:]
	n := float64(len(half))
	if n < 2 {
		return 0, 0
	}
	var sx, sy, sxx, sxy float64
	for i, y := range half {
		x := float64(i)
		sx, sy, sxx, sxy = sx+x, sy+float64(y), sxx+x*x, sxy+x*float64(y)
	}
	return (n*sxy - sx*sy) / (n*sxx - sx*sx) * (n - 1), sy / n
}

// logged counts the lines of the log that have a text.
func (w *watcher) logged(texts ...string) (n int) {
	log, err := os.ReadFile(filepath.Join(w.server.dir, "degas-dns.log"))
	if err != nil {
		return -1
	}
	for line := range strings.Lines(string(log)) {
		for _, text := range texts {
			if strings.Contains(line, text) {
				n++
				break
			}
		}
	}
	return n
}
