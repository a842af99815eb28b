package audit

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"coffer/cipher"
	"coffer/internal/caller"
	"coffer/internal/disk"
)

func TestRecord(t *testing.T) {
	t.Parallel()
	fsys := memory()
	l := mustOpen(t, options(t, fsys))
	uid := uint32(1000)
	instance := cipher.InstanceID{1, 2, 3}
	at := time.Date(2026, 3, 4, 5, 6, 7, 8, time.UTC)
	inContext := caller.With(t.Context(), caller.Caller{
		Principal: "user", Source: "192.0.2.9", UserAgent: "aws-cli", RequestID: "R", UID: &uid,
		Pairs: []caller.Pair{{Name: "ticket", Value: "T-1"}, {Name: "app", Value: "x"}},
	})
	do(t, l.Record(inContext, Event{
		Time: at, Operation: CreateKey, Outcome: AccessDenied, KeyID: "k", KeyVersion: 7, Instance: instance,
		Bucket: "b", Object: "o",
	}))
	do(t, l.Record(inContext, Event{Caller: caller.Caller{Principal: "explicit"}, Operation: Decrypt, Outcome: Success, Cached: true}))
	do(t, l.Record(t.Context(), Event{Operation: DeleteKey, Outcome: Success}))
	do(t, l.Close(t.Context()))

	hash, err := ObjectHash(testKey(t), "b", "o")
	do(t, err)
	var got []Entry
	for _, l := range allLines(t, fsys) {
		if l.Kind == kindEvent {
			got = append(got, l.Event)
		}
	}
	want := []Entry{
		{Operation: "CreateKey", Outcome: "access_denied", Principal: "user", Source: "192.0.2.9", UserAgent: "aws-cli",
			RequestID: "R", UID: &uid, KeyID: "k", KeyVersion: 7, Instance: instance, Bucket: "b", Object: hash,
			Pairs: []caller.Pair{{Name: "app", Value: "x"}, {Name: "ticket", Value: "T-1"}}},
		{Operation: "Decrypt", Outcome: "success", Principal: "explicit", Cached: true},
		{Operation: "DeleteKey", Outcome: "success", Principal: caller.Internal},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
	r := mustVerify(t, fsys)
	if !r.Clean || r.Files != 1 || r.Lines != 6 || r.Events != 3 || r.Starts != 1 || r.Kills != 0 || r.Unsealed != 0 {
		t.Errorf("report %+v", r)
	}
}

func TestObjectNamesAreHashed(t *testing.T) {
	t.Parallel()
	fsys := memory()
	l := mustOpen(t, options(t, fsys))
	do(t, l.Record(t.Context(), Event{Bucket: "bucket", Object: "canary-name"}))
	do(t, l.Close(t.Context()))
	if strings.Contains(read(t, fsys, fileName(1)), "canary") {
		t.Error("the name of an object stands in the log")
	}
	seen := map[string]string{}
	for _, c := range []struct{ bucket, name string }{{"b", "o"}, {"bo", ""}, {"bo", "o"}, {"b", "oo"}, {"c", "o"}} {
		h, err := ObjectHash(testKey(t), c.bucket, c.name)
		do(t, err)
		if other, twice := seen[h]; twice {
			t.Errorf("%v has the hash of %s", c, other)
		}
		seen[h] = fmt.Sprint(c)
		if c.name != "" && len(h) != 2*nameSize {
			t.Errorf("hash %q", h)
		}
	}
	sub := cipher.NewStoreKey().Derive(cipher.LabelAudit)
	if h, _ := ObjectHash(sub, "b", "o"); seen[h] != "" {
		t.Error("another key gives the same hash")
	}
}

func TestModes(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	written(t, disk.NewOS(root), 3)
	entries, err := os.ReadDir(filepath.Join(root, dir))
	do(t, err)
	if len(entries) != 2 {
		t.Errorf("%d files, want the log and its state", len(entries))
	}
	for _, e := range entries {
		info, err := e.Info()
		do(t, err)
		if info.Mode() != 0o600 {
			t.Errorf("%s has mode %v", e.Name(), info.Mode())
		}
	}
}

func TestRotation(t *testing.T) {
	t.Parallel()
	const events = 3000
	for _, c := range []struct {
		name  string
		files int
		whole bool
	}{{"all kept", -1, true}, {"three kept", 3, false}} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			fsys := memory()
			o := options(t, fsys)
			o.Files = c.files
			l := mustOpen(t, o)
			record(t, l, 1, events)
			do(t, l.Close(t.Context()))
			found, err := list(fsys, dir)
			do(t, err)
			for _, f := range found.files {
				if f.size > MinFileSize+maxLine {
					t.Errorf("file %d has %d bytes", f.num, f.size)
				}
			}
			r := mustVerify(t, fsys)
			if c.whole {
				wantRequests(t, fsys, 1, events)
				if r.Files < 8 || r.Given != 0 {
					t.Errorf("report %+v", r)
				}
				return
			}
			kept := requests(t, fsys)
			if len(found.files) != 3 || r.Files != 3 || r.Given == 0 || kept[len(kept)-1] != "r3000" {
				t.Errorf("%d files, last event %s, report %+v", len(found.files), kept[len(kept)-1], r)
			}
			if r.Given+r.Lines != r.Head.Seq {
				t.Errorf("%d given up and %d there make %d", r.Given, r.Lines, r.Head.Seq)
			}
			wantPrunes(t, allLines(t, fsys))
		})
	}
}

// wantPrunes checks that what was given up is said in the file begun then.
func wantPrunes(t *testing.T, lines []line) {
	t.Helper()
	prunes := 0
	for i, l := range lines {
		if l.Kind != kindPrune {
			continue
		}
		prunes++
		if before := lines[i-1]; before.Kind != kindBegin || before.File != l.File+3 || l.Last >= l.Seq {
			t.Errorf("after %+v: %+v", before, l)
		}
	}
	if prunes != 3 {
		t.Errorf("%d files were given up in the lines that are kept, want 3", prunes)
	}
}

// TestManyStarts shows that starts alone do not push lines out of the log.
func TestManyStarts(t *testing.T) {
	t.Parallel()
	const starts = 25
	fsys := memory()
	o := options(t, fsys)
	o.Files = 2
	for n := 1; n <= starts; n++ {
		l := mustOpen(t, o)
		record(t, l, n, n)
		do(t, l.Close(t.Context()))
	}
	r := mustVerify(t, fsys)
	if r.Given != 0 || r.Starts != starts || r.Kills != 0 {
		t.Errorf("report %+v", r)
	}
	wantRequests(t, fsys, 1, starts)
}

func TestReopenLeavesALongFile(t *testing.T) {
	t.Parallel()
	fsys := memory()
	written(t, fsys, 100)
	before := read(t, fsys, fileName(1))
	if int64(len(before)) < MinFileSize/4 {
		t.Fatalf("the file has only %d bytes", len(before))
	}
	l := mustOpen(t, options(t, fsys))
	record(t, l, 101, 101)
	do(t, l.Close(t.Context()))
	if read(t, fsys, fileName(1)) != before {
		t.Error("a complete file was changed")
	}
	wantRequests(t, fsys, 1, 101)
	if r := mustVerify(t, fsys); r.Files != 2 {
		t.Errorf("report %+v", r)
	}
}

func TestFlushIsDurable(t *testing.T) {
	t.Parallel()
	fsys := memory()
	l := mustOpen(t, options(t, fsys))
	record(t, l, 1, 5)
	do(t, l.Flush(t.Context()))
	record(t, l, 6, 9)
	after := fsys.Crash()
	wantRequests(t, after, 1, 5)
	if r := mustVerify(t, after); r.Clean || r.Unsealed != 0 || r.Head != l.Stats().Head {
		t.Errorf("report %+v", r)
	}
}

func TestSyncInterval(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		fsys := memory()
		o := options(t, fsys)
		o.SyncInterval = time.Second
		l := mustOpen(t, o)
		record(t, l, 1, 1)
		time.Sleep(600 * time.Millisecond)
		record(t, l, 2, 2)
		synctest.Wait()
		if got := requests(t, fsys.Crash()); len(got) != 0 {
			t.Errorf("%v is durable at once", got)
		}
		if got := requests(t, fsys); len(got) != 2 {
			t.Errorf("%v is written at once, want 2 lines", got)
		}
		time.Sleep(401 * time.Millisecond)
		synctest.Wait()
		wantRequests(t, fsys.Crash(), 1, 2)
		record(t, l, 3, 3)
		time.Sleep(1001 * time.Millisecond)
		synctest.Wait()
		wantRequests(t, fsys.Crash(), 1, 3)
		do(t, l.Close(t.Context()))
	})
}

func TestOptions(t *testing.T) {
	t.Parallel()
	err := Options{Dir: "..", FileSize: 1, Files: 1, SyncInterval: -1, Queue: -1}.Validate()
	for _, field := range []string{"FS", "Key", "Dir", "FileSize", "Files", "SyncInterval", "Queue"} {
		if err == nil || !strings.Contains(err.Error(), "Options."+field+" ") {
			t.Errorf("Validate does not name %s: %v", field, err)
		}
	}
	wiped := testKey(t)
	wiped.Wipe()
	o := options(t, memory())
	o.Key = wiped
	if _, err := Open(t.Context(), o); err == nil {
		t.Error("Open takes a wiped key")
	}
	if _, err := Verify(t.Context(), memory(), dir, wiped); err == nil {
		t.Error("Verify takes a wiped key")
	}
	o = options(t, memory())
	o.MustExist = true
	if _, err := Open(t.Context(), o); !errors.Is(err, ErrState) {
		t.Errorf("Open of a log that must exist = %v, want ErrState", err)
	}
}
