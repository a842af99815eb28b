package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"path/filepath"

	"github.com/alecthomas/kong"

	"coffer/fs"
	"coffer/internal/config"
	"coffer/internal/control"
)

// openMounts mounts what the settings name, and lets the command line change it.
func (h *house) openMounts(ctx context.Context, m config.Mount) error {
	h.mounts = fs.NewTable(h.store.Load(), h.log)
	h.opened("mounts", h.mounts.Close)
	for _, target := range m.Targets {
		if _, err := h.mounts.Add(ctx, target, m.Settings); err != nil {
			return err
		}
	}
	if m.Auto != "" {
		if _, err := h.mounts.Add(ctx, fs.Target{Dir: m.Auto}, m.Settings); err != nil {
			h.log.Warn("the default mount is left out", "error", err)
		}
	}
	server, err := control.Listen(h.home.Places.Config, h.mounts, h.log)
	if err != nil {
		h.log.Warn("coffer mount will not reach this server", "error", err)
		return nil
	}
	h.opened("control socket", server.Close)
	return nil
}

// mountFlags are what coffer mount takes, to ask a server or to open the store.
type mountFlags struct {
	config.PlaceFlags
	config.MountSettingsFlags
	config.KMSFlags
	config.AuditFlags
	config.UnlockFlags
}

type mountCommand struct {
	mountFlags
	Background bool   `help:"Where no server runs: return when the mount is there, and serve it in the background."`
	Target     string `arg:"" optional:"" placeholder:"DIR[=BUCKET[/PREFIX]]" help:"What to mount where; without, what is mounted is listed."`
}

// Run asks the running server, or serves the mount itself until it is unmounted or a signal comes.
func (c mountCommand) Run(kctx *kong.Context, std streams) error {
	cfg, err := config.Load(config.System(kctx))
	if err != nil {
		return err
	}
	if c.Target == "" {
		return listMounts(cfg, std.out)
	}
	target, err := fs.ParseTarget(c.Target)
	if err != nil {
		return fmt.Errorf("%q: %w", c.Target, err)
	}
	if target.Dir, err = filepath.Abs(target.Dir); err != nil {
		return err
	}
	_, err = control.Ask(context.Background(), cfg.Home.Places.Config,
		control.Request{Operation: control.OpMount, Target: target, Settings: cfg.Mount.Settings})
	switch {
	case err == nil:
		_, err = fmt.Fprintf(std.out, "Mounted on %s by the running server.\n", target.Dir)
		return err
	case !errors.Is(err, control.ErrNoServer):
		return err
	case c.Background:
		return mountInBackground(cfg, target.Dir, std)
	}
	return mountAlone(cfg, target, std)
}

func listMounts(cfg *config.Config, w io.Writer) error {
	list, err := control.Ask(context.Background(), cfg.Home.Places.Config, control.Request{Operation: control.OpList})
	if err != nil {
		return err
	}
	for _, t := range list {
		if _, err := fmt.Fprintln(w, t); err != nil {
			return err
		}
	}
	return nil
}

// mountAlone opens the store and serves the mount, without S3.
func mountAlone(cfg *config.Config, target fs.Target, std streams) (err error) {
	cfg.Memory.Apply()
	cfg.Home.Ask = asker(std)
	log := cfg.Log.Logger(std.err, isTerminal(std.err))
	ctx, stop := untilSignal(log)
	defer stop()
	h := &house{log: log}
	defer func() { err = errors.Join(err, h.close()) }()
	if err := h.open(ctx, cfg); err != nil {
		return err
	}
	if err := h.openMounts(ctx, config.Mount{}); err != nil {
		return err
	}
	m, err := h.mounts.Add(ctx, target, cfg.Mount.Settings)
	if err != nil {
		return err
	}
	if _, err := fmt.Fprintf(std.out, "Mounted on %s; no server runs, so this process serves it until it is unmounted.\n", target.Dir); err != nil {
		return err
	}
	return serveMount(ctx, m, log)
}

// serveMount waits until a mount is gone or a signal comes.
func serveMount(ctx context.Context, m *fs.Mount, log *slog.Logger) error {
	select {
	case <-m.Done():
		log.Info("the mount is gone")
	case <-ctx.Done():
	}
	return nil
}

type umountCommand struct {
	config.ConfigFlags
	Detach bool   `short:"z" help:"Also when the mount is in use: those who use it are cut off."`
	Dir    string `arg:"" placeholder:"DIR" help:"Directory that something is mounted on."`
}

// Run asks the running server to unmount; what a killed one has left is detached.
func (c umountCommand) Run(kctx *kong.Context, std streams) error {
	cfg, err := config.Load(config.System(kctx))
	if err != nil {
		return err
	}
	dir, err := filepath.Abs(c.Dir)
	if err != nil {
		return err
	}
	_, err = control.Ask(context.Background(), cfg.Home.Places.Config,
		control.Request{Operation: control.OpUnmount, Target: fs.Target{Dir: dir}, Detach: c.Detach})
	if errors.Is(err, control.ErrNoServer) {
		err = fs.DetachDead(context.Background(), dir)
	}
	if err == nil {
		_, err = fmt.Fprintf(std.out, "Unmounted %s.\n", dir)
	}
	return err
}
