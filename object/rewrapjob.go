package object

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	"coffer/cipher"
	"coffer/kms"
	"coffer/metastore"
)

const (
	maxJobErrors    = 20      // that a job keeps
	maxJobErrorText = 1 << 10 // bytes of each
	maxJobRate      = 1 << 20
)

// RewrapJobRequest asks for a rewrap in the background; see RewrapRequest.
type RewrapJobRequest struct {
	Bucket        string
	Prefix        string
	Shallow       bool
	From, To      kms.KeyRef
	PageSize      int // 1…1000; 0: 1000
	KEKsPerSecond int // 0: as fast as it goes
}

// JobState is where a job is.
type JobState uint8

// The states. The numbers are stored.
const (
	JobRunning   JobState = 1
	JobPaused    JobState = 2
	JobCancelled JobState = 3
	JobDone      JobState = 4
	JobFailed    JobState = 5 // it can be resumed
)

// String names the state in a word.
func (s JobState) String() string {
	names := [...]string{"", "running", "paused", "cancelled", "done", "failed"}
	return names[min(int(s), len(names)-1)]
}

// RewrapJob is the last background rewrap of a bucket.
type RewrapJob struct {
	RewrapJobRequest
	State   JobState
	Total   int64        // objects that key services protected in the bucket when it began; 0 with a prefix
	Report  RewrapReport // so far; with the first 20 errors
	Waiting string       // what a running job waits for; "" when it works
	Failure string       // why it failed
	Started time.Time
	Updated time.Time // when its progress was kept last
	Ended   time.Time // zero: not yet
}

// jobRecord is a job as stored.
type jobRecord struct {
	Format      uint8           `cbor:"1,keyasint"`
	ID          cipher.WriterID `cbor:"2,keyasint"`
	Bucket      string          `cbor:"3,keyasint"`
	Prefix      string          `cbor:"4,keyasint,omitempty"`
	Shallow     bool            `cbor:"5,keyasint,omitzero"`
	From        jobKey          `cbor:"6,keyasint,omitzero"`
	To          jobKey          `cbor:"7,keyasint,omitzero"`
	Rate        int             `cbor:"8,keyasint,omitzero"` // KEKs a second
	State       JobState        `cbor:"9,keyasint"`
	After       string          `cbor:"10,keyasint,omitempty"` // the key to go on after
	Counts      jobCounts       `cbor:"11,keyasint,omitzero"`
	Generations []uint32        `cbor:"12,keyasint,omitempty"` // of the bucket's KEKs that it has rewrapped
	Errors      []jobError      `cbor:"13,keyasint,omitempty"`
	Total       int64           `cbor:"14,keyasint,omitzero"`
	Started     int64           `cbor:"15,keyasint"`
	Updated     int64           `cbor:"16,keyasint"`
	Ended       int64           `cbor:"17,keyasint,omitzero"`
	Failure     string          `cbor:"18,keyasint,omitempty"`
	PageSize    int             `cbor:"19,keyasint,omitzero"`
}

type jobKey struct {
	Instance cipher.InstanceID `cbor:"1,keyasint,omitzero"`
	KeyID    string            `cbor:"2,keyasint,omitempty"`
}

type jobCounts struct {
	Matched   int  `cbor:"1,keyasint,omitzero"`
	Rewrapped int  `cbor:"2,keyasint,omitzero"`
	Uploads   int  `cbor:"3,keyasint,omitzero"`
	KEKs      int  `cbor:"4,keyasint,omitzero"`
	Failed    int  `cbor:"5,keyasint,omitzero"`
	Shared    bool `cbor:"6,keyasint,omitzero"`
}

type jobError struct {
	_     struct{} `cbor:",toarray"`
	Key   string
	Cause string
}

func (r *jobRecord) format() uint8 { return r.Format }

// readJob reads the last job of a bucket, nil when there was none.
func readJob(get func([]byte) ([]byte, error), bucket cipher.BucketID) (*jobRecord, error) {
	value, err := get(jobKeyOf(bucket))
	if errors.Is(err, metastore.ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var r jobRecord
	return &r, decode(value, &r)
}

// setReport takes over the counts of a report, and its first errors.
func (r *jobRecord) setReport(p *RewrapReport) {
	r.Counts = jobCounts{p.Matched, p.Rewrapped, p.Uploads, p.KEKs, p.Failed, p.SharedKEK}
	r.Errors = nil
	for _, e := range p.Errors[:min(len(p.Errors), maxJobErrors)] {
		text := e.Err.Error()
		r.Errors = append(r.Errors, jobError{Key: e.Key, Cause: text[:min(len(text), maxJobErrorText)]})
	}
}

func (r *jobRecord) report() RewrapReport {
	p := RewrapReport{
		Matched: r.Counts.Matched, Rewrapped: r.Counts.Rewrapped, Uploads: r.Counts.Uploads, KEKs: r.Counts.KEKs,
		Failed: r.Counts.Failed, SharedKEK: r.Counts.Shared, Next: r.After,
	}
	for _, e := range r.Errors {
		p.Errors = append(p.Errors, RewrapError{Key: e.Key, Err: errors.New(e.Cause)})
	}
	return p
}

func (k jobKey) ref() kms.KeyRef { return kms.KeyRef{Instance: k.Instance, KeyID: k.KeyID} }

func (r *jobRecord) public() RewrapJob {
	at := func(ns int64) time.Time {
		if ns == 0 {
			return time.Time{}
		}
		return time.Unix(0, ns).UTC()
	}
	return RewrapJob{
		RewrapJobRequest: RewrapJobRequest{
			Bucket: r.Bucket, Prefix: r.Prefix, Shallow: r.Shallow, From: r.From.ref(), To: r.To.ref(), PageSize: r.PageSize,
			KEKsPerSecond: r.Rate,
		},
		State: r.State, Total: r.Total, Report: r.report(), Failure: r.Failure,
		Started: at(r.Started), Updated: at(r.Updated), Ended: at(r.Ended),
	}
}

// StartRewrap begins a rewrap in the background. It goes on over restarts, and ends, is paused or cancelled in its own
// time. A bucket has one at a time: while one runs or is paused this is KindOperationAborted.
func (s *Store) StartRewrap(ctx context.Context, req RewrapJobRequest) (RewrapJob, error) {
	r, err := s.jobs.start(ctx, &req)
	if err != nil {
		return RewrapJob{}, s.wrap("start rewrap", req.Bucket, "", err)
	}
	return r.public(), nil
}

// StartRewraps begins one in every bucket that has something wrapped by req.From, or by anything where that is zero, and
// returns them. Buckets in which one runs or is paused are left out. req names no bucket and no prefix.
func (s *Store) StartRewraps(ctx context.Context, req RewrapJobRequest) ([]RewrapJob, error) {
	buckets, err := s.bucketsUnder(ctx, req.From)
	var started []RewrapJob
	for _, name := range buckets {
		if err != nil {
			break
		}
		one := req
		one.Bucket = name
		var r *jobRecord
		switch r, err = s.jobs.start(ctx, &one); faultKind(err) {
		case KindOperationAborted, KindNoSuchBucket:
			err = nil
		default:
			if err == nil {
				started = append(started, r.public())
			}
		}
	}
	return started, s.wrap("start rewraps", "", "", err)
}

// RewrapJobs lists the last job of every bucket that had one, those that began last first.
func (s *Store) RewrapJobs(ctx context.Context) ([]RewrapJob, error) {
	var jobs []RewrapJob
	err := s.scanPrefix(ctx, []byte{tagJob}, func(kv metastore.KV) error {
		var r jobRecord
		if err := decode(kv.Value, &r); err != nil {
			return err
		}
		j := r.public()
		j.Waiting = s.jobs.waiting(bucketOf(kv.Key))
		jobs = append(jobs, j)
		return nil
	})
	slices.SortFunc(jobs, func(a, b RewrapJob) int { return cmp.Or(b.Started.Compare(a.Started), cmp.Compare(a.Bucket, b.Bucket)) })
	return jobs, s.wrap("list rewraps", "", "", err)
}

// RewrapJob returns the last job of a bucket; KindNoSuchJob when it had none.
func (s *Store) RewrapJob(ctx context.Context, bucket string) (RewrapJob, error) {
	b, err := s.bucket(ctx, bucket)
	var r *jobRecord
	if err == nil {
		err = s.opts.Meta.View(ctx, func(v *metastore.View) (err error) {
			r, err = readJob(v.Get, b.ID)
			return err
		})
	}
	if err == nil && r == nil {
		err = errKind(KindNoSuchJob)
	}
	if err != nil {
		return RewrapJob{}, s.wrap("rewrap job", bucket, "", err)
	}
	j := r.public()
	j.Waiting = s.jobs.waiting(b.ID)
	return j, nil
}

// PauseRewrap stops a running job where it is, until ResumeRewrap. When it returns, nothing of it runs any more.
func (s *Store) PauseRewrap(ctx context.Context, bucket string) (RewrapJob, error) {
	return s.moveJob(ctx, "pause rewrap", bucket, JobPaused, JobRunning)
}

// ResumeRewrap lets a job go on that was paused or failed.
func (s *Store) ResumeRewrap(ctx context.Context, bucket string) (RewrapJob, error) {
	return s.moveJob(ctx, "resume rewrap", bucket, JobRunning, JobPaused, JobFailed)
}

// CancelRewrap ends a job. What it has rewrapped stays so.
func (s *Store) CancelRewrap(ctx context.Context, bucket string) (RewrapJob, error) {
	return s.moveJob(ctx, "cancel rewrap", bucket, JobCancelled, JobRunning, JobPaused, JobFailed)
}

func (s *Store) moveJob(ctx context.Context, op, bucket string, to JobState, from ...JobState) (RewrapJob, error) {
	b, err := s.bucket(ctx, bucket)
	if err != nil {
		return RewrapJob{}, s.wrap(op, bucket, "", err)
	}
	r, err := s.jobs.move(ctx, b.ID, to, from)
	if err != nil {
		return RewrapJob{}, s.wrap(op, bucket, "", err)
	}
	return r.public(), nil
}

// bucketsUnder lists the buckets that have something wrapped by a backend or a key; all for the zero one.
func (s *Store) bucketsUnder(ctx context.Context, from kms.KeyRef) ([]string, error) {
	type bucket struct {
		name string
		id   cipher.BucketID
	}
	var all []bucket
	err := s.scanPrefix(ctx, []byte{tagBucket}, func(kv metastore.KV) error {
		var b bucketRecord
		err := decode(kv.Value, &b)
		all = append(all, bucket{string(kv.Key[1:]), b.ID})
		return err
	})
	var names []string
	for _, b := range all {
		if err != nil {
			break
		}
		var entries []CensusEntry
		if from != (kms.KeyRef{}) {
			entries, err = s.census(ctx, &b.id)
		}
		under := func(e CensusEntry) bool {
			return (from.Instance.IsZero() || e.Instance == from.Instance) && (from.KeyID == "" || e.KeyID == from.KeyID)
		}
		if from == (kms.KeyRef{}) || slices.ContainsFunc(entries, under) {
			names = append(names, b.name)
		}
	}
	return names, err
}
