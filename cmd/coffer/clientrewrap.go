package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/alecthomas/kong"

	"coffer/internal/adminclient"
)

// rewrapStep is how many objects one request rewraps, so that there is progress to tell.
const rewrapStep = 1000

type rewrapCommand struct {
	clientFlags
	Bucket     string `arg:"" help:"Bucket whose KEKs are wrapped by the newest versions of their keys."`
	Prefix     string `placeholder:"PREFIX" help:"Only objects whose key begins so."`
	Shallow    bool   `help:"Only keys without a / behind the prefix."`
	PageSize   int    `placeholder:"N" help:"Objects that the server reads at a time, 1 to 1000 (default: 1000)."`
	MaxObjects int    `placeholder:"N" help:"Rewrap so many objects at most."`
	DryRun     bool   `help:"Count, change nothing."`
}

// Validate refuses numbers that the server would.
func (c rewrapCommand) Validate() error {
	if c.PageSize < 0 || c.PageSize > 1000 || c.MaxObjects < 0 {
		return errors.New("--page-size is 1 to 1000, --max-objects is positive")
	}
	return nil
}

func (c rewrapCommand) request() adminclient.RewrapBucket {
	return adminclient.RewrapBucket{
		Bucket: c.Bucket, Prefix: c.Prefix, Recursive: !c.Shallow, PageSize: c.PageSize, MaxObjects: c.MaxObjects, DryRun: c.DryRun,
	}
}

// Run rewraps. What is current already costs nothing, so that it can be repeated.
func (c rewrapCommand) Run(kctx *kong.Context, std streams) error {
	if c.DryRun {
		return administer(c.clientFlags, kctx, std, func(ctx context.Context, r *remote) (adminclient.Answer[adminclient.Rewrapped], error) {
			return r.Rewrap(ctx, c.request())
		}, func(w io.Writer, doc *adminclient.Rewrapped) { showDryRewrap(w, c.Bucket, doc) })
	}
	r, _, err := c.connect(kctx, std)
	if err != nil {
		return err
	}
	defer r.Close()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	sum, err := c.rewrap(ctx, r, std)
	if errors.Is(err, context.Canceled) {
		return fmt.Errorf("interrupted after %s; coffer rewrap %s again goes on, and what is done costs nothing", plural(int64(sum.Rewrapped), "object"), c.Bucket)
	}
	if err != nil {
		return r.explain(err)
	}
	raw, err := json.Marshal(sum)
	if err != nil {
		return err
	}
	err = display(r, adminclient.Answer[adminclient.Rewrapped]{Raw: raw, Doc: *sum}, func(w io.Writer, doc *adminclient.Rewrapped) { showRewrapped(w, c.Bucket, doc) })
	if err == nil && sum.Failed > 0 {
		err = fmt.Errorf("%s could not be rewrapped", plural(int64(sum.Failed), "object"))
	}
	return err
}

// rewrap works through the bucket step by step, and gives the sum of them.
func (c rewrapCommand) rewrap(ctx context.Context, r *remote, std streams) (*adminclient.Rewrapped, error) {
	sum := &adminclient.Rewrapped{Errors: []adminclient.RewrapError{}}
	dry := c.request()
	dry.DryRun = true
	found, err := r.Rewrap(ctx, dry)
	if err != nil {
		return sum, err
	}
	bar := newProgress(std.err, isTerminal(std.err), "rewrapped")
	defer bar.end()
	req := c.request()
	for {
		bar.show(int64(sum.Rewrapped), int64(found.Doc.WouldRewrap))
		req.MaxObjects = rewrapStep
		if c.MaxObjects > 0 {
			req.MaxObjects = min(rewrapStep, c.MaxObjects-sum.Rewrapped)
		}
		step, err := r.Rewrap(ctx, req)
		if err != nil {
			return sum, err
		}
		addRewrapped(sum, &step.Doc)
		if req.After = step.Doc.Next; req.After == "" || c.MaxObjects > 0 && sum.Rewrapped >= c.MaxObjects {
			bar.show(int64(sum.Rewrapped), int64(found.Doc.WouldRewrap))
			return sum, nil
		}
	}
}

// addRewrapped adds a step to a sum.
func addRewrapped(sum, step *adminclient.Rewrapped) {
	sum.Matched += step.Matched
	sum.Rewrapped += step.Rewrapped
	sum.KEKs += step.KEKs
	sum.Failed += step.Failed
	sum.Skipped += step.Skipped
	sum.SharedKEK = sum.SharedKEK || step.SharedKEK
	sum.Errors = append(sum.Errors, step.Errors...)
	sum.Next = step.Next
}

func showDryRewrap(w io.Writer, bucket string, doc *adminclient.Rewrapped) {
	fmt.Fprintf(w, "%s of %d in %s would be rewrapped.\n", plural(int64(doc.WouldRewrap), "object"), doc.Matched, bucket)
	showShared(w, doc.SharedKEK)
	showFailed(w, doc.Errors, doc.Failed)
}

func showRewrapped(w io.Writer, bucket string, doc *adminclient.Rewrapped) {
	fmt.Fprintf(w, "%s of %d in %s rewrapped, by %s.\n", plural(int64(doc.Rewrapped), "object"), doc.Matched, bucket, plural(int64(doc.KEKs), "KEK"))
	showShared(w, doc.SharedKEK)
	showFailed(w, doc.Errors, doc.Failed)
	if doc.Next != "" {
		fmt.Fprintf(w, "More may be left behind %s; coffer rewrap %s again goes on.\n", doc.Next, bucket)
	}
}

func showShared(w io.Writer, shared bool) {
	if shared {
		fmt.Fprintln(w, "A KEK of the whole bucket is among them: it serves many objects at once.")
	}
}

func showFailed(w io.Writer, failed []adminclient.RewrapError, all int) {
	for _, e := range failed {
		fmt.Fprintf(w, "failed\t%s\t%s\n", e.Key, e.Error)
	}
	if more := all - len(failed); more > 0 {
		fmt.Fprintf(w, "failed\tand %d more\n", more)
	}
}
