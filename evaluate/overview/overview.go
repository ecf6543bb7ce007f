// Package overview gathers what degas knows about a run, a model or a data set, for one page: Open reads one of them,
// and Runs lists the runs of a folder.
package overview

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/degas-dns/degas/datasets"
	"github.com/degas-dns/degas/evaluate"
	"github.com/degas-dns/degas/evaluate/metrics"
	"github.com/degas-dns/degas/evaluate/rundir"
	"github.com/degas-dns/degas/internal/bucket"
	"github.com/degas-dns/degas/model"
)

// Kinds of pages.
const (
	KindRun   = "run"
	KindModel = "model"
	KindData  = "data set"
)

// Page is all that is known of one thing. Parts that it does not have are nil.
type Page struct {
	Kind     string    `json:"kind"`
	Path     string    `json:"path"`
	Training *Training `json:"training,omitempty"`
	Model    *Model    `json:"model,omitempty"`
	Scores   *Scores   `json:"scores,omitempty"`
	Data     *Data     `json:"data,omitempty"`
	// Notes say what could not be read and what to do about it.
	Notes []string `json:"notes,omitempty"`

	damage string // the first of Notes about a file that cannot be read
}

// Training is how a run was trained.
type Training struct {
	Arch    string         `json:"arch"`
	From    string         `json:"from,omitempty"`
	Target  string         `json:"target"`
	Engine  string         `json:"engine,omitempty"`
	Data    string         `json:"data"`
	Teacher string         `json:"teacher,omitempty"`
	Options map[string]any `json:"options,omitempty"`
	Degas   string         `json:"degas"`
	Machine string         `json:"machine,omitempty"`
	Epochs  int            `json:"epochs"` // done
	// Kept is the epoch of the saved weights; nil without a history.
	Kept *rundir.Epoch `json:"kept,omitempty"`
}

// Scores are the numbers of a run's last evaluation.
type Scores struct {
	*metrics.Metrics
	// Unfit says why they are not those of the model, as it is now, on the test split of its data; "" if they are.
	Unfit string `json:"unfit,omitempty"`
}

// Open reads what is at path: a run, a model's directory, a processed data set or one of its files, which may be in
// object storage, or model.BuiltinName.
func Open(ctx context.Context, path string) (*Page, error) {
	switch KindOf(path) {
	case KindRun:
		p, err := openRun(path)
		if err == nil {
			p.addData(ctx)
		}
		return p, err
	case KindData:
		return openData(ctx, path)
	case KindModel:
		if path == model.BuiltinName {
			return openRun(path)
		}
		m, err := model.Load(path)
		if err != nil {
			return nil, err
		}
		p := &Page{Kind: KindModel, Path: path}
		return p, p.add(m)
	}
	if _, err := os.Stat(path); err != nil {
		return nil, fmt.Errorf("show %s: %w. Try: degas runs", path, err)
	}
	if newest := model.NewestVersion(path); newest != "" {
		return nil, fmt.Errorf("show %s: it is a store, a folder of versions. Try: degas show %s", path, newest)
	}
	return nil, fmt.Errorf("show %s: it is no run, model or data set: there is no config.yaml, %s or %s in it. "+
		"Try: degas runs", path, model.SpecFile, datasets.ManifestName)
}

// KindOf is the kind of what is at path, "" if it is none that Open reads.
func KindOf(path string) string {
	switch {
	case path == model.BuiltinName:
		return KindModel
	case bucket.IsURL(path): // nothing else is read from there
		return KindData
	case has(path, "config.yaml"):
		return KindRun
	case has(path, datasets.ManifestName), filepath.Ext(path) == ".arrow":
		return KindData
	case has(path, model.SpecFile):
		return KindModel
	}
	return ""
}

func has(dir, file string) bool {
	_, err := os.Stat(filepath.Join(dir, file))
	return err == nil
}

func openRun(dir string) (*Page, error) {
	p := &Page{Kind: KindRun, Path: dir}
	run, err := rundir.Open(dir)
	if errors.Is(err, model.ErrNoModel) {
		p.note("There is no model yet: the training has not finished. To go on: degas train-model --run %s --resume",
			filepath.Base(dir))
	} else if err != nil {
		return nil, err
	}
	history, err := run.History()
	p.unread(err, "It is needed to show epochs and to evaluate; train-model --resume writes it anew")
	c := run.Config
	p.Training = &Training{
		Arch: run.Arch(), From: c.From, Target: c.Target, Engine: c.Engine, Data: c.Data, Degas: c.Degas,
		Machine: c.Machine, Options: map[string]any{}, Epochs: len(history),
	}
	for _, o := range c.Options {
		p.Training.Options[fmt.Sprint(o.Key)] = o.Value
	}
	if teacher := run.Option("teacher"); teacher != nil {
		p.Training.Teacher = fmt.Sprint(teacher)
	}
	if run.Model == nil {
		return p, nil
	}
	if dir == model.BuiltinName { // nothing is known of its training but what its card says
		p.Kind, p.Training = KindModel, nil
		p.note("degas model prints what it learned from and what it is not for.")
	} else if len(history) > 0 {
		kept := history.Kept(run.Model.Epoch)
		p.Training.Kept = &kept
	}
	if err := p.add(run.Model); err != nil {
		return nil, err
	}
	p.unread(p.addScores(dir), "Try: degas evaluate-model "+dir)
	return p, nil
}

// addData is addTrainingData, with a note where that fails.
func (p *Page) addData(ctx context.Context) {
	p.unread(p.addTrainingData(ctx), "Try: degas process-data")
}

// unread notes that a file cannot be read: the page has what the others say.
func (p *Page) unread(err error, next string) {
	if err != nil {
		p.note("%v. %s.", err, next)
		p.damage = cmp.Or(p.damage, err.Error())
	}
}

func (p *Page) note(format string, args ...any) {
	p.Notes = append(p.Notes, fmt.Sprintf(format, args...))
}

func (p *Page) add(m *model.Model) (err error) {
	p.Model, err = describe(m)
	return err
}

// addScores adds the run's evaluation, if there is one.
func (p *Page) addScores(dir string) error {
	m, unfit, err := evaluate.ReadEvaluation(dir)
	if err != nil {
		return err
	}
	if m == nil {
		p.note("It has not been evaluated. Try: degas evaluate-model %s", dir)
		return nil
	}
	p.Scores = &Scores{m, unfit}
	return nil
}

// addTrainingData adds the data set of the training where it is still the one that the model was trained on.
func (p *Page) addTrainingData(ctx context.Context) error {
	if p.Training == nil || p.Model == nil || p.Model.Dataset == "" {
		return nil
	}
	dir, trained := p.Training.Data, p.Model.Dataset
	m, err := datasets.ReadManifest(ctx, dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		p.note("Its data set, %.12s, is no longer in %s.", trained, dir)
		return nil
	case err != nil:
		return err
	case m.Fingerprint != trained:
		p.note("It was trained on data set %.12s. %s now holds data set %.12s.", trained, dir, m.Fingerprint)
		return nil
	}
	p.Data = ofData(m, "")
	return nil
}

// openData reads a data set, or one split of it.
func openData(ctx context.Context, path string) (*Page, error) {
	m, splits, err := datasets.Locate(ctx, path)
	if err != nil {
		return nil, err
	}
	only := ""
	if len(splits) == 1 {
		only = splits[0]
	}
	return &Page{Kind: KindData, Path: path, Data: ofData(m, only)}, nil
}
