package secret_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"coffer/internal/secret"
)

// TestNoForm prints a secret in every way there is.
func TestNoForm(t *testing.T) {
	t.Parallel()
	const text = "hunter2hunter2"
	v := secret.New([]byte(text))
	holder := struct{ P secret.Value }{v}
	var log bytes.Buffer
	slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "secret", v, "holder", holder)
	slog.New(slog.NewTextHandler(&log, nil)).Info("x", "secret", v, "holder", holder)
	shown := log.String()
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d", "%T"} {
		shown += fmt.Sprintf(verb, v) + fmt.Sprintf(verb, holder) + fmt.Sprintf(verb, &holder)
	}
	if _, err := json.Marshal(holder); err == nil {
		t.Error("a secret was marshalled")
	}
	for _, form := range []string{text, fmt.Sprintf("%x", text), fmt.Sprint([]byte(text))} {
		if strings.Contains(shown, form) {
			t.Errorf("%q shows in:\n%s", form, shown)
		}
	}
}

func TestValue(t *testing.T) {
	t.Parallel()
	text := []byte("hunter2")
	v := secret.New(text)
	clear(text)
	if string(v.Expose()) != "hunter2" || v.IsZero() {
		t.Errorf("New keeps the caller's slice, or loses it: %q", v.Expose())
	}
	other := v
	v.Wipe()
	if strings.Trim(string(other.Expose()), "\x00") != "" {
		t.Error("a copy is not wiped")
	}
	if !secret.New(nil).IsZero() || !(secret.Value{}).IsZero() {
		t.Error("an empty value is not zero")
	}
}
