package badgerdb

import (
	"hash/maphash"

	"github.com/dgraph-io/badger/v4"

	"coffer/metastore"
)

// maxMergeSize bounds the bytes of one merge, so that no batch waits for very
// many others; Badger's own limit may be lower.
const maxMergeSize = 4 * mib

// entryOverhead is at least what Badger adds to an entry when it checks the
// size of a transaction.
const entryOverhead = 32

// merge is a run of batches that become one Badger transaction.
type merge struct {
	seed      maphash.Seed
	timestamp uint64 // of its writes, and the sequence number of its last batch
	size      int64
	count     int64

	winners []*request // in order
	// losers read a key that this merge writes. They are told when it is
	// durable: a new attempt before that would read the old state and lose again.
	losers []*request

	// written has the hashes of the keys written. Two keys with one hash cost a
	// transaction that has to run again, and nothing else.
	written map[uint64]struct{}
	entries []badger.Entry
}

func newMerge(seed maphash.Seed) *merge {
	return &merge{seed: seed, written: make(map[uint64]struct{})}
}

// reset empties m and keeps its memory.
func (m *merge) reset() {
	clear(m.winners)
	clear(m.losers)
	clear(m.entries)
	clear(m.written)
	*m = merge{
		seed: m.seed, written: m.written,
		winners: m.winners[:0], losers: m.losers[:0], entries: m.entries[:0],
	}
}

func (m *merge) empty() bool { return len(m.winners) == 0 }

// writes reports whether a batch of m writes one of the keys read.
func (m *merge) writes(reads []metastore.Read) bool {
	if len(m.written) == 0 {
		return false
	}
	for i := range reads {
		if _, ok := m.written[maphash.Bytes(m.seed, reads[i].Key)]; ok {
			return true
		}
	}
	return false
}

// add appends a batch whose conditions hold.
func (m *merge) add(r *request) {
	m.winners = append(m.winners, r)
	m.size += r.size
	m.count += int64(len(r.batch.Writes))
	for i := range r.batch.Writes {
		m.written[maphash.Bytes(m.seed, r.batch.Writes[i].Key)] = struct{}{}
	}
}

// fill puts the writes of all batches into txn; where two write one key the
// later stays.
func (m *merge) fill(txn *badger.Txn) error {
	// Badger keeps pointers to the entries, so they must not move any more.
	if int64(cap(m.entries)) < m.count+1 {
		m.entries = make([]badger.Entry, 0, 2*m.count+1)
	}
	for _, r := range m.winners {
		for i := range r.batch.Writes {
			w := &r.batch.Writes[i]
			if w.Value == nil {
				if err := txn.Delete(storedKey(w.Key)); err != nil {
					return err
				}
				continue
			}
			if err := m.set(txn, storedKey(w.Key), w.Value); err != nil {
				return err
			}
		}
	}
	return m.set(txn, []byte(sequenceKey), nil)
}

func (m *merge) set(txn *badger.Txn, key, value []byte) error {
	m.entries = append(m.entries, badger.Entry{Key: key, Value: value})
	return txn.SetEntry(&m.entries[len(m.entries)-1])
}

// finish tells every batch how it ended. With err nil the merge is durable.
func (m *merge) finish(err error) {
	first := m.timestamp - uint64(len(m.winners)) + 1
	for i, r := range m.winners {
		r.finish(first+uint64(i), err)
	}
	if err == nil {
		err = metastore.ErrConflict
	}
	for _, r := range m.losers {
		r.finish(0, err)
	}
}
