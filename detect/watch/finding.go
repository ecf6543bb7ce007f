package watch

import (
	"cmp"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/degas-dns/degas/detect"
	"github.com/degas-dns/degas/internal/printable"
)

// Kinds of findings.
const (
	Tunnel    = "tunnel"     // a domain whose names carry data
	DGAClient = "dga-client" // a client that runs malware with a domain-generation algorithm
	List      = "list"       // an entry of the block list that was asked for
)

// Finding is something to look into.
type Finding struct {
	// Kind is Tunnel, DGAClient or List.
	Kind string `json:"kind"`
	// Domain is the tunnel's, or the block list's entry. It is "" for a client, and for a tunnel whose names have no
	// domain in common: Client and Server tell such a one.
	Domain string `json:"domain,omitempty"`
	// Client is the only one that asked, or one of them.
	Client string `json:"client,omitempty"`
	Server string `json:"server,omitempty"`
	// Clients are some of those that asked for a domain, at most 5; MoreClients is how many others are known of.
	Clients     []string `json:"clients,omitempty"`
	MoreClients int      `json:"more_clients,omitempty"`
	// First and Last are when it was asked for, zero if no event says.
	First time.Time `json:"first,omitzero"`
	Last  time.Time `json:"last,omitzero"`
	// Names is how many different names carried it, of which above 255 are estimated to 6 %; of a client, different
	// registered domains. Events counts questions.
	Names  int   `json:"names"`
	Events int64 `json:"events"`
	// Evidence is the decimal logarithm of how much likelier the traffic is if the finding is true: of the e-value of a
	// client, of 1/p of a domain. A list has none.
	Evidence float64 `json:"evidence"`
	// FalseAlarms is how many findings as strong as this one are expected a day where nothing is wrong.
	FalseAlarms float64 `json:"false_alarms_per_day"`
	// BytesOut is how much a tunnel sent in names, BytesIn how much in answers.
	BytesOut int64 `json:"bytes_out,omitempty"`
	BytesIn  int64 `json:"bytes_in,omitempty"`
	// NXDomain is how many of a tunnel's questions were answered so, and Answered how many otherwise.
	NXDomain int64 `json:"nxdomain,omitempty"`
	Answered int64 `json:"answered,omitempty"`
	// Reason says in words what speaks for it, and Next what to look at.
	Reason string `json:"reason"`
	Next   string `json:"next"`
	// Examples are names, or domains that a client asked for.
	Examples []string `json:"examples"`
	// SharedWith are clients with the same generated domains, at most 5, and MoreShared is how many others there are:
	// probably the same malware.
	SharedWith []string `json:"shared_with,omitempty"`
	MoreShared int      `json:"more_shared,omitempty"`
	// Timeline counts events.
	Timeline Timeline `json:"timeline,omitzero"`
}

// Timeline counts events in buckets of time.
type Timeline struct {
	// Start is when the first bucket begins, and Seconds is how long each is.
	Start   time.Time `json:"start"`
	Seconds int64     `json:"seconds"`
	Counts  []uint32  `json:"counts"`
}

// Subject is what a finding is about, in a few words.
func (f *Finding) Subject() string {
	switch {
	case f.Kind == DGAClient:
		return f.Client
	case f.Domain != "":
		return f.Domain
	}
	return fmt.Sprintf("%s to %s", cmp.Or(f.Client, "unknown clients"), cmp.Or(f.Server, "an unknown server"))
}

// Alarms says how many findings as strong as this one are expected a day where nothing is wrong.
func (f *Finding) Alarms() string {
	switch {
	case f.Kind == List:
		return "-"
	case f.FalseAlarms < 1e-9:
		return "under 10^-9"
	case f.FalseAlarms < .01:
		return fmt.Sprintf("10^%.0f", math.Ceil(math.Log10(f.FalseAlarms)))
	}
	return fmt.Sprintf("%.2f", f.FalseAlarms)
}

// worse orders findings: tunnels and clients by their evidence, then lists by their events.
func worse(a, b Finding) int {
	return cmp.Or(cmp.Compare(rank(b), rank(a)), cmp.Compare(b.Evidence, a.Evidence), cmp.Compare(b.Events, a.Events),
		cmp.Compare(a.Subject(), b.Subject()))
}

func rank(f Finding) int {
	if f.Kind == List {
		return 0
	}
	return 1
}

// about is what is known of names and of who asked for them.
func (w *Watch) about(n *names) Finding {
	f := Finding{Events: n.Queries, Names: min(int(math.Round(n.Sample.size(mostNames))), int(n.Queries)),
		Examples: n.Examples.texts(),
		Timeline: n.Line.public(), First: when(n.First), Last: when(n.Last)}
	for _, c := range n.Clients.texts() {
		if !w.forwards(c, n.Queries) {
			f.Clients = append(f.Clients, c)
		}
	}
	f.MoreClients = max(len(n.Askers.Hashes)-mostExamples, 0)
	if len(f.Clients) > 0 {
		f.Client = f.Clients[0]
	}
	return f
}

// zoneFinding says what is known of a tunnel.
func (w *Watch) zoneFinding(z zone, s *suspectZone) Finding {
	n := s.total
	if n == nil {
		n = s.best
	}
	x := s.best.measure(float64(2 * scales[s.scale].half))
	f := w.about(n)
	f.Kind, f.Domain, f.Client, f.Server = Tunnel, z.Domain, cmp.Or(z.Client, f.Client), z.Server
	f.Evidence, f.BytesIn, f.BytesOut = -math.Log10(s.p), n.Bytes, int64(math.Expm1(n.measure(1)[bytesMeasure]))
	f.NXDomain, f.Answered = n.NX, max(n.Answers-n.NX, 0)
	if z.Domain == "" {
		f.Domain = commonZone(f.Examples)
	}
	f.Reason = tunnelReason(f, x)
	f.Next = "Ask who runs " + f.Domain + " and what software on the clients asks for it. Look at the names' " +
		"first labels, at who answers for the domain, and at what the clients sent at these times. Block the domain. If it " +
		"is known, put *." + f.Domain + " on the allow list."
	if f.Domain == "" {
		f.Next = "Find the program on the client that asks this server. Names without a domain reach only a server that is " +
			"asked directly: block DNS to servers that are not yours."
	}
	return f
}

// tunnelReason puts the measures that speak for a tunnel into words.
func tunnelReason(f Finding, x [measures]float64) string {
	words := []string{
		fmt.Sprintf("%s different names in %s questions", printable.Grouped(f.Names), printable.Grouped(int(f.Events))),
		fmt.Sprintf("about %s bytes of information in them", printable.Grouped(int(f.BytesOut))),
	}
	if x[oddsMeasure] > 0 {
		words = append(words, "most of them look like a tunnel's")
	}
	if x[oddMeasure] >= .3 {
		words = append(words, fmt.Sprintf("%.0f %% ask for types that carry data", 100*x[oddMeasure]))
	}
	if len(f.Clients) == 1 {
		words = append(words, "one client")
	}
	words = append(words, fmt.Sprintf("%.0f bytes each on average", math.Expm1(x[lengthMeasure])))
	if f.Domain == "" {
		words = append(words, "the names end in no known top-level domain")
	}
	return strings.Join(words, "; ")
}

// clientFinding says what is known of a client that runs a DGA. n is how many domains counted.
func clientFinding(client string, a *asks, n int, evidence float64) Finding {
	f := Finding{Kind: DGAClient, Client: client, Names: n, Events: a.NX, Evidence: evidence,
		Examples: a.Examples.texts(), Timeline: a.Line.public(), First: when(a.First), Last: when(a.Last)}
	what := "asked for the first time, and it is not known whether they exist"
	if a.Answered {
		what = "that do not exist"
	} else {
		f.Events = a.All
	}
	high := 0
	for _, v := range a.Sample.Values {
		if a.counts(v) && v&askBin >= firstBin {
			high++
		}
	}
	f.Reason = fmt.Sprintf("%s registered domains %s; %s of them look generated; that is 10^%.1f times likelier "+
		"for a client with malware than for a clean one", printable.Grouped(n), what, printable.Grouped(high), evidence)
	f.Next = "Find the program on the client that asks for these names, with the client's own log of processes or " +
		"with its connections at these times. Look for generated domains that do exist: they are the malware's servers."
	return f
}

// related notes in each client's finding which others have at least five domains in common.
func related(found []Finding, of func(client string) *asks) []Finding {
	const common = 5
	for i := range found {
		mine := of(found[i].Client)
		for j := range found {
			if i == j {
				continue
			}
			n := 0
			for _, h := range of(found[j].Client).Sample.Hashes {
				if mine.Sample.has(h) {
					n++
				}
			}
			if n < common {
				continue
			}
			if len(found[i].SharedWith) < mostExamples {
				found[i].SharedWith = append(found[i].SharedWith, found[j].Client)
			} else {
				found[i].MoreShared++
			}
		}
	}
	return found
}

// listFinding says who asked for an entry of the block list.
func (w *Watch) listFinding(entry string, n *names) Finding {
	f := w.about(n)
	f.Kind, f.Domain = List, entry
	f.Reason = fmt.Sprintf("on your block list: %s questions, %s different names", printable.Grouped(int(f.Events)),
		printable.Grouped(f.Names))
	f.Next = "Look at what your list says of the entry, and at the clients that asked."
	return f
}

func (t *timeline) public() Timeline {
	if len(t.Count) == 0 || t.Start == 0 {
		return Timeline{}
	}
	return Timeline{time.Unix(t.Start, 0).UTC(), t.Width, t.Count}
}

// when is a time in nanoseconds since 1970, the zero time if it is none.
func when(ns int64) time.Time {
	if ns == math.MaxInt64 || ns == math.MinInt64 {
		return time.Time{}
	}
	return time.Unix(0, ns).UTC()
}

// Allows reports whether a Policy's allow list holds the finding's domain, or all that a block list's entry is of: what
// a list says at the time of a report counts, also if it did not say so when the events came.
func (f *Finding) Allows(p *detect.Policy) bool { return f.Domain != "" && p.Allows([]byte(f.Domain)) }
