// Command servebench sends names to a scoring server over connections that stay open, and prints one line of JSON with
// what came of it: names and requests a second, latencies, and the processor time of the server. scripts/bench-serve
// uses it.
//
// All requests are made before the first one is sent, so that little of the machine's time goes into the load itself.
package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"os/signal"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

var (
	url         = flag.String("url", "", "the server's `URL`, without a path")
	modelName   = flag.String("model", "degas", "the model's `NAME`")
	speak       = flag.String("speak", "", "the `PROTOCOL`, one of those in protocols.go")
	names       = flag.String("names", "", "`FILE` with a name a line")
	export      = flag.String("export", "", "version `FOLDER` of export-model, whose encoder makes codes")
	batch       = flag.Int("batch", 1, "send `N` names in a request")
	connections = flag.Int("connections", 1, "keep `N` connections busy")
	warm        = flag.Duration("warm", time.Second, "send for `TIME` before anything counts")
	runs        = flag.Duration("for", 5*time.Second, "send for `TIME`")
	tree        = flag.Int("tree", 0, "count processor time of all processes below the process `ID`, this one aside")
)

// result is what is printed.
type result struct {
	Names    int64   `json:"names"`     // answered
	Requests int64   `json:"requests"`  // answered
	Rate     float64 `json:"names_s"`   // names a second
	CPU      float64 `json:"cpu_s"`     // seconds of processor time of the server
	PerName  float64 `json:"cpu_us"`    // microseconds of it a name
	Median   float64 `json:"p50_us"`    // of a request
	P99      float64 `json:"p99_us"`    // of a request
	Own      float64 `json:"own_cpu_s"` // seconds of processor time of servebench
}

func main() {
	log.SetFlags(0)
	log.SetPrefix("servebench: ")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	r, err := run(ctx)
	if err == nil {
		err = json.NewEncoder(os.Stdout).Encode(r)
	}
	if err != nil {
		log.Fatal(err)
	}
}

func run(ctx context.Context) (r result, err error) {
	list, err := readNames(*names)
	if err != nil {
		return r, err
	}
	requests, err := build(list)
	if err != nil {
		return r, err
	}
	l := &load{requests: requests, client: &http.Client{
		Timeout: 5 * time.Minute, // of 64 large batches, a slow server may take a while over the last
		Transport: &http.Transport{MaxConnsPerHost: *connections, MaxIdleConnsPerHost: *connections,
			DisableCompression: true},
	}}
	if _, err := l.send(ctx, *warm); err != nil {
		return r, err
	}
	before, own := used(*tree), used(0)
	start := time.Now()
	took, err := l.send(ctx, *runs)
	seconds := time.Since(start).Seconds()
	if err != nil {
		return r, err
	}
	r.CPU, r.Own = used(*tree)-before, used(0)-own
	r.Requests = int64(len(took))
	r.Names = r.Requests * int64(*batch)
	r.Rate = float64(r.Names) / seconds
	r.PerName = r.CPU / float64(r.Names) * 1e6
	slices.Sort(took)
	r.Median = float64(took[len(took)/2].Nanoseconds()) / 1e3
	r.P99 = float64(took[len(took)*99/100].Nanoseconds()) / 1e3
	return r, nil
}

// mostNames is how many names there are at most before they come again.
const mostNames = 1 << 18

func readNames(path string) (list []string, err error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	for s := bufio.NewScanner(f); s.Scan() && len(list) < mostNames; {
		list = append(list, s.Text())
	}
	if len(list) < *batch {
		return nil, fmt.Errorf("%s: %d names, a request needs %d", path, len(list), *batch)
	}
	return list, nil
}

// load sends requests in turn, each again after the last one.
type load struct {
	requests []request
	client   *http.Client
	next     atomic.Int64
}

// send keeps the connections busy for so long, and returns what each request took. Any failure ends it.
func (l *load) send(ctx context.Context, runs time.Duration) (all []time.Duration, err error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	end := time.Now().Add(runs)
	var mu sync.Mutex
	var wg sync.WaitGroup
	for range *connections {
		wg.Go(func() {
			var took []time.Duration
			for ctx.Err() == nil && time.Now().Before(end) {
				start := time.Now()
				if err := l.one(ctx, &l.requests[l.next.Add(1)%int64(len(l.requests))]); err != nil {
					cancel(err)
					return
				}
				took = append(took, time.Since(start))
			}
			mu.Lock()
			defer mu.Unlock()
			all = append(all, took...)
		})
	}
	wg.Wait()
	if err := context.Cause(ctx); err != nil {
		return nil, err
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("no answer within %v", runs)
	}
	return all, nil
}

func (l *load) one(ctx context.Context, q *request) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, q.url, bytes.NewReader(q.body))
	if err != nil {
		return err
	}
	for key, value := range q.header {
		req.Header.Set(key, value)
	}
	resp, err := l.client.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode == http.StatusOK {
		_, err = io.Copy(io.Discard, resp.Body)
		return err
	}
	text, _ := io.ReadAll(io.LimitReader(resp.Body, 300))
	return fmt.Errorf("%s: %s: %s", q.url, resp.Status, text)
}
