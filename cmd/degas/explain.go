package main

import (
	"cmp"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"math"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/degas-dns/degas/detect"
	"github.com/degas-dns/degas/detect/lists"
	"github.com/degas-dns/degas/detect/rules"
	"github.com/degas-dns/degas/internal/printable"
	"github.com/degas-dns/degas/model"
	"github.com/degas-dns/degas/model/versions"
)

func (c *command) explain() *cli.Command {
	return &cli.Command{
		Name:      "explain",
		Usage:     "say how a decision about names comes about",
		ArgsUsage: "NAME…",
		Description: "For each name: the decision, and what each rule says, in the order in which the rules are asked.\n" +
			"The first rule that has an answer decides: the allow list, the block list, names that are never scored,\n" +
			"the score against the threshold. What other detectors say of the name stands below; it decides nothing.\n\n" +
			"A DGA is judged on the registered domain, a tunnel on the whole name. Below a zone of dynamic DNS, such as\n" +
			"duckdns.org, the label before the zone is the registered one; below a cloud's, such as github.io, it is not.\n\n" +
			"Example: degas explain www.xjpakmdcfuqe.biz 2.0.0.127.zen.dnsbl.example",
		Flags:  append(policyFlags(), jsonFlag),
		Action: action(1, -1, c.explainAction),
	}
}

// policyFlags are the flags of commands that decide about names.
func policyFlags() []cli.Flag {
	return append([]cli.Flag{
		&cli.StringFlag{Name: "model", Value: model.BuiltinName,
			Usage: "`MODEL`: a run, a version, a folder of versions, or builtin"},
	}, listFlags()...)
}

// listFlags are policyFlags for a command whose model is an argument.
func listFlags() []cli.Flag {
	return []cli.Flag{
		&cli.Float64Flag{Name: "threshold", Usage: "the `SCORE` from which a name is malicious",
			DefaultText: "the model's own"},
		&cli.StringSliceFlag{Name: "allow", Usage: "`LIST` of names that pass: a file, a folder or a URL"},
		&cli.StringSliceFlag{Name: "block", Usage: "`LIST` of names that are blocked; an allow entry wins"},
		&cli.StringFlag{Name: "popular", Usage: "`LIST` of popular names by rank: these domains are not generated"},
		&cli.IntFlag{Name: "popular-top", Usage: "the first `N` of --popular count", Value: lists.DefaultTop},
		&cli.BoolFlag{Name: "broad", Usage: "apply entries of lists that are of whole public suffixes, such as *.com"},
	}
}

// judge is what policyFlags ask for.
type judge struct {
	policy *detect.Policy
	model  *model.Model
	lists  *lists.Set
	// newest follows the model's versions, and version is the one that policy asks.
	newest  *versions.Newest
	version *versions.Version
}

// policy makes the Policy that policyFlags ask for.
func policy(ctx *cli.Context) (*detect.Policy, error) {
	j, err := newJudge(ctx)
	return j.policy, err
}

func newJudge(ctx *cli.Context) (j judge, err error) {
	if j.newest, j.version, err = versions.Open(ctx.String("model"), brokenVersion); err != nil {
		return j, err
	}
	j.model = j.version.Classifier.Model()
	var o detect.Options
	if o, j.lists, err = policyOptions(ctx); err != nil {
		return j, err
	}
	o.Classifier = j.version.Classifier
	o.AllowList, o.BlockList, o.Popular = j.lists.Lists()
	j.policy, err = detect.New(o)
	return j, err
}

// brokenVersion logs that a newer version of a model cannot be loaded.
func brokenVersion(err error) {
	slog.Warn("a version of the model cannot be loaded, and the one before it goes on", "error", err)
}

// policyOptions are what policyFlags say besides the model, and the lists.
func policyOptions(ctx *cli.Context) (o detect.Options, set *lists.Set, err error) {
	o = detect.Options{Threshold: ctx.Float64("threshold"), Action: detect.Report}
	if ctx.IsSet("threshold") && o.Threshold == 0 {
		return o, nil, usagef("--threshold 0: every name would be malicious. Try: a number above 0, at most 1")
	}
	if o.Threshold < 0 || o.Threshold > 1 || math.IsNaN(o.Threshold) {
		return o, nil, usagef("--threshold %v: must be between 0 and 1", o.Threshold)
	}
	top := ctx.Int("popular-top")
	switch {
	case top <= 0:
		return o, nil, usagef("--popular-top %d: must be above 0", top)
	case ctx.IsSet("popular-top") && !ctx.IsSet("popular"):
		return o, nil, usagef("--popular-top: of which list? Try: --popular FILE")
	}
	set, err = lists.Open(ctx.Context, lists.Options{Allow: ctx.StringSlice("allow"), Block: ctx.StringSlice("block"),
		Popular: ctx.String("popular"), PopularTop: top, Broad: ctx.Bool("broad"), Log: slog.Default()})
	return o, set, err
}

// explained is the answer for one name, for --json.
type explained struct {
	Name        string             `json:"name"`
	Verdict     string             `json:"verdict"`
	Action      string             `json:"action"`
	Rule        string             `json:"rule"`
	Class       string             `json:"class"`
	Reason      string             `json:"reason"`
	Entry       string             `json:"entry,omitempty"`
	List        string             `json:"list,omitempty"`
	Score       *float64           `json:"score,omitempty"`
	ScoreOf     string             `json:"score_of,omitempty"`
	Threshold   float64            `json:"threshold"`
	Domain      string             `json:"registered_domain,omitempty"`
	Invalid     string             `json:"invalid,omitempty"`
	NeverScored string             `json:"never_scored,omitempty"`
	Allow       []listEntry        `json:"allow,omitempty"`
	Block       []listEntry        `json:"block,omitempty"`
	Whole       map[string]float32 `json:"whole_name,omitempty"`
	OfDomain    map[string]float32 `json:"of_registered_domain,omitempty"`
	Without     without            `json:"without"`
	Others      []otherAnswer      `json:"others"`
}

// listEntry is an entry that a name matches.
type listEntry struct {
	Entry string `json:"entry"`
	List  string `json:"list"`
}

// without is the decision without the entry or the rule that decided.
type without struct {
	Verdict string   `json:"verdict"`
	Action  string   `json:"action"`
	Rule    string   `json:"rule"`
	Class   string   `json:"class"`
	Reason  string   `json:"reason,omitempty"`
	Entry   string   `json:"entry,omitempty"`
	List    string   `json:"list,omitempty"`
	Score   *float64 `json:"score,omitempty"`
}

// otherAnswer is what another detector says.
type otherAnswer struct {
	Rule   string `json:"rule"`
	Label  string `json:"label,omitempty"`
	Reason string `json:"reason,omitempty"`
}

func (c *command) explainAction(ctx *cli.Context) error {
	p, err := policy(ctx)
	if err != nil {
		return err
	}
	var all []explained
	for _, name := range ctx.Args().Slice() {
		all = append(all, explanation(p, name))
	}
	return c.show(ctx, all, func(w io.Writer) {
		for i, e := range all {
			if i > 0 {
				printable.Fprintf(w, "\n")
			}
			e.print(w)
		}
	})
}

func explanation(p *detect.Policy, name string) explained {
	x := p.Explain(name)
	d := x.Decision
	e := explained{Name: name, Verdict: d.Verdict.String(), Action: d.Action.String(), Rule: d.Rule.String(),
		Class: d.Class, Reason: d.Reason, Entry: d.Entry, List: d.List, Threshold: x.Threshold, Domain: x.Domain,
		NeverScored: x.NeverScored, Allow: listEntries(x.Allow), Block: listEntries(x.Block), Without: newWithout(x.Without),
		Whole: byLabel(x.Labels, x.Whole), OfDomain: byLabel(x.Labels, x.OfDomain)}
	if x.Invalid != nil {
		e.Invalid = x.Invalid.Error()
	}
	if d.Scored() {
		e.Score, e.ScoreOf = &d.Score, x.Folded
		if d.OfDomain {
			e.ScoreOf = x.Domain
		}
	}
	for _, other := range rules.Detectors {
		label, reason, _ := other.Ask([]byte(name), true)
		e.Others = append(e.Others, otherAnswer{other.Name, label, reason})
	}
	return e
}

func listEntries(all []detect.Match) (entries []listEntry) {
	for _, m := range all {
		entries = append(entries, listEntry{m.Entry, m.Source})
	}
	return entries
}

func newWithout(d detect.Decision) without {
	w := without{Verdict: d.Verdict.String(), Action: d.Action.String(), Rule: d.Rule.String(), Class: d.Class,
		Reason: d.Reason, Entry: d.Entry, List: d.List}
	if d.Scored() {
		w.Score = &d.Score
	}
	return w
}

func byLabel(labels []string, probabilities []float32) map[string]float32 {
	if probabilities == nil {
		return nil
	}
	out := map[string]float32{}
	for i, label := range labels {
		out[label] = probabilities[i]
	}
	return out
}

// print writes an explanation for a person, with tabs between columns.
func (e *explained) print(w io.Writer) {
	line := func(what, format string, args ...any) {
		printable.Fprintf(w, "%s\t", what)
		printable.Fprintf(w, format+"\n", args...)
	}
	line("name", "%s", e.Name)
	if e.Domain != "" {
		line("registered domain", "%s", e.Domain)
	}
	line("decision", "%s: %s", e.Action, verdict(e.Verdict, e.Class))
	line("because", "%s", because(e.Reason, e.Entry, e.List))
	other := &e.Without
	text := fmt.Sprintf("%s: %s", other.Action, verdict(other.Verdict, other.Class))
	if other.Score != nil {
		text += fmt.Sprintf(" %.6f", *other.Score)
	}
	if other.Reason != "" {
		text += ", " + because(other.Reason, other.Entry, other.List)
	}
	line("without that", "%s", text)
	for _, l := range []struct {
		what    string
		entries []listEntry
	}{{"  allow list", e.Allow}, {"  block list", e.Block}} {
		if len(l.entries) == 0 {
			line(l.what, "no")
		}
		for _, m := range l.entries {
			line(l.what, "%s in %s", m.Entry, m.List)
		}
	}
	line("  never scored", "%s", cmp.Or(e.NeverScored, "no"))
	switch {
	case e.Invalid != "":
		line("  score", "none: %s", e.Invalid)
	case e.Score == nil:
		line("  score", "not asked")
	default:
		line("  score", "%.6f of %s, threshold %.6f", *e.Score, e.ScoreOf, e.Threshold)
	}
	for _, p := range []struct {
		of            string
		probabilities map[string]float32
	}{{"whole name", e.Whole}, {"registered domain", e.OfDomain}} {
		if p.probabilities != nil {
			line("  model, "+p.of, "%s", shares(p.probabilities))
		}
	}
	for _, o := range e.Others {
		text := cmp.Or(o.Label, "nothing")
		if o.Reason != "" {
			text += ": " + o.Reason
		}
		line("  "+o.Rule, "%s", text)
	}
}

func verdict(verdict, class string) string {
	if class != verdict {
		verdict += ", " + class
	}
	return verdict
}

// because is a reason with the entry of a list that it is about.
func because(reason, entry, list string) string {
	if entry == "" {
		return reason
	}
	return fmt.Sprintf("%s: %s in %s", reason, entry, list)
}

// shares are probabilities in one line, the largest first.
func shares(of map[string]float32) string {
	labels := slices.SortedFunc(maps.Keys(of), func(a, b string) int {
		return cmp.Or(cmp.Compare(of[b], of[a]), cmp.Compare(a, b))
	})
	var parts []string
	for _, label := range labels {
		parts = append(parts, fmt.Sprintf("%s %.6f", label, of[label]))
	}
	return strings.Join(parts, ", ")
}
