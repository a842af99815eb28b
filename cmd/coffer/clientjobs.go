package main

import (
	"context"
	"fmt"
	"io"

	"github.com/alecthomas/kong"

	"coffer/internal/adminclient"
)

func showJobs(w io.Writer, doc *adminclient.Jobs) {
	fmt.Fprintln(w, "BUCKET\tSTATE\tSTARTED\tOBJECTS\tREWRAPPED\tKEKS\tFAILED")
	for _, j := range doc.Jobs {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%d\t%d\t%d\n", j.Bucket, j.State, j.StartedAt, objectsOf(&j), j.Rewrapped, j.KEKs, j.Failed)
	}
}

// objectsOf is how many objects were looked at, of how many.
func objectsOf(j *adminclient.Job) string {
	if j.Total == 0 {
		return fmt.Sprint(j.Matched)
	}
	return fmt.Sprintf("%d of %d", j.Matched, max(j.Total, j.Matched))
}

func showJob(w io.Writer, j *adminclient.Job) {
	switch j.State {
	case adminclient.JobRunning:
		fmt.Fprintf(w, "The rewrap of %s runs", j.Bucket)
		if j.WaitingFor != "" {
			fmt.Fprintf(w, ", and waits for %s", j.WaitingFor)
		}
		fmt.Fprintf(w, "; coffer rewrap status %[1]s --follow watches it.\n", j.Bucket)
	case adminclient.JobPaused:
		fmt.Fprintf(w, "The rewrap of %[1]s is paused; coffer rewrap resume %[1]s lets it go on.\n", j.Bucket)
	case adminclient.JobFailed:
		fmt.Fprintf(w, "The rewrap of %[1]s failed: %[2]s; coffer rewrap resume %[1]s lets it go on.\n", j.Bucket, j.Failure)
	default:
		fmt.Fprintf(w, "The rewrap of %s is %s.\n", j.Bucket, j.State)
	}
	fmt.Fprintf(w, "%s looked at, %d rewrapped, by %s.\n", objectsWord(j), j.Rewrapped, plural(j.KEKs, "KEK"))
	showRest(w, j.SharedKEK, j.Uploads, j.Errors, j.Failed)
}

func objectsWord(j *adminclient.Job) string {
	if j.Total == 0 && j.Matched == 1 {
		return "1 object"
	}
	return objectsOf(j) + " objects"
}

// showRest tells what is there only sometimes.
func showRest(w io.Writer, shared bool, uploads int64, errs []adminclient.RewrapError, failed int64) {
	if shared {
		fmt.Fprintln(w, "A KEK of the whole bucket is among them: it serves many objects at once.")
	}
	if uploads > 0 {
		fmt.Fprintf(w, "%s in progress rewrapped too.\n", plural(uploads, "upload"))
	}
	for _, e := range errs {
		fmt.Fprintf(w, "failed\t%s\t%s\n", e.Key, e.Error)
	}
	if more := failed - int64(len(errs)); more > 0 {
		fmt.Fprintf(w, "failed\tand %d more\n", more)
	}
}

type keysRetireCommand struct {
	oneKey
	Version uint32 `placeholder:"N" help:"Give up this version and all before it (default: all but the newest)."`
	Backend string `placeholder:"ID" help:"Backend of the key (default: the one that serves)."`
	Rewrap  bool   `help:"Begin to rewrap what they have wrapped."`
}

// Run asks for a retirement.
func (c keysRetireCommand) Run(kctx *kong.Context, std streams) error {
	return administer(c.clientFlags, kctx, std, func(ctx context.Context, r *remote) (adminclient.Answer[adminclient.Retirement], error) {
		return r.Retire(ctx, adminclient.NewRetirement{KeyID: c.KeyID, Backend: c.Backend, Version: c.Version, Rewrap: c.Rewrap})
	}, func(w io.Writer, doc *adminclient.Retirement) {
		fmt.Fprintln(w, retirementWords(doc))
		if len(doc.Jobs) > 0 {
			fmt.Fprintln(w)
			showJobs(w, &adminclient.Jobs{Jobs: doc.Jobs})
		}
	})
}

func retirementWords(r *adminclient.Retirement) string {
	if r.Retirable {
		return fmt.Sprintf("Nothing needs the versions of %s below %d, and nothing will: they can be disabled in the backend.", r.KeyID, r.Floor)
	}
	return fmt.Sprintf("The versions of %s below %d are still needed: %s.", r.KeyID, r.Floor, countsOf(&r.Needs))
}

type keysRetirementsCommand struct {
	clientFlags
	KeyID string `arg:"" optional:"" name:"key-id" help:"This key alone."`
}

// Run lists the retirements.
func (c keysRetirementsCommand) Run(kctx *kong.Context, std streams) error {
	return administer(c.clientFlags, kctx, std, func(ctx context.Context, r *remote) (adminclient.Answer[adminclient.Retirements], error) {
		return r.Retirements(ctx, c.KeyID)
	}, func(w io.Writer, doc *adminclient.Retirements) {
		for i := range doc.Retirements {
			fmt.Fprintln(w, retirementWords(&doc.Retirements[i]))
		}
	})
}

type keysCancelRetirementCommand struct{ oneKey }

// Run takes a retirement back.
func (c keysCancelRetirementCommand) Run(kctx *kong.Context, std streams) error {
	return administer(c.clientFlags, kctx, std, func(ctx context.Context, r *remote) (adminclient.Answer[adminclient.Done], error) {
		return r.CancelRetirement(ctx, c.KeyID)
	}, func(w io.Writer, _ *adminclient.Done) {
		fmt.Fprintf(w, "The versions of %s are kept.\n", c.KeyID)
	})
}

type kmsForgetCommand struct {
	clientFlags
	Instance string `arg:"" help:"Id of the backend in coffer kms status."`
}

// Run forgets a backend.
func (c kmsForgetCommand) Run(kctx *kong.Context, std streams) error {
	return administer(c.clientFlags, kctx, std, func(ctx context.Context, r *remote) (adminclient.Answer[adminclient.Done], error) {
		return r.RemoveInstance(ctx, c.Instance)
	}, func(w io.Writer, _ *adminclient.Done) { fmt.Fprintf(w, "The backend %s is forgotten.\n", c.Instance) })
}
