package simulate

import (
	"context"
	"encoding/binary"
	"fmt"
	"net/netip"
	"os"
	"runtime"
	"strconv"
	"strings"
	"time"

	"github.com/degas-dns/degas/detect"
	"github.com/degas-dns/degas/detect/watch"
	"github.com/degas-dns/degas/events"
)

// FloodOptions of a Flood.
type FloodOptions struct {
	Tables *watch.Tables
	// Domains are asked for once each, in turn by Clients clients, evenly over Time.
	Domains, Clients int
	Time             time.Duration
	// Fast and Slow are the names of two tunnels. Fast asks for ten names a second from half of Time on, Slow for one a
	// minute from the start. Each begins again when its names end, with other first letters.
	Fast, Slow []string
	// Policy decides about the names of the tunnels.
	Policy *detect.Policy
	// Samples is how often memory is measured.
	Samples int
	// Zones and Clients of the Watch are its defaults if 0.
	WatchZones, WatchClients int
	Seed                     uint64
	// Progress, if not nil, is told of each sample.
	Progress func(s Memory)
}

// Memory is what the process holds after so many events.
type Memory struct {
	Events int64         `json:"events"`
	At     time.Duration `json:"at"`   // since the start of the simulated traffic
	Heap   int64         `json:"heap"` // bytes in use after garbage collection
	RSS    int64         `json:"rss"`  // bytes of memory that the system counts for the process; 0 if unknown
}

// FloodResult is how a Watch bore a flood.
type FloodResult struct {
	Domains int           `json:"domains"`
	Clients int           `json:"clients"`
	Time    time.Duration `json:"time"`
	Samples []Memory      `json:"samples"`
	// Fast and Slow are how long the tunnels ran until they were found; 0 if they were not found.
	Fast time.Duration `json:"fast"`
	Slow time.Duration `json:"slow"`
	// FalseTunnels and FalseClients are findings about others.
	FalseTunnels int `json:"false_tunnels"`
	FalseClients int `json:"false_clients"`
	// Wall is how long the simulation took.
	Wall time.Duration `json:"wall"`
}

// Flat is how far the heap is from its mean in the second half of the samples, as shares of the mean.
func (r *FloodResult) Flat() (below, above float64) {
	half := r.Samples[len(r.Samples)/2:]
	mean := 0.0
	for _, s := range half {
		mean += float64(s.Heap) / float64(len(half))
	}
	for _, s := range half {
		below, above = min(below, float64(s.Heap)/mean-1), max(above, float64(s.Heap)/mean-1)
	}
	return below, above
}

// flooder is a Flood under way.
type flooder struct {
	FloodOptions
	w      *watch.Watch
	result *FloodResult
	start  time.Time
}

// Flood asks a live Watch for very many domains that are asked for once each, while two tunnels run, and measures its
// memory.
func Flood(ctx context.Context, o FloodOptions) (*FloodResult, error) {
	began := time.Now()
	w := watch.New(watch.Options{Tables: o.Tables, Seed: o.Seed | 1, Live: true, Zones: o.WatchZones,
		Clients: o.WatchClients})
	f := &flooder{FloodOptions: o, w: w, start: day,
		result: &FloodResult{Domains: o.Domains, Clients: o.Clients, Time: o.Time}}
	fast, err := f.tunnel(ctx, o.Fast, 10, o.Time/2, 1)
	if err != nil {
		return nil, err
	}
	slow, err := f.tunnel(ctx, o.Slow, 1./60, 0, 2)
	if err != nil {
		return nil, err
	}
	gap := o.Time / time.Duration(o.Domains)
	e := events.Event{Kind: events.Both, Type: 1, RCode: events.NXDomain, Size: 100}
	d := detect.Decision{Rule: detect.Score, DGA: .01, Tunnel: 1e-4}
	nextNow := time.Duration(0)
	name := []byte{}
	for i := range o.Domains {
		at := time.Duration(i) * gap
		if at >= nextNow {
			if err := ctx.Err(); err != nil {
				return nil, err
			}
			f.now(nextNow, fast, slow)
			nextNow += time.Minute
		}
		fast.until(f.w, at)
		slow.until(f.w, at)
		name = append(name[:0], "host-one.d"...)
		name = strconv.AppendUint(name, uint64(i)*0x9e3779b97f4a7c15>>20, 36)
		e.Name, e.Time, e.Client.Addr = append(name, ".com"...), f.start.Add(at), client(i%o.Clients)
		f.w.Observe(&e, &d)
		if (i+1)%max(o.Domains/o.Samples, 1) == 0 {
			f.measure(int64(i+1), at)
		}
	}
	f.now(o.Time, fast, slow)
	f.result.Wall = time.Since(began)
	f.result.Fast, f.result.Slow = fast.found, slow.found
	runtime.KeepAlive(f.w)
	return f.result, nil
}

// now tells the Watch the time, and sorts what it found.
func (f *flooder) now(at time.Duration, tunnels ...*runningTunnel) {
	for _, found := range f.w.Now(f.start.Add(at)) {
		if found.Kind == watch.DGAClient {
			f.result.FalseClients++
			continue
		}
		if t := ofTunnel(tunnels, &found); t == nil {
			f.result.FalseTunnels++
		} else if t.found == 0 {
			t.found = at - t.begin
		}
	}
}

func (f *flooder) measure(n int64, at time.Duration) {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	s := Memory{n, at, int64(m.HeapAlloc), rss()}
	f.result.Samples = append(f.result.Samples, s)
	if f.Progress != nil {
		f.Progress(s)
	}
}

// rss is the resident memory of this process, 0 where /proc does not say.
func rss() int64 {
	text, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0
	}
	fields := strings.Fields(string(text))
	if len(fields) < 2 {
		return 0
	}
	pages, err := strconv.ParseInt(fields[1], 10, 64)
	if err != nil {
		return 0
	}
	return pages * int64(os.Getpagesize())
}

// client is the address of a client by its number.
func client(i int) netip.Addr {
	var a [4]byte
	binary.BigEndian.PutUint32(a[:], 10<<24+uint32(i))
	return netip.AddrFrom4(a)
}

// tunnel makes a running tunnel of names.
func (f *flooder) tunnel(
	ctx context.Context, names []string, rate float64, begin time.Duration, n int,
) (*runningTunnel, error) {
	t, err := newTunnel(ctx, f.Policy, names, 1)
	if err != nil {
		return nil, fmt.Errorf("tunnel %d of the flood: %w", n, err)
	}
	t.client, t.start, t.begin, t.next = client(1<<23+n), f.start, begin, begin
	t.gap = time.Duration(float64(time.Second) / rate)
	return t, nil
}
