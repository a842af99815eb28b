package main

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"coffer/cipher"
	"coffer/internal/config"
	"coffer/internal/secret"
	"coffer/kms/manager"
	"coffer/kms/vault"
)

// sameSecrets compares secrets, which print alike.
func sameSecrets() cmp.Option {
	return cmp.Comparer(func(a, b secret.Value) bool { return string(a.Expose()) == string(b.Expose()) })
}

// TestVaultOfSettings takes each way to get a token from the settings to the
// options of the backend.
func TestVaultOfSettings(t *testing.T) {
	t.Parallel()
	hidden := secret.New([]byte("hunter2"))
	cases := []struct {
		name  string
		vault config.Vault
		want  vault.Auth
	}{
		{"token", config.Vault{Token: hidden}, vault.Token{Token: hidden}},
		{"token file", config.Vault{TokenFile: "/t", TokenFilePoll: 5}, vault.TokenFile{Path: "/t", Poll: 5}},
		{
			"AppRole, the token is an old one", config.Vault{RoleID: "r", SecretID: hidden, AppRoleMount: "m", Token: hidden},
			vault.AppRole{Mount: "m", RoleID: "r", SecretID: hidden},
		},
		{
			"AppRole, the file wins", config.Vault{RoleID: "r", SecretID: hidden, SecretIDFile: "/s"},
			vault.AppRole{RoleID: "r", SecretIDFile: "/s"},
		},
		{
			"Kubernetes", config.Vault{KubernetesRole: "r", KubernetesPath: "m", KubernetesJWT: "/j", Token: hidden},
			vault.Kubernetes{Mount: "m", Role: "r", JWTFile: "/j"},
		},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			v := tc.vault
			v.Address, v.Namespace, v.Mount, v.KVMount, v.KeyPrefix = "https://v", "ns", "tr", "kv", "pre"
			v.CACert, v.ClientCert, v.ClientKey, v.ServerName, v.SkipVerify = "/ca", "/crt", "/key", "sn", true
			given := givenBackend(config.KMS{Enabled: true, Type: config.KMSVault, Timeout: 3, RetryAttempts: 4, Insecure: true, Vault: v})
			if err := given.Validate(); err != nil {
				t.Fatal(err)
			}
			id := cipher.NewInstanceID()
			want := vault.Options{
				Instance: id, Address: "https://v", DangerPlainHTTP: true, Namespace: "ns", Mount: "tr", KVMount: "kv", KVPrefix: "pre",
				TLS:  vault.TLS{CAFile: "/ca", ClientCertFile: "/crt", ClientKeyFile: "/key", ServerName: "sn", DangerSkipVerify: true},
				Auth: tc.want, AdminTimeout: 3, Attempts: 4,
			}
			got := vaultOptions(given.WithDefaults(), id, nil)
			if diff := cmp.Diff(want, got, sameSecrets()); diff != "" {
				t.Errorf("options (-want +got):\n%s", diff)
			}
			if err := got.Validate(); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestBackendOfSettings(t *testing.T) {
	t.Parallel()
	hidden := secret.New([]byte("id:hunter2"))
	base := config.KMS{Enabled: true, DefaultKeyID: "k", Timeout: 1, RetryAttempts: 2, NoCache: true, MaxCachedKeys: 3, CacheTTL: 4}
	want := manager.Config{DefaultKeyID: "k", Timeout: 1, RetryAttempts: 2, NoCache: true, MaxCachedKeys: 3, CacheTTL: 4}
	local, static := base, base
	local.Type, local.LocalKeyDir, local.LocalMasterKey = config.KMSLocal, "/keys", hidden
	static.Type, static.StaticKey = config.KMSStatic, hidden
	wantLocal, wantStatic := want, want
	wantLocal.Type, wantLocal.Local = manager.TypeLocal, manager.Local{KeyDir: "/keys", MasterKey: hidden}
	wantStatic.Type, wantStatic.Static = manager.TypeStatic, manager.Static{Key: hidden}
	if diff := cmp.Diff(&wantLocal, givenBackend(local), sameSecrets()); diff != "" {
		t.Errorf("local (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(&wantStatic, givenBackend(static), sameSecrets()); diff != "" {
		t.Errorf("static (-want +got):\n%s", diff)
	}
	local.Enabled = false
	if given := givenBackend(local); given != nil {
		t.Errorf("a backend that is not enabled: %v", given)
	}
}
