package vault

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/hashicorp/vault/api"

	"coffer/kms"
)

const (
	backoffFirst = 100 * time.Millisecond
	backoffMost  = 2 * time.Second
)

// call is one operation of Vault's API.
type call struct {
	method  string // of HTTP: GET, PUT or DELETE
	path    string // without /v1/
	query   url.Values
	body    any      // becomes JSON
	private []string // must not show in errors
	engine  string   // what should be mounted there, for errors
	once    bool     // not to be repeated: it changes something each time
	admin   bool     // bounded by AdminTimeout instead of CallTimeout
	asks    bool     // being denied is one of the answers, and says nothing of the token
}

// operate runs an operation of package kms: fn makes its calls. On the data
// path they share CallTimeout; admin calls have bounds of their own.
func (b *Backend) operate(ctx context.Context, op, keyID string, admin bool, fn func(context.Context) error) error {
	bounded, cancel := ctx, context.CancelFunc(func() {})
	if !admin {
		bounded, cancel = context.WithTimeoutCause(ctx, b.options.CallTimeout, ErrSlow)
	}
	defer cancel()
	err := fn(bounded)
	if err != nil && ctx.Err() != nil && kindIn(err) == kms.Unavailable {
		err = ctx.Err() // what failed since the caller left says nothing of Vault
	}
	return newError(op, keyID, err)
}

// kindIn is kms.KindOf for errors that have not become a *kms.Error yet.
func kindIn(err error) kms.Kind {
	if failed := new(CallError); errors.As(err, &failed) {
		return failed.Kind
	}
	return kms.KindOf(err)
}

// do makes a call, within its bounds, and puts the answer into into. Every
// failure is a *CallError.
func (b *Backend) do(ctx context.Context, c call, into any) error {
	if ctx.Err() != nil {
		return c.fault(context.Cause(ctx))
	}
	select {
	case b.slots <- struct{}{}:
	case <-ctx.Done():
		return c.fault(ErrBusy)
	}
	defer func() { <-b.slots }()
	for attempt := 1; ; attempt++ {
		err := b.attempt(ctx, c, into)
		failed := new(CallError)
		if !errors.As(err, &failed) || !failed.retry || c.once || attempt == b.options.Attempts {
			return err
		}
		pause := max(jitter(min(backoffFirst<<(attempt-1), backoffMost)), failed.RetryAfter)
		if !sleep(ctx, pause) {
			return err
		}
	}
}

// attemptTimeout leaves the data path time for a second attempt.
func (b *Backend) attemptTimeout(c call) time.Duration {
	if c.admin {
		return b.options.AdminTimeout
	}
	return b.options.CallTimeout * 2 / 3
}

// fault is the failure of a call that never got there.
func (c call) fault(cause error) *CallError {
	return &CallError{Method: c.method, Path: c.path, Kind: kms.Unavailable, cause: cause, text: cause.Error()}
}

// sleep returns false, and at once, when ctx would end first.
func sleep(ctx context.Context, d time.Duration) bool {
	if deadline, ok := ctx.Deadline(); ok && time.Until(deadline) <= d {
		return false
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// attempt asks the circuit breaker, makes the call and tells it the outcome.
func (b *Backend) attempt(ctx context.Context, c call, into any) (err error) {
	leave, wait, ok := b.breaker.enter()
	if !ok {
		e := c.fault(ErrCircuitOpen)
		e.RetryAfter = wait
		return e
	}
	defer func() { kms.NoteAttempt(ctx, err) }()
	told := outcomeNone
	defer func() { leave(told) }()
	ctx, cancel := context.WithTimeoutCause(ctx, b.attemptTimeout(c), ErrSlow)
	defer cancel()
	token, err := b.session.credential(ctx)
	if err != nil {
		return c.noToken(err)
	}
	err = b.send(ctx, token, c, into)
	if b.worthAnotherToken(c, token, err) {
		if token, err = b.session.credential(ctx); err != nil {
			return c.noToken(err)
		}
		err = b.send(ctx, token, c, into)
	}
	told = healthOf(ctx, err)
	return err
}

// worthAnotherToken reports whether a call was denied because of its token, as
// far as one can tell. If so, another one is on its way.
func (b *Backend) worthAnotherToken(c call, token *credential, err error) bool {
	failed := new(CallError)
	if !errors.As(err, &failed) || failed.Kind != kms.Denied || c.asks && !failed.invalidToken {
		return false
	}
	return b.session.reject(token, failed.invalidToken)
}

// healthOf tells what an attempt says of Vault.
func healthOf(ctx context.Context, err error) outcome {
	failed := new(CallError)
	switch {
	case ctx.Err() != nil && !errors.Is(context.Cause(ctx), ErrSlow):
		return outcomeNone // the caller left
	case errors.As(err, &failed) && failed.sick:
		return outcomeSick
	default:
		return outcomeWell
	}
}

// noToken explains a call that had to wait for a token and got none. It names
// the call of the login, where that is what failed.
func (c call) noToken(err error) *CallError {
	e := c.fault(err)
	if login := new(CallError); errors.As(err, &login) {
		*e = *login
		e.sick = false // the session has its own pace
	} else if kind := kms.KindOf(err); kind != kms.Other {
		e.Kind = kind
	}
	e.text = "no token: " + e.text
	return e
}

// send makes the call with one token.
func (b *Backend) send(ctx context.Context, token *credential, c call, into any) error {
	response, err := b.roundTrip(ctx, token.client, c)
	if response != nil {
		defer func() { _ = response.Body.Close() }() // what matters of it was read
	}
	malformed := false
	if err == nil && response != nil && response.StatusCode != http.StatusNoContent {
		malformed, err = decode(response, into)
	}
	if err == nil {
		return nil
	}
	e := newCallError(c, response, err, token.lease.token)
	if malformed {
		e.Kind = kms.BackendFailure
	}
	return e
}

func (b *Backend) roundTrip(ctx context.Context, client *api.Client, c call) (*api.Response, error) {
	switch c.method {
	case http.MethodGet:
		return client.Logical().ReadRawWithDataWithContext(ctx, c.path, c.query)
	case http.MethodDelete:
		_, err := client.Logical().DeleteWithContext(ctx, c.path)
		return nil, err
	default:
		body, err := json.Marshal(c.body)
		if err != nil {
			return nil, err
		}
		return client.Logical().WriteRawWithContext(ctx, c.path, body)
	}
}

// decode reads an answer and wipes the buffer that held it, since it may hold
// a KEK.
func decode(response *api.Response, into any) (malformed bool, err error) {
	var buffer bytes.Buffer
	if n := response.ContentLength; n > 0 && n <= maxAnswer {
		buffer.Grow(int(n) + bytes.MinRead)
	}
	defer func() { clear(buffer.Bytes()[:buffer.Cap()]) }()
	if _, err := buffer.ReadFrom(response.Body); err != nil {
		return false, fmt.Errorf("reading the answer: %w", err)
	}
	if json.Unmarshal(buffer.Bytes(), into) != nil { // its error could quote the answer
		return true, errors.New("the answer has not the form of Vault's")
	}
	return false, nil
}
