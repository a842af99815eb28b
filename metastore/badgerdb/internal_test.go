package badgerdb

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"coffer/cipher"
	"coffer/metastore"
)

// TestNewLogIsSynced: when a batch is answered, the directory has been synced
// since the log that holds it appeared.
func TestNewLogIsSynced(t *testing.T) {
	t.Parallel()
	db := openInternal(t)
	logs := func() []string {
		t.Helper()
		found, err := filepath.Glob(filepath.Join(db.options.Dir, "*"+logSuffix))
		if err != nil {
			t.Error(err)
		}
		return found
	}
	synced := make(map[string]bool)
	for _, log := range logs() {
		synced[log] = true // by Open
	}
	sync := db.files.syncDir
	db.files.syncDir = func() error {
		for _, log := range logs() {
			synced[log] = true
		}
		return sync()
	}
	value := bytes.Repeat([]byte{1}, metastore.MaxValueSize)
	for i := range 3 * int(db.options.MemTableSize) / (8 * len(value)) {
		var b metastore.Batch
		for j := range 8 {
			b.Writes = append(b.Writes, metastore.Write{Key: fmt.Appendf(nil, "%d/%d", i, j), Value: value})
		}
		if _, err := db.Apply(t.Context(), b); err != nil {
			t.Fatal(err)
		}
		for _, log := range logs() {
			if !synced[log] {
				t.Fatalf("%s holds a batch that was answered, and its entry is not durable", filepath.Base(log))
			}
		}
	}
	if len(synced) < 3 {
		t.Fatalf("only %d logs were made", len(synced))
	}
}

// TestWatchFiles: an error of looking is not taken for "no new log".
func TestWatchFiles(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, name := range []string{"00003.mem", "00017.mem", "000021.sst", "x.mem"} {
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	w, err := watchFiles(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer w.close()
	if got, want := filepath.Base(w.nextPath), "00018.mem"; got != want {
		t.Errorf("the next log is %s, want %s", got, want)
	}
	syncs := 0
	var fail error
	w.syncDir = func() error { syncs++; return fail }
	settle := func(want int, wantErr error) {
		t.Helper()
		syncs = 0
		if err := w.settle(); syncs != want || !errors.Is(err, wantErr) {
			t.Errorf("settle syncs %d times, %v; want %d, %v", syncs, err, want, wantErr)
		}
	}
	settle(0, nil)
	touch := func(name string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	touch("00018.mem")
	touch("00019.mem")
	fail = fs.ErrPermission
	settle(1, fs.ErrPermission)
	fail = nil
	settle(1, nil)
	settle(0, nil)
	if err := os.Symlink("nowhere", filepath.Join(dir, "00020.mem")); err != nil {
		t.Fatal(err)
	}
	settle(1, nil)
	if _, err := watchFiles(filepath.Join(dir, "absent")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("watching an absent directory: %v", err)
	}
}

func TestStoredKey(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ key, stored string }{
		{"a", "a"}, {"!badge", "!badge"}, {"!badgeR!", "!badgeR!"},
		{"!badger", "!badger\x00"}, {"!badger!", "!badger\x00!"}, {"!badger\x00", "!badger\x00\x00"}, {"!badger!txn", "!badger\x00!txn"},
	} {
		if got := string(storedKey([]byte(c.key))); got != c.stored {
			t.Errorf("%q is stored as %q, want %q", c.key, got, c.stored)
		}
	}
	for _, stored := range []string{sequenceKey, escapePrefix, "!badger!txn"} {
		if key, ok := givenKey([]byte(stored)); ok {
			t.Errorf("%q is taken for the key %q", stored, key)
		}
	}
	key := rapid.Custom(func(rt *rapid.T) []byte {
		prefix := rapid.SampledFrom([]string{"", "!badge", "!badger", "!badger!", "!badger\x00"}).Draw(rt, "prefix")
		return append([]byte(prefix), rapid.SliceOfN(rapid.Byte(), 1, 3).Draw(rt, "rest")...)
	})
	rapid.Check(t, func(rt *rapid.T) {
		a, b := key.Draw(rt, "a"), key.Draw(rt, "b")
		if got, want := bytes.Compare(storedKey(a), storedKey(b)), bytes.Compare(a, b); got != want {
			rt.Errorf("%q and %q compare as %d when stored, want %d", a, b, got, want)
		}
		if back, ok := givenKey(storedKey(a)); !ok || !bytes.Equal(back, a) {
			rt.Errorf("%q comes back as %q, %v", a, back, ok)
		}
	})
}

func TestCommonPrefix(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ from, to, want string }{
		{"", "", ""}, {"a", "b", "a"}, {"a", "c", ""}, {"p/", "p0", "p/"}, {"p/x", "p0", "p/"}, {"p/", "p/x", "p/"},
		{"p", "p/", "p"}, {"p/a", "p/b", "p/a"}, {"p/a", "p/b\x00", "p/"}, {"p\xff", "q", "p"}, {"p", "p", "p"}, {"q", "p", ""},
	} {
		if got := string(commonPrefix([]byte(c.from), []byte(c.to))); got != c.want {
			t.Errorf("commonPrefix(%q, %q) = %q, want %q", c.from, c.to, got, c.want)
		}
	}
	bound := rapid.SliceOfN(rapid.SampledFrom([]byte{0, 1, 2, 0xfe, 0xff}), 0, 4)
	rapid.Check(t, func(rt *rapid.T) {
		from, to, key := bound.Draw(rt, "from"), bound.Draw(rt, "to"), bound.Draw(rt, "key")
		inside := bytes.Compare(key, from) >= 0 && bytes.Compare(key, to) < 0
		if prefix := commonPrefix(from, to); inside && !bytes.HasPrefix(key, prefix) {
			rt.Errorf("%q lies in [%q, %q) and has no prefix %q", key, from, to, prefix)
		}
	})
}

func TestValidate(t *testing.T) {
	t.Parallel()
	err := Options{MemoryMiB: 1}.Validate()
	for _, want := range []string{"Dir", "EncryptionKey", "MemoryMiB"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Validate: %v, want it to name %s", err, want)
		}
	}
	if _, err := Open(t.Context(), Options{}); err == nil {
		t.Error("Open takes empty options")
	}
	good := Options{Dir: "x", EncryptionKey: cipher.NewStoreKey().Derive(cipher.LabelBadger)}
	if err := good.Validate(); err != nil {
		t.Errorf("Validate: %v", err)
	}
	for _, memory := range []int{0, MinMemoryMiB, 1024} {
		good.MemoryMiB = memory
		o := good.badger()
		largest := o.MemTableSize * 15 / 100 // Badger's bound of a transaction
		if largest < metastore.MaxBatchSize+metastore.MaxTransactionWrites*entryOverhead+1<<10 || o.ValueThreshold > largest {
			t.Errorf("MemoryMiB %d: a transaction of Badger takes %d bytes", memory, largest)
		}
	}
}

func TestLogger(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	l := newLogger(slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{
		ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
			if a.Key == slog.TimeKey {
				return slog.Attr{}
			}
			return a
		},
	})))
	l.Errorf("bad %d\n", 1)
	l.Warningf("odd %s", "thing")
	l.Infof("quiet")
	l.Debugf("secret")
	want := "level=ERROR msg=badger text=\"bad 1\"\nlevel=WARN msg=badger text=\"odd thing\"\n"
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	newLogger(nil).Errorf("nowhere")
}

// TestSharedSnapshots: versions that a snapshot needs survive compaction, and
// those that none needs do not.
func TestSharedSnapshots(t *testing.T) {
	t.Parallel()
	db := openInternal(t)
	put := func(value string) {
		t.Helper()
		_, err := db.Apply(context.Background(), metastore.Batch{Writes: []metastore.Write{{Key: []byte("k"), Value: []byte(value)}}})
		if err != nil {
			t.Fatal(err)
		}
	}
	put("1")
	a, _ := db.Snapshot()
	b, _ := db.Snapshot()
	put("2")
	put("3")
	if n := len(db.epochs.live); n != 2 {
		t.Errorf("%d states are kept, want the one being read and the current one", n)
	}
	a.Release()
	if got := db.epochs.live[0].timestamp; got != 1 {
		t.Errorf("the oldest state kept is %d, want 1", got)
	}
	if value, _, err := b.Get([]byte("k")); string(value) != "1" || err != nil {
		t.Errorf("the snapshot has %q, %v; want 1", value, err)
	}
	if err := db.Compact(t.Context()); err != nil {
		t.Fatal(err)
	}
	if value, _, err := b.Get([]byte("k")); string(value) != "1" || err != nil {
		t.Errorf("after a compaction the snapshot has %q, %v; want 1", value, err)
	}
	if _, _, err := a.Get([]byte("k")); !errors.Is(err, metastore.ErrClosed) {
		t.Errorf("a released snapshot: %v, want ErrClosed", err)
	}
	b.Release()
	if n := len(db.epochs.live); n != 1 {
		t.Errorf("%d states are kept after the last release, want 1", n)
	}
}

// TestReleaseDuringScan: a scan that was begun ends well although its snapshot
// was released, and Close waits for it.
func TestReleaseDuringScan(t *testing.T) {
	t.Parallel()
	db := openInternal(t)
	put := func(key string) {
		t.Helper()
		_, err := db.Apply(t.Context(), metastore.Batch{Writes: []metastore.Write{{Key: []byte(key), Value: []byte("1")}}})
		if err != nil {
			t.Fatal(err)
		}
	}
	put("a")
	put("b")
	snap, err := db.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	next, stop := iter.Pull2(snap.Scan(nil, nil))
	if item, err, ok := next(); string(item.Key) != "a" || err != nil || !ok {
		t.Errorf("first item %q, %v, %v", item.Key, err, ok)
	}
	put("c")
	snap.Release()
	if item, err, ok := next(); string(item.Key) != "b" || err != nil || !ok {
		t.Errorf("second item %q, %v, %v", item.Key, err, ok)
	}
	closed := make(chan error)
	go func() { closed <- db.Close() }()
	select {
	case err := <-closed:
		t.Errorf("Close returns %v while a scan runs", err)
	case <-time.After(50 * time.Millisecond):
	}
	if _, err, ok := next(); err != nil || ok {
		t.Errorf("after the last item: %v, %v", err, ok)
	}
	stop()
	if err := <-closed; err != nil {
		t.Error(err)
	}
}
