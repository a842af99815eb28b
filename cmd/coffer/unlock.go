package main

import (
	"errors"
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/alecthomas/kong"

	"coffer/internal/config"
	"coffer/internal/home"
	"coffer/kms/storekey"
)

// unlockFlags are what every unlock command takes.
type unlockFlags struct {
	config.PlaceFlags
	config.UnlockFlags
}

type unlockListCommand struct{ unlockFlags }

// Run prints the slots.
func (unlockListCommand) Run(kctx *kong.Context, std streams) error {
	cfg, err := config.Load(config.System(kctx))
	if err != nil {
		return err
	}
	id, fingerprint, slots, err := home.Slots(cfg.Home.Places)
	if err != nil {
		return err
	}
	fmt.Fprintf(std.out, "store %v\nstore key fingerprint %v\n\n", id, fingerprint)
	w := tabwriter.NewWriter(std.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "SLOT\tKIND\tLABEL\tCHANGED")
	for _, s := range slots {
		printSlot(w, s)
	}
	return w.Flush()
}

func printSlot(w io.Writer, s storekey.Slot) {
	fmt.Fprintf(w, "%d\t%v\t%s\t%s\n", s.ID, s.Kind, s.Label, s.Changed.UTC().Format(time.DateTime))
}

type unlockAddCommand struct {
	unlockFlags
	config.NewSecretFlags
	Label string `placeholder:"TEXT" help:"What to remember the slot by."`
}

// Run adds a slot.
func (c unlockAddCommand) Run(kctx *kong.Context, std streams) error {
	return withKeys(kctx, std, func(cfg *config.Config, keys *home.Keys) error {
		slot, err := keys.Add(cfg.New, c.Label)
		if err == nil {
			fmt.Fprintf(std.out, "Slot %d was added: the %v given unlocks the store too.\n", slot.ID, slot.Kind)
		}
		return err
	})
}

type unlockChangeCommand struct {
	unlockFlags
	config.NewSecretFlags
	Label string `placeholder:"TEXT" help:"What to remember the slot by; the present label stays when none is given."`
	Slot  uint32 `arg:"" help:"Number of the slot."`
}

// Run gives a slot a new secret.
func (c unlockChangeCommand) Run(kctx *kong.Context, std streams) error {
	return withKeys(kctx, std, func(cfg *config.Config, keys *home.Keys) error {
		slot, err := keys.Change(storekey.SlotID(c.Slot), cfg.New, c.Label)
		if err == nil {
			fmt.Fprintf(std.out, "Slot %d was changed: it is opened by the new %v, and no more by its former secret.\n", slot.ID, slot.Kind)
		}
		return err
	})
}

type unlockRemoveCommand struct {
	unlockFlags
	Slot uint32 `arg:"" help:"Number of the slot."`
}

// Run removes a slot.
func (c unlockRemoveCommand) Run(kctx *kong.Context, std streams) error {
	return withKeys(kctx, std, func(_ *config.Config, keys *home.Keys) error {
		err := keys.Remove(storekey.SlotID(c.Slot))
		if err == nil {
			fmt.Fprintf(std.out, "Slot %d was removed.\n", c.Slot)
		}
		return err
	})
}

// withKeys unlocks store.key for fn.
func withKeys(kctx *kong.Context, std streams, fn func(*config.Config, *home.Keys) error) (err error) {
	cfg, err := config.Load(config.System(kctx))
	if err != nil {
		return err
	}
	cfg.Home.Ask = asker(std)
	keys, err := home.OpenKeys(cfg.Home)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, keys.Close()) }()
	return fn(cfg, keys)
}
