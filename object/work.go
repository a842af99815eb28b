package object

import (
	"context"
	"errors"
	"time"

	"coffer/cipher"
)

// Work is a piece of sealing or opening that was done, or that failed.
type Work struct {
	Opened bool          // else sealed
	Mode   cipher.Mode   // of the object
	Bytes  int64         // of plaintext
	Took   time.Duration // with writing what was sealed, or reading what was to be opened
	Err    error         // an *Error without bucket and key: the key, the disk or the bytes are at fault
}

// worker tells Options.Observe what is done with a DataKey, until that is revoked.
type worker struct {
	observe func(Work)
	opened  bool
	mode    cipher.Mode
	revoked <-chan struct{}
}

// check fails once the key is revoked.
func (w worker) check() error {
	select {
	case <-w.revoked:
		return errKindf(KindUnavailable, "the key was revoked while it was used")
	default:
		return nil
	}
}

// did tells of n bytes that were worked on since start, or why they were not. What a client spoils, or gives up, is not
// told.
func (w worker) did(ctx context.Context, n int64, start time.Time, err error) {
	done := Work{Opened: w.opened, Mode: w.mode, Bytes: n, Took: time.Since(start)}
	if err != nil {
		kind := kindOfCause(err)
		if kind == KindInvalidRequest || kind == KindInvalidArgument || ctx.Err() != nil || errors.Is(err, context.Canceled) {
			return
		}
		done.Bytes, done.Err = 0, &Error{Op: "seal", Kind: kind, Err: err}
		if w.opened {
			done.Err = &Error{Op: "open", Kind: kind, Err: err}
		}
	}
	w.observe(done)
}

// sealer and opener are called before the key is asked for: see revocation.
func (s *Store) sealer(mode cipher.Mode) worker {
	return worker{s.opts.Observe, false, mode, s.revoked.next()}
}

func (s *Store) opener(mode cipher.Mode) worker {
	return worker{s.opts.Observe, true, mode, s.revoked.next()}
}

// mode is the mode of a record, whose zero value means SSE-S3.
func (e storedEncryption) mode() cipher.Mode { return orDefault(e.Mode, cipher.ModeSSES3) }
