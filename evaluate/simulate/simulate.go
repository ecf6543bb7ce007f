// Package simulate measures what package detect/watch promises, by simulation: how often clean clients raise an alarm,
// how many names of a DGA it takes until a client is found, how long a tunnel runs until its domain is, and how much
// memory a flood of domains takes. Every number comes out of a real [watch.Watch] that is told of simulated events.
//
//	clean.go     clean clients against the promise
//	families.go  infected clients, by DGA family, share and rate
//	tunnels.go   tunnels, by tool and rate
//	flood.go     memory, while very many domains are asked for once
//	print.go     tables for people
//
// What the simulation cannot show: it draws the names of clean clients from a list of names that exist, and a client's
// look-ups do not depend on each other. Real clients ask for misspelt names and for names of their own programs.
package simulate

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/degas-dns/degas/detect"
	"github.com/degas-dns/degas/detect/watch"
)

// Options of Run.
type Options struct {
	// Policy scores names. It has no lists.
	Policy *detect.Policy
	// Tables turn its scores into evidence.
	Tables *watch.Tables
	// Benign are names that the model was not trained on, and clean clients ask for.
	Benign []string
	// Families are names of DGA families that datasets/synth does not have.
	Families map[string][]string
	// Clients is how many clean clients there are, Pairs how many domains each asks for. Repeat is how many clients are
	// infected with each family. 0 are the defaults: 10,000, 100 and 50.
	Clients, Pairs, Repeat int
	Seed                   uint64
	// Progress, if not nil, is told what is done.
	Progress func(what string)
}

// Result is what Run measured.
type Result struct {
	Format int    `json:"format"` // 1
	Model  string `json:"model"`  // SHA-256 of the weights
	// Domains is how many benign registered domains were drawn from, Hosts how many names for traffic below domains.
	Domains int `json:"domains"`
	Hosts   int `json:"hosts"`
	// Tail is the share of benign domains that speak for a DGA.
	Tail     float64  `json:"tail"`
	Clean    []Clean  `json:"clean"`
	Batch    []Batch  `json:"batch"`
	Infected []Family `json:"infected"`
	Tunnels  []Tunnel `json:"tunnels,omitempty"`
	// TunnelTraffic is how many days of benign traffic the tunnels ran in, FalseTunnels what was found in it besides.
	TunnelTraffic float64  `json:"tunnel_traffic_days"`
	FalseTunnels  []string `json:"false_tunnels"`
	// FalseClients is how often clean clients were found among the infected ones, in CleanLookups.
	FalseClients int     `json:"false_clients"`
	CleanLookups int64   `json:"clean_lookups"`
	Seconds      float64 `json:"seconds"`
}

// format is Result.Format.
const format = 1

// day is when the simulated events are. No training has names of families for it.
var day = time.Date(2027, 3, 1, 0, 0, 0, 0, time.UTC)

// generated is the first seed of generated names. No training has it.
const generated = 90001

// host is a benign name and what the Policy decided about it.
type host struct {
	name     string
	decision detect.Decision
}

// simulation is a call of Run.
type simulation struct {
	o      Options
	r      *rand.Rand
	body   []host // registered domains whose scores speak against a DGA
	tail   []host // and those whose scores speak for one
	hosts  []host // whole names below domains
	result *Result
}

// Run measures.
func Run(ctx context.Context, o Options) (*Result, error) {
	began := time.Now()
	for _, n := range []struct {
		at       *int
		standard int
	}{{&o.Clients, 10000}, {&o.Pairs, 100}, {&o.Repeat, 50}} {
		if *n.at == 0 {
			*n.at = n.standard
		}
	}
	s, err := prepare(ctx, o)
	if err != nil {
		return nil, err
	}
	if err := s.clean(ctx); err != nil {
		return nil, err
	}
	if err := s.infected(ctx); err != nil {
		return nil, err
	}
	if err := s.tunnels(ctx); err != nil {
		return nil, err
	}
	s.result.Seconds = time.Since(began).Seconds()
	return s.result, nil
}

// fewest is how many benign domains a simulation needs.
const fewest = 200

// prepare decides about all benign names, once.
func prepare(ctx context.Context, o Options) (*simulation, error) {
	s := &simulation{o: o, r: newRand(o.Seed),
		result: &Result{Format: format, Model: o.Tables.Model, FalseTunnels: []string{}}}
	seen := map[string]bool{}
	var domains, hosts []string
	for _, name := range o.Benign {
		domain, cloud := detect.Zone(name)
		if !cloud && !seen[domain] {
			seen[domain] = true
			domains = append(domains, domain)
		}
		if !cloud && len(name) > len(domain) && len(hosts) < mostHosts {
			hosts = append(hosts, name)
		}
	}
	all, err := decide(ctx, o.Policy, domains)
	if err != nil {
		return nil, err
	}
	for _, h := range all {
		if h.decision.Rule != detect.Score {
			continue
		}
		if b := binOf(h.decision.DGA); o.Tables.Generated[b] > o.Tables.Clean[b] {
			s.tail = append(s.tail, h)
		} else {
			s.body = append(s.body, h)
		}
	}
	if s.hosts, err = decide(ctx, o.Policy, hosts); err != nil {
		return nil, err
	}
	n := len(s.tail) + len(s.body)
	if n < fewest || len(s.body) == 0 {
		return nil, fmt.Errorf("simulate clients: %d benign domains that score low, and at least %d are needed. Try: a data "+
			"set with more benign names in its test split", len(s.body), fewest)
	}
	s.result.Domains, s.result.Hosts, s.result.Tail = n, len(s.hosts), float64(len(s.tail))/float64(n)
	s.progress("scores of benign names")
	return s, nil
}

// mostHosts bounds the names below domains: the same ones may come again.
const mostHosts = 20000

// decide decides about names.
func decide(ctx context.Context, p *detect.Policy, names []string) ([]host, error) {
	decisions := make([]detect.Decision, len(names))
	if err := p.DecideAll(ctx, names, decisions); err != nil {
		return nil, err
	}
	out := make([]host, len(names))
	for i := range names {
		out[i] = host{names[i], decisions[i]}
	}
	return out, nil
}

// binOf is the bin of Tables that a score lies in.
func binOf(score float64) int {
	for b, share := range watch.Bins([]float64{score}) {
		if share > 0 {
			return b
		}
	}
	return 0
}

func (s *simulation) progress(what string) {
	if s.o.Progress != nil {
		s.o.Progress(what)
	}
}

// draw is a domain that a clean client asks for. m is how many times more often than others it asks for ordinary names
// that look generated.
func (s *simulation) draw(m float64) *host {
	if len(s.tail) > 0 && s.r.Float64() < min(m*s.result.Tail, 1) {
		return &s.tail[s.r.IntN(len(s.tail))]
	}
	return &s.body[s.r.IntN(len(s.body))]
}

// multiplier is drawn from Gamma(1/2, 2), the square of a normal number, with a mean of 1.
func (s *simulation) multiplier() float64 {
	x := s.r.NormFloat64()
	return x * x
}
