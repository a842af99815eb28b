package vaulttest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"
)

// Fault answers a request in the server's stead, and returns true, or lets it
// pass, and returns false.
type Fault func(w http.ResponseWriter, r *http.Request) bool

// Proxy stands before a server that speaks plain HTTP. It counts what comes and
// lets a Fault answer first.
type Proxy struct {
	// Address is the URL to give to a client.
	Address string

	mu      sync.Mutex
	fault   Fault
	calls   []string // "METHOD path", in order of arrival
	answers []string // "STATUS path", of the server itself
}

// NewProxy starts a proxy that passes everything on until SetFault.
func NewProxy(t testing.TB, s *Server) *Proxy {
	t.Helper()
	target, err := url.Parse(s.Address)
	if err != nil {
		t.Fatal(err)
	}
	pass := httputil.NewSingleHostReverseProxy(target)
	pass.ErrorHandler = func(w http.ResponseWriter, _ *http.Request, _ error) { w.WriteHeader(http.StatusBadGateway) }
	p := &Proxy{}
	pass.ModifyResponse = func(response *http.Response) error {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.answers = append(p.answers, fmt.Sprintf("%d %s", response.StatusCode, response.Request.URL.Path))
		return nil
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// With its body read, a request ends when its client goes away.
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
		if fault := p.arrive(r); fault == nil || !fault(w, r) {
			pass.ServeHTTP(w, r)
		}
	}))
	t.Cleanup(server.Close)
	p.Address = server.URL
	return p
}

func (p *Proxy) arrive(r *http.Request) Fault {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.calls = append(p.calls, r.Method+" "+strings.TrimPrefix(r.URL.Path, "/v1/"))
	return p.fault
}

// SetFault puts a fault before every request from now on; nil takes it away.
func (p *Proxy) SetFault(f Fault) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.fault = f
}

// Calls counts the requests whose "METHOD path" contains part, since the last
// call of ResetCalls.
func (p *Proxy) Calls(part string) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return count(p.calls, func(call string) bool { return strings.Contains(call, part) })
}

// Answers counts what the server itself has answered with a status to requests
// whose path contains part, ever.
func (p *Proxy) Answers(status int, part string) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return count(p.answers, func(answer string) bool {
		return strings.HasPrefix(answer, fmt.Sprint(status, " ")) && strings.Contains(answer, part)
	})
}

func count(list []string, is func(string) bool) (n int) {
	for _, s := range list {
		if is(s) {
			n++
		}
	}
	return n
}

// ResetCalls forgets the requests counted so far.
func (p *Proxy) ResetCalls() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.calls = nil
}

// On limits a fault to requests whose path contains part.
func On(part string, f Fault) Fault {
	return func(w http.ResponseWriter, r *http.Request) bool {
		return strings.Contains(r.URL.Path, part) && f(w, r)
	}
}

// Times limits a fault to the first n requests that it is asked about.
func Times(n int, f Fault) Fault {
	var mu sync.Mutex
	return func(w http.ResponseWriter, r *http.Request) bool {
		mu.Lock()
		n--
		over := n < 0
		mu.Unlock()
		return !over && f(w, r)
	}
}

// Status answers as Vault does when it fails.
func Status(status int, errors ...string) Fault {
	return func(w http.ResponseWriter, _ *http.Request) bool {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		_ = json.NewEncoder(w).Encode(map[string][]string{"errors": errors}) // a client that went away sees nothing
		return true
	}
}

// Header adds a header to what f answers.
func Header(key, value string, f Fault) Fault {
	return func(w http.ResponseWriter, r *http.Request) bool {
		w.Header().Set(key, value)
		return f(w, r)
	}
}

// Slow keeps a request waiting, then lets it pass.
func Slow(wait time.Duration) Fault {
	return func(_ http.ResponseWriter, r *http.Request) bool {
		select {
		case <-time.After(wait):
			return false
		case <-r.Context().Done():
			return true // the client has given up
		}
	}
}

// Echo fails and repeats what it was sent, as a careless server would.
func Echo(w http.ResponseWriter, r *http.Request) bool {
	body, _ := io.ReadAll(r.Body) // it is in memory
	return Status(http.StatusInternalServerError, fmt.Sprint(r.Header), string(body))(w, r)
}

// Cut closes the connection without an answer.
func Cut(http.ResponseWriter, *http.Request) bool { panic(http.ErrAbortHandler) }

// CutShort closes the connection in the middle of an answer.
func CutShort(w http.ResponseWriter, _ *http.Request) bool {
	w.Header().Set("Content-Length", "4096")
	_, _ = fmt.Fprint(w, `{"data":{"plaintext":"AAAA`) // what follows fails on purpose
	panic(http.ErrAbortHandler)
}
