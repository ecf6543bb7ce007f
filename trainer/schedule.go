package trainer

import "math"

// warmup is the share of all steps in which a cosine schedule rises.
const warmup = 0.02

// schedule sets the learning rate of the next step of an epoch, done names into it. It depends on nothing else, so a
// resumed run goes on as if it had not stopped.
func (f *fit) schedule(epoch, done int) {
	if f.Schedule != ScheduleCosine {
		return
	}
	at := (float64(epoch-1-f.first) + float64(done)/float64(f.Train.Len())) / float64(f.Epochs-f.first)
	rate := f.LearningRate * (1 + math.Cos(math.Pi*at)) / 2
	if at < warmup {
		rate *= (at + 1e-3) / (warmup + 1e-3) // the first step moves too
	}
	f.progress.LearningRate = rate
	f.session.SetLearningRate(rate)
}

// averageEvery is the steps between two samples of the running mean: copying the weights costs as much as a tenth of a
// step.
const averageEvery = 32

// average moves the running mean towards the weights. It starts with the first sample; the end of an epoch is always one.
func (f *fit) average(last bool) {
	if f.Average == 0 {
		return
	}
	if f.steps++; f.steps < averageEvery && !last {
		return
	}
	share := 1 - math.Pow(f.Average, float64(f.steps))
	f.steps = 0
	now := f.session.Weights()
	if now == nil {
		return // the device is lost: the next step or the end of the epoch tells
	}
	if len(f.mean) == 0 {
		f.mean = now
		return
	}
	f.mean.Towards(now, share)
}
