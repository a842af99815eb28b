package vault

import (
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/hashicorp/vault/api"

	"coffer/kms"
)

// CallError is a call of Vault that failed, or a login that did not get so far:
// then Path is empty. It stands as the cause in the *kms.Error that a Backend
// returns.
type CallError struct {
	Method string // of HTTP
	Path   string // without /v1/, as policies spell it, such as "transit/decrypt/k"
	Status int    // of HTTP; 0 when there was no answer
	Kind   kms.Kind
	// RetryAfter is how long Vault, or the circuit breaker, asks to wait; zero
	// when neither does.
	RetryAfter time.Duration

	text         string // why, without secrets
	cause        error  // when there was no answer
	retry        bool   // the same call may succeed in a moment
	sick         bool   // it speaks against Vault's health
	invalidToken bool
}

// Error names the call, the status and what Vault said.
func (e *CallError) Error() string {
	var parts []string
	if e.Path != "" {
		parts = append(parts, e.Method+" "+e.Path)
	}
	if e.Status != 0 {
		parts = append(parts, fmt.Sprintf("status %d", e.Status))
	}
	if e.text != "" {
		parts = append(parts, e.text)
	}
	return strings.Join(parts, ": ")
}

// Unwrap returns the cause.
func (e *CallError) Unwrap() error { return e.cause }

// says reports whether Vault said something.
func (e *CallError) says(part string) bool { return strings.Contains(e.text, part) }

// Causes of a CallError without an answer.
var (
	// ErrSlow: there was no answer within the bound of the call.
	ErrSlow = errors.New("no answer in time")
	// ErrCircuitOpen: Vault failed too often and is not asked for a while.
	ErrCircuitOpen = errors.New("the circuit is open: Vault has failed too often in a row")
	// ErrBusy: other calls took all the time that this one had to wait.
	ErrBusy = errors.New("too many calls are under way")
)

// newError makes the *kms.Error of an operation.
func newError(op, keyID string, err error) error {
	known, call := new(kms.Error), new(CallError)
	if !errors.As(err, &known) && errors.As(err, &call) {
		return &kms.Error{Op: op, KeyID: keyID, Kind: call.Kind, Err: err}
	}
	return kms.NewError(op, keyID, err)
}

// newCallError classifies what came instead of an answer, by status first and
// text second. Text that holds something private is not shown.
func newCallError(c call, response *api.Response, err error, private ...string) *CallError {
	e := &CallError{Method: c.method, Path: c.path}
	private = append(private, c.private...)
	answer := new(api.ResponseError)
	if !errors.As(err, &answer) {
		e.cause = err
		if inner := new(url.Error); errors.As(err, &inner) {
			e.cause = inner.Err // which leaves out the URL; the path is there already
		}
		if errors.Is(err, context.DeadlineExceeded) {
			e.cause = ErrSlow // the bound is the backend's, and the caller's context goes on
		}
		e.text = show(e.cause.Error(), private)
		e.retry, e.sick, e.Kind = true, true, kms.Unavailable
		if isTLSFault(err) {
			e.retry, e.Kind = false, kms.Configuration
		}
		return e
	}
	e.Status = answer.StatusCode
	text := strings.Join(answer.Errors, "; ")
	e.invalidToken = saysInvalidToken(answer)
	e.Kind = kindOf(e.Status, text, answer.RawError)
	e.sick = e.Kind == kms.Unavailable
	e.retry = e.sick || e.Kind == kms.Throttled
	e.RetryAfter = retryAfter(response)
	switch {
	case answer.RawError:
		e.text = "not an answer of Vault"
	case e.Kind == kms.Configuration && c.engine != "":
		e.text = show(text, private) + " (is a " + c.engine + " engine mounted there?)"
	case e.Kind == kms.Denied && !e.invalidToken && c.engine != "":
		e.text = show(text, private) + " (the token's policy must allow this path)"
	default:
		e.text = show(text, private)
	}
	return e
}

// kindOf maps an answer to its class. raw means that its body was no JSON.
func kindOf(status int, text string, raw bool) kms.Kind {
	switch {
	case status == http.StatusUnauthorized || status == http.StatusForbidden:
		return kms.Denied
	case status == http.StatusTooManyRequests:
		return kms.Throttled
	case status == http.StatusRequestEntityTooLarge:
		return kms.Invalid
	case raw && status >= 400 && status < 500:
		return kms.Configuration
	}
	if kind, ok := kindOfText(text); ok {
		return kind
	}
	switch status {
	case http.StatusBadRequest:
		return kms.Invalid
	case http.StatusNotFound:
		return kms.NotFound
	case http.StatusMethodNotAllowed:
		return kms.Configuration
	default: // 412, 472, 473, 500 and all that is above, and what nobody sends
		return kms.Unavailable
	}
}

// kindOfText knows the texts by which Transit tells apart what has one status.
func kindOfText(text string) (kms.Kind, bool) {
	says := func(parts ...string) bool {
		for _, part := range parts {
			if strings.Contains(text, part) {
				return true
			}
		}
		return false
	}
	switch {
	case says("key not found", "no existing key"):
		return kms.NotFound, true
	case says("(too old)"):
		return kms.InvalidState, true
	case says("message authentication failed", "invalid ciphertext", "could not decode base64",
		"missing 'context'", "RSA decrypt", "no such key version", "invalid key version"):
		return kms.Crypto, true
	case says("unavailable for a brief period"): // a KV engine that is being upgraded
		return kms.Unavailable, true
	case says("not supported for key type", "only available in enterprise"):
		return kms.Unsupported, true
	case says("no handler for route", "unsupported path", "unsupported operation"):
		return kms.Configuration, true
	default:
		return kms.Other, false
	}
}

func saysInvalidToken(answer *api.ResponseError) bool {
	return answer.StatusCode == http.StatusForbidden && strings.Contains(strings.Join(answer.Errors, ";"), "invalid token")
}

// isTLSFault tells a peer that is not trusted, or does not trust, from one that
// is not there.
func isTLSFault(err error) bool {
	verification, record, remote := new(tls.CertificateVerificationError), tls.RecordHeaderError{}, new(net.OpError)
	return errors.As(err, &verification) || errors.As(err, &record) || errors.Is(err, http.ErrSchemeMismatch) ||
		errors.As(err, &remote) && remote.Op == "remote error" // an alert of TLS, whose type is not exported
}

// retryAfter reads the header of this name, in seconds.
func retryAfter(response *api.Response) time.Duration {
	if response == nil || response.Response == nil {
		return 0
	}
	seconds, err := strconv.Atoi(response.Header.Get("Retry-After"))
	if err != nil || seconds < 0 || seconds > 3600 {
		return 0
	}
	return time.Duration(seconds) * time.Second
}

const (
	// maxShown bounds what an error shows of an answer.
	maxShown = 300
	// minPrivate is the length from which on a private text is looked for. A
	// shorter one says nothing and would be found anywhere.
	minPrivate = 6
)

// show makes a text fit for an error: one line, not long, and nothing private.
func show(text string, private []string) string {
	for _, p := range private {
		for _, form := range []string{p, base64.StdEncoding.EncodeToString([]byte(p)), strconv.Quote(p)} {
			if len(p) >= minPrivate && strings.Contains(text, strings.Trim(form, `"`)) {
				return "what it said is not shown, since it repeats what it was sent"
			}
		}
	}
	text = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, text)
	text = strings.Join(strings.Fields(text), " ")
	if len(text) > maxShown {
		text = strings.ToValidUTF8(text[:maxShown], "") + "…"
	}
	return text
}
