package kms

import (
	"context"

	"coffer/cipher"
)

type begunKey struct{}

// BegunWith returns a context for the rest of something that was begun with a backend, such as a write that was told which
// key it uses: it ends with that backend, even if another serves by now.
func BegunWith(ctx context.Context, instance cipher.InstanceID) context.Context {
	return context.WithValue(ctx, begunKey{}, instance)
}

// Begun returns the backend of BegunWith; false where there was none.
func Begun(ctx context.Context) (cipher.InstanceID, bool) {
	id, ok := ctx.Value(begunKey{}).(cipher.InstanceID)
	return id, ok
}
