package console

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/degas-dns/degas/detect"
	"github.com/degas-dns/degas/internal/userfile"
	"github.com/degas-dns/degas/model"
	"github.com/degas-dns/degas/model/versions"
	"github.com/degas-dns/degas/serve/accounts"
	"github.com/degas-dns/degas/serve/models"
	"github.com/degas-dns/degas/serve/reply"
	"github.com/degas-dns/degas/serve/shadow"
	"github.com/degas-dns/degas/serve/store/ledger"
)

// Shadow has the candidates of the first model, such as shadow.Shadow.
type Shadow interface {
	Reports() []shadow.Report
	Compare(ctx context.Context, names []string) ([]shadow.Pair, error)
	Promote(ctx context.Context, n int) error
	Demote(ctx context.Context, n int) error
}

// modelScreens are the models, and what puts one in force.
func (c *Console) modelScreens() []screen {
	return []screen{
		{"GET /console/models", accounts.Viewer, false, c.models},
		{"POST /console/models/promote", accounts.Admin, false, c.promote},
		{"POST /console/models/demote", accounts.Admin, false, c.demote},
	}
}

// modelsPage has all models, and the candidates of the first one.
type modelsPage struct {
	Done    string // what was just done
	Ask     *askMove
	Models  []servedModel
	Number  int // of the version that decides
	Model   string
	Back    int  // the version that can be taken back, noBack for none
	Folder  bool // the first model has a folder of versions, in which candidates can lie
	Pairs   []beside
	Decided *agreement
	Card    *cardText
}

// askMove asks whether a version shall be promoted or taken back.
type askMove struct {
	Promote bool
	Number  int
	Instead int // decides now
	Report  shadow.Report
}

// servedModel is a model with its versions, the newest first.
type servedModel struct {
	Name     string
	Versions []versionRow
	Hidden   int // versions that are not shown
}

// versionRow is a version in a table.
type versionRow struct {
	models.VersionState
	Decides bool
	Loaded  time.Time
	Labels  []string
	// Threshold is 0 for a version that is not loaded.
	Threshold float64
	Card      manifest
}

// manifest is what the page shows of the manifest.json of export.Manifest, or of a model without one.
type manifest struct {
	Name       string   `json:"name"`
	Title      string   `json:"title"`
	Labels     []string `json:"labels"`
	Parameters int      `json:"parameters"`
	Encoder    struct {
		Window int `json:"window"`
	} `json:"encoder"`
	FPR      float64            `json:"threshold_fpr"`
	Data     string             `json:"training_data"`
	Rows     int64              `json:"training_rows"`
	Sources  []trainedOn        `json:"sources"`
	Warnings []string           `json:"warnings"`
	Producer string             `json:"producer"`
	Metrics  map[string]float64 `json:"metrics"`
	LeftOut  string             `json:"evaluation_left_out"`
}

// trainedOn is a source of training names.
type trainedOn struct {
	Name    string `json:"name"`
	Rows    int64  `json:"rows"`
	Licence string `json:"licence"`
}

// cardText is a version's model card.
type cardText struct {
	Model  string
	Number int
	Shadow bool
	Text   string
}

// Bounds of what the page shows and reads.
const (
	mostVersions = 20
	mostShown    = 20 // names on which a candidate differs, unless somebody asks for all
	mostManifest = 1 << 20
	mostCard     = 32 << 10
	mostItems    = 50 // sources, metrics and warnings of a manifest
)

// models answers GET /console/models. all is the number of a candidate of which all differences are shown. promote and
// demote are a version's number: the page asks whether it shall be done. card is the number of a version whose model
// card is shown, of model.
func (c *Console) models(v *visit) (*view, error) {
	policy, current := c.o.Engine.Policy()
	p := modelsPage{Number: current.Number, Model: current.Model}
	if n, err := strconv.Atoi(v.q.Get("version")); err == nil {
		switch v.q.Get("done") {
		case "promoted":
			p.Done = fmt.Sprintf("Version %d is promoted, and decides", n)
		case "demoted":
			p.Done = fmt.Sprintf("Version %d is taken back, and decides no more", n)
		}
	}
	for _, name := range c.o.Models.Names() {
		p.Models = append(p.Models, c.served(name, current, policy))
	}
	p.Back = c.back(current.Model)
	dir := c.o.Models.Dir(current.Model) // of one version, or of numbered ones
	p.Folder = dir != "" && !slices.Contains(slices.Collect(maps.Values(c.folders(current.Model))), dir)
	var err error
	if c.o.Shadow != nil {
		p.Pairs = c.beside(&p, v.q.Get("all"))
		if p.Decided, err = c.agreement(v.ctx()); err != nil {
			return nil, err
		}
		if v.may(accounts.Admin) {
			if p.Ask, err = asked(v, &p); err != nil {
				return nil, err
			}
		}
	}
	if v.q.Has("card") {
		if p.Card, err = c.card(v); err != nil {
			return nil, err
		}
	}
	return &view{page: "models", title: "Models", data: p}, nil
}

// noBack is no version's number.
const noBack = -1

// back is the version that can be taken back: the newest folder, served or not, if another version is served.
func (c *Console) back(name string) int {
	paths := c.folders(name)
	if len(paths) == 0 {
		return noBack
	}
	newest := slices.Max(slices.Collect(maps.Keys(paths)))
	if !slices.ContainsFunc(c.o.Models.Versions(name), func(v *models.Version) bool { return v.Number != newest }) {
		return noBack
	}
	return newest
}

// folders are the paths of a model's versions, by number. What is wrong with them is in the versions' states.
func (c *Console) folders(name string) map[int]string {
	_, paths, _ := versions.Find(c.o.Models.Dir(name))
	return paths
}

// served is a model with its newest versions.
func (c *Console) served(name string, current *models.Version, policy *detect.Policy) servedModel {
	m := servedModel{Name: name}
	loaded := map[int]*models.Version{}
	for _, x := range c.o.Models.Versions(name) {
		loaded[x.Number] = x
	}
	paths := c.folders(name)
	candidates, _ := versions.In(filepath.Join(c.o.Models.Dir(name), versions.Shadow)) // most models have none
	for _, s := range slices.Backward(c.o.Models.States(name)) {
		_, candidate := candidates[s.Number]
		if _, there := paths[s.Number]; !there && candidate && s.State == models.End { // taken back, and shown as that
			continue
		}
		if len(m.Versions) == mostVersions {
			m.Hidden++
			continue
		}
		row := versionRow{VersionState: s, Labels: c.o.Models.LabelsOf(name, s.Number)}
		if x := loaded[s.Number]; x != nil {
			row.Decides, row.Loaded, row.Threshold = x == current, x.Loaded, x.Classifier.Model().Threshold
			if row.Decides {
				row.Threshold = policy.Threshold()
			}
			row.Card = readManifest(paths[s.Number], x.Classifier.Model())
		}
		m.Versions = append(m.Versions, row)
	}
	return m
}

// readManifest reads what a version's folder says of it. m fills in what it does not say; nil is not known.
func readManifest(dir string, m *model.Model) (out manifest) {
	if dir != "" && dir != model.BuiltinName {
		if data, err := userfile.Read(filepath.Join(dir, "manifest.json"), mostManifest); err == nil {
			if json.Unmarshal(data, &out) != nil {
				out = manifest{Warnings: []string{"manifest.json cannot be read"}}
			}
		}
	}
	if m != nil && out.Name == "" {
		out.Name, out.Labels, out.Parameters, out.Data = m.Spec.Name, m.Spec.Labels, m.Weights.Size(), m.Dataset
		out.Encoder.Window, out.Producer, out.FPR = m.Spec.Encoder.Window, m.Producer, m.ThresholdFPR
		for _, name := range slices.Sorted(maps.Keys(m.Sources)) {
			out.Sources = append(out.Sources, trainedOn{Name: name, Rows: m.Sources[name]})
			out.Rows += m.Sources[name]
		}
	}
	out.Sources = out.Sources[:min(len(out.Sources), mostItems)]
	out.Warnings = out.Warnings[:min(len(out.Warnings), mostItems)]
	for _, name := range slices.Sorted(maps.Keys(out.Metrics))[min(len(out.Metrics), mostItems):] {
		delete(out.Metrics, name)
	}
	return out
}

// asked is the question that the address asks for, nil if none.
func asked(v *visit, p *modelsPage) (*askMove, error) {
	for _, what := range []string{"promote", "demote"} {
		if !v.q.Has(what) {
			continue
		}
		n, err := strconv.Atoi(v.q.Get(what))
		if err != nil {
			return nil, reply.BadRequest("%s: %q is no version", what, v.q.Get(what))
		}
		promote := what == "promote"
		i := slices.IndexFunc(p.Pairs, func(b beside) bool { return b.Report.Number == n && b.Report.Err == nil })
		if promote && i < 0 || !promote && n != p.Back {
			return nil, notFound("There is no such version to " + what + ". Somebody may have done it already")
		}
		ask := &askMove{Promote: promote, Number: n, Instead: p.Number}
		if promote {
			ask.Report = p.Pairs[i].Report
		}
		return ask, nil
	}
	return nil, nil
}

// card reads the model card that the address asks for.
func (c *Console) card(v *visit) (*cardText, error) {
	card := cardText{Model: v.q.Get("model"), Shadow: v.q.Has("shadow")}
	var err error
	if card.Number, err = strconv.Atoi(v.q.Get("card")); err != nil {
		return nil, reply.BadRequest("card: %q is no version", v.q.Get("card"))
	}
	dir := c.o.Models.Dir(card.Model)
	if dir == model.BuiltinName && card.Number == 1 && !card.Shadow {
		card.Text = model.BuiltinCard()
		return &card, nil
	}
	path := c.folders(card.Model)[card.Number]
	if card.Shadow && dir != "" && dir != model.BuiltinName {
		path = filepath.Join(dir, versions.Shadow, strconv.Itoa(card.Number))
	}
	text, err := userfile.Read(filepath.Join(path, "README.md"), mostManifest)
	if path == "" || err != nil {
		return nil, notFound("The version has no model card. Try: degas export-model, which writes one")
	}
	card.Text = string(text)
	if head, body, ok := strings.Cut(strings.TrimPrefix(card.Text, "---\n"), "\n---\n"); ok && head != card.Text {
		card.Text = strings.TrimSpace(body) // without the part for programs
	}
	if len(card.Text) > mostCard {
		card.Text = strings.ToValidUTF8(card.Text[:mostCard], "") + "\n…"
	}
	return &card, nil
}

// promote answers POST /console/models/promote: version.
func (c *Console) promote(v *visit) (*view, error) {
	return c.move(v, "promote version", "promoted", Shadow.Promote)
}

// demote answers POST /console/models/demote: version.
func (c *Console) demote(v *visit) (*view, error) {
	return c.move(v, "take back version", "demoted", Shadow.Demote)
}

func (c *Console) move(
	v *visit,
	what, done string,
	do func(s Shadow, ctx context.Context, n int) error,
) (*view, error) {
	n, err := strconv.Atoi(v.q.Get("version"))
	if err != nil {
		return nil, reply.BadRequest("version: %q is no number", v.q.Get("version"))
	}
	if c.o.Shadow == nil {
		return nil, notFound("There are no candidates here. Try: degas serve with a folder of versions")
	}
	_, before := c.o.Engine.Policy()
	// Once begun, it is finished and noted, whether or not somebody waits for the answer.
	ctx := context.WithoutCancel(v.ctx())
	moved := do(c.o.Shadow, ctx, n)
	about := fmt.Sprintf("%s %d; version %d decided", before.Model, n, before.Number)
	if moved != nil {
		about += "; failed: " + moved.Error()
	}
	if err := c.o.Ledger.Audit(ctx, v.by(), what, about); err != nil {
		return nil, errors.Join(err, moved)
	}
	if moved != nil {
		return nil, &reply.Failure{Status: http.StatusConflict, Text: "Not done: " + moved.Error(), Cause: moved}
	}
	c.refresh() // the version is served already: the engine takes it now, so that the next page is true
	return &view{to: link("/console/models", "done", done, "version", n)}, nil
}

// beside is a candidate and the version that decides, side by side.
type beside struct {
	Report         shadow.Report
	Old, New       manifest
	OldBad, NewBad int64 // names that each calls malicious
	// MoreADay is how many more different names a day the candidate flags; negative for fewer. Known says whether it was
	// seen long enough to say so.
	MoreADay float64
	Known    bool
	Metrics  []metricRow
	Shown    []shadow.Difference // of Report.Last
}

// metricRow is a metric of both as text, "–" for one that has none.
type metricRow struct{ Name, Old, New string }

// beside are the candidates, the newest first. whole is the number of one of which all differences are shown.
func (c *Console) beside(p *modelsPage, whole string) (all []beside) {
	dir := c.o.Models.Dir(p.Model)
	var old manifest
	for _, row := range p.Models[0].Versions {
		if row.Decides {
			old = row.Card
		}
	}
	for _, r := range slices.Backward(c.o.Shadow.Reports()) {
		if len(all) == mostVersions {
			break
		}
		b := beside{Report: r, Old: old, OldBad: r.Both + r.OnlyOld, NewBad: r.Both + r.OnlyNew, Shown: r.Last}
		if strconv.Itoa(r.Number) != whole {
			b.Shown = r.Last[:min(len(r.Last), mostShown)]
		}
		b.New = readManifest(filepath.Join(dir, versions.Shadow, strconv.Itoa(r.Number)), nil)
		if days := time.Since(r.Since).Hours() / 24; !r.Since.IsZero() && days > 1.0/24 {
			b.MoreADay, b.Known = float64(r.OnlyNew-r.OnlyOld)/days, true
		}
		names := slices.Sorted(maps.Keys(b.New.Metrics))
		for _, name := range slices.Sorted(maps.Keys(old.Metrics)) {
			if _, ok := b.New.Metrics[name]; !ok {
				names = append(names, name)
			}
		}
		at := func(m manifest, name string) string {
			if x, ok := m.Metrics[name]; ok {
				return strconv.FormatFloat(x, 'g', 5, 64)
			}
			return "–"
		}
		for _, name := range names {
			b.Metrics = append(b.Metrics, metricRow{name, at(old, name), at(b.New, name)})
		}
		all = append(all, b)
	}
	return all
}

// agreement is how often each version agrees with people.
type agreement struct {
	Rows []agrees
	// Names were asked about; LeftOut are decisions in force that say nothing about one name. More says that there are
	// older decisions.
	Names, LeftOut int
	More           bool
}

// agrees is how often a version agrees with people.
type agrees struct {
	Number              int
	Candidate, Decides  bool
	Threshold           float64
	Benign, BenignRight int // names that people call benign, and of those what the version does not flag
	Bad, BadFound       int
}

// Right is the share of all names about which the version agrees.
func (a agrees) Right() float64 {
	return float64(a.BenignRight+a.BadFound) / float64(max(1, a.Benign+a.Bad))
}

// mostDecided bounds the decisions that models are compared by, the newest ones.
const mostDecided = ledger.MostPage

// agreement asks all versions about the names of the newest decisions in force.
func (c *Console) agreement(ctx context.Context) (*agreement, error) {
	page, err := c.o.Ledger.Decisions(ctx, ledger.Filter{State: ledger.InForce}, 0, mostDecided)
	if err != nil {
		return nil, err
	}
	a := &agreement{More: page.Next != 0}
	var names []string
	bad := map[string]bool{}
	for i := range page.Decisions {
		name, is, ok := trainable(&page.Decisions[i])
		if _, twice := bad[name]; !ok || twice {
			a.LeftOut++
			continue
		}
		names, bad[name] = append(names, name), is
	}
	a.Names = len(names)
	_, current := c.o.Engine.Policy()
	for part := range slices.Chunk(names, shadow.MostNames) {
		pairs, err := c.o.Shadow.Compare(ctx, part)
		if err != nil {
			return nil, err
		}
		for _, pair := range pairs {
			for _, x := range pair.Answers {
				a.count(x, bad[pair.Name], current.Number)
			}
		}
	}
	return a, nil
}

// count counts what a version says of a name.
func (a *agreement) count(x shadow.Answer, bad bool, current int) {
	same := func(r agrees) bool { return r.Number == x.Number && r.Candidate == x.Candidate }
	i := slices.IndexFunc(a.Rows, same)
	if i < 0 {
		i = len(a.Rows)
		a.Rows = append(a.Rows, agrees{Number: x.Number, Candidate: x.Candidate, Threshold: x.Threshold,
			Decides: !x.Candidate && x.Number == current})
	}
	row, flagged := &a.Rows[i], x.Decision.Verdict == detect.Malicious
	switch {
	case !x.Decision.Scored(): // a kind of name that no model is asked about
	case bad:
		row.Bad++
		if flagged {
			row.BadFound++
		}
	default:
		row.Benign++
		if !flagged {
			row.BenignRight++
		}
	}
}

// trainable is the name of a decision and whether it is malicious; ok is false for a decision that does not say so of
// one name. A domain stands for itself, except one with tunnels: they are in the names below it.
func trainable(d *ledger.Decision) (name string, bad, ok bool) {
	label := d.Label
	switch {
	case label != "":
	case d.Verdict == ledger.Allow:
		label = "benign"
	case d.Verdict == ledger.Block:
		label = "malicious"
	default:
		return "", false, false
	}
	name, below := strings.CutPrefix(d.Pattern, "*.")
	return name, label != "benign", !below || label != "tunnel"
}
