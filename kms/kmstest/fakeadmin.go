package kmstest

import (
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"coffer/cipher"
	"coffer/kms"
)

// CreateKey implements kms.Admin.
func (f *Fake) CreateKey(ctx context.Context, keyID string) (kms.KeyInfo, error) {
	return f.CreateKeyWith(ctx, kms.KeySpec{KeyID: keyID})
}

// CreateKeyWith implements kms.Creator.
func (f *Fake) CreateKeyWith(ctx context.Context, spec kms.KeySpec) (kms.KeyInfo, error) {
	keyID := spec.KeyID
	spec, err := spec.WithDefaults(fakeOrigin)
	err = errors.Join(f.enter(ctx, OpCreateKey, keyID), err)
	f.mu.Lock()
	defer f.mu.Unlock()
	if err == nil && f.keys[keyID] != nil {
		err = kms.AlreadyExists
	}
	if err != nil {
		return kms.KeyInfo{}, kms.NewError(string(OpCreateKey), keyID, err)
	}
	k := newFakeKey(spec)
	f.keys[keyID] = k
	return k.info(keyID), nil
}

// DescribeKey implements kms.Admin.
func (f *Fake) DescribeKey(ctx context.Context, keyID string) (info kms.KeyInfo, err error) {
	err = f.do(ctx, OpDescribeKey, keyID, func(k *fakeKey) error {
		info = k.info(keyID)
		return nil
	})
	return info, err
}

// ListKeys implements kms.Admin.
func (f *Fake) ListKeys(ctx context.Context, after string, limit int) (kms.KeyPage, error) {
	if err := f.enter(ctx, OpListKeys, ""); err != nil {
		return kms.KeyPage{}, kms.NewError(string(OpListKeys), "", err)
	}
	if limit < 1 || limit > kms.MaxListedKeys {
		limit = kms.MaxListedKeys
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	var page kms.KeyPage
	for _, id := range slices.Sorted(maps.Keys(f.keys)) {
		if id <= after {
			continue
		}
		if page.More = len(page.Keys) == limit; page.More {
			break
		}
		page.Keys = append(page.Keys, f.keys[id].info(id))
	}
	return page, nil
}

// RotateKey implements kms.Admin.
func (f *Fake) RotateKey(ctx context.Context, keyID string) (info kms.KeyInfo, err error) {
	err = f.do(ctx, OpRotateKey, keyID, func(k *fakeKey) error {
		if err := k.state.CheckEncrypt(); err != nil {
			return err
		}
		k.versions = append(k.versions, fakeVersion{cipher.NewMasterKey(), time.Now()})
		info = k.info(keyID)
		return nil
	})
	return info, err
}

func (k *fakeKey) info(keyID string) kms.KeyInfo {
	info := kms.KeyInfo{
		ID: keyID, State: k.state, Created: k.created, DeleteAfter: k.deleteAfter, MaxAge: k.maxAge,
		Algorithm: k.spec.Algorithm, Usage: k.spec.Usage, Origin: k.spec.Origin,
		Description: k.spec.Description, Tags: maps.Clone(k.spec.Tags),
	}
	for i, v := range k.versions {
		info.Versions = append(info.Versions, kms.KeyVersion{
			Number: uint32(i + 1), Fingerprint: v.master.Fingerprint(), Created: v.created,
		})
	}
	return info
}

// EnableKey implements kms.Lifecycle.
func (f *Fake) EnableKey(ctx context.Context, keyID string) (kms.KeyInfo, error) {
	return f.amend(ctx, OpEnableKey, keyID, func(k *fakeKey) error { return k.switchTo(kms.StateEnabled) })
}

// DisableKey implements kms.Lifecycle.
func (f *Fake) DisableKey(ctx context.Context, keyID string) (kms.KeyInfo, error) {
	return f.amend(ctx, OpDisableKey, keyID, func(k *fakeKey) error { return k.switchTo(kms.StateDisabled) })
}

func (k *fakeKey) switchTo(state kms.State) error {
	if k.state == kms.StatePendingDeletion {
		return kms.InvalidState
	}
	k.state = state
	return nil
}

// ScheduleDeletion implements kms.Lifecycle.
func (f *Fake) ScheduleDeletion(ctx context.Context, keyID string, window time.Duration) (kms.KeyInfo, error) {
	return f.amend(ctx, OpScheduleDeletion, keyID, func(k *fakeKey) error {
		if err := kms.CheckWindow(window); err != nil {
			return err
		}
		k.deleteAfter = time.Now().Add(window)
		return k.switchTo(kms.StatePendingDeletion)
	})
}

// CancelDeletion implements kms.Lifecycle.
func (f *Fake) CancelDeletion(ctx context.Context, keyID string) (kms.KeyInfo, error) {
	return f.amend(ctx, OpCancelDeletion, keyID, func(k *fakeKey) error {
		if k.state != kms.StatePendingDeletion {
			return kms.InvalidState
		}
		k.state, k.deleteAfter = kms.StateEnabled, time.Time{}
		return nil
	})
}

// DestroyKey implements kms.Lifecycle.
func (f *Fake) DestroyKey(ctx context.Context, keyID string) error {
	return f.do(ctx, OpDestroyKey, keyID, func(*fakeKey) error {
		delete(f.keys, keyID)
		return nil
	})
}

// SetDescription implements kms.Describer.
func (f *Fake) SetDescription(ctx context.Context, keyID, text string) (kms.KeyInfo, error) {
	return f.amend(ctx, OpSetDescription, keyID, func(k *fakeKey) error {
		k.spec.Description = text
		return kms.CheckDescription(text)
	})
}

// SetTags implements kms.Describer.
func (f *Fake) SetTags(ctx context.Context, keyID string, tags map[string]string) (kms.KeyInfo, error) {
	return f.amend(ctx, OpSetTags, keyID, func(k *fakeKey) error {
		all := map[string]string{}
		maps.Copy(all, k.spec.Tags)
		maps.Copy(all, tags)
		k.spec.Tags = all
		return kms.CheckTags(all)
	})
}

// RemoveTags implements kms.Describer.
func (f *Fake) RemoveTags(ctx context.Context, keyID string, names ...string) (kms.KeyInfo, error) {
	return f.amend(ctx, OpRemoveTags, keyID, func(k *fakeKey) error {
		left := maps.Clone(k.spec.Tags)
		for _, name := range names {
			delete(left, name)
		}
		k.spec.Tags = left
		return nil
	})
}

// SetMaxAge implements kms.Describer.
func (f *Fake) SetMaxAge(ctx context.Context, keyID string, age time.Duration) (kms.KeyInfo, error) {
	return f.amend(ctx, OpSetMaxAge, keyID, func(k *fakeKey) error {
		k.maxAge = age
		return kms.CheckMaxAge(age)
	})
}

// amend changes a key by fn, or not at all where fn fails.
func (f *Fake) amend(ctx context.Context, op Op, keyID string, fn func(*fakeKey) error) (info kms.KeyInfo, err error) {
	err = f.do(ctx, op, keyID, func(k *fakeKey) error {
		changed := *k
		if err := fn(&changed); err != nil {
			return err
		}
		*k = changed
		info = k.info(keyID)
		return nil
	})
	return info, err
}
