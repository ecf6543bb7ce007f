package trainer

import "context"

// blendRate is the blend epoch's learning rate as a share of the training's: what lies between its weights and those
// before is to be a model too. blendInvent is its share of invented names; it would forget known families without the
// others.
const (
	blendRate   = 0.35
	blendInvent = 0.8
)

// blend trains the best epoch's weights for one more epoch, in which most malicious names are of invented families, and
// keeps weights on the line between both (WiSE-FT: Wortsman et al. 2022, arXiv:2109.01903). What a network knows of its
// families by heart decides which benign names it takes for theirs, and so which unknown families it finds at few false
// positives.
func (f *fit) blend(ctx context.Context) error {
	p := &f.progress
	if p.Blended != nil { // an earlier call did it
		return nil
	}
	state, err := f.session.State() // a longer training goes on from here
	if err != nil {
		return err
	}
	f.close()
	g := &fit{task: f.task, options: f.options, observer: f.observer, kindWeights: f.kindWeights,
		blendFrom: f.best, epochsBefore: p.Epoch}
	o := &g.options
	g.task.Initial, o.Epochs, o.Schedule, o.Average = f.best, p.Epoch+1, ScheduleCosine, 0
	o.LearningRate, o.Invent = blendRate*o.LearningRate, max(blendInvent, o.Invent)
	defer g.close()
	if err := g.start(ctx); err != nil {
		return err
	}
	g.progress.Epoch = p.Epoch
	e, weights, err := g.trainAndValidate(ctx)
	if err != nil {
		return err
	}
	e.Best, e.Blend = true, o.Blend
	p.Blended, f.blended = e, weights
	if f.task.Store != nil {
		if err := f.save(state); err != nil {
			return err
		}
	}
	f.tell(e)
	return nil
}
