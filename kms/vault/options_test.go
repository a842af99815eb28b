package vault_test

import (
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/hashicorp/vault/api"

	"coffer/cipher"
	"coffer/internal/secret"
	"coffer/kms"
	"coffer/kms/vault"
)

// TestValidate has every fault once, and all at once.
func TestValidate(t *testing.T) {
	t.Parallel()
	good := vault.Options{Instance: cipher.NewInstanceID(), Address: "https://vault.example:8200/behind/it", Auth: token("t")}
	with := func(change func(*vault.Options)) (o vault.Options) {
		o = good
		change(&o)
		return o
	}
	address := func(a string) vault.Options { return with(func(o *vault.Options) { o.Address = a }) }
	auth := func(a vault.Auth) vault.Options { return with(func(o *vault.Options) { o.Auth = a }) }
	tests := []struct {
		name    string
		options vault.Options
		want    []string // in the error; none: it is valid
	}{
		{"good", good, nil},
		{"nothing", vault.Options{}, []string{"Instance", "Address", "Auth"}},
		{"http to itself", address("http://127.0.0.1:8200"), nil},
		{"http to itself by name", address("http://localhost:8200"), nil},
		{"http to itself by IPv6", address("http://[::1]:8200"), nil},
		{"http elsewhere", address("http://vault.example:8200"), []string{"in the clear", "DangerPlainHTTP"}},
		{"http elsewhere, allowed", with(func(o *vault.Options) { o.Address, o.DangerPlainHTTP = "http://vault.example", true }), nil},
		{"no URL", address("vault.example:8200"), []string{"not an http or https URL"}},
		{"socket", address("unix:///run/vault"), []string{"not an http or https URL"}},
		{"password", address("https://user:canary@vault.example"), []string{"more than scheme"}},
		{"bad password", address("https://user:canary%zz@vault.example"), []string{"not an http or https URL"}},
		{"query", address("https://vault.example?a"), []string{"more than scheme"}},
		{"mounts", with(func(o *vault.Options) { o.Mount, o.KVMount, o.KVPrefix, o.Namespace = "/a/b/", "a", "b/c", "n/" }), nil},
		{"bad mounts", with(func(o *vault.Options) { o.Mount, o.KVMount, o.KVPrefix, o.Namespace = "a//b", "..", "a?b", "a\nb" }),
			[]string{"Mount", "KVMount", "KVPrefix", "Namespace"}},
		{"negative", with(func(o *vault.Options) {
			o.CallTimeout, o.AdminTimeout, o.BreakerPause, o.Attempts, o.InFlight, o.BreakerFailures = -1, -1, -1, -1, -1, -1
		}), []string{"CallTimeout", "AdminTimeout", "BreakerPause", "Attempts", "InFlight", "BreakerFailures"}},
		{"half a certificate", with(func(o *vault.Options) { o.TLS.ClientCertFile = "c" }), []string{"ClientKeyFile"}},
		{"no token", auth(vault.Token{}), []string{"Token.Token"}},
		{"no token file", auth(vault.TokenFile{Poll: -1}), []string{"TokenFile.Path", "TokenFile.Poll"}},
		{"no role", auth(vault.AppRole{Mount: "a b"}), []string{"RoleID", "SecretID", "AppRole.Mount"}},
		{"no Kubernetes role", auth(vault.Kubernetes{Mount: "a//b"}), []string{"Kubernetes.Role", "Kubernetes.Mount"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			err := tt.options.Validate()
			if (err == nil) != (tt.want == nil) {
				t.Fatalf("got %v", err)
			}
			for _, part := range tt.want {
				if !strings.Contains(err.Error(), part) || strings.Contains(err.Error(), "canary") {
					t.Errorf("%q is not in it, or a password is: %v", part, err)
				}
			}
			if err != nil {
				_, err = vault.Open(tt.options)
				wantError(t, err, kms.Configuration, tt.want...)
			}
		})
	}
}

func TestOpenFiles(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	empty := filepath.Join(dir, "empty")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, tls := range map[string]vault.TLS{
		"authority missing":   {CAFile: filepath.Join(dir, "none")},
		"authority empty":     {CAFile: empty},
		"certificate missing": {ClientCertFile: filepath.Join(dir, "none"), ClientKeyFile: empty},
		"certificate empty":   {ClientCertFile: empty, ClientKeyFile: empty},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := vault.Open(vault.Options{
				Instance: cipher.NewInstanceID(), Address: "https://vault.example", Auth: token("t"), TLS: tls,
			})
			wantError(t, err, kms.Configuration, dir)
		})
	}
}

// recorder answers like a Vault that knows nothing, and keeps what it was sent.
type recorder struct {
	mu       sync.Mutex
	requests []*http.Request
}

func (r *recorder) ServeHTTP(w http.ResponseWriter, request *http.Request) {
	r.mu.Lock()
	r.requests = append(r.requests, request)
	r.mu.Unlock()
	http.Error(w, `{"errors":["permission denied"]}`, http.StatusForbidden)
}

// TestEnvironment shows that no variable of Vault's own tools changes the
// client, and that the ones that they use for headers do not appear.
func TestEnvironment(t *testing.T) {
	for name, value := range map[string]string{
		api.EnvVaultAddress: "http://127.0.0.1:1", api.EnvVaultAgentAddr: "http://127.0.0.1:1", api.EnvVaultToken: "canary",
		api.EnvVaultNamespace: "canary", api.EnvVaultHeaders: `{"Canary":"canary"}`, api.EnvVaultWrapTTL: "5m",
		api.EnvVaultMaxRetries: "7", api.EnvVaultSkipVerify: "true", api.EnvVaultProxyAddr: "http://127.0.0.1:1",
		api.EnvHTTPProxy: "http://127.0.0.1:1", api.EnvRateLimit: "0.001", api.EnvVaultDisableRedirects: "true",
		"HTTPS_PROXY": "http://127.0.0.1:1", "HTTP_PROXY": "http://127.0.0.1:1",
	} {
		t.Setenv(name, value)
	}
	var plain recorder
	server := httptest.NewServer(&plain)
	defer server.Close()
	b := open(t, patient(vault.Options{Address: server.URL, Namespace: "team", Auth: token("hvs.given")}))
	_, _, err := b.GenerateKEK(t.Context(), testKey, nil)
	wantError(t, err, kms.Denied)
	plain.mu.Lock()
	defer plain.mu.Unlock()
	last := plain.requests[len(plain.requests)-1]
	for header, want := range map[string]string{
		api.AuthHeaderName: "hvs.given", api.NamespaceHeaderName: "team", "Canary": "", "X-Vault-Wrap-Ttl": "", api.RequestHeaderName: "true",
	} {
		if got := last.Header.Get(header); got != want {
			t.Errorf("header %s: %q, want %q", header, got, want)
		}
	}

	var sealed recorder
	secure := httptest.NewUnstartedServer(&sealed)
	secure.Config.ErrorLog = log.New(io.Discard, "", 0) // it is to be refused
	secure.StartTLS()
	defer secure.Close()
	b = open(t, patient(vault.Options{Address: secure.URL, Auth: token("hvs.given")}))
	_, _, err = b.GenerateKEK(t.Context(), testKey, nil)
	wantError(t, err, kms.Configuration, "certificate")
	if len(sealed.requests) != 0 {
		t.Error("an environment variable made it trust a stranger")
	}

	t.Setenv(api.EnvVaultMaxRetries, "many")
	_, err = vault.Open(vault.Options{Instance: cipher.NewInstanceID(), Address: server.URL, Auth: token("t")})
	wantError(t, err, kms.Configuration)
}

// TestRedirect follows a standby to the server that is active, once.
func TestRedirect(t *testing.T) {
	t.Parallel()
	mount := setUp(t, shared)
	standby := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, shared.Address+r.URL.RequestURI(), http.StatusTemporaryRedirect)
	}))
	defer standby.Close()
	b := open(t, patient(vault.Options{Address: standby.URL, Mount: mount, Auth: token(fullToken(t, shared, mount))}))
	kek, w := issue(t, b)
	wantKEK(t, b, w, kek)

	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, shared.Address+r.URL.RequestURI(), http.StatusFound) // a PUT would become a GET
	}))
	defer other.Close()
	circle := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, r.URL.RequestURI(), http.StatusTemporaryRedirect)
	}))
	defer circle.Close()
	for _, address := range []string{circle.URL, other.URL} {
		b = open(t, vault.Options{Address: address, Mount: mount, Auth: token(fullToken(t, shared, mount))})
		_, _, err := b.GenerateKEK(t.Context(), testKey, nil)
		wantError(t, err, kms.Unavailable, "redirects")
	}
}

// TestSecretsHaveNoForm prints what holds secrets.
func TestSecretsHaveNoForm(t *testing.T) {
	t.Parallel()
	o := vault.Options{Auth: vault.AppRole{RoleID: "r", SecretID: secret.New([]byte("canary"))}}
	if text := errors.Join(o.Validate()).Error() + fmt.Sprintf("%v %+v %#v", o, o, o); strings.Contains(text, "canary") {
		t.Errorf("a secret shows: %s", text)
	}
}
