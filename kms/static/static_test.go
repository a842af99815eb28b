package static_test

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"testing"

	"coffer/cipher"
	"coffer/kms"
	"coffer/kms/kmstest"
	"coffer/kms/static"
)

func text(keyID string, key []byte) []byte {
	return []byte(keyID + ":" + base64.StdEncoding.EncodeToString(key))
}

func mustOpen(t *testing.T, text []byte) *static.Static {
	t.Helper()
	s, err := static.Open(text)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func TestConformance(t *testing.T) {
	t.Parallel()
	kmstest.RunFixed(t, func(t *testing.T) kmstest.FixedBackend {
		return mustOpen(t, text(kmstest.FixedKey, cipher.NewMasterKey().Expose()))
	})
}

func TestSameTextIsTheSameBackend(t *testing.T) {
	t.Parallel()
	key := bytes.Repeat([]byte{7}, 32)
	a, b := mustOpen(t, text("a:b", key)), mustOpen(t, append(text("a:b", key), '\n'))
	if a.KeyID() != "a:b" || a.Instance() != b.Instance() {
		t.Errorf("%q %v, %q %v", a.KeyID(), a.Instance(), b.KeyID(), b.Instance())
	}
	kek, w, err := a.GenerateKEK(t.Context(), "a:b", []byte("c"))
	if err != nil {
		t.Fatal(err)
	}
	if got, err := b.Unwrap(t.Context(), w, []byte("c")); err != nil || !got.Equal(kek) {
		t.Errorf("another KEK, %v", err)
	}
	for name, other := range map[string][]byte{"id": text("a:c", key), "key": text("a:b", bytes.Repeat([]byte{8}, 32))} {
		if mustOpen(t, other).Instance() == a.Instance() {
			t.Errorf("another %s is the same instance", name)
		}
	}
}

// TestGolden opens what was wrapped by the first version of this package.
func TestGolden(t *testing.T) {
	t.Parallel()
	s := mustOpen(t, text("lab", bytes.Repeat([]byte{7}, 32)))
	if got := s.Instance().String(); got != goldenInstance {
		t.Errorf("instance %s, was %s", got, goldenInstance)
	}
	ciphertext, err := base64.StdEncoding.DecodeString(goldenCiphertext)
	if err != nil {
		t.Fatal(err)
	}
	kek, err := s.Unwrap(t.Context(), kms.Wrapped{KeyID: "lab", Ciphertext: ciphertext}, []byte("context"))
	if err != nil || !bytes.Equal(kek.Expose(), bytes.Repeat([]byte{9}, 32)) {
		t.Errorf("another KEK, %v", err)
	}
}

func TestOpenRefuses(t *testing.T) {
	t.Parallel()
	const canary = "c2VjcmV0LWNhbmFyeS0xMjM0NTY3ODk"
	for name, text := range map[string]string{
		"nothing":      "",
		"no colon":     canary,
		"no id":        ":" + canary,
		"bad id":       "a\nb:" + canary,
		"not base64":   "id:" + canary + "!",
		"too short":    "id:" + base64.StdEncoding.EncodeToString([]byte(canary)[:16]),
		"too long":     "id:" + base64.StdEncoding.EncodeToString([]byte(canary+canary)),
		"key in front": base64.StdEncoding.EncodeToString([]byte(canary+"1")) + ":id",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := static.Open([]byte(text))
			if !errors.Is(err, kms.Configuration) {
				t.Fatalf("got %v", err)
			}
			for _, secret := range []string{canary, base64.StdEncoding.EncodeToString([]byte(canary)[:16])[:12]} {
				if strings.Contains(fmt.Sprintf("%+v %#v", err, err), secret) {
					t.Errorf("the error tells the key: %v", err)
				}
			}
		})
	}
}

func TestClosed(t *testing.T) {
	t.Parallel()
	s := mustOpen(t, text("k", bytes.Repeat([]byte{7}, 32)))
	_, w, err := s.GenerateKEK(t.Context(), "k", nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(s.Close(), s.Close()); err != nil {
		t.Fatal(err)
	}
	_, _, generateErr := s.GenerateKEK(t.Context(), "k", nil)
	_, unwrapErr := s.Unwrap(t.Context(), w, nil)
	for _, err := range []error{generateErr, unwrapErr, s.Health(t.Context())} {
		if !errors.Is(err, kms.Unavailable) {
			t.Errorf("got %v", err)
		}
	}
}

// TestNoSecretIsPrinted prints a backend in every way.
func TestNoSecretIsPrinted(t *testing.T) {
	t.Parallel()
	key := []byte("canary-canary-canary-canary-1234")
	s := mustOpen(t, text("k", key))
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x", "%d"} {
		shown := fmt.Sprintf(verb, s) + fmt.Sprintf(verb, struct{ s *static.Static }{s})
		for _, form := range []string{string(key), fmt.Sprintf("%x", key), strings.Trim(fmt.Sprint(key), "[]")} {
			if strings.Contains(shown, form) {
				t.Errorf("%s shows the key", verb)
			}
		}
	}
}
