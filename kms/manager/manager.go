package manager

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"coffer/cipher"
	"coffer/kms"
)

// Defaults of Options.
const (
	DefaultRequestTimeout = 1500 * time.Millisecond
	DefaultProbeInterval  = time.Minute
)

// Options say what a Manager works with.
type Options struct {
	// Builtin is the built-in keyring. Required. It serves from the beginning,
	// is not closed by the Manager, and wraps the KEKs of SSE-S3.
	Builtin Service
	// BuiltinKeyID is the key of SSE-S3 in the built-in keyring. Required. It is
	// made on first use.
	BuiltinKeyID string
	// Factories build the backends of each Config.Type but the built-in keyring.
	Factories map[string]Factory
	// Store keeps the configuration, which Box seals. Required.
	Store ConfigStore
	Box   *cipher.Box
	// Given is a configuration from the environment or the configuration file.
	// Where it is set, it is what is started, whatever was kept; what was kept
	// stays for what it has wrapped.
	Given *Config
	// NoStandIn begins as NotConfigured: the built-in keyring does not stand in
	// for the configured KMS until there is one.
	NoStandIn bool
	// SSES3OnKMS moves the KEKs of SSE-S3 that are made from now on to the
	// configured KMS and its default key.
	SSES3OnKMS bool
	// References counts what still needs an instance; RemoveInstance asks it.
	// An instance cannot be removed where it is nil.
	References func(ctx context.Context, instance cipher.InstanceID) (Counts, error)
	// KeyReferences counts what still needs a key. Where it is set, keys whose
	// waiting time before deletion has passed and that nothing needs are destroyed;
	// where it is nil, none is.
	KeyReferences func(ctx context.Context, key kms.KeyRef) (Counts, error)
	// KeyMaxAge is the maximum age of keys for which none is set; zero means that
	// they never become due.
	KeyMaxAge time.Duration
	// RotateDue rotates keys whose newest version is older than their maximum age.
	RotateDue bool
	// OnSwept is told of keys that were destroyed, kept or rotated because they
	// were due, such as to rewrap what a rotated one has wrapped; may be nil.
	OnSwept func(ctx context.Context, swept []Swept)
	// OnRevoke ends running streams and handles, for ClearCache; may be nil.
	OnRevoke func()
	// Observe is told of every use of a key on the request path, in the
	// goroutine that asked; may be nil.
	Observe func(ctx context.Context, use Use)
	// Record keeps a record of every use of a key, the background's too, in the
	// goroutine that uses it and before anybody gets what comes of it. Where it
	// fails, so does the use. May be nil.
	Record func(ctx context.Context, use Use) error
	// Watcher is told what the backends do; may be nil.
	Watcher Watcher
	// Logger is told what happens in the background; none when nil.
	Logger *slog.Logger

	// RequestTimeout bounds every call on the path of a request, retries
	// included. DefaultRequestTimeout when zero.
	RequestTimeout time.Duration
	// ProbeInterval is the pause between probes of the serving backend.
	// DefaultProbeInterval when zero; no probes when negative.
	ProbeInterval time.Duration
	// SweepInterval is the pause between sweeps for keys that are due.
	// DefaultSweepInterval when zero.
	SweepInterval time.Duration
}

// Validate reports all faults of o at once.
func (o Options) Validate() error {
	var errs []error
	fault := func(is bool, text string) {
		if is {
			errs = append(errs, errors.New("manager: "+text))
		}
	}
	fault(o.Builtin == nil, "Options.Builtin is nil")
	fault(kms.CheckKeyID(o.BuiltinKeyID) != nil, "Options.BuiltinKeyID is no key id")
	fault(o.Store == nil, "Options.Store is nil")
	fault(o.Box == nil, "Options.Box is nil")
	fault(o.RequestTimeout < 0, "Options.RequestTimeout is negative")
	fault(o.SweepInterval < 0, "Options.SweepInterval is negative")
	if o.Given != nil {
		if err := o.Given.WithDefaults().Validate(); err != nil {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// Counts is what still needs a backend instance, or a key of it.
type Counts struct {
	KEKs    uint64 `json:"keks"`
	Objects uint64 `json:"objects"`
	Uploads uint64 `json:"uploads"` // in progress
	Open    uint64 `json:"open"`    // streams, handles and writes that began under it
}

// InUseError says that an instance cannot be removed. It wraps kms.InUse.
type InUseError struct{ Counts Counts }

// Error tells the counts.
func (e *InUseError) Error() string {
	c := e.Counts
	return fmt.Sprintf("%v: %d KEKs, %d objects, %d uploads and %d that are open need it", kms.InUse, c.KEKs, c.Objects, c.Uploads, c.Open)
}

// Unwrap returns kms.InUse.
func (e *InUseError) Unwrap() error { return kms.InUse }

var errClosed = fmt.Errorf("%w: the key service is closing", kms.Unavailable)

// Manager is the key service of the engine and the life of its backends.
//
// Locks are taken in this order: life, mu, instance.mu, leases.mu, then those of
// handle, tasks, surveys and versions, under which nothing is taken. A backend is called under life
// alone.
type Manager struct {
	o       Options
	leases  *leases
	builtin *instance
	kick    chan struct{} // wakes the background; has room for one

	ctx    context.Context // ends with Close
	cancel context.CancelFunc

	tasks    tasks
	surveyed surveys
	versions versions

	life chan struct{} // holds one token; who takes it may change the configuration

	mu        sync.RWMutex // guards what follows
	phase     phase
	chosen    *Config   // what is configured; nil in phaseNone
	pending   *Config   // is to be started as soon as it can be
	serving   *instance // makes the KEKs of SSE-KMS; nil: nobody does
	last      *instance // that was configured and running last
	instances map[cipher.InstanceID]*instance
	targets   map[string]*Config
	failure   error // of the last start
	probe     Probe
}

// New opens what is kept and begins to serve. A backend that cannot be reached
// is no error: it is tried again until it can. The caller closes the Manager.
func New(ctx context.Context, o Options) (*Manager, error) {
	if err := o.Validate(); err != nil {
		return nil, &kms.Error{Op: "open key service", Kind: kms.Configuration, Err: err}
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	setDefault(&o.RequestTimeout, DefaultRequestTimeout)
	setDefault(&o.ProbeInterval, DefaultProbeInterval)
	setDefault(&o.SweepInterval, DefaultSweepInterval)
	m := &Manager{
		o: o, leases: newLeases(), kick: make(chan struct{}, 1), life: make(chan struct{}, 1),
		phase: phaseNone, instances: map[cipher.InstanceID]*instance{}, targets: map[string]*Config{},
		surveyed: surveys{kick: make(chan struct{}, 1)},
	}
	m.o.Builtin = m.watch(o.Builtin, BackendBuiltin)
	m.ctx, m.cancel = context.WithCancel(context.WithoutCancel(ctx))
	m.life <- struct{}{}
	r, err := m.load(ctx)
	if err == nil {
		err = m.restore(r)
	}
	if err != nil {
		m.cancel()
		return nil, kms.NewError("open key service", "", err)
	}
	m.spawn(m.background)
	if o.KeyReferences != nil || o.RotateDue || o.Watcher != nil {
		m.spawn(m.sweeps)
	}
	return m, nil
}

// restore takes in what was kept, and Options.Given over it.
func (m *Manager) restore(r record) error {
	m.builtin = &instance{
		id: m.o.Builtin.Instance(), builtin: true, config: &Config{Type: TypeLocal},
		handle: &handle{service: m.o.Builtin},
	}
	*m.builtin.config = m.builtin.config.WithDefaults()
	m.instances[m.builtin.id] = m.builtin
	for _, kept := range r.Instances {
		id, err := cipher.ParseInstanceID(kept.ID)
		if err != nil || id == m.builtin.id {
			return fmt.Errorf("%w: %w: instance %q", kms.Configuration, ErrDamaged, kept.ID)
		}
		c := kept.Config.config().WithDefaults()
		m.instances[id] = &instance{id: id, created: kept.Created, config: &c, proof: kept.Proof}
	}
	for _, t := range r.Targets {
		c := t.Config.config()
		m.targets[t.Name] = &c
	}
	m.phase = r.Phase
	if r.Config != nil {
		c := r.Config.config().WithDefaults()
		m.chosen = &c
	}
	if id, err := cipher.ParseInstanceID(r.Serving); err == nil {
		m.last = m.instances[id]
	}
	if m.phase != phaseNone && m.chosen == nil {
		return fmt.Errorf("%w: %w: no configuration", kms.Configuration, ErrDamaged)
	}
	m.begin()
	m.configureCache()
	return nil
}

// begin brings what is configured to where it was.
func (m *Manager) begin() {
	switch {
	case m.o.Given != nil:
		m.adoptGiven(m.o.Given.WithDefaults())
	case m.phase == phaseRunning && m.last != nil:
		m.serving = m.last
	case m.phase == phaseRunning:
		m.pending = m.chosen // it was given, and never could be started
	case m.phase == phaseStopped && m.last != nil && !m.last.builtin:
		m.last.halted = true
	default:
		m.standIn()
	}
}

// adoptGiven makes a configuration that was given the one to start. One at a
// known place is that instance, the others are found out in the background.
func (m *Manager) adoptGiven(c Config) {
	m.phase, m.chosen = phaseRunning, &c
	if c.isBuiltin() {
		m.serving, m.last = m.builtin, m.builtin
		return
	}
	if known := m.atPlace(c.place()); known != nil {
		known.config = &c
		m.serving, m.last = known, known
		return
	}
	m.pending = &c
}

// standIn lets the built-in keyring serve where nobody has started another. The
// caller holds mu, or is alone.
func (m *Manager) standIn() {
	m.serving = nil
	if !m.o.NoStandIn && (m.phase == phaseNone || m.phase == phaseConfigured) {
		m.serving = m.builtin
	}
}

// atPlace finds the instance at a place, nil where there is none.
func (m *Manager) atPlace(place string) *instance {
	if place == "" {
		return nil
	}
	for _, in := range m.instances {
		if c, _ := in.snapshot(); !in.builtin && c.place() == place {
			return in
		}
	}
	return nil
}

// settings are those of what is configured, else the defaults. The caller holds
// mu, or is alone.
func (m *Manager) settings() Config {
	if m.chosen != nil {
		return *m.chosen
	}
	return Config{Type: TypeLocal}.WithDefaults()
}

// configureCache takes over the cache settings. The caller holds mu, or is
// alone.
func (m *Manager) configureCache() {
	c := m.settings()
	m.leases.configure(!c.NoCache, c.MaxCachedKeys, c.CacheTTL)
}

// surveys are what was last found out about keys.
type surveys struct {
	kick chan struct{} // asks for another; has room for one

	mu   sync.Mutex
	last []KeySurvey
}

// tasks are goroutines that Close waits for.
type tasks struct {
	mu     sync.RWMutex
	closed bool
	wg     sync.WaitGroup
}

// spawn runs fn in a goroutine that Close waits for; false after Close.
func (m *Manager) spawn(fn func()) bool {
	m.tasks.mu.RLock()
	defer m.tasks.mu.RUnlock()
	if m.tasks.closed {
		return false
	}
	m.tasks.wg.Go(fn)
	return true
}

// make builds a backend. The error tells no secret.
func (m *Manager) make(ctx context.Context, c Config, instance cipher.InstanceID) (Service, error) {
	const op = "open backend"
	f := m.o.Factories[c.Type]
	if f == nil {
		return nil, &kms.Error{Op: op, Kind: kms.Unsupported, Err: fmt.Errorf("this server has no backend of type %q", c.Type)}
	}
	service, err := f(ctx, c, instance)
	if err != nil {
		return nil, c.safe(op, err)
	}
	return m.watch(service, c.Type), nil
}

// Close ends the background, waits for what is under way, closes the backends
// but the built-in keyring, and wipes the cache.
func (m *Manager) Close() error {
	m.tasks.mu.Lock()
	closed := m.tasks.closed
	m.tasks.closed = true
	m.tasks.mu.Unlock()
	if closed {
		return nil
	}
	m.cancel()
	m.tasks.wg.Wait()
	<-m.life                         // a change that is under way ends, and no other begins
	for _, in := range m.instances { // nobody changes them any more
		if !in.builtin {
			in.halt(true)
		}
	}
	m.leases.configure(false, 0, 0)
	return nil
}
