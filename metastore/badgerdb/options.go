package badgerdb

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"

	"github.com/dgraph-io/badger/v4"
	"github.com/dgraph-io/badger/v4/options"

	"coffer/cipher"
	"coffer/metastore"
)

// Bounds of Options.MemoryMiB.
const (
	DefaultMemoryMiB = 128
	MinMemoryMiB     = 64
)

const (
	mib = 1 << 20

	// Values must stay out of the value log: Badger only logs a failed sync of
	// it. A value at the threshold would go there.
	valueThreshold = metastore.MaxSealedValueSize + 1

	// The value log stays empty, and is mapped at twice this size.
	valueLogFileSize = 16 * mib

	// One memtable is written, one waits, and one is being flushed.
	waitingMemtables = 1
	liveMemtables    = waitingMemtables + 2
)

// Options says where and how to keep the store.
type Options struct {
	// Dir holds all files. It is created if absent, with mode 0700.
	Dir string

	// EncryptionKey is the key of Badger's own encryption. The caller may wipe it
	// when Open has returned.
	EncryptionKey *cipher.Subkey

	// MemoryMiB bounds, roughly, the anonymous memory that memtables, caches and
	// compactions take together; 0 means DefaultMemoryMiB.
	MemoryMiB int

	// Logger takes what Badger has to say; nil discards it.
	Logger *slog.Logger
}

// Validate reports all faults at once.
func (o Options) Validate() error {
	var faults []error
	if o.Dir == "" {
		faults = append(faults, errors.New("badgerdb: Dir is empty"))
	}
	if o.EncryptionKey == nil {
		faults = append(faults, errors.New("badgerdb: EncryptionKey is missing"))
	}
	if o.MemoryMiB != 0 && o.MemoryMiB < MinMemoryMiB {
		faults = append(faults, fmt.Errorf("badgerdb: MemoryMiB is %d, at least %d", o.MemoryMiB, MinMemoryMiB))
	}
	return errors.Join(faults...)
}

// badger returns Badger's options. An eighth of the memory makes a memtable, of
// which up to liveMemtables exist, and an eighth goes to each cache; the rest
// is for the builders of tables and what waits for the garbage collector.
func (o Options) badger() badger.Options {
	memory := int64(o.MemoryMiB)
	if memory == 0 {
		memory = DefaultMemoryMiB
	}
	share := memory * mib / 8

	b := badger.DefaultOptions(o.Dir)
	b.Logger = newLogger(o.Logger)
	b.MetricsEnabled = false // they are global to the process
	b.SyncWrites = true
	b.DetectConflicts = false // the committer does
	b.NumVersionsToKeep = 1
	b.Compression = options.None // sealed values do not shrink
	b.ChecksumVerificationMode = options.OnBlockRead
	b.EncryptionKey = bytes.Clone(o.EncryptionKey.Expose()) // kept: data keys are sealed with it later too

	b.MemTableSize = share
	b.NumMemtables = waitingMemtables
	b.BlockCacheSize = share
	b.IndexCacheSize = share
	b.NumCompactors = 2
	b.ValueThreshold = valueThreshold
	b.ValueLogFileSize = valueLogFileSize
	return b
}
