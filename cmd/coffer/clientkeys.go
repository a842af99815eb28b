package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/alecthomas/kong"

	"coffer/internal/adminclient"
)

// keysCommands administer the keys of the backend that serves.
type keysCommands struct {
	Create         keysCreateCommand         `cmd:"" help:"Make a key."`
	List           keysListCommand           `cmd:"" help:"List all keys."`
	Status         keysStatusCommand         `cmd:"" help:"Describe a key."`
	Rotate         keysRotateCommand         `cmd:"" help:"Give a key a new version. What is sealed stays as it is; coffer rewrap moves it."`
	Enable         keysEnableCommand         `cmd:"" help:"Enable a key."`
	Disable        keysDisableCommand        `cmd:"" help:"Disable a key: nothing is sealed under it any more."`
	Delete         keysDeleteCommand         `cmd:"" help:"Let a key wait for its deletion, or destroy it."`
	CancelDeletion keysCancelDeletionCommand `cmd:"" help:"Take back the deletion of a key that waits for it."`

	Retire           keysRetireCommand           `cmd:"" help:"Give up the older versions of a key: no write ends under them any more."`
	Retirements      keysRetirementsCommand      `cmd:"" help:"Tell which versions can be disabled, or what still needs them."`
	CancelRetirement keysCancelRetirementCommand `cmd:"" help:"Keep the older versions of a key after all."`
}

// oneKey is what every command about one key takes.
type oneKey struct {
	clientFlags
	KeyID string `arg:"" name:"key-id" help:"Id of the key."`
}

type keysCreateCommand struct {
	clientFlags
	KeyID       string            `arg:"" optional:"" name:"key-id" help:"Id of the key (default: a random one)."`
	Description string            `placeholder:"TEXT" help:"What the key is for."`
	Tag         map[string]string `placeholder:"NAME=VALUE" help:"Tag of the key; may be repeated."`
	Algorithm   string            `placeholder:"NAME" help:"Algorithm of the key (default: AES-256)."`
}

// Run makes a key.
func (c keysCreateCommand) Run(kctx *kong.Context, std streams) error {
	return administer(c.clientFlags, kctx, std, func(ctx context.Context, r *remote) (adminclient.Answer[adminclient.Changed], error) {
		return r.CreateKey(ctx, adminclient.NewKey{ID: c.KeyID, Algorithm: c.Algorithm, Description: c.Description, Tags: c.Tag})
	}, func(w io.Writer, doc *adminclient.Changed) {
		fmt.Fprintf(w, "Key %s was created: version %d, %s.\n", doc.Key.ID, doc.Key.Version, doc.Key.State)
	})
}

type keysListCommand struct{ clientFlags }

// Run lists the keys.
func (c keysListCommand) Run(kctx *kong.Context, std streams) error {
	return administer(c.clientFlags, kctx, std, func(ctx context.Context, r *remote) (adminclient.Answer[adminclient.KeyList], error) {
		return r.ListKeys(ctx)
	}, showKeys)
}

func showKeys(w io.Writer, list *adminclient.KeyList) {
	fmt.Fprintln(w, "KEY\tSTATUS\tVERSION\tCREATED\tROTATION\tDESCRIPTION")
	for _, k := range list.Keys {
		due := "-"
		if k.RotationDue {
			due = "due"
		}
		fmt.Fprintf(w, "%s\t%s\t%d\t%s\t%s\t%s\n", k.ID, k.Status, k.Version, orDash(k.Created), due, orDash(k.Description))
	}
	for _, id := range list.Unreadable {
		fmt.Fprintf(w, "%s\tunreadable\t-\t-\t-\t-\n", id)
	}
}

type keysStatusCommand struct {
	oneKey
	Impact bool `help:"Count what depends on the key."`
}

// Run describes a key.
func (c keysStatusCommand) Run(kctx *kong.Context, std streams) error {
	return administer(c.clientFlags, kctx, std, func(ctx context.Context, r *remote) (adminclient.Answer[adminclient.Described], error) {
		return r.DescribeKey(ctx, c.KeyID, c.Impact)
	}, showKey)
}

func showKey(w io.Writer, doc *adminclient.Described) {
	k := &doc.Key
	row := func(name string, value any) { fmt.Fprintf(w, "%s\t%v\n", name, value) }
	row("key", k.ID)
	row("state", k.State)
	if k.DeletionDate != nil {
		row("deleted after", *k.DeletionDate)
	}
	row("version", k.Version)
	row("created", orDash(k.Created))
	if n := len(k.Versions); n > 1 {
		row("rotated", orDash(k.Versions[n-1].Created))
	}
	row("algorithm", k.Algorithm)
	row("origin", k.Origin)
	row("description", orDash(k.Description))
	for _, name := range slices.Sorted(maps.Keys(k.Tags)) {
		row("tag "+name, k.Tags[name])
	}
	if k.MaxAge > 0 {
		row("maximum age", fmt.Sprintf("%d s, rotation due: %t", k.MaxAge, k.RotationDue))
	}
	row("contexts checked by", map[bool]string{true: "the backend", false: "Coffer"}[k.ContextBound])
	if doc.Impact != nil {
		row("needed by", countsOf(doc.Impact))
	}
}

// keyChange is a change that needs nothing but the key.
type keyChange func(c *adminclient.Client, ctx context.Context, id string) (adminclient.Answer[adminclient.Changed], error)

func changeKey(c oneKey, kctx *kong.Context, std streams, call keyChange, show func(k *adminclient.Key) string) error {
	return administer(c.clientFlags, kctx, std, func(ctx context.Context, r *remote) (adminclient.Answer[adminclient.Changed], error) {
		return call(r.Client, ctx, c.KeyID)
	}, func(w io.Writer, doc *adminclient.Changed) {
		fmt.Fprintf(w, "Key %s %s.\n", doc.Key.ID, show(&doc.Key))
	})
}

type keysRotateCommand struct{ oneKey }

// Run rotates a key.
func (c keysRotateCommand) Run(kctx *kong.Context, std streams) error {
	return changeKey(c.oneKey, kctx, std, (*adminclient.Client).RotateKey, func(k *adminclient.Key) string { return fmt.Sprintf("was rotated: it has version %d now", k.Version) })
}

type keysEnableCommand struct{ oneKey }

// Run enables a key.
func (c keysEnableCommand) Run(kctx *kong.Context, std streams) error {
	return changeKey(c.oneKey, kctx, std, (*adminclient.Client).EnableKey, func(*adminclient.Key) string { return "is enabled" })
}

type keysDisableCommand struct{ oneKey }

// Run disables a key.
func (c keysDisableCommand) Run(kctx *kong.Context, std streams) error {
	return changeKey(c.oneKey, kctx, std, (*adminclient.Client).DisableKey, func(*adminclient.Key) string { return "is disabled: nothing is sealed under it any more" })
}

type keysCancelDeletionCommand struct{ oneKey }

// Run takes back a deletion.
func (c keysCancelDeletionCommand) Run(kctx *kong.Context, std streams) error {
	return changeKey(c.oneKey, kctx, std, (*adminclient.Client).CancelDeletion, func(k *adminclient.Key) string { return "is not deleted: it is " + strings.ToLower(k.State) })
}

type keysDeleteCommand struct {
	oneKey
	Days    *int   `placeholder:"N" help:"Days until the deletion, 7 to 30, during which the key decrypts (default: 30)."`
	Now     bool   `help:"Destroy the key at once, if nothing needs it. Wants --confirm."`
	Force   bool   `help:"Destroy the key at once, whatever needs it: that can never be read again. Wants --confirm."`
	Confirm string `placeholder:"KEY-ID" help:"The key's id once more."`
}

// Validate wants a destruction to be confirmed.
func (c keysDeleteCommand) Validate() error {
	switch destroys := c.Now || c.Force; {
	case destroys && c.Days != nil:
		return errors.New("--days is for a deletion that waits, --now and --force are for one that does not")
	case destroys && c.Confirm == "":
		return fmt.Errorf("a key is destroyed for good: confirm it with --confirm %s", c.KeyID)
	case destroys && c.Confirm != c.KeyID:
		return fmt.Errorf("--confirm names another key: %s is not %s", c.Confirm, c.KeyID)
	}
	return nil
}

// Run deletes a key.
func (c keysDeleteCommand) Run(kctx *kong.Context, std streams) error {
	return administer(c.clientFlags, kctx, std, func(ctx context.Context, r *remote) (adminclient.Answer[adminclient.Deleted], error) {
		return r.DeleteKey(ctx, adminclient.Deletion{KeyID: c.KeyID, Days: c.Days, Immediate: c.Now, Force: c.Force, Confirm: c.Confirm})
	}, showDeleted)
}

func showDeleted(w io.Writer, doc *adminclient.Deleted) {
	r := doc.Receipt
	if r == nil {
		fmt.Fprintf(w, "Key %s is deleted at %s. Until then it decrypts, and coffer keys cancel-deletion %s takes the deletion back.\n",
			doc.KeyID, doc.DeletionDate, doc.KeyID)
		return
	}
	fmt.Fprintf(w, "Key %s was destroyed.\n\n", doc.KeyID)
	row := func(name string, value any) { fmt.Fprintf(w, "%s\t%v\n", name, value) }
	row("destroyed at", r.DestroyedAt)
	row("requested by", r.RequestedBy)
	row("request id", r.RequestID)
	row("backend instance", r.Instance)
	row("unreadable now", countsOf(&r.Use))
}
