package object_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"coffer/kms"
	"coffer/kms/kmstest"
	"coffer/object"
	"coffer/object/objecttest"
)

// fill puts n objects with KEKs of their own under key "app", and ten under the bucket's.
func fill(t *testing.T, s *object.Store, n int) {
	t.Helper()
	yes := true
	for i := range n {
		putSealed(t, s, "bucket", fmt.Sprintf("own/%05d", i), data(10+i, byte(i)), object.Sealing{Mode: object.ModeSSEKMS, KeyID: "app"})
	}
	for i := range 10 {
		putSealed(t, s, "bucket", fmt.Sprintf("shared/%d", i), data(10+i, byte(i)), object.Sealing{Mode: object.ModeSSEKMS, KeyID: "app", BucketKey: &yes})
	}
}

// readFilled reads everything that fill has put.
func readFilled(t *testing.T, s *object.Store, n int) {
	t.Helper()
	for i := range n {
		if got := read(t, s, object.GetRequest{Bucket: "bucket", Key: fmt.Sprintf("own/%05d", i)}); !bytes.Equal(got, data(10+i, byte(i))) {
			t.Fatalf("object %d differs", i)
		}
	}
	for i := range 10 {
		if got := read(t, s, object.GetRequest{Bucket: "bucket", Key: fmt.Sprintf("shared/%d", i)}); !bytes.Equal(got, data(10+i, byte(i))) {
			t.Fatalf("shared object %d differs", i)
		}
	}
}

// waitForJob waits until the job of "bucket" is in a state.
func waitForJob(t *testing.T, s *object.Store, state object.JobState) object.RewrapJob {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(time.Millisecond) {
		j, err := s.RewrapJob(context.Background(), "bucket")
		if err != nil {
			t.Fatal(err)
		}
		if j.State == state {
			return j
		}
		if time.Now().After(deadline) {
			t.Fatalf("the job is %v and not %v: %+v", j.State, state, j)
		}
	}
}

// wantWork compares the counts of a report.
func wantWork(t *testing.T, r object.RewrapReport, matched, rewrapped, uploads, keks, failed int, shared bool) {
	t.Helper()
	got := fmt.Sprint(r.Matched, r.Rewrapped, r.Uploads, r.KEKs, r.Failed, r.SharedKEK, len(r.Errors))
	if want := fmt.Sprint(matched, rewrapped, uploads, keks, failed, shared, failed); got != want {
		t.Errorf("matched, rewrapped, uploads, keks, failed, shared, errors: %s, want %s", got, want)
	}
}

func TestRewrapJob(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	_, s, fake := openSealed(t)
	_, err := s.RewrapJob(ctx, "bucket")
	wantKind(t, err, object.KindNoSuchJob)
	_, err = s.PauseRewrap(ctx, "bucket")
	wantKind(t, err, object.KindNoSuchJob)
	fill(t, s, 100)
	id := begin(t, s, object.UploadRequest{Bucket: "bucket", Key: "upload", Sealing: object.Sealing{Mode: object.ModeSSEKMS, KeyID: "app"}})
	putSealed(t, s, "bucket", "other", data(10, 1), object.Sealing{Mode: object.ModeSSEKMS, KeyID: "other"})
	rotate(t, fake, "app")
	rotate(t, fake, "other")
	fake.Destroy("other")
	if _, err := s.StartRewrap(ctx, object.RewrapJobRequest{Bucket: "bucket", PageSize: 7}); err != nil {
		t.Fatal(err)
	}
	j := waitForJob(t, s, object.JobDone)
	wantWork(t, j.Report, 111, 110, 1, 102, 1, true)
	if j.Total != 111 || j.Ended.IsZero() || j.Report.Errors[0].Key != "other" || j.Report.Next != "" {
		t.Errorf("job %+v", j)
	}
	if keks, objects, uploads := below(t, s, "app", 2); keks+objects+uploads != 0 {
		t.Errorf("%d KEKs, %d objects, %d uploads are left", keks, objects, uploads)
	}
	_, err = s.ResumeRewrap(ctx, "bucket")
	wantKind(t, err, object.KindOperationAborted)
	readFilled(t, s, 100)
	if err := s.AbortUpload(ctx, "bucket", "upload", id); err != nil {
		t.Fatal(err)
	}
	checkCensus(t, s)

	if _, err := s.StartRewrap(ctx, object.RewrapJobRequest{Bucket: "bucket", Prefix: "own/"}); err != nil {
		t.Fatal(err)
	}
	wantWork(t, waitForJob(t, s, object.JobDone).Report, 100, 0, 0, 0, 0, false) // all of it is current
	if _, err := s.StartRewrap(ctx, object.RewrapJobRequest{Bucket: "bucket", KEKsPerSecond: -1}); err == nil {
		t.Error("a negative rate is taken")
	}
	_, err = s.StartRewrap(ctx, object.RewrapJobRequest{Bucket: "none"})
	wantKind(t, err, object.KindNoSuchBucket)
}

// TestRewrapJobStopsAndGoesOn pauses a job, restarts over it, resumes it, and cancels it; nothing moves meanwhile.
func TestRewrapJobStopsAndGoesOn(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	env, s, fake := openSealed(t)
	fill(t, s, 50)
	rotate(t, fake, "app")
	reached, gate := make(chan struct{}, 100), make(chan struct{})
	fake.SetRule(func(ctx context.Context, op kmstest.Op, _ string) error {
		if op != kmstest.OpRewrapBatch {
			return nil
		}
		reached <- struct{}{}
		select {
		case <-gate:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	})
	if _, err := s.StartRewrap(ctx, object.RewrapJobRequest{Bucket: "bucket", PageSize: 10}); err != nil {
		t.Fatal(err)
	}
	<-reached
	gate <- struct{}{} // ten are rewrapped
	<-reached
	_, err := s.StartRewrap(ctx, object.RewrapJobRequest{Bucket: "bucket"})
	wantKind(t, err, object.KindOperationAborted)
	j, err := s.PauseRewrap(ctx, "bucket")
	if err != nil || j.State != object.JobPaused {
		t.Fatalf("%+v, %v", j, err)
	}
	wantWork(t, j.Report, 10, 10, 0, 10, 0, false)
	_, err = s.StartRewrap(ctx, object.RewrapJobRequest{Bucket: "bucket"})
	wantKind(t, err, object.KindOperationAborted)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}

	s = env.Open(t, smallLayout)
	if j := waitForJob(t, s, object.JobPaused); j.Waiting != "" {
		t.Errorf("a paused job waits for %q", j.Waiting)
	}
	if _, err := s.ResumeRewrap(ctx, "bucket"); err != nil {
		t.Fatal(err)
	}
	<-reached
	if err := s.Close(); err != nil { // while it runs
		t.Fatal(err)
	}
	s = env.Open(t, smallLayout) // it goes on by itself
	<-reached
	gate <- struct{}{}
	<-reached
	j, err = s.CancelRewrap(ctx, "bucket")
	if err != nil || j.State != object.JobCancelled || j.Ended.IsZero() {
		t.Fatalf("%+v, %v", j, err)
	}
	wantWork(t, j.Report, 20, 20, 0, 20, 0, false)
	_, err = s.ResumeRewrap(ctx, "bucket")
	wantKind(t, err, object.KindOperationAborted)
	fake.SetRule(nil)
	if _, err := s.StartRewrap(ctx, object.RewrapJobRequest{Bucket: "bucket", PageSize: 10}); err != nil {
		t.Fatal(err)
	}
	wantWork(t, waitForJob(t, s, object.JobDone).Report, 60, 40, 0, 31, 0, true)
	jobs, err := s.RewrapJobs(ctx)
	if err != nil || len(jobs) != 1 {
		t.Errorf("jobs %+v, %v", jobs, err)
	}
}

// TestRewrapJobWaitsForBackend takes the backend away for a while: no object fails by that.
func TestRewrapJobWaitsForBackend(t *testing.T) {
	t.Parallel()
	_, s, fake := openSealed(t)
	fill(t, s, 20)
	rotate(t, fake, "app")
	var mu sync.Mutex
	failures := map[kmstest.Op]int{kmstest.OpDescribeKey: 1, kmstest.OpRewrapBatch: 1}
	fake.SetRule(func(_ context.Context, op kmstest.Op, _ string) error {
		mu.Lock()
		defer mu.Unlock()
		if failures[op]--; failures[op] >= 0 {
			return kms.Unavailable
		}
		return nil
	})
	if _, err := s.StartRewrap(t.Context(), object.RewrapJobRequest{Bucket: "bucket"}); err != nil {
		t.Fatal(err)
	}
	wantWork(t, waitForJob(t, s, object.JobDone).Report, 30, 30, 0, 21, 0, true)
}

// TestRewrapJobHeedsItsRate lets a slow job rewrap a little and wait.
func TestRewrapJobHeedsItsRate(t *testing.T) {
	t.Parallel()
	_, s, fake := openSealed(t)
	fill(t, s, 12)
	rotate(t, fake, "app")
	if _, err := s.StartRewrap(t.Context(), object.RewrapJobRequest{Bucket: "bucket", KEKsPerSecond: 1}); err != nil {
		t.Fatal(err)
	}
	var j object.RewrapJob
	for deadline := time.Now().Add(time.Minute); j.Waiting != "its rate limit" && time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		var err error
		if j, err = s.RewrapJob(t.Context(), "bucket"); err != nil {
			t.Fatal(err)
		}
	}
	if j.State != object.JobRunning || j.Report.KEKs != 10 {
		t.Errorf("job %+v", j)
	}
	if _, err := s.CancelRewrap(t.Context(), "bucket"); err != nil {
		t.Fatal(err)
	}
}

// TestRewrapJobEndsWithItsBucket empties and removes the bucket under a job.
func TestRewrapJobEndsWithItsBucket(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	_, s, fake := openSealed(t)
	putSealed(t, s, "bucket", "key", data(10, 1), object.Sealing{Mode: object.ModeSSEKMS, KeyID: "app"})
	rotate(t, fake, "app")
	reached := make(chan struct{}, 1)
	fake.SetRule(func(ctx context.Context, op kmstest.Op, _ string) error {
		if op == kmstest.OpRewrapBatch {
			reached <- struct{}{}
			<-ctx.Done()
			return ctx.Err()
		}
		return nil
	})
	if _, err := s.StartRewrap(ctx, object.RewrapJobRequest{Bucket: "bucket"}); err != nil {
		t.Fatal(err)
	}
	<-reached
	if err := s.Delete(ctx, object.DeleteRequest{Bucket: "bucket", Key: "key"}); err != nil {
		t.Fatal(err)
	}
	if err := s.DeleteBucket(ctx, "bucket"); err != nil {
		t.Fatal(err)
	}
	if jobs, err := s.RewrapJobs(ctx); err != nil || len(jobs) != 0 {
		t.Errorf("jobs %+v, %v", jobs, err)
	}
	newBucket(t, s, "bucket")
	_, err := s.RewrapJob(ctx, "bucket")
	wantKind(t, err, object.KindNoSuchJob)
}

// TestRewrapJobsOfAKey starts jobs in those buckets alone that have something under a key.
func TestRewrapJobsOfAKey(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	_, s, fake := openSealed(t)
	putSealed(t, s, "bucket", "key", data(10, 1), object.Sealing{Mode: object.ModeSSEKMS, KeyID: "app"})
	putSealed(t, s, "bucket", "not", data(10, 1), object.Sealing{Mode: object.ModeSSEKMS, KeyID: "other"})
	putSealed(t, s, "second", "key", data(10, 1), object.Sealing{Mode: object.ModeSSEKMS, KeyID: "other"})
	rotate(t, fake, "app")
	rotate(t, fake, "other")
	jobs, err := s.StartRewraps(ctx, object.RewrapJobRequest{From: kms.KeyRef{Instance: fake.Instance(), KeyID: "app"}})
	if err != nil || len(jobs) != 1 || jobs[0].Bucket != "bucket" {
		t.Fatalf("jobs %+v, %v", jobs, err)
	}
	wantWork(t, waitForJob(t, s, object.JobDone).Report, 2, 1, 0, 1, 0, false)
	if jobs, err = s.StartRewraps(ctx, object.RewrapJobRequest{}); err != nil || len(jobs) != 2 {
		t.Fatalf("jobs %+v, %v", jobs, err)
	}
	wantWork(t, waitForJob(t, s, object.JobDone).Report, 2, 1, 0, 1, 0, false)
}

// TestRewrapJobSurvivesPowerCuts cuts the power at random while a job runs, several times over, with readers at work. The
// job ends with every object read, and the counts that it would have had without.
func TestRewrapJobSurvivesPowerCuts(t *testing.T) {
	t.Parallel()
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	const objects = 600
	env, s, fake := openSealed(t)
	fill(t, s, objects)
	for range 3 {
		begin(t, s, object.UploadRequest{Bucket: "bucket", Key: "upload", Sealing: object.Sealing{Mode: object.ModeSSEKMS, KeyID: "app"}})
	}
	rotate(t, fake, "app")
	batches, over := make(chan struct{}), make(chan struct{})
	fake.SetRule(func(ctx context.Context, op kmstest.Op, _ string) error {
		if op == kmstest.OpRewrapBatch {
			select {
			case batches <- struct{}{}:
			case <-over:
			case <-ctx.Done():
			}
		}
		return nil
	})
	if _, err := s.StartRewrap(t.Context(), object.RewrapJobRequest{Bucket: "bucket", PageSize: 100}); err != nil {
		t.Fatal(err)
	}
	for finished := false; !finished; {
		select {
		case <-batches:
		case <-time.After(20 * time.Millisecond): // it may have ended
		}
		time.Sleep(time.Duration(r.IntN(2000)) * time.Microsecond)
		for range r.IntN(10) {
			i := r.IntN(objects)
			if got := read(t, s, object.GetRequest{Bucket: "bucket", Key: fmt.Sprintf("own/%05d", i)}); !bytes.Equal(got, data(10+i, byte(i))) {
				t.Fatalf("object %d differs", i)
			}
		}
		env = env.Crash()
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		s = env.Open(t, smallLayout)
		checkCensus(t, s)
		j, err := s.RewrapJob(t.Context(), "bucket")
		if err != nil {
			t.Fatal(err)
		}
		finished = j.State == object.JobDone
	}
	close(over)
	j := waitForJob(t, s, object.JobDone)
	wantWork(t, j.Report, objects+10, objects+10, 3, objects+1+3, 0, true)
	if keks, objs, uploads := below(t, s, "app", 2); keks+objs+uploads != 0 {
		t.Errorf("%d KEKs, %d objects, %d uploads are left", keks, objs, uploads)
	}
	readFilled(t, s, objects)
	checkCensus(t, s)
}

// TestRewrapKEKInUse rewraps the bucket's KEK while writers use it: they go on with the version that it has then.
func TestRewrapKEKInUse(t *testing.T) {
	t.Parallel()
	env := objecttest.New()
	fake := env.Keyring.(*kmstest.Fake)
	s := env.Open(t, nil)
	newBucket(t, s, "bucket")
	put(t, s, "bucket", "before", data(10, 1))
	rotate(t, fake, object.DefaultKeyID)
	if _, err := s.Rewrap(t.Context(), object.RewrapRequest{Bucket: "bucket"}); err != nil {
		t.Fatal(err)
	}
	fake.SetLeastVersion(object.DefaultKeyID, 2)
	put(t, s, "bucket", "after", data(10, 2))
	for i, key := range []string{"before", "after"} {
		r, err := s.Get(t.Context(), object.GetRequest{Bucket: "bucket", Key: key})
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(r)
		if _ = r.Close(); err != nil || !bytes.Equal(got, data(10, byte(i+1))) {
			t.Errorf("%s: %v", key, err)
		}
	}
}
