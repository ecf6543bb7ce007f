package tune

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"

	"github.com/degas-dns/degas/internal/atomicfile"
	"github.com/degas-dns/degas/internal/chart"
	"github.com/degas-dns/degas/internal/jsonl"
	"github.com/degas-dns/degas/internal/printable"
	"github.com/degas-dns/degas/internal/userfile"
	"github.com/degas-dns/degas/trainer"
)

// Result is tune.json: every trial, best first.
type Result struct {
	Format int       `json:"format"`
	Out    string    `json:"out"`
	Trials []Outcome `json:"trials"`
	// Best is the command that trains the best trial as a run of its own.
	Best []string `json:"train_best,omitempty"`
	// Stopped says that the budget ended before the search did.
	Stopped bool `json:"stopped_by_budget"`
}

// Outcome is a trial with what it reached.
type Outcome struct {
	Trial
	Run     string  `json:"run"`    // directory of its longest training
	Epochs  int     `json:"epochs"` // done
	Loss    float64 `json:"validation_loss"`
	AUC     float64 `json:"validation_auc"`
	Seconds float64 `json:"seconds"`
	Error   string  `json:"error,omitempty"` // why it was given up: a diverged training ends a trial, not the search

	curve plotter.XYs // epoch, validation loss
}

// Observer is told how the search goes on.
type Observer struct {
	trainer.Observer
	// Trial is called before a training, with its number of epochs.
	Trial func(t Trial, epochs int)
}

// Run searches. Interrupted, it goes on when it is called again with the same Config: trainings that are done are read,
// one that is not is resumed.
func Run(ctx context.Context, c *Config, obs Observer) (*Result, error) {
	unlock, err := atomicfile.Claim(c.Out)
	if err != nil {
		return nil, fmt.Errorf("tune: %w", err)
	}
	defer unlock()
	if err := c.mayUse(); err != nil {
		return nil, fmt.Errorf("tune: %w", err)
	}
	s := &search{Config: c, obs: obs, began: time.Now(), result: &Result{Format: 1, Out: c.Out}}
	var alive []*Outcome
	for i := range c.Trials {
		t, err := c.trial(i)
		if err != nil {
			return nil, fmt.Errorf("tune: %w", err)
		}
		alive = append(alive, &Outcome{Trial: *t, Loss: math.MaxFloat64})
	}
	all := slices.Clone(alive)
	for epochs := c.MinEpochs; ; epochs = min(epochs*c.Eta, c.MaxEpochs) {
		for _, o := range alive {
			if s.spent() {
				s.result.Stopped = true
				break
			}
			if err := s.train(ctx, o, epochs); err != nil {
				return nil, fmt.Errorf("tune: trial %d: %w", o.Number, err)
			}
		}
		slices.SortStableFunc(alive, better)
		alive = alive[:max(1, len(alive)/c.Eta)]
		if epochs == c.MaxEpochs || s.result.Stopped {
			break
		}
	}
	slices.SortStableFunc(all, better)
	for _, o := range all {
		if o.Epochs > 0 || o.Error != "" {
			s.result.Trials = append(s.result.Trials, *o)
		}
	}
	if len(s.result.Trials) == 0 {
		return nil, errors.New("tune: the budget ended before a single training")
	}
	if best := &s.result.Trials[0]; best.Error == "" {
		if s.result.Best, err = c.trainBest(best); err != nil {
			return nil, fmt.Errorf("tune: %w", err)
		}
	}
	if err := s.result.write(); err != nil {
		return nil, err
	}
	if best := s.result.Trials[0]; best.Error != "" {
		return nil, fmt.Errorf("tune: none of %d trials came through, the first: %s. Try: lower learning rates",
			len(s.result.Trials), best.Error)
	}
	return s.result, nil
}

// mayUse is an error if Out holds something that no search left there.
func (c *Config) mayUse() error {
	entries, err := os.ReadDir(c.Out)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	var old Result
	data, noResult := userfile.Read(filepath.Join(c.Out, resultFile), userfile.Text)
	if noResult == nil && (json.Unmarshal(data, &old) != nil || old.Format != 1) {
		return fmt.Errorf("%s holds %s, which is of no search. Try: another folder", c.Out, resultFile)
	}
	for _, e := range entries {
		name := e.Name()
		_, noRun := os.Stat(filepath.Join(c.Out, name, trainer.ConfigFile))
		trial := strings.HasPrefix(name, "trial-") && e.IsDir()
		if name == trainer.ConfigFile || name == plotFile && noResult != nil || trial && noRun != nil && !empty(c.Out, name) {
			return fmt.Errorf("%s holds %s, which is of no search. Try: another folder", c.Out, name)
		}
	}
	return err
}

// empty reports whether a folder has no files but those that a training which was killed before it began leaves.
func empty(dir, name string) bool {
	entries, err := os.ReadDir(filepath.Join(dir, name))
	return err == nil && !slices.ContainsFunc(entries, func(e os.DirEntry) bool {
		return e.Name()[0] != '.' && e.Name() != trainer.SpecFile
	})
}

const (
	resultFile = "tune.json"
	plotFile   = "trials.png"
)

// search is a search under way.
type search struct {
	*Config
	obs    Observer
	began  time.Time
	result *Result
}

func (s *search) spent() bool { return s.Budget > 0 && time.Since(s.began) > s.Budget }

// train brings a trial to a number of epochs.
func (s *search) train(ctx context.Context, o *Outcome, epochs int) error {
	if o.Error != "" {
		return nil
	}
	if s.obs.Trial != nil {
		s.obs.Trial(o.Trial, epochs)
	}
	dir := filepath.Join(s.Out, fmt.Sprintf("trial-%03d", o.Number))
	if o.options.Schedule == trainer.ScheduleCosine { // its rate depends on the number of epochs: a longer one begins anew
		dir += fmt.Sprintf("-e%d", epochs)
	}
	options := o.options
	options.Epochs = epochs
	r := trainer.Request{Dir: dir, Spec: o.spec, Config: trainer.Config{
		Arch:    o.arch,
		Target:  s.Target,
		Engine:  o.engine,
		Data:    s.Data,
		Options: options,
		Degas:   s.Release,
	}}
	old, err := trainer.ReadConfig(dir)
	if r.Resume = err == nil; r.Resume && !r.Continues(old) {
		return fmt.Errorf("%s is a trial of another search. Try: another out than %s", dir, s.Out)
	} else if !r.Resume && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	summary, err := trainer.Train(ctx, r, s.obs.Observer)
	if errors.Is(err, trainer.ErrDiverged) {
		o.Error = err.Error()
		return nil
	} else if err != nil {
		return err
	}
	o.Run, o.Epochs = dir, min(summary.Epochs, epochs)
	return o.read(filepath.Join(dir, trainer.HistoryFile), epochs)
}

// read takes a trial's numbers from the first epochs of its history: one of an earlier search may have gone on for
// longer than those it is compared with.
func (o *Outcome) read(path string, epochs int) error {
	history, err := jsonl.Read[trainer.Epoch](path)
	if err != nil {
		return err
	}
	o.Loss, o.Seconds, o.curve = math.MaxFloat64, 0, nil
	for _, e := range history[:min(epochs, len(history))] {
		if o.Seconds += e.Seconds; e.ValidationLoss < o.Loss {
			o.Loss, o.AUC = e.ValidationLoss, e.ValidationAUC
		}
		o.curve = append(o.curve, plotter.XY{X: float64(e.Epoch), Y: e.ValidationLoss})
	}
	return nil
}

// better sorts by what validation says; a trial given up comes last.
func better(a, b *Outcome) int {
	if (a.Error == "") != (b.Error == "") {
		return strings.Compare(a.Error, b.Error)
	}
	return cmp.Compare(a.Loss, b.Loss)
}

// write leaves tune.json and trials.png.
func (r *Result) write() error {
	if err := atomicfile.WriteJSON(filepath.Join(r.Out, resultFile), r); err != nil {
		return err
	}
	p := chart.New("Trials", "epoch", "validation loss")
	p.Add(plotter.NewGrid())
	p.Legend.Top = true
	longest := slices.MaxFunc(r.Trials, func(a, b Outcome) int { return a.Epochs - b.Epochs }).Epochs
	var epochs []float64
	for e := range longest {
		epochs = append(epochs, float64(e+1))
	}
	p.X.Tick.Marker = chart.FixedTicks("%.0f", epochs...)
	for i, t := range slices.Backward(r.Trials) { // the best on top
		if len(t.curve) == 0 {
			continue
		}
		l, dots, err := plotter.NewLinePoints(t.curve)
		if err != nil {
			return err
		}
		l.Color, dots.Color = chart.Grey, chart.Grey
		if i == 0 {
			l.Color, l.Width, dots.Color = chart.Blue, vg.Points(2), chart.Blue
			p.Legend.Add(fmt.Sprintf("trial %d, the best", t.Number), l)
		}
		p.Add(l, dots)
	}
	return chart.Save(p, 7, 4.5, filepath.Join(r.Out, plotFile))
}

// Print writes the table, best first.
func (r *Result) Print(out io.Writer) error {
	w := tabwriter.NewWriter(out, 2, 0, 2, ' ', 0)
	printable.Fprintf(w, "trial\tvalidation loss\tAUC\tepochs\ts\tvalues\n")
	for _, t := range r.Trials {
		if t.Error != "" {
			printable.Fprintf(w, "%d\tgiven up\t\t\t\t%s: %s\n", t.Number, t.Describe(), t.Error)
			continue
		}
		printable.Fprintf(w, "%d\t%.4f\t%.4f\t%d\t%.0f\t%s\n", t.Number, t.Loss, t.AUC, t.Epochs, t.Seconds, t.Describe())
	}
	if r.Stopped {
		printable.Fprintf(w, "\nThe budget ended before the search did: run it again to go on.\n")
	}
	best := r.Trials[0]
	printable.Fprintf(w, "\nbest        %s\nplot        %s\n", best.Run, filepath.Join(r.Out, plotFile))
	if r.Best != nil {
		printable.Fprintf(w, "\nNext: %s\n", printable.Shell(r.Best))
	}
	return w.Flush()
}

// trainBest is the command that trains the best trial's architecture and recipe as a run of its own, for as long as the
// search would have. A search begins at auto's recipe without its blend, which is back here.
func (c *Config) trainBest(best *Outcome) ([]string, error) {
	t := &best.Trial
	recipe, o := t.arch, t.options
	if _, searched := c.Search["arch"]; !searched {
		_, auto := trainer.Recipe(t.arch, c.Target)
		o.Blend = auto.Blend
	}
	o.Epochs = c.MaxEpochs
	words := []string{"degas", "train-model", c.Data, "--arch"}
	if t.reshaped {
		recipe = filepath.Join(best.Run, trainer.SpecFile)
	}
	words = append(words, recipe, "--target", c.Target, "--run", filepath.Base(c.Out)+"-best")
	_, base := trainer.Recipe(recipe, c.Target)
	if err := base.Resolve(); err != nil {
		return nil, err
	}
	base.Workers, o.Workers = 0, c.Options.Workers
	if c.Engine != trainer.EngineAuto {
		words = append(words, "--engine", c.Engine)
	}
	return append(words, o.Flags(base)...), nil
}
