package object_test

import (
	"bytes"
	"context"
	"io"
	"slices"
	"sync"
	"testing"
	"time"

	"coffer/chunk/localdisk"
	"coffer/internal/disk"
	"coffer/internal/disk/disktest"
	"coffer/metastore/memdb"
	"coffer/object"
	"coffer/object/objecttest"
)

// machine is an engine over chunk files whose power can be cut before any call to the disk. Its metastore, in memory,
// keeps every transaction that was applied, as a metastore must.
type machine struct {
	env  *objecttest.Env
	disk *disktest.Crash
	skip disktest.Op // sync that is left out

	mu   sync.Mutex // chunks are committed beside the step
	cuts []*machine // one for each moment
	took []int      // acknowledged steps at each
	done int
}

func openChunks(t *testing.T, v disk.Volume) *localdisk.Store {
	t.Helper()
	s, err := localdisk.Open(context.Background(), localdisk.Options{FS: v})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func newMachine(t *testing.T, skip disktest.Op) *machine {
	t.Helper()
	m := &machine{disk: disktest.NewCrash(disktest.Options{}), skip: skip}
	openChunks(t, m.disk) // makes the directories, so that their syncs are not among the moments
	faulty := disktest.NewFaulty(m.disk, func(c disktest.Call) *disktest.Fault {
		m.cut()
		if m.env != nil && c.Op == m.skip {
			return &disktest.Fault{Skip: true}
		}
		return nil
	})
	m.env = objecttest.NewOver(memdb.New(), openChunks(t, faulty))
	return m
}

// cut keeps what a power cut at this moment would leave.
func (m *machine) cut() {
	if m.env == nil {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	env := *m.env
	env.Driver = m.env.Driver.(*memdb.DB).Crash()
	m.cuts = append(m.cuts, &machine{env: &env, disk: m.disk.Crash()})
	m.took = append(m.took, m.done)
}

func powerLayout(o *object.Options) {
	smallLayout(o)
	o.CollectEvery = time.Hour
}

// powerSteps are operations, with what the store must hold once each is acknowledged.
func powerSteps() []struct {
	run   func(*object.Store) error
	holds map[string][]byte
} {
	ctx := context.Background()
	first, second, part := data(90_000, 1), data(50_000, 2), data(41_000, 3)
	put := func(key string, body []byte) func(*object.Store) error {
		return func(s *object.Store) error {
			_, err := s.Put(ctx, object.PutRequest{Bucket: "bucket", Key: key, Body: bytes.NewReader(body), Size: int64(len(body))})
			return err
		}
	}
	multipart := func(s *object.Store) error { return uploadOnePart(ctx, s, "c", part) }
	remove := func(s *object.Store) error {
		return s.Delete(ctx, object.DeleteRequest{Bucket: "bucket", Key: "b"})
	}
	collect := func(s *object.Store) error {
		_, err := s.Collect(ctx)
		return err
	}
	return []struct {
		run   func(*object.Store) error
		holds map[string][]byte
	}{
		{func(s *object.Store) error { _, err := s.CreateBucket(ctx, "bucket"); return err }, nil},
		{put("a", first), map[string][]byte{"a": first}},
		{put("b", second), map[string][]byte{"a": first, "b": second}},
		{put("a", second), map[string][]byte{"a": second, "b": second}},
		{multipart, map[string][]byte{"a": second, "b": second, "c": part}},
		{remove, map[string][]byte{"a": second, "c": part}},
		{collect, map[string][]byte{"a": second, "c": part}},
	}
}

func uploadOnePart(ctx context.Context, s *object.Store, key string, body []byte) error {
	u, err := s.CreateUpload(ctx, object.UploadRequest{Bucket: "bucket", Key: key})
	if err != nil {
		return err
	}
	p, err := s.PutPart(ctx, object.PartRequest{Bucket: "bucket", Key: key, UploadID: u.UploadID, Number: 1,
		Body: bytes.NewReader(body), Size: int64(len(body))})
	if err != nil {
		return err
	}
	_, err = s.CompleteUpload(ctx, object.CompleteRequest{Bucket: "bucket", Key: key, UploadID: u.UploadID, Size: -1,
		Parts: []object.CompletedPart{{Number: 1, ETag: p.ETag}}})
	return err
}

// survives runs the steps and cuts the power before every call to the disk and at the end. It reports whether each cut
// left what was acknowledged by then, or that and the whole of the step under way.
func survives(t *testing.T, skip disktest.Op) bool {
	t.Helper()
	m := newMachine(t, skip)
	s := m.env.Open(t, powerLayout)
	steps := powerSteps()
	for _, step := range steps {
		if err := step.run(s); err != nil {
			t.Fatal(err)
		}
		m.mu.Lock()
		m.done++
		m.mu.Unlock()
	}
	m.cut()
	ok := true
	for i, c := range m.cuts {
		took := m.took[i]
		c.env.Chunks = openChunks(t, c.disk)
		again := c.env.Open(t, powerLayout)
		held := took > 0 && holds(again, steps[took-1].holds) || took == 0
		if took < len(steps) {
			held = held || holds(again, steps[took].holds)
		}
		ok = ok && held
	}
	t.Logf("%d cuts", len(m.cuts))
	return ok
}

// holds reports whether the bucket has exactly these objects, whole.
func holds(s *object.Store, want map[string][]byte) bool {
	page, err := s.List(context.Background(), object.ListRequest{Bucket: "bucket", Max: object.MaxListKeys})
	if err != nil || len(page.Objects) != len(want) {
		return false
	}
	for key, body := range want {
		r, err := s.Get(context.Background(), object.GetRequest{Bucket: "bucket", Key: key})
		if err != nil {
			return false
		}
		got, err := io.ReadAll(r)
		if r.Close() != nil || err != nil || !slices.Equal(got, body) {
			return false
		}
	}
	return true
}

// TestPowerCut also leaves out one kind of sync at a time, and wants the loss to be seen: without that it would prove
// nothing.
func TestPowerCut(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		skip disktest.Op
		want bool
	}{
		"every sync":              {"", true},
		"without syncs of files":  {disktest.OpSync, false},
		"without directory syncs": {disktest.OpSyncDir, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := survives(t, c.skip); got != c.want {
				t.Errorf("survives every cut: %v, want %v", got, c.want)
			}
		})
	}
}
