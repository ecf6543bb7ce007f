package trainer

import "context"

// The epoch that Blend adds. What lies between its weights and those before is to be a model too, so its learning rate is
// a part of the training's; and it goes on seeing some of the families, or their names would be lost for nothing gained.
const (
	blendRate   = 0.35
	blendInvent = 0.8
)

// blend goes on from the best epoch for one more in which most malicious names are of invented families, and keeps weights
// on the line between both (WiSE-FT: Wortsman et al. 2022, arXiv:2109.01903). What a network knows of its families by heart
// decides which benign names it takes for theirs, and so what is left of families that nobody has at few false alarms.
func (f *fit) blend(ctx context.Context) error {
	p := &f.progress
	if p.Blended != nil { // an earlier call did it
		return nil
	}
	state := f.session.State() // a longer training goes on from here
	if state.Weights == nil {
		return f.lost(ctx)
	}
	f.close()
	g := &fit{Task: f.Task, Options: f.Options, Observer: f.Observer, weights: f.weights, before: f.best, first: p.Epoch}
	g.Initial, g.Resume = f.best, false
	g.Epochs, g.Schedule, g.LearningRate, g.Invent, g.Average = p.Epoch+1, ScheduleCosine, blendRate*f.LearningRate, max(blendInvent, f.Invent), 0
	defer g.close()
	if err := g.start(ctx); err != nil {
		return err
	}
	g.progress.Epoch = p.Epoch
	e, weights, err := g.once(ctx)
	if err != nil {
		return err
	}
	e.Best, e.Blend = true, f.Blend
	p.Blended, f.blended = e, weights
	if f.Store != nil {
		if err := f.save(state); err != nil {
			return err
		}
	}
	if f.Observer.Epoch != nil {
		f.Observer.Epoch(*e)
	}
	return nil
}
