package keys

import (
	"bytes"
	"context"
	"crypto/md5"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	"coffer/kms/vault/vaulttest"
	"coffer/test/canary"
)

// Secrets that are given to the server by each way that there is.
const (
	unlockSecret = "unlock-canary-3b1e88f0"
	masterSecret = "master-canary-71ce20aa"
	wrongToken   = "hvs.wrong-canary-90b2c4d1"
	wrongSecret  = "wrong-secret-id-canary-0a9b"
	staticKey    = "static-canary-key-of-32-bytes-ab"
	customerKey  = "customer-canary-key-of-32-bytes!"
	otherKey     = "another-canary-key-of-32-bytes!!"
	urlKey       = "key-in-a-url-canary-of-32-bytes!"
)

// TestNoSecretGetsOut runs a mixed workload, with failures, over a server that logs
// all it can, and then looks for every secret in the log, in answers, in metrics, in
// the output of the command line, in the arguments of the process, in the dump of a
// crash, and in all files.
func TestNoSecretGetsOut(t *testing.T) {
	t.Parallel()
	w := newSecretsWorld(t)
	w.objects()
	w.customers()
	w.configurations()
	w.commands()
	w.metrics()
	w.restarts()
	w.crash()
	w.stop()
	needles := append(w.needles(), w.insideKeys()...)
	if lines, err := filepath.Glob(filepath.Join(w.dir, "config", "audit", "*")); err != nil || len(lines) == 0 {
		t.Errorf("there is no audit log, %v", err) // it is among the files
	}
	w.keep("server.log", w.log.String())
	w.keep("answers", w.said.String())
	for _, root := range []string{w.seen, w.dir} {
		found, err := canary.Scan(root, needles)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range found {
			t.Errorf("%q lies as %s in %s at %d: …%s…", f.Needle, f.Encoding, f.File, f.Offset, around(f.File, f.Offset))
		}
	}
	w.provePlanted(needles)
	t.Logf("%d bytes of log, %d of answers, %d needles", len(w.log.String()), len(w.said.String()), len(needles))
}

// secretsWorld is a site that keeps everything that it says.
type secretsWorld struct {
	*site
	proxy *vaulttest.Proxy
	mount string
	token string
	role  vaulttest.Role
	said  *lockedBuffer // all answers
	seen  string        // a directory of what was seen

	mu      sync.Mutex
	wrapped []map[string]any // what Vault was asked to decrypt
	given   []string         // data keys that a client asked for
}

func newSecretsWorld(t *testing.T) *secretsWorld {
	t.Helper()
	mount, token := setUp(t, "app-default", "other")
	w := &secretsWorld{mount: mount, token: token, said: &lockedBuffer{}, seen: t.TempDir(), proxy: vaulttest.NewProxy(t, vault)}
	w.role = vault.AppRole(t, vaulttest.AppRole{Policies: []string{vault.Policy(t, vaulttest.MountPolicy(mount))}})
	w.site = newSite(t, []string{"COFFER_UNLOCK_KEY=" + unlockSecret, "HOME=" + t.TempDir()}, "--kms-probe-interval-secs", "5", "--metrics-listen", "127.0.0.1:0")
	w.client.Transport = &recorder{next: w.client.Transport, said: w.said}
	w.watch(nil)
	return w
}

// recorder keeps every answer.
type recorder struct {
	next http.RoundTripper
	said io.Writer
}

// RoundTrip implements http.RoundTripper.
func (r *recorder) RoundTrip(q *http.Request) (*http.Response, error) {
	response, err := r.next.RoundTrip(q)
	if err != nil || strings.Contains(q.URL.Path, "generate-data-key") { // whose answer is a data key
		return response, err
	}
	header := response.Header.Clone()
	header.Del("x-amz-server-side-encryption-customer-key-MD5") // which AWS answers
	body, err := io.ReadAll(response.Body)
	_ = response.Body.Close() // it was read
	response.Body = io.NopCloser(bytes.NewReader(body))
	if int64(len(body)) < 1<<20 {
		_, _ = fmt.Fprintf(r.said, "%s %s\n%v\n%s\n", q.Method, response.Status, header, body) // into memory
	}
	return response, err
}

// watch puts a fault before Vault, and notes what is to be decrypted.
func (w *secretsWorld) watch(fault vaulttest.Fault) {
	w.proxy.SetFault(func(rw http.ResponseWriter, r *http.Request) bool {
		body, _ := io.ReadAll(r.Body) // it is in memory
		r.Body = io.NopCloser(bytes.NewReader(body))
		if key, is := strings.CutPrefix(r.URL.Path, "/v1/"+w.mount+"/decrypt/"); is {
			item := map[string]any{}
			if json.Unmarshal(body, &item) == nil {
				item["key"] = key
				w.mu.Lock()
				w.wrapped = append(w.wrapped, item)
				w.mu.Unlock()
			}
		}
		return fault != nil && fault(rw, r)
	})
}

// keep makes something that was seen a file.
func (w *secretsWorld) keep(name, text string) {
	w.t.Helper()
	f, err := os.OpenFile(filepath.Join(w.seen, name), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err == nil {
		_, err = f.WriteString(text)
	}
	if err == nil {
		err = f.Close()
	}
	if err != nil {
		w.t.Fatal(err)
	}
}

// try sends a request of which only the answer matters.
func (w *secretsWorld) try(r request) answer {
	w.t.Helper()
	a := w.do(w.t.Context(), r)
	if a.err != nil {
		w.t.Errorf("%s %s: %v", r.method, r.target, a.err)
	}
	return a
}

// objects works with keys of Vault, which answers in every way, also by repeating
// what it was sent.
func (w *secretsWorld) objects() {
	w.useVault(w.proxy.Address, w.mount, w.token, "app-default")
	w.must(request{method: "PUT", target: "/bucket"})
	for _, fault := range []vaulttest.Fault{nil, vaulttest.Echo, vaulttest.Status(403, "permission denied"), vaulttest.Cut, nil} {
		w.watch(fault)
		for i, mode := range []fields{nil, kmsMode(""), kmsMode("other"), kmsMode("missing")} {
			target := fmt.Sprintf("/bucket/object-%d", i)
			w.try(request{method: "PUT", target: target, body: "x", header: mode})
			w.try(request{method: "POST", target: "/rustfs/admin/v3/kms/clear-cache"})
			w.try(request{method: "GET", target: target})
			w.try(request{method: "PUT", target: "/bucket/copy", header: with(mode, fields{"x-amz-copy-source": target})})
		}
		w.try(request{method: "GET", target: "/rustfs/admin/v3/kms/status"})
		w.try(request{method: "POST", target: "/rustfs/admin/v3/kms/rewrap-bucket", body: `{"bucket":"bucket"}`})
		a := w.try(request{method: "POST", target: "/rustfs/admin/v3/kms/generate-data-key", body: `{"key_id":"other","key_spec":"AES_256","encryption_context":{"a":"b"}}`})
		var made struct {
			Plaintext []byte `json:"plaintext_key"`
		}
		if json.Unmarshal([]byte(a.body), &made) == nil && len(made.Plaintext) != 0 {
			w.given = append(w.given, string(made.Plaintext))
		}
		eventually(w.t, recovery, func() error { // until the circuit closes
			if a := w.do(w.t.Context(), request{method: "GET", target: "/rustfs/admin/v3/kms/status"}); fault == nil && !strings.Contains(a.body, `"status":"OK"`) {
				return fmt.Errorf("%v", a)
			}
			return nil
		})
	}
	w.watch(nil)
}

// customer gives the header fields of a client's key.
func customer(key string) fields {
	sum := md5.Sum([]byte(key))
	const prefix = "x-amz-server-side-encryption-customer-"
	return fields{
		prefix + "algorithm": "AES256", prefix + "key": base64.StdEncoding.EncodeToString([]byte(key)),
		prefix + "key-MD5": base64.StdEncoding.EncodeToString(sum[:]),
	}
}

// customers works with keys of clients, right ones, wrong ones, and one in a URL.
func (w *secretsWorld) customers() {
	right, other := customer(customerKey), customer(otherKey)
	body := strings.Repeat("body ", 100_000)
	w.put("/bucket/customer", body, right)
	w.must(request{method: "GET", target: "/bucket/customer", header: right})
	w.wantError(request{method: "GET", target: "/bucket/customer", header: other}, 403, "AccessDenied")
	w.try(request{method: "HEAD", target: "/bucket/customer", header: right})
	w.try(request{method: "GET", target: "/bucket/object-0", header: right})
	w.try(request{method: "PUT", target: "/bucket/customer", body: "x", header: with(right, fields{"x-amz-server-side-encryption-customer-key-MD5": "AAAA"})})
	w.try(request{method: "PUT", target: "/bucket/customer", body: "x", header: with(right, kmsMode(""))})
	w.try(request{method: "PUT", target: "/bucket/customer", body: "x", header: with(right, fields{"x-amz-server-side-encryption-customer-algorithm": otherKey})})
	w.try(request{method: "PUT", target: "/bucket/customer", body: "x", header: with(right, fields{"X-Forwarded-Proto": "http"})})
	a := w.must(request{method: "POST", target: "/bucket/parts?uploads=", header: right})
	_, rest, _ := strings.Cut(a.body, "<UploadId>")
	id, _, _ := strings.Cut(rest, "</UploadId>")
	w.must(request{method: "PUT", target: "/bucket/parts?partNumber=1&uploadId=" + id, body: body, header: right})
	w.try(request{method: "PUT", target: "/bucket/parts?partNumber=2&uploadId=" + id, body: body, header: other})
	query := url.Values{}
	for name, value := range customer(urlKey) {
		query.Set(name, value)
	}
	w.wantError(request{method: "GET", target: "/bucket/customer?" + strings.ReplaceAll(query.Encode(), "+", "%20")}, 400, "InvalidRequest")
}

// configurations configures every backend by every form, rightly and wrongly.
func (w *secretsWorld) configurations() {
	post := func(route string, body any) answer {
		w.t.Helper()
		text, is := body.(string)
		if !is {
			text = toJSON(body)
		}
		return w.try(request{method: "POST", target: "/rustfs/admin/v3/" + route, body: text})
	}
	type m = map[string]any
	base := m{"backend_type": "vault", "address": w.proxy.Address, "mount_path": w.mount, "default_key_id": "app-default"}
	and := func(auth any) m {
		c := m{"auth_method": auth}
		for k, v := range base {
			c[k] = v
		}
		return c
	}
	approle := m{"approle": m{"role_id": w.role.ID, "secret_id": w.role.SecretID, "mount": w.role.Mount}}
	wrong := m{"approle": m{"role_id": w.role.ID, "secret_id": wrongSecret, "mount": w.role.Mount}}
	for _, fault := range []vaulttest.Fault{nil, vaulttest.Echo} {
		w.watch(fault)
		post("kms/configure", m{"kms_type": "vault", "vault_address": w.proxy.Address, "vault_token": wrongToken, "vault_mount_path": w.mount})
		post("kms/configure", m{"kms_type": "vault", "vault_address": w.proxy.Address, "vault_app_role_id": w.role.ID, "vault_app_role_secret_id": wrongSecret})
		post("kms/configure", m{"kms_type": wrongToken, "vault_token": wrongToken})
		post("kms/configure", and(approle))
		post("kms/configure", and(wrong))
		post("kms/configure", and(m{"token": wrongToken}))
		post("kms/configure", and(m{wrongToken: wrongToken}))
		post("kms/configure", `{"backend_type":"vault","auth_method":{"token":"`+wrongToken+`"`) // cut off
		post("kms/reconfigure", m{"nonsense": wrongToken})
		post("config/kms_vault/second", m{"endpoint": w.proxy.Address, "key_name": "app-default", "token": w.token, "enabled": true})
		post("config/kms_vault/third", m{"endpoint": w.proxy.Address, "key_name": "app-default", "token": wrongToken, "enabled": true})
		post("kms/configure", m{"backend_type": "static", "secret_key": "lab:" + base64.StdEncoding.EncodeToString([]byte(staticKey))})
		post("kms/configure", m{"backend_type": "static", "secret_key": "lab:" + staticKey})
		post("kms/configure", m{"backend_type": "local", "key_dir": filepath.Join(w.t.TempDir(), "keys"), "master_key": masterSecret})
		post("kms/configure", m{"backend_type": "local", "key_dir": "relative", "master_key": masterSecret})
		for _, route := range []string{"kms/status", "kms/service-status", "kms/config", "config", "config/kms_vault/second"} {
			w.try(request{method: "GET", target: "/rustfs/admin/v3/" + route})
		}
	}
	w.watch(nil)
	w.useVault(w.proxy.Address, w.mount, w.token, "app-default")
	unsigned, err := http.Post(w.daemon.URL+"/rustfs/admin/v3/kms/configure", "application/json", strings.NewReader(`{"vault_token":"`+wrongToken+`"}`))
	if err != nil {
		w.t.Fatal(err)
	}
	text, _ := io.ReadAll(unsigned.Body) // what there is of it
	_ = unsigned.Body.Close()            // it was read
	w.keep("answers", string(text))
}

// commands runs the command line beside the server, with secrets in its
// environment.
func (w *secretsWorld) commands() {
	environ := []string{
		"HOME=" + w.t.TempDir(), "COFFER_ENDPOINT=" + w.daemon.URL, "COFFER_ROOT_USER=" + w.daemon.AccessKey,
		"COFFER_ROOT_PASSWORD=" + w.daemon.SecretKey, "COFFER_UNLOCK_KEY=" + unlockSecret, "COFFER_KMS_VAULT_TOKEN=" + wrongToken,
	}
	for _, args := range [][]string{
		{"kms", "status"}, {"keys", "list"}, {"keys", "create", "app-third"}, {"keys", "status", "none"}, {"census"},
		{"kms", "configure", "vault", "--address", w.proxy.Address},
		{"config", "check"}, {"config", "check", "--kms-type", "static"}, {"unlock", "list", "--config-dir", filepath.Join(w.dir, "config")},
		{"nonsense"}, {"--help"},
	} {
		w.command(args, environ)
	}
	w.command([]string{"keys", "list"}, append(slices.Clone(environ), "COFFER_ROOT_PASSWORD="+wrongSecret))
	w.command([]string{"config", "check"}, append(slices.Clone(environ), "COFFER_ROOT_PASSWORD=short", "COFFER_KMS_STATIC_SECRET_KEY="+staticKey))
}

func (w *secretsWorld) command(args, environ []string) {
	w.t.Helper()
	c := exec.CommandContext(w.t.Context(), w.start.Binary, args...)
	c.Env = environ
	out, err := c.CombinedOutput()
	if _, ended := err.(*exec.ExitError); err != nil && !ended {
		w.t.Fatal(err)
	}
	w.keep("commands", fmt.Sprintf("$ coffer %s\n%s\n", strings.Join(args, " "), out))
}

// metrics reads all numbers, from the address that the log tells.
func (w *secretsWorld) metrics() {
	w.t.Helper()
	address := ""
	for line := range strings.Lines(w.log.String()) {
		var entry struct{ Msg, Address string }
		if json.Unmarshal([]byte(line), &entry) == nil && entry.Msg == "serving metrics" {
			address = entry.Address
		}
	}
	response, err := http.Get("http://" + address + "/metrics")
	if err != nil {
		w.t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil || !strings.Contains(string(text), "coffer_") {
		w.t.Fatalf("no metrics at %q: %.200s, %v", address, text, err)
	}
	w.keep("metrics", string(text))
}

// restarts starts the server with backends from the environment, and once with a
// wrong unlock secret.
func (w *secretsWorld) restarts() {
	environ := w.start.Environ
	for _, more := range [][]string{
		{"MINIO_KMS_SECRET_KEY=lab:" + base64.StdEncoding.EncodeToString([]byte(staticKey))},
		{"COFFER_KMS_LOCAL_KEY_DIR=" + filepath.Join(w.t.TempDir(), "keys"), "COFFER_KMS_LOCAL_MASTER_KEY=" + masterSecret,
			"COFFER_KMS_ALLOW_INSECURE_DEV_DEFAULTS=true"},
		{"COFFER_KMS_VAULT_ADDRESS=" + w.proxy.Address, "COFFER_KMS_VAULT_MOUNT_PATH=" + w.mount, "COFFER_KMS_VAULT_TOKEN=" + wrongToken},
		{"COFFER_KMS_VAULT_ADDRESS=" + w.proxy.Address, "COFFER_KMS_VAULT_MOUNT_PATH=" + w.mount,
			"COFFER_KMS_VAULT_APPROLE_ROLE_ID=" + w.role.ID, "COFFER_KMS_VAULT_APPROLE_SECRET_ID=" + w.role.SecretID,
			"COFFER_KMS_VAULT_APPROLE_MOUNT=" + w.role.Mount},
	} {
		w.stop()
		w.start.Environ = append(slices.Clone(environ), more...)
		w.serve()
		w.try(request{method: "PUT", target: "/bucket/again", body: "x", header: kmsMode("")})
		w.try(request{method: "GET", target: "/bucket/object-1"})
		w.try(request{method: "GET", target: "/rustfs/admin/v3/kms/status"})
		w.arguments()
	}
	w.stop()
	w.command([]string{"serve", "--data", filepath.Join(w.dir, "data"), "--config-dir", filepath.Join(w.dir, "config"), "--listen", "127.0.0.1:0"},
		[]string{"HOME=" + w.t.TempDir(), "COFFER_UNLOCK_KEY=" + wrongSecret})
	w.start.Environ = environ
	w.serve()
}

// arguments notes the command line of the process as others see it.
func (w *secretsWorld) arguments() {
	w.t.Helper()
	line, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", w.daemon.PID()))
	if err != nil {
		w.t.Fatal(err)
	}
	w.keep("arguments", string(line))
}

// crash ends the server as a fault would, with the stacks of all goroutines, while
// requests with secrets are under way.
func (w *secretsWorld) crash() {
	w.watch(vaulttest.Slow(recovery))
	w.try(request{method: "POST", target: "/rustfs/admin/v3/kms/clear-cache"})
	ctx, cancel := context.WithCancel(w.t.Context())
	var wg sync.WaitGroup
	for _, r := range []request{
		{method: "GET", target: "/bucket/object-1"},
		{method: "PUT", target: "/bucket/customer", body: strings.Repeat("x", 1<<20), header: customer(customerKey)},
		{method: "POST", target: "/rustfs/admin/v3/kms/configure", body: toJSON(map[string]any{
			"kms_type": "vault", "vault_address": w.proxy.Address, "vault_token": wrongToken, "vault_mount_path": w.mount,
		})},
	} {
		wg.Go(func() { w.do(ctx, r) })
	}
	eventually(w.t, recovery, func() error {
		if w.proxy.Calls("lookup-self") == 0 {
			return fmt.Errorf("nothing is under way")
		}
		return nil
	})
	if err := syscall.Kill(w.daemon.PID(), syscall.SIGQUIT); err != nil {
		w.t.Fatal(err)
	}
	if err := w.daemon.Stop(w.t.Context()); err == nil {
		w.t.Error("the server survived")
	}
	cancel()
	wg.Wait()
	w.daemon = nil
	if !strings.Contains(w.log.String(), "goroutine ") {
		w.t.Error("there is no dump of goroutines")
	}
	w.watch(nil)
}

// needles are all secrets. What Vault was asked to decrypt is decrypted once more.
func (w *secretsWorld) needles() []string {
	w.t.Helper()
	sums := []string{}
	for _, key := range []string{customerKey, otherKey, urlKey} {
		sum := md5.Sum([]byte(key))
		sums = append(sums, string(sum[:]))
	}
	all := append(sums, unlockSecret, masterSecret, wrongToken, wrongSecret, staticKey, customerKey, otherKey, urlKey,
		w.token, w.role.SecretID, w.start.SecretKey)
	keks := map[string]bool{}
	for _, item := range w.wrapped {
		keks[string(vaultDecrypt(w.t, w.mount, item["key"].(string), item["ciphertext"].(string), item["context"].(string)))] = true
	}
	if len(keks) < 3 || len(w.given) == 0 {
		w.t.Errorf("only %d KEKs and %d data keys to look for", len(keks), len(w.given))
	}
	for kek := range keks {
		all = append(all, kek)
	}
	return append(all, w.given...)
}

// provePlanted shows that the scan finds each of the secrets where it has just found
// none.
func (w *secretsWorld) provePlanted(needles []string) {
	w.t.Helper()
	for i, needle := range needles {
		name := fmt.Sprintf("planted-%d", i)
		w.keep(name, fmt.Sprintf("level=DEBUG msg=%q key=%s\n", needle, base64.URLEncoding.EncodeToString([]byte("k:"+needle))))
		found, err := canary.Scan(filepath.Join(w.seen, name), []string{needle})
		if err != nil || len(found) < 2 {
			w.t.Errorf("%q was planted and found %d times, %v", needle, len(found), err)
		}
	}
}

// around shows what stands beside a finding.
func around(file string, at int) string {
	content, err := os.ReadFile(file)
	if err != nil {
		return err.Error()
	}
	return fmt.Sprintf("%q", content[max(0, at-120):min(len(content), at+40)])
}
