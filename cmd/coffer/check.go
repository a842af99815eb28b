package main

import (
	"fmt"
	"text/tabwriter"

	"github.com/alecthomas/kong"

	"coffer/internal/config"
)

type checkCommand struct {
	config.PlaceFlags
	config.ServerFlags
	config.KMSFlags
	config.AuditFlags
	config.MountFlags
	config.UnlockFlags
}

// Run prints the settings in force and where each comes from.
func (checkCommand) Run(kctx *kong.Context, std streams) error {
	cfg, err := config.Load(config.System(kctx))
	if err != nil {
		return err
	}
	w := tabwriter.NewWriter(std.out, 0, 0, 2, ' ', 0)
	for _, s := range cfg.Settings {
		from := s.Origin.String()
		if s.Origin.Source == config.FromDefault {
			from = "default"
		}
		fmt.Fprintf(w, "%s\t%s\t(%s)\n", s.Name, s.Value, from)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	for _, notice := range notices(cfg) {
		fmt.Fprintf(std.out, "Note: %s.\n", notice)
	}
	_, err = fmt.Fprintln(std.out, "The configuration has no faults.")
	return err
}
