package main

import (
	"fmt"
	"time"

	"github.com/degas-dns/degas/internal/printable"
	"github.com/degas-dns/degas/trainer"
)

// lineEvery is how often a training says where it is, where no terminal shows a bar.
const lineEvery = 30 * time.Second

// training shows a training: what is trained, then epochs, with a bar on a terminal and a line now and then elsewhere.
func (p *progress) training() trainer.Observer {
	t := &trainingLines{progress: p, now: time.Now}
	return trainer.Observer{Begin: t.begin, Step: t.step, Epoch: t.epoch}
}

// trainingLines is one training, or several one after another.
type trainingLines struct {
	*progress
	now func() time.Time

	beginning trainer.Beginning // zero where it is not known
	first     int               // the first epoch that was trained here; 0 before it
	epochNow  int               // the epoch of the last step
	doneNow   int               // and its names done
	began     time.Time         // when its first step ended
	skipped   int               // names done at that time
	last      time.Time         // when the last line was written
}

func (t *trainingLines) begin(b trainer.Beginning) {
	*t = trainingLines{progress: t.progress, now: t.now, beginning: b}
	resumed, blend := "", ""
	if b.Resumed {
		resumed = ", resumed"
	}
	if b.Blend {
		blend = ", the last on invented names"
	}
	t.say("run %s%s: %s, %s parameters; %s names to train and %s to validate; at most %d epochs%s; engine %s",
		b.Dir, resumed, b.Arch, printable.Grouped(b.Parameters), printable.Grouped(b.Train), printable.Grouped(b.Validation),
		b.Epochs,
		blend, b.Engine)
}

func (t *trainingLines) step(epoch, done, total int, loss float64) {
	now := t.now()
	if epoch < t.epochNow || epoch == t.epochNow && done < t.doneNow {
		t.first = 0 // the next training, of a protocol
	}
	t.epochNow, t.doneNow = epoch, done
	if t.first == 0 {
		t.first, t.began, t.skipped, t.last = epoch, now, done, now
	}
	t.set(t.name(epoch), "names", int64(done), int64(total), fmt.Sprintf("loss %.4f", loss))
	if t.bars != nil || now.Sub(t.last) < lineEvery {
		return
	}
	t.last = now
	t.line("%s: %s of %s names, loss %.4f%s", t.name(epoch), printable.Grouped(done), printable.Grouped(total), loss,
		t.left(now, epoch, done, total))
}

// left is the time that the training takes until its last epoch, or the epoch where that is not known.
func (t *trainingLines) left(now time.Time, epoch, done, total int) string {
	trained := (epoch-t.first)*total + done - t.skipped
	if trained <= 0 {
		return ""
	}
	names, most := total-done, ""
	if more := t.beginning.Epochs - epoch; more > 0 {
		names, most = names+more*total, "at most "
	}
	left := time.Duration(float64(now.Sub(t.began)) / float64(trained) * float64(names))
	return fmt.Sprintf(", %s%s left", most, left.Round(time.Second))
}

// name is how an epoch is called: "epoch 2 of 7".
func (t *trainingLines) name(epoch int) string {
	if t.beginning.Epochs == 0 {
		return fmt.Sprintf("epoch %d", epoch)
	}
	return fmt.Sprintf("epoch %d of %d", epoch, t.beginning.Epochs)
}

func (t *trainingLines) epoch(e trainer.Epoch) {
	t.last = t.now()
	name := fmt.Sprintf("epoch %3d", e.Epoch)
	if of := t.beginning.Epochs; of > 0 {
		name += fmt.Sprintf(" of %d", of)
	}
	best := ""
	if e.Best {
		best = "  best"
	}
	if e.Blend > 0 {
		name, best = name+" (invented names)", ""
	}
	t.say("%s  loss %.4f  validation loss %.4f  AUC %.4f  accuracy %.4f  %s names/s  %.1f s%s",
		name, e.TrainLoss, e.ValidationLoss, e.ValidationAUC, e.ValidationAccuracy,
		short(e.NamesPerSecond), e.Seconds, best)
}

// why is why the weights of an epoch are kept.
func why(e trainer.Epoch) string {
	if e.Blend > 0 {
		return "because the blend with the epoch on invented names always is"
	}
	return "the lowest validation loss"
}
