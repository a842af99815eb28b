package kmstest_test

import (
	"context"
	"errors"
	"testing"

	"coffer/kms"
	"coffer/kms/kmstest"
)

func TestFakeConformance(t *testing.T) {
	t.Parallel()
	kmstest.Run(t, func(*testing.T) kmstest.Backend { return kmstest.NewFake() })
}

func TestFakeStates(t *testing.T) {
	t.Parallel()
	tests := []struct {
		state kms.State
		want  error // of operations that encrypt
	}{
		{kms.StateEnabled, nil},
		{kms.StateDisabled, kms.Disabled},
		{kms.StatePendingDeletion, kms.InvalidState},
	}
	for _, tt := range tests {
		t.Run(tt.state.String(), func(t *testing.T) {
			t.Parallel()
			f := kmstest.NewFake("k")
			_, w, err := f.GenerateKEK(t.Context(), "k", nil)
			if err != nil {
				t.Fatal(err)
			}
			f.SetState("k", tt.state)
			_, _, generateErr := f.GenerateKEK(t.Context(), "k", nil)
			_, rewrapErr := f.Rewrap(t.Context(), w, nil)
			_, rotateErr := f.RotateKey(t.Context(), "k")
			for _, err := range []error{generateErr, rewrapErr, rotateErr} {
				if !errors.Is(err, tt.want) {
					t.Errorf("%v, want %v", err, tt.want)
				}
			}
			if _, err := f.Unwrap(t.Context(), w, nil); err != nil {
				t.Errorf("unwrap: %v", err)
			}
		})
	}
}

func TestFakeRuleAndCalls(t *testing.T) {
	t.Parallel()
	f := kmstest.NewFake("k")
	f.SetRule(func(_ context.Context, op kmstest.Op, keyID string) error {
		if op == kmstest.OpGenerateKEK && keyID == "k" {
			return kms.Throttled
		}
		return nil
	})
	if _, _, err := f.GenerateKEK(t.Context(), "k", nil); !errors.Is(err, kms.Throttled) {
		t.Errorf("got %v", err)
	}
	f.SetRule(nil)
	if _, _, err := f.GenerateKEK(t.Context(), "k", nil); err != nil {
		t.Error(err)
	}
	if n := f.Calls(kmstest.OpGenerateKEK); n != 2 {
		t.Errorf("%d calls counted", n)
	}
	f.Destroy("k")
	if _, err := f.DescribeKey(t.Context(), "k"); !errors.Is(err, kms.NotFound) {
		t.Errorf("a destroyed key: %v", err)
	}
}
