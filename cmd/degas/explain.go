package main

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"

	"github.com/degas-dns/degas/detect"
	"github.com/degas-dns/degas/detect/rules"
	"github.com/degas-dns/degas/internal/printable"
	"github.com/degas-dns/degas/internal/userfile"
	"github.com/degas-dns/degas/model"
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
	return []cli.Flag{
		&cli.StringFlag{Name: "model", Usage: "`MODEL`: a run, an exported version, or builtin", Value: model.BuiltinName},
		&cli.Float64Flag{Name: "threshold", Usage: "the `SCORE` from which a name is malicious",
			DefaultText: "the model's own"},
		&cli.StringSliceFlag{Name: "allow", Usage: "`FILE` of names that pass: a.com, or *.a.com for all below it too"},
		&cli.StringSliceFlag{Name: "block", Usage: "`FILE` of names that are blocked; an allow entry wins"},
	}
}

// policy makes the Policy that policyFlags ask for.
func policy(ctx *cli.Context) (*detect.Policy, error) {
	p, _, err := policyAndModel(ctx)
	return p, err
}

// policyAndModel is policy, and the model that scores.
func policyAndModel(ctx *cli.Context) (*detect.Policy, *model.Model, error) {
	m, err := model.LoadNamed(ctx.String("model"))
	if err != nil {
		return nil, nil, err
	}
	o := detect.Options{Threshold: ctx.Float64("threshold"), Action: detect.Report}
	if ctx.IsSet("threshold") && o.Threshold == 0 {
		return nil, nil, usagef("--threshold 0: every name would be malicious. Try: a number above 0, at most 1")
	}
	if o.Threshold < 0 || o.Threshold > 1 || math.IsNaN(o.Threshold) {
		return nil, nil, usagef("--threshold %v: must be between 0 and 1", o.Threshold)
	}
	if o.Classifier, err = model.NewClassifier(m); err != nil {
		return nil, nil, err
	}
	for flag, list := range map[string]*[]string{"allow": &o.Allow, "block": &o.Block} {
		for _, path := range ctx.StringSlice(flag) {
			entries, err := readList(path)
			if err != nil {
				return nil, nil, err
			}
			*list = append(*list, entries...)
		}
	}
	p, err := detect.New(o)
	return p, m, err
}

func readList(path string) ([]string, error) {
	f, err := userfile.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return detect.ReadList(f, path)
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
	Score       *float64           `json:"score,omitempty"`
	ScoreOf     string             `json:"score_of,omitempty"`
	Threshold   float64            `json:"threshold"`
	Domain      string             `json:"registered_domain,omitempty"`
	Invalid     string             `json:"invalid,omitempty"`
	NeverScored string             `json:"never_scored,omitempty"`
	Allow       string             `json:"allow,omitempty"`
	Block       string             `json:"block,omitempty"`
	Whole       map[string]float32 `json:"whole_name,omitempty"`
	OfDomain    map[string]float32 `json:"of_registered_domain,omitempty"`
	Others      []otherAnswer      `json:"others"`
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
		Class: d.Class, Reason: d.Reason, Entry: d.Entry, Threshold: x.Threshold, Domain: x.Domain,
		NeverScored: x.NeverScored, Allow: x.Allow, Block: x.Block,
		Whole: byLabel(x.Labels, x.Whole), OfDomain: byLabel(x.Labels, x.OfDomain)}
	if x.Invalid != nil {
		e.Invalid = x.Invalid.Error()
	}
	if d.Rule == detect.Score {
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
	verdict := e.Verdict
	if e.Class != verdict {
		verdict += ", " + e.Class
	}
	line("decision", "%s: %s", e.Action, verdict)
	line("because", "%s", e.Reason)
	line("  allow list", "%s", cmp.Or(e.Allow, "no"))
	line("  block list", "%s", cmp.Or(e.Block, "no"))
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
	for _, other := range e.Others {
		text := cmp.Or(other.Label, "nothing")
		if other.Reason != "" {
			text += ": " + other.Reason
		}
		line("  "+other.Rule, "%s", text)
	}
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
