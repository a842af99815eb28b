package kms_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"coffer/kms"
)

func TestBlob(t *testing.T) {
	t.Parallel()
	w := kms.Wrapped{KeyID: "kä", Ciphertext: []byte("vault:v1:xyz")}
	blob := w.Blob()
	want := append([]byte{0, 0, 0, 3, 'k', 0xc3, 0xa4}, "vault:v1:xyz"...)
	if diff := cmp.Diff(want, blob); diff != "" {
		t.Errorf("blob (-want +got):\n%s", diff)
	}
	keyID, ciphertext, err := kms.ParseBlob(blob)
	if err != nil || keyID != w.KeyID || !bytes.Equal(ciphertext, w.Ciphertext) {
		t.Errorf("parsed %q, %q, %v", keyID, ciphertext, err)
	}
}

func TestParseBlobRefuses(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		blob []byte
	}{
		{"nothing", nil},
		{"half a length", []byte{0, 0, 0}},
		{"no key id", []byte{0, 0, 0, 0, 'c'}},
		{"no ciphertext", []byte{0, 0, 0, 1, 'k'}},
		{"key id cut", []byte{0, 0, 0, 2, 'k'}},
		{"length beyond the limit", append([]byte{0, 0, 1, 1}, bytes.Repeat([]byte("k"), 300)...)},
		{"huge length", []byte{0xff, 0xff, 0xff, 0xff, 'k', 'c'}},
		{"key id not UTF-8", []byte{0, 0, 0, 1, 0xff, 'c'}},
		{"control character", []byte{0, 0, 0, 1, '\n', 'c'}},
		{"ciphertext too long", append([]byte{0, 0, 0, 1, 'k'}, make([]byte, kms.MaxCiphertextSize+1)...)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if _, _, err := kms.ParseBlob(tt.blob); !errors.Is(err, kms.Invalid) {
				t.Errorf("got %v, want %v", err, kms.Invalid)
			}
		})
	}
}

func FuzzParseBlob(f *testing.F) {
	f.Add(kms.Wrapped{KeyID: "k", Ciphertext: []byte("c")}.Blob())
	f.Add([]byte{0, 0, 0, 2, 'k'})
	f.Fuzz(func(t *testing.T, blob []byte) {
		keyID, ciphertext, err := kms.ParseBlob(blob)
		if err != nil {
			return
		}
		w := kms.Wrapped{KeyID: keyID, Ciphertext: ciphertext}
		if err := w.Check(); err != nil {
			t.Errorf("parsed and refused: %v", err)
		}
		if !bytes.Equal(w.Blob(), blob) {
			t.Errorf("%x came back as %x", blob, w.Blob())
		}
	})
}

func TestLimits(t *testing.T) {
	t.Parallel()
	if err := kms.CheckContext(make([]byte, kms.MaxContextSize)); err != nil {
		t.Error(err)
	}
	if err := kms.CheckContext(make([]byte, kms.MaxContextSize+1)); !errors.Is(err, kms.Invalid) {
		t.Errorf("got %v", err)
	}
	if err := kms.CheckKeyID(strings.Repeat("k", kms.MaxKeyIDSize)); err != nil {
		t.Error(err)
	}
	if err := kms.CheckKeyID(strings.Repeat("k", kms.MaxKeyIDSize+1)); !errors.Is(err, kms.Invalid) {
		t.Errorf("got %v", err)
	}
}

func TestErrors(t *testing.T) {
	t.Parallel()
	wrapped := fmt.Errorf("%w: version 3", kms.Crypto)
	tests := []struct {
		name string
		err  error
		kind kms.Kind
		text string
	}{
		{"kind alone", kms.NewError("unwrap KEK", "k", kms.NotFound), kms.NotFound, `kms: unwrap KEK key "k": key not found`},
		{"kind wrapped", kms.NewError("unwrap KEK", "k", wrapped), kms.Crypto, `kms: unwrap KEK key "k": cryptographic failure: version 3`},
		{"kind apart", &kms.Error{Op: "ping", Kind: kms.Denied, Err: fs.ErrPermission}, kms.Denied, "kms: ping: access denied by the key service: permission denied"},
		{"no cause", &kms.Error{Op: "ping", Kind: kms.Denied}, kms.Denied, "kms: ping: access denied by the key service"},
		{"no kind", kms.NewError("ping", "", fs.ErrClosed), kms.Other, "kms: ping: file already closed"},
		{"context ended", kms.NewError("ping", "", context.DeadlineExceeded), kms.Unavailable, "kms: ping: key service unavailable: context deadline exceeded"},
		{"named already", kms.NewError("outer", "o", kms.NewError("inner", "i", kms.InUse)), kms.InUse, `kms: inner key "i": key is in use`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if got := kms.KindOf(tt.err); got != tt.kind || !errors.Is(tt.err, tt.kind) {
				t.Errorf("kind %v, want %v", got, tt.kind)
			}
			if got := kms.KindOf(fmt.Errorf("more: %w", tt.err)); got != tt.kind {
				t.Errorf("wrapped: kind %v, want %v", got, tt.kind)
			}
			for _, other := range kms.Kinds() {
				if other != tt.kind && errors.Is(tt.err, other) {
					t.Errorf("it is also %v", other)
				}
			}
			if got := tt.err.Error(); got != tt.text {
				t.Errorf("text %q, want %q", got, tt.text)
			}
		})
	}
	if kms.NewError("ping", "", nil) != nil {
		t.Error("no error became one")
	}
}

func TestKindsHaveWords(t *testing.T) {
	t.Parallel()
	seen := map[string]kms.Kind{}
	for _, k := range kms.Kinds() {
		if other, ok := seen[k.Error()]; ok || strings.HasPrefix(k.Error(), "Kind(") {
			t.Errorf("kind %d says %q, as kind %d", uint8(k), k.Error(), uint8(other))
		}
		seen[k.Error()] = k
	}
}

func TestStates(t *testing.T) {
	t.Parallel()
	tests := []struct {
		state kms.State
		valid bool
		text  string
		want  error
	}{
		{0, false, "State(0)", kms.InvalidState},
		{kms.StateEnabled, true, "Enabled", nil},
		{kms.StateDisabled, true, "Disabled", kms.Disabled},
		{kms.StatePendingDeletion, true, "PendingDeletion", kms.InvalidState},
		{4, false, "State(4)", kms.InvalidState},
	}
	for _, tt := range tests {
		if tt.state.Valid() != tt.valid || tt.state.String() != tt.text || tt.state.CheckEncrypt() != tt.want {
			t.Errorf("%d: %v %v %v", uint8(tt.state), tt.state.Valid(), tt.state, tt.state.CheckEncrypt())
		}
	}
}
