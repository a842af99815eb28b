package chunk

import (
	"errors"
	"fmt"

	"coffer/cipher"
)

// Errors of every Store; test with errors.Is.
var (
	ErrExists   = errors.New("chunk exists")
	ErrNotFound = errors.New("chunk not found")
	ErrBusy     = errors.New("chunk is being written")
	ErrNoSpace  = errors.New("no space for chunk")
	ErrClosed   = errors.New("chunk store, reader or writer is closed")
)

// Error says which operation failed on which chunk. Its ID is zero where the
// operation concerns no single chunk.
type Error struct {
	Op  string // "create", "write", "commit", "abort", "open", "read", "close", "remove", "list", "space"
	ID  cipher.ChunkID
	Err error
}

func (e *Error) Error() string {
	if e.ID.IsZero() {
		return fmt.Sprintf("chunk %s: %v", e.Op, e.Err)
	}
	return fmt.Sprintf("chunk %s %s: %v", e.Op, e.ID, e.Err)
}

func (e *Error) Unwrap() error { return e.Err }
