package local

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"time"

	"coffer/kms"
)

// EnableKey implements kms.Lifecycle.
func (k *Keyring) EnableKey(ctx context.Context, keyID string) (kms.KeyInfo, error) {
	return k.amend(ctx, "enable key", keyID, func(r *keyRecord) error { return r.switchTo(kms.StateEnabled) })
}

// DisableKey implements kms.Lifecycle.
func (k *Keyring) DisableKey(ctx context.Context, keyID string) (kms.KeyInfo, error) {
	return k.amend(ctx, "disable key", keyID, func(r *keyRecord) error { return r.switchTo(kms.StateDisabled) })
}

// switchTo enables or disables a key that does not wait for its deletion.
func (r *keyRecord) switchTo(state kms.State) error {
	if r.state == kms.StatePendingDeletion {
		return fmt.Errorf("%w: it waits for its deletion", kms.InvalidState)
	}
	r.state = state
	return nil
}

// ScheduleDeletion implements kms.Lifecycle.
func (k *Keyring) ScheduleDeletion(ctx context.Context, keyID string, window time.Duration) (kms.KeyInfo, error) {
	const op = "schedule deletion of"
	if err := kms.CheckWindow(window); err != nil {
		return kms.KeyInfo{}, kms.NewError(op, keyID, err)
	}
	return k.amend(ctx, op, keyID, func(r *keyRecord) error {
		if err := r.switchTo(kms.StatePendingDeletion); err != nil {
			return err
		}
		r.deleteAfter = k.now().Add(window)
		return nil
	})
}

// CancelDeletion implements kms.Lifecycle.
func (k *Keyring) CancelDeletion(ctx context.Context, keyID string) (kms.KeyInfo, error) {
	return k.amend(ctx, "cancel deletion of", keyID, func(r *keyRecord) error {
		if r.state != kms.StatePendingDeletion {
			return fmt.Errorf("%w: it does not wait for its deletion", kms.InvalidState)
		}
		r.state, r.deleteAfter = kms.StateEnabled, time.Time{}
		return nil
	})
}

// SetDescription implements kms.Describer.
func (k *Keyring) SetDescription(ctx context.Context, keyID, text string) (kms.KeyInfo, error) {
	return k.amend(ctx, "describe key", keyID, func(r *keyRecord) error {
		r.description = text
		return kms.CheckDescription(text)
	})
}

// SetTags implements kms.Describer.
func (k *Keyring) SetTags(ctx context.Context, keyID string, tags map[string]string) (kms.KeyInfo, error) {
	return k.amend(ctx, "tag key", keyID, func(r *keyRecord) error {
		all := maps.Clone(r.tags)
		if all == nil {
			all = map[string]string{}
		}
		maps.Copy(all, tags)
		r.tags = all
		return kms.CheckTags(all)
	})
}

// RemoveTags implements kms.Describer.
func (k *Keyring) RemoveTags(ctx context.Context, keyID string, names ...string) (kms.KeyInfo, error) {
	return k.amend(ctx, "untag key", keyID, func(r *keyRecord) error {
		for _, name := range names {
			delete(r.tags, name)
		}
		return nil
	})
}

// SetMaxAge implements kms.Describer.
func (k *Keyring) SetMaxAge(ctx context.Context, keyID string, age time.Duration) (kms.KeyInfo, error) {
	return k.amend(ctx, "set maximum age of", keyID, func(r *keyRecord) error {
		if err := kms.CheckMaxAge(age); err != nil {
			return err
		}
		r.maxAge = uint32(age / time.Second) // MaxKeyAge is below 2^32 seconds
		return nil
	})
}

// amend changes a key's record by fn, durably.
func (k *Keyring) amend(ctx context.Context, op, keyID string, fn func(*keyRecord) error) (kms.KeyInfo, error) {
	err := errors.Join(ctx.Err(), kms.CheckKeyID(keyID))
	var info kms.KeyInfo
	if err == nil {
		info, err = k.change(keyID, fn)
	}
	if err != nil {
		return kms.KeyInfo{}, kms.NewError(op, keyID, err)
	}
	return info, nil
}

// DestroyKey implements kms.Lifecycle. A key whose file is missing or damaged
// can be destroyed too. What the disk keeps of a file that was replaced is
// sealed under the StoreKey's subkey, and beyond the reach of this package.
func (k *Keyring) DestroyKey(ctx context.Context, keyID string) error {
	err := errors.Join(ctx.Err(), kms.CheckKeyID(keyID))
	if err == nil {
		err = k.destroy(keyID)
	}
	return kms.NewError("destroy key", keyID, err)
}

// destroy puts a tombstone in the place of the key's file, takes the key out of
// the list and removes the tombstone. The tombstone is what decides: a process
// that finds one finishes the rest.
func (k *Keyring) destroy(keyID string) error {
	k.list.Lock()
	defer k.list.Unlock()
	e, err := k.find(keyID)
	if err != nil {
		return err
	}
	name := k.files.keyName(keyID)
	if err := k.bury(e, name); err != nil {
		return err
	}
	next := k.record.without(keyID)
	if err := k.writeInstance(next); err != nil {
		return err
	}
	k.mu.Lock()
	k.record = next
	delete(k.entries, keyID)
	k.mu.Unlock()
	return k.files.remove(name)
}

// bury writes the tombstone and wipes the key from memory.
func (k *Keyring) bury(e *entry, name string) error {
	e.write.Lock()
	defer e.write.Unlock()
	if err := k.writeTombstone(name, e.id); err != nil {
		return err // the record stays in use; a later call tries again
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if e.record != nil {
		e.record.wipe()
	}
	e.record, e.fault, e.destroyed = nil, nil, true
	return nil
}
