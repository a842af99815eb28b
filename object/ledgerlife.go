package object

import (
	"bytes"
	"context"
	"errors"
	"time"

	"coffer/metastore"
)

// open folds what former runs left in tallies, before anybody writes, and begins to fold in the background. Where the
// counts are not kept yet, as in stores of earlier versions, they are made in the background: of a snapshot that is taken
// here, while everything after it goes into tallies.
func (l *ledger) open(ctx context.Context) error {
	var kept bool
	var former []*tally
	err := l.db.View(ctx, func(v *metastore.View) (err error) {
		if kept, err = isCensusKept(v.Get); err != nil || !kept {
			return err
		}
		return scanTag(ctx, v, []byte{tagCensus, censusTally}, func(kv metastore.KV) error {
			sums, err := decodeTally(kv.Value)
			former = append(former, &tally{key: bytes.Clone(kv.Key), sums: sums})
			return err
		})
	})
	if err == nil {
		err = l.fold(ctx, former)
	}
	if err == nil && !kept {
		err = l.wipe(ctx)
	}
	if err != nil {
		return err
	}
	background, cancel := context.WithCancel(context.Background())
	l.cancel = cancel
	l.tasks.Go(func() { l.loop(background) })
	if !kept {
		taken := make(chan struct{})
		l.tasks.Go(func() { l.begin(background, taken) })
		<-taken
	}
	return nil
}

// wipe removes the beginnings of counts that never became complete.
func (l *ledger) wipe(ctx context.Context) error {
	for {
		var keys [][]byte
		err := l.db.View(ctx, func(v *metastore.View) error {
			return scanTag(ctx, v, []byte{tagCensus}, func(kv metastore.KV) error {
				keys = append(keys, bytes.Clone(kv.Key))
				return stopAfter(len(keys), deletesPerTransaction)
			})
		})
		if err != nil && !errors.Is(err, errStop) || len(keys) == 0 {
			return err
		}
		err = l.db.Update(ctx, func(tx *metastore.Tx) error {
			for _, key := range keys {
				if err := tx.Delete(key); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
}

// begin makes the counts of a store that has none, and says so when they are complete. It closes taken when it has the
// snapshot that it counts.
func (l *ledger) begin(ctx context.Context, taken chan<- struct{}) {
	signal := func() { close(taken) }
	var sums deltas
	err := l.db.View(ctx, func(v *metastore.View) (err error) {
		signal()
		signal = func() {}
		sums, err = countRecords(ctx, v)
		return err
	})
	signal()
	if err == nil {
		err = l.correct(ctx, sums)
	}
	if err == nil {
		err = l.db.Update(ctx, func(tx *metastore.Tx) error {
			return tx.Put(keyCensus, encode(&censusRecord{Format: recordFormat, Since: time.Now().UnixNano()}))
		})
	}
	switch {
	case ctx.Err() != nil: // the next run begins again
	case err != nil:
		l.log.ErrorContext(ctx, "the census cannot be made; each question counts the records", "error", err)
	default:
		l.log.InfoContext(ctx, "the census was made", "counts", len(sums))
	}
}

// loop folds full tallies until close.
func (l *ledger) loop(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-l.kicks:
		}
		l.mu.Lock()
		full := l.full
		l.full = nil
		l.mu.Unlock()
		if err := l.fold(ctx, full); err != nil && ctx.Err() == nil {
			l.log.ErrorContext(ctx, "counts cannot be folded; they stay in their tallies", "error", err)
		}
		l.mu.Lock()
		l.idle = append(l.idle, full...)
		l.mu.Unlock()
	}
}

// close ends the background and folds everything, so that the next run finds little to do.
func (l *ledger) close() {
	l.cancel()
	l.tasks.Wait()
	l.mu.Lock()
	tallies := append(l.idle, l.full...)
	l.idle, l.full = nil, nil
	l.mu.Unlock()
	if err := l.fold(context.Background(), tallies); err != nil {
		l.log.Warn("counts cannot be folded; the next run does it", "error", err)
	}
}
