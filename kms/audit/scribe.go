package audit

import (
	"fmt"
	"log/slog"
	"time"
)

// Bounds of the writing goroutine.
const (
	groupBytes = 256 << 10              // lines that are gathered for one write
	groupItems = 1024                   // items that are taken before those who wait are served
	firstPause = 5 * time.Millisecond   // after the first failure of the disk; doubled each time
	lastPause  = 500 * time.Millisecond // the longest
)

// scribe is the goroutine that writes.
type scribe struct {
	*writer
	queue    <-chan item
	abort    <-chan struct{}
	interval time.Duration
	logger   *slog.Logger
	status   *status
	free     func(*[]byte)

	opened  uint64         // number of the last line when the process began
	waiters []chan<- error // flushes whose lines are with the writer
	ended   bool           // the queue is closed and empty
	dropped uint64         // lines that had no place when the writer gave up
}

// run writes until the queue is closed, then seals the log. When it had to give
// up, it lets everybody who waits know, and leaves the reason in the status.
func (s *scribe) run() {
	defer s.writer.close()
	s.opened = s.chain.at.Seq
	err := s.serve()
	if err == nil {
		s.add(line{Time: s.now(), Kind: kindStop})
		err = s.persist(func() error { return s.seal(true) })
	}
	if err == nil {
		s.tell()
		s.moor(true)
		return
	}
	lost := s.chain.at.Seq - s.state.Head.Seq + s.dropped
	s.answer(err)
	for it := range s.queue {
		if it.flush != nil {
			it.flush <- err
		} else {
			lost++
		}
	}
	s.status.fault(fmt.Errorf("close the audit log: %d lines may be lost: %w", lost, err))
}

// serve takes items in groups.
func (s *scribe) serve() error {
	timer := time.NewTimer(s.interval)
	defer timer.Stop()
	timer.Stop()
	armed := false
	for !s.ended {
		due := false
		select {
		case it, open := <-s.queue:
			if err := s.take(it, open); err != nil {
				return err
			}
		case <-timer.C:
			armed, due = false, true
		}
		if err := s.settle(due || len(s.waiters) > 0); err != nil {
			return err
		}
		switch unsealed := len(s.pending) > 0; {
		case unsealed && !armed:
			timer.Reset(s.interval)
		case !unsealed && armed:
			timer.Stop()
		}
		armed = len(s.pending) > 0
	}
	return nil
}

// take takes an item and those that wait behind it, up to a bound.
func (s *scribe) take(it item, open bool) error {
	for n := 1; ; n++ {
		if !open {
			s.ended = true
			return nil
		}
		if it.flush != nil {
			s.waiters = append(s.waiters, it.flush)
		} else if err := s.write(it.line); err != nil {
			return err
		}
		if n == groupItems || len(s.pending)-s.written >= groupBytes {
			return nil
		}
		select {
		case it, open = <-s.queue:
		default:
			return nil
		}
	}
}

// write puts a line behind the others.
func (s *scribe) write(rest *[]byte) error {
	defer s.free(rest)
	rotate, seal := s.full()
	if rotate {
		if err := s.persist(s.rotate); err != nil {
			s.dropped++
			return err
		}
		s.status.note(func(st *Stats) { st.Files++ })
		s.tell()
	} else if seal {
		if err := s.settle(true); err != nil {
			s.dropped++
			return err
		}
	}
	s.append(*rest)
	return nil
}

// settle writes what was taken, and seals it when it is time to.
func (s *scribe) settle(seal bool) error {
	if !seal {
		err := s.persist(s.push)
		s.status.note(func(st *Stats) { st.Lines = s.lines() })
		return err
	}
	if err := s.persist(func() error { return s.seal(false) }); err != nil {
		return err
	}
	s.tell()
	s.answer(nil)
	s.moor(false)
	return nil
}

// lines is how many lines were written since the log was opened.
func (s *scribe) lines() uint64 { return s.chain.at.Seq - s.opened }

// tell publishes what is sealed.
func (s *scribe) tell() {
	s.status.note(func(st *Stats) {
		st.Lines, st.Head = s.lines(), s.state.Head
		st.Seals++
	})
}

// answer tells those who wait for a flush.
func (s *scribe) answer(err error) {
	for _, w := range s.waiters {
		w <- err
	}
	s.waiters = s.waiters[:0]
}

// persist takes a step again and again until it succeeds or nobody waits for it
// any more.
func (s *scribe) persist(step func() error) error {
	err := step()
	if err == nil {
		return nil
	}
	s.status.fault(err)
	s.logger.Error("the audit log cannot be written, lines wait", "error", err)
	for pause := firstPause; err != nil; pause = min(2*pause, lastPause) {
		select {
		case <-s.abort:
			return err
		case <-time.After(pause):
		}
		if err = step(); err != nil {
			s.status.fault(err)
		}
	}
	s.status.fault(nil)
	s.logger.Info("the audit log is written again")
	return nil
}
