package vaulttest

import (
	"context"
	"encoding/hex"
	"errors"
	"testing"

	"github.com/hashicorp/vault/api"
)

// initialise makes a server over new files usable.
func (s *Server) initialise(ctx context.Context) error {
	c, err := s.client("")
	if err != nil {
		return err
	}
	made, err := c.Sys().InitWithContext(ctx, &api.InitRequest{SecretShares: 1, SecretThreshold: 1})
	if err != nil {
		return err
	}
	s.RootToken, s.unsealKey = made.RootToken, made.Keys[0]
	return s.unseal(ctx)
}

func (s *Server) unseal(ctx context.Context) error {
	if _, err := hex.DecodeString(s.unsealKey); err != nil {
		return err
	}
	c, err := s.client("")
	if err != nil {
		return err
	}
	status, err := c.Sys().UnsealWithContext(ctx, s.unsealKey)
	if err == nil && status.Sealed {
		err = errors.New("the server stays sealed")
	}
	return err
}

// Seal makes every call fail until Unseal.
func (s *Server) Seal(t testing.TB) {
	t.Helper()
	if err := s.Root(t).Sys().SealWithContext(t.Context()); err != nil {
		t.Fatalf("seal: %v", err)
	}
}

// Unseal opens a server that Seal or Restart has left sealed. Tokens go on.
func (s *Server) Unseal(t testing.TB) {
	t.Helper()
	if err := s.unseal(t.Context()); err != nil {
		t.Fatalf("unseal: %v", err)
	}
}
