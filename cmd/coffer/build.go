package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync/atomic"

	"coffer/chunk"
	"coffer/chunk/localdisk"
	"coffer/cipher"
	"coffer/fs"
	"coffer/internal/config"
	"coffer/internal/home"
	"coffer/internal/metrics"
	"coffer/kms"
	"coffer/kms/audit"
	"coffer/kms/local"
	"coffer/kms/manager"
	"coffer/metastore"
	"coffer/metastore/badgerdb"
	"coffer/object"
	"coffer/s3api"
	"coffer/s3api/sigv4"
)

// house is everything that runs below the listener. What was opened last is
// closed first.
type house struct {
	home   *home.Home
	store  atomic.Pointer[object.Store] // the key services ask it what still needs them
	audit  *audit.Guard                 // nil: nothing is recorded
	chunks chunk.Store
	driver *badgerdb.DB
	keys   *manager.Manager
	mounts *fs.Table
	server *s3api.Server
	log    *slog.Logger

	metrics *metrics.Metrics // nil: nobody can ask for them
	numbers net.Listener     // of metrics

	closers []closer
}

type closer struct {
	name  string
	close func() error
}

// build opens the store, makes the server and mounts. When it fails, everything
// that it opened is closed.
func build(ctx context.Context, cfg *config.Config, log *slog.Logger) (_ *house, err error) {
	h := &house{log: log}
	defer func() {
		if err != nil {
			err = errors.Join(err, h.close())
		}
	}()
	if err := h.listenMetrics(ctx, cfg.Metrics); err != nil {
		return nil, err
	}
	if err := h.open(ctx, cfg); err != nil {
		return nil, err
	}
	store := h.store.Load()
	administration, err := h.openAdmin(cfg, h.keys, store)
	if err != nil {
		return nil, err
	}
	options := serverOptions(cfg.Server, store, administration, h.home.Root, h.readyToRecord(readiness(cfg.KMS, h.keys)), log)
	if h.metrics != nil {
		options.Observe = h.metrics.Served
	}
	if h.server, err = s3api.New(options); err != nil {
		return nil, err
	}
	if err := h.openMounts(ctx, cfg.Mount); err != nil {
		return nil, err
	}
	h.openMetrics(cfg.Metrics, h.keys, h.chunks, h.driver)
	return h, nil
}

// open opens the store.
func (h *house) open(ctx context.Context, cfg *config.Config) (err error) {
	if h.home, err = home.Open(cfg.Home); err != nil {
		return err
	}
	h.opened("home", h.home.Close)
	if err := h.openAudit(ctx, cfg.Audit); err != nil {
		return err
	}
	keyring, err := h.openKeyring(ctx)
	if err != nil {
		return err
	}
	if h.chunks, err = localdisk.Open(ctx, localdisk.Options{FS: h.home.Data}); err != nil {
		return err
	}
	h.opened("chunks", h.chunks.Close)
	meta, driver, err := h.openMeta(ctx, cfg.Metastore)
	if err != nil {
		return err
	}
	h.driver = driver
	if h.keys, err = h.openKeys(ctx, cfg.KMS, keyring, meta); err != nil {
		return err
	}
	store, err := h.openStore(ctx, h.keys, h.chunks, meta, driver.Reserve)
	if err == nil {
		h.store.Store(store)
	}
	return err
}

func (h *house) opened(name string, close func() error) {
	h.closers = append(h.closers, closer{name, close})
}

// close stops what build opened, in the opposite order.
func (h *house) close() error {
	var errs []error
	for len(h.closers) > 0 {
		last := h.closers[len(h.closers)-1]
		h.closers = h.closers[:len(h.closers)-1]
		if err := last.close(); err != nil {
			errs = append(errs, fmt.Errorf("close %s: %w", last.name, err))
		}
	}
	return errors.Join(errs...)
}

// openKeyring opens the built-in keyring, and makes it, with the key that wraps
// the KEKs of buckets, while nothing is stored yet.
func (h *house) openKeyring(ctx context.Context) (*local.Keyring, error) {
	key := h.home.Key.Derive(cipher.LabelKeyring)
	defer key.Wipe()
	keyring, err := local.Open(ctx, local.Options{FS: h.home.Config, Key: key, MustExist: h.home.Stored})
	if err != nil {
		return nil, err
	}
	h.opened("keyring", keyring.Close)
	if !h.home.Stored {
		if err := h.firstKey(ctx, keyring); err != nil {
			return nil, err
		}
	}
	if err := keyring.Health(ctx); err != nil {
		h.log.Error("the keyring is damaged; objects under the keys concerned cannot be read or written", "error", err)
	}
	return keyring, nil
}

// firstKey makes the key that wraps the KEKs of buckets, unless an earlier start has.
func (h *house) firstKey(ctx context.Context, keyring *local.Keyring) error {
	k, err := keyring.CreateKey(ctx, object.DefaultKeyID)
	if errors.Is(err, kms.AlreadyExists) {
		return nil
	}
	if record := recordUse(h.audit); err == nil && record != nil {
		err = record(ctx, manager.Use{Op: manager.OpCreate, Instance: keyring.Instance(), KeyID: k.ID, Version: k.Newest().Number})
	}
	return err
}

// openMeta opens the metastore and its driver.
func (h *house) openMeta(ctx context.Context, cfg config.Metastore) (*metastore.DB, *badgerdb.DB, error) {
	key := h.home.Key.Derive(cipher.LabelBadger)
	defer key.Wipe()
	driver, err := badgerdb.Open(ctx, badgerdb.Options{
		Dir: h.home.Places.Meta(), EncryptionKey: key, MemoryMiB: cfg.MemoryMiB, Logger: h.log,
	})
	if errors.Is(err, metastore.ErrLocked) {
		err = fmt.Errorf("%w: %w", &home.InUseError{Dir: h.home.Places.Data}, err)
	}
	if err != nil {
		return nil, nil, err
	}
	h.opened("metastore", driver.Close)
	values := h.home.Key.Derive(cipher.LabelValues)
	defer values.Wipe()
	return metastore.New(driver, cipher.NewBox(values)), driver, nil
}

func (h *house) openStore(ctx context.Context, keys object.KeyService, chunks chunk.Store, meta *metastore.DB, reserve func() uint64) (*object.Store, error) {
	options := object.Options{
		Meta: meta, Chunks: chunks, Keys: keys, StoreID: h.home.StoreID,
		Logger: h.log, MetaReserve: reserve,
	}
	if h.metrics != nil {
		options.Observe = h.metrics.Work
	}
	store, err := object.Open(ctx, options)
	if err != nil {
		return nil, err
	}
	h.opened("engine", store.Close)
	return store, nil
}

func serverOptions(cfg config.Server, store *object.Store, administration s3api.Admin, root home.Credentials, ready func() error, log *slog.Logger) s3api.Options {
	secret := sigv4.NewSecret(string(root.Password.Expose()))
	return s3api.Options{
		Store:          store,
		Admin:          administration,
		Secrets:        func(accessKey string) (sigv4.Secret, bool) { return secret, accessKey == root.User },
		Region:         cfg.Region,
		Domains:        cfg.Domains,
		Ready:          ready,
		TLSCertFile:    cfg.TLSCert,
		TLSKeyFile:     cfg.TLSKey,
		TrustedProxies: cfg.TrustedProxies,
		Logger:         log,
	}
}
