package object_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"coffer/object"
	"coffer/object/objecttest"
)

var (
	crashRounds = flag.Int("crash.rounds", 12, "how often TestKill kills the writer")
	crashSeed   = flag.Uint64("crash.seed", 0, "seed of TestKill; 0 draws one and logs it")
)

// crashChild, in the environment, makes the test binary the writer that TestKill kills: "directory seed".
const crashChild = "COFFER_TEST_CRASH_CHILD"

const (
	crashWorkers   = 8
	crashKeys      = 3 // of each worker, which alone writes them
	crashChunkSize = 1 << 20
)

func TestMain(m *testing.M) {
	if arg := os.Getenv(crashChild); arg != "" {
		var seed uint64
		dir, rest, _ := strings.Cut(arg, " ")
		if _, err := fmt.Sscan(rest, &seed); err != nil {
			panic(err)
		}
		writeUntilKilled(dir, seed)
	}
	os.Exit(m.Run())
}

// step is one operation of a worker: what its key holds afterwards follows from it alone.
type step struct {
	key  string
	kind string // put, complete or delete
	seed uint64
}

// stores reports whether the key exists afterwards. The zero step is a key that was never written.
func (s step) stores() bool { return s.kind == "put" || s.kind == "complete" }

func (s step) body() []byte {
	if !s.stores() {
		return nil
	}
	r := rand.New(rand.NewPCG(s.seed, 1))
	sizes := []int{10, 5_000, 60_000, crashChunkSize, 3*crashChunkSize + 1}
	body := make([]byte, sizes[r.IntN(len(sizes))]+r.IntN(100))
	var seed [32]byte
	copy(seed[:], fmt.Sprint(s.seed))
	rand.NewChaCha8(seed).Read(body)
	return body
}

func openCrashStore(dir string) (*objecttest.Disk, *object.Store, error) {
	ctx := context.Background()
	d, err := objecttest.OpenDisk(ctx, dir)
	if err != nil {
		return nil, nil, err
	}
	opts := d.Options()
	opts.ChunkSize = crashChunkSize
	s, err := object.Open(ctx, opts)
	return d, s, err
}

// writeUntilKilled announces every operation before it begins and after it succeeded.
func writeUntilKilled(dir string, seed uint64) {
	_, s, err := openCrashStore(dir)
	if err != nil {
		panic(err)
	}
	if _, err := s.CreateBucket(context.Background(), "bucket"); err != nil && object.KindOf(err) != object.KindBucketExists {
		panic(err)
	}
	var out sync.Mutex
	say := func(word string, st step) {
		out.Lock()
		defer out.Unlock()
		fmt.Printf("%s %s %s %d\n", word, st.key, st.kind, st.seed)
	}
	var workers sync.WaitGroup
	for w := range crashWorkers {
		workers.Go(func() {
			r := rand.New(rand.NewPCG(seed, uint64(w)))
			for {
				st := step{
					key:  fmt.Sprintf("%d/%d", w, r.IntN(crashKeys)),
					kind: []string{"put", "put", "complete", "delete"}[r.IntN(4)],
					seed: r.Uint64(),
				}
				say("begin", st)
				if err := st.run(s); err != nil {
					panic(err)
				}
				say("done", st)
			}
		})
	}
	workers.Wait()
}

func (s step) run(store *object.Store) error {
	ctx := context.Background()
	body := s.body()
	switch s.kind {
	case "delete":
		return store.Delete(ctx, object.DeleteRequest{Bucket: "bucket", Key: s.key})
	case "put":
		_, err := store.Put(ctx, object.PutRequest{Bucket: "bucket", Key: s.key, Body: bytes.NewReader(body), Size: int64(len(body))})
		return err
	}
	u, err := store.CreateUpload(ctx, object.UploadRequest{Bucket: "bucket", Key: s.key})
	if err != nil {
		return err
	}
	p, err := store.PutPart(ctx, object.PartRequest{Bucket: "bucket", Key: s.key, UploadID: u.UploadID, Number: 1,
		Body: bytes.NewReader(body), Size: int64(len(body))})
	if err != nil {
		return err
	}
	_, err = store.CompleteUpload(ctx, object.CompleteRequest{Bucket: "bucket", Key: s.key, UploadID: u.UploadID, Size: -1,
		Parts: []object.CompletedPart{{Number: 1, ETag: p.ETag}}})
	return err
}

// TestKill kills a writing process at random moments. After each restart every acknowledged operation shows, one that
// was under way shows whole or not at all, and after collection there is no chunk that no object needs.
func TestKill(t *testing.T) {
	seed := *crashSeed
	if seed == 0 {
		seed = rand.Uint64()
	}
	t.Logf("replay with -crash.seed=%d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	dir := t.TempDir()
	state := map[string]step{} // what each key must hold
	inFlight := 0
	for round := range *crashRounds {
		pending := runAndKill(t, dir, r.Uint64(), time.Duration(r.IntN(400))*time.Millisecond, state)
		if len(pending) > 0 {
			inFlight++
		}
		if !checkAfterCrash(t, dir, state, pending) {
			t.Fatalf("round %d of seed %d", round, seed)
		}
	}
	t.Logf("%d rounds, %d of them with operations under way", *crashRounds, inFlight)
	if inFlight*2 < *crashRounds {
		t.Errorf("only %d of %d rounds had operations under way", inFlight, *crashRounds)
	}
}

// runAndKill lets a writer run for some time after it has begun, and returns the operations that were under way. state
// takes in what was acknowledged.
func runAndKill(t *testing.T, dir string, seed uint64, lifetime time.Duration, state map[string]step) map[string]step {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	child := exec.Command(exe)
	child.Env = append(os.Environ(), fmt.Sprintf("%s=%s %d", crashChild, dir, seed))
	var failure bytes.Buffer
	child.Stderr = &failure
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	pending := map[string]step{}
	var killer *time.Timer
	lines := bufio.NewReader(out)
	for {
		line, err := lines.ReadString('\n')
		if err != nil {
			break // also a line that the kill tore
		}
		if killer == nil {
			killer = time.AfterFunc(lifetime, func() { _ = child.Process.Kill() })
		}
		var word string
		var st step
		if _, err := fmt.Sscan(line, &word, &st.key, &st.kind, &st.seed); err != nil {
			t.Errorf("the writer said %q: %v", line, err)
			continue
		}
		if word == "begin" {
			pending[st.key] = st
			continue
		}
		delete(pending, st.key)
		state[st.key] = st
	}
	if killer == nil {
		t.Fatalf("the writer never began: %s", failure.String())
	}
	killer.Stop()
	_ = child.Process.Kill()
	var exit *exec.ExitError
	if err := child.Wait(); !errors.As(err, &exit) || exit.Exited() {
		t.Fatalf("the writer ended by itself: %v: %s", err, failure.String())
	}
	return pending
}

func checkAfterCrash(t *testing.T, dir string, state, pending map[string]step) bool {
	t.Helper()
	d, s, err := openCrashStore(dir)
	if err != nil {
		t.Errorf("open after the crash: %v", err)
		return false
	}
	chunks := 0
	for w := range crashWorkers {
		for k := range crashKeys {
			key := fmt.Sprintf("%d/%d", w, k)
			chunks += checkKey(t, s, key, state, pending)
		}
	}
	checkCensus(t, s)
	if err := abortAll(s); err != nil {
		t.Error(err)
	}
	checkCensus(t, s)
	if _, err := s.Collect(context.Background()); err != nil {
		t.Error(err)
	}
	if got, _ := leftovers(t, d.Env); got != chunks {
		t.Errorf("%d chunk files, the objects need %d", got, chunks)
	}
	if err := errors.Join(s.Close(), d.Close()); err != nil {
		t.Error(err)
	}
	return !t.Failed()
}

// checkKey compares a key with what it may hold, settles state on what it does hold, and returns its number of chunks.
func checkKey(t *testing.T, s *object.Store, key string, state, pending map[string]step) int {
	t.Helper()
	var body []byte
	r, err := s.Get(context.Background(), object.GetRequest{Bucket: "bucket", Key: key})
	if err == nil {
		body, err = io.ReadAll(r)
		err = errors.Join(err, r.Close())
	}
	if kind := object.KindOf(err); err != nil && kind != object.KindNoSuchKey && kind != object.KindNoSuchBucket {
		t.Errorf("%s: %v", key, err)
	}
	found := body != nil
	if st, ok := pending[key]; ok && found == st.stores() && bytes.Equal(body, st.body()) {
		state[key] = st
	} else if st := state[key]; found != st.stores() || !bytes.Equal(body, st.body()) {
		t.Errorf("%s: found %v with %d bytes; acknowledged was %+v, under way %+v", key, found, len(body), st, pending[key])
	}
	if len(body) <= object.DefaultInlineLimit {
		return 0
	}
	return (len(body) + crashChunkSize - 1) / crashChunkSize
}

func abortAll(s *object.Store) error {
	ctx := context.Background()
	page, err := s.ListUploads(ctx, object.ListUploadsRequest{Bucket: "bucket", Max: object.MaxListKeys})
	if err != nil && object.KindOf(err) == object.KindNoSuchBucket {
		return nil
	}
	for _, u := range page.Uploads {
		err = errors.Join(err, s.AbortUpload(ctx, u.Bucket, u.Key, u.UploadID))
	}
	return err
}
