package object

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"

	"coffer/cipher"
	"coffer/metastore"
)

const (
	maxTally    = 8  // counts in a tally that is used again; more are folded first
	foldCounts  = 64 // counts and
	foldTallies = 32 // tallies in one transaction of a fold
)

// ledger keeps the census without a key that writers share.
//
// What a transaction changes of it goes, in the same transaction, into a tally: a key that sums what its transactions
// changed. A tally belongs to one transaction at a time, which therefore knows what it holds and writes it blindly. As
// many tallies exist as transactions ran at once. The background folds those that grew into the counts, which it alone
// reads and writes. The sum of counts and tallies in one snapshot is the census at that moment, after a crash too.
type ledger struct {
	db  *metastore.DB
	run cipher.RunID
	log *slog.Logger

	folding sync.Mutex // held across the transactions that write counts

	mu   sync.Mutex
	idle []*tally
	full []*tally
	made uint32

	kicks  chan struct{}
	cancel context.CancelFunc
	tasks  sync.WaitGroup
}

// tally is the sum of what the transactions that had it changed.
type tally struct {
	key  []byte
	sums deltas // as committed; never changed, but replaced
}

// tallyRecord is a tally as stored.
type tallyRecord struct {
	Format  uint8        `cbor:"1,keyasint"`
	Entries []tallyEntry `cbor:"2,keyasint"`
}

type tallyEntry struct {
	_          struct{} `cbor:",toarray"`
	Dependency []byte
	KEKs       int64
	Objects    int64
	Uploads    int64
}

// countsRecord is a count as stored.
type countsRecord struct {
	Format  uint8 `cbor:"1,keyasint"`
	KEKs    int64 `cbor:"2,keyasint,omitzero"`
	Objects int64 `cbor:"3,keyasint,omitzero"`
	Uploads int64 `cbor:"4,keyasint,omitzero"`
}

// censusRecord says that the counts are complete.
type censusRecord struct {
	Format uint8 `cbor:"1,keyasint"`
	Since  int64 `cbor:"2,keyasint"`
}

func (r *tallyRecord) format() uint8  { return r.Format }
func (r *countsRecord) format() uint8 { return r.Format }
func (r *censusRecord) format() uint8 { return r.Format }

func newLedger(opts *Options, run cipher.RunID) *ledger {
	return &ledger{db: opts.Meta, run: run, log: opts.Logger, kicks: make(chan struct{}, 1)}
}

// take returns a tally for one transaction; give takes it back.
func (l *ledger) take() *tally {
	l.mu.Lock()
	defer l.mu.Unlock()
	if n := len(l.idle); n > 0 {
		t := l.idle[n-1]
		l.idle = l.idle[:n-1]
		return t
	}
	l.made++
	return &tally{key: tallyKey(l.run, l.made)}
}

func (l *ledger) give(t *tally) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(t.sums) <= maxTally {
		l.idle = append(l.idle, t)
		return
	}
	l.full = append(l.full, t)
	select {
	case l.kicks <- struct{}{}:
	default:
	}
}

// put writes what the tally is to hold.
func (t *tally) put(tx *metastore.Tx, sums deltas) error {
	if len(sums) == 0 {
		return tx.Delete(t.key)
	}
	r := tallyRecord{Format: recordFormat}
	for d, n := range sums {
		r.Entries = append(r.Entries, tallyEntry{Dependency: d.bytes(), KEKs: n.KEKs, Objects: n.Objects, Uploads: n.Uploads})
	}
	slices.SortFunc(r.Entries, func(a, b tallyEntry) int { return bytes.Compare(a.Dependency, b.Dependency) })
	return tx.Put(t.key, encode(&r))
}

func decodeTally(value []byte) (deltas, error) {
	var r tallyRecord
	if err := decode(value, &r); err != nil {
		return nil, err
	}
	sums := deltas{}
	for _, e := range r.Entries {
		d, err := parseDependency(e.Dependency)
		if err != nil {
			return nil, err
		}
		sums.add(d, counts{e.KEKs, e.Objects, e.Uploads})
	}
	return sums, nil
}

// fold moves what tallies hold into the counts and leaves them empty. Nobody else has them.
func (l *ledger) fold(ctx context.Context, tallies []*tally) error {
	l.folding.Lock()
	defer l.folding.Unlock()
	for len(tallies) > 0 {
		moved, rest, n := portion(tallies)
		err := l.db.Update(ctx, func(tx *metastore.Tx) error {
			for d, c := range moved {
				if err := addCounts(tx, d, c); err != nil {
					return err
				}
			}
			for _, t := range tallies[:n] {
				if err := t.put(tx, rest); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
		for _, t := range tallies[:n] {
			t.sums = rest
		}
		if len(rest) == 0 {
			tallies = tallies[n:]
		}
	}
	return nil
}

// portion is what one transaction folds: the sum of the first n tallies, or a part of the first, which keeps the rest.
func portion(tallies []*tally) (moved, rest deltas, n int) {
	for n < min(len(tallies), foldTallies) {
		sum := moved.plus(tallies[n].sums)
		if len(sum) > foldCounts {
			break
		}
		moved, n = sum, n+1
	}
	if n > 0 {
		return moved, nil, n
	}
	for d, c := range tallies[0].sums {
		if len(moved) < foldCounts {
			moved.add(d, c)
		} else {
			rest.add(d, c)
		}
	}
	return moved, rest, 1
}

func addCounts(tx *metastore.Tx, d dependency, n counts) error {
	key := censusKey(d)
	was := countsRecord{Format: recordFormat}
	value, err := tx.GetForUpdate(key)
	if err == nil {
		err = decode(value, &was)
	}
	if err != nil && !errors.Is(err, metastore.ErrNotFound) {
		return err
	}
	n = n.plus(counts{was.KEKs, was.Objects, was.Uploads})
	if n == (counts{}) {
		return tx.Delete(key)
	}
	return tx.Put(key, encode(&countsRecord{Format: recordFormat, KEKs: n.KEKs, Objects: n.Objects, Uploads: n.Uploads}))
}

// correct adds to the counts.
func (l *ledger) correct(ctx context.Context, by deltas) error {
	l.folding.Lock()
	defer l.folding.Unlock()
	for len(by) > 0 {
		some, rest, _ := portion([]*tally{{sums: by}})
		err := l.db.Update(ctx, func(tx *metastore.Tx) error {
			for d, n := range some {
				if err := addCounts(tx, d, n); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
		by = rest
	}
	return nil
}

// keptCounts sums counts and tallies.
func keptCounts(ctx context.Context, v *metastore.View) (deltas, error) {
	sums := deltas{}
	err := scanTag(ctx, v, []byte{tagCensus, censusCount}, func(kv metastore.KV) error {
		d, err := parseDependency(kv.Key[2:])
		if err != nil {
			return err
		}
		var r countsRecord
		if err := decode(kv.Value, &r); err != nil {
			return err
		}
		sums.add(d, counts{r.KEKs, r.Objects, r.Uploads})
		return nil
	})
	if err != nil {
		return nil, err
	}
	err = scanTag(ctx, v, []byte{tagCensus, censusTally}, func(kv metastore.KV) error {
		more, err := decodeTally(kv.Value)
		for d, n := range more {
			sums.add(d, n)
		}
		return err
	})
	return sums, err
}

func isCensusKept(get func([]byte) ([]byte, error)) (bool, error) {
	value, err := get(keyCensus)
	if errors.Is(err, metastore.ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	return true, decode(value, &censusRecord{})
}
