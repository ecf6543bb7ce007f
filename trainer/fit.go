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
	// Blend is set in the blend epoch alone: the share of its weights in the model that was validated.
	Blend float64 `json:"blend,omitempty"`
}

// Observer is told how training goes on. Any function may be nil.
type Observer struct {
	// Begin is called by Train once, before names are read.
	Begin func(Beginning)
	// Step is called after steps: names done of total in the current epoch (from 1), and the epoch's mean loss so far.
	Step func(epoch, done, total int, loss float64)
	// Epoch is called after each epoch's validation.
	Epoch func(Epoch)
	// Validated is called before Epoch with the scores of the validation names, ascending, and which of the names are
	// malicious. The callee may keep both.
	Validated func(epoch int, scores []float64, malicious []bool)
}

// Beginning is what is known of a training before its first step.
type Beginning struct {
	Dir, Arch, Engine string
	Parameters        int
	Train, Validation int // names; those of validation whose label does not occur in training are counted, too
	Epochs            int // at most, the blend epoch included
	Blend             bool
	Resumed           bool
}

// Task is what Fit trains.
type Task struct {
	Spec       *model.Spec
	Engine     Engine
	Train      Names
	Validation *Set
	// Initial are the first weights; nil draws them from the seed.
	Initial model.Weights
	// Teacher is a model of the same labels whose judgement of a name is most of the name's target (Hinton et al. 2015,
	// arXiv:1503.02531); nil trains on labels alone.
	Teacher *model.Classifier
	// Store keeps checkpoints; nil keeps none.
	Store *Store
	// Resume continues from the store's checkpoint, if it has one.
	Resume bool
}

// Result is a finished training.
type Result struct {
	Weights model.Weights // of the epoch with the lowest validation loss, blended where Options.Blend asks for it
	Best    Epoch
	History []Epoch
	Stopped bool // by patience
}

// fit is a training under way.
type fit struct {
	// Set before the first step and only read from then on, also by the goroutines that encode names.
	task         Task
	options      Options
	observer     Observer
	kindWeights  []float32     // of the training names of each kind
	blendFrom    model.Weights // the weights that the blend epoch begins with; nil in all other epochs
	epochsBefore int           // epochs trained before the blend epoch; 0 in all other epochs

	// Only Fit's goroutine uses these.
	session    Session
	progress   Progress
	best       model.Weights // of the epoch with the lowest validation loss
	mean       model.Weights // the running mean of the weights, where Options.Average asks for one
	sinceMean  int           // steps since the running mean was moved
	blended    model.Weights // best and the blend epoch's weights, blended; empty before
	setKept    bool          // whether the whole training set is on the session's device
	deviceRoom int           // names that fit on the device, as far as is known; 0 before the first epoch
}

// Fit trains t.Spec until o.Epochs, or until patience runs out, and returns the best epoch's weights. The same task,
// options and engine give the same weights, also when the training was interrupted and resumed. It stops with ctx's
// error and keeps the last epoch's checkpoint.
func Fit(ctx context.Context, t Task, o Options, obs Observer) (*Result, error) {
	if err := o.Resolve(); err != nil {
		return nil, err
	}
	if t.Train.Len() == 0 || t.Validation.Len() == 0 {
		return nil, unstarted{fmt.Errorf("%d names to train on and %d to validate with: both need some",
			t.Train.Len(), t.Validation.Len())}
	}
	f := &fit{task: t, options: o, observer: obs, kindWeights: t.Train.shared().weights(len(t.Spec.Labels), o.ClassWeight)}
	defer f.close()
	if err := f.start(ctx); err != nil {
		return nil, unstarted{err}
	}
	if err := f.resume(); err != nil {
		return nil, unstarted{err}
	}
	p := &f.progress
	for p.Epoch < o.Epochs && !p.Stopped {
		if err := f.epoch(ctx); err != nil {
			return nil, err
		}
	}
	if o.Blend == 0 {
		return &Result{Weights: f.best, Best: p.History[p.Best-1], History: p.History, Stopped: p.Stopped}, nil
	}
	if err := f.blend(ctx); err != nil {
		return nil, err
	}
	return &Result{Weights: f.blended, Best: *p.Blended, History: p.all(), Stopped: p.Stopped}, nil
}

func (f *fit) close() {
	if f.session != nil {
		f.session.Close()
		f.session = nil
	}
}

// unstarted is why a training did not come to its first step.
type unstarted struct{ error }

func (u unstarted) Unwrap() error { return u.error }

func (f *fit) start(ctx context.Context) (err error) {
	o, w, share := &f.options, f.task.Initial, 0.0
	if f.task.Teacher != nil {
		share = taught
	}
	if w == nil {
		if w, err = model.Initial(f.task.Spec, model.SubSeed(o.Seed, "weights")); err != nil {
			return err
		}
	}
	f.progress = Progress{LearningRate: o.LearningRate, BestLoss: math.MaxFloat64}
	f.session, err = f.task.Engine.Start(ctx, Setup{
		Spec:           f.task.Spec,
		Weights:        w,
		BatchSize:      o.BatchSize,
		Workers:        o.Workers,
		Seed:           model.SubSeed(o.Seed, "dropout"),
		Optimizer:      o.Optimizer,
		LearningRate:   o.LearningRate,
		WeightDecay:    o.WeightDecay,
		LabelSmoothing: o.LabelSmoothing,
		Taught:         share,
		Precision:      o.Precision,
	})
	return err
}

// resume puts the session into the checkpoint's state, where the task asks for it.
func (f *fit) resume() error {
	if f.task.Store == nil || !f.task.Resume {
		return nil
	}
	c, err := f.task.Store.Load(f.task.Spec)
	if errors.Is(err, ErrNoCheckpoint) {
		return nil // it was interrupted in its first epoch
	} else if err != nil {
		return err
	}
	if err := f.task.Store.settle(c); err != nil { // a kill may have come between the checkpoint and this
		return err
	}
	f.progress, f.best, f.mean, f.blended = c.Progress, c.Best, c.Mean, c.Blend
	f.progress.Stopped = f.impatient()
	f.session.SetLearningRate(f.progress.LearningRate)
	return f.session.Restore(c.State)
}

// impatient reports whether validation has not improved for Options.Patience epochs.
func (f *fit) impatient() bool {
	return f.options.Patience > 0 && f.progress.SinceBest >= f.options.Patience
}

// epoch trains once over all names, validates, adjusts and saves.
func (f *fit) epoch(ctx context.Context) error {
	e, weights, err := f.trainAndValidate(ctx)
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
	if f.task.Store != nil {
		state, err := f.session.State()
		if err != nil {
			return err // the checkpoint of the epoch before stays
		}
		if err := f.save(state); err != nil {
			return err
		}
	}
	f.tell(e)
	return nil
}

// save keeps the training as it is, to go on from state.
func (f *fit) save(state State) error {
	return f.task.Store.Save(Checkpoint{Progress: f.progress, State: state, Best: f.best, Mean: f.mean, Blend: f.blended})
}

func (f *fit) tell(e *Epoch) {
	if f.observer.Epoch != nil {
		f.observer.Epoch(*e)
	}
}

// trainAndValidate trains once over all names and validates the weights that come of it.
func (f *fit) trainAndValidate(ctx context.Context) (*Epoch, model.Weights, error) {
	e := &Epoch{Epoch: f.progress.Epoch + 1}
	began := time.Now()
	var err error
	if e.TrainLoss, err = f.train(ctx, e.Epoch); err != nil {
		return nil, nil, err
	}
	e.LearningRate, e.NamesPerSecond = f.progress.LearningRate, float64(f.task.Train.Len())/time.Since(began).Seconds()
	weights, err := f.session.Weights()
	if err != nil {
		return nil, nil, err
	}
	if f.options.Average > 0 {
		weights = f.mean.Clone()
	}
	if err := weights.Check(f.task.Spec); err != nil {
		return nil, nil, errors.Join(f.checkLoss(e.Epoch, f.task.Train.Len(), math.NaN()), err)
	}
	if f.blendFrom != nil {
		weights.Towards(f.blendFrom, 1-f.options.Blend)
	}
	score, err := f.scorer(weights)
	if err != nil {
		return nil, nil, err
	}
	scores, malicious, err := validate(ctx, score, len(f.task.Spec.Labels), f.task.Validation, e)
	if err != nil {
		return nil, nil, err
	}
	if f.observer.Validated != nil {
		f.observer.Validated(e.Epoch, scores, malicious)
	}
	e.Seconds = time.Since(began).Seconds()
	return e, weights, nil
}

// adjust notes whether e is the best epoch, lowers the learning rate on a plateau and stops when patience runs out.
func (f *fit) adjust(e *Epoch) {
	p, o := &f.progress, &f.options
	if e.ValidationLoss < p.BestLoss {
		p.BestLoss, p.Best, p.SinceBest, p.SinceDrop, e.Best = e.ValidationLoss, e.Epoch, 0, 0, true
		return
	}
	p.SinceBest++
	p.SinceDrop++
	plateau := o.Schedule == SchedulePlateau && o.PlateauPatience > 0 && p.SinceDrop >= o.PlateauPatience
	if plateau && p.LearningRate > o.MinRate {
		p.LearningRate, p.SinceDrop = max(p.LearningRate*o.PlateauFactor, o.MinRate), 0
		f.session.SetLearningRate(p.LearningRate)
	}
	p.Stopped = f.impatient()
}

// train does one epoch's steps and returns the mean loss.
func (f *fit) train(ctx context.Context, epoch int) (float64, error) {
	if r := f.resident(); r != nil {
		return f.trainOnDevice(ctx, r, epoch)
	}
	ready, stop := f.feed(ctx, epoch)
	defer stop()
	var sum float64
	done, total := 0, f.task.Train.Len()
	for b := range ready {
		if b.err != nil {
			return 0, b.err
		}
		f.schedule(epoch, done)
		loss, err := f.session.Step(ctx, b.item)
		if err != nil {
			return 0, err
		}
		if err := f.checkLoss(epoch, done, loss); err != nil {
			return 0, err
		}
		done += len(b.item.Labels)
		sum += loss * float64(len(b.item.Labels))
		b.release()
		if err := f.average(done == total); err != nil {
			return 0, err
		}
		if f.observer.Step != nil {
			f.observer.Step(epoch, done, total, sum/float64(done))
		}
	}
	return sum / float64(done), ctx.Err()
}

// checkLoss returns ErrDiverged, with what to do about it, where a loss is not finite.
func (f *fit) checkLoss(epoch, done int, loss float64) error {
	if !math.IsNaN(loss) && !math.IsInf(loss, 0) {
		return nil
	}
	kept := "no checkpoint was written yet"
	if f.task.Store != nil && f.progress.Epoch > 0 {
		kept = fmt.Sprintf("the checkpoint of epoch %d is kept in %s", f.progress.Epoch, f.task.Store.Dir)
	}
	return fmt.Errorf("%w: the loss became %v in epoch %d after %d names; %s. "+
		"Try: another run with a lower --learning-rate than %g",
		ErrDiverged, loss, epoch, done, kept, f.progress.LearningRate)
}
