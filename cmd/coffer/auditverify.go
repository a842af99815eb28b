package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"text/tabwriter"
	"time"

	"github.com/alecthomas/kong"

	"coffer/cipher"
	"coffer/internal/config"
	"coffer/internal/disk"
	"coffer/internal/home"
	"coffer/kms/audit"
)

// auditFlags are what the commands that read the audit log take.
type auditFlags struct {
	config.PlaceFlags
	config.UnlockFlags
	config.AuditPlaceFlags
	Dir  string `placeholder:"DIR" group:"audit" help:"Read a copy of the log in another directory."`
	JSON bool   `name:"json" help:"Print JSON."`
}

// record is an audit log to be read.
type record struct {
	parent disk.Volume
	dir    string // in parent
	path   string
	key    *cipher.Subkey
	kept   []audit.Head // that the server keeps beside its keys
}

// open finds the log and unlocks its key. The caller wipes that.
func (f auditFlags) open(kctx *kong.Context, std streams) (*record, error) {
	cfg, err := config.Load(config.System(kctx))
	if err != nil {
		return nil, err
	}
	r := &record{path: cfg.Audit.Dir}
	if f.Dir == "" {
		head, ok, err := audit.Anchored(disk.NewOS(cfg.Home.Places.Config))
		if err != nil {
			return nil, err
		}
		if ok {
			r.kept = []audit.Head{head}
		}
	} else {
		r.path = f.Dir
	}
	if _, err := os.Stat(r.path); errors.Is(err, os.ErrNotExist) && r.kept == nil {
		return nil, fmt.Errorf("there is no audit log in %s", r.path)
	}
	r.parent, r.dir = auditVolume(r.path)
	cfg.Home.Ask = asker(std)
	keys, err := home.OpenKeys(cfg.Home)
	if err != nil {
		return nil, err
	}
	r.key = keys.Derive(cipher.LabelAudit)
	return r, keys.Close()
}

type auditVerifyCommand struct {
	auditFlags
	Head []string `placeholder:"LINE" group:"audit" help:"Line that the log must have, as an earlier verify printed it, and stored elsewhere; may be repeated."`
}

// Run reads the whole log and checks every line.
func (c auditVerifyCommand) Run(kctx *kong.Context, std streams) error {
	var heads []audit.Head
	for _, text := range c.Head {
		h, err := audit.ParseHead(text)
		if err != nil {
			return fmt.Errorf("--head: %w", err)
		}
		heads = append(heads, h)
	}
	r, err := c.open(kctx, std)
	if err != nil {
		return err
	}
	defer r.key.Wipe()
	report, err := audit.Verify(context.Background(), r.parent, r.dir, r.key, append(heads, r.kept...)...)
	fault, isFault := errors.AsType[*audit.Fault](err)
	if err != nil && !isFault {
		return err
	}
	print := printReport
	if c.JSON {
		print = printReportJSON
	}
	return errors.Join(print(std.out, r.path, &report, fault), err)
}

// printReport tells what was verified, up to the fault if there is one.
func printReport(out io.Writer, path string, r *audit.Report, fault *audit.Fault) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	if fault == nil {
		fmt.Fprintf(w, "The audit log in %s is as it was written.\n\n", path)
	} else {
		fmt.Fprintf(w, "The audit log in %s is NOT as it was written. Up to the first fault it has:\n\n", path)
	}
	fmt.Fprintf(w, "log\t%s\n", r.Log)
	fmt.Fprintf(w, "files\t%d\n", r.Files)
	fmt.Fprintf(w, "lines\t%d, of them %d events\n", r.Lines, r.Events)
	if r.Lines > 0 {
		fmt.Fprintf(w, "time\t%s to %s\n", r.First.Format(time.RFC3339), r.Last.Format(time.RFC3339))
	}
	if r.Given > 0 {
		fmt.Fprintf(w, "given up\t%d lines before, by rotation\n", r.Given)
	}
	fmt.Fprintf(w, "starts\t%d, of them %d after a kill\n", r.Starts, r.Kills)
	for _, repair := range r.Repairs {
		fmt.Fprintf(w, "repaired\t%s, line %d, at %s: %d bytes with %d line ends were cut off\n",
			repair.File, repair.Line, repair.Time.Format(time.RFC3339), repair.Bytes, repair.Lines)
	}
	if r.Before > 0 {
		fmt.Fprintf(w, "unchecked\t%d heads that were given stand in lines that rotation gave up\n", r.Before)
	}
	if fault == nil && !r.Clean {
		fmt.Fprintf(w, "open\tthe log is being written, or was killed: nothing vouches that no line follows the last %d, and %d bytes of one\n",
			r.Unsealed, r.Torn)
	}
	fmt.Fprintf(w, "head\t%s\n", r.Head)
	return w.Flush()
}

// verifyDoc is a report for programs.
type verifyDoc struct {
	Whole     bool           `json:"whole"`
	Fault     *faultDoc      `json:"fault"`
	Directory string         `json:"directory"`
	Log       string         `json:"log"`
	Closed    bool           `json:"closed"`
	Files     int            `json:"files"`
	Lines     uint64         `json:"lines"`
	Events    uint64         `json:"events"`
	First     time.Time      `json:"first"`
	Last      time.Time      `json:"last"`
	GivenUp   uint64         `json:"given_up"`
	Unsealed  uint64         `json:"unsealed"`
	Torn      int64          `json:"torn_bytes"`
	Starts    int            `json:"starts"`
	Kills     int            `json:"kills"`
	Repairs   []audit.Repair `json:"repairs"`
	Unchecked int            `json:"unchecked_heads"`
	Head      string         `json:"head"`
}

type faultDoc struct {
	File    string `json:"file"`
	Line    int    `json:"line"`
	Message string `json:"message"`
}

func printReportJSON(out io.Writer, path string, r *audit.Report, fault *audit.Fault) error {
	doc := verifyDoc{
		Whole: fault == nil, Directory: path, Log: r.Log, Closed: r.Clean, Files: r.Files, Lines: r.Lines, Events: r.Events,
		First: r.First, Last: r.Last, GivenUp: r.Given, Unsealed: r.Unsealed, Torn: r.Torn, Starts: r.Starts, Kills: r.Kills,
		Repairs: append([]audit.Repair{}, r.Repairs...), Unchecked: r.Before, Head: r.Head.String(),
	}
	if fault != nil {
		doc.Fault = &faultDoc{fault.File, fault.Line, fault.Err.Error()}
	}
	return json.NewEncoder(out).Encode(doc)
}
