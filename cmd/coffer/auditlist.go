package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/alecthomas/kong"

	"coffer/kms/audit"
)

type auditListCommand struct {
	auditFlags
	Key       string `placeholder:"KEY" group:"audit" help:"Only events of a key."`
	Bucket    string `placeholder:"BUCKET" group:"audit" help:"Only events of a bucket."`
	Object    string `placeholder:"BUCKET/NAME" group:"audit" help:"Only events of an object. The log has a keyed hash of its name."`
	Principal string `placeholder:"NAME" group:"audit" help:"Only events of a principal."`
	Operation string `name:"operation" placeholder:"NAME" group:"audit" help:"Only events of an operation, such as Decrypt."`
	Failed    bool   `group:"audit" help:"Only events that did not succeed."`
	Since     string `placeholder:"TIME" group:"audit" help:"Only events from this time on: 2026-01-31, 2026-01-31T12:00:00Z, or 36h before now."`
	Until     string `placeholder:"TIME" group:"audit" help:"Only events before this time."`
}

// Run lists events in the order of the log.
func (c auditListCommand) Run(kctx *kong.Context, std streams) error {
	bucket, name, isObject := strings.Cut(c.Object, "/")
	if c.Object != "" && (!isObject || bucket == "" || name == "") {
		return fmt.Errorf("--object: %q is not of the form BUCKET/NAME", c.Object)
	}
	since, err := parseMoment(c.Since, time.Now())
	if err != nil {
		return fmt.Errorf("--since: %w", err)
	}
	until, err := parseMoment(c.Until, time.Now())
	if err != nil {
		return fmt.Errorf("--until: %w", err)
	}
	r, err := c.open(kctx, std)
	if err != nil {
		return err
	}
	defer r.key.Wipe()
	hash := ""
	if c.Object != "" {
		if hash, err = audit.ObjectHash(r.key, bucket, name); err != nil {
			return err
		}
		c.Bucket = bucket
	}
	w := tabwriter.NewWriter(std.out, 0, 0, 2, ' ', 0)
	show := showEvent(w)
	if c.JSON {
		show = func(f *audit.Found) error { return printLine(std.out, f) }
	}
	_, err = audit.Events(context.Background(), r.parent, r.dir, r.key, func(f audit.Found) error {
		before := !until.IsZero() && !f.Time.Before(until)
		if before || f.Time.Before(since) || hash != "" && f.Object != hash || !c.wants(&f) {
			return nil
		}
		return show(&f)
	})
	return errors.Join(w.Flush(), err)
}

// wants reports whether an event passes the filters by words.
func (c *auditListCommand) wants(f *audit.Found) bool {
	for _, filter := range []struct{ want, is string }{
		{c.Key, f.KeyID}, {c.Bucket, f.Bucket}, {c.Principal, f.Principal}, {c.Operation, f.Operation},
	} {
		if filter.want != "" && filter.want != filter.is {
			return false
		}
	}
	return !c.Failed || f.Outcome != string(audit.Success)
}

// tableRows is how many rows are lined up, and kept in memory, together.
const tableRows = 1000

// showEvent prints events as rows of a table.
func showEvent(w *tabwriter.Writer) func(*audit.Found) error {
	rows := 0
	return func(f *audit.Found) error {
		if rows == 0 {
			fmt.Fprintln(w, "TIME\tOPERATION\tOUTCOME\tPRINCIPAL\tSOURCE\tKEY\tVERSION\tCACHED\tBUCKET\tOBJECT\tREQUEST\tPAIRS")
		}
		version, cached := "", ""
		if f.KeyVersion != 0 {
			version = fmt.Sprint(f.KeyVersion)
		}
		if f.Cached {
			cached = "yes"
		}
		var pairs []string
		for _, p := range f.Pairs {
			pairs = append(pairs, p.Name+"="+p.Value)
		}
		cells := []string{
			f.Time.Format("2006-01-02T15:04:05.000Z"), f.Operation, f.Outcome, f.Principal, f.Source, f.KeyID, version, cached, f.Bucket, f.Object,
			f.RequestID, strings.Join(pairs, " "),
		}
		for i := range cells {
			cells[i] = orDash(printableCell(cells[i]))
		}
		fmt.Fprintln(w, strings.Join(cells, "\t"))
		if rows++; rows%tableRows == 0 {
			return w.Flush()
		}
		return nil
	}
}

// printableCell takes from a text of strangers what a terminal or the table would take for a command.
func printableCell(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r >= 0x7f && r <= 0x9f {
			return '?'
		}
		return r
	}, s)
}

func printLine(w io.Writer, f *audit.Found) error {
	_, err := fmt.Fprintf(w, "%s\n", f.JSON())
	return err
}

// parseMoment reads a time, or a span before now. The empty text is the zero time.
func parseMoment(s string, now time.Time) (time.Time, error) {
	if s == "" {
		return time.Time{}, nil
	}
	if ago, err := time.ParseDuration(s); err == nil && ago >= 0 {
		return now.Add(-ago), nil
	}
	for _, form := range []string{time.RFC3339, time.DateOnly} {
		if t, err := time.Parse(form, s); err == nil {
			return t, nil
		}
	}
	return time.Time{}, fmt.Errorf("%q is no time such as 2026-01-31, 2026-01-31T12:00:00Z, or 36h", s)
}
