package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/alecthomas/kong"

	"coffer/internal/adminclient"
)

// pollEvery is the time between two looks at a rewrap.
const pollEvery = 500 * time.Millisecond

// rewrapCommands rewrap buckets. A server does it in the background, whether or not somebody watches.
type rewrapCommands struct {
	Start  rewrapStartCommand  `cmd:"" default:"withargs" help:"Wrap the KEKs of a bucket by the newest versions of their keys, or by another key. No object is written anew."`
	List   rewrapListCommand   `cmd:"" help:"List the last rewrap of every bucket."`
	Status rewrapStatusCommand `cmd:"" help:"Describe the last rewrap of a bucket."`
	Pause  rewrapPauseCommand  `cmd:"" help:"Pause a rewrap."`
	Resume rewrapResumeCommand `cmd:"" help:"Let a rewrap go on that was paused or failed."`
	Cancel rewrapCancelCommand `cmd:"" help:"End a rewrap. What is rewrapped stays so."`
}

type rewrapStartCommand struct {
	clientFlags
	Bucket        string `arg:"" optional:"" help:"The bucket."`
	AllBuckets    bool   `help:"Begin in every bucket, and do not wait."`
	Prefix        string `placeholder:"PREFIX" help:"Only objects whose key begins so."`
	Shallow       bool   `help:"Only keys without a / behind the prefix."`
	To            string `placeholder:"KEY" help:"Move KEKs of other backends to this key of the backend that serves."`
	ToBackend     string `placeholder:"ID" help:"Move them to this backend, by its id in coffer kms status."`
	From          string `placeholder:"KEY" help:"Only KEKs that this key has wrapped."`
	FromBackend   string `placeholder:"ID" help:"Only KEKs that this backend has wrapped."`
	KEKsPerSecond int    `name:"keks-per-second" placeholder:"N" help:"KEKs a second at most (default: as fast as it goes)."`
	PageSize      int    `placeholder:"N" help:"Objects that the server reads at a time, 1 to 1000 (default: 1000)."`
	Background    bool   `help:"Do not wait for the end."`
	DryRun        bool   `help:"Count, change nothing."`
	MaxObjects    int    `placeholder:"N" help:"Rewrap so many objects at most, within one request."`
}

// Validate refuses what does not go together.
func (c rewrapStartCommand) Validate() error {
	switch {
	case (c.Bucket == "") != c.AllBuckets:
		return errors.New("name a bucket, or all by --all-buckets")
	case c.AllBuckets && (c.Prefix != "" || c.Shallow || c.DryRun || c.MaxObjects > 0):
		return errors.New("--prefix, --shallow, --dry-run and --max-objects are for one bucket")
	case c.PageSize < 0 || c.PageSize > 1000 || c.MaxObjects < 0 || c.KEKsPerSecond < 0:
		return errors.New("--page-size is 1 to 1000, --max-objects and --keks-per-second are positive")
	}
	return nil
}

// placeOf is the key that two flags name, nil for none.
func placeOf(backend, key string) *adminclient.Place {
	if backend == "" && key == "" {
		return nil
	}
	return &adminclient.Place{Backend: backend, KeyID: key}
}

// Run begins a rewrap, and waits for its end unless told otherwise.
func (c rewrapStartCommand) Run(kctx *kong.Context, std streams) error {
	job := adminclient.NewJob{
		Bucket: c.Bucket, Prefix: c.Prefix, PageSize: c.PageSize, KEKsPerSecond: c.KEKsPerSecond,
		To: placeOf(c.ToBackend, c.To), From: placeOf(c.FromBackend, c.From),
	}
	if c.Shallow {
		job.Recursive = new(false)
	}
	switch {
	case c.DryRun || c.MaxObjects > 0:
		return c.once(kctx, std)
	case c.AllBuckets:
		return administer(c.clientFlags, kctx, std, func(ctx context.Context, r *remote) (adminclient.Answer[adminclient.Jobs], error) {
			return r.StartJobs(ctx, job)
		}, showJobs)
	}
	return watch(c.clientFlags, kctx, std, !c.Background, c.Bucket, func(ctx context.Context, r *remote) (adminclient.Answer[adminclient.Job], error) {
		return r.StartJob(ctx, job)
	})
}

// once rewraps within one request.
func (c rewrapStartCommand) once(kctx *kong.Context, std streams) error {
	failed := 0
	err := administer(c.clientFlags, kctx, std, func(ctx context.Context, r *remote) (adminclient.Answer[adminclient.Rewrapped], error) {
		answer, err := r.Rewrap(ctx, adminclient.RewrapBucket{
			Bucket: c.Bucket, Prefix: c.Prefix, Recursive: !c.Shallow, PageSize: c.PageSize, MaxObjects: c.MaxObjects, DryRun: c.DryRun,
			To: placeOf(c.ToBackend, c.To), From: placeOf(c.FromBackend, c.From),
		})
		failed = answer.Doc.Failed
		return answer, err
	}, func(w io.Writer, doc *adminclient.Rewrapped) {
		if c.DryRun {
			fmt.Fprintf(w, "%s of %d in %s would be rewrapped.\n", plural(int64(doc.WouldRewrap), "object"), doc.Matched, c.Bucket)
		} else {
			fmt.Fprintf(w, "%s in %s rewrapped, by %s.\n", plural(int64(doc.Rewrapped), "object"), c.Bucket, plural(int64(doc.KEKs), "KEK"))
		}
		showRest(w, doc.SharedKEK, int64(doc.Uploads), doc.Errors, int64(doc.Failed))
	})
	return errors.Join(err, failures(int64(failed)))
}

// oneRewrap is what every command about the rewrap of a bucket takes.
type oneRewrap struct {
	clientFlags
	Bucket string `arg:"" help:"The bucket."`
}

type rewrapStatusCommand struct {
	oneRewrap
	Follow bool `help:"Wait for its end."`
}

// Run describes a rewrap.
func (c rewrapStatusCommand) Run(kctx *kong.Context, std streams) error {
	return watch(c.clientFlags, kctx, std, c.Follow, c.Bucket, func(ctx context.Context, r *remote) (adminclient.Answer[adminclient.Job], error) {
		return r.Job(ctx, c.Bucket)
	})
}

type rewrapResumeCommand struct {
	oneRewrap
	Background bool `help:"Do not wait for the end."`
}

// Run lets a rewrap go on.
func (c rewrapResumeCommand) Run(kctx *kong.Context, std streams) error {
	return watch(c.clientFlags, kctx, std, !c.Background, c.Bucket, func(ctx context.Context, r *remote) (adminclient.Answer[adminclient.Job], error) {
		return r.ResumeJob(ctx, c.Bucket)
	})
}

type rewrapPauseCommand struct{ oneRewrap }

// Run pauses a rewrap.
func (c rewrapPauseCommand) Run(kctx *kong.Context, std streams) error {
	return administer(c.clientFlags, kctx, std, func(ctx context.Context, r *remote) (adminclient.Answer[adminclient.Job], error) {
		return r.PauseJob(ctx, c.Bucket)
	}, showJob)
}

type rewrapCancelCommand struct{ oneRewrap }

// Run ends a rewrap.
func (c rewrapCancelCommand) Run(kctx *kong.Context, std streams) error {
	return administer(c.clientFlags, kctx, std, func(ctx context.Context, r *remote) (adminclient.Answer[adminclient.Job], error) {
		return r.CancelJob(ctx, c.Bucket)
	}, showJob)
}

type rewrapListCommand struct{ clientFlags }

// Run lists the rewraps.
func (c rewrapListCommand) Run(kctx *kong.Context, std streams) error {
	return administer(c.clientFlags, kctx, std, func(ctx context.Context, r *remote) (adminclient.Answer[adminclient.Jobs], error) {
		return r.Jobs(ctx)
	}, showJobs)
}

// watch makes a call that concerns a rewrap, waits for its end if asked to, and tells what came of it. An interrupt ends the
// waiting, not the rewrap.
func watch(f clientFlags, kctx *kong.Context, std streams, wait bool, bucket string, call ask[adminclient.Job]) error {
	r, _, err := f.connect(kctx, std)
	if err != nil {
		return err
	}
	defer r.Close()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	job, err := call(ctx, r)
	if err == nil && wait {
		job, err = r.follow(ctx, job, std)
	}
	if errors.Is(err, context.Canceled) {
		return fmt.Errorf("interrupted; the rewrap of %[1]s goes on without this command: coffer rewrap status %[1]s --follow watches it, coffer rewrap pause %[1]s stops it", bucket)
	}
	if refused, ok := errors.AsType[*adminclient.Error](err); ok && refused.Code == "OperationAborted" {
		return fmt.Errorf("%w; coffer rewrap status %s tells how it is", err, bucket)
	}
	if err != nil {
		return r.explain(err)
	}
	if err := display(r, job, showJob); err != nil || !wait {
		return err
	}
	if job.Doc.State != adminclient.JobDone {
		return fmt.Errorf("the rewrap of %s is %s", bucket, job.Doc.State)
	}
	return failures(job.Doc.Failed)
}

// follow looks at a rewrap until it does not run any more.
func (r *remote) follow(ctx context.Context, job adminclient.Answer[adminclient.Job], std streams) (adminclient.Answer[adminclient.Job], error) {
	bar := newProgress(std.err, isTerminal(std.err), "objects looked at")
	defer bar.end()
	tick := time.NewTicker(pollEvery)
	defer tick.Stop()
	for {
		bar.show(max(job.Doc.Matched, job.Doc.Rewrapped+job.Doc.Failed), job.Doc.Total, job.Doc.WaitingFor)
		if job.Doc.State != adminclient.JobRunning {
			return job, nil
		}
		select {
		case <-ctx.Done():
			return job, ctx.Err()
		case <-tick.C:
		}
		var err error
		if job, err = r.Job(ctx, job.Doc.Bucket); err != nil {
			return job, err
		}
	}
}

// failures is the error of a command that could not do everything.
func failures(n int64) error {
	if n == 0 {
		return nil
	}
	return fmt.Errorf("%s could not be rewrapped", plural(n, "object"))
}
