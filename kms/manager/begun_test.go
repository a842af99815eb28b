package manager_test

import (
	"context"
	"testing"

	"coffer/cipher"
	"coffer/kms"
	"coffer/kms/manager"
)

// TestWriteEndsWithItsBackend lets another backend serve between the moment at which a write is told its key and that at
// which it makes its KEK. The other backend has no such key.
func TestWriteEndsWithItsBackend(t *testing.T) {
	t.Parallel()
	m := newWorld().open(t)
	c := vault("https://a")
	must(t, m.Apply(t.Context(), c))
	do(t, m, func(ctx context.Context, s manager.Service) error {
		_, err := s.CreateKey(ctx, "app")
		return err
	})
	ref, err := m.Resolve(t.Context(), cipher.ModeSSEKMS, "app")
	must(t, err)
	must(t, m.Apply(t.Context(), manager.Config{Type: manager.TypeLocal}))
	kek, w, err := m.GenerateKEK(kms.BegunWith(t.Context(), ref.Instance), cipher.ModeSSEKMS, ref.KeyID, nil)
	must(t, err)
	kek.Wipe()
	if w.Instance != ref.Instance || w.KeyID != "app" {
		t.Errorf("wrapped by %v under %q, begun with %v", w.Instance, w.KeyID, ref.Instance)
	}
	_, _, err = m.GenerateKEK(t.Context(), cipher.ModeSSEKMS, ref.KeyID, nil)
	wantKind(t, err, kms.NotFound)
	must(t, m.Close())
}
