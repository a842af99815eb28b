package badgerdb_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/dgraph-io/badger/v4"
	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"coffer/cipher"
	"coffer/metastore"
	"coffer/metastore/badgerdb"
	"coffer/metastore/metastoretest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestConformance(t *testing.T) {
	t.Parallel()
	metastoretest.Run(t, func(t *testing.T) metastoretest.Open {
		o := options(t, filepath.Join(t.TempDir(), "meta"))
		return func(ctx context.Context) (metastore.Driver, error) { return badgerdb.Open(ctx, o) }
	})
}

func options(tb testing.TB, dir string) badgerdb.Options {
	tb.Helper()
	return badgerdb.Options{Dir: dir, EncryptionKey: cipher.NewStoreKey().Derive(cipher.LabelBadger)}
}

func open(tb testing.TB, o badgerdb.Options) *badgerdb.DB {
	tb.Helper()
	db, err := badgerdb.Open(tb.Context(), o)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := db.Close(); err != nil {
			tb.Error(err)
		}
	})
	return db
}

func put(tb testing.TB, db *badgerdb.DB, keysAndValues ...string) {
	tb.Helper()
	var b metastore.Batch
	for i := 0; i < len(keysAndValues); i += 2 {
		b.Writes = append(b.Writes, metastore.Write{Key: []byte(keysAndValues[i]), Value: []byte(keysAndValues[i+1])})
	}
	if _, err := db.Apply(context.Background(), b); err != nil {
		tb.Fatal(err)
	}
}

func get(tb testing.TB, db *badgerdb.DB, key string) string {
	tb.Helper()
	snap, err := db.Snapshot()
	if err != nil {
		tb.Fatal(err)
	}
	defer snap.Release()
	value, _, err := snap.Get([]byte(key))
	if err != nil {
		return err.Error()
	}
	return string(value)
}

func TestLocked(t *testing.T) {
	t.Parallel()
	o := options(t, t.TempDir())
	db := open(t, o)
	put(t, db, "a", "1")
	if _, err := badgerdb.Open(t.Context(), o); !errors.Is(err, metastore.ErrLocked) {
		t.Errorf("a second Open: %v, want ErrLocked", err)
	}
	if got := get(t, db, "a"); got != "1" {
		t.Errorf("after that a is %q", got)
	}
}

// TestWrongKey: another key opens nothing, is not called a lock, and changes
// nothing.
func TestWrongKey(t *testing.T) {
	t.Parallel()
	o := options(t, t.TempDir())
	db := open(t, o)
	put(t, db, "a", "1")
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	before := readAll(t, o.Dir)
	if _, err := badgerdb.Open(t.Context(), options(t, o.Dir)); !errors.Is(err, cipher.ErrAuth) || errors.Is(err, metastore.ErrLocked) {
		t.Errorf("Open with another key: %v, want cipher.ErrAuth", err)
	}
	if diff := cmp.Diff(before, readAll(t, o.Dir)); diff != "" {
		t.Errorf("Open with another key changes files")
	}
	registry := filepath.Join(o.Dir, badger.KeyRegistryFileName)
	if err := os.Rename(registry, registry+".away"); err != nil {
		t.Fatal(err)
	}
	if _, err := badgerdb.Open(t.Context(), o); !errors.Is(err, metastore.ErrCorrupt) {
		t.Errorf("Open without the registry of keys: %v, want ErrCorrupt", err)
	}
	if err := os.Rename(registry+".away", registry); err != nil {
		t.Fatal(err)
	}
	if got := get(t, open(t, o), "a"); got != "1" {
		t.Errorf("after that a is %q", got)
	}
}

// TestKeyIsCopied: the caller may wipe its key after Open.
func TestKeyIsCopied(t *testing.T) {
	t.Parallel()
	store := cipher.NewStoreKey()
	dir := t.TempDir()
	key := store.Derive(cipher.LabelBadger)
	db := open(t, badgerdb.Options{Dir: dir, EncryptionKey: key})
	key.Wipe()
	put(t, db, "a", "1")
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	if got := get(t, open(t, badgerdb.Options{Dir: dir, EncryptionKey: store.Derive(cipher.LabelBadger)}), "a"); got != "1" {
		t.Errorf("a is %q", got)
	}
}

// readAll returns the files of a directory.
func readAll(tb testing.TB, dir string) map[string]string {
	tb.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		tb.Fatal(err)
	}
	files := make(map[string]string)
	for _, e := range entries {
		content, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			tb.Fatal(err)
		}
		files[e.Name()] = string(content)
	}
	return files
}

// TestCrash copies the files of a store in use, which is what a process that is
// killed leaves behind. All that was acknowledged is in the copy.
func TestCrash(t *testing.T) {
	t.Parallel()
	o := options(t, t.TempDir())
	db := open(t, o)
	for round := range 3 {
		for i := range 30 {
			put(t, db, fmt.Sprintf("k%02d", i), fmt.Sprint(round), fmt.Sprintf("%d/%d", round, i), strings.Repeat("v", 20_000))
		}
		copied := o
		copied.Dir = t.TempDir()
		for name, content := range readAll(t, o.Dir) {
			if err := os.WriteFile(filepath.Join(copied.Dir, name), []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		after := open(t, copied)
		for i := range 30 {
			if got := get(t, after, fmt.Sprintf("k%02d", i)); got != fmt.Sprint(round) {
				t.Errorf("round %d: k%02d is %q", round, i, got)
			}
			if got := get(t, after, fmt.Sprintf("%d/%d", round, i)); len(got) != 20_000 {
				t.Errorf("round %d: value %d is %q", round, i, got)
			}
		}
	}
}

// TestNamesAreHidden: no file shows a key. Values are sealed before they come
// here, and must not be compressed or kept in a log of their own.
func TestNamesAreHidden(t *testing.T) {
	t.Parallel()
	const canary = "canary-name-3f9c"
	o := options(t, t.TempDir())
	db := open(t, o)
	for i := range 200 {
		put(t, db, fmt.Sprintf("%s/%d", canary, i), strings.Repeat("x", metastore.MaxSealedValueSize))
	}
	check := func(when string) {
		t.Helper()
		for name, content := range readAll(t, o.Dir) {
			if strings.Contains(content, canary) {
				t.Errorf("%s: %s shows a key", when, name)
			}
			if strings.HasSuffix(name, ".vlog") && strings.Trim(content[20:], "\x00") != "" {
				t.Errorf("%s: %s holds values", when, name)
			}
		}
	}
	check("open")
	if err := db.Compact(t.Context()); err != nil {
		t.Fatal(err)
	}
	check("compacted")
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	check("closed")
}

// TestCompact: what was deleted or overwritten is gone, and the sequence does
// not fall back although its last batches left nothing.
func TestCompact(t *testing.T) {
	t.Parallel()
	o := options(t, t.TempDir())
	o.MemoryMiB = badgerdb.MinMemoryMiB
	db := open(t, o)
	value := strings.Repeat("v", metastore.MaxValueSize)
	for range 4 {
		for i := range 100 {
			put(t, db, fmt.Sprintf("k%02d", i), value)
		}
	}
	put(t, db, "kept", "1")
	var seq uint64
	for i := range 100 {
		var err error
		if seq, err = db.Apply(t.Context(), metastore.Batch{Writes: []metastore.Write{{Key: fmt.Appendf(nil, "k%02d", i)}}}); err != nil {
			t.Fatal(err)
		}
	}
	if err := db.Compact(t.Context()); err != nil {
		t.Fatal(err)
	}
	size := 0
	for name, content := range readAll(t, o.Dir) {
		if strings.HasSuffix(name, ".sst") {
			size += len(content)
		}
	}
	if size > 64<<10 {
		t.Errorf("tables hold %d bytes after everything was deleted", size)
	}
	if got := get(t, db, "kept"); got != "1" {
		t.Errorf("kept is %q", got)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	db = open(t, o)
	if next, err := db.Apply(t.Context(), metastore.Batch{Writes: []metastore.Write{{Key: []byte("a"), Value: []byte("1")}}}); err != nil || next <= seq {
		t.Errorf("the sequence goes on with %d after %d, %v", next, seq, err)
	}
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	if err := db.Compact(cancelled); !errors.Is(err, context.Canceled) {
		t.Errorf("Compact: %v, want context.Canceled", err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	if err := db.Compact(t.Context()); !errors.Is(err, metastore.ErrClosed) {
		t.Errorf("Compact after Close: %v, want ErrClosed", err)
	}
}

// TestReserve: the disk that the store takes between two questions is within
// what it asked to be left free, flushes and compactions included.
func TestReserve(t *testing.T) {
	t.Parallel()
	o := options(t, t.TempDir())
	db := open(t, o)
	used := func() (n int64) {
		t.Helper()
		entries, err := os.ReadDir(o.Dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			var stat syscall.Stat_t
			if err := syscall.Stat(filepath.Join(o.Dir, e.Name()), &stat); err == nil { // else it has just been removed
				n += stat.Blocks * 512
			}
		}
		return n
	}
	value := strings.Repeat("v", metastore.MaxValueSize)
	reserve, before := int64(db.Reserve()), used()
	if reserve < 64<<20 || reserve > 512<<20 {
		t.Errorf("an empty store asks for %d bytes", reserve)
	}
	for i := range 600 { // more than all memtables take
		put(t, db, fmt.Sprintf("%d", i*7919%600), value)
		if now := used(); now-before > reserve {
			t.Fatalf("after %d values the store takes %d bytes more, and had asked for %d", i, now-before, reserve)
		}
		if i%100 == 0 {
			reserve, before = int64(db.Reserve()), used()
		}
	}
	grown := int64(db.Reserve())
	if err := db.Compact(t.Context()); err != nil {
		t.Fatal(err)
	}
	if now := used(); now-before > grown {
		t.Errorf("a compaction takes %d bytes more, and the store had asked for %d", now-before, grown)
	}
}

func TestOpenFails(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if _, err := badgerdb.Open(t.Context(), options(t, filepath.Join(dir, "a", "b"))); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Open without a parent directory: %v", err)
	}
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := badgerdb.Open(cancelled, options(t, filepath.Join(dir, "c"))); !errors.Is(err, context.Canceled) {
		t.Errorf("Open: %v, want context.Canceled", err)
	}
	open(t, options(t, filepath.Join(dir, "d")))
	info, err := os.Stat(filepath.Join(dir, "d"))
	if err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("the directory has mode %v, %v; want 0700", info.Mode(), err)
	}
}
