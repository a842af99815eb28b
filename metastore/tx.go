package metastore

import (
	"bytes"
	"errors"

	"coffer/cipher"
)

// Tx is one run of an Update: a View of a snapshot, and writes that are applied
// when the function returns without error. Scan does not see its own writes.
type Tx struct {
	View

	reads  []Read
	writes []Write
	sizes  []int  // plaintext bytes each write counts for
	size   int    // bytes counted against MaxTransactionSize
	arena  []byte // keys and sealed values live here until the batch is applied
	err    error  // first limit met; the transaction cannot commit any more
}

// Get returns the value of key as this transaction left it, which the caller
// may keep. It promises no conflict if another transaction writes the key.
func (t *Tx) Get(key []byte) ([]byte, error) {
	if i := t.written(key); i >= 0 && !t.ended {
		return t.own(i)
	}
	return t.View.Get(key)
}

// GetForUpdate is a Get that promises a conflict: the transaction commits only
// if no other one has written the key since the snapshot. That holds for an
// absent key too.
func (t *Tx) GetForUpdate(key []byte) ([]byte, error) {
	value, version, err := t.get(key)
	if err != nil && !errors.Is(err, ErrNotFound) {
		return nil, err
	}
	if err := t.addRead(key, version); err != nil {
		return nil, err
	}
	if i := t.written(key); i >= 0 {
		return t.own(i)
	}
	return value, err
}

// Put sets key to value and keeps neither slice. It fails with ErrLimit, and
// then the transaction cannot commit any more.
func (t *Tx) Put(key, value []byte) error {
	if len(value) > MaxValueSize {
		return t.fail(&LimitError{Quantity: ValueSize, Got: len(value), Max: MaxValueSize})
	}
	i, err := t.addWrite(key, len(key)+len(value))
	if err != nil {
		return err
	}
	t.writes[i].Value = t.seal(value, t.writes[i].Key)
	return nil
}

// Delete removes key; an absent one is no error. It fails with ErrLimit, and
// then the transaction cannot commit any more.
func (t *Tx) Delete(key []byte) error {
	i, err := t.addWrite(key, len(key))
	if err != nil {
		return err
	}
	t.writes[i].Value = nil
	return nil
}

// own returns the value of the i-th write, opened.
func (t *Tx) own(i int) ([]byte, error) {
	w := t.writes[i]
	if w.Value == nil {
		return nil, ErrNotFound
	}
	return open(t.box, w.Value, w.Key)
}

// written returns the index of the write of key, or -1. A search through at
// most MaxTransactionWrites keys costs less than a map for the few that a
// transaction usually has.
func (t *Tx) written(key []byte) int {
	for i := range t.writes {
		if bytes.Equal(t.writes[i].Key, key) {
			return i
		}
	}
	return -1
}

func (t *Tx) addRead(key []byte, version uint64) error {
	for i := range t.reads {
		if bytes.Equal(t.reads[i].Key, key) {
			return nil
		}
	}
	if len(t.reads) == MaxTransactionReads {
		return t.fail(&LimitError{Quantity: TransactionReads, Got: len(t.reads) + 1, Max: MaxTransactionReads})
	}
	if err := t.grow(len(key)); err != nil {
		return err
	}
	t.reads = append(t.reads, Read{Key: t.keep(key), Version: version})
	return nil
}

// addWrite finds or makes the write of key, charges it with size bytes, and
// returns its index.
func (t *Tx) addWrite(key []byte, size int) (int, error) {
	if t.ended {
		return 0, ErrClosed
	}
	if err := checkKey(key); err != nil {
		return 0, t.fail(err)
	}
	if i := t.written(key); i >= 0 {
		if err := t.grow(size - t.sizes[i]); err != nil {
			return 0, err
		}
		t.sizes[i] = size
		return i, nil
	}
	if len(t.writes) == MaxTransactionWrites {
		return 0, t.fail(&LimitError{Quantity: TransactionWrites, Got: len(t.writes) + 1, Max: MaxTransactionWrites})
	}
	if err := t.grow(size); err != nil {
		return 0, err
	}
	t.writes = append(t.writes, Write{Key: t.keep(key)})
	t.sizes = append(t.sizes, size)
	return len(t.writes) - 1, nil
}

func (t *Tx) grow(n int) error {
	if t.size+n > MaxTransactionSize {
		return t.fail(&LimitError{Quantity: TransactionSize, Got: t.size + n, Max: MaxTransactionSize})
	}
	t.size += n
	return nil
}

// fail makes err the transaction's fate, so that a caller who overlooks it
// cannot commit a part of what it meant to.
func (t *Tx) fail(err error) error {
	if t.err == nil {
		t.err = err
	}
	return err
}

// keep copies b into the arena.
func (t *Tx) keep(b []byte) []byte {
	t.arena = growArena(t.arena, len(b))
	start := len(t.arena)
	t.arena = append(t.arena, b...)
	return t.arena[start:len(t.arena):len(t.arena)]
}

// seal appends the sealed value to the arena.
func (t *Tx) seal(value, key []byte) []byte {
	t.arena = growArena(t.arena, len(value)+cipher.BoxOverhead)
	start := len(t.arena)
	t.arena = t.box.Seal(t.arena, value, key)
	return t.arena[start:len(t.arena):len(t.arena)]
}

// growArena makes room for n more bytes. A full arena is replaced and not
// copied: the slices handed out of it keep it, and stay valid.
func growArena(arena []byte, n int) []byte {
	if cap(arena)-len(arena) >= n {
		return arena
	}
	return make([]byte, 0, max(n+(n>>2), arenaSize))
}
