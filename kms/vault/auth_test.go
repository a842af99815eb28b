package vault_test

import (
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"coffer/cipher"
	"coffer/internal/secret"
	"coffer/kms"
	"coffer/kms/vault"
	"coffer/kms/vault/vaulttest"
)

// writeFile writes a secret for its owner alone.
func writeFile(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
}

// TestAuth logs in by every method.
func TestAuth(t *testing.T) {
	t.Parallel()
	mount := setUp(t, shared)
	policy := shared.Policy(t, vaulttest.DataPolicy(mount, testKey))
	dir := t.TempDir()
	role := shared.AppRole(t, vaulttest.AppRole{Policies: []string{policy}, TTL: time.Hour})
	k8s := shared.Kubernetes(t, time.Hour, policy)
	secretID, tokenFile, secretIDFile := secret.New([]byte(role.SecretID)), filepath.Join(dir, "token"), filepath.Join(dir, "secret-id")
	writeFile(t, tokenFile, shared.Token(t, vaulttest.Token{Policies: []string{policy}}))
	writeFile(t, secretIDFile, role.SecretID)
	tests := []struct {
		name string
		auth vault.Auth
	}{
		{"token", token(shared.Token(t, vaulttest.Token{Policies: []string{policy}}))},
		{"token_file", vault.TokenFile{Path: tokenFile}},
		{"approle", vault.AppRole{Mount: role.Mount, RoleID: role.ID, SecretID: secretID}},
		{"approle", vault.AppRole{Mount: "/" + role.Mount + "/", RoleID: role.ID, SecretIDFile: secretIDFile}},
		{"kubernetes", vault.Kubernetes{Mount: k8s.Mount, Role: k8s.Role, JWTFile: k8s.JWTFile}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if got := tt.auth.Method(); got != tt.name {
				t.Errorf("method %q", got)
			}
			b := open(t, patient(vault.Options{Mount: mount, Auth: tt.auth}))
			kek, w := issue(t, b)
			wantKEK(t, b, w, kek)
			if err := b.Health(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestAuthRefused(t *testing.T) {
	t.Parallel()
	mount := setUp(t, shared)
	dir := t.TempDir()
	role := shared.AppRole(t, vaulttest.AppRole{TTL: time.Hour})
	k8s := shared.Kubernetes(t, time.Hour)
	good, wrongJWT, open0644, empty := secret.New([]byte(role.SecretID)), filepath.Join(dir, "jwt"), filepath.Join(dir, "token"), filepath.Join(dir, "empty")
	writeFile(t, wrongJWT, "eyJhbGciOiJSUzI1NiJ9.e30.eA")
	writeFile(t, open0644, "hvs.CAESIJ")
	writeFile(t, empty, "")
	if err := os.Chmod(open0644, 0o644); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name string
		auth vault.Auth
		want kms.Kind
		text string
	}{
		{"token", token("hvs.CAESIJ"), kms.Denied, "invalid token"},
		{"token file open to all", vault.TokenFile{Path: open0644}, kms.Configuration, "0644"},
		{"token file missing", vault.TokenFile{Path: filepath.Join(dir, "none")}, kms.Configuration, "no such file"},
		{"token file empty", vault.TokenFile{Path: empty}, kms.Configuration, "is empty"},
		{"role id", vault.AppRole{Mount: role.Mount, RoleID: "none", SecretID: good}, kms.Denied, "auth/" + role.Mount + "/login"},
		{"secret id", vault.AppRole{Mount: role.Mount, RoleID: role.ID, SecretID: secret.New([]byte("none"))}, kms.Denied, "invalid role or secret ID"},
		{"secret id file missing", vault.AppRole{RoleID: role.ID, SecretIDFile: filepath.Join(dir, "none")}, kms.Configuration, "no such file"},
		{"Kubernetes role", vault.Kubernetes{Mount: k8s.Mount, Role: "none", JWTFile: k8s.JWTFile}, kms.Denied, "auth/" + k8s.Mount + "/login"},
		{"service account", vault.Kubernetes{Mount: k8s.Mount, Role: k8s.Role, JWTFile: wrongJWT}, kms.Denied, ""},
		{"policy", vault.AppRole{Mount: role.Mount, RoleID: role.ID, SecretID: good}, kms.Denied, mount + "/datakey/plaintext/" + testKey},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			b := open(t, patient(vault.Options{Mount: mount, Auth: tt.auth}))
			for range 2 { // the second time it is known already
				_, _, err := b.GenerateKEK(t.Context(), testKey, nil)
				wantError(t, err, tt.want, tt.text)
			}
		})
	}
}

// TestRenewal keeps a backend busy over several lives of its token: 4 s, which
// renewals stretch to 12 s.
func TestRenewal(t *testing.T) {
	t.Parallel()
	mount := setUp(t, shared)
	policy := shared.Policy(t, vaulttest.DataPolicy(mount, testKey))
	role := shared.AppRole(t, vaulttest.AppRole{Policies: []string{policy}, TTL: 4 * time.Second, MaxTTL: 12 * time.Second})
	proxy := vaulttest.NewProxy(t, shared)
	b := open(t, patient(vault.Options{
		Address: proxy.Address, Mount: mount,
		Auth: vault.AppRole{Mount: role.Mount, RoleID: role.ID, SecretID: secret.New([]byte(role.SecretID))},
	}))
	end := time.Now().Add(15 * time.Second)
	var calls [4]int
	var wg sync.WaitGroup
	for i := range calls {
		wg.Go(func() {
			for ; time.Now().Before(end); calls[i]++ {
				kek, w, err := b.GenerateKEK(t.Context(), testKey, testContext())
				if err != nil {
					t.Errorf("call %d: %v", calls[i], err)
					return
				}
				got, err := b.Unwrap(t.Context(), w, testContext())
				if err != nil || !got.Equal(kek) {
					t.Errorf("call %d: %v", calls[i], err)
					return
				}
				time.Sleep(2 * time.Millisecond)
			}
		})
	}
	wg.Wait()
	logins, renewals := proxy.Calls("auth/"+role.Mount+"/login"), proxy.Calls("auth/token/renew-self")
	t.Logf("%v calls, %d logins, %d renewals", calls, logins, renewals)
	// A token that is too old for another renewal is replaced before Vault refuses it.
	if n := proxy.Answers(403, mount); n != 0 {
		t.Errorf("Vault refused %d calls", n)
	}
	if logins < 2 || logins > 4 || renewals < 4 {
		t.Errorf("%d logins and %d renewals in 15 s", logins, renewals)
	}
	if at := b.Report().CredentialExpires; at.Before(time.Now()) || at.After(time.Now().Add(4*time.Second)) {
		t.Errorf("the token ends at %v", at)
	}
}

// TestRenewalFails shows that a renewal that Vault does not answer is repeated,
// without a login as long as there is time, and that nobody notices.
func TestRenewalFails(t *testing.T) {
	t.Parallel()
	mount := setUp(t, shared)
	policy := shared.Policy(t, vaulttest.DataPolicy(mount, testKey))
	role := shared.AppRole(t, vaulttest.AppRole{Policies: []string{policy}, TTL: 5 * time.Second, SecretIDUses: 1})
	proxy := vaulttest.NewProxy(t, shared)
	proxy.SetFault(vaulttest.On("renew-self", vaulttest.Times(2, vaulttest.Status(503))))
	b := open(t, patient(vault.Options{
		Address: proxy.Address, Mount: mount,
		Auth: vault.AppRole{Mount: role.Mount, RoleID: role.ID, SecretID: secret.New([]byte(role.SecretID))},
	}))
	for end := time.Now().Add(8 * time.Second); time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
		issue(t, b)
	}
	logins, renewals := proxy.Calls("/login"), proxy.Calls("renew-self")
	if logins != 1 || renewals < 4 {
		t.Errorf("%d logins, %d renewals", logins, renewals)
	}
}

// TestTokenGivenIsRenewed shows that a plain token lives on too.
func TestTokenGivenIsRenewed(t *testing.T) {
	t.Parallel()
	mount := setUp(t, shared)
	policy := shared.Policy(t, vaulttest.DataPolicy(mount, testKey))
	text := shared.Token(t, vaulttest.Token{Policies: []string{policy}, TTL: 3 * time.Second})
	b := open(t, patient(vault.Options{Mount: mount, Auth: token(text)}))
	for end := time.Now().Add(7 * time.Second); time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
		issue(t, b)
	}
}

// TestTokenExpires shows what is said when there is no other token.
func TestTokenExpires(t *testing.T) {
	t.Parallel()
	mount := setUp(t, shared)
	policy := shared.Policy(t, vaulttest.DataPolicy(mount, testKey))
	for name, only := range map[string]bool{"looked up": false, "with nothing but its policies": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			text := shared.Token(t, vaulttest.Token{
				Policies: []string{policy}, TTL: 2 * time.Second, MaxTTL: 2 * time.Second, OnlyPolicies: only,
			})
			b := open(t, patient(vault.Options{Mount: mount, Auth: token(text)}))
			issue(t, b)
			eventually(t, 20*time.Second, func() error {
				_, _, err := b.GenerateKEK(t.Context(), testKey, testContext())
				if err == nil {
					return os.ErrDeadlineExceeded // not yet
				}
				wantError(t, err, kms.Denied, "invalid token")
				return nil
			})
		})
	}
}

// TestTokenRevoked shows that a backend that can log in does so when its token
// ends before its time, and that no caller notices.
func TestTokenRevoked(t *testing.T) {
	t.Parallel()
	mount := setUp(t, shared)
	policy := shared.Policy(t, vaulttest.DataPolicy(mount, testKey))
	role := shared.AppRole(t, vaulttest.AppRole{Policies: []string{policy}, TTL: time.Hour, SecretIDUses: 2})
	b := open(t, patient(vault.Options{
		Mount: mount, Auth: vault.AppRole{Mount: role.Mount, RoleID: role.ID, SecretID: secret.New([]byte(role.SecretID))},
	}))
	kek, w := issue(t, b)
	time.Sleep(1100 * time.Millisecond) // a token that is younger is not suspected
	shared.RevokeLogins(t, role)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() { wantKEK(t, b, w, kek) })
	}
	wg.Wait()

	time.Sleep(1100 * time.Millisecond)
	shared.RevokeLogins(t, role) // and the secret id is used up
	_, err := b.Unwrap(t.Context(), w, testContext())
	wantError(t, err, kms.Denied, "no token", "approle", "invalid role or secret ID")
}

// TestTokenFileChanges shows that the file is read again, and that a token is
// kept while the file cannot be read.
func TestTokenFileChanges(t *testing.T) {
	t.Parallel()
	mount := setUp(t, shared)
	policy := shared.Policy(t, vaulttest.DataPolicy(mount, testKey))
	path := filepath.Join(t.TempDir(), "token")
	first := shared.Token(t, vaulttest.Token{Policies: []string{policy}})
	writeFile(t, path, first)
	b := open(t, patient(vault.Options{Mount: mount, Auth: vault.TokenFile{Path: path, Poll: 500 * time.Millisecond}}))
	issue(t, b)
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	time.Sleep(time.Second)
	issue(t, b)
	writeFile(t, path, shared.Token(t, vaulttest.Token{Policies: []string{policy}}))
	eventually(t, 15*time.Second, func() error {
		if fault := b.Report().Notes; len(fault) > 1 { // beside that of plain HTTP
			return os.ErrNotExist
		}
		return nil
	})
	shared.Revoke(t, first)
	issue(t, b)
}

// TestCloseRevokes shows that a token that a login gave ends with the backend.
func TestCloseRevokes(t *testing.T) {
	t.Parallel()
	mount := setUp(t, shared)
	policy := shared.Policy(t, vaulttest.DataPolicy(mount, testKey))
	role := shared.AppRole(t, vaulttest.AppRole{Policies: []string{policy}, TTL: time.Hour})
	proxy := vaulttest.NewProxy(t, shared)
	b := open(t, patient(vault.Options{
		Address: proxy.Address, Mount: mount,
		Auth: vault.AppRole{Mount: role.Mount, RoleID: role.ID, SecretID: secret.New([]byte(role.SecretID))},
	}))
	issue(t, b)
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	if n := proxy.Calls("auth/token/revoke-self"); n != 1 {
		t.Errorf("%d revocations", n)
	}
	_, _, err := b.GenerateKEK(t.Context(), testKey, nil)
	wantError(t, err, kms.Unavailable, "closed")
}

// TestCloseLeavesNothing is not parallel: goroutines of other tests are not its
// own.
func TestCloseLeavesNothing(t *testing.T) {
	before := goleak.IgnoreCurrent()
	b, err := vault.Open(patient(vault.Options{
		Instance: cipher.NewInstanceID(), Address: shared.Address, Mount: setUp(t, shared), Auth: token(shared.RootToken),
	}))
	if err != nil {
		t.Fatal(err)
	}
	issue(t, b)
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	goleak.VerifyNone(t, before)
}
