package chunk

import (
	"context"
	"io"
	"iter"
	"time"

	"coffer/cipher"
	"coffer/internal/disk"
)

// Store keeps immutable sealed chunks by id.
//
// A chunk exists from the moment that Commit of its Writer begins to succeed:
// before, Open does not find it, List does not show it and Remove answers
// ErrBusy. After Close every method answers ErrClosed, and so do Write and
// Commit of Writers still open; Readers stay valid until they are closed.
type Store interface {
	// Create begins the chunk of this id. ErrExists: the id is taken, by a
	// chunk or by a Writer that is still open.
	Create(ctx context.Context, id cipher.ChunkID) (Writer, error)
	// Open opens a chunk for reading; ErrNotFound when there is none.
	Open(ctx context.Context, id cipher.ChunkID) (Reader, error)
	// Remove removes chunks. It is durable on return, also for ids that were
	// absent already, so it may be repeated until it succeeds. After an error
	// any of the ids may be gone. Readers that are open keep their chunk.
	Remove(ctx context.Context, ids ...cipher.ChunkID) error
	// List yields every chunk that exists throughout, and of those that come
	// or go meanwhile some, in no particular order. Chunks that a dead process
	// left uncommitted are among them. It ends after the first error.
	List(ctx context.Context) iter.Seq2[Info, error]
	// Space tells the room for sealed bytes.
	Space(ctx context.Context) (disk.Space, error)
	// Close waits for calls in progress and releases the store. Closing it
	// again does nothing.
	Close() error
}

// Writer takes the bytes of one chunk, in order.
//
// The first error of Write or Commit is final: every later call but Abort
// returns it again, and the chunk never comes to exist. ErrNoSpace marks those
// that come from a full medium.
type Writer interface {
	io.Writer
	// Commit makes the chunk exist. On a nil error its bytes and its entry are
	// durable.
	Commit(ctx context.Context) error
	// Abort ends the Writer and removes what it wrote; it does nothing after a
	// Commit that succeeded, or a second time. After an error, and after a
	// power cut, the id may show up in List.
	Abort() error
}

// Reader reads the bytes of one chunk. ReadAt follows io.ReaderAt.
type Reader interface {
	io.ReaderAt
	io.Closer
	// Size gives the length in bytes.
	Size() int64
}

// Info is what List tells of a chunk.
type Info struct {
	ID      cipher.ChunkID
	Size    int64 // sealed bytes
	ModTime time.Time
}
