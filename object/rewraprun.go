package object

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"coffer/cipher"
	"coffer/metastore"
)

const (
	jobsAtOnce  = 2 // that work; the others wait for their turn
	minJobPause = time.Second / 4
	maxJobPause = time.Minute
	// secondsPerBatch keeps the batches of a slow job from being bursts.
	secondsPerBatch = 10

	waitingTurn  = "its turn"
	waitingLimit = "its rate limit"
)

// rewrapJobs runs background rewraps, each in a goroutine.
type rewrapJobs struct {
	store *Store
	turns chan struct{} // has room for those that work

	ctx    context.Context // ends with close
	cancel context.CancelFunc
	tasks  sync.WaitGroup

	mu      sync.Mutex
	running map[cipher.BucketID]*jobRun
}

// jobRun is a job while it runs. What it holds below the lock belongs to its goroutine.
type jobRun struct {
	jobs   *rewrapJobs
	bucket cipher.BucketID
	id     cipher.WriterID
	cancel context.CancelFunc
	ended  chan struct{}

	mu    sync.Mutex
	waits string

	hasTurn     bool
	rate        int
	generations []uint32
	last        time.Time // when the batch before was paced
}

func newRewrapJobs(s *Store) *rewrapJobs {
	ctx, cancel := context.WithCancel(context.Background())
	return &rewrapJobs{store: s, turns: make(chan struct{}, jobsAtOnce), ctx: ctx, cancel: cancel, running: make(map[cipher.BucketID]*jobRun)}
}

// open lets the jobs go on that ran when the former run ended.
func (js *rewrapJobs) open(ctx context.Context) error {
	found := map[cipher.BucketID]*jobRecord{}
	err := js.store.scanPrefix(ctx, []byte{tagJob}, func(kv metastore.KV) error {
		var r jobRecord
		if err := decode(kv.Value, &r); err != nil {
			js.store.logDamage(ctx, bytes.Clone(kv.Key), err)
			return nil
		}
		if r.State == JobRunning {
			found[bucketOf(kv.Key)] = &r
		}
		return nil
	})
	for bucket, r := range found {
		js.launch(bucket, r.ID)
	}
	return err
}

// close ends the goroutines. Their jobs go on with the next run.
func (js *rewrapJobs) close() {
	js.cancel()
	js.tasks.Wait()
}

// start records a new job and begins it.
func (js *rewrapJobs) start(ctx context.Context, req *RewrapJobRequest) (*jobRecord, error) {
	s := js.store
	if req.KEKsPerSecond < 0 || req.KEKsPerSecond > maxJobRate {
		return nil, errKindf(KindInvalidArgument, "0 to %d KEKs a second", maxJobRate)
	}
	w, err := s.newRewrapping(ctx, &RewrapRequest{Bucket: req.Bucket, Prefix: req.Prefix, Shallow: req.Shallow, From: req.From, To: req.To, PageSize: req.PageSize})
	if err != nil {
		return nil, err
	}
	if err := s.space.admitChange(ctx); err != nil {
		return nil, err
	}
	now := s.opts.Now().UnixNano()
	r := &jobRecord{
		Format: recordFormat, ID: cipher.NewWriterID(), Bucket: req.Bucket, Prefix: req.Prefix, Shallow: req.Shallow, Rate: req.KEKsPerSecond, PageSize: req.PageSize,
		From: jobKey{req.From.Instance, req.From.KeyID}, To: jobKey{req.To.Instance, req.To.KeyID}, State: JobRunning, Started: now, Updated: now,
	}
	if req.Prefix == "" && !req.Shallow {
		entries, err := s.census(ctx, &w.bucket.ID)
		if err != nil {
			return nil, err
		}
		for _, e := range entries {
			r.Total += e.Objects
		}
	}
	err = s.opts.Meta.Update(ctx, func(tx *metastore.Tx) error {
		b, err := bucketForUpdate(tx, req.Bucket)
		if err != nil {
			return err
		}
		was, err := readJob(tx.GetForUpdate, b.ID)
		switch {
		case err != nil:
			return err
		case b.ID != w.bucket.ID:
			return errKind(KindNoSuchBucket)
		case was != nil && (was.State == JobRunning || was.State == JobPaused):
			return errKindf(KindOperationAborted, "the bucket has a job that is %v", was.State)
		}
		return tx.Put(jobKeyOf(b.ID), encode(r))
	})
	if err == nil {
		js.launch(w.bucket.ID, r.ID)
	}
	return r, err
}

// move brings the job of a bucket from one state to another, and its goroutine to what it says.
func (js *rewrapJobs) move(ctx context.Context, bucket cipher.BucketID, to JobState, from []JobState) (*jobRecord, error) {
	var r *jobRecord
	err := js.store.opts.Meta.Update(ctx, func(tx *metastore.Tx) (err error) {
		if r, err = readJob(tx.GetForUpdate, bucket); err != nil {
			return err
		}
		switch {
		case r == nil:
			return errKind(KindNoSuchJob)
		case !slices.Contains(from, r.State):
			return errKindf(KindOperationAborted, "the job is %v", r.State)
		}
		now := js.store.opts.Now().UnixNano()
		r.State, r.Updated, r.Failure, r.Ended = to, now, "", 0
		if to == JobCancelled {
			r.Ended = now
		}
		return tx.Put(jobKeyOf(bucket), encode(r))
	})
	if err != nil {
		return nil, err
	}
	if to == JobRunning {
		js.launch(bucket, r.ID)
		return r, nil
	}
	js.halt(bucket, r.ID)
	return r, nil
}

// launch runs a job in a goroutine, after the one that ran before has ended.
func (js *rewrapJobs) launch(bucket cipher.BucketID, id cipher.WriterID) {
	js.mu.Lock()
	defer js.mu.Unlock()
	if js.ctx.Err() != nil {
		return
	}
	before := js.running[bucket]
	ctx, cancel := context.WithCancel(js.ctx)
	j := &jobRun{jobs: js, bucket: bucket, id: id, cancel: cancel, ended: make(chan struct{})}
	js.running[bucket] = j
	js.tasks.Go(func() {
		defer close(j.ended)
		defer cancel()
		if before != nil {
			before.cancel()
			<-before.ended
		}
		j.run(ctx)
		js.mu.Lock()
		defer js.mu.Unlock()
		if js.running[bucket] == j {
			delete(js.running, bucket)
		}
	})
}

// halt ends the goroutine of a job and waits for it.
func (js *rewrapJobs) halt(bucket cipher.BucketID, id cipher.WriterID) {
	js.mu.Lock()
	j := js.running[bucket]
	js.mu.Unlock()
	if j != nil && j.id == id {
		j.cancel()
		<-j.ended
	}
}

// waiting tells what the job of a bucket waits for.
func (js *rewrapJobs) waiting(bucket cipher.BucketID) string {
	js.mu.Lock()
	j := js.running[bucket]
	js.mu.Unlock()
	if j == nil {
		return ""
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.waits
}

func (j *jobRun) wait(what string) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.waits = what
}

// errJobEnded says that the job was paused, cancelled or removed with its bucket.
var errJobEnded = errors.New("the job has ended")

// run works until the job is done or has ended otherwise. A backend that is away is waited for.
func (j *jobRun) run(ctx context.Context) {
	s := j.jobs.store
	for pause := minJobPause; ; pause = min(2*pause, maxJobPause) {
		began := time.Now()
		err := j.attempt(ctx)
		j.endTurn()
		switch kind := kindOfCause(err); {
		case err == nil, ctx.Err() != nil, errors.Is(err, errJobEnded), kind == KindNoSuchBucket:
			return
		case !isAway(err) && kind != KindOperationAborted && kind != KindNoSpace:
			s.log.ErrorContext(ctx, "a background rewrap failed", "error", err)
			if err := j.finish(ctx, nil, JobFailed, err.Error()); err != nil && ctx.Err() == nil {
				s.log.ErrorContext(ctx, "the failure of a background rewrap cannot be recorded", "error", err)
			}
			return
		}
		if time.Since(began) > maxJobPause {
			pause = minJobPause // it had got on meanwhile
		}
		j.wait(err.Error())
		if sleep(ctx, pause) != nil {
			return
		}
	}
}

// attempt goes on from where the job was left.
func (j *jobRun) attempt(ctx context.Context) error {
	if err := j.takeTurn(ctx); err != nil {
		return err
	}
	s := j.jobs.store
	var r *jobRecord
	err := s.opts.Meta.View(ctx, func(v *metastore.View) (err error) {
		r, err = readJob(v.Get, j.bucket)
		return err
	})
	if err != nil {
		return err
	}
	if r == nil || r.ID != j.id || r.State != JobRunning {
		return errJobEnded
	}
	w, err := s.newRewrapping(ctx, &RewrapRequest{
		Bucket: r.Bucket, Prefix: r.Prefix, Shallow: r.Shallow, From: r.From.ref(), To: r.To.ref(), After: r.After,
		PageSize: r.PageSize,
	})
	if err != nil {
		return err
	}
	if w.bucket.ID != j.bucket {
		return errJobEnded
	}
	if r.Rate > 0 {
		w.req.PageSize = min(w.req.PageSize, r.Rate*secondsPerBatch)
	}
	j.rate, j.generations, j.last = r.Rate, r.Generations, time.Now()
	w.job, w.report = j, r.report()
	w.report.Next = ""
	w.saved = w.report
	if err := w.run(ctx); err != nil {
		return err
	}
	return j.finish(ctx, &w.report, JobDone, "")
}

// put keeps the progress of a job in a transaction; after is where it goes on, if that changes.
func (j *jobRun) put(tx *change, progress RewrapReport, after *string) error {
	r, err := readJob(tx.GetForUpdate, j.bucket)
	if err != nil {
		return err
	}
	if r == nil || r.ID != j.id || r.State != JobRunning {
		return errJobEnded
	}
	r.setReport(&progress)
	r.Generations, r.Updated = j.generations, j.jobs.store.opts.Now().UnixNano()
	if after != nil {
		r.After = *after
	}
	return tx.Put(jobKeyOf(j.bucket), encode(r))
}

// advance keeps all that was found up to a key.
func (j *jobRun) advance(ctx context.Context, w *rewrapping, after string) error {
	err := j.jobs.store.update(ctx, func(tx *change) error { return j.put(tx, w.report, &after) })
	if err == nil {
		w.saved = w.report
	}
	return err
}

// finish ends the job in a state; a nil report leaves the counts as they are.
func (j *jobRun) finish(ctx context.Context, report *RewrapReport, state JobState, why string) error {
	return j.jobs.store.opts.Meta.Update(ctx, func(tx *metastore.Tx) error {
		r, err := readJob(tx.GetForUpdate, j.bucket)
		if err != nil {
			return err
		}
		if r == nil || r.ID != j.id || r.State != JobRunning {
			return errJobEnded
		}
		now := j.jobs.store.opts.Now().UnixNano()
		r.State, r.Failure, r.Updated, r.Ended = state, why[:min(len(why), maxJobErrorText)], now, now
		if report != nil {
			r.setReport(report)
			r.After = ""
		}
		return tx.Put(jobKeyOf(j.bucket), encode(r))
	})
}

// noteRewrapped remembers a generation of the bucket's KEK, so that its objects count after a restart too.
func (j *jobRun) noteRewrapped(generation uint32) {
	if !j.hasRewrapped(generation) {
		j.generations = append(j.generations, generation)
	}
}

func (j *jobRun) hasRewrapped(generation uint32) bool {
	return slices.Contains(j.generations, generation)
}

// pace waits until n more KEKs are within the rate limit. Others have the turn meanwhile.
func (j *jobRun) pace(ctx context.Context, n int) error {
	if j.rate == 0 || n == 0 {
		return nil
	}
	due := j.last.Add(time.Duration(n) * time.Second / time.Duration(j.rate))
	j.last = time.Now()
	if due.After(j.last) {
		j.endTurn()
		j.wait(waitingLimit)
		if err := sleep(ctx, due.Sub(j.last)); err != nil {
			return err
		}
		j.last = due
		return j.takeTurn(ctx)
	}
	return nil
}

// takeTurn waits until the job may work.
func (j *jobRun) takeTurn(ctx context.Context) error {
	j.wait(waitingTurn)
	select {
	case j.jobs.turns <- struct{}{}:
		j.hasTurn = true
		j.wait("")
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (j *jobRun) endTurn() {
	if j.hasTurn {
		<-j.jobs.turns
		j.hasTurn = false
	}
}

// sleep waits, or returns the error of ctx.
func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
