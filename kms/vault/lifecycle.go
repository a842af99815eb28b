package vault

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"time"

	"coffer/kms"
)

// EnableKey implements kms.Lifecycle.
func (b *Backend) EnableKey(ctx context.Context, keyID string) (kms.KeyInfo, error) {
	return b.amend(ctx, "enable key", keyID, func(r *record) error { return r.switchTo(kms.StateEnabled) })
}

// DisableKey implements kms.Lifecycle.
func (b *Backend) DisableKey(ctx context.Context, keyID string) (kms.KeyInfo, error) {
	return b.amend(ctx, "disable key", keyID, func(r *record) error { return r.switchTo(kms.StateDisabled) })
}

// switchTo changes the state of a key that does not wait for its deletion.
func (r *record) switchTo(state kms.State) error {
	if r.state() == kms.StatePendingDeletion {
		return fmt.Errorf("%w: it waits for its deletion", kms.InvalidState)
	}
	r.State = state.String()
	return nil
}

// ScheduleDeletion implements kms.Lifecycle.
func (b *Backend) ScheduleDeletion(ctx context.Context, keyID string, window time.Duration) (kms.KeyInfo, error) {
	return b.amend(ctx, "schedule deletion of", keyID, func(r *record) error {
		if err := kms.CheckWindow(window); err != nil {
			return err
		}
		at := time.Now().Add(window).UTC()
		r.DeleteAfter = &at
		return r.switchTo(kms.StatePendingDeletion)
	})
}

// CancelDeletion implements kms.Lifecycle.
func (b *Backend) CancelDeletion(ctx context.Context, keyID string) (kms.KeyInfo, error) {
	return b.amend(ctx, "cancel deletion of", keyID, func(r *record) error {
		if r.state() != kms.StatePendingDeletion {
			return fmt.Errorf("%w: it does not wait for its deletion", kms.InvalidState)
		}
		r.State, r.DeleteAfter = kms.StateEnabled.String(), nil
		return nil
	})
}

// SetDescription implements kms.Describer.
func (b *Backend) SetDescription(ctx context.Context, keyID, text string) (kms.KeyInfo, error) {
	return b.amend(ctx, "describe key", keyID, func(r *record) error {
		r.Description = text
		return kms.CheckDescription(text)
	})
}

// SetTags implements kms.Describer.
func (b *Backend) SetTags(ctx context.Context, keyID string, tags map[string]string) (kms.KeyInfo, error) {
	return b.amend(ctx, "tag key", keyID, func(r *record) error {
		if r.Tags == nil {
			r.Tags = map[string]string{}
		}
		maps.Copy(r.Tags, tags)
		return kms.CheckTags(r.Tags)
	})
}

// RemoveTags implements kms.Describer.
func (b *Backend) RemoveTags(ctx context.Context, keyID string, names ...string) (kms.KeyInfo, error) {
	return b.amend(ctx, "untag key", keyID, func(r *record) error {
		for _, name := range names {
			delete(r.Tags, name)
		}
		if len(r.Tags) == 0 {
			r.Tags = nil
		}
		return nil
	})
}

// SetMaxAge implements kms.Describer.
func (b *Backend) SetMaxAge(ctx context.Context, keyID string, age time.Duration) (kms.KeyInfo, error) {
	return b.amend(ctx, "set maximum age of", keyID, func(r *record) error {
		r.MaxAge = int64(age / time.Second)
		return kms.CheckMaxAge(age)
	})
}

// amend changes the record of a key that is there.
func (b *Backend) amend(ctx context.Context, op, keyID string, fn func(*record) error) (info kms.KeyInfo, err error) {
	err = b.operate(ctx, op, keyID, true, func(ctx context.Context) error {
		key, err := b.transitKey(ctx, keyID, false)
		if err != nil {
			return err
		}
		changed, err := b.states.change(ctx, keyID, fn)
		info = changed.describe(key)
		return err
	})
	if err != nil {
		return kms.KeyInfo{}, err
	}
	return info, nil
}

// DestroyKey implements kms.Lifecycle. The key's record goes last, so that a
// call that failed in between can be repeated.
func (b *Backend) DestroyKey(ctx context.Context, keyID string) error {
	return b.operate(ctx, "destroy key", keyID, true, func(ctx context.Context) error {
		_, notFound := b.transitKey(ctx, keyID, false)
		switch kind := kindIn(notFound); {
		case kind == kms.NotFound:
		case notFound == nil || kind == kms.Unsupported: // a key that cannot wrap is one too
			notFound = nil
			if err := b.destroy(ctx, keyID); err != nil {
				return err
			}
		default:
			return notFound
		}
		h, err := b.states.load(ctx, keyID)
		switch {
		case h.present: // also one that cannot be read
			return b.states.save(ctx, keyID, h, nil)
		case err != nil:
			return err
		}
		b.states.remember(keyID, 0, -1)
		return notFound // unless a call that failed had left the record
	})
}

func (b *Backend) destroy(ctx context.Context, keyID string) error {
	allow := b.keyCall(http.MethodPut, keyID, "/config")
	allow.body = map[string]any{"deletion_allowed": true}
	if err := b.do(ctx, allow, &struct{}{}); err != nil {
		return err
	}
	remove := b.keyCall(http.MethodDelete, keyID, "")
	remove.once = true
	return b.do(ctx, remove, &struct{}{})
}
