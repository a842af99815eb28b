package badgerdb

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/dgraph-io/badger/v4"
	"github.com/google/go-cmp/cmp"

	"coffer/cipher"
	"coffer/metastore"
)

// held is a store whose flushes stop before they are called durable.
type held struct {
	*DB
	reached chan struct{} // gets a value when a flush has come that far
	result  chan error    // lets it go on, with this result
}

func openHeld(t *testing.T) *held {
	t.Helper()
	h := &held{DB: openInternal(t), reached: make(chan struct{}), result: make(chan error)}
	h.committer.settle = func() error {
		h.reached <- struct{}{}
		return <-h.result
	}
	return h
}

func openInternal(t *testing.T) *DB {
	t.Helper()
	db, err := Open(t.Context(), Options{
		Dir:           filepath.Join(t.TempDir(), "meta"),
		EncryptionKey: cipher.NewStoreKey().Derive(cipher.LabelBadger),
		MemoryMiB:     MinMemoryMiB,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return db
}

// pass lets one flush through.
func (h *held) pass(err error) {
	<-h.reached
	h.result <- err
}

// submit hands a batch over without waiting for the answer.
func (h *held) submit(t *testing.T, b metastore.Batch) *request {
	t.Helper()
	r := newRequest().(*request)
	r.set(b)
	if err := h.queue.push(r); err != nil {
		t.Fatal(err)
	}
	return r
}

func write(keys ...string) metastore.Batch {
	var b metastore.Batch
	for _, key := range keys {
		b.Writes = append(b.Writes, metastore.Write{Key: []byte(key), Value: []byte("v")})
	}
	return b
}

// readWrite is a batch that read one key as absent and writes another.
func readWrite(read, key string) metastore.Batch {
	b := write(key)
	b.Reads = []metastore.Read{{Key: []byte(read)}}
	return b
}

// answered reports whether r has its answer, which it may take a moment to get.
func answered(r *request) bool {
	select {
	case <-r.done:
		r.done <- struct{}{}
		return true
	case <-time.After(20 * time.Millisecond):
		return false
	}
}

func answer(r *request) error {
	<-r.done
	return r.err
}

func keys(t *testing.T, db *DB) (all []string) {
	t.Helper()
	snap, err := db.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	defer snap.Release()
	for item, err := range snap.Scan(nil, nil) {
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, string(item.Key))
	}
	return all
}

// TestGroupCommit: what comes while a flush runs shares the next one, and is
// not answered, nor visible, before that is durable.
func TestGroupCommit(t *testing.T) {
	t.Parallel()
	h := openHeld(t)
	first := h.submit(t, write("first"))
	<-h.reached
	var waiting []*request
	var want []string
	for i := range 50 {
		key := fmt.Sprintf("k%02d", i)
		waiting = append(waiting, h.submit(t, write(key)))
		want = append(want, key)
	}
	if answered(first) || answered(waiting[49]) {
		t.Error("a batch is answered before its flush has ended")
	}
	if got := keys(t, h.DB); got != nil {
		t.Errorf("%q can be read before it is durable", got)
	}
	h.result <- nil
	if err := answer(first); err != nil {
		t.Error(err)
	}
	<-h.reached
	if diff := cmp.Diff([]string{"first"}, keys(t, h.DB)); diff != "" {
		t.Errorf("after one flush (-want +got)\n%s", diff)
	}
	if answered(waiting[0]) {
		t.Error("a batch is answered before its flush has ended")
	}
	h.result <- nil
	last := first.seq
	for i, r := range waiting {
		if err := answer(r); err != nil || r.seq != last+1 {
			t.Errorf("batch %d: number %d after %d, %v", i, r.seq, last, err)
		}
		last = r.seq
	}
	if diff := cmp.Diff(slices.Concat([]string{"first"}, want), keys(t, h.DB)); diff != "" {
		t.Errorf("after two flushes (-want +got)\n%s", diff)
	}
	if diff := cmp.Diff(Stats{Flushes: 2, Transactions: 51}, h.Stats()); diff != "" {
		t.Errorf("Stats (-want +got)\n%s", diff)
	}
}

// TestConflictInsideMerge: a batch that read what an earlier batch of its own
// merge, or of the merge being flushed, writes is refused, and told so only
// when the winner is durable: else it would run again and lose again.
func TestConflictInsideMerge(t *testing.T) {
	t.Parallel()
	h := openHeld(t)
	flying := h.submit(t, write("a"))
	<-h.reached
	losesToFlying := h.submit(t, readWrite("a", "x"))
	winner := h.submit(t, readWrite("b", "c"))
	blind := h.submit(t, write("a"))
	losesToWinner := h.submit(t, readWrite("c", "b"))
	notWrittenByLoser := h.submit(t, readWrite("x", "y"))
	if answered(losesToFlying) {
		t.Error("a conflict with the merge in flight is told before that is durable")
	}
	h.result <- nil
	if err := answer(flying); err != nil {
		t.Error(err)
	}
	if err := answer(losesToFlying); !errors.Is(err, metastore.ErrConflict) {
		t.Errorf("read of a key in flight: %v, want ErrConflict", err)
	}
	<-h.reached
	if answered(losesToWinner) {
		t.Error("a conflict inside a merge is told before that is durable")
	}
	h.result <- nil
	for name, r := range map[string]*request{"winner": winner, "blind write": blind, "read of what a refused batch writes": notWrittenByLoser} {
		if err := answer(r); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := answer(losesToWinner); !errors.Is(err, metastore.ErrConflict) {
		t.Errorf("write skew inside a merge: %v, want ErrConflict", err)
	}
	if diff := cmp.Diff([]string{"a", "c", "y"}, keys(t, h.DB)); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	stale := h.submit(t, readWrite("c", "z"))
	if err := answer(stale); !errors.Is(err, metastore.ErrConflict) {
		t.Errorf("read of a durable key as absent: %v, want ErrConflict", err)
	}
	if diff := cmp.Diff(Stats{Flushes: 2, Transactions: 4, Conflicts: 3}, h.Stats()); diff != "" {
		t.Errorf("Stats (-want +got)\n%s", diff)
	}
}

// TestLargeBatches: merges split between batches, and each batch stays whole.
func TestLargeBatches(t *testing.T) {
	t.Parallel()
	h := openHeld(t)
	value := make([]byte, metastore.MaxSealedValueSize)
	var batches []*request
	for i := range 12 {
		var b metastore.Batch
		for j := range 16 {
			b.Writes = append(b.Writes, metastore.Write{Key: fmt.Appendf(nil, "%02d/%02d", i, j), Value: value})
		}
		batches = append(batches, h.submit(t, b))
	}
	flushes := 0
	for done := 0; done < len(batches); flushes++ {
		<-h.reached
		h.result <- nil
		for done < len(batches) && answered(batches[done]) {
			done++
		}
		if got := len(keys(t, h.DB)); got != done*16 {
			t.Errorf("%d keys can be read after %d batches", got, done)
		}
	}
	for i, r := range batches {
		if err := answer(r); err != nil {
			t.Errorf("batch %d: %v", i, err)
		}
	}
	if flushes < 3 {
		t.Errorf("12 batches of 1 MiB take %d flushes", flushes)
	}
}

// TestWithdraw: a caller that gives up while its batch waits gets its answer at
// once, and the batch is not applied.
func TestWithdraw(t *testing.T) {
	t.Parallel()
	h := openHeld(t)
	full := h.submit(t, write("first"))
	<-h.reached
	// Fill the next merge, so that what follows is not taken.
	value := make([]byte, metastore.MaxSealedValueSize)
	var fill []*request
	for i := range int(h.committer.maxSize)/len(value) + 1 {
		fill = append(fill, h.submit(t, metastore.Batch{Writes: []metastore.Write{{Key: fmt.Appendf(nil, "fill %d", i), Value: value}}}))
	}
	ctx, cancel := context.WithCancel(t.Context())
	gone := make(chan error)
	go func() {
		_, err := h.Apply(ctx, write("withdrawn"))
		gone <- err
	}()
	time.Sleep(10 * time.Millisecond)
	cancel()
	select {
	case err := <-gone:
		if !errors.Is(err, context.Canceled) {
			t.Errorf("Apply: %v, want context.Canceled", err)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("Apply does not return when its context ends")
	}
	h.result <- nil
	var rest sync.WaitGroup
	stop := make(chan struct{})
	rest.Go(func() {
		for {
			select {
			case <-h.reached:
				h.result <- nil
			case <-stop:
				return
			}
		}
	})
	for _, r := range append(fill, full, h.submit(t, write("last"))) {
		if err := answer(r); err != nil {
			t.Error(err)
		}
	}
	close(stop)
	rest.Wait()
	if slices.Contains(keys(t, h.DB), "withdrawn") {
		t.Error("the batch that was withdrawn is applied")
	}
}

// TestFailedSync: nobody knows what a failed flush left, so neither it nor
// anything after it is called applied; what is durable can still be read.
func TestFailedSync(t *testing.T) {
	t.Parallel()
	h := openHeld(t)
	durable := h.submit(t, write("durable"))
	h.pass(nil)
	if err := answer(durable); err != nil {
		t.Fatal(err)
	}
	eio := errors.New("input/output error")
	failed := map[string]*request{"lost": h.submit(t, write("lost"))}
	<-h.reached
	failed["next merge"] = h.submit(t, write("follows"))
	failed["conflict with it"] = h.submit(t, readWrite("lost", "loser"))
	h.result <- eio
	h.wantFailed(t, failed, eio)
	h.wantFailed(t, map[string]*request{"later": h.submit(t, write("later"))}, eio)
	if diff := cmp.Diff([]string{"durable"}, keys(t, h.DB)); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

// TestFailedCommit: the same when Badger refuses the merge.
func TestFailedCommit(t *testing.T) {
	t.Parallel()
	h := openHeld(t)
	h.committer.maxSize = 1 << 40 // more than Badger takes
	durable := h.submit(t, write("durable"))
	<-h.reached
	failed := make(map[string]*request)
	for i := range 40 {
		key := fmt.Sprint(i)
		value := make([]byte, metastore.MaxSealedValueSize)
		failed[key] = h.submit(t, metastore.Batch{Writes: []metastore.Write{{Key: []byte(key), Value: value}}})
	}
	h.result <- nil
	if err := answer(durable); err != nil {
		t.Error(err)
	}
	h.wantFailed(t, failed, badger.ErrTxnTooBig)
	h.wantFailed(t, map[string]*request{"later": h.submit(t, write("later"))}, badger.ErrTxnTooBig)
	if diff := cmp.Diff([]string{"durable"}, keys(t, h.DB)); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}

func (h *held) wantFailed(t *testing.T, requests map[string]*request, cause error) {
	t.Helper()
	for name, r := range requests {
		err := answer(r)
		if !errors.Is(err, metastore.ErrFailed) || !errors.Is(err, cause) || r.seq != 0 {
			t.Errorf("%s: number %d, %v; want ErrFailed and %v", name, r.seq, err, cause)
		}
	}
}
