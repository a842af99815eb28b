package vault

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"coffer/kms"
)

func TestNames(t *testing.T) {
	t.Parallel()
	tests := map[string]string{ // key id to Transit name
		"app-default": "app-default", "a.b_C-9": "a.b_C-9", "_": "_",
		"tenant/a": "coffer.x.tenant-2fa", "-a": "coffer.x.-2da", "a.": "coffer.x.a-2e", "..": "coffer.x.-2e-2e",
		"coffer.x.a": "coffer.x.coffer-2ex-2ea", "ä": "coffer.x.-c3-a4", "a b": "coffer.x.a-20b", "a\\": "coffer.x.a-5c",
	}
	for id, name := range tests {
		if got := nameOf(id); got != name {
			t.Errorf("%q is named %q, want %q", id, got, name)
		}
		if got, err := idOf(name); err != nil || got != id {
			t.Errorf("%q is the name of %q, %v, want %q", name, got, err, id)
		}
	}
	for _, name := range []string{
		"", "a/b", "coffer.x.", "coffer.x.-", "coffer.x.-2", "coffer.x.-2F", "coffer.x.-zz", "coffer.x.a", "coffer.x.-61", "coffer.x.-00", "coffer.x.-ff",
	} {
		if id, err := idOf(name); !errors.Is(err, kms.Unsupported) {
			t.Errorf("%q is the name of %q, %v", name, id, err)
		}
	}
}

func FuzzNames(f *testing.F) {
	// This is how Transit itself recognises a name.
	transit := regexp.MustCompile(`^\w(([\w-.]+)?\w)?$`)
	for _, seed := range []string{"a", "a/b", "coffer.x.-2f", "..", "ä", strings.Repeat("k", 256)} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if kms.CheckKeyID(s) == nil {
			name := nameOf(s)
			if id, err := idOf(name); err != nil || id != s || !transit.MatchString(name) {
				t.Errorf("%q is named %q, which is the name of %q, %v", s, name, id, err)
			}
		}
		if id, err := idOf(s); err == nil && (nameOf(id) != s || kms.CheckKeyID(id) != nil) {
			t.Errorf("%q is the name of %q, which is named %q", s, id, nameOf(id))
		}
		if isName(s) != transit.MatchString(s) {
			t.Errorf("%q: %v", s, isName(s))
		}
	})
}

func TestVersionOf(t *testing.T) {
	t.Parallel()
	body := base64.StdEncoding.EncodeToString(make([]byte, 61)) // whose last digit has bits to spare
	for text, want := range map[string]uint32{"vault:v1:" + body: 1, "vault:v42:" + body: 42, "vault:v4294967295:" + body: 1<<32 - 1} {
		if got, err := versionOf([]byte(text)); err != nil || got != want {
			t.Errorf("%q: %d, %v", text, got, err)
		}
	}
	for _, text := range []string{
		"", "vault", "vault:v1", "vault:v1:", "vault:v0:" + body, "vault:v01:" + body, "vault:v+1:" + body, "vault:v-1:" + body,
		"vault:v4294967296:" + body, "vault:1:" + body, "Vault:v1:" + body, " vault:v1:" + body, "vault:v1:" + body + "\n",
		"vault:v1:" + body[:4] + "\n" + body[4:], "vault:v1:" + strings.TrimRight(body, "="), "vault:v1:" + strings.Replace(body, "A==", "B==", 1),
		"vault:v1:" + body + ":" + body, "vault:v1:-" + body[1:],
	} {
		if got, err := versionOf([]byte(text)); !errors.Is(err, kms.Crypto) {
			t.Errorf("%q: %d, %v", text, got, err)
		}
	}
}

func TestShow(t *testing.T) {
	t.Parallel()
	private := []string{"hvs.secret", `{"a":"b"}`, "abc"}
	tests := []struct{ text, want string }{
		{"permission  denied\n", "permission denied"},
		{"a\x1b[31mb\x00c\u0085d", "a [31mb c d"},
		{"you sent hvs.secret", "not shown"},
		{"you sent " + base64.StdEncoding.EncodeToString([]byte("hvs.secret")), "not shown"},
		{`you sent {\"a\":\"b\"}`, "not shown"},
		{"abc", "abc"}, // too short to be a secret, and everywhere
		{strings.Repeat("ä", 1000), strings.Repeat("ä", maxShown/2) + "…"},
	}
	for _, tt := range tests {
		if got := show(tt.text, private); !strings.Contains(got, tt.want) || len(got) > maxShown+len("…") {
			t.Errorf("%q is shown as %q", tt.text, got)
		}
	}
}

// TestBreakerSteps walks through what tests over a network cannot time.
func TestBreakerSteps(t *testing.T) {
	t.Parallel()
	now := time.Unix(0, 0)
	b := &breaker{failures: 2, pause: time.Minute, now: func() time.Time { return now }}
	enter := func() func(outcome) {
		t.Helper()
		leave, _, ok := b.enter()
		if !ok {
			t.Fatal("the circuit is open")
		}
		return leave
	}
	stopped := func() {
		t.Helper()
		if _, _, ok := b.enter(); ok {
			t.Fatal("a call came through")
		}
	}
	enter()(outcomeSick)
	enter()(outcomeWell) // in a row is what counts
	enter()(outcomeSick)
	enter()(outcomeNone)
	late, later := enter(), enter()
	enter()(outcomeSick)
	stopped()
	late(outcomeWell) // began before it opened, and tells nothing
	stopped()
	now = now.Add(time.Minute)
	probe := enter()
	stopped()
	probe(outcomeNone) // whoever probed has left: the next one may
	probe = enter()
	stopped()
	probe(outcomeSick)
	stopped()
	now = now.Add(time.Minute)
	enter()(outcomeWell)
	later(outcomeSick)
	if b.state() != kms.CircuitClosed || b.inARow != 0 {
		t.Errorf("it is %v, with %d failures", b.state(), b.inARow)
	}
}

// TestRemember shows that a state that was read before a change is not kept.
func TestRemember(t *testing.T) {
	t.Parallel()
	s := &states{known: map[string]knownState{}}
	s.remember("k", kms.StateEnabled, 0)
	if s.known["k"].state != kms.StateEnabled {
		t.Error("not remembered")
	}
	s.remember("k", kms.StateDisabled, -1)
	s.remember("k", kms.StateEnabled, 0)
	if s.known["k"].state != kms.StateDisabled {
		t.Error("an old state replaces a change")
	}
	s.remember("k", 0, -1)
	if _, known := s.known["k"]; known {
		t.Error("not forgotten")
	}
}

func TestNextRetry(t *testing.T) {
	t.Parallel()
	for kind, want := range map[kms.Kind]time.Duration{kms.Unavailable: retrySick, kms.Denied: retryRefused} {
		last := time.Duration(0)
		for range 20 {
			next := nextRetry(last, &CallError{Kind: kind})
			if next < retryFirst || last != 0 && next > 2*last {
				t.Errorf("after %v: %v", last, next)
			}
			last = next
		}
		if last != want {
			t.Errorf("%v ends at %v", kind, last)
		}
	}
	if got := nextRetry(time.Minute, nil); got != 0 {
		t.Errorf("after a success: %v", got)
	}
}

// fakeStore holds one record, or fails.
type fakeStore struct {
	record []byte
	err    error
	loads  int
}

func (*fakeStore) Place() string { return "fake" }

func (f *fakeStore) Load(context.Context, string) ([]byte, uint64, error) {
	f.loads++
	return f.record, 1, f.err
}

func (f *fakeStore) Save(context.Context, string, []byte, uint64) error { return f.err }

// TestStateGetsOld shows when a state is read again, and that a failure to do so
// stops nobody else.
func TestStateGetsOld(t *testing.T) {
	t.Parallel()
	store := &fakeStore{record: []byte(`{"format":1,"key_id":"k","state":"Disabled"}`)}
	s := &states{fallback: store, chosen: time.Now(), known: map[string]knownState{}}
	check := func(want error, loads int) {
		t.Helper()
		if err := s.checkEncrypt(t.Context(), "k"); !errors.Is(err, want) || store.loads != loads {
			t.Errorf("%v after %d loads, want %v after %d", err, store.loads, want, loads)
		}
	}
	check(kms.Disabled, 1)
	check(kms.Disabled, 1)
	store.record = nil
	check(kms.Disabled, 1)
	s.known["k"] = knownState{kms.StateDisabled, time.Now().Add(-stateFresh)}
	check(nil, 2)
	check(nil, 2)
	s.known["k"] = knownState{kms.StateEnabled, time.Now().Add(-stateFresh)}
	store.err = kms.Throttled
	check(kms.Throttled, 3)
	check(kms.Throttled, 4) // nothing is known any more
	store.err = nil
	check(nil, 5)
	for i := range 2 * maxStates {
		s.remember(fmt.Sprint(i), kms.StateEnabled, s.epoch)
	}
	if n := len(s.known); n > maxStates {
		t.Errorf("%d states remembered", n)
	}
}
