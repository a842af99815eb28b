package objecttest

import (
	"context"
	"testing"

	"coffer/chunk"
	"coffer/chunk/memchunk"
	"coffer/cipher"
	"coffer/kms/kmstest"
	"coffer/metastore"
	"coffer/metastore/memdb"
	"coffer/object"
)

// Env is what an engine stands on. It outlives the engine, so that one can be opened again over the same state.
type Env struct {
	Driver  metastore.Driver
	Chunks  chunk.Store
	Keyring object.Backend
	StoreID cipher.StoreID
	Box     *cipher.Box
}

// New returns an empty Env in memory.
func New() *Env { return NewOver(memdb.New(), memchunk.New(memchunk.Options{})) }

// NewOver returns an Env over a driver and a chunk store.
func NewOver(d metastore.Driver, c chunk.Store) *Env {
	key := cipher.NewStoreKey()
	return &Env{
		Driver: d, Chunks: c, Keyring: kmstest.NewFake(object.DefaultKeyID), StoreID: cipher.NewStoreID(),
		Box: cipher.NewBox(key.Derive(cipher.LabelValues)),
	}
}

// Options are those of an engine over the Env.
func (e *Env) Options() object.Options {
	return object.Options{
		Meta: metastore.New(e.Driver, e.Box), Chunks: e.Chunks, Keys: object.SingleKey{Backend: e.Keyring, KeyID: object.DefaultKeyID},
		StoreID: e.StoreID,
	}
}

// Open opens an engine over the Env; change, which may be nil, adjusts its options. The test closes it at its end.
func (e *Env) Open(tb testing.TB, change func(*object.Options)) *object.Store {
	tb.Helper()
	opts := e.Options()
	if change != nil {
		change(&opts)
	}
	s, err := object.Open(context.Background(), opts)
	if err != nil {
		tb.Fatalf("open the engine: %v", err)
	}
	tb.Cleanup(func() {
		if err := s.Close(); err != nil {
			tb.Errorf("close the engine: %v", err)
		}
	})
	return s
}

// Crash returns an Env in memory that holds what was durable at this moment. The Env must be one that New made.
func (e *Env) Crash() *Env {
	clone := *e
	clone.Driver = e.Driver.(*memdb.DB).Crash()
	clone.Chunks = e.Chunks.(*memchunk.Store).Crash()
	return &clone
}
