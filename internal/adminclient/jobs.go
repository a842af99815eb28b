package adminclient

import (
	"context"
	"net/url"
)

// Place is a key of a backend. Backend is the id of an instance, or "serving"; "" is the one that serves for a target, and any
// for an origin.
type Place struct {
	Backend string `json:"backend,omitempty"`
	KeyID   string `json:"key_id,omitempty"`
}

// NewJob says what to rewrap in the background: a bucket, or all of them.
type NewJob struct {
	Bucket        string `json:"bucket,omitempty"`
	AllBuckets    bool   `json:"all_buckets,omitempty"`
	Prefix        string `json:"prefix,omitempty"`
	Recursive     *bool  `json:"recursive,omitempty"` // nil: true
	PageSize      int    `json:"page_size,omitempty"`
	KEKsPerSecond int    `json:"keks_per_second,omitempty"` // 0: as fast as it goes
	To            *Place `json:"to,omitempty"`              // nil: the newest version of the same key
	From          *Place `json:"from,omitempty"`            // nil: whatever has wrapped it
}

// The states of a job.
const (
	JobRunning   = "running"
	JobPaused    = "paused"
	JobCancelled = "cancelled"
	JobDone      = "done"
	JobFailed    = "failed"
)

// Job is the last background rewrap of a bucket.
type Job struct {
	Bucket        string        `json:"bucket"`
	Prefix        string        `json:"prefix"`
	KEKsPerSecond int           `json:"keks_per_second"`
	State         string        `json:"state"`
	WaitingFor    string        `json:"waiting_for"`
	Failure       string        `json:"failure"`
	Total         int64         `json:"total"` // objects of the bucket when it began; 0: not known
	Matched       int64         `json:"matched"`
	Rewrapped     int64         `json:"rewrapped"`
	Uploads       int64         `json:"uploads"`
	KEKs          int64         `json:"keks"`
	SharedKEK     bool          `json:"shared_kek"`
	Failed        int64         `json:"failed"`
	Errors        []RewrapError `json:"errors"`
	StartedAt     string        `json:"started_at"`
	UpdatedAt     string        `json:"updated_at"`
	EndedAt       *string       `json:"ended_at"`
}

// Jobs is a list of jobs.
type Jobs struct {
	Jobs []Job `json:"jobs"`
}

// StartJob begins to rewrap one bucket.
func (c *Client) StartJob(ctx context.Context, j NewJob) (Answer[Job], error) {
	return ask[Job](ctx, c, "POST", "kms/rewrap-jobs", nil, j)
}

// StartJobs begins to rewrap all buckets, as far as none of them is being rewrapped.
func (c *Client) StartJobs(ctx context.Context, j NewJob) (Answer[Jobs], error) {
	j.AllBuckets = true
	return ask[Jobs](ctx, c, "POST", "kms/rewrap-jobs", nil, j)
}

// Jobs lists the last job of every bucket that had one.
func (c *Client) Jobs(ctx context.Context) (Answer[Jobs], error) {
	return ask[Jobs](ctx, c, "GET", "kms/rewrap-jobs", nil, nil)
}

// Job describes the last job of a bucket.
func (c *Client) Job(ctx context.Context, bucket string) (Answer[Job], error) {
	return ask[Job](ctx, c, "GET", "kms/rewrap-jobs/"+segment(bucket), nil, nil)
}

type bucketName struct {
	Bucket string `json:"bucket"`
}

// PauseJob pauses a job that runs.
func (c *Client) PauseJob(ctx context.Context, bucket string) (Answer[Job], error) {
	return ask[Job](ctx, c, "POST", "kms/rewrap-jobs/pause", nil, bucketName{bucket})
}

// ResumeJob lets a job go on that was paused or failed.
func (c *Client) ResumeJob(ctx context.Context, bucket string) (Answer[Job], error) {
	return ask[Job](ctx, c, "POST", "kms/rewrap-jobs/resume", nil, bucketName{bucket})
}

// CancelJob ends a job. What it has rewrapped stays so.
func (c *Client) CancelJob(ctx context.Context, bucket string) (Answer[Job], error) {
	return ask[Job](ctx, c, "POST", "kms/rewrap-jobs/cancel", nil, bucketName{bucket})
}

// NewRetirement asks for a version of a key, and all before it, to be given up.
type NewRetirement struct {
	KeyID   string `json:"key_id"`
	Backend string `json:"backend,omitempty"`
	Version uint32 `json:"version,omitempty"` // 0: all but the newest
	Rewrap  bool   `json:"rewrap,omitempty"`  // begin to rewrap what they have wrapped
}

// Retirement is the state of giving up the older versions of a key.
type Retirement struct {
	KeyID     string `json:"key_id"`
	Instance  string `json:"instance"`
	Floor     uint32 `json:"least_version"` // those below it are being retired
	AskedAt   string `json:"asked_at"`
	Retirable bool   `json:"retirable"` // nothing needs them, and nothing ever will
	Needs     Use    `json:"needed_by"`
	Jobs      []Job  `json:"jobs"`
}

// Retirements is a list of them.
type Retirements struct {
	Retirements []Retirement `json:"retirements"`
}

// Retire asks for a retirement.
func (c *Client) Retire(ctx context.Context, r NewRetirement) (Answer[Retirement], error) {
	return ask[Retirement](ctx, c, "POST", "kms/keys/retire", nil, r)
}

// Retirements lists those that were asked for, of one key where keyID is not "".
func (c *Client) Retirements(ctx context.Context, keyID string) (Answer[Retirements], error) {
	query := url.Values{}
	if keyID != "" {
		query.Set("keyName", keyID)
	}
	return ask[Retirements](ctx, c, "GET", "kms/retirements", query, nil)
}

// CancelRetirement takes a retirement back.
func (c *Client) CancelRetirement(ctx context.Context, keyID string) (Answer[Done], error) {
	return ask[Done](ctx, c, "POST", "kms/keys/cancel-retirement", nil, keyIDOnly{keyID})
}

// RemoveInstance forgets a backend that nothing needs.
func (c *Client) RemoveInstance(ctx context.Context, id string) (Answer[Done], error) {
	return ask[Done](ctx, c, "DELETE", "kms/instances/"+segment(id), nil, nil)
}
