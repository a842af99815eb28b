package metastore

import (
	"errors"
	"fmt"
)

var (
	// ErrNotFound says that a key is absent.
	ErrNotFound = errors.New("metastore: key not found")

	// ErrConflict says that a key read with GetForUpdate was written by another
	// transaction. Nothing was applied. Update returns it only after all its
	// attempts have met one.
	ErrConflict = errors.New("metastore: transaction conflict")

	// ErrLimit says that a key, value or transaction is larger than every driver
	// can take. The error in the chain is a *LimitError.
	ErrLimit = errors.New("metastore: limit exceeded")

	// ErrCorrupt says that a stored value does not open under its key: it was
	// damaged, tampered with, moved from another key, or sealed under another
	// store's key.
	ErrCorrupt = errors.New("metastore: stored value is corrupt")

	// ErrClosed says that the store, or the transaction, has ended.
	ErrClosed = errors.New("metastore: closed")

	// ErrLocked says that another process, or another handle of this one, holds
	// the store.
	ErrLocked = errors.New("metastore: locked by another process")

	// ErrFailed says that a flush failed. Whether the transaction that met it is
	// durable is unknown, and the driver takes no further write: only opening
	// the store anew tells what it holds.
	ErrFailed = errors.New("metastore: write failed, durability unknown")
)

// Quantity names what a LimitError measured.
type Quantity string

// The quantities that have a limit.
const (
	KeySize           Quantity = "key size in bytes"
	ValueSize         Quantity = "value size in bytes"
	TransactionSize   Quantity = "transaction size in bytes"
	TransactionReads  Quantity = "keys read for update in a transaction"
	TransactionWrites Quantity = "keys written in a transaction"
)

// LimitError says which limit was exceeded. It is an ErrLimit.
type LimitError struct {
	Quantity Quantity
	Got, Max int
}

// Error implements error.
func (e *LimitError) Error() string {
	return fmt.Sprintf("metastore: limit exceeded: %s: %d, at most %d", e.Quantity, e.Got, e.Max)
}

// Is makes errors.Is(err, ErrLimit) true.
func (e *LimitError) Is(target error) bool { return target == ErrLimit }
