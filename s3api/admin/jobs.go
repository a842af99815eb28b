package admin

import (
	"context"
	"net/http"

	"coffer/kms"
	"coffer/object"
)

// jobBody is the body of POST kms/rewrap-jobs.
type jobBody struct {
	Bucket        string `json:"bucket"`
	AllBuckets    bool   `json:"all_buckets"`
	Prefix        string `json:"prefix"`
	Recursive     *bool  `json:"recursive"`
	PageSize      *int   `json:"page_size"`
	KEKsPerSecond int    `json:"keks_per_second"`
	To            *place `json:"to"`
	From          *place `json:"from"`
}

// jobDoc is the last background rewrap of a bucket.
type jobDoc struct {
	Bucket        string        `json:"bucket"`
	Prefix        string        `json:"prefix"`
	Recursive     bool          `json:"recursive"`
	KEKsPerSecond int           `json:"keks_per_second"`
	From          *placeDoc     `json:"from"`
	To            *placeDoc     `json:"to"`
	State         string        `json:"state"`
	WaitingFor    string        `json:"waiting_for"`
	Failure       string        `json:"failure"`
	Total         int64         `json:"total"`
	Matched       int           `json:"matched"`
	Rewrapped     int           `json:"rewrapped"`
	Uploads       int           `json:"uploads"`
	KEKs          int           `json:"keks"`
	SharedKEK     bool          `json:"shared_kek"`
	Failed        int           `json:"failed"`
	Skipped       int           `json:"skipped"`
	Errors        []rewrapError `json:"errors"`
	After         string        `json:"after"`
	StartedAt     string        `json:"started_at"`
	UpdatedAt     string        `json:"updated_at"`
	EndedAt       *string       `json:"ended_at"`
}

type placeDoc struct {
	Instance string `json:"instance"`
	KeyID    string `json:"key_id"`
}

func newPlaceDoc(ref kms.KeyRef) *placeDoc {
	if ref == (kms.KeyRef{}) {
		return nil
	}
	d := &placeDoc{KeyID: ref.KeyID}
	if !ref.Instance.IsZero() {
		d.Instance = ref.Instance.String()
	}
	return d
}

func newJobDoc(j *object.RewrapJob) jobDoc {
	r := &j.Report
	d := jobDoc{
		Bucket: j.Bucket, Prefix: j.Prefix, Recursive: !j.Shallow, KEKsPerSecond: j.KEKsPerSecond, From: newPlaceDoc(j.From), To: newPlaceDoc(j.To),
		State: j.State.String(), WaitingFor: j.Waiting, Failure: j.Failure, Total: j.Total, Matched: r.Matched, Rewrapped: r.Rewrapped,
		Uploads: r.Uploads, KEKs: r.KEKs, SharedKEK: r.SharedKEK, Failed: r.Failed, Skipped: max(r.Matched-r.Rewrapped-r.Failed, 0),
		Errors: []rewrapError{}, After: r.Next, StartedAt: timeText(j.Started), UpdatedAt: timeText(j.Updated),
	}
	for _, e := range r.Errors {
		d.Errors = append(d.Errors, rewrapError{e.Key, "failed", e.Err.Error()})
	}
	if !j.Ended.IsZero() {
		d.EndedAt = new(timeText(j.Ended))
	}
	return d
}

// jobsDoc lists jobs.
type jobsDoc struct {
	Jobs []jobDoc `json:"jobs"`
}

func newJobsDoc(jobs []object.RewrapJob) jobsDoc {
	d := jobsDoc{Jobs: []jobDoc{}}
	for i := range jobs {
		d.Jobs = append(d.Jobs, newJobDoc(&jobs[i]))
	}
	return d
}

// startRewrapJob begins to rewrap a bucket in the background, or every one of them.
func (a *API) startRewrapJob(ctx context.Context, c *call) (any, error) {
	var body jobBody
	if err := c.decode(&body, true); err != nil {
		return nil, err
	}
	c.bucket = body.Bucket
	req := object.RewrapJobRequest{
		Bucket: body.Bucket, Prefix: body.Prefix, Shallow: body.Recursive != nil && !*body.Recursive, KEKsPerSecond: body.KEKsPerSecond,
	}
	switch {
	case (body.Bucket == "") != body.AllBuckets:
		return nil, invalid("It takes a bucket, or all_buckets.")
	case body.AllBuckets && (body.Prefix != "" || req.Shallow):
		return nil, invalid("A prefix needs a bucket.")
	case body.PageSize != nil && (*body.PageSize < 1 || *body.PageSize > 1000):
		return nil, invalid("page_size is not within 1 and 1000.")
	}
	set(&req.PageSize, body.PageSize)
	var err error
	if req.To, err = a.target(ctx, body.To); err != nil {
		return nil, err
	}
	if req.From, err = a.origin(body.From); err != nil {
		return nil, err
	}
	c.keyID = req.To.KeyID
	if body.AllBuckets {
		jobs, err := a.o.Engine.StartRewraps(ctx, req)
		if err != nil {
			return nil, err
		}
		return newJobsDoc(jobs), nil
	}
	return oneJob(a.o.Engine.StartRewrap(ctx, req))
}

func oneJob(j object.RewrapJob, err error) (any, error) {
	if err != nil {
		return nil, err
	}
	return newJobDoc(&j), nil
}

// listRewrapJobs lists the last job of every bucket.
func (a *API) listRewrapJobs(ctx context.Context, _ *call) (any, error) {
	jobs, err := a.o.Engine.RewrapJobs(ctx)
	if err != nil {
		return nil, err
	}
	return newJobsDoc(jobs), nil
}

// describeRewrapJob tells of the last job of a bucket.
func (a *API) describeRewrapJob(ctx context.Context, c *call) (any, error) {
	c.bucket = c.segment
	jobs, err := a.o.Engine.RewrapJobs(ctx)
	if err != nil {
		return nil, err
	}
	for i := range jobs {
		if jobs[i].Bucket == c.bucket {
			return newJobDoc(&jobs[i]), nil
		}
	}
	return nil, refuse(http.StatusNotFound, "NotFound", "The bucket has had no background rewrap.", "POST kms/rewrap-jobs begins one.")
}

func (a *API) pauseRewrapJob(ctx context.Context, c *call) (any, error) {
	return c.moveJob(ctx, a.o.Engine.PauseRewrap)
}

func (a *API) resumeRewrapJob(ctx context.Context, c *call) (any, error) {
	return c.moveJob(ctx, a.o.Engine.ResumeRewrap)
}

func (a *API) cancelRewrapJob(ctx context.Context, c *call) (any, error) {
	return c.moveJob(ctx, a.o.Engine.CancelRewrap)
}

// moveJob brings the job of the bucket that the body names to another state.
func (c *call) moveJob(ctx context.Context, move func(context.Context, string) (object.RewrapJob, error)) (any, error) {
	var body struct {
		Bucket string `json:"bucket"`
	}
	if err := c.decode(&body, true); err != nil {
		return nil, err
	}
	if c.bucket = body.Bucket; c.bucket == "" {
		return nil, invalid("bucket is missing.")
	}
	return oneJob(move(ctx, body.Bucket))
}
