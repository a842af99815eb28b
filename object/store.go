package object

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"coffer/chunk"
	"coffer/cipher"
	"coffer/kms"
	"coffer/metastore"
	"coffer/object/checksum"
)

// Options configures a Store. Fields without a default must be set.
type Options struct {
	Meta    *metastore.DB
	Chunks  chunk.Store
	Keys    KeyService
	StoreID cipher.StoreID

	Logger       *slog.Logger     // default: discards
	Now          func() time.Time // default: time.Now
	MetaReserve  func() uint64    // bytes of disk that the metastore may yet need; default: none
	InlineLimit  int              // bytes; bodies up to it lie in the metastore. Default 16 KiB, at most 47 KiB
	ChunkSize    int64            // bytes of plaintext in a chunk file. Default 64 MiB
	FrameSize    int              // bytes of plaintext in a frame. Default cipher.DefaultFrameSize
	FileFrame    int              // the same in what Files seal, which is read here and there. Default 4 KiB, at most FrameSize
	SealAfter    int64            // bytes written to a File that gather in memory before they are sealed. Default 4 MiB
	WriteMemory  int64            // bytes written to all Files that may gather; above it each seals its own. Default 64 MiB
	CloneLeast   int64            // bytes that CloneRange shares at least; it copies fewer. Default 64 KiB
	CollectEvery time.Duration    // pause of the collector when nothing wakes it. Default 30 s
	Observe      func(Work)       // is told of sealing and opening, from many goroutines; default: nothing

	// For tests of this package.
	holdMover bool // renames of directories move when the test says so
	moveBatch int  // what one step of the mover moves
}

// DefaultKeyID names the MasterKey of the built-in keyring that wraps the KEKs of buckets.
const DefaultKeyID = "coffer-sse-s3"

// Defaults of Options.
const (
	DefaultInlineLimit  = 16 << 10 // BenchmarkInlineLimit: above it files are about as quick to put, and quicker to get
	DefaultChunkSize    = 64 << 20
	DefaultFileFrame    = 4 << 10 // BenchmarkFileFrame: reading here and there is much quicker, reading in order as quick
	DefaultSealAfter    = 4 << 20
	DefaultWriteMemory  = 64 << 20
	DefaultCloneLeast   = 64 << 10
	DefaultCollectEvery = 30 * time.Second
)

func (o *Options) setDefaults() error {
	if o.Meta == nil || o.Chunks == nil || o.Keys == nil || o.StoreID.IsZero() {
		return errors.New("object: Meta, Chunks, Keys and StoreID must be set")
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Observe == nil {
		o.Observe = func(Work) {}
	}
	if o.MetaReserve == nil {
		o.MetaReserve = func() uint64 { return 0 }
	}
	o.InlineLimit = orDefault(o.InlineLimit, DefaultInlineLimit)
	o.ChunkSize = orDefault(o.ChunkSize, DefaultChunkSize)
	o.FrameSize = orDefault(o.FrameSize, cipher.DefaultFrameSize)
	o.FileFrame = min(orDefault(o.FileFrame, DefaultFileFrame), o.FrameSize)
	o.SealAfter = orDefault(o.SealAfter, DefaultSealAfter)
	o.WriteMemory = orDefault(o.WriteMemory, DefaultWriteMemory)
	o.CloneLeast = orDefault(o.CloneLeast, DefaultCloneLeast)
	o.moveBatch = orDefault(o.moveBatch, moveBatch)
	o.CollectEvery = orDefault(o.CollectEvery, DefaultCollectEvery)
	if o.InlineLimit < 0 || o.InlineLimit > maxInlineLimit || o.ChunkSize < 1 || o.SealAfter < 1 || o.WriteMemory < 1 || o.CollectEvery < 0 {
		return fmt.Errorf("object: InlineLimit %d, ChunkSize %d, SealAfter %d, WriteMemory %d or CollectEvery %v out of range",
			o.InlineLimit, o.ChunkSize, o.SealAfter, o.WriteMemory, o.CollectEvery)
	}
	return nil
}

func orDefault[T int | int64 | time.Duration | cipher.Mode | checksum.Algorithm](v, otherwise T) T {
	if v == 0 {
		return otherwise
	}
	return v
}

// Store is the engine. See the package documentation.
type Store struct {
	opts      Options
	log       *slog.Logger
	run       cipher.RunID
	keys      *keyring
	intents   *intents
	inodes    *inodes
	pins      *pins
	space     *admission
	units     *units
	revoked   *revocation
	collector *collector
	mover     *mover
	ledger    *ledger
	files     *files
	watchers  watchers
	jobs      *rewrapJobs

	completions [completionLocks]sync.Mutex
}

// Open opens the store that lies in opts.Meta and opts.Chunks, or begins a new one where the metastore is empty. What
// former runs left unfinished is removed before it returns. The caller closes Meta, Chunks and Keys after the Store.
func Open(ctx context.Context, opts Options) (*Store, error) {
	if err := opts.setDefaults(); err != nil {
		return nil, err
	}
	run := cipher.NewRunID()
	s := &Store{
		opts: opts, log: opts.Logger, run: run,
		keys:     newKeyring(&opts),
		intents:  &intents{db: opts.Meta, run: run},
		inodes:   &inodes{db: opts.Meta},
		pins:     newPins(),
		watchers: watchers{patience: watchPatience},
		space:    &admission{chunks: opts.Chunks, reserve: opts.MetaReserve, now: opts.Now},
		units:    newUnits(opts.InlineLimit + 1),
		revoked:  newRevocation(),
	}
	s.collector = newCollector(s)
	s.files = newFiles(s)
	s.mover = newMover(s)
	s.ledger = newLedger(&opts, run)
	s.jobs = newRewrapJobs(s)
	s.keys.buckets.update = s.update
	if err := s.checkFormat(ctx); err != nil {
		return nil, s.wrap("open", "", "", err)
	}
	if err := s.recover(ctx); err != nil {
		return nil, s.wrap("recover", "", "", err)
	}
	if err := s.ledger.open(ctx); err != nil {
		return nil, s.wrap("open the census", "", "", err)
	}
	if err := s.jobs.open(ctx); err != nil {
		s.jobs.close()
		s.ledger.close()
		return nil, s.wrap("open background rewraps", "", "", err)
	}
	s.collector.start()
	s.files.start()
	s.mover.start()
	return s, nil
}

// Close commits what Files have changed, stops what runs in the background and waits for it. Readers must be closed
// before, and Files should be.
func (s *Store) Close() error {
	s.jobs.close()
	s.files.finish()
	s.mover.stop()
	s.collector.stop()
	s.ledger.close()
	return nil
}

// checkFormat makes sure that the metastore is this store's, in a format that this version reads.
func (s *Store) checkFormat(ctx context.Context) error {
	return s.opts.Meta.Update(ctx, func(tx *metastore.Tx) error {
		value, err := tx.GetForUpdate(keyFormat)
		if errors.Is(err, metastore.ErrNotFound) {
			now := s.opts.Now().UnixNano()
			if err := tx.Put(keyCensus, encode(&censusRecord{Format: recordFormat, Since: now})); err != nil {
				return err
			}
			return tx.Put(keyFormat, encode(&storeRecord{Format: recordFormat, Store: s.opts.StoreID, Created: now}))
		}
		if err != nil {
			return err
		}
		var r storeRecord
		if err := decode(value, &r); err != nil {
			return err
		}
		if r.Store != s.opts.StoreID {
			return errKindf(KindInvalidRequest, "the metastore belongs to store %v, the key to store %v", r.Store, s.opts.StoreID)
		}
		return nil
	})
}

// wrap makes the *Error that a method returns.
func (s *Store) wrap(op, bucket, key string, err error) error {
	if err == nil {
		return nil
	}
	if _, ok := errors.AsType[*Error](err); ok {
		return err
	}
	e := &Error{Op: op, Bucket: bucket, Key: key, Kind: kindOfCause(err), Err: err}
	if f, ok := err.(*fault); ok {
		e.Err, e.Info = f.err, f.info
	}
	return e
}

// kindOfCause finds the kind of an error of the rooms below.
func kindOfCause(err error) Kind {
	if f, ok := errors.AsType[*fault](err); ok {
		return f.kind
	}
	for _, c := range [...]struct {
		cause error
		kind  Kind
	}{
		{metastore.ErrCorrupt, KindCorrupt},
		{cipher.ErrAuth, KindCorrupt},
		{cipher.ErrFormat, KindCorrupt},
		{cipher.ErrTruncated, KindCorrupt},
		{chunk.ErrNotFound, KindCorrupt},
		{chunk.ErrNoSpace, KindNoSpace},
		{metastore.ErrConflict, KindOperationAborted},
		{kms.Unavailable, KindUnavailable},
		{kms.Throttled, KindUnavailable},
		{kms.Denied, KindKeyDenied},
		{kms.Invalid, KindInvalidArgument},
		{kms.NotFound, KindKeyNotFound},
		{kms.Disabled, KindKeyDisabled},
		{kms.InvalidState, KindKeyDisabled},
		{kms.NotConfigured, KindNoKeyService},
		{kms.Unsupported, KindNotImplemented},
		{kms.Crypto, KindCorrupt},
	} {
		if errors.Is(err, c.cause) {
			return c.kind
		}
	}
	return KindInternal
}
