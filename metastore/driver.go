package metastore

import (
	"bytes"
	"context"
	"iter"

	"coffer/cipher"
)

// Limits that DB enforces and every driver must be able to take.
const (
	MaxKeySize           = 4 << 10  // bytes; the empty key is refused
	MaxValueSize         = 64 << 10 // bytes, before sealing
	MaxTransactionSize   = 1 << 20  // bytes: keys read for update, keys and values written, before sealing
	MaxTransactionReads  = 256      // distinct keys read for update
	MaxTransactionWrites = 100      // distinct keys written

	// What sealing makes of the limits above; drivers see these.
	MaxSealedValueSize = MaxValueSize + cipher.BoxOverhead
	MaxBatchSize       = MaxTransactionSize + MaxTransactionWrites*cipher.BoxOverhead
)

// Driver is an ordered key-value store with snapshots and atomic, durable,
// conditional batches. It is safe for concurrent use. DB checks the limits, so
// a driver sees non-empty keys and batches within them.
type Driver interface {
	// Snapshot opens the store as it is now: every batch whose Apply has
	// returned without error is in it. It fails with ErrClosed.
	Snapshot() (Snapshot, error)

	// Apply applies all of the batch or nothing of it, durably, and returns a
	// number that grows with every batch applied, over restarts too.
	//
	// It fails with ErrConflict if a key of b.Reads no longer has the version
	// stated there, with ErrClosed, or with the error of ctx; in these cases
	// nothing was applied. It may apply a batch although ctx was cancelled
	// meanwhile, and then reports success. ErrFailed leaves the outcome open.
	//
	// Apply keeps no slice of the batch after it has returned.
	Apply(ctx context.Context, b Batch) (seq uint64, err error)

	// Close ends the store. Batches being applied finish first. Snapshots still
	// open must be released before; closing twice is no error.
	Close() error
}

// Snapshot is one state of the store, unchanged by later batches. It is safe
// for concurrent use.
type Snapshot interface {
	// Get returns the value of key and its version, which is never 0 and changes
	// with every batch that writes the key. An absent key has version 0 and
	// ErrNotFound. The value must not be modified, and is valid until Release.
	Get(key []byte) (value []byte, version uint64, err error)

	// Scan yields the items with from <= key < to in ascending order of keys
	// compared as bytes; a nil bound is open. Its slices must not be modified,
	// and are valid until the next step. It ends after an error.
	Scan(from, to []byte) iter.Seq2[Item, error]

	// Release ends the snapshot; the second call does nothing.
	Release()
}

// Item is a stored value as the driver has it: sealed.
type Item struct {
	Key     []byte
	Value   []byte
	Version uint64
}

// Batch is what one transaction asks of the driver. No key appears twice in
// Reads, and none twice in Writes.
type Batch struct {
	Reads  []Read
	Writes []Write
}

// Read is a condition: Key still has Version, 0 being absent.
type Read struct {
	Key     []byte
	Version uint64
}

// Write sets Key to Value, or deletes Key if Value is nil. Deleting an absent
// key is no error.
type Write struct {
	Key   []byte
	Value []byte
}

// PrefixRange returns the bounds of a Scan over all keys that begin with
// prefix.
func PrefixRange(prefix []byte) (from, to []byte) {
	to = bytes.Clone(prefix)
	for i := len(to) - 1; i >= 0; i-- {
		if to[i] < 0xff {
			to[i]++
			return prefix, to[:i+1]
		}
	}
	return prefix, nil
}
