package badgerdb

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"github.com/dgraph-io/badger/v4"

	"coffer/cipher"
	"coffer/metastore"
)

const (
	// Nothing is kept in the value log, so its collection is a formality; but
	// Badger does none by itself.
	collectEvery = 10 * time.Minute
	collectRatio = 0.5

	// Room for Badger's manifest, registry of keys and discard statistics.
	slack = 4 * mib
)

// DB is a metastore.Driver over Badger.
type DB struct {
	badger    *badger.DB
	options   badger.Options
	queue     *queue
	committer *committer
	epochs    *epochs
	hot       *hotItems
	files     *fileWatch
	requests  sync.Pool // *request

	// upkeep is held by compaction, value-log collection and closing. No other
	// lock is held when it is taken.
	upkeep  sync.Mutex
	closing sync.Once
	failed  error         // of closing
	stop    chan struct{} // ends the housekeeper
	keeper  chan struct{} // closed when it has ended
}

var _ metastore.Driver = (*DB)(nil)

// Open opens the store in o.Dir, or makes it; the parent of the directory must
// exist. It fails with metastore.ErrLocked if somebody else has it open, with
// cipher.ErrAuth if the key is another one, and with metastore.ErrCorrupt if a
// store is there and its registry of keys is not. Then nothing was changed.
func Open(ctx context.Context, o Options) (*DB, error) {
	if err := errors.Join(ctx.Err(), o.Validate()); err != nil {
		return nil, err
	}
	if err := makeDir(o.Dir); err != nil {
		return nil, fmt.Errorf("badgerdb: make directory: %w", err)
	}
	options := o.badger()
	if err := checkKey(options); err != nil {
		clear(options.EncryptionKey)
		return nil, fmt.Errorf("badgerdb: open %s: %w", o.Dir, err)
	}
	b, err := badger.OpenManaged(options)
	if err != nil {
		clear(options.EncryptionKey)
		if locked(o.Dir) {
			return nil, fmt.Errorf("badgerdb: open %s: %w", o.Dir, metastore.ErrLocked)
		}
		return nil, fmt.Errorf("badgerdb: open %s: %w", o.Dir, err)
	}
	files, err := watchFiles(o.Dir)
	if err != nil {
		err = errors.Join(err, b.Close())
		clear(options.EncryptionKey)
		return nil, fmt.Errorf("badgerdb: open %s: %w", o.Dir, err)
	}
	db := &DB{
		badger: b, options: options, files: files,
		queue: newQueue(), epochs: newEpochs(b), hot: newHotItems(),
		requests: sync.Pool{New: newRequest},
		stop:     make(chan struct{}), keeper: make(chan struct{}),
	}
	db.committer = newCommitter(b, db.queue, db.epochs, db.hot, files.settle, b.MaxVersion())
	go db.committer.run()
	go db.housekeep()
	return db, nil
}

// Snapshot implements metastore.Driver.
func (db *DB) Snapshot() (metastore.Snapshot, error) {
	epoch, err := db.epochs.acquire()
	if err != nil {
		return nil, err
	}
	return &snapshot{epochs: db.epochs, epoch: epoch, hot: db.hot}, nil
}

// Apply implements metastore.Driver.
func (db *DB) Apply(ctx context.Context, b metastore.Batch) (uint64, error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	r := db.requests.Get().(*request)
	r.set(b)
	if err := db.queue.push(r); err != nil {
		return 0, err
	}
	select {
	case <-r.done:
	case <-ctx.Done():
		if r.withdraw() {
			return 0, ctx.Err() // the queue still has r, so it is not used again
		}
		<-r.done
	}
	seq, err := r.seq, r.err
	r.batch = metastore.Batch{}
	db.requests.Put(r)
	return seq, err
}

// Close implements metastore.Driver. It waits for snapshots to be released.
func (db *DB) Close() error {
	db.closing.Do(func() {
		db.queue.close()
		<-db.committer.stopped
		close(db.stop)
		<-db.keeper
		db.epochs.close()
		db.upkeep.Lock()
		defer db.upkeep.Unlock()
		err := errors.Join(db.badger.Close(), db.files.close())
		clear(db.options.EncryptionKey)
		if err != nil {
			db.failed = fmt.Errorf("badgerdb: close: %w", err)
		}
	})
	return db.failed
}

// Stats returns the counters.
func (db *DB) Stats() Stats {
	tables, log := db.badger.Size()
	return Stats{
		TableBytes: tables, LogBytes: log,
		Flushes:      db.committer.flushes.Load(),
		Transactions: db.committer.transactions.Load(),
		Conflicts:    db.committer.conflicts.Load(),
	}
}

// Compact writes the memtables into tables and moves all tables into one level,
// so that what was deleted or overwritten before the oldest snapshot is gone
// from them; then it collects the value log. It is for tools and tests: reads
// and writes wait while the memtables and the level below them are moved. It
// looks at ctx only between steps.
func (db *DB) Compact(ctx context.Context) error {
	db.upkeep.Lock()
	defer db.upkeep.Unlock()
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := db.committer.exclusively(ctx, db.committer.flushMemtables); err != nil {
		return fmt.Errorf("badgerdb: compact: %w", err)
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := db.badger.Flatten(1); err != nil {
		return fmt.Errorf("badgerdb: compact: %w", err)
	}
	return db.collect(ctx)
}

// Reserve returns how many bytes of disk must stay free for the store to take
// what it has room for in memory: all memtables with their logs, and the
// largest compaction that may follow. It grows with the store, so ask again now
// and then; it is cheap.
func (db *DB) Reserve() uint64 {
	memtables := liveMemtables * (db.options.MemTableSize + db.badger.MaxBatchSize())
	levels := db.badger.Levels()
	var base, largest int64
	for i := 1; i < len(levels); i++ {
		if levels[i].IsBaseLevel {
			base = levels[i].Size
		}
		if i+1 == len(levels) {
			break
		}
		// One table goes into those that it overlaps, some of which it just touches.
		overlap := int64(db.options.LevelSizeMultiplier + 2)
		deep := levels[i].TargetFileSize + overlap*levels[i+1].TargetFileSize
		largest = max(largest, min(deep, levels[i].Size+levels[i+1].Size))
	}
	// All of level 0 goes into the base level, with what the memtables add to it.
	largest = max(largest, levels[0].Size+memtables+base)
	return uint64(2*memtables + largest + largest/16 + slack)
}

// housekeep collects the value log now and then.
func (db *DB) housekeep() {
	defer close(db.keeper)
	ticker := time.NewTicker(collectEvery)
	defer ticker.Stop()
	for {
		select {
		case <-db.stop:
			return
		case <-ticker.C:
			db.upkeep.Lock()
			_ = db.collect(context.Background()) // Badger has logged it; the next round tries again
			db.upkeep.Unlock()
		}
	}
}

// collect frees the space of the value log as far as that is worth it.
func (db *DB) collect(ctx context.Context) error {
	for ctx.Err() == nil {
		err := db.badger.RunValueLogGC(collectRatio)
		if errors.Is(err, badger.ErrNoRewrite) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("badgerdb: collect value log: %w", err)
		}
	}
	return ctx.Err()
}

// makeDir makes dir with a durable entry, unless it exists.
func makeDir(dir string) error {
	err := os.Mkdir(dir, 0o700)
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	if err != nil {
		return err
	}
	parent, err := os.Open(filepath.Dir(filepath.Clean(dir)))
	if err != nil {
		return err
	}
	return errors.Join(parent.Sync(), parent.Close())
}

// checkKey tries the key on the registry of a store that exists. Badger would
// do that too late: it makes a new registry where it finds none, and leaves
// goroutines behind where it finds that the key is wrong.
func checkKey(o badger.Options) error {
	_, err := os.Stat(filepath.Join(o.Dir, badger.ManifestFilename))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if _, err := os.Stat(filepath.Join(o.Dir, badger.KeyRegistryFileName)); errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%w: %s is missing", metastore.ErrCorrupt, badger.KeyRegistryFileName)
	} else if err != nil {
		return err
	}
	_, err = badger.OpenKeyRegistry(badger.KeyRegistryOptions{Dir: o.Dir, ReadOnly: true, EncryptionKey: o.EncryptionKey})
	if errors.Is(err, badger.ErrEncryptionKeyMismatch) {
		return fmt.Errorf("%w: %w", cipher.ErrAuth, err)
	}
	return err
}

// locked reports whether somebody holds Badger's lock on dir; Badger says so in
// words only.
func locked(dir string) bool {
	f, err := os.Open(dir)
	if err != nil {
		return false
	}
	defer f.Close()
	return errors.Is(syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB), syscall.EWOULDBLOCK)
}
