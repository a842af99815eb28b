package vault

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync/atomic"
	"time"

	"coffer/cipher"
	"coffer/kms"
)

var (
	_ kms.Backend        = (*Backend)(nil)
	_ kms.Admin          = (*Backend)(nil)
	_ kms.Creator        = (*Backend)(nil)
	_ kms.Lifecycle      = (*Backend)(nil)
	_ kms.Describer      = (*Backend)(nil)
	_ kms.Crypter        = (*Backend)(nil)
	_ kms.Wrapper        = (*Backend)(nil)
	_ kms.BatchRewrapper = (*Backend)(nil)
	_ kms.Reporter       = (*Backend)(nil)
	_ kms.Capable        = (*Backend)(nil)
)

// Backend is the Transit engine at one mount of one Vault.
type Backend struct {
	options   Options
	connector *connector
	session   *session
	breaker   *breaker
	slots     chan struct{} // holds one for each call under way
	creating  chan struct{} // holds one while a key is being made
	states    *states
	unbound   *names
	version   *atomic.Pointer[string] // of Vault, as it told last
}

// Open returns a backend, and logs in behind the scenes: it succeeds while Vault
// is sealed or away. Health tells whether Vault serves. Every failure has Kind
// Configuration.
//
// The caller closes the backend.
func Open(o Options) (*Backend, error) {
	b, err := open(o)
	if err != nil {
		return nil, &kms.Error{Op: "open vault", Kind: kms.Configuration, Err: err}
	}
	return b, nil
}

func open(o Options) (*Backend, error) {
	if err := o.Validate(); err != nil {
		return nil, err
	}
	o = o.withDefaults()
	c, err := newConnector(o)
	if err != nil {
		return nil, err
	}
	if _, err := c.client(""); err != nil { // it fails now or never
		return nil, err
	}
	b := &Backend{
		options: o, connector: c, session: startSession(o, c), slots: make(chan struct{}, o.InFlight),
		breaker:  &breaker{failures: o.BreakerFailures, pause: o.BreakerPause, now: time.Now},
		creating: make(chan struct{}, 1), unbound: &names{known: map[string]bool{}},
		version: new(atomic.Pointer[string]),
	}
	b.states = newStates(b)
	return b, nil
}

// Close ends the backend, once no call is under way. Every later operation fails
// with Unavailable.
func (b *Backend) Close() error {
	b.session.close()
	b.connector.transport.CloseIdleConnections()
	return nil
}

// Instance implements kms.Backend.
func (b *Backend) Instance() cipher.InstanceID { return b.options.Instance }

// Health implements kms.Backend: it fails when Vault cannot be reached, is
// sealed or not the one that serves, when the token is no good, and when no
// Transit engine is mounted where it should be. It does not look at keys.
func (b *Backend) Health(ctx context.Context) error {
	err := b.operate(ctx, "check vault", "", true, b.health)
	if err == nil {
		b.breaker.hint()
	}
	return err
}

func (b *Backend) health(ctx context.Context) error {
	if err := b.sealed(ctx); err != nil {
		return err
	}
	var found mountAnswer
	err := b.undisturbed(ctx, b.mountCall(b.options.Mount), &found)
	denied := new(CallError)
	switch {
	case errors.As(err, &denied) && denied.Kind == kms.Denied && !denied.invalidToken:
		return b.missingMount(ctx, denied)
	case err != nil:
		return err
	case found.Data.Type != "transit":
		return fmt.Errorf("%w: the engine mounted at %s is not transit", kms.Configuration, b.options.Mount)
	}
	return nil
}

// sealed asks what a server tells everybody.
func (b *Backend) sealed(ctx context.Context) error {
	c := call{method: http.MethodGet, path: "sys/health"}
	client, err := b.connector.client("")
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, b.options.AdminTimeout)
	defer cancel()
	state, err := client.WithNamespace("").Sys().HealthWithContext(ctx) // it is known at the root alone
	if err == nil {
		b.version.Store(&state.Version)
	}
	switch {
	case err != nil:
		return newCallError(c, nil, err)
	case !state.Initialized:
		return c.fault(errors.New("Vault is not initialised"))
	case state.Sealed:
		return c.fault(errors.New("Vault is sealed"))
	case state.ReplicationDRMode == "secondary":
		return c.fault(errors.New("Vault is the secondary of a disaster recovery pair"))
	default:
		return nil
	}
}

// mountAnswer describes an engine.
type mountAnswer struct {
	Data struct {
		Type    string            `json:"type"`
		Options map[string]string `json:"options"`
	} `json:"data"`
}

// mountCall asks what is mounted at a path. Every token may that may use
// anything below it; others are denied, whether something is there or not.
func (b *Backend) mountCall(path string) call {
	return call{method: http.MethodGet, path: "sys/internal/ui/mounts/" + path, admin: true, asks: true}
}

// missingMount tells a mount that is missing from one that is not allowed,
// where the token may see the difference.
func (b *Backend) missingMount(ctx context.Context, denied *CallError) error {
	c := b.listCall()
	c.asks = true
	failed := new(CallError)
	if err := b.undisturbed(ctx, c, &struct{}{}); errors.As(err, &failed) && failed.Kind == kms.Configuration {
		return err
	}
	denied.text += fmt.Sprintf(" or nothing is mounted at %s", b.options.Mount)
	return denied
}

// undisturbed makes one attempt that the circuit breaker neither stops nor counts.
func (b *Backend) undisturbed(ctx context.Context, c call, into any) error {
	apart := *b
	apart.breaker = &breaker{failures: 1, now: time.Now}
	c.once = true
	return apart.do(ctx, c, into)
}
