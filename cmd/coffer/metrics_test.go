package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/google/go-cmp/cmp"
	"golang.org/x/sync/errgroup"

	"coffer/internal/metrics/metricstest"
	"coffer/kms/vault/vaulttest"
	"coffer/test/e2e/daemon"
)

// measured is a coffer process over a real Vault, with a proxy before that.
type measured struct {
	t       *testing.T
	proxy   *vaulttest.Proxy
	daemon  *daemon.Daemon
	numbers string // URL
	began   time.Time
}

// startMeasured gives coffer a Vault whose tokens live for ttl, and for most at
// the longest.
func startMeasured(t *testing.T, ttl, most time.Duration) *measured {
	t.Helper()
	server := vaulttest.Start(t, vaulttest.Options{})
	m := &measured{t: t, began: time.Now(), proxy: vaulttest.NewProxy(t, server)}
	mount, kv := server.Transit(t), server.KV(t)
	role := server.AppRole(t, vaulttest.AppRole{
		Policies: []string{server.Policy(t, vaulttest.AdminPolicy(mount, kv, "coffer"))}, TTL: ttl, MaxTTL: most,
	})
	secretFile := filepath.Join(t.TempDir(), "secret-id")
	if err := os.WriteFile(secretFile, []byte(role.SecretID), 0o600); err != nil {
		t.Fatal(err)
	}
	binary, err := exec.LookPath("coffer") // this test's own, see TestMain
	if err != nil {
		t.Fatal(err)
	}
	log := &syncBuffer{}
	m.daemon, err = daemon.Start(t.Context(), daemon.Options{Binary: binary, Dir: t.TempDir(), Log: log, Args: []string{
		"--kms-type", "vault", "--kms-vault-address", m.proxy.Address, "--kms-vault-mount-path", mount, "--kms-vault-kv-mount", kv,
		"--kms-vault-key-prefix", "coffer", "--kms-vault-approle-role-id", role.ID, "--kms-vault-approle-secret-id-file", secretFile,
		"--kms-vault-approle-mount", role.Mount, "--kms-default-key-id", "app", "--kms-probe-interval-secs", "5", "--kms-ready-check",
		"--metrics-listen", "127.0.0.1:0", "--log-format", "json",
	}})
	if err != nil {
		t.Fatalf("%v\n%s", err, log.String())
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := m.daemon.Stop(ctx); err != nil {
			t.Error(err)
		}
		if t.Failed() {
			t.Logf("coffer says:\n%s", regexp.MustCompile(`(?m)^.*"INFO","msg":"request".*\n`).ReplaceAllString(log.String(), ""))
		}
		if strings.Contains(log.String(), role.SecretID) {
			t.Error("the log holds the secret id")
		}
	})
	found := regexp.MustCompile(`"serving metrics","address":"([^"]+)"`).FindStringSubmatch(log.String())
	if found == nil {
		t.Fatalf("no metrics are served:\n%s", log.String())
	}
	m.numbers = "http://" + found[1] + "/metrics"
	return m
}

// syncBuffer is written to by a process and read meanwhile.
type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

// Write implements io.Writer.
func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *syncBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// signed makes a signed request of a server.
func signed(ctx context.Context, d *daemon.Daemon, method, path, body string, fields ...string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, d.URL+path, strings.NewReader(body))
	if err != nil {
		return nil, err
	}
	for i := 0; i+1 < len(fields); i += 2 {
		req.Header.Set(fields[i], fields[i+1])
	}
	const unsigned = "UNSIGNED-PAYLOAD"
	req.Header.Set("X-Amz-Content-Sha256", unsigned)
	who := aws.Credentials{AccessKeyID: d.AccessKey, SecretAccessKey: d.SecretKey}
	if err := v4.NewSigner().SignHTTP(ctx, who, req, unsigned, "s3", "us-east-1", time.Now()); err != nil {
		return nil, err
	}
	return http.DefaultClient.Do(req)
}

// send makes a signed request and wants a status.
func (m *measured) send(status int, method, path, body string, fields ...string) error {
	answer, err := signed(m.t.Context(), m.daemon, method, path, body, fields...)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err == nil && answer.StatusCode != status {
		err = fmt.Errorf("%s %s: %s, want %d: %.300s", method, path, answer.Status, status, text)
	}
	return err
}

func (m *measured) must(status int, method, path, body string, fields ...string) {
	m.t.Helper()
	if err := m.send(status, method, path, body, fields...); err != nil {
		m.t.Fatal(err)
	}
}

func (m *measured) scrape() metricstest.Families {
	m.t.Helper()
	all, err := metricstest.Get(m.t.Context(), m.numbers)
	if err != nil {
		m.t.Fatal(err)
	}
	return all
}

// until asks until the numbers are as fn wants them.
func (m *measured) until(what string, fn func(metricstest.Families) bool) metricstest.Families {
	m.t.Helper()
	for end := time.Now().Add(patience); ; time.Sleep(50 * time.Millisecond) {
		all := m.scrape()
		if fn(all) {
			return all
		}
		if time.Now().After(end) {
			m.t.Fatalf("%s: not within %v", what, patience)
		}
	}
}

const kmsHeader = "X-Amz-Server-Side-Encryption"

// TestMetricsOfVault asks a server under load over a real Vault: counters move, the
// token is renewed, the cache is hit, the circuit opens and closes, keys grow
// younger when rotated. In the end the numbers are those that docs/metrics.md lists.
func TestMetricsOfVault(t *testing.T) {
	t.Parallel()
	m := startMeasured(t, 4*time.Second, 8*time.Second)
	m.must(200, "PUT", "/box", "")
	m.must(200, "PUT", "/box/o", "hello", kmsHeader, "aws:kms")
	load, stop := context.WithCancel(t.Context())
	defer stop()
	var work errgroup.Group
	for i := range 3 {
		work.Go(func() error {
			for n := 0; load.Err() == nil; n++ {
				path := fmt.Sprintf("/box/load-%d-%d", i, n%20)
				if err := m.send(200, "PUT", path, strings.Repeat("x", 1000), kmsHeader, "aws:kms"); err != nil {
					return err
				}
				if err := m.send(200, "GET", path, ""); err != nil {
					return err
				}
			}
			return nil
		})
	}
	m.watchToken()
	m.watchCache()
	stop()
	if err := work.Wait(); err != nil {
		t.Errorf("under load: %v", err)
	}
	m.watchRotation()
	m.watchCircuit()
	m.comparePage()
	for _, label := range []string{"key_id", "operation", "backend"} {
		for _, value := range m.scrape().Values(label) {
			if strings.Contains(value, "box") || strings.Contains(value, "load") {
				t.Errorf("label %s names an object or a bucket: %q", label, value)
			}
		}
	}
}

// watchToken sees the token's life fall and rise, by renewal and by login.
func (m *measured) watchToken() {
	m.t.Helper()
	const ttl, operations = "coffer_kms_vault_token_ttl_seconds", "coffer_kms_backend_operations_total"
	last := m.until("a token", func(f metricstest.Families) bool { return f.Sum(ttl) > 0 }).Sum(ttl)
	fell, rose := false, false
	m.until("a token that is renewed, and a second login", func(f metricstest.Families) bool {
		now := f.Sum(ttl)
		fell, rose = fell || now < last, rose || now > last
		last = now
		return fell && rose && f.Sum(operations, "operation", "renew", "outcome", "success", "op_class", "auth") > 0 &&
			f.Sum(operations, "operation", "login", "outcome", "success") >= 2
	})
	if m.scrape().Sum("coffer_kms_vault_credentials_fail_closed") != 0 {
		m.t.Error("there was no token meanwhile")
	}
}

// watchCache reads one object again and again, and once from the backend.
func (m *measured) watchCache() {
	m.t.Helper()
	const lookups = "coffer_kms_metadata_cache_lookups_total"
	m.must(200, "GET", "/box/o", "") // the load may have taken its place
	before := m.scrape()
	for range 10 {
		m.must(200, "GET", "/box/o", "")
	}
	after := m.scrape()
	if hits := after.Sum(lookups, "result", "hit") - before.Sum(lookups, "result", "hit"); hits < 10 {
		m.t.Errorf("%v hits of 10 reads", hits)
	}
	m.must(200, "POST", "/rustfs/admin/v3/kms/clear-cache", "")
	m.must(200, "GET", "/box/o", "")
	cleared := m.scrape()
	if cleared.Sum(lookups, "result", "miss") <= after.Sum(lookups, "result", "miss") ||
		cleared.Sum("coffer_kms_metadata_cache_evictions_total", "cause", "explicit") == 0 {
		m.t.Error("clearing the cache made no miss")
	}
	if cleared.Sum("coffer_sse_opened_bytes_total", "mode", "SSE-KMS") <= before.Sum("coffer_sse_opened_bytes_total", "mode", "SSE-KMS") ||
		cleared.Sum("coffer_s3_requests_total", "operation", "GetObject", "status", "200") < 11 {
		m.t.Error("reads were not counted")
	}
}

// watchRotation makes a key younger, and rewraps what it had wrapped.
func (m *measured) watchRotation() {
	m.t.Helper()
	const age = "coffer_kms_key_rotation_age_seconds"
	made := func(f metricstest.Families) time.Duration { // since the beginning
		return time.Since(m.began) - time.Duration(f.Sum(age, "key_id", "app")*float64(time.Second))
	}
	old := made(m.until("a key", func(f metricstest.Families) bool { return f.Has(age, "key_id", "app") }))
	m.must(200, "POST", "/rustfs/admin/v3/kms/key/rotate?keyName=app", "")
	m.until("a key that is younger", func(f metricstest.Families) bool { return made(f) > old+time.Second })
	m.must(200, "POST", "/rustfs/admin/v3/kms/rewrap-bucket", `{"bucket":"box"}`)
	if n := m.scrape().Sum("coffer_kms_rewrapped_keks_total", "backend", "vault", "outcome", "success"); n < 2 {
		m.t.Errorf("%v KEKs were rewrapped", n)
	}
}

// watchCircuit lets Vault fail until the circuit opens, and work again.
func (m *measured) watchCircuit() {
	m.t.Helper()
	const circuit, operations = "coffer_kms_backend_circuit_open", "coffer_kms_backend_operations_total"
	if m.scrape().Sum(circuit) != 0 {
		m.t.Error("the circuit is open while all is well")
	}
	m.proxy.SetFault(vaulttest.Status(http.StatusInternalServerError, "on purpose"))
	m.until("an open circuit", func(f metricstest.Families) bool {
		m.must(200, "POST", "/rustfs/admin/v3/kms/clear-cache", "")
		m.must(503, "GET", "/box/o", "")
		return f.Sum(circuit, "backend", "vault") == 1 && f.Sum(operations, "operation", "unwrap_kek", "outcome", "circuit_open") > 0
	})
	sick := m.until("a probe that fails", func(f metricstest.Families) bool { return f.Sum("coffer_kms_probe_consecutive_failures") > 0 })
	if sick.Sum("coffer_kms_backend_attempt_failures_total", "error_class", "retryable_status") == 0 ||
		sick.Sum("coffer_sse_opening_errors_total", "mode", "SSE-KMS", "cause", "key") == 0 || sick.Sum("coffer_kms_healthy") != 0 {
		m.t.Error("the failures were not counted")
	}
	m.must(503, "GET", "/health/ready", "")
	m.proxy.SetFault(nil)
	m.until("a closed circuit and a probe that succeeds", func(f metricstest.Families) bool {
		return f.Sum(circuit) == 0 && f.Sum("coffer_kms_probe_consecutive_failures") == 0 && f.Sum("coffer_kms_healthy") == 1
	})
	m.must(200, "GET", "/box/o", "")
	m.must(200, "GET", "/health/ready", "")
}

// comparePage holds docs/metrics.md against the numbers there are.
func (m *measured) comparePage() {
	m.t.Helper()
	text, err := os.ReadFile("../../docs/metrics.md")
	if err != nil {
		m.t.Fatal(err)
	}
	var listed, there []string
	for _, row := range regexp.MustCompile("(?m)^\\| `(coffer_[a-z0-9_]+)` \\| ([a-z]+) \\|([^|]*)\\|").FindAllStringSubmatch(string(text), -1) {
		labels := regexp.MustCompile("`([a-z_]+)`").FindAllStringSubmatch(row[3], -1)
		var names []string
		for _, l := range labels {
			names = append(names, l[1])
		}
		listed = append(listed, fmt.Sprint(row[1], " ", row[2], " ", strings.Join(names, ",")))
	}
	for name, f := range m.scrape() {
		if strings.HasPrefix(name, "coffer_") {
			there = append(there, fmt.Sprint(name, " ", f.Type, " ", strings.Join(f.Labels, ",")))
		} else if !strings.HasPrefix(name, "go_") && !strings.HasPrefix(name, "process_") {
			m.t.Errorf("%s has another prefix", name)
		}
	}
	slices.Sort(listed)
	slices.Sort(there)
	if diff := cmp.Diff(listed, there); diff != "" {
		m.t.Errorf("docs/metrics.md and what is served (-page +server):\n%s", diff)
	}
}
