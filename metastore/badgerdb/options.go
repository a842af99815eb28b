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

	// The value log stays empty; it is mapped, sparse, at twice this size.
	valueLogFileSize = 16 * mib

	// Badger takes 15 % of a memtable in one transaction, and MaxBatchSize must
	// fit. Larger ones make builders of tables that hold twice as much, of which
	// Badger keeps eight.
	minMemtable = 8 * mib

	// Some memtables wait while one is written and one is flushed.
	waitingMemtables = 2
	liveMemtables    = waitingMemtables + 2

	// Many tables are gathered in level 0, and the level below is large, so that
	// a value is rewritten less often; a look-up pays with one Bloom filter each.
	levelZeroTables      = 32
	levelZeroTablesStall = 64
	baseLevelSize        = 256 * mib

	// Two of these, rounded up and doubled once, make a builder's memory: enough
	// for a memtable's table too. Each table made also takes 3 MiB for its index.
	tableSize = 4 * mib

	// Several records share a block, for each has a price: an entry in the index,
	// a cipher, and a hand-over between the builder's goroutines.
	blockSize = 16 << 10
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

// badger returns Badger's options. A sixteenth of the memory makes a memtable,
// of which up to liveMemtables exist, and an eighth goes to each cache; the rest
// is for the builders of tables and what waits for the garbage collector.
func (o Options) badger() badger.Options {
	memory := int64(o.MemoryMiB) * mib
	if memory == 0 {
		memory = DefaultMemoryMiB * mib
	}
	b := badger.DefaultOptions(o.Dir)
	b.Logger = newLogger(o.Logger)
	b.MetricsEnabled = false // they are global to the process
	b.SyncWrites = true
	b.DetectConflicts = false // the committer does
	b.NumVersionsToKeep = 1
	b.Compression = options.None // sealed values do not shrink
	b.ChecksumVerificationMode = options.OnBlockRead
	b.EncryptionKey = bytes.Clone(o.EncryptionKey.Expose()) // kept: data keys are sealed with it later too

	b.MemTableSize = max(minMemtable, memory/16)
	b.NumMemtables = waitingMemtables
	b.BlockCacheSize = memory / 8
	b.IndexCacheSize = memory / 8
	b.BlockSize = blockSize
	b.BaseTableSize = tableSize
	b.NumLevelZeroTables = levelZeroTables
	b.NumLevelZeroTablesStall = levelZeroTablesStall
	b.BaseLevelSize = baseLevelSize
	b.NumCompactors = 2
	b.ValueThreshold = valueThreshold
	b.ValueLogFileSize = valueLogFileSize
	return b
}
