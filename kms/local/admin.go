package local

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"coffer/cipher"
	"coffer/kms"
)

// CreateKey implements kms.Admin. A creation that failed midway, or that ended
// with the process, is finished and its key returned.
func (k *Keyring) CreateKey(ctx context.Context, keyID string) (kms.KeyInfo, error) {
	return k.CreateKeyWith(ctx, kms.KeySpec{KeyID: keyID})
}

// CreateKeyWith implements kms.Creator. What a creation that failed midway was to
// keep about its key gives way to what spec says.
func (k *Keyring) CreateKeyWith(ctx context.Context, spec kms.KeySpec) (kms.KeyInfo, error) {
	info, err := k.create(ctx, spec)
	if err != nil {
		return kms.KeyInfo{}, kms.NewError("create key", spec.KeyID, err)
	}
	return info, nil
}

func (k *Keyring) create(ctx context.Context, spec kms.KeySpec) (kms.KeyInfo, error) {
	spec, err := spec.WithDefaults(Origin)
	if err := errors.Join(ctx.Err(), err); err != nil {
		return kms.KeyInfo{}, err
	}
	keyID := spec.KeyID
	k.list.Lock()
	defer k.list.Unlock()
	if err := k.vacant(keyID); err != nil {
		return kms.KeyInfo{}, err
	}
	r, err := k.readKey(k.files.keyName(keyID))
	switch {
	case errors.Is(err, ErrMissing), errors.Is(err, errDestroyed):
		r = k.newRecord(keyID)
	case err != nil:
		return kms.KeyInfo{}, err // a file is there: it is not for us to replace
	}
	r.origin, r.description, r.tags = spec.Origin, spec.Description, spec.Tags
	// What readKey found may be visible and not durable, so it is written again.
	if err := k.writeKey(r); err != nil {
		r.wipe()
		return kms.KeyInfo{}, err
	}
	next := k.record.with(keyID)
	if err := k.writeInstance(next); err != nil {
		r.wipe()
		return kms.KeyInfo{}, err
	}
	return k.enter(r, next)
}

// vacant reports whether a key of this id may be made.
func (k *Keyring) vacant(keyID string) error {
	exists := func(*keyRecord) error { return kms.AlreadyExists }
	if err := k.use(keyID, exists); !errors.Is(err, kms.NotFound) {
		return err
	}
	k.mu.RLock()
	defer k.mu.RUnlock()
	if len(k.record.keyIDs) >= maxKeys {
		return fmt.Errorf("%w: the keyring holds %d keys, its limit", kms.Unsupported, maxKeys)
	}
	return nil
}

func (k *Keyring) newRecord(keyID string) *keyRecord {
	now := k.now()
	return &keyRecord{
		id: keyID, instance: k.instance, state: kms.StateEnabled, created: now,
		versions: []masterVersion{{number: 1, created: now, master: cipher.NewMasterKey()}},
	}
}

// enter shows a key that is durable and listed.
func (k *Keyring) enter(r *keyRecord, next instanceRecord) (kms.KeyInfo, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.closed {
		r.wipe()
		return kms.KeyInfo{}, errClosed
	}
	k.record = next
	k.entries[r.id] = &entry{id: r.id, record: r}
	return r.info(), nil
}

// DescribeKey implements kms.Admin.
func (k *Keyring) DescribeKey(ctx context.Context, keyID string) (kms.KeyInfo, error) {
	info, err := k.describe(ctx, keyID)
	if err != nil {
		return kms.KeyInfo{}, kms.NewError("describe key", keyID, err)
	}
	return info, nil
}

func (k *Keyring) describe(ctx context.Context, keyID string) (info kms.KeyInfo, err error) {
	if err := errors.Join(ctx.Err(), kms.CheckKeyID(keyID)); err != nil {
		return kms.KeyInfo{}, err
	}
	err = k.use(keyID, func(r *keyRecord) error {
		info = r.info()
		return nil
	})
	return info, err
}

// ListKeys implements kms.Admin. A key whose file cannot be used is listed with
// its id and Fault.
func (k *Keyring) ListKeys(ctx context.Context, after string, limit int) (kms.KeyPage, error) {
	page, err := k.listKeys(ctx, after, limit)
	if err != nil {
		return kms.KeyPage{}, kms.NewError("list keys", "", err)
	}
	return page, nil
}

func (k *Keyring) listKeys(ctx context.Context, after string, limit int) (kms.KeyPage, error) {
	if err := ctx.Err(); err != nil {
		return kms.KeyPage{}, err
	}
	if limit < 1 || limit > kms.MaxListedKeys {
		limit = kms.MaxListedKeys
	}
	k.mu.RLock()
	defer k.mu.RUnlock()
	if k.closed {
		return kms.KeyPage{}, errClosed
	}
	ids := k.record.keyIDs
	from, found := slices.BinarySearch(ids, after)
	if found {
		from++
	}
	ids = ids[from:]
	var page kms.KeyPage
	for _, id := range ids {
		e := k.entries[id]
		if e.destroyed {
			continue
		}
		if page.More = len(page.Keys) == limit; page.More {
			break
		}
		if e.record == nil {
			page.Keys = append(page.Keys, kms.KeyInfo{ID: id, Fault: e.fault})
			continue
		}
		page.Keys = append(page.Keys, e.record.info())
	}
	return page, nil
}

// RotateKey implements kms.Admin.
func (k *Keyring) RotateKey(ctx context.Context, keyID string) (kms.KeyInfo, error) {
	info, err := k.rotate(ctx, keyID)
	if err != nil {
		return kms.KeyInfo{}, kms.NewError("rotate key", keyID, err)
	}
	return info, nil
}

func (k *Keyring) rotate(ctx context.Context, keyID string) (kms.KeyInfo, error) {
	if err := errors.Join(ctx.Err(), kms.CheckKeyID(keyID)); err != nil {
		return kms.KeyInfo{}, err
	}
	return k.change(keyID, func(r *keyRecord) error {
		if err := r.state.CheckEncrypt(); err != nil {
			return err
		}
		if len(r.versions) >= maxVersions {
			return fmt.Errorf("%w: the key has %d versions, the limit", kms.InvalidState, maxVersions)
		}
		v := masterVersion{number: r.newest().number + 1, created: k.now(), master: cipher.NewMasterKey()}
		r.versions = append(r.versions, v)
		return nil
	})
}

// info describes the key.
func (r *keyRecord) info() kms.KeyInfo {
	info := kms.KeyInfo{
		ID: r.id, State: r.state, Created: r.created, DeleteAfter: r.deleteAfter,
		Algorithm: kms.AlgorithmAES256, Usage: kms.UsageEncryptDecrypt,
		Origin: r.origin, Description: r.description, Tags: maps.Clone(r.tags),
		MaxAge: time.Duration(r.maxAge) * time.Second,
	}
	for _, v := range r.versions {
		info.Versions = append(info.Versions, v.info())
	}
	return info
}

func (v masterVersion) info() kms.KeyVersion {
	return kms.KeyVersion{Number: v.number, Fingerprint: v.master.Fingerprint(), Created: v.created}
}
