package audit

import (
	"os"
	"path"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"coffer/cipher"
	"coffer/internal/caller"
	"coffer/internal/disk/disktest"
)

const golden = "testdata/v1/audit"

// goldenHead is the last line of the golden log.
const goldenHead = "61:9b68fc4db298adcbb877b88a5c239e236697b0a794a82187e40a9b8cdf13d82f"

func goldenEvents() []Event {
	uid := uint32(1000)
	at := func(n int) time.Time { return time.Unix(1_770_000_000, int64(n)*1_000_001) }
	full := Event{
		Caller: caller.Caller{Principal: "user@example.com", Source: "192.0.2.7:4711", UserAgent: `aws-cli/2 "ä"` + "\x1b[0m",
			RequestID: "17F3A", UID: &uid, Pairs: []caller.Pair{{Name: "ticket", Value: "T-1"}, {Name: "app", Value: "backup\\job"}}},
		Operation: Decrypt, Outcome: Success, KeyID: "orders/2026", KeyVersion: 4, Instance: cipher.InstanceID{0: 0xab, 15: 1},
		Cached: true, Bucket: "orders", Object: "2026/invoice 1.pdf",
	}
	cut := Event{Caller: caller.Caller{UserAgent: strings.Repeat("é", 200)}, Operation: GenerateDataKey, Outcome: Backend, KeyID: "k"}
	denied := Event{Caller: caller.Caller{Principal: "mallory"}, Operation: RotateKey, Outcome: AccessDenied, KeyID: "orders/2026"}
	all := []Event{full, cut, denied, {Operation: DeleteKey, Outcome: Success, KeyID: "old"}}
	for n := 1; n <= 50; n++ {
		all = append(all, event(n))
	}
	for i := range all {
		all[i].Time = at(i)
	}
	return all
}

// writeGolden makes the log of the golden files: two of three files kept, the end
// cut by a kill and repaired.
func writeGolden(t *testing.T) *disktest.Crash {
	t.Helper()
	now := func() time.Time { return time.Unix(1_770_000_100, 5) }
	use := func(fsys *disktest.Crash, events []Event) (*disktest.Crash, *Log) {
		o := small(t, fsys)
		o.Files, o.Now, o.newID = 2, now, func() logID { return logID{0: 0xc0, 15: 0xff} }
		l, err := open(t.Context(), o)
		do(t, err)
		for _, e := range events {
			do(t, l.Record(t.Context(), e))
		}
		do(t, l.Flush(t.Context()))
		cut := fsys.Crash()
		do(t, l.Close(t.Context()))
		return cut, l
	}
	events := goldenEvents()
	killed, _ := use(memory(), events[4:])
	last := fileName(newest(t, killed))
	put(t, killed, last, read(t, killed, last)+`{"seq":57,"time":"2026-`)
	use(killed, events[:4])
	return killed
}

func goldenFiles(t *testing.T) map[string]string {
	t.Helper()
	entries, err := os.ReadDir(golden)
	do(t, err)
	files := make(map[string]string)
	for _, e := range entries {
		data, err := os.ReadFile(path.Join(golden, e.Name()))
		do(t, err)
		files[e.Name()] = string(data)
	}
	return files
}

// TestGolden reads the golden log.
func TestGolden(t *testing.T) {
	t.Parallel()
	fsys := memory()
	do(t, fsys.MkdirAll(dir))
	for name, data := range goldenFiles(t) {
		put(t, fsys, name, data)
	}
	h, err := ParseHead(goldenHead)
	do(t, err)
	r := mustVerify(t, fsys, h)
	if r.Head != h || r.Files != 2 || !r.Clean || r.Given == 0 || r.Kills != 1 || len(r.Repairs) != 1 {
		t.Errorf("report %+v", r)
	}
	want := goldenEvents()[:4]
	var got []Entry
	for _, l := range allLines(t, fsys) {
		if l.Kind == kindEvent {
			got = append(got, l.Event)
		}
	}
	got = got[len(got)-len(want):]
	for i, e := range want {
		if e.Caller.IsZero() {
			e.Caller.Principal = caller.Internal
		}
		n := newEntry(e)
		n.Object, err = ObjectHash(testKey(t), e.Bucket, e.Object)
		do(t, err)
		if diff := cmp.Diff(n, got[i]); diff != "" {
			t.Errorf("event %d (-want +got):\n%s", i, diff)
		}
	}
	l := mustOpen(t, options(t, fsys))
	record(t, l, 1, 1)
	do(t, l.Close(t.Context()))
	mustVerify(t, fsys, h)
}

// TestGoldenWrittenAgain shows that what is written today is the same in every byte.
func TestGoldenWrittenAgain(t *testing.T) {
	t.Parallel()
	fsys := writeGolden(t)
	got := make(map[string]string)
	for e, err := range fsys.ReadDir(dir) {
		do(t, err)
		got[e.Name] = read(t, fsys, e.Name)
	}
	if diff := cmp.Diff(goldenFiles(t), got); diff != "" {
		t.Errorf("written today (-golden +got):\n%s", diff)
	}
}
