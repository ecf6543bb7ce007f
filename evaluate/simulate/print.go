package simulate

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"text/tabwriter"
	"time"

	"github.com/degas-dns/degas/internal/printable"
)

// Print writes the tables for a person.
func Print(out io.Writer, r *Result) error {
	w := tabwriter.NewWriter(out, 2, 0, 2, ' ', 0)
	printable.Fprintf(w, "CLEAN CLIENTS\tDOMAINS EACH\tA\tLOOK-UPS\tPROMISED AT MOST\tFALSE ALARMS\t95 %%\tPROMISE\n")
	for _, c := range r.Clean {
		printable.Fprintf(w, "%s\t%d\t%.0e\t%s\t%.1f\t%d\t%.1f to %.1f\t%s\n", c.Spread, c.Pairs, c.Level,
			printable.Grouped(int(c.Observations)), c.Promised, c.Alarms, c.Low, c.High, c.Verdict())
	}
	printable.Fprintf(w, "\nINFECTED CLIENTS\tSHARE\tA NAME EVERY\tFOUND\tNAMES\t95 %%\tNXDOMAINS\t95 %%"+
		"\tMINUTES\t95 %%\n")
	for _, f := range r.Infected {
		printable.Fprintf(w, "%s\t%g %%\t%s\t%d of %d\t%s\t%s\t%s\t%s\t%s\t%s\n", f.Name, 100*f.Share, Short(f.Gap), f.Found,
			f.Clients, Count(f.Names.Median), Count(f.Names.P95), Count(f.NX.Median), Count(f.NX.P95), Count(f.Minutes.Median),
			Count(f.Minutes.P95))
	}
	if len(r.Tunnels) > 0 {
		printable.Fprintf(w, "\nTUNNEL\tTYPE\tA NAME EVERY\tFOUND\tIN\tNAMES\tBYTES OUT\n")
	}
	for _, t := range r.Tunnels {
		printable.Fprintf(w, "%s\t%s\t%s\t%d of %d\t%s\t%s\t%s\n", t.Title(), t.Type, Short(t.Gap), t.Found, t.Sessions,
			Short(t.Time), Count(float64(t.Names)), Count(float64(t.Bytes)))
	}
	printable.Fprintf(w, "\nA\tthe mean number of look-ups between two false alarms is promised to be at least A\n")
	printable.Fprintf(w, "SHARE\tof a client's look-ups that do not exist, the malware's\n")
	printable.Fprintf(w,
		"NAMES\tof the malware until half of the clients were found, and until 95 %% were; -: they were not\n")
	return w.Flush()
}

// Verdict says in words whether the promise was kept.
func (c *Clean) Verdict() string {
	switch {
	case c.Broken():
		return "BROKEN"
	case c.Shown():
		return "kept"
	}
	return "not contradicted"
}

// Title is the tool with its variant.
func (t *Tunnel) Title() string {
	if t.Variant == "" {
		return t.Tool
	}
	return t.Tool + " " + t.Variant
}

// Count is a number of a table, "-" for none.
func Count(x float64) string {
	switch {
	case x == 0:
		return "-"
	case x < 10 && x != float64(int(x)):
		return fmt.Sprintf("%.1f", x)
	}
	return printable.Grouped(int(x + .5))
}

// Short is a time in its largest unit, "-" for none.
func Short(d time.Duration) string {
	switch {
	case d == 0:
		return "-"
	case d < time.Minute:
		return fmt.Sprintf("%.2g s", d.Seconds())
	case d < 2*time.Hour:
		return fmt.Sprintf("%.0f min", d.Minutes())
	}
	return fmt.Sprintf("%.1f h", d.Hours())
}

// Cell are the families of one share and rate, those first that are found first.
func (r *Result) Cell(share float64, gap time.Duration) (out []Family) {
	for _, f := range r.Infected {
		if f.Share == share && f.Gap == gap {
			out = append(out, f)
		}
	}
	slices.SortFunc(out, func(a, b Family) int {
		late := func(f Family) float64 { return cmp.Or(f.Names.Median, 1e9-float64(f.Found)) }
		return cmp.Or(cmp.Compare(late(a), late(b)), cmp.Compare(a.Name, b.Name))
	})
	return out
}
