package main

import (
	"bytes"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/degas-dns/degas/evaluate/simulate"
	"github.com/degas-dns/degas/internal/atomicfile"
	"github.com/degas-dns/degas/internal/printable"
)

// page writes RESULTS-WATCH.md and its pictures of the results that there are.
func (b *bench) page() error {
	var text bytes.Buffer
	w := writer{&text}
	text.WriteString(head + "\n") // as it is: Fprintf escapes the ends of its lines
	var r simulate.Result
	var f simulate.FloodResult
	var s []session
	for _, part := range []struct {
		name  string
		out   any
		write func() error
	}{
		{"simulate", &r, func() error { return b.simulated(&w, &r) }},
		{"flood", &f, func() error { return b.flooded(&w, &f) }},
		{"captures", &s, func() error { w.captured(s); return nil }},
	} {
		ok, err := b.read(part.name, part.out)
		if err == nil && ok {
			err = part.write()
		} else if err == nil {
			w.line("\nThe part `%s` of `scripts/bench-watch` has not been measured yet.", part.name)
		}
		if err != nil {
			return err
		}
	}
	text.WriteString(open + "\n")
	return atomicfile.Write(filepath.Join(b.out, "RESULTS-WATCH.md"), text.Bytes())
}

const head = `# How soon degas finds infected clients and tunnels, and how often it is wrong

"scripts/bench-watch DIR" measures the numbers on this page with the built-in model, and writes the page. DIR is a data
set of process-data. The code is in evaluate/simulate. The numbers come out of the code that "degas watch" and "degas
scan" run: it is told of simulated events.`

// open is what the measurements do not say.
const open = `
## What these numbers do not show

- Clean clients draw registered domains that exist from the test split, at random. Real clients ask for misspelt names,
  and for names of their own programs, again and again. Measure your own network with ` + "`degas scan --learn`" + `.
- The promise is about 99 % of the clients: the tables allow for a client that asks 6.7 times more often than others for
  ordinary domains that look generated. One client in a hundred differs more. Given many look-ups, it raises alarms.
- The tables of evidence were made of the same benign names and of the same DGA families, with other seeds and days.
  So the false alarms are those of a network whose names look like the data set's.
- The tunnels of the simulation are encoders of the project: they follow the tools' code, and carry random sessions.`

type writer struct{ out *bytes.Buffer }

func (w *writer) line(format string, args ...any) { printable.Fprintf(w.out, format+"\n", args...) }

// row writes a row of a table.
func (w *writer) row(cells ...string) { w.line("%s", "| "+strings.Join(cells, " | ")+" |") }

// table begins a table, whose columns but the first are numbers.
func (w *writer) table(heads ...string) {
	w.line("")
	w.row(heads...)
	rule := make([]string, len(heads))
	for i := range rule {
		rule[i] = map[bool]string{true: "---", false: "---:"}[i == 0]
	}
	w.line("|%s|", strings.Join(rule, "|"))
}

func (b *bench) simulated(w *writer, r *simulate.Result) error {
	w.line(`
## Clean clients: false alarms against the promise

The live watch promises that the mean number of look-ups between two false alarms is at least A. A look-up is a client
and a registered domain that it asks for the first time in a day and that does not exist. Clients draw from %s benign
domains of the test split, of which %.1f %% score as generated names rather do. *Pooled* clients are alike.
*Overdispersed* clients differ: each asks for such domains more or less often by a factor drawn from Gamma(1/2, 2). The
interval is the exact 95 %% interval of a Poisson mean. "Not contradicted" says that chance explains the alarms, but
that the interval is too wide to show the promise.`, printable.Grouped(r.Domains), 100*r.Tail)
	w.table("clients", "domains each", "A", "look-ups", "promised at most", "false alarms", "95 %", "promise")
	for _, c := range r.Clean {
		w.row(c.Spread, fmt.Sprint(c.Pairs), fmt.Sprintf("%.0e", c.Level), printable.Grouped(int(c.Observations)),
			fmt.Sprintf("%.1f", c.Promised), printable.Grouped(c.Alarms), fmt.Sprintf("%.1f to %.1f", c.Low, c.High),
			c.Verdict())
	}
	w.line("\n![False alarms as a share of the promise](watch-clean.png)")
	w.line("\nFiles are judged as a whole. These are days of clean clients, each read as a file:")
	w.table("clients", "clients a day", "days", "findings allowed a day", "findings", "95 %")
	for _, c := range r.Batch {
		w.row(c.Spread, printable.Grouped(c.Clients), fmt.Sprint(c.Days), fmt.Sprintf("%g", c.FalseAlarms/2),
			fmt.Sprint(c.Found), fmt.Sprintf("%.1f to %.1f", c.Low, c.High))
	}
	w.infected(r)
	w.tunnels(r)
	if err := drawClean(r, filepath.Join(b.out, "watch-clean.png")); err != nil {
		return err
	}
	return drawFamilies(r, filepath.Join(b.out, "watch-families.png"))
}

func (w *writer) infected(r *simulate.Result) {
	w.line(`
## Clients with malware: names until they are found

Each client asks for names of one family among its ordinary look-ups, with A = 10^6. The *share* is the malware's part
of the client's look-ups that do not exist. Families of datasets/synth have seeds and days that no training had.
Families marked * are the data set's: their names are of the test split. The table has the median client and, in
brackets, what 95 %% of clients are within. "-" means that so many clients were not found before the family's names or
24 hours were over. *Domains* is how many different ones the simulated streams have: some families ask for one a day.
*NX* are all the client's look-ups that do not exist. Overdispersed clean clients ran among the infected ones. In up to
2,000 look-ups each, they raised %d alarms in %s look-ups, where A promises %.1f at most. At a share of 10 %%, the
median client is found within ten names for %d of %d families. Two limits of the evidence explain most of it: one name
counts for at most 60, and clean clients are taken to ask for 6.7 times as many names that look generated.`,
		r.FalseClients, printable.Grouped(int(r.CleanLookups)), float64(r.CleanLookups)/1e6, within(r, 10),
		len(r.Cell(.1, time.Minute)))
	heads := []string{"family", "domains"}
	for _, share := range shares {
		heads = append(heads, fmt.Sprintf("names at %g %%", 100*share))
	}
	w.table(append(heads, "NX at 100 %", "NX at 10 %", "minutes at 10 %, a name a second", "a minute", "ten minutes")...)
	for _, f := range r.Cell(.1, time.Minute) {
		name := f.Name
		if f.Of == "data" {
			name += " *"
		}
		cells := []string{name, simulate.Count(f.Domains)}
		for _, share := range shares {
			cells = append(cells, both(find(r, f.Name, share, time.Minute).Names))
		}
		cells = append(cells, both(find(r, f.Name, 1, time.Minute).NX), both(f.NX))
		for _, gap := range []time.Duration{time.Second, time.Minute, 10 * time.Minute} {
			cells = append(cells, simulate.Count(find(r, f.Name, .1, gap).Minutes.Median))
		}
		w.row(cells...)
	}
	w.line("\n![Share of families found](watch-families.png)")
}

// within is how many families have a median client that is found with so many names, at a share of 10 %.
func within(r *simulate.Result, names float64) (n int) {
	for _, f := range r.Cell(.1, time.Minute) {
		if m := f.Names.Median; m > 0 && m <= names {
			n++
		}
	}
	return n
}

// shares of the malware among a client's look-ups that do not exist.
var shares = []float64{1, .3, .1, .03}

func find(r *simulate.Result, family string, share float64, gap time.Duration) (f simulate.Family) {
	for _, f := range r.Infected {
		if f.Name == family && f.Share == share && f.Gap == gap {
			return f
		}
	}
	return f
}

func both(q simulate.Quantiles) string {
	return fmt.Sprintf("%s (%s)", simulate.Count(q.Median), simulate.Count(q.P95))
}

func (w *writer) tunnels(r *simulate.Result) {
	w.line(`
## Tunnels: time and bytes until they are found

Every tunnel encoder of datasets/synth, %d sessions each, runs over benign traffic below other domains. Tunnels that ask
for A have nothing but their names against them; real tools ask for TXT, NULL and the like. The watch is told the time
every second, and every minute where a name a minute or less is asked for. *Bytes* are the letters before the tunnel's
domain, which is more than the payload. The middle session is shown. "-" means that less than half of the sessions were
found: within 10 minutes at ten names a second, 2 hours at a name a second, else 49 hours. In %.0f days of
benign traffic, %d other domains were called tunnels.`, most(r), r.TunnelTraffic, len(r.FalseTunnels))
	heads := []string{"tool", "type"}
	gaps := []time.Duration{100 * time.Millisecond, time.Second, time.Minute, 10 * time.Minute}
	for _, gap := range gaps {
		heads = append(heads, "a name every "+simulate.Short(gap))
	}
	w.table(heads...)
	rows := map[string][]string{}
	var order []string
	for _, gap := range gaps {
		for _, t := range r.Tunnels {
			if t.Gap != gap {
				continue
			}
			key := t.Title() + " | " + t.Type
			if rows[key] == nil {
				order = append(order, key)
			}
			cell := "-"
			if t.Time > 0 {
				cell = fmt.Sprintf("%s, %s bytes", simulate.Short(t.Time), simulate.Count(float64(t.Bytes)))
			}
			rows[key] = append(rows[key], cell)
		}
	}
	slices.Sort(order)
	for _, key := range order {
		w.row(append([]string{key}, rows[key]...)...)
	}
}

func most(r *simulate.Result) (n int) {
	for _, t := range r.Tunnels {
		n = max(n, t.Sessions)
	}
	return n
}

func (b *bench) flooded(w *writer, f *simulate.FloodResult) error {
	below, above := f.Flat()
	last := f.Samples[len(f.Samples)-1]
	w.line(`
## Memory: %s domains that are asked for once

%s clients ask for %s domains, each once, in %s of simulated time. A tunnel (iodine) asks for a name a minute
from the start, another for ten a second from the middle on. In the second half, the heap after garbage collection stays
between %+.1f %% and %+.1f %% of its mean. At the end it has %d MB, and the process %d MB. The fast tunnel was found
after %s, the slow one after %s ("-": it was not). %d other domains and %d clients were found.

![Memory](watch-memory.png)`, printable.Grouped(f.Domains), printable.Grouped(f.Clients), printable.Grouped(f.Domains),
		simulate.Short(f.Time), 100*below, 100*above, last.Heap>>20, last.RSS>>20, simulate.Short(f.Fast),
		simulate.Short(f.Slow), f.FalseTunnels, f.FalseClients)
	return drawMemory(f, filepath.Join(b.out, "watch-memory.png"))
}

func (w *writer) captured(all []session) {
	w.line(`
## Real tools

The script runs the tools in network namespaces, records their traffic, and lets the live watch read it. *Bulk* sends a
KB 20 times a second for 20 seconds, *slow* one in 5 seconds for a minute, *idle* nothing. *Bytes out* are the letters
before the domain until it was found.`)
	w.table("session", "events", "lasts", "found", "seconds", "questions", "bytes out", "other findings")
	for _, s := range all {
		found := s.Found
		if found == "" {
			found = "not found"
		}
		w.row(s.Name, printable.Grouped(s.Events), fmt.Sprintf("%.0f s", s.Lasts), found, fmt.Sprintf("%.1f", s.Seconds),
			printable.Grouped(s.Names), printable.Grouped(int(s.BytesOut)), fmt.Sprint(s.Others))
	}
}
