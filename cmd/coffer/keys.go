package main

import (
	"context"
	"errors"
	"log/slog"

	"coffer/cipher"
	"coffer/internal/config"
	"coffer/internal/keystate"
	"coffer/kms"
	"coffer/kms/local"
	"coffer/kms/manager"
	"coffer/kms/static"
	"coffer/kms/vault"
	"coffer/metastore"
	"coffer/object"
)

// errNotOpen is the answer before the store is open: nothing is removed then.
var errNotOpen = errors.New("the store is not open yet")

// openKeys opens the key services: the built-in keyring, and the backend that
// was configured.
func (h *house) openKeys(ctx context.Context, cfg config.KMS, keyring *local.Keyring, meta *metastore.DB) (*manager.Manager, error) {
	sealing := h.home.Key.Derive(cipher.LabelConfig)
	defer sealing.Wipe()
	options := manager.Options{
		Builtin: keyring, BuiltinKeyID: object.DefaultKeyID, Factories: h.factories(meta),
		Store: manager.File{FS: h.home.Config}, Box: cipher.NewBox(sealing),
		References: h.references, KeyReferences: h.keyReferences, Logger: h.log,
		Given: givenBackend(cfg), NoStandIn: cfg.NoStandIn, SSES3OnKMS: cfg.ForSSES3,
		KeyMaxAge: cfg.KeyMaxAge, RotateDue: cfg.RotateDue, ProbeInterval: cfg.ProbeInterval, OnRevoke: h.revoke,
		Record: recordUse(h.audit),
	}
	options.OnSwept = h.swept(cfg.RewrapDue)
	if h.metrics != nil {
		options.Watcher = h.metrics
	}
	keys, err := manager.New(ctx, options)
	if err != nil {
		return nil, err
	}
	h.opened("key services", keys.Close)
	return keys, nil
}

// factories build the backends that can be configured. What Transit has no place
// for, and Vault's KV engine is not to be had for, goes into the metastore.
func (h *house) factories(meta *metastore.DB) map[string]manager.Factory {
	return map[string]manager.Factory{
		manager.TypeLocal: func(ctx context.Context, c manager.Config, _ cipher.InstanceID) (manager.Service, error) {
			return local.OpenDirectory(ctx, local.DirectoryOptions{
				Path: c.Local.KeyDir, MasterKey: c.Local.MasterKey.Expose(), Outside: []string{h.home.Places.Data},
			})
		},
		manager.TypeVault: func(_ context.Context, c manager.Config, instance cipher.InstanceID) (manager.Service, error) {
			o := vaultOptions(c, instance, h.log)
			o.State = keystate.New(meta, instance)
			if h.metrics != nil {
				o.OnAuth = h.metrics.Auth
			}
			return vault.Open(o)
		},
		manager.TypeStatic: func(_ context.Context, c manager.Config, _ cipher.InstanceID) (manager.Service, error) {
			return static.Open(c.Static.Key.Expose())
		},
	}
}

// revoke ends streams and handles, with the DataKeys that they hold.
func (h *house) revoke() {
	if store := h.store.Load(); store != nil {
		store.Revoke()
		h.server.CutTransfers()
	}
}

// references counts what an instance still protects.
func (h *house) references(ctx context.Context, instance cipher.InstanceID) (manager.Counts, error) {
	return h.count(ctx, kms.KeyRef{Instance: instance})
}

// keyReferences counts what a key still protects, in all its versions. The
// default encryption of a bucket counts as a KEK, which its next object needs.
func (h *house) keyReferences(ctx context.Context, key kms.KeyRef) (manager.Counts, error) {
	sum, err := h.count(ctx, kms.KeyRef{Instance: key.Instance, KeyID: key.KeyID})
	if err != nil {
		return sum, err
	}
	defaults, err := h.store.Load().BucketsEncryptedBy(ctx, key.KeyID)
	sum.KEKs += uint64(len(defaults))
	return sum, err
}

func (h *house) count(ctx context.Context, of kms.KeyRef) (manager.Counts, error) {
	store := h.store.Load()
	if store == nil {
		return manager.Counts{}, errNotOpen
	}
	d, err := store.Dependents(ctx, of)
	return manager.Counts{KEKs: uint64(d.KEKs), Objects: uint64(d.Objects), Uploads: uint64(d.Uploads), Open: uint64(d.Open)}, err
}

// swept is told of keys that were due. One that is destroyed leaves no floor, so
// that a key made under its id begins anew. What one has wrapped that was rotated
// is rewrapped in the background, where that is asked for.
func (h *house) swept(rewrap bool) func(ctx context.Context, swept []manager.Swept) {
	return func(ctx context.Context, swept []manager.Swept) {
		store := h.store.Load()
		if store == nil {
			return
		}
		for _, k := range swept {
			key := kms.KeyRef{Instance: k.Instance, KeyID: k.KeyID}
			var err error
			var jobs []object.RewrapJob
			switch {
			case k.Destroyed:
				err = store.CancelRetirement(ctx, key)
			case k.Rotated && rewrap:
				jobs, err = store.StartRewraps(ctx, object.RewrapJobRequest{From: key})
			default:
				continue
			}
			h.log.Log(ctx, levelOf(err), "followed a key that was due", "key", k.KeyID, "rewraps", len(jobs), "error", err)
		}
	}
}

// levelOf is the level of what may have failed.
func levelOf(err error) slog.Level {
	if err != nil {
		return slog.LevelWarn
	}
	return slog.LevelInfo
}
