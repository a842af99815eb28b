package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/alecthomas/kong"

	"coffer/internal/config"
	"coffer/internal/home"
)

type serveCommand struct {
	config.PlaceFlags
	config.ServerFlags
	config.KMSFlags
	config.AuditFlags
	config.MountFlags
	config.UnlockFlags
}

// Run serves until a signal comes.
func (serveCommand) Run(kctx *kong.Context, std streams) error {
	cfg, err := config.Load(config.System(kctx))
	if err != nil {
		return err
	}
	cfg.Memory.Apply()
	cfg.Home.Ask = asker(std)
	log := cfg.Log.Logger(std.err, isTerminal(std.err))
	ctx, stop := untilSignal(log)
	defer stop()
	return serve(ctx, cfg, std, log)
}

// untilSignal gives a context that the first SIGTERM or SIGINT ends. A second
// one ends the process at once.
func untilSignal(log *slog.Logger) (context.Context, func()) {
	ctx, cancel := context.WithCancel(context.Background())
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, syscall.SIGTERM, os.Interrupt)
	done := make(chan struct{})
	go func() {
		for first := true; ; first = false {
			select {
			case s := <-signals:
				if !first {
					log.Warn("a second signal: not waiting for the end of requests", "signal", s.String())
					os.Exit(exitFailure)
				}
				log.Info("stopping: waiting for requests under way to end", "signal", s.String())
				cancel()
			case <-done:
				return
			}
		}
	}()
	return ctx, func() {
		signal.Stop(signals)
		close(done)
		cancel()
	}
}

// serve takes the address first, so that a taken one changes nothing.
func serve(ctx context.Context, cfg *config.Config, std streams, log *slog.Logger) error {
	listener, err := listen(ctx, cfg)
	if err != nil {
		return err
	}
	defer listener.Close()
	h, err := build(ctx, cfg, log)
	if ctx.Err() != nil && errors.Is(err, context.Canceled) {
		return nil // stopped while it started
	}
	if err != nil {
		return err
	}
	if err := printBanner(std.out, newBanner(cfg, h.home, h.mounts.List(), listener.Addr())); err != nil {
		return errors.Join(err, h.close())
	}
	announce(log, cfg, h.home, listener.Addr())
	return errors.Join(h.serve(ctx, listener, cfg.Server.DrainTimeout), h.close())
}

// listen takes the address of the server. Where another process has the data
// directory too, the error says both.
func listen(ctx context.Context, cfg *config.Config) (net.Listener, error) {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", cfg.Server.Listen)
	if err == nil {
		return listener, nil
	}
	err = fmt.Errorf("%w; choose another address with --listen, %s or the line listen of the configuration file",
		err, config.Variable("listen"))
	return nil, errors.Join(err, home.InUse(cfg.Home.Places))
}

// serve answers requests until ctx ends, then lets those under way finish.
func (h *house) serve(ctx context.Context, listener net.Listener, drain time.Duration) error {
	failed := make(chan error, 1)
	go func() { failed <- h.server.Serve(listener) }()
	var err error
	select {
	case <-ctx.Done():
	case err = <-failed:
		failed <- nil
	}
	bounded, cancel := context.WithTimeout(context.Background(), drain)
	defer cancel()
	if h.server.Shutdown(bounded) != nil {
		h.log.Warn("requests were cut off: they took longer than the drain time-out", "timeout", drain.String())
	}
	err = errors.Join(err, <-failed)
	h.log.Info("stopped serving")
	return err
}

// announce logs the start. Passwords do not go into the log.
func announce(log *slog.Logger, cfg *config.Config, h *home.Home, addr net.Addr) {
	log.Info("serving", "address", addr.String(), "tls", cfg.Server.TLSCert != "", "region", cfg.Server.Region,
		"store", h.StoreID.String(), "fingerprint", h.Fingerprint.String(), "data", h.Places.Data,
		"config_dir", h.Places.Config, "config", cfg.File, "version", version())
	if h.Replaced {
		log.Warn("the data directory was empty: the store begins anew under its former keys", "data", h.Places.Data)
	}
	if cfg.Home.KeysBesideData {
		log.Warn("keys may lie inside the data directory, as asked for: a copy of the data may carry them along")
	}
	if exposed := h.Places.Exposed(); len(exposed) > 0 {
		log.Warn("other users of this machine may read secrets; take the right away with chmod 600", "files", exposed)
	}
	if k := givenBackend(cfg.KMS); k != nil {
		log.Info("the key backend is the one of the configuration, whatever the admin API has kept", "backend", k)
	}
	for _, notice := range notices(cfg) {
		log.Warn("a setting is not taken as it was given", "what", notice)
	}
	if cfg.Server.TLSCert == "" && !cfg.Server.Local() {
		log.Warn("serving without TLS on an address that other machines reach; objects and presigned URLs pass in the clear")
	}
}
