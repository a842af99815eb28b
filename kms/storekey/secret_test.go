package storekey

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
)

func TestSecretsDoNotPrint(t *testing.T) {
	t.Parallel()
	const words = "hush-hush"
	s := secret(t, Passphrase, words)
	slot := NewSlot{Secret: s, Label: "l"}
	var log bytes.Buffer
	slog.New(slog.NewTextHandler(&log, nil)).Info("m", "secret", s, "slot", slot)
	texts := []string{log.String(), s.String()}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		texts = append(texts, fmt.Sprintf(verb, s), fmt.Sprintf(verb, &s), fmt.Sprintf(verb, slot), fmt.Sprintf(verb, struct{ s Secret }{s}))
	}
	for _, text := range texts {
		for _, form := range []string{words, fmt.Sprintf("%x", words), fmt.Sprint([]byte(words))} {
			if strings.Contains(text, form) {
				t.Errorf("%q tells the secret", text)
			}
		}
	}
	if _, err := json.Marshal(slot); !errors.Is(err, ErrEncode) {
		t.Errorf("encoded as JSON: %v", err)
	}
	if _, err := s.MarshalText(); !errors.Is(err, ErrEncode) {
		t.Errorf("encoded as text: %v", err)
	}
}

func TestSecretLimits(t *testing.T) {
	t.Parallel()
	keyFile := func(n int) func() (Secret, error) {
		return func() (Secret, error) { return KeyFileSecret(make([]byte, n)) }
	}
	passphrase := func(n int) func() (Secret, error) {
		return func() (Secret, error) { return PassphraseSecret(make([]byte, n)) }
	}
	environment := func(n int) func() (Secret, error) {
		return func() (Secret, error) { return EnvironmentSecret(strings.Repeat("x", n)) }
	}
	tests := []struct {
		name string
		make func() (Secret, error)
		ok   bool
	}{
		{"key file 0", keyFile(0), false},
		{"key file 31", keyFile(31), false},
		{"key file 32", keyFile(32), true},
		{"key file 64 KiB", keyFile(MaxKeyFileSize), true},
		{"key file above", keyFile(MaxKeyFileSize + 1), false},
		{"passphrase 0", passphrase(0), false},
		{"passphrase 1", passphrase(1), true},
		{"passphrase 1 KiB", passphrase(MaxPassphraseSize), true},
		{"passphrase above", passphrase(MaxPassphraseSize + 1), false},
		{"environment 0", environment(0), false},
		{"environment 1", environment(1), true},
		{"environment above", environment(MaxPassphraseSize + 1), false},
	}
	for _, tt := range tests {
		_, err := tt.make()
		if tt.ok && err != nil || !tt.ok && !errors.Is(err, ErrSecret) {
			t.Errorf("%s: %v", tt.name, err)
		}
	}
}

// TestSecretIsACopy lets the caller wipe what it made the Secret of.
func TestSecretIsACopy(t *testing.T) {
	t.Parallel()
	content := NewKeyFile()
	s, err := KeyFileSecret(content)
	if err != nil {
		t.Fatal(err)
	}
	want := bytes.Clone(content)
	clear(content)
	if !bytes.Equal(*s.m.bytes, want) {
		t.Error("the Secret changed with the caller's bytes")
	}
}

func TestNewKeyFile(t *testing.T) {
	t.Parallel()
	a, b := NewKeyFile(), NewKeyFile()
	if bytes.Equal(a, b) || len(a) != 65 || a[64] != '\n' {
		t.Errorf("%q and %q", a, b)
	}
}

func TestCost(t *testing.T) {
	t.Parallel()
	tests := []struct {
		cost Cost
		ok   bool
	}{
		{DefaultCost(), true},
		{Cost{8, 1, 1}, true},
		{Cost{7, 1, 1}, false},
		{Cost{MaxMemoryKiB, MaxPasses, MaxLanes}, true},
		{Cost{MaxMemoryKiB + 1, 1, 1}, false},
		{Cost{1<<32 - 1, 1, 1}, false},
		{Cost{1024, 0, 1}, false},
		{Cost{1024, MaxPasses + 1, 1}, false},
		{Cost{1024, 1, 0}, false},
		{Cost{1024, 1, MaxLanes + 1}, false},
		{Cost{8*64 - 1, 1, 64}, false},
		{Cost{}, false},
	}
	for _, tt := range tests {
		if err := tt.cost.Validate(); tt.ok && err != nil || !tt.ok && !errors.Is(err, ErrCost) {
			t.Errorf("%+v: %v", tt.cost, err)
		}
	}
}

func TestSlotKeyDependsOnEverything(t *testing.T) {
	t.Parallel()
	type input struct {
		kind  Kind
		words string
		salt  string
		cost  Cost
	}
	inputs := []input{
		{KeyFile, "a", "salt-salt-salt-1", Cost{}},
		{KeyFile, "a", "salt-salt-salt-2", Cost{}},
		{KeyFile, "b", "salt-salt-salt-1", Cost{}},
		{Passphrase, "a", "salt-salt-salt-1", Cost{16, 1, 2}},
		{Passphrase, "b", "salt-salt-salt-1", Cost{16, 1, 2}},
		{Passphrase, "a", "salt-salt-salt-2", Cost{16, 1, 2}},
		{Passphrase, "a", "salt-salt-salt-1", Cost{32, 1, 2}},
		{Passphrase, "a", "salt-salt-salt-1", Cost{16, 2, 2}},
		{Passphrase, "a", "salt-salt-salt-1", Cost{16, 1, 1}},
	}
	seen := map[string]input{}
	for _, in := range inputs {
		key, err := secret(t, in.kind, in.words).slotKey([]byte(in.salt), in.cost)
		if err != nil {
			t.Fatal(err)
		}
		if other, ok := seen[string(key.Expose())]; ok {
			t.Errorf("%+v and %+v give one key", in, other)
		}
		seen[string(key.Expose())] = in
	}
}
