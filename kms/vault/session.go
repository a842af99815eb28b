package vault

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/hashicorp/vault/api"

	"coffer/kms"
)

const (
	// loginTimeout bounds one login or renewal. Those who wait for a token wait
	// no longer than their own bound.
	loginTimeout = 10 * time.Second
	// revokeTimeout bounds the revocation at Close.
	revokeTimeout = 2 * time.Second
	// A login that failed is tried again after retryFirst, doubling up to
	// retrySick when Vault cannot be reached and up to retryRefused otherwise.
	retryFirst   = 100 * time.Millisecond
	retrySick    = 2 * time.Second
	retryRefused = 10 * time.Second
	// A token is taken for bad no sooner than this after its login: at once when
	// Vault says that it is invalid, seldom when it says only that it denies,
	// which mostly means the policy.
	minTokenAge   = time.Second
	minDeniedAge  = 30 * time.Second
	minRenewPause = 500 * time.Millisecond
)

var errClosed = fmt.Errorf("%w: the backend is closed", kms.Unavailable)

// credential is a token in use.
type credential struct {
	client  *api.Client
	lease   lease
	since   time.Time     // of the login
	full    time.Duration // the ttl that the login gave
	expires time.Time     // zero: unknown or never
}

func (c *credential) expired(now time.Time) bool {
	return !c.expires.IsZero() && !now.Before(c.expires)
}

// hasTime reports whether a renewal that failed can wait: logging in may use up
// what it takes.
func (c *credential) hasTime(now time.Time) bool { return c.expires.Sub(now) > c.full/4 }

// session gets a token and keeps it alive. One goroutine, run, does all logins
// and renewals; the others wait for it.
type session struct {
	auth      Auth
	connector *connector
	log       *slog.Logger
	onAuth    func(op string, took time.Duration, err error)
	wake      chan struct{} // tells run to look again
	stop      context.CancelFunc
	stopped   chan struct{} // closed when run has ended

	mu      sync.Mutex
	current *credential   // nil: none, so one is being got
	fault   error         // why the last login failed; nil while the first one is under way
	changed chan struct{} // closed, and made anew, when one of the two changes
}

func startSession(o Options, c *connector) *session {
	ctx, stop := context.WithCancel(context.Background())
	s := &session{
		auth: o.Auth, connector: c, log: o.Logger, onAuth: o.OnAuth, wake: make(chan struct{}, 1),
		stop: stop, stopped: make(chan struct{}), changed: make(chan struct{}),
	}
	go s.run(ctx)
	return s
}

// run owns the token until the session is closed.
func (s *session) run(ctx context.Context) {
	defer close(s.stopped)
	retry := time.Duration(0)
	for ctx.Err() == nil {
		next, err := s.step(ctx)
		retry = nextRetry(retry, err)
		if err != nil {
			next = jitter(retry)
		}
		timer := time.NewTimer(next)
		select {
		case <-ctx.Done():
		case <-s.wake:
		case <-timer.C:
		}
		timer.Stop()
	}
}

// nextRetry returns how long to wait after a login that ended with err, when it
// was last before that one.
func nextRetry(last time.Duration, err error) time.Duration {
	switch {
	case err == nil:
		return 0
	case kindIn(err) == kms.Unavailable:
		return min(max(2*last, retryFirst), retrySick)
	default:
		return min(max(2*last, retryFirst), retryRefused)
	}
}

// step renews the token or logs in, and says when to do so again.
func (s *session) step(ctx context.Context) (next time.Duration, err error) {
	ctx, cancel := context.WithTimeout(ctx, loginTimeout)
	defer cancel()
	s.mu.Lock()
	current := s.current
	s.mu.Unlock()
	if current != nil && current.lease.renewable && !current.expired(time.Now()) {
		start := time.Now()
		renewed, err := s.renew(ctx, current)
		s.onAuth("renew", time.Since(start), err)
		if err == nil && renewed != nil && s.replace(current, renewed) {
			return renewed.nextStep(), nil
		}
		if kindIn(err) == kms.Unavailable && current.hasTime(time.Now()) {
			s.fail(ctx, err)
			return 0, err
		}
		// Renewal has ended, or is refused. Until a login succeeds the token that is
		// there goes on.
	}
	start := time.Now()
	fresh, err := s.logIn(ctx)
	s.onAuth("login", time.Since(start), err)
	if err != nil {
		s.fail(ctx, err)
		return 0, err
	}
	s.set(fresh)
	return fresh.nextStep(), nil
}

// renew returns nil when renewing does not help any more: the token is near the
// longest life that Vault gives it.
func (s *session) renew(ctx context.Context, old *credential) (*credential, error) {
	now := time.Now()
	answer, err := old.client.Auth().Token().RenewSelfWithContext(ctx, int(old.full.Seconds()))
	if err == nil && (answer == nil || answer.Auth == nil) {
		err = errors.New("the answer tells nothing of the token")
	}
	if err != nil {
		e := newCallError(call{method: "PUT", path: "auth/token/renew-self"}, nil, err, old.lease.token)
		e.text = "renewal: " + e.text
		return nil, e
	}
	renewed := *old
	renewed.lease.ttl = time.Duration(answer.Auth.LeaseDuration) * time.Second
	renewed.lease.renewable = answer.Auth.Renewable
	renewed.expires = expiry(now, renewed.lease.ttl)
	if 2*renewed.lease.ttl <= old.full {
		return nil, nil
	}
	return &renewed, nil
}

// logIn makes a credential. One that has the token in use already keeps its age.
func (s *session) logIn(ctx context.Context) (*credential, error) {
	now := time.Now()
	l, private, err := s.auth.login(ctx, s.connector)
	if err != nil {
		return nil, s.loginError(err, private)
	}
	client, err := s.connector.client(l.token)
	if err != nil {
		return nil, err
	}
	return &credential{client: client, lease: l, since: now, full: l.ttl, expires: expiry(now, l.ttl)}, nil
}

// loginError classifies a failed login. Vault answers wrong credentials with
// 400. What failed before Vault was asked has a kind already.
func (s *session) loginError(err error, private []string) *CallError {
	var e *CallError
	if kind := kms.KindOf(err); kind != kms.Other && kind != kms.Unavailable {
		e = &CallError{Kind: kind, cause: err, text: err.Error()}
	} else {
		e = newCallError(s.auth.loginCall(), nil, err, private...)
	}
	if e.Status == 400 && e.Kind == kms.Invalid {
		e.Kind = kms.Denied
	}
	e.text = "login by " + s.auth.Method() + ": " + e.text
	return e
}

func expiry(from time.Time, ttl time.Duration) time.Time {
	if ttl == 0 {
		return time.Time{}
	}
	return from.Add(ttl)
}

// nextStep is when to renew or to log in: after about half of the lease.
func (c *credential) nextStep() time.Duration {
	next := 365 * 24 * time.Hour
	if c.lease.ttl != 0 {
		next = c.lease.ttl*2/5 + time.Duration(rand.Int64N(int64(c.lease.ttl)/10+1))
	}
	if c.lease.recheck != 0 {
		next = min(next, c.lease.recheck)
	}
	return max(next, minRenewPause)
}

// jitter returns between a half of d and d.
func jitter(d time.Duration) time.Duration { return d/2 + time.Duration(rand.Int64N(int64(d)/2+1)) }

// replace shows a renewed credential, unless the old one was dropped meanwhile.
func (s *session) replace(old, renewed *credential) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.current != old {
		return false
	}
	s.current, s.fault = renewed, nil
	return true
}

// set shows a credential that a login gave.
func (s *session) set(c *credential) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fault != nil {
		s.log.Info("vault login works again", "method", s.auth.Method())
	}
	if s.current != nil && s.current.lease.token == c.lease.token {
		c.since = s.current.since
	}
	s.current, s.fault = c, nil
	s.announce()
}

// fail shows why there is no new token. One that is there stays while it lives.
func (s *session) fail(ctx context.Context, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if errors.Is(ctx.Err(), context.Canceled) {
		return // the session is being closed
	}
	if s.fault == nil || s.fault.Error() != err.Error() {
		s.log.Warn("vault login failed", "method", s.auth.Method(), "error", err)
	}
	if s.current != nil && s.current.expired(time.Now()) {
		s.current = nil
	}
	s.fault = err
	s.announce()
}

// announce wakes those who wait. The caller holds mu.
func (s *session) announce() {
	close(s.changed)
	s.changed = make(chan struct{})
}

// credential returns the token in use. It waits for a login that is under way,
// and fails at once when the last one failed and the next is not due.
func (s *session) credential(ctx context.Context) (*credential, error) {
	for {
		s.mu.Lock()
		current, fault, changed := s.current, s.fault, s.changed
		s.mu.Unlock()
		switch {
		case current != nil && current.expired(time.Now()):
			s.drop(current)
			continue
		case current != nil:
			return current, nil
		case fault != nil:
			return nil, fault
		}
		select {
		case <-changed:
		case <-s.stopped:
			return nil, errClosed
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

// reject reports that Vault denied a call with this token. It returns whether a
// new token is on its way, so that the call is worth repeating.
func (s *session) reject(c *credential, invalid bool) bool {
	age := time.Since(c.since)
	if age < minTokenAge || !invalid && age < minDeniedAge {
		return false
	}
	s.drop(c)
	return true
}

// drop forgets a token and has another one got.
func (s *session) drop(c *credential) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.current == nil || s.current.lease.token != c.lease.token {
		return // it is gone already
	}
	s.current, s.fault = nil, nil
	select {
	case s.wake <- struct{}{}:
	default: // it is awake
	}
}

// close ends the goroutine and revokes a token that nobody else uses.
func (s *session) close() {
	s.stop()
	<-s.stopped
	s.mu.Lock()
	current := s.current
	s.current, s.fault = nil, errClosed
	s.announce()
	s.mu.Unlock()
	if current == nil || !current.lease.own {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), revokeTimeout)
	defer cancel()
	if err := current.client.Auth().Token().RevokeSelfWithContext(ctx, ""); err != nil {
		s.log.Warn("vault token not revoked; it ends with its lease", "error",
			newCallError(call{method: "PUT", path: "auth/token/revoke-self"}, nil, err, current.lease.token))
	}
}

// report describes the token for Report.
func (s *session) report() (expires time.Time, missing bool, fault error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.current != nil {
		expires = s.current.expires
	}
	missing = s.current == nil || s.current.expired(time.Now())
	return expires, missing, s.fault
}
