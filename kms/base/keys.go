package base

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"time"

	"coffer/kms"
)

// Keys implements kms.Admin, kms.Creator, kms.Lifecycle and kms.Describer. What its
// functions return may be what they keep: it is copied.
type Keys struct {
	// Origin is that of keys whose creator names none.
	Origin string
	// Create makes a key of one version, which is Enabled; AlreadyExists where there
	// is one in any state. spec is valid and has its defaults.
	Create func(ctx context.Context, spec kms.KeySpec) (kms.KeyInfo, error)
	// List returns all keys, in any order.
	List func(ctx context.Context) ([]kms.KeyInfo, error)
	// Rotate makes a new version of a key that may encrypt.
	Rotate func(ctx context.Context, keyID string) (kms.KeyInfo, error)
	// Amend has fn change what is known of a key, keeps it and returns it. Where
	// fn fails nothing is kept and its error comes back. fn may be called again on
	// what another process has changed meanwhile. It changes State, DeleteAfter,
	// Description, Tags and MaxAge, or nothing.
	Amend func(ctx context.Context, keyID string, fn func(*kms.KeyInfo) error) (kms.KeyInfo, error)
	// Destroy destroys all versions of a key in any state.
	Destroy func(ctx context.Context, keyID string) error
}

// do checks what every operation on a key checks.
func (k Keys) do(ctx context.Context, op, keyID string, fn func() (kms.KeyInfo, error)) (kms.KeyInfo, error) {
	err := errors.Join(ctx.Err(), kms.CheckKeyID(keyID))
	var info kms.KeyInfo
	if err == nil {
		info, err = fn()
	}
	if err != nil {
		return kms.KeyInfo{}, kms.NewError(op, keyID, err)
	}
	return own(info), nil
}

// own copies what a KeyInfo shares with what a backend keeps.
func own(info kms.KeyInfo) kms.KeyInfo {
	info.Tags, info.Versions = maps.Clone(info.Tags), slices.Clone(info.Versions)
	return info
}

func (k Keys) amend(ctx context.Context, op, keyID string, fn func(*kms.KeyInfo) error) (kms.KeyInfo, error) {
	return k.do(ctx, op, keyID, func() (kms.KeyInfo, error) {
		return k.Amend(ctx, keyID, func(info *kms.KeyInfo) error {
			info.Tags = maps.Clone(info.Tags) // where fn fails the old ones stay
			return fn(info)
		})
	})
}

// CreateKey implements kms.Admin.
func (k Keys) CreateKey(ctx context.Context, keyID string) (kms.KeyInfo, error) {
	return k.CreateKeyWith(ctx, kms.KeySpec{KeyID: keyID})
}

// CreateKeyWith implements kms.Creator.
func (k Keys) CreateKeyWith(ctx context.Context, spec kms.KeySpec) (kms.KeyInfo, error) {
	return k.do(ctx, "create key", spec.KeyID, func() (kms.KeyInfo, error) {
		full, err := spec.WithDefaults(k.Origin)
		if err != nil {
			return kms.KeyInfo{}, err
		}
		return k.Create(ctx, full)
	})
}

// DescribeKey implements kms.Admin.
func (k Keys) DescribeKey(ctx context.Context, keyID string) (kms.KeyInfo, error) {
	return k.amend(ctx, "describe key", keyID, func(*kms.KeyInfo) error { return nil })
}

// ListKeys implements kms.Admin.
func (k Keys) ListKeys(ctx context.Context, after string, limit int) (kms.KeyPage, error) {
	if limit < 1 || limit > kms.MaxListedKeys {
		limit = kms.MaxListedKeys
	}
	err := ctx.Err()
	var all []kms.KeyInfo
	if err == nil {
		all, err = k.List(ctx)
	}
	if err != nil {
		return kms.KeyPage{}, kms.NewError("list keys", "", err)
	}
	var page kms.KeyPage
	for _, info := range all {
		if info.ID > after {
			page.Keys = append(page.Keys, own(info))
		}
	}
	slices.SortFunc(page.Keys, func(a, b kms.KeyInfo) int { return strings.Compare(a.ID, b.ID) })
	if len(page.Keys) > limit {
		page.Keys, page.More = page.Keys[:limit], true
	}
	return page, nil
}

// RotateKey implements kms.Admin.
func (k Keys) RotateKey(ctx context.Context, keyID string) (kms.KeyInfo, error) {
	return k.do(ctx, "rotate key", keyID, func() (kms.KeyInfo, error) { return k.Rotate(ctx, keyID) })
}

// move goes to a state from each that is not StatePendingDeletion.
func move(info *kms.KeyInfo, to kms.State) error {
	if info.State == kms.StatePendingDeletion {
		return kms.InvalidState
	}
	info.State = to
	return nil
}

// EnableKey implements kms.Lifecycle.
func (k Keys) EnableKey(ctx context.Context, keyID string) (kms.KeyInfo, error) {
	return k.amend(ctx, "enable key", keyID, func(info *kms.KeyInfo) error { return move(info, kms.StateEnabled) })
}

// DisableKey implements kms.Lifecycle.
func (k Keys) DisableKey(ctx context.Context, keyID string) (kms.KeyInfo, error) {
	return k.amend(ctx, "disable key", keyID, func(info *kms.KeyInfo) error { return move(info, kms.StateDisabled) })
}

// ScheduleDeletion implements kms.Lifecycle.
func (k Keys) ScheduleDeletion(ctx context.Context, keyID string, window time.Duration) (kms.KeyInfo, error) {
	return k.amend(ctx, "schedule deletion of", keyID, func(info *kms.KeyInfo) error {
		info.DeleteAfter = time.Now().Add(window)
		return errors.Join(kms.CheckWindow(window), move(info, kms.StatePendingDeletion))
	})
}

// CancelDeletion implements kms.Lifecycle.
func (k Keys) CancelDeletion(ctx context.Context, keyID string) (kms.KeyInfo, error) {
	return k.amend(ctx, "cancel deletion of", keyID, func(info *kms.KeyInfo) error {
		if info.State != kms.StatePendingDeletion {
			return kms.InvalidState
		}
		info.State, info.DeleteAfter = kms.StateEnabled, time.Time{}
		return nil
	})
}

// DestroyKey implements kms.Lifecycle.
func (k Keys) DestroyKey(ctx context.Context, keyID string) error {
	_, err := k.do(ctx, "destroy key", keyID, func() (kms.KeyInfo, error) { return kms.KeyInfo{}, k.Destroy(ctx, keyID) })
	return err
}

// SetDescription implements kms.Describer.
func (k Keys) SetDescription(ctx context.Context, keyID, text string) (kms.KeyInfo, error) {
	return k.amend(ctx, "describe key", keyID, func(info *kms.KeyInfo) error {
		info.Description = text
		return kms.CheckDescription(text)
	})
}

// SetTags implements kms.Describer.
func (k Keys) SetTags(ctx context.Context, keyID string, tags map[string]string) (kms.KeyInfo, error) {
	return k.amend(ctx, "tag key", keyID, func(info *kms.KeyInfo) error {
		if info.Tags == nil {
			info.Tags = map[string]string{}
		}
		maps.Copy(info.Tags, tags)
		return kms.CheckTags(info.Tags)
	})
}

// RemoveTags implements kms.Describer.
func (k Keys) RemoveTags(ctx context.Context, keyID string, names ...string) (kms.KeyInfo, error) {
	return k.amend(ctx, "untag key", keyID, func(info *kms.KeyInfo) error {
		for _, name := range names {
			delete(info.Tags, name)
		}
		return nil
	})
}

// SetMaxAge implements kms.Describer.
func (k Keys) SetMaxAge(ctx context.Context, keyID string, age time.Duration) (kms.KeyInfo, error) {
	return k.amend(ctx, "set maximum age of", keyID, func(info *kms.KeyInfo) error {
		info.MaxAge = age
		return kms.CheckMaxAge(age)
	})
}
