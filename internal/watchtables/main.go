// Watchtables makes the tables of package watch for the built-in model.
//
// Usage: go run ./internal/watchtables [-dataset DIR] [-o FILE] HOSTS…
//
//	-dataset  a data set whose test split the model was not trained on: how its benign names score
//	HOSTS     lists of host names as resolvers see them, plain or gzip: how zones without a tunnel look
//
// Generated names are of datasets/synth, with seeds and a day that no training has.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"log"
	"math"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/degas-dns/degas/datasets"
	"github.com/degas-dns/degas/datasets/synth"
	"github.com/degas-dns/degas/detect"
	"github.com/degas-dns/degas/detect/watch"
	"github.com/degas-dns/degas/events"
	"github.com/degas-dns/degas/internal/atomicfile"
	"github.com/degas-dns/degas/internal/lines"
	"github.com/degas-dns/degas/internal/unpack"
	"github.com/degas-dns/degas/model"
	"github.com/degas-dns/degas/model/dnsname"
)

// Sizes of what the tables are made of.
const (
	perFamily = 400
	windows   = 3000 // of zones with a tunnel, and of zones without one for each of two halves
	mostNames = 1500 // in a window
)

var day = time.Date(2027, 3, 1, 0, 0, 0, 0, time.UTC)

func main() {
	log.SetFlags(0)
	dataset := flag.String("dataset", "data/release/processed", "a data set with a test split")
	out := flag.String("o", "detect/watch/tables.json", "where the tables go")
	flag.Parse()
	if err := run(context.Background(), *dataset, *out, flag.Args()); err != nil {
		log.Fatal("watchtables: ", err)
	}
}

func run(ctx context.Context, dataset, out string, lists []string) error {
	m, err := model.Builtin()
	if err != nil {
		return err
	}
	c, err := model.NewClassifier(m)
	if err != nil {
		return err
	}
	p, err := detect.New(detect.Options{Classifier: c})
	if err != nil {
		return err
	}
	t := &watch.Tables{Spread: spread}
	if t.Model, err = m.Digest(); err != nil {
		return err
	}
	var clean []float64
	if clean, err = cleanScores(ctx, p, dataset); err != nil {
		return err
	}
	log.Printf("%d clean registered domains", len(clean))
	t.Names, t.Clean = len(clean), smooth(watch.Bins(clean), len(clean))
	if t.Generated, err = generated(p); err != nil {
		return err
	}
	hosts, err := read(ctx, lists)
	if err != nil {
		return err
	}
	z := newMaker(p, t, hosts)
	t.Pairs = watch.PairBits(z.subs)
	train, tunnels, others, err := z.windows(ctx)
	if err != nil {
		return err
	}
	t.Zones = watch.FitZones(train, tunnels, others)
	text, err := json.MarshalIndent(t, "", " ")
	if err != nil {
		return err
	}
	for i, what := range watch.Measures {
		log.Printf("%-45s %+.2f", what, t.Zones.Weights[i])
	}
	return atomicfile.Write(out, append(text, '\n'))
}

// unknown is the share of tunnels of which the model is taken to know nothing: it was trained on the same tools.
const unknown = .5

// spread is the 99th percentile of Gamma(1/2, 2), by which clients differ in how often they ask for ordinary names that
// look generated.
const spread = 6.7

// smooth gives each bin half a name more.
func smooth(x [16]float64, n int) [16]float64 {
	for i := range x {
		x[i] = (x[i]*float64(n) + .5) / (float64(n) + 8)
	}
	return x
}

// cleanScores are the scores of the registered domains of benign names that the model was not trained on.
func cleanScores(ctx context.Context, p *detect.Policy, dir string) (scores []float64, err error) {
	split, err := datasets.Open(ctx, dir, "test")
	if err != nil {
		return nil, err
	}
	seen := map[string]bool{}
	for b, err := range split.Batches(ctx) {
		if err != nil {
			return nil, err
		}
		for i, name := range b.Names {
			domain, cloud := detect.Zone(name)
			if b.Class[i] != datasets.Benign || cloud || seen[domain] {
				continue
			}
			seen[domain] = true
			if d := p.Decide(domain); d.Rule == detect.Score {
				scores = append(scores, d.DGA)
			}
		}
	}
	return scores, nil
}

// generated are the shares of generated domains by score, the mean over families.
func generated(p *detect.Policy) (mean [16]float64, err error) {
	families := 0
	for _, f := range synth.Families() {
		if f.Class != synth.ClassDGA {
			continue
		}
		names, err := f.Generate(synth.Params{Seed: 90001, Date: day, Count: perFamily})
		if err != nil {
			return mean, fmt.Errorf("generate %s: %w", f.Name, err)
		}
		scores := []float64{}
		for _, name := range names {
			domain, _ := detect.Zone(name)
			scores = append(scores, p.Decide(domain).DGA)
		}
		for b, share := range smooth(watch.Bins(scores), len(scores)) {
			mean[b] += share
		}
		families++
	}
	for b := range mean {
		mean[b] /= float64(families)
	}
	return mean, nil
}

// read reads lists of names, one a line.
func read(ctx context.Context, paths []string) (names []string, err error) {
	for _, path := range paths {
		s, err := unpack.File(ctx, path, nil)
		if err != nil {
			return nil, err
		}
		in := lines.NewReader(s.Reader)
		for {
			line, long, err := in.Next()
			if err != nil {
				break
			}
			text := string(line)
			if _, after, ok := strings.Cut(text, ","); ok { // rank,name
				text = after
			}
			if name, err := dnsname.Normalize(text); err == nil && !long {
				names = append(names, name)
			}
		}
		s.Close()
	}
	return names, nil
}

// maker makes windows of zones.
type maker struct {
	p       *detect.Policy
	t       *watch.Tables
	r       *rand.Rand
	subs    []string            // what stands before the zones of hosts, with the dot
	domains map[string][]string // names by zone
}

func newMaker(p *detect.Policy, t *watch.Tables, hosts []string) *maker {
	m := &maker{p: p, t: t, r: rand.New(rand.NewPCG(1, 2)), domains: map[string][]string{}}
	for _, name := range hosts {
		zone, cloud := detect.Zone(name)
		if sub := name[:len(name)-len(zone)]; len(sub) >= 6 && !cloud {
			m.subs = append(m.subs, sub)
			m.domains[zone] = append(m.domains[zone], name)
		}
	}
	return m
}

// windows makes windows of zones without a tunnel, twice, and of zones with one.
func (m *maker) windows(ctx context.Context) (train, tunnels [][12]float64, others []watch.Windows, err error) {
	real := [][]string{}
	for _, zone := range slices.Sorted(func(yield func(string) bool) {
		for z := range m.domains {
			if !yield(z) {
				return
			}
		}
	}) {
		if len(m.domains[zone]) >= 15 {
			real = append(real, m.domains[zone])
		}
	}
	log.Printf("%d hosts, %d zones with 15 names and more", len(m.subs), len(real))
	for i := range 2 * windows {
		names, identifiers := m.machines(i)
		if i < len(real) {
			names, identifiers = real[i], false
		}
		x, err := m.window(ctx, names, false, identifiers)
		if err != nil {
			continue // names that degas never scores, such as those of numbered customers
		}
		// A zone is in one half.
		if i%2 == 0 {
			train = append(train, x[m.r.IntN(3)])
		} else {
			others = append(others, x)
		}
	}
	tools := []synth.Family{}
	for _, f := range synth.Families() {
		if f.Class == synth.ClassTunnel {
			tools = append(tools, f)
		}
	}
	for i := range windows {
		f := tools[i%len(tools)]
		q := synth.Params{Seed: uint64(70000 + i), Date: day, Count: m.count()}
		if len(f.Variants) > 0 {
			q.Variant = f.Variants[m.r.IntN(len(f.Variants))]
		}
		names, err := f.Generate(q)
		if err != nil {
			return nil, nil, nil, err
		}
		x, err := m.window(ctx, names, true, false)
		if err != nil {
			continue // a tool whose names have no zone
		}
		tunnels = append(tunnels, x[m.r.IntN(3)])
	}
	return train, tunnels, others, nil
}

// count is how many names a window has, from 15 on; few have many.
func (m *maker) count() int {
	return int(15 * math.Exp(m.r.Float64()*math.Log(mostNames/15)))
}

// machines are names that machines make up, below one zone: one host of a list or a few, whose digits and hexadecimal
// labels change, or hosts of many zones.
func (m *maker) machines(i int) (names []string, identifiers bool) {
	zone := fmt.Sprintf("zone%d.com", i)
	if m.r.Float64() < telemetry {
		return m.identifiers(zone), true
	}
	patterns := make([]string, []int{1, 1, 5, mostNames}[m.r.IntN(4)])
	for k := range patterns {
		patterns[k] = m.subs[m.r.IntN(len(m.subs))]
	}
	seen := map[string]bool{}
	want := m.count()
	for try := 0; len(names) < want && try < 20*want; try++ {
		name := m.changed(patterns[m.r.IntN(len(patterns))], len(patterns) < mostNames) + zone
		if !seen[name] {
			seen[name] = true
			names = append(names, name)
		}
		if try%100 == 99 && len(patterns) < 5 {
			patterns = append(patterns, m.subs[m.r.IntN(len(m.subs))])
		}
	}
	return names, false
}

// telemetry is the share of zones below which software asks for identifiers: of files, of devices, of events.
const telemetry = .06

// identifiers are names with a UUID or a hexadecimal number of a fixed length before some labels that stay.
func (m *maker) identifiers(zone string) []string {
	uuid, length := m.r.IntN(2) == 0, []int{8, 12, 16, 20, 24, 32, 40}[m.r.IntN(7)]
	rest := ""
	for range m.r.IntN(4) {
		rest += []string{"s", "eu-west-1", "events", "data", "api", "p01", "v2", "query"}[m.r.IntN(8)] + "."
	}
	names := []string{}
	for range m.count() {
		id := fmt.Sprintf("%016x%016x%016x", m.r.Uint64(), m.r.Uint64(), m.r.Uint64())[:length]
		if uuid {
			id = fmt.Sprintf("%08x-%04x-4%03x-%04x-%012x", m.r.Uint32(), m.r.IntN(1<<16), m.r.IntN(1<<12), m.r.IntN(1<<16),
				m.r.Uint64()>>16)
		}
		names = append(names, id+"."+rest+zone)
	}
	return names
}

// changed is a pattern with other digits, and with other letters in labels that look like hexadecimal numbers or
// hashes.
func (m *maker) changed(pattern string, change bool) string {
	if !change {
		return pattern
	}
	const hex, all = "0123456789abcdef", "abcdefghijklmnopqrstuvwxyz0123456789"
	labels := strings.Split(pattern, ".")
	for i, label := range labels {
		digits := strings.ContainsAny(label, "0123456789")
		from := ""
		switch {
		case digits && len(label) >= 6 && strings.Trim(label, hex) == "":
			from = hex
		case digits && len(label) >= 20 && !strings.Contains(label, "-"):
			from = all
		}
		b := []byte(label)
		for k, c := range b {
			switch {
			case from != "":
				b[k] = from[m.r.IntN(len(from))]
			case '0' <= c && c <= '9':
				b[k] = byte('0' + m.r.IntN(10))
			}
		}
		labels[i] = string(b)
	}
	return strings.Join(labels, ".")
}

// window makes questions of names, and gives the numbers of their zone. What is no matter of names is drawn widely, so
// that it decides little.
func (m *maker) window(ctx context.Context, names []string, tunnel, identifiers bool) (x watch.Windows, err error) {
	repeat := math.Exp(m.r.Float64() * 3) // questions a name
	odd, nx := 0., 0.
	// Who asks for the texts of many names are services of reputation, which package detect does not score, and tunnels.
	if m.r.Float64() < .08 && !identifiers && len(names) <= 60 {
		odd = m.r.Float64()
	}
	if m.r.Float64() < .25 {
		nx = m.r.Float64()
	}
	size := 60 + m.r.Float64()*240
	if tunnel {
		repeat = 1 + m.r.Float64()
		size = 60 + m.r.Float64()*m.r.Float64()*1200
		if m.r.Float64() < .7 {
			odd = 1
		}
	}
	kind, code := events.Both, events.NoError
	if m.r.Float64() < .3 { // a log of questions alone
		kind, code, size, nx = events.Query, events.NoRCode, 0, 0
	}
	clients := 1
	if m.r.Float64() < .7 && !tunnel {
		clients += m.r.IntN(30)
	}
	queries := []events.Event{}
	for _, name := range names {
		k := 1 + int(m.r.ExpFloat64()*(repeat-1))
		for range k {
			e := events.Event{Name: []byte(name), Kind: kind, Type: 1, RCode: code, Size: int(size),
				Time: day, Client: events.Peer{Addr: netip.AddrFrom4([4]byte{192, 0, 2, byte(m.r.IntN(clients))})}}
			if m.r.Float64() < odd {
				e.Type = 16
			}
			if m.r.Float64() < nx {
				e.RCode, e.Size = events.NXDomain, 0
			}
			queries = append(queries, e)
		}
	}
	return watch.Measure(ctx, m.p, m.t, queries, tunnel && m.r.Float64() < unknown)
}
