package vault_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"coffer/internal/secret"
	"coffer/kms"
	"coffer/kms/vault"
	"coffer/kms/vault/vaulttest"
)

// behindProxy opens a backend that has a token already.
func behindProxy(t *testing.T, o vault.Options) (*vault.Backend, *vaulttest.Proxy) {
	t.Helper()
	o.Mount = setUp(t, shared)
	proxy := vaulttest.NewProxy(t, shared)
	o.Address, o.Auth = proxy.Address, token(fullToken(t, shared, o.Mount))
	b := open(t, o)
	eventually(t, recovery, func() error {
		_, _, err := b.GenerateKEK(t.Context(), testKey, nil)
		return err
	})
	proxy.ResetCalls()
	return b, proxy
}

// faultCase is a fault and what comes of it.
type faultCase struct {
	name  string
	fault vaulttest.Fault
	want  kms.Kind
	calls int // attempts
	is    error
}

// TestFaults puts every fault between a backend and its server.
func TestFaults(t *testing.T) {
	t.Parallel()
	page := func(status int) vaulttest.Fault {
		return func(w http.ResponseWriter, _ *http.Request) bool {
			w.WriteHeader(status)
			_, _ = w.Write([]byte("<html>canary-text</html>"))
			return true
		}
	}
	tests := []faultCase{
		{"slow", vaulttest.Slow(time.Minute), kms.Unavailable, 2, vault.ErrSlow},
		{"403", vaulttest.Status(403, "permission denied"), kms.Denied, 1, nil},
		{"429", vaulttest.Status(429, "rate limit quota exceeded"), kms.Throttled, 3, nil},
		{"429 for an hour", vaulttest.Header("Retry-After", "3600", vaulttest.Status(429)), kms.Throttled, 1, nil},
		{"412", vaulttest.Status(412), kms.Unavailable, 3, nil},
		{"472", vaulttest.Status(472), kms.Unavailable, 3, nil},
		{"473", vaulttest.Status(473), kms.Unavailable, 3, nil},
		{"500", vaulttest.Status(500, "internal error"), kms.Unavailable, 3, nil},
		{"503", vaulttest.Status(503, "Vault is sealed"), kms.Unavailable, 3, nil},
		{"cut", vaulttest.Cut, kms.Unavailable, 3, nil},
		{"cut short", vaulttest.CutShort, kms.Unavailable, 3, nil},
		{"404 of something else", page(404), kms.Configuration, 1, nil},
		{"502 of something else", page(502), kms.Unavailable, 3, nil},
		{"200 of something else", page(200), kms.BackendFailure, 3, nil},
		{"400", vaulttest.Status(400, "who knows"), kms.Invalid, 1, nil},
		{"413", vaulttest.Status(413), kms.Invalid, 1, nil},
		{"endless", endless, kms.Unavailable, 3, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			testFault(t, tt)
		})
	}
}

func testFault(t *testing.T, tt faultCase) {
	t.Helper()
	b, proxy := behindProxy(t, vault.Options{BreakerFailures: 100})
	kek, w, err := b.GenerateKEK(t.Context(), testKey, testContext())
	if err != nil {
		t.Fatal(err)
	}
	for name, call := range map[string]func() error{
		"datakey": func() error { _, _, err := b.GenerateKEK(t.Context(), testKey, testContext()); return err },
		"decrypt": func() error { _, err := b.Unwrap(t.Context(), w, testContext()); return err },
		"rewrap":  func() error { _, err := b.Rewrap(t.Context(), w, testContext()); return err },
	} {
		proxy.ResetCalls()
		proxy.SetFault(tt.fault)
		begin := time.Now()
		err := call()
		took := time.Since(begin)
		proxy.SetFault(nil)
		wantError(t, err, tt.want, name)
		if tt.is != nil && !errors.Is(err, tt.is) {
			t.Errorf("%s: %v is not %v", name, err, tt.is)
		}
		// A loaded machine may run out of time before the last attempt.
		hurried := took > vault.DefaultCallTimeout/2
		if n := proxy.Calls(name); n > tt.calls || n < tt.calls && !hurried || n < 1 {
			t.Errorf("%s: %d attempts, want %d", name, n, tt.calls)
		}
		if took > vault.DefaultCallTimeout+time.Second {
			t.Errorf("%s: it took %v", name, took)
		}
		if strings.Contains(err.Error(), "canary") {
			t.Errorf("%s: the error shows what is no answer of Vault: %v", name, err)
		}
	}
	eventually(t, recovery, func() error {
		got, err := b.Unwrap(t.Context(), w, testContext())
		if err == nil && !got.Equal(kek) {
			t.Error("another KEK")
		}
		return err
	})
}

// endless answers with more than anybody should read.
func endless(w http.ResponseWriter, _ *http.Request) bool {
	block := bytes.Repeat([]byte(" "), 1<<20)
	for range 20 {
		if _, err := w.Write(block); err != nil {
			break
		}
	}
	return true
}

// TestBatchAnswers has a server that mixes up the results of a batch.
func TestBatchAnswers(t *testing.T) {
	t.Parallel()
	b, proxy := behindProxy(t, patient(vault.Options{}))
	_, v := issue(t, b)
	_, w := issue(t, b)
	items := []kms.RewrapItem{{Wrapped: v, Context: testContext()}, {Wrapped: w, Context: testContext()}}
	type result map[string]string
	first, second := result{"ciphertext": string(v.Ciphertext), "reference": "0"}, result{"ciphertext": string(w.Ciphertext), "reference": "1"}
	for name, results := range map[string][]result{
		"good": {first, second}, "other order": {second, first}, "one short": {first}, "one more": {first, second, second}, "none": nil,
	} {
		proxy.SetFault(vaulttest.On("rewrap", func(w http.ResponseWriter, _ *http.Request) bool {
			return json.NewEncoder(w).Encode(map[string]any{"data": map[string]any{"batch_results": results}}) == nil
		}))
		for i, r := range b.RewrapBatch(t.Context(), items) {
			if name != "good" {
				wantError(t, r.Err, kms.BackendFailure)
			} else if diff := cmp.Diff(items[i].Wrapped, r.Wrapped); r.Err != nil || diff != "" {
				t.Errorf("item %d: %v\n%s", i, r.Err, diff)
			}
		}
	}
}

// TestRetries shows that one bad moment is not noticed.
func TestRetries(t *testing.T) {
	t.Parallel()
	b, proxy := behindProxy(t, patient(vault.Options{}))
	for name, fault := range map[string]vaulttest.Fault{
		"500": vaulttest.Status(500), "429": vaulttest.Header("Retry-After", "1", vaulttest.Status(429)), "cut": vaulttest.Cut,
	} {
		proxy.SetFault(vaulttest.Times(2, fault))
		begin := time.Now()
		_, w := issue(t, b)
		if took := time.Since(begin); name == "429" && took < 2*time.Second {
			t.Errorf("Vault asked twice for a second, and had %v", took)
		}
		proxy.SetFault(vaulttest.Times(2, fault))
		if _, err := b.DescribeKey(t.Context(), testKey); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := b.Rewrap(t.Context(), w, testContext()); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestOnce shows that what is not idempotent is tried once.
func TestOnce(t *testing.T) {
	t.Parallel()
	b, proxy := behindProxy(t, patient(vault.Options{State: newMemory()}))
	fail := vaulttest.Status(500)
	for _, tt := range []struct {
		method, path string
		call         func() error
	}{
		{http.MethodPut, "/keys/new", func() error { _, err := b.CreateKey(t.Context(), "new"); return err }},
		{http.MethodPut, "/keys/app-default/rotate", func() error { _, err := b.RotateKey(t.Context(), testKey); return err }},
		{http.MethodDelete, "/keys/app-default", func() error { return b.DestroyKey(t.Context(), testKey) }},
	} {
		proxy.SetFault(func(w http.ResponseWriter, r *http.Request) bool { return r.Method == tt.method && fail(w, r) })
		proxy.ResetCalls()
		wantError(t, tt.call(), kms.Unavailable, tt.method+" ", tt.path)
		if n := proxy.Calls(tt.method); n != 1 {
			t.Errorf("%s %s: %d calls", tt.method, tt.path, n)
		}
	}
}

// TestBreaker opens the circuit and looks at what comes through.
func TestBreaker(t *testing.T) {
	t.Parallel()
	const pause = 700 * time.Millisecond
	b, proxy := behindProxy(t, patient(vault.Options{Attempts: 1, BreakerFailures: 3, BreakerPause: pause}))
	call := func() error { _, _, err := b.GenerateKEK(t.Context(), testKey, nil); return err }
	proxy.SetFault(vaulttest.Status(500))
	for range 3 {
		wantError(t, call(), kms.Unavailable, "status 500")
	}
	opened := time.Now()
	err := call()
	wantError(t, err, kms.Unavailable, "circuit")
	failed := new(vault.CallError)
	if !errors.Is(err, vault.ErrCircuitOpen) || !errors.As(err, &failed) || failed.RetryAfter <= 0 || failed.RetryAfter > pause {
		t.Errorf("the open circuit says %v, and to wait %v", err, failed.RetryAfter)
	}
	if n := proxy.Calls("datakey"); n != 3 {
		t.Errorf("%d calls came through, want 3", n)
	}

	// One of many is let through, and opens it again.
	proxy.ResetCalls()
	proxy.SetFault(func(w http.ResponseWriter, r *http.Request) bool {
		return vaulttest.Slow(pause/2)(w, r) || vaulttest.Status(500)(w, r)
	})
	time.Sleep(time.Until(opened.Add(pause)))
	if c := b.Report().Circuit; c != kms.CircuitHalfOpen {
		t.Errorf("the circuit is %v", c)
	}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() { wantError(t, call(), kms.Unavailable) })
	}
	wg.Wait()
	if n := proxy.Calls("datakey"); n != 1 {
		t.Errorf("%d calls came through, want 1", n)
	}
	if c := b.Report().Circuit; c != kms.CircuitOpen {
		t.Errorf("the circuit is %v", c)
	}

	proxy.SetFault(nil)
	eventually(t, recovery, call)
	if c := b.Report().Circuit; c != kms.CircuitClosed {
		t.Errorf("the circuit is %v", c)
	}
}

// TestBreakerIgnores shows what does not open the circuit: refusals, throttling
// and callers who leave.
func TestBreakerIgnores(t *testing.T) {
	t.Parallel()
	b, proxy := behindProxy(t, vault.Options{Attempts: 1, BreakerFailures: 2})
	for _, fault := range []vaulttest.Fault{vaulttest.Status(403), vaulttest.Status(429), vaulttest.Status(400)} {
		proxy.SetFault(fault)
		for range 3 {
			if _, _, err := b.GenerateKEK(t.Context(), testKey, nil); err == nil {
				t.Error("it works")
			}
		}
	}
	proxy.SetFault(vaulttest.Slow(time.Minute))
	for range 3 {
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		_, _, err := b.GenerateKEK(ctx, testKey, nil)
		cancel()
		wantError(t, err, kms.Unavailable, "deadline exceeded")
	}
	proxy.SetFault(nil)
	issue(t, b)
}

// TestHealthHelps shows that a check that is well ends the pause of the circuit.
func TestHealthHelps(t *testing.T) {
	t.Parallel()
	b, proxy := behindProxy(t, patient(vault.Options{Attempts: 1, BreakerFailures: 1, BreakerPause: time.Hour}))
	proxy.SetFault(vaulttest.On("datakey", vaulttest.Status(500)))
	_, _, err := b.GenerateKEK(t.Context(), testKey, nil)
	wantError(t, err, kms.Unavailable)
	proxy.SetFault(nil)
	_, _, err = b.GenerateKEK(t.Context(), testKey, nil)
	wantError(t, err, kms.Unavailable, "circuit")
	if err := b.Health(t.Context()); err != nil {
		t.Fatal(err)
	}
	issue(t, b)
}

// TestConcurrency shows the bound of calls at once, and what happens to those
// who wait too long.
func TestConcurrency(t *testing.T) {
	t.Parallel()
	const limit = 3
	b, proxy := behindProxy(t, vault.Options{InFlight: limit, BreakerFailures: 1000})
	var now, most atomic.Int32
	release := make(chan struct{})
	proxy.SetFault(func(_ http.ResponseWriter, r *http.Request) bool {
		n := now.Add(1)
		defer now.Add(-1)
		for old := most.Load(); n > old && !most.CompareAndSwap(old, n); old = most.Load() {
		}
		select {
		case <-release:
		case <-r.Context().Done():
		}
		return false
	})
	var busy atomic.Int32
	var wg sync.WaitGroup
	for range 4 * limit {
		wg.Go(func() {
			if _, _, err := b.GenerateKEK(t.Context(), testKey, nil); errors.Is(err, vault.ErrBusy) {
				busy.Add(1)
			}
		})
	}
	wg.Wait()
	close(release)
	if most.Load() > limit || busy.Load() == 0 {
		t.Errorf("%d calls at once, limit %d; %d gave up waiting", most.Load(), limit, busy.Load())
	}
	if n := b.Report().InFlight; n != 0 {
		t.Errorf("%d calls under way", n)
	}
	eventually(t, recovery, func() error { _, _, err := b.GenerateKEK(t.Context(), testKey, nil); return err })
}

// TestQuota has Vault itself throttle.
func TestQuota(t *testing.T) {
	t.Parallel()
	mount := setUp(t, shared)
	b := open(t, patient(vault.Options{Mount: mount, Attempts: 1, Auth: token(fullToken(t, shared, mount))}))
	issue(t, b)
	shared.Quota(t, mount, 2)
	throttled := 0
	for range 10 {
		_, _, err := b.GenerateKEK(t.Context(), testKey, nil)
		if err != nil {
			wantError(t, err, kms.Throttled, "status 429", "quota")
			throttled++
		}
	}
	if c := b.Report().Circuit; throttled == 0 || c != kms.CircuitClosed {
		t.Errorf("%d of 10 calls throttled, the circuit is %v", throttled, c)
	}
	stubborn := open(t, patient(vault.Options{Mount: mount, Attempts: 10, Auth: token(fullToken(t, shared, mount))}))
	for range 4 {
		issue(t, stubborn)
	}
}

// TestSecrets has a server that repeats what it is sent, and looks for it in
// errors and in the log.
func TestSecrets(t *testing.T) {
	t.Parallel()
	mount := setUp(t, shared)
	policy := shared.Policy(t, vaulttest.DataPolicy(mount, testKey))
	role := shared.AppRole(t, vaulttest.AppRole{Policies: []string{policy}, TTL: time.Hour})
	given := fullToken(t, shared, mount)
	canary := []byte("canary-0a1b2c\n{\"a\":\"<b>\"}")
	var log lockedBuffer
	logger := slog.New(slog.NewTextHandler(&log, nil))
	proxy := vaulttest.NewProxy(t, shared)
	byRole := vault.AppRole{Mount: role.Mount, RoleID: role.ID, SecretID: secret.New([]byte(role.SecretID))}
	for name, auth := range map[string]vault.Auth{"token": token(given), "approle": byRole} {
		o := vault.Options{Address: proxy.Address, Mount: mount, Auth: auth, Logger: logger, BreakerFailures: 1000}
		proxy.SetFault(nil)
		b := open(t, patient(o))
		kek, w, err := b.GenerateKEK(t.Context(), testKey, canary)
		if err != nil {
			t.Fatal(err)
		}
		proxy.SetFault(vaulttest.Echo)
		_, _, generateErr := b.GenerateKEK(t.Context(), testKey, canary)
		_, unwrapErr := b.Unwrap(t.Context(), w, canary)
		_, wrapErr := b.WrapKEK(t.Context(), testKey, kek, canary)
		batch := b.RewrapBatch(t.Context(), []kms.RewrapItem{{Wrapped: w, Context: canary}})
		_, _, loginErr := open(t, patient(o)).GenerateKEK(t.Context(), testKey, canary)
		all := errors.Join(generateErr, unwrapErr, wrapErr, batch[0].Err, loginErr, b.Health(t.Context())).Error() + log.String()
		if strings.Count(all, "is not shown") < 5 || !strings.Contains(log.String(), "vault login failed") {
			t.Errorf("%s: too little was tried:\n%s", name, all)
		}
		for what, text := range map[string]string{
			"token": given, "secret id": role.SecretID, "context": "canary-0a1b2c", "KEK": string(kek.Expose()),
			"context in base64": "Y2FuYXJ5", "token kind": "hvs.",
		} {
			if strings.Contains(all, text) {
				t.Errorf("%s: the %s shows in:\n%s", name, what, all)
			}
		}
	}
	proxy.SetFault(nil)
}

// lockedBuffer is a buffer for a log.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}
