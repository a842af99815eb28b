package backend_test

import (
	"testing"

	"coffer/examples/backend"
	"coffer/kms/kmstest"
)

// TestConformance is all that a backend needs to be held to what it promises.
func TestConformance(t *testing.T) {
	t.Parallel()
	kmstest.Run(t, func(*testing.T) kmstest.Backend { return backend.New() })
}
