package trainer

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/degas-dns/degas/model"
)

// ErrDiverged is returned when the loss is no number any more.
var ErrDiverged = errors.New("training diverged")

// Epoch is one line of history.jsonl.
type Epoch struct {
	Epoch              int     `json:"epoch"` // from 1
	TrainLoss          float64 `json:"train_loss"`
	ValidationLoss     float64 `json:"validation_loss"`
	ValidationAUC      float64 `json:"validation_auc"` // of benign against the rest; 0 when one side is empty
	ValidationAccuracy float64 `json:"validation_accuracy"`
	LearningRate       float64 `json:"learning_rate"`
	Best               bool    `json:"best"` // the lowest validation loss so far
	Seconds            float64 `json:"seconds"`
	NamesPerSecond     float64 `json:"names_per_second"` // of training alone
	// Blend is the share that this epoch's weights have in what was validated, of the one that Options.Blend adds.
	Blend float64 `json:"blend,omitempty"`
}

// Observer is told how training goes on. Any function may be nil.
type Observer struct {
	// Step is called after steps: names done of total in the current epoch (from 1), and the epoch's mean loss so far.
	Step func(epoch, done, total int, loss float64)
	// Epoch is called after each epoch's validation.
	Epoch func(Epoch)
	// Validated is called before it, with the scores of the validation names and which of them are malicious, in no order
	// that means anything. They are the callee's.
	Validated func(epoch int, scores []float64, malicious []bool)
}

// Task is what Fit trains.
type Task struct {
	Spec              *model.Spec
	Engine            Engine
	Train, Validation *Set
	// Initial are the first weights; nil draws them from the seed.
	Initial model.Weights
	// Store keeps checkpoints; nil keeps none.
	Store *Store
	// Resume continues from the store's checkpoint, if it has one.
	Resume bool
}

// Result is a finished training.
type Result struct {
	Weights model.Weights // of the epoch with the lowest validation loss, or those that Options.Blend makes of them
	Best    Epoch
	History []Epoch
	Stopped bool // by patience
}

// fit is a training under way.
type fit struct {
	Task
	Options
	Observer
	session  Session
	progress Progress
	best     model.Weights
	steps    int           // since the running mean was moved
	mean     model.Weights // the running mean of the weights, where Average asks for one
	weights  []float32     // a group
	blended  model.Weights // what Blend made of best; empty before
	before   model.Weights // in the epoch that Blend adds: the weights that it began with
	first    int           // epochs before it
	kept     bool          // the training set is where a resident session has it
	room     int           // names that fit there, as far as is known
}

// Fit trains t.Spec until o.Epochs, or until patience runs out, and returns the best epoch's weights. The same task,
// options and engine give the same weights, also when the training was interrupted and resumed. It stops with ctx's
// error, leaving the last epoch's checkpoint.
func Fit(ctx context.Context, t Task, o Options, obs Observer) (*Result, error) {
	if err := o.Resolve(); err != nil {
		return nil, err
	}
	if t.Train.Len() == 0 || t.Validation.Len() == 0 {
		return nil, unstarted{fmt.Errorf("%d names to train on and %d to validate with: both need some", t.Train.Len(), t.Validation.Len())}
	}
	f := &fit{Task: t, Options: o, Observer: obs, weights: t.Train.weights(len(t.Spec.Labels), o.ClassWeight)}
	defer f.close()
	if err := f.start(ctx); err != nil {
		return nil, unstarted{err}
	}
	for f.progress.Epoch < o.Epochs && !f.progress.Stopped {
		if err := f.epoch(ctx); err != nil {
			return nil, err
		}
	}
	p := &f.progress
	if o.Blend == 0 {
		return &Result{Weights: f.best, Best: p.History[p.Best-1], History: p.History, Stopped: p.Stopped}, nil
	}
	if err := f.blend(ctx); err != nil {
		return nil, err
	}
	return &Result{Weights: f.blended, Best: *p.Blended, History: p.all(), Stopped: p.Stopped}, nil
}

// close gives the session's memory back.
func (f *fit) close() {
	if f.session != nil {
		f.session.Close()
		f.session = nil
	}
}

// unstarted is why a training did not come to its first step.
type unstarted struct{ error }

func (u unstarted) Unwrap() error { return u.error }

// start makes the session, fresh or from the checkpoint.
func (f *fit) start(ctx context.Context) error {
	w, err := f.Initial.Clone(), error(nil)
	if f.Initial == nil {
		w, err = model.Initial(f.Spec, model.SubSeed(f.Seed, "weights"))
	}
	if err != nil {
		return err
	}
	f.progress = Progress{LearningRate: f.LearningRate, BestLoss: math.MaxFloat64}
	f.session, err = f.Engine.Start(ctx, Setup{Spec: f.Spec, Weights: w, BatchSize: f.BatchSize, Workers: f.Workers, Seed: model.SubSeed(f.Seed, "dropout"), Optimizer: f.Optimizer, LearningRate: f.LearningRate,
		WeightDecay: f.WeightDecay, LabelSmoothing: f.LabelSmoothing, Precision: f.Precision})
	if err != nil || f.Store == nil || !f.Resume {
		return err
	}
	c, err := f.Store.Load()
	if errors.Is(err, ErrNoCheckpoint) {
		return nil // it was interrupted in its first epoch
	} else if err != nil {
		return err
	}
	f.progress, f.best, f.mean, f.blended = c.Progress, c.Best, c.Mean, c.Blend
	f.progress.Stopped = f.Patience > 0 && f.progress.SinceBest >= f.Patience
	f.session.SetLearningRate(f.progress.LearningRate)
	return f.session.Restore(c.State)
}

// epoch trains once over all names, validates, adjusts and saves.
func (f *fit) epoch(ctx context.Context) error {
	e, weights, err := f.once(ctx)
	if err != nil {
		return err
	}
	p := &f.progress
	p.Epoch++
	f.adjust(e)
	if e.Best {
		f.best = weights
	}
	p.History = append(p.History, *e)
	p.Blended, f.blended = nil, nil
	if f.Store != nil {
		state := f.session.State()
		if state.Weights == nil {
			return f.lost(ctx)
		}
		if err := f.save(state); err != nil {
			return err
		}
	}
	if f.Observer.Epoch != nil {
		f.Observer.Epoch(*e)
	}
	return nil
}

// save keeps the training as it is, to go on from state.
func (f *fit) save(state State) error {
	return f.Store.Save(Checkpoint{Progress: f.progress, State: state, Best: f.best, Mean: f.mean, Blend: f.blended})
}

// once trains over all names and validates the weights that come of it.
func (f *fit) once(ctx context.Context) (*Epoch, model.Weights, error) {
	p := &f.progress
	began := time.Now()
	loss, err := f.train(ctx, p.Epoch+1)
	if err != nil {
		return nil, nil, err
	}
	trained := time.Since(began).Seconds()
	weights := f.session.Weights()
	if weights == nil {
		return nil, nil, f.lost(ctx)
	}
	if f.Average > 0 {
		weights = f.mean.Clone()
	}
	if err := weights.Check(f.Spec); err != nil {
		return nil, nil, errors.Join(f.diverged(p.Epoch+1, f.Train.Len(), math.NaN()), err)
	}
	if f.before != nil {
		weights.Towards(f.before, 1-f.Blend)
	}
	e := &Epoch{Epoch: p.Epoch + 1, TrainLoss: loss, LearningRate: p.LearningRate, NamesPerSecond: float64(f.Train.Len()) / trained}
	score, err := f.scorer(weights)
	if err != nil {
		return nil, nil, err
	}
	scores, malicious, err := validate(ctx, score, len(f.Spec.Labels), f.Validation, e)
	if err != nil {
		return nil, nil, err
	}
	if f.Validated != nil {
		f.Validated(e.Epoch, scores, malicious)
	}
	e.Seconds = time.Since(began).Seconds()
	return e, weights, nil
}

// lost is why the session's device does not give its memory back; the checkpoint of the epoch before stays.
func (f *fit) lost(ctx context.Context) error {
	if _, err := f.session.Step(ctx, &Batch{}); err != nil {
		return err
	}
	return errors.New("the device was lost")
}

// adjust notes whether e is the best epoch, lowers the learning rate on a plateau and stops when patience runs out.
func (f *fit) adjust(e *Epoch) {
	p := &f.progress
	if e.ValidationLoss < p.BestLoss {
		p.BestLoss, p.Best, p.SinceBest, p.SinceDrop, e.Best = e.ValidationLoss, e.Epoch, 0, 0, true
		return
	}
	p.SinceBest++
	p.SinceDrop++
	if f.Schedule == SchedulePlateau && f.PlateauPatience > 0 && p.SinceDrop >= f.PlateauPatience && p.LearningRate > f.MinRate {
		p.LearningRate, p.SinceDrop = max(p.LearningRate*f.PlateauFactor, f.MinRate), 0
		f.session.SetLearningRate(p.LearningRate)
	}
	p.Stopped = f.Patience > 0 && p.SinceBest >= f.Patience
}

// train does one epoch's steps and returns the mean loss.
func (f *fit) train(ctx context.Context, epoch int) (float64, error) {
	if r := f.resident(); r != nil {
		return f.walk(ctx, r, epoch)
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	var sum float64
	done, total := 0, f.Train.Len()
	for b := range f.feed(ctx, epoch) {
		f.schedule(epoch, done)
		loss, err := f.session.Step(ctx, &b.Batch)
		if err != nil {
			return 0, err
		}
		if math.IsNaN(loss) || math.IsInf(loss, 0) {
			return 0, f.diverged(epoch, done, loss)
		}
		done += len(b.Labels)
		sum += loss * float64(len(b.Labels))
		b.release()
		f.average(done == total)
		if f.Observer.Step != nil {
			f.Observer.Step(epoch, done, total, sum/float64(done))
		}
	}
	return sum / float64(done), ctx.Err()
}

func (f *fit) diverged(epoch, done int, loss float64) error {
	kept := "no checkpoint was written yet"
	if f.Store != nil && f.progress.Epoch > 0 {
		kept = fmt.Sprintf("the checkpoint of epoch %d is kept in %s", f.progress.Epoch, f.Store.Dir)
	}
	return fmt.Errorf("%w: the loss became %v in epoch %d after %d names; %s. Try: another run with a lower --learning-rate than %g",
		ErrDiverged, loss, epoch, done, kept, f.progress.LearningRate)
}
