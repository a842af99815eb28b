package metastore

import (
	"errors"
	"fmt"
	"iter"

	"coffer/cipher"
)

// KV is one key of a Scan with its value, opened.
type KV struct {
	Key   []byte
	Value []byte
}

// View reads one snapshot.
type View struct {
	snap  Snapshot
	box   *cipher.Box
	ended bool
}

// Get returns the value of key, which the caller may keep. It fails with
// ErrNotFound or ErrCorrupt.
func (v *View) Get(key []byte) ([]byte, error) {
	value, _, err := v.get(key)
	return value, err
}

// Scan yields the keys with from <= key < to in ascending order of bytes; a
// nil bound is open. What it yields is valid until the next step. An item that
// does not open comes with its key and ErrCorrupt, and the scan goes on behind
// it if asked to; it ends after any other error.
func (v *View) Scan(from, to []byte) iter.Seq2[KV, error] {
	return func(yield func(KV, error) bool) {
		if v.ended {
			yield(KV{}, ErrClosed)
			return
		}
		var buf []byte
		for item, err := range v.snap.Scan(from, to) {
			if err != nil {
				yield(KV{}, err)
				return
			}
			value, err := v.box.Open(buf[:0], item.Value, item.Key)
			if err != nil {
				if !yield(KV{Key: item.Key}, notOpened(err)) {
					return
				}
				continue
			}
			buf = value
			if !yield(KV{Key: item.Key, Value: buf}, nil) {
				return
			}
		}
	}
}

// get returns the opened value and the version, which is 0 with ErrNotFound.
func (v *View) get(key []byte) ([]byte, uint64, error) {
	if v.ended {
		return nil, 0, ErrClosed
	}
	if err := checkKey(key); err != nil {
		return nil, 0, err
	}
	sealed, version, err := v.snap.Get(key)
	if err != nil {
		return nil, 0, err
	}
	value, err := open(v.box, sealed, key)
	return value, version, err
}

// open returns the plaintext of a sealed value, in memory of its own that is
// never nil.
func open(box *cipher.Box, sealed, key []byte) ([]byte, error) {
	room := make([]byte, 0, max(0, len(sealed)-cipher.BoxOverhead))
	value, err := box.Open(room, sealed, key)
	if err != nil {
		return nil, notOpened(err)
	}
	return value, nil
}

// notOpened tells a bad value from a box that has no key.
func notOpened(err error) error {
	if errors.Is(err, cipher.ErrKey) {
		return fmt.Errorf("metastore: open value: %w", err)
	}
	return fmt.Errorf("%w: %w", ErrCorrupt, err)
}

func checkKey(key []byte) error {
	if len(key) == 0 || len(key) > MaxKeySize {
		return &LimitError{Quantity: KeySize, Got: len(key), Max: MaxKeySize}
	}
	return nil
}
