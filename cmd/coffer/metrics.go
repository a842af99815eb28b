package main

import (
	"context"
	"fmt"
	"net"

	"coffer/chunk"
	"coffer/internal/config"
	"coffer/internal/metrics"
	"coffer/metastore/badgerdb"
)

// listenMetrics takes the address of the metrics, if they are not off, before
// anything is changed. The default address may be taken, by another coffer for
// example: then they are not served. One that somebody has chosen may not.
func (h *house) listenMetrics(ctx context.Context, cfg config.Metrics) error {
	if cfg.Listen == "" {
		return nil
	}
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", cfg.Listen)
	switch {
	case err == nil:
		h.opened("listener of the metrics", func() error {
			_ = listener.Close() // what serves on it has closed it, if it came to that
			return nil
		})
		h.numbers, h.metrics = listener, metrics.New(metrics.Options{Version: version(), Logger: h.log})
		return nil
	case cfg.Given:
		return fmt.Errorf("metrics: %w; choose another address with --metrics-listen or %s, or off", err, config.Variable("metrics-listen"))
	default:
		h.log.Warn("metrics are not served: their address is taken; choose another one with --metrics-listen, or off", "error", err)
		return nil
	}
}

// openMetrics lets the numbers be asked for.
func (h *house) openMetrics(cfg config.Metrics, keys metrics.Keys, chunks chunk.Store, meta *badgerdb.DB) {
	if h.metrics == nil {
		return
	}
	sources := metrics.Sources{Keys: keys, Engine: h.store.Load(), Front: h.server, Mounts: h.mounts, Metastore: func() metrics.Metastore {
		s := meta.Stats()
		return metrics.Metastore{
			TableBytes: s.TableBytes, LogBytes: s.LogBytes, Transactions: s.Transactions, Flushes: s.Flushes, Conflicts: s.Conflicts,
		}
	}}
	if h.audit != nil {
		sources.Audit = h.audit
	}
	h.metrics.Read(sources)
	service := h.metrics.Start(h.numbers, chunks)
	h.opened("metrics", service.Close)
	h.log.Info("serving metrics", "address", h.numbers.Addr().String())
	if !cfg.Local() {
		h.log.Warn("metrics are served without TLS and password on an address that other machines reach")
	}
}
