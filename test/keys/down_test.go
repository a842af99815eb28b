package keys

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"coffer/kms/vault/vaulttest"
)

// coldLimit is how soon a read whose KEK cannot be had is answered; grace is for a
// machine that has more to do than this test.
const (
	coldLimit = 2 * time.Second
	grace     = 2 * time.Second
)

// TestVaultDown takes Vault away from a server, also over a restart.
func TestVaultDown(t *testing.T) {
	t.Parallel()
	mount, token := setUp(t, "app-default")
	proxy := vaulttest.NewProxy(t, vault)
	s := newSite(t, nil)
	s.useVault(proxy.Address, mount, token, "app-default")
	s.must(request{method: "PUT", target: "/bucket"})
	s.put("/bucket/warm", "one", kmsMode(""))
	s.put("/bucket/cold", "two", kmsMode(""))
	s.put("/bucket/plain", "three", nil)

	for name, fault := range map[string]vaulttest.Fault{"cut": vaulttest.Cut, "silent": vaulttest.Slow(time.Hour)} {
		s.clearCache()
		s.wantBody("/bucket/warm", "one")
		proxy.SetFault(fault)
		proxy.ResetCalls()
		if n := wantNoCalls(s, proxy); n != 0 {
			t.Errorf("%s: listing and head made %d calls", name, n)
		}
		s.wantBody("/bucket/warm", "one")
		s.wantBody("/bucket/plain", "three")
		wantCold(s, "/bucket/cold")
		s.wantError(request{method: "PUT", target: "/bucket/new", body: "x", header: kmsMode("")}, 503, "KMS.Unavailable")
		s.wantError(request{method: "HEAD", target: "/bucket/new"}, 404, "")

		s.clearCache() // and the warm one is cold
		wantCold(s, "/bucket/warm")
		proxy.SetFault(nil)
		s.await("/bucket/warm", "one")
		s.await("/bucket/cold", "two")
	}

	proxy.SetFault(vaulttest.Cut)
	s.stop()
	s.serve() // without its Vault
	proxy.ResetCalls()
	if n := wantNoCalls(s, proxy); n != 0 {
		t.Errorf("after a start listing and head made %d calls", n)
	}
	s.wantBody("/bucket/plain", "three")
	wantCold(s, "/bucket/warm")
	proxy.SetFault(nil)
	s.await("/bucket/warm", "one")
}

// wantCold reads an object whose KEK cannot be had.
func wantCold(s *site, target string) {
	s.t.Helper()
	a := s.wantError(request{method: "GET", target: target}, 503, "KMS.Unavailable")
	if a.header.Get("Retry-After") == "" {
		s.t.Errorf("%s: no Retry-After", target)
	}
	if a.took > coldLimit+grace {
		s.t.Errorf("%s: answered after %v", target, a.took)
	}
}

// await waits for an object to come back, since nobody lends a hand.
func (s *site) await(target, want string) {
	s.t.Helper()
	eventually(s.t, recovery, func() error {
		if a := s.do(s.t.Context(), request{method: "GET", target: target}); a.err != nil || a.body != want {
			return errors.New(a.String())
		}
		return nil
	})
}

// wantNoCalls lists and heads, and tells how many of Vault's data calls that made.
func wantNoCalls(s *site, proxy *vaulttest.Proxy) int {
	s.t.Helper()
	for _, target := range []string{"/", "/bucket", "/bucket?list-type=2", "/bucket?uploads="} {
		s.must(request{method: "GET", target: target})
	}
	for _, key := range []string{"warm", "cold", "plain"} {
		s.must(request{method: "HEAD", target: "/bucket/" + key})
	}
	return proxy.Calls("decrypt") + proxy.Calls("/keys")
}

// TestParallelColdReads has 1,000 clients read one object whose KEK is not in
// memory, also where the first of them gives up.
func TestParallelColdReads(t *testing.T) {
	t.Parallel()
	const clients = 1000
	mount, token := setUp(t, "app-default")
	proxy := vaulttest.NewProxy(t, vault)
	s := newSite(t, nil, "--kms-probe-interval-secs", "0") // which would decrypt too
	s.useVault(proxy.Address, mount, token, "app-default")
	s.must(request{method: "PUT", target: "/bucket"})
	body := strings.Repeat("0123456789", 1000)
	s.put("/bucket/key", body, kmsMode(""))

	for name, givesUp := range map[string]bool{"all wait": false, "the first gives up": true} {
		s.clearCache()
		arrived, release := make(chan struct{}, clients), make(chan struct{})
		proxy.SetFault(vaulttest.On("decrypt", func(http.ResponseWriter, *http.Request) bool {
			arrived <- struct{}{}
			<-release
			return false
		}))
		proxy.ResetCalls()
		first, leave := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		var wrong atomic.Int64
		wg.Go(func() {
			if a := s.do(first, request{method: "GET", target: "/bucket/key"}); !givesUp && a.body != body {
				t.Errorf("%s: the first: %v", name, a)
			}
		})
		<-arrived
		if givesUp {
			leave()
		}
		for range clients - 1 {
			wg.Go(func() {
				if a := s.do(t.Context(), request{method: "GET", target: "/bucket/key"}); a.status != 200 || a.body != body {
					wrong.Add(1)
				}
			})
		}
		time.Sleep(300 * time.Millisecond) // most of them wait by then; the others find the KEK
		close(release)
		wg.Wait()
		leave()
		if n := proxy.Calls("decrypt"); n != 1 || wrong.Load() != 0 {
			t.Errorf("%s: %d calls, %d of %d reads failed", name, n, wrong.Load(), clients)
		}
		proxy.SetFault(nil)
	}
}

// TestNotConfigured begins without a key service: an answer that no client repeats.
func TestNotConfigured(t *testing.T) {
	t.Parallel()
	s := newSite(t, nil, "--kms-no-stand-in")
	s.must(request{method: "PUT", target: "/bucket"})
	s.put("/bucket/plain", "x", nil)
	s.wantError(request{method: "PUT", target: "/bucket/key", body: "x", header: kmsMode("")}, 501, "NotImplemented")
	s.wantError(request{method: "POST", target: "/bucket/key?uploads=", header: kmsMode("k")}, 501, "NotImplemented")
	for _, r := range []request{
		{method: "GET", target: "/minio/kms/v1/key/list?pattern=%2A"},
		{method: "POST", target: "/minio/kms/v1/key/create?key-id=k"},
		{method: "GET", target: "/minio/kms/v1/key/status?key-id=k"},
	} {
		s.wantError(r, 501, "NotImplemented")
	}
	for _, kind := range []string{"aws", "azure", "gcp"} {
		for _, form := range []string{"kms_type", "backend_type"} {
			body := fmt.Sprintf(`{%q:%q}`, form, kind)
			a := s.wantError(request{method: "POST", target: "/rustfs/admin/v3/kms/configure", body: body}, 400, "UnsupportedKmsType")
			for _, there := range []string{"vault", "local", "static"} {
				if !strings.Contains(a.body, there) {
					t.Errorf("%s: the answer does not name %s: %v", body, there, a)
				}
			}
		}
	}
}
