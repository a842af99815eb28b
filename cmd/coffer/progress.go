package main

import (
	"fmt"
	"io"
	"sync/atomic"
	"time"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"
)

// lineEvery is the least time between two lines of progress.
const lineEvery = 5 * time.Second

// progress shows how far something is, of a total that is 0 where nobody knows it, and what it waits for, if anything.
type progress interface {
	show(done, total int64, waiting string)
	end() // leaves what was shown last
}

// newProgress is a bar on a terminal, else lines.
func newProgress(w io.Writer, terminal bool, what string) progress {
	if terminal {
		return &progressBar{out: w, what: what}
	}
	return &progressLines{out: w, what: what, now: time.Now}
}

// progressBar draws a bar, which appears with the first number.
type progressBar struct {
	out  io.Writer
	what string
	all  *mpb.Progress
	bar  *mpb.Bar

	waiting atomic.Pointer[string] // is read when it draws
}

func (b *progressBar) show(done, total int64, waiting string) {
	if waiting != "" {
		waiting = " waiting for " + waiting
	}
	b.waiting.Store(&waiting)
	if b.bar == nil {
		b.all = mpb.New(mpb.WithOutput(b.out), mpb.WithWidth(60), mpb.WithAutoRefresh()) // the caller knows a terminal
		name, waits := decor.Name(b.what+" "), decor.Any(func(decor.Statistics) string { return *b.waiting.Load() })
		if total == 0 {
			b.bar = b.all.New(0, mpb.SpinnerStyle(), mpb.PrependDecorators(name), mpb.AppendDecorators(decor.CurrentNoUnit("%d"), waits))
		} else {
			b.bar = b.all.New(total, mpb.BarStyle(), mpb.PrependDecorators(name), mpb.AppendDecorators(decor.CountersNoUnit("%d of %d"), waits))
		}
	}
	if total > 0 {
		b.bar.SetTotal(max(total, done), false)
	}
	b.bar.SetCurrent(done)
}

func (b *progressBar) end() {
	if b.bar == nil {
		return
	}
	b.bar.Abort(false)
	b.all.Wait()
}

// progressLines prints a line now and then, and the last one at the end.
type progressLines struct {
	out  io.Writer
	what string
	now  func() time.Time

	at            time.Time
	line, printed string
}

func (l *progressLines) show(done, total int64, waiting string) {
	l.line = fmt.Sprintf("%s: %d", l.what, done)
	if total > 0 {
		l.line += fmt.Sprintf(" of %d", max(total, done))
	}
	if waiting != "" {
		l.line += ", waiting for " + waiting
	}
	if now := l.now(); now.Sub(l.at) >= lineEvery {
		l.at = now
		l.print()
	}
}

func (l *progressLines) end() { l.print() }

func (l *progressLines) print() {
	if l.line != l.printed {
		fmt.Fprintln(l.out, l.line)
		l.printed = l.line
	}
}
