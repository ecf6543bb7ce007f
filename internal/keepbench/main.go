// Command keepbench sends events to a degas serve at a steady rate, and measures what keeping them takes: processor
// time, memory and disk. At the end it compares what the server counted with what was sent. See scripts/bench-keep.
package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"log"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

var (
	degas   = flag.String("degas", "", "the degas to test, as `FILE`")
	rate    = flag.Int("rate", 10_000, "send `N` events each second")
	runs    = flag.Duration("for", 10*time.Minute, "send for `TIME`")
	fresh   = flag.Float64("new", 0.05, "this `SHARE` of the names was never asked for before")
	clients = flag.Int("clients", 2000, "`N` clients ask")
	storeAt = flag.String("store", "", "keep in the search node at `URL`")
)

// pool is how many names come again and again.
const pool = 20_000

func main() {
	log.SetFlags(0)
	log.SetPrefix("keepbench: ")
	flag.Parse()
	if err := run(context.Background()); err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context) error {
	dir, err := os.MkdirTemp("", "degas-keep-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	args := []string{"serve", "--addr", "127.0.0.1:0", "--data", dir}
	if *storeAt != "" {
		args = append(args, "--store", *storeAt)
	}
	c := exec.CommandContext(ctx, *degas, args...)
	c.Stderr = os.Stderr
	out, err := c.StdoutPipe()
	if err == nil {
		err = c.Start()
	}
	if err != nil {
		return err
	}
	defer func() { _ = c.Process.Kill(); _ = c.Wait() }()
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		return fmt.Errorf("start degas: %w", err)
	}
	base, _, _ := strings.Cut(line, "/v1/")
	sent, busy, samples, err := load(base, c.Process.Pid, dir)
	if err != nil {
		return err
	}
	counted := 0
	for range 20 { // what waits in the server
		if counted, err = total(base); err != nil || counted == sent {
			break
		}
		time.Sleep(time.Second)
	}
	if err != nil {
		return err
	}
	print(samples)
	fmt.Printf("\n%d events sent in %v, %d requests told to come again, %d counted by the server\n", sent, *runs, busy,
		counted)
	if counted != sent {
		return fmt.Errorf("%d events sent and %d counted", sent, counted)
	}
	return nil
}

// sample is what the server has taken until some time.
type sample struct {
	after  time.Duration
	cpu    time.Duration
	memory int64 // resident, in bytes
	disk   int64 // in bytes
	sent   int
}

// load sends batches, ten a second.
func load(base string, pid int, dir string) (sent, busy int, samples []sample, err error) {
	random := rand.New(rand.NewPCG(1, 2))
	start, number := time.Now(), 0
	every := max(*runs/10, time.Second)
	sender := newSender(base + "/v1/events")
	take := func() error {
		s := sample{after: time.Since(start), sent: sent}
		if s.cpu, s.memory, err = process(pid); err == nil {
			s.disk, err = size(dir)
		}
		samples = append(samples, s)
		return err
	}
	if err := take(); err != nil {
		return 0, 0, nil, err
	}
	for tick := 0; time.Since(start) < *runs; tick++ {
		var body bytes.Buffer
		now := time.Now().UTC().Format(time.RFC3339Nano)
		n := *rate / 10
		for range n {
			name := random.IntN(pool)
			if random.Float64() < *fresh {
				number++
				name = pool + number
			}
			client := random.IntN(*clients)
			fmt.Fprintf(&body, `{"time":%q,"client":"10.%d.%d.7","name":"www.shop-%d.example%d.com","type":"A",`+
				`"rcode":"NOERROR","transport":"udp","kind":"both","size":96}`+"\n", now, client/200, client%200, name, name%977)
		}
		if err := sender.send(body.Bytes()); err != nil {
			return 0, 0, nil, err
		}
		sent += n
		if time.Since(start) >= every*time.Duration(len(samples)) {
			if err := take(); err != nil {
				return 0, 0, nil, err
			}
		}
		time.Sleep(time.Until(start.Add(time.Duration(tick+1) * 100 * time.Millisecond)))
	}
	busy, err = sender.wait()
	return sent, busy, samples, errors.Join(err, take())
}

// sender posts batches, eight at once: an answer comes when the events are kept.
type sender struct {
	url    string
	places chan struct{}
	busy   atomic.Int64
	failed atomic.Pointer[error]
}

func newSender(url string) *sender { return &sender{url: url, places: make(chan struct{}, 8)} }

// send begins to post a batch. The error is that of one before.
func (s *sender) send(body []byte) error {
	if err := s.failed.Load(); err != nil {
		return *err
	}
	s.places <- struct{}{}
	go func() {
		defer func() { <-s.places }()
		for {
			status, err := post(s.url, body)
			switch {
			case err != nil:
				s.failed.Store(&err)
				return
			case status == http.StatusOK:
				return
			}
			s.busy.Add(1)
			time.Sleep(200 * time.Millisecond)
		}
	}()
	return nil
}

// wait waits for all batches, and counts the requests that were told to come again.
func (s *sender) wait() (busy int, err error) {
	for range cap(s.places) {
		s.places <- struct{}{}
	}
	if failed := s.failed.Load(); failed != nil {
		err = *failed
	}
	return int(s.busy.Load()), err
}

func post(url string, body []byte) (status int, err error) {
	resp, err := http.Post(url, "application/x-ndjson", bytes.NewReader(body))
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK && resp.StatusCode != http.StatusTooManyRequests &&
		resp.StatusCode != http.StatusServiceUnavailable {
		err = fmt.Errorf("%s: %s", resp.Status, text)
	}
	return resp.StatusCode, err
}

// total is how many events the server has counted.
func total(base string) (n int, err error) {
	resp, err := http.Get(base + "/v1/counts?step=day&from=2020-01-01T00:00:00Z")
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	var answer struct{ Counts []struct{ N int } }
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil {
		return 0, err
	}
	for _, c := range answer.Counts {
		n += c.N
	}
	return n, nil
}

// process reads a process' processor time and resident memory (proc(5)).
func process(pid int) (cpu time.Duration, memory int64, err error) {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, 0, err
	}
	_, rest, _ := strings.Cut(string(data), ") ")
	fields := strings.Fields(rest)
	user, _ := strconv.ParseInt(fields[11], 10, 64)
	system, _ := strconv.ParseInt(fields[12], 10, 64)
	pages, _ := strconv.ParseInt(fields[21], 10, 64)
	return time.Duration(user+system) * 10 * time.Millisecond, pages * int64(os.Getpagesize()), nil
}

// size is how many bytes the files of a folder have.
func size(dir string) (n int64, err error) {
	err = filepath.WalkDir(dir, func(_ string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return nil // a journal may have gone meanwhile
		}
		if info, err := e.Info(); err == nil {
			n += info.Size()
		}
		return nil
	})
	return n, err
}

func print(samples []sample) {
	fmt.Println("| after | events/s | processor time, of one core | memory, MB | disk, MB |")
	fmt.Println("|---|---|---|---|---|")
	for i := 1; i < len(samples); i++ {
		a, b := samples[i-1], samples[i]
		passed := b.after - a.after
		if passed < time.Second {
			continue
		}
		fmt.Printf("| %v | %.0f | %.1f %% | %d | %d |\n", b.after.Round(time.Second), float64(b.sent-a.sent)/passed.Seconds(),
			100*float64(b.cpu-a.cpu)/float64(passed), b.memory>>20, b.disk>>20)
	}
}
