package base_test

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"coffer/cipher"
	"coffer/kms"
	"coffer/kms/base"
)

// TestRefused shows that a backend's functions see nothing that is beyond a limit,
// and nothing once the caller has left.
func TestRefused(t *testing.T) {
	t.Parallel()
	d, k := base.Data{}, base.Keys{} // a call of a function would panic
	good := kms.Wrapped{KeyID: "k", Ciphertext: []byte("c")}
	long := make([]byte, kms.MaxContextSize+1)
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	for name, tt := range map[string]struct {
		call func(ctx context.Context) error
		want kms.Kind
	}{
		"generate: id":      {func(ctx context.Context) error { _, _, err := d.GenerateKEK(ctx, "a\nb", nil); return err }, kms.Invalid},
		"generate: context": {func(ctx context.Context) error { _, _, err := d.GenerateKEK(ctx, "k", long); return err }, kms.Invalid},
		"unwrap: nothing":   {func(ctx context.Context) error { _, err := d.Unwrap(ctx, kms.Wrapped{KeyID: "k"}, nil); return err }, kms.Invalid},
		"rewrap: context":   {func(ctx context.Context) error { _, err := d.Rewrap(ctx, good, long); return err }, kms.Invalid},
		"encrypt: nothing":  {func(ctx context.Context) error { _, err := d.Encrypt(ctx, "k", nil, nil); return err }, kms.Invalid},
		"decrypt: context":  {func(ctx context.Context) error { _, err := d.Decrypt(ctx, good, long); return err }, kms.Invalid},
		"wrap: wiped KEK":   {func(ctx context.Context) error { _, err := d.WrapKEK(ctx, "k", &cipher.KEK{}, nil); return err }, kms.Invalid},
		"create: usage": {func(ctx context.Context) error {
			_, err := k.CreateKeyWith(ctx, kms.KeySpec{KeyID: "k", Usage: "SignVerify"})
			return err
		}, kms.Unsupported},
		"create: id":   {func(ctx context.Context) error { _, err := k.CreateKey(ctx, ""); return err }, kms.Invalid},
		"describe: id": {func(ctx context.Context) error { _, err := k.DescribeKey(ctx, ""); return err }, kms.Invalid},
		"rotate: id": {func(ctx context.Context) error {
			_, err := k.RotateKey(ctx, strings.Repeat("k", kms.MaxKeyIDSize+1))
			return err
		}, kms.Invalid},
		"destroy: id":         {func(ctx context.Context) error { return k.DestroyKey(ctx, "\xff") }, kms.Invalid},
		"tag: id":             {func(ctx context.Context) error { _, err := k.SetTags(ctx, "", nil); return err }, kms.Invalid},
		"list: after leaving": {func(context.Context) error { _, err := k.ListKeys(ended, "", 0); return err }, kms.Unavailable},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := tt.call(t.Context())
			if e := new(kms.Error); !errors.As(err, &e) || e.Kind != tt.want {
				t.Errorf("got %v (%T), want %v", err, err, tt.want)
			}
			if err := tt.call(ended); !errors.Is(err, context.Canceled) {
				t.Errorf("after the caller has left: %v", err)
			}
		})
	}
}

// TestWiped shows that nobody finds a plaintext that nobody got.
func TestWiped(t *testing.T) {
	t.Parallel()
	w := kms.Wrapped{KeyID: "k", Ciphertext: []byte("c")}
	for name, use := range map[string]func(base.Data) error{
		"unwrap":  func(d base.Data) error { _, err := d.Unwrap(t.Context(), w, nil); return err },
		"rewrap":  func(d base.Data) error { _, err := d.Rewrap(t.Context(), w, nil); return err },
		"decrypt": func(d base.Data) error { _, err := d.Decrypt(t.Context(), w, nil); return err },
	} {
		for _, failure := range []error{nil, kms.Crypto} {
			plaintext := bytes.Repeat([]byte{7}, cipher.KeySize)
			d := base.Data{
				Open: func(context.Context, kms.Wrapped, []byte) (base.Opened, error) {
					return base.Opened{Plaintext: plaintext}, failure
				},
				Seal: func(context.Context, string, []byte, []byte) (kms.Wrapped, error) { return w, nil },
			}
			err := use(d)
			kept := name == "decrypt" && failure == nil
			if !errors.Is(err, failure) || !kept != bytes.Equal(plaintext, make([]byte, cipher.KeySize)) {
				t.Errorf("%s after %v: %v, and the plaintext is %x", name, failure, err, plaintext)
			}
		}
	}
}

// TestOwned shows that callers cannot change what a backend keeps, and that a
// change that fails leaves nothing behind.
func TestOwned(t *testing.T) {
	t.Parallel()
	kept := kms.KeyInfo{
		ID: "k", State: kms.StateEnabled, Tags: map[string]string{"a": "b"},
		Versions: []kms.KeyVersion{{Number: 1, Created: time.Unix(1, 0)}},
	}
	k := base.Keys{
		List: func(context.Context) ([]kms.KeyInfo, error) { return []kms.KeyInfo{kept}, nil },
		Amend: func(_ context.Context, _ string, fn func(*kms.KeyInfo) error) (kms.KeyInfo, error) {
			next := kept
			if err := fn(&next); err != nil {
				return kms.KeyInfo{}, err
			}
			kept = next
			return kept, nil
		},
	}
	spoil := func(info kms.KeyInfo, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		info.Tags["a"], info.Versions[0].Number = "spoilt", 9
	}
	spoil(k.DescribeKey(t.Context(), "k"))
	spoil(k.SetTags(t.Context(), "k", map[string]string{"c": "d"}))
	page, err := k.ListKeys(t.Context(), "", 0)
	if err != nil || len(page.Keys) != 1 {
		t.Fatalf("%+v, %v", page, err)
	}
	spoil(page.Keys[0], nil)
	if _, err := k.SetTags(t.Context(), "k", map[string]string{"": "no name"}); !errors.Is(err, kms.Invalid) {
		t.Errorf("tagged with %v", err)
	}
	want := kms.KeyInfo{
		ID: "k", State: kms.StateEnabled, Tags: map[string]string{"a": "b", "c": "d"},
		Versions: []kms.KeyVersion{{Number: 1, Created: time.Unix(1, 0)}},
	}
	if diff := cmp.Diff(want, kept); diff != "" {
		t.Error(diff)
	}
}
