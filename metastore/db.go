package metastore

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"coffer/cipher"
)

const (
	maxAttempts = 64 // runs of one Update before ErrConflict is returned
	// From the laneAfter-th conflict on a transaction runs alone among those that
	// got as far, so that many writers of one key make progress one by one
	// instead of keeping each other from it.
	laneAfter  = 3
	minBackoff = 100 * time.Microsecond // doubles with each conflict

	arenaSize    = 8 << 10   // what a transaction's arena begins with
	maxIdleArena = 256 << 10 // larger arenas are left to the garbage collector
)

// DB is the store that the engine uses: a Driver whose values are sealed.
type DB struct {
	driver Driver
	box    *cipher.Box
	arenas sync.Pool     // *[]byte
	lane   chan struct{} // held by the one contended transaction that runs
}

// New puts a DB over a driver. The driver stays the caller's: closing it closes
// the DB. Values are sealed with box.
func New(d Driver, box *cipher.Box) *DB {
	return &DB{
		driver: d,
		box:    box,
		arenas: sync.Pool{New: func() any { b := make([]byte, 0, arenaSize); return &b }},
		lane:   make(chan struct{}, 1),
	}
}

// View calls fn with a snapshot and returns its error.
func (db *DB) View(ctx context.Context, fn func(*View) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	snap, err := db.driver.Snapshot()
	if err != nil {
		return fmt.Errorf("metastore: open snapshot: %w", err)
	}
	defer snap.Release()
	v := &View{snap: snap, box: db.box}
	defer func() { v.ended = true }()
	return fn(v)
}

// Update calls fn with a transaction and applies it, durably, when fn returns
// nil. If a key read with GetForUpdate was written meanwhile fn is called again
// with a new one, up to a bound; it must not carry state from run to run. Any
// other error of fn than ErrConflict ends the Update and nothing is applied.
//
// An error of ctx means that nothing was applied; after ErrFailed it is unknown.
func (db *DB) Update(ctx context.Context, fn func(*Tx) error) error {
	arena := db.arenas.Get().(*[]byte)
	defer func() {
		if cap(*arena) <= maxIdleArena {
			db.arenas.Put(arena)
		}
	}()
	inLane := false
	for attempt := 1; ; attempt++ {
		err := db.attempt(ctx, fn, arena)
		if !errors.Is(err, ErrConflict) {
			return err
		}
		if attempt == maxAttempts {
			return fmt.Errorf("%w after %d attempts", err, attempt)
		}
		if inLane {
			continue // its rivals are the few that have yet to get here
		}
		if attempt < laneAfter {
			if err := pause(ctx, attempt); err != nil {
				return err
			}
			continue
		}
		select {
		case db.lane <- struct{}{}:
			inLane = true
			defer func() { <-db.lane }()
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// attempt runs fn once on a snapshot and applies what it wrote.
func (db *DB) attempt(ctx context.Context, fn func(*Tx) error, arena *[]byte) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	batch, err := db.run(fn, arena)
	if err != nil || len(batch.Writes) == 0 {
		return err
	}
	_, err = db.driver.Apply(ctx, batch)
	return err
}

// run calls fn and returns the batch it asks for. The snapshot ends before the
// batch is applied.
func (db *DB) run(fn func(*Tx) error, arena *[]byte) (Batch, error) {
	snap, err := db.driver.Snapshot()
	if err != nil {
		return Batch{}, fmt.Errorf("metastore: open snapshot: %w", err)
	}
	defer snap.Release()
	tx := &Tx{View: View{snap: snap, box: db.box}, arena: (*arena)[:0]}
	defer func() {
		tx.ended = true
		*arena = tx.arena
	}()
	if err := fn(tx); err != nil {
		return Batch{}, err
	}
	return Batch{Reads: tx.reads, Writes: tx.writes}, tx.err
}

// pause waits before the next attempt, longer after each, with jitter.
func pause(ctx context.Context, attempt int) error {
	d := minBackoff << (attempt - 1)
	t := time.NewTimer(d/2 + rand.N(d))
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
