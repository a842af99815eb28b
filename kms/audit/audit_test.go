package audit

import (
	"context"
	"errors"
	"fmt"
	"path"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"coffer/cipher"
	"coffer/internal/caller"
	"coffer/internal/disk"
	"coffer/internal/disk/disktest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const dir = "logs/audit"

// testKey is the key of most tests and of the golden files: that of the StoreKey
// 00 01 … 1f.
func testKey(t testing.TB) *cipher.Subkey {
	t.Helper()
	raw := make([]byte, cipher.KeySize)
	for i := range raw {
		raw[i] = byte(i)
	}
	k, err := cipher.StoreKeyFromBytes(raw)
	if err != nil {
		t.Fatal(err)
	}
	return k.Derive(cipher.LabelAudit)
}

func memory() *disktest.Crash { return disktest.NewCrash(disktest.Options{}) }

func options(t testing.TB, fsys disk.Volume) Options {
	return Options{FS: fsys, Dir: dir, Key: testKey(t), FileSize: MinFileSize, SyncInterval: time.Hour}
}

func mustOpen(t testing.TB, o Options) *Log {
	t.Helper()
	l, err := Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	closeLater(t, l)
	return l
}

// closeLater ends the goroutine of a log that a test leaves open.
func closeLater(t testing.TB, l *Log) {
	t.Cleanup(func() {
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		_ = l.Close(ctx)
	})
}

func event(n int) Event {
	return Event{
		Caller:    caller.Caller{Principal: "root", Source: "192.0.2.1:999", RequestID: fmt.Sprintf("r%d", n)},
		Operation: Decrypt, Outcome: Success, KeyID: "key", KeyVersion: 3, Bucket: "bucket",
		Object: fmt.Sprintf("object %d", n),
	}
}

// record writes events first to last.
func record(t testing.TB, l *Log, first, last int) {
	t.Helper()
	for n := first; n <= last; n++ {
		if err := l.Record(t.Context(), event(n)); err != nil {
			t.Fatal(err)
		}
	}
}

func do(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// written makes a log of n events, closed.
func written(t testing.TB, fsys disk.Volume, n int) {
	t.Helper()
	l := mustOpen(t, options(t, fsys))
	record(t, l, 1, n)
	do(t, l.Close(t.Context()))
}

func verify(t testing.TB, fsys disk.FS, remembered ...Head) (Report, error) {
	t.Helper()
	return Verify(t.Context(), fsys, dir, testKey(t), remembered...)
}

func mustVerify(t testing.TB, fsys disk.FS, remembered ...Head) Report {
	t.Helper()
	r, err := verify(t, fsys, remembered...)
	if err != nil {
		t.Fatalf("Verify: %v", err)
	}
	return r
}

// requests gives the request ids of all events in the log, in order.
func requests(t testing.TB, fsys disk.FS) []string {
	t.Helper()
	var ids []string
	for _, l := range allLines(t, fsys) {
		if l.Kind == kindEvent {
			ids = append(ids, l.Event.RequestID)
		}
	}
	return ids
}

func allLines(t testing.TB, fsys disk.FS) []line {
	t.Helper()
	found, err := list(fsys, dir)
	do(t, err)
	var all []line
	for _, f := range found.files {
		for raw := range strings.Lines(read(t, fsys, fileName(f.num))) {
			body, _, err := splitLine([]byte(strings.TrimSuffix(raw, "\n")))
			do(t, err)
			l, err := parseBody(body)
			do(t, err)
			all = append(all, l)
		}
	}
	return all
}

// wantRequests checks that the log holds the events first to last and no others.
func wantRequests(t testing.TB, fsys disk.FS, first, last int) {
	t.Helper()
	got := requests(t, fsys)
	for n := first; n <= last; n++ {
		if i := n - first; i >= len(got) || got[i] != fmt.Sprintf("r%d", n) {
			t.Fatalf("event %d is not where it should be among %d", n, len(got))
		}
	}
	if len(got) > last-first+1 {
		t.Fatalf("%d events, want %d", len(got), last-first+1)
	}
}

func read(t testing.TB, fsys disk.FS, name string) string {
	t.Helper()
	data, err := disk.ReadFile(fsys, path.Join(dir, name), 1<<30)
	do(t, err)
	return string(data)
}

// put replaces a file of the log.
func put(t testing.TB, fsys disk.FS, name, data string) {
	t.Helper()
	do(t, disk.WriteFileAtomic(fsys, dir, name, []byte(data)))
}

// wantFault checks the fault that Verify found.
func wantFault(t testing.TB, err error, file string, line int, cause error) {
	t.Helper()
	var f *Fault
	if !errors.As(err, &f) {
		t.Fatalf("Verify = %v, want a fault", err)
	}
	if f.File != file || f.Line != line || !errors.Is(err, cause) {
		t.Errorf("fault %q, want %s, line %d: %v", f, file, line, cause)
	}
}
