package main

import (
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"

	"github.com/degas-dns/degas/internal/printable"
)

// progress draws bars on a terminal and writes lines elsewhere, both to stderr.
type progress struct {
	*command
	mu   sync.Mutex
	bars *mpb.Progress // nil where lines are written
	open map[string]*bar
}

type bar struct {
	*mpb.Bar
	began time.Time
	from  int64
	note  atomic.Value // a string: mpb reads it while set holds progress.mu and waits for mpb
}

func (c *command) progress() *progress {
	p := &progress{command: c, open: map[string]*bar{}}
	if c.terminal && !c.quiet {
		p.bars = mpb.New(mpb.WithOutput(c.err), mpb.WithWidth(40), mpb.WithRefreshRate(150*time.Millisecond))
	}
	return p
}

// line writes one line of progress where no bars are drawn.
func (p *progress) line(format string, args ...any) {
	if p.bars == nil && !p.quiet {
		printable.Fprintf(p.err, format+"\n", args...)
	}
}

// say writes one line of progress, above the bars while there are any.
func (p *progress) say(format string, args ...any) {
	if p.quiet {
		return
	}
	if p.bars != nil {
		if _, err := printable.Fprintf(p.bars, format+"\n", args...); err == nil {
			return
		}
	}
	printable.Fprintf(p.err, format+"\n", args...)
}

// set moves the named bar, which appears on its first call and goes when it is full. unit is what is counted ("names").
// There is no bar once mpb has given up, as it does when the terminal goes away.
func (p *progress) set(name, unit string, done, total int64, note string) {
	if p.bars == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	b := p.open[name]
	if b == nil {
		b = &bar{began: time.Now(), from: done}
		var err error
		b.Bar, err = p.bars.Add(max(total, 0), mpb.BarStyle().Build(), mpb.BarRemoveOnComplete(),
			mpb.PrependDecorators(decor.Name(printable.Terminal(name)+" ")),
			mpb.AppendDecorators(decor.Any(func(st decor.Statistics) string { return b.status(st, unit) })))
		if err != nil {
			return
		}
		p.open[name] = b
	}
	b.note.Store(note)
	if total > 0 {
		b.SetTotal(total, false)
	}
	b.SetCurrent(done)
	if total > 0 && done >= total {
		b.SetTotal(total, true)
		delete(p.open, name)
	}
}

// status is what stands behind a bar: rate, time left and the note.
func (b *bar) status(st decor.Statistics, unit string) string {
	parts := []string{}
	seconds := time.Since(b.began).Seconds()
	if rate := float64(st.Current-b.from) / seconds; rate > 0 {
		parts = append(parts, short(rate)+" "+unit+"/s")
		if left := float64(st.Total-st.Current) / rate; st.Total > 0 && left >= 1 {
			parts = append(parts, (time.Duration(left)*time.Second).String()+" left")
		}
	}
	if note, _ := b.note.Load().(string); note != "" {
		parts = append(parts, note)
	}
	return " " + strings.Join(parts, ", ")
}

// close ends all bars and leaves the terminal clean. It may be called twice.
func (p *progress) close() {
	if p.bars == nil {
		return
	}
	p.mu.Lock()
	for name, b := range p.open {
		b.Abort(true)
		delete(p.open, name)
	}
	p.mu.Unlock()
	p.bars.Wait()
}

// counting shows a stage that counts something.
func (p *progress) counting(name, unit string) func(done, total int64) {
	return func(done, total int64) { p.set(name, unit, done, total, "") }
}

// short writes a number with three digits and a unit prefix: 1.23k, 45.6M.
func short(x float64) string {
	for _, u := range []struct {
		size float64
		name string
	}{{1e9, "G"}, {1e6, "M"}, {1e3, "k"}} {
		if x >= u.size {
			return fmt.Sprintf("%.3g%s", x/u.size, u.name)
		}
	}
	return fmt.Sprintf("%.0f", x)
}
