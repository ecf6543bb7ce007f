package trainer

import "math"

// warmup is the share of all steps in which a cosine schedule rises.
const warmup = 0.02

// schedule sets the learning rate of the next step of an epoch, done names into it. It depends on nothing else, so a
// resumed run goes on as if it had not stopped.
func (f *fit) schedule(epoch, done int) {
	o := &f.options
	if o.Schedule != ScheduleCosine {
		return
	}
	at := float64(epoch-1-f.epochsBefore) + float64(done)/float64(f.task.Train.Len())
	at /= float64(o.Epochs - f.epochsBefore)
	rate := o.LearningRate * (1 + math.Cos(math.Pi*at)) / 2
	if at < warmup {
		rate *= (at + 1e-3) / (warmup + 1e-3) // the first step moves too
	}
	f.progress.LearningRate = rate
	f.session.SetLearningRate(rate)
}

// averageEvery is the steps between two moves of the running mean: copying the weights costs as much as a tenth of a
// step.
const averageEvery = 32

// average moves the running mean towards the weights every averageEvery steps and after an epoch's last step. The mean
// starts with the first weights.
func (f *fit) average(last bool) error {
	if f.options.Average == 0 {
		return nil
	}
	if f.sinceMean++; f.sinceMean < averageEvery && !last {
		return nil
	}
	share := 1 - math.Pow(f.options.Average, float64(f.sinceMean))
	f.sinceMean = 0
	now, err := f.session.Weights()
	if err != nil {
		return err
	}
	if len(f.mean) == 0 {
		f.mean = now
	} else {
		f.mean.Towards(now, share)
	}
	return nil
}
