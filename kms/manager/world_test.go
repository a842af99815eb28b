package manager_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"coffer/cipher"
	"coffer/internal/secret"
	"coffer/kms"
	"coffer/kms/kmstest"
	"coffer/kms/manager"
	"coffer/object"
)

var _ object.KeyService = (*manager.Manager)(nil)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// Secrets of all configurations of these tests. They must turn up nowhere.
const (
	canaryToken  = "hvs.canary-token"
	canaryMaster = "canary-master-key"
	canarySecret = "canary-secret-id"
)

const builtinKey = "sse-s3"

// site is a backend at an address. What is opened there shares its keys.
type site struct {
	mu    sync.Mutex
	fakes map[cipher.InstanceID]*kmstest.Fake
	first *kmstest.Fake
	down  error // of the factory
	rule  kmstest.Rule
	built int
	open  atomic.Int64
}

// opened is a service that must not be used once it is closed.
type opened struct {
	*kmstest.Fake
	site   *site
	closed atomic.Bool
	calls  atomic.Int64
}

var errClosedUse = errors.New("used after it was closed")

func (o *opened) GenerateKEK(ctx context.Context, keyID string, keyContext []byte) (*cipher.KEK, kms.Wrapped, error) {
	o.calls.Add(1)
	defer o.calls.Add(-1)
	if o.closed.Load() {
		return nil, kms.Wrapped{}, errClosedUse
	}
	return o.Fake.GenerateKEK(ctx, keyID, keyContext)
}

func (o *opened) Unwrap(ctx context.Context, w kms.Wrapped, keyContext []byte) (*cipher.KEK, error) {
	o.calls.Add(1)
	defer o.calls.Add(-1)
	if o.closed.Load() {
		return nil, errClosedUse
	}
	return o.Fake.Unwrap(ctx, w, keyContext)
}

func (o *opened) Close() error {
	if o.calls.Load() != 0 || o.closed.Swap(true) {
		panic("closed twice, or while it was used")
	}
	o.site.open.Add(-1)
	return nil
}

// build is what a factory does.
func (s *site) build(instance cipher.InstanceID) (manager.Service, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.built++
	if s.down != nil {
		return nil, s.down
	}
	f := s.fakes[instance]
	switch {
	case f != nil:
	case s.first == nil:
		f = kmstest.NewFakeInstance(instance)
		s.first = f
	default:
		f = s.first.WithInstance(instance)
	}
	f.SetRule(s.rule)
	s.fakes[instance] = f
	s.open.Add(1)
	return &opened{Fake: f, site: s}, nil
}

// set changes what all of the site's backends do.
func (s *site) set(down error, rule kmstest.Rule) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.down, s.rule = down, rule
	for _, f := range s.fakes {
		f.SetRule(rule)
	}
}

// calls counts calls of a method at all backends of the site.
func (s *site) calls(op kmstest.Op) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for _, f := range s.fakes {
		n += f.Calls(op)
	}
	return n
}

// memory is a ConfigStore.
type memory struct {
	mu   sync.Mutex
	data []byte
	err  error // of Save
}

func (m *memory) Load(context.Context) ([]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.data == nil {
		return nil, fs.ErrNotExist
	}
	return bytes.Clone(m.data), nil
}

func (m *memory) Save(_ context.Context, sealed []byte) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.err == nil {
		m.data = bytes.Clone(sealed)
	}
	return m.err
}

// world is what managers of one server find, one after the other.
type world struct {
	builtin *kmstest.Fake
	sites   map[string]*site
	store   *memory
	log     bytes.Buffer
	options manager.Options
}

func newWorld() *world {
	w := &world{builtin: kmstest.NewFake(), sites: map[string]*site{}, store: &memory{}}
	for _, name := range []string{"https://a", "https://b"} {
		w.sites[name] = &site{fakes: map[cipher.InstanceID]*kmstest.Fake{}}
	}
	w.sites["https://moved-a"] = w.sites["https://a"]
	w.options = manager.Options{
		Builtin: w.builtin, BuiltinKeyID: builtinKey, Store: w.store, ProbeInterval: -1,
		Box:    cipher.NewBox(cipher.NewStoreKey().Derive(cipher.LabelConfig)),
		Logger: slog.New(slog.NewTextHandler(&w.log, nil)),
		Factories: map[string]manager.Factory{
			manager.TypeVault: func(_ context.Context, c manager.Config, instance cipher.InstanceID) (manager.Service, error) {
				s := w.sites[c.Vault.Address]
				if s == nil {
					return nil, &kms.Error{Op: "log in with " + string(c.Vault.Auth.Token.Expose()), Kind: kms.Unavailable}
				}
				return s.build(instance)
			},
		},
	}
	return w
}

// open opens a manager that is closed with the test.
func (w *world) open(t *testing.T) *manager.Manager {
	t.Helper()
	m, err := manager.New(t.Context(), w.options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = m.Close() })
	return m
}

// vault is a configuration of the site at an address.
func vault(address string) manager.Config {
	return manager.Config{
		Type: manager.TypeVault, DefaultKeyID: "app-default",
		Vault: manager.Vault{Address: address, Auth: manager.VaultAuth{Token: secret.New([]byte(canaryToken))}},
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// issued is a KEK and what it is wrapped in.
type issued struct {
	kek *cipher.KEK
	w   kms.Wrapped
}

var keyContext = []byte(`{"bucket":"b"}`)

func issue(t *testing.T, m *manager.Manager, mode cipher.Mode, keyID string) issued {
	t.Helper()
	kek, w, err := m.GenerateKEK(t.Context(), mode, keyID, keyContext)
	if err != nil {
		t.Fatal(err)
	}
	return issued{kek, w}
}

// check unwraps and compares.
func (i issued) check(ctx context.Context, m *manager.Manager) error {
	got, err := m.Unwrap(ctx, i.w, keyContext)
	if err != nil {
		return err
	}
	defer got.Wipe()
	if !got.Equal(i.kek) {
		return errors.New("another KEK came out")
	}
	return nil
}

func wantState(t *testing.T, m *manager.Manager, want manager.State) {
	t.Helper()
	if s := m.Status(); s.State != want {
		t.Errorf("state %v (%s), want %v", s.State, s.Failure, want)
	}
}

func wantKind(t *testing.T, err error, want kms.Kind) {
	t.Helper()
	var e *kms.Error
	if !errors.As(err, &e) || e.Kind != want || !errors.Is(err, want) {
		t.Errorf("got %v, want %v", err, want)
	}
}

// eventually waits until fn is nil.
func eventually(t *testing.T, within time.Duration, fn func() error) {
	t.Helper()
	end := time.Now().Add(within)
	for {
		err := fn()
		if err == nil {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("not within %v: %v", within, err)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

func slow(by time.Duration, ops ...kmstest.Op) kmstest.Rule {
	return func(ctx context.Context, op kmstest.Op, _ string) error {
		for _, o := range ops {
			if o == op {
				select {
				case <-time.After(by):
				case <-ctx.Done():
					return ctx.Err()
				}
			}
		}
		return nil
	}
}

func failing(kind kms.Kind) kmstest.Rule {
	return func(context.Context, kmstest.Op, string) error { return fmt.Errorf("%w: on purpose", kind) }
}
