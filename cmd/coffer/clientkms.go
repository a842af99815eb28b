package main

import (
	"context"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/alecthomas/kong"

	"coffer/internal/adminclient"
)

// kmsCommands administer the key backend.
type kmsCommands struct {
	Configure kmsConfigureCommands `cmd:"" help:"Configure the key backend of a running server."`
	Start     kmsStartCommand      `cmd:"" help:"Start the backend that is configured."`
	Stop      kmsStopCommand       `cmd:"" help:"Stop the backend. What it sealed stays, and cannot be read until it runs again."`
	Status    kmsStatusCommand     `cmd:"" help:"Ask the backend how it is."`
	Forget    kmsForgetCommand     `cmd:"" help:"Forget an earlier backend that nothing needs any more."`
}

type kmsStartCommand struct {
	clientFlags
	Force bool `help:"Restart a backend that runs."`
}

// Run starts the backend.
func (c kmsStartCommand) Run(kctx *kong.Context, std streams) error {
	return administer(c.clientFlags, kctx, std, func(ctx context.Context, r *remote) (adminclient.Answer[adminclient.Done], error) {
		return r.Start(ctx, c.Force)
	}, func(w io.Writer, doc *adminclient.Done) {
		if !doc.Success {
			fmt.Fprintln(w, "The backend runs already; --force restarts it.")
			return
		}
		fmt.Fprintln(w, "The backend runs.")
	})
}

type kmsStopCommand struct{ clientFlags }

// Run stops the backend.
func (c kmsStopCommand) Run(kctx *kong.Context, std streams) error {
	return administer(c.clientFlags, kctx, std, func(ctx context.Context, r *remote) (adminclient.Answer[adminclient.Done], error) {
		return r.Stop(ctx)
	}, func(w io.Writer, _ *adminclient.Done) {
		fmt.Fprintln(w, "The backend is stopped; coffer kms start starts it again.")
	})
}

type kmsStatusCommand struct{ clientFlags }

// Run asks the backend how it is.
func (c kmsStatusCommand) Run(kctx *kong.Context, std streams) error {
	return administer(c.clientFlags, kctx, std, func(ctx context.Context, r *remote) (adminclient.Answer[adminclient.Status], error) {
		return r.Status(ctx)
	}, showStatus)
}

func showStatus(w io.Writer, s *adminclient.Status) {
	row := func(name string, value any) { fmt.Fprintf(w, "%s\t%v\n", name, value) }
	state := s.State
	if s.StandIn {
		state += ": the built-in keyring stands in"
	}
	row("state", state)
	if s.Failure != "" {
		row("failure", s.Failure)
	}
	row("backend", orDash(s.BackendType))
	row("default key", orDash(s.DefaultKeyID))
	if p := s.Probe; p != nil {
		row("last test", p.At+", "+probeWords(p))
	}
	if s.Circuit != "" && s.Circuit != "none" {
		row("circuit", s.Circuit)
	}
	if s.TokenEnds != "" {
		row("token ends", s.TokenEnds)
	}
	if c := s.Cache; c != nil {
		row("cached KEKs", fmt.Sprintf("%d (%d hits, %d misses)", c.Entries, c.Hits, c.Misses))
	}
	if words := auditWords(s.Audit); words != "" {
		row("audit log", words)
	}
	for _, note := range s.Notes {
		row("note", note)
	}
	if len(s.Instances) == 0 {
		return
	}
	fmt.Fprintln(w)
	instances := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(instances, "INSTANCE\tBACKEND\tSERVES\tSTATE\tPLACE")
	for _, in := range s.Instances {
		fmt.Fprintf(instances, "%s\t%s\t%s\t%s\t%s\n", in.ID, backendWords(in.BackendType, in.Builtin), servesWords(&in), instanceState(&in), instancePlace(&in))
	}
	_ = instances.Flush() // the outer writer reports what fails
}

func probeWords(p *adminclient.Probe) string {
	switch {
	case p.Proven:
		return fmt.Sprintf("works, %.1f ms", p.Millis)
	case p.Error != "":
		return "fails: " + p.Error
	case p.Reachable:
		return "reached, encryption not proven"
	default:
		return "not reached"
	}
}

func backendWords(kind string, builtin bool) string {
	if builtin {
		return "built-in keyring"
	}
	return orDash(kind)
}

func servesWords(in *adminclient.Instance) string {
	switch {
	case in.Serving:
		return "SSE-KMS"
	case in.Builtin:
		return "SSE-S3"
	default:
		return "what it sealed"
	}
}

func instanceState(in *adminclient.Instance) string {
	switch {
	case in.Failure != "":
		return "failed: " + in.Failure
	case in.Open:
		return "open"
	default:
		return "closed"
	}
}

func instancePlace(in *adminclient.Instance) string {
	place := in.Address + in.KeyDir
	if in.MountPath != "" {
		place = strings.TrimSuffix(place, "/") + "/v1/" + in.MountPath
	}
	return orDash(place)
}

type censusCommand struct {
	clientFlags
	Key     string `placeholder:"KEY-ID" help:"This key alone."`
	Bucket  string `placeholder:"BUCKET" help:"This bucket alone."`
	Rebuild bool   `help:"Count the records themselves, and set right what was kept of them."`
}

// Run counts what depends on which key version.
func (c censusCommand) Run(kctx *kong.Context, std streams) error {
	return administer(c.clientFlags, kctx, std, func(ctx context.Context, r *remote) (adminclient.Answer[adminclient.Census], error) {
		return r.Census(ctx, adminclient.Count{KeyID: c.Key, Bucket: c.Bucket, Rebuild: c.Rebuild})
	}, func(w io.Writer, doc *adminclient.Census) {
		fmt.Fprintln(w, "KEY\tVERSION\tKEKS\tOBJECTS\tUPLOADS\tBACKEND\tINSTANCE")
		for _, e := range doc.Entries {
			fmt.Fprintf(w, "%s\t%d\t%d\t%d\t%d\t%s\t%s\n", e.KeyID, e.Version, e.KEKs, e.Objects, e.Uploads, backendWords(e.BackendType, e.Builtin), e.Instance)
		}
		if doc.Repaired > 0 {
			fmt.Fprintf(w, "%s set right.\n", plural(int64(doc.Repaired), "kept count"))
		}
	})
}

// auditWords tells what is wrong with the audit log of a server, if anything is.
func auditWords(a *adminclient.Audit) string {
	switch {
	case a == nil:
		return ""
	case !a.Enabled:
		return "off: nothing is recorded"
	case !a.Healthy:
		return fmt.Sprintf("cannot be written, %d lines lost: %s", a.Lost, a.Failure)
	case a.Lost > 0:
		return fmt.Sprintf("written again, %d lines lost", a.Lost)
	default:
		return ""
	}
}
