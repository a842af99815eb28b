package config

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"coffer/internal/secret"
)

// labKey is a static key, as id:base64.
const labKey = "lab:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="

// TestKMSPrecedence gives one setting through every subset of the sources.
func TestKMSPrecedence(t *testing.T) {
	t.Parallel()
	for subset := range 16 {
		t.Run(fmt.Sprintf("%04b", subset), func(t *testing.T) {
			t.Parallel()
			src := sources(t)
			want, origin := "", ""
			text := "kms:\n  type: vault\n  vault-token-file: t\n"
			path := write(t, "c.yaml", text)
			if subset&1 != 0 {
				path = write(t, "c.yaml", text+"  vault-address: https://file\n")
				want, origin = "https://file", path+":4: kms.vault-address"
			}
			src.Environ = append(src.Environ, "COFFER_CONFIG="+path)
			if subset&2 != 0 {
				src.Environ = append(src.Environ, "RUSTFS_KMS_VAULT_ENDPOINT=https://rustfs")
				want, origin = "https://rustfs", "RUSTFS_KMS_VAULT_ENDPOINT"
			}
			if subset&4 != 0 {
				src.Environ = append(src.Environ, "COFFER_KMS_VAULT_ADDRESS=https://coffer")
				want, origin = "https://coffer", "COFFER_KMS_VAULT_ADDRESS"
			}
			if subset&8 != 0 {
				src.Flags["kms-vault-address"] = []string{"https://flag"}
				want, origin = "https://flag", "--kms-vault-address"
			}
			c, err := Load(src)
			if err != nil {
				t.Fatal(err)
			}
			if want == "" {
				want = defaultVault
			}
			if c.KMS.Vault.Address != want {
				t.Errorf("address %q, want %q", c.KMS.Vault.Address, want)
			}
			for _, s := range c.Settings {
				if s.Name == "kms-vault-address" && s.Origin.String() != origin {
					t.Errorf("from %s, want %s", s.Origin, origin)
				}
			}
		})
	}
}

// TestChosenKMS tells the backend from what was said.
func TestChosenKMS(t *testing.T) {
	t.Parallel()
	master := []string{"COFFER_KMS_LOCAL_KEY_DIR=/srv/keys", "RUSTFS_KMS_LOCAL_MASTER_KEY=m"}
	token := "RUSTFS_KMS_VAULT_TOKEN=hunter2"
	cases := []struct {
		name    string
		environ []string
		enabled bool
		kind    string
	}{
		{"nothing", nil, false, KMSLocal},
		{"enabled alone is the built-in keyring", []string{"RUSTFS_KMS_ENABLE=true"}, true, KMSLocal},
		{"switches alone", []string{"COFFER_KMS_TIMEOUT_SECS=9", "COFFER_KMS_NO_STAND_IN=true"}, false, KMSLocal},
		{"type", []string{"RUSTFS_KMS_TYPE=vault", token}, true, KMSVault},
		{"backend", []string{"RUSTFS_KMS_BACKEND=vault_transit", token}, true, KMSVault},
		{"twin of backend", []string{"COFFER_KMS_BACKEND=vault-transit", token}, true, KMSVault},
		{"address", []string{"RUSTFS_KMS_ENABLED=true", "RUSTFS_KMS_VAULT_ENDPOINT=https://vault:8200", token}, true, KMSVault},
		{"key directory", master, true, KMSLocal},
		{"older name of the key directory", []string{"RUSTFS_KMS_KEY_DIR=/srv/keys", "RUSTFS_KMS_LOCAL_MASTER_KEY=m"}, true, KMSLocal},
		{"static key", []string{"RUSTFS_KMS_STATIC_SECRET_KEY=" + labKey}, true, KMSStatic},
		{"static key of MinIO", []string{"MINIO_KMS_SECRET_KEY=" + labKey}, true, KMSStatic},
		{"switched off", []string{"MINIO_KMS_SECRET_KEY=" + labKey, "RUSTFS_KMS_ENABLE=false"}, false, KMSStatic},
		{"Coffer's switch wins", []string{"COFFER_KMS_ENABLE=false", "RUSTFS_KMS_ENABLE=true"}, false, KMSLocal},
		{"switched off, nothing is missing", []string{"COFFER_KMS_ENABLE=false", "COFFER_KMS_TYPE=vault"}, false, KMSVault},
		{"the type wins over a place", append(master, "COFFER_KMS_TYPE=static", "MINIO_KMS_SECRET_KEY="+labKey), true, KMSStatic},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			c, err := Load(sources(t, tc.environ...))
			if err != nil {
				t.Fatal(err)
			}
			if c.KMS.Enabled != tc.enabled || c.KMS.Type != tc.kind {
				t.Errorf("enabled %v, type %q; want %v, %q", c.KMS.Enabled, c.KMS.Type, tc.enabled, tc.kind)
			}
		})
	}
}

// TestKMSValues gives every value that is not a secret by a variable of RustFS.
func TestKMSValues(t *testing.T) {
	t.Parallel()
	c, err := Load(sources(t,
		"RUSTFS_KMS_ENABLE=true", "RUSTFS_KMS_BACKEND=vault", "RUSTFS_KMS_DEFAULT_KEY_ID=team/a",
		"RUSTFS_KMS_TIMEOUT_SECS=7", "RUSTFS_KMS_RETRY_ATTEMPTS=2", "RUSTFS_KMS_ENABLE_CACHE=false",
		"COFFER_KMS_MAX_CACHED_KEYS=5", "COFFER_KMS_CACHE_TTL_SECS=6",
		"RUSTFS_KMS_VAULT_ADDRESS=http://vault:8200", "RUSTFS_KMS_ALLOW_INSECURE_DEV_DEFAULTS=true",
		"RUSTFS_KMS_VAULT_NAMESPACE=ns", "RUSTFS_KMS_VAULT_MOUNT_PATH=tr",
		"RUSTFS_KMS_VAULT_TRANSIT_METADATA_KV_MOUNT=kv", "RUSTFS_KMS_VAULT_TRANSIT_METADATA_PREFIX=pre",
		"RUSTFS_KMS_VAULT_SKIP_TLS_VERIFY=true", "RUSTFS_KMS_VAULT_TOKEN=stale",
		"COFFER_KMS_VAULT_CA_CERT=/ca", "COFFER_KMS_VAULT_CLIENT_CERT=/crt", "COFFER_KMS_VAULT_CLIENT_KEY=/key",
		"COFFER_KMS_VAULT_SERVER_NAME=v", "RUSTFS_KMS_VAULT_KUBERNETES_ROLE=r", "RUSTFS_KMS_VAULT_KUBERNETES_MOUNT=k8s",
		"RUSTFS_KMS_VAULT_KUBERNETES_JWT_PATH=/jwt", "RUSTFS_KMS_PROBE_INTERVAL_SECS=1",
		"RUSTFS_HEALTH_COMPAT_KMS_READY_CHECK_ENABLE=true",
		"COFFER_KMS_NO_STAND_IN=true", "COFFER_KMS_FOR_SSE_S3=true", "COFFER_KMS_ROTATE_DUE=true", "COFFER_KMS_REWRAP_DUE=true", "RUSTFS_KMS_ROTATION_MAX_AGE_SECS=60",
	))
	if err != nil {
		t.Fatal(err)
	}
	want := KMS{
		Enabled: true, Type: KMSVault, DefaultKeyID: "team/a", Timeout: 7 * time.Second, RetryAttempts: 2, NoCache: true,
		MaxCachedKeys: 5, CacheTTL: 6 * time.Second, NoStandIn: true, ForSSES3: true, KeyMaxAge: time.Hour, RotateDue: true, RewrapDue: true,
		ProbeInterval: 5 * time.Second, ReadyCheck: true, Insecure: true,
		Vault: Vault{
			Address: "http://vault:8200", Namespace: "ns", Mount: "tr", KVMount: "kv", KeyPrefix: "pre",
			CACert: "/ca", ClientCert: "/crt", ClientKey: "/key", ServerName: "v", SkipVerify: true,
			Token:          secret.New([]byte("stale")),
			KubernetesRole: "r", KubernetesPath: "k8s", KubernetesJWT: "/jwt",
		},
	}
	same := cmp.Comparer(func(a, b secret.Value) bool { return string(a.Expose()) == string(b.Expose()) })
	if diff := cmp.Diff(want, c.KMS, same); diff != "" {
		t.Errorf("KMS (-want +got):\n%s", diff)
	}
}

// TestKMSSecrets takes secrets from variables and files, and shows none.
func TestKMSSecrets(t *testing.T) {
	t.Parallel()
	key, other := labKey, strings.Replace(labKey, "lab", "file", 1)
	file := write(t, "key", other+"\n")
	cases := []struct {
		name    string
		environ []string
		want    string
	}{
		{"variable", []string{"COFFER_KMS_STATIC_SECRET_KEY=" + key}, key},
		{"file", []string{"RUSTFS_KMS_STATIC_SECRET_KEY_FILE=" + file}, other},
		{"file of MinIO", []string{"MINIO_KMS_SECRET_KEY_FILE=" + file}, other},
		{"the file wins over its like", []string{"MINIO_KMS_SECRET_KEY=" + key, "MINIO_KMS_SECRET_KEY_FILE=" + file}, other},
		{"Coffer wins over the others' file", []string{"COFFER_KMS_STATIC_SECRET_KEY=" + key, "RUSTFS_KMS_STATIC_SECRET_KEY_FILE=" + file}, key},
		{"Coffer's file wins over the others", []string{"COFFER_KMS_STATIC_SECRET_KEY_FILE=" + file, "MINIO_KMS_SECRET_KEY=" + key}, other},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			c, err := Load(sources(t, tc.environ...))
			if err != nil {
				t.Fatal(err)
			}
			if got := string(c.KMS.StaticKey.Expose()); got != tc.want {
				t.Errorf("key %q, want %q", got, tc.want)
			}
			if shown := fmt.Sprintf("%v %+v %#v", *c, c.Settings, c.KMS); strings.Contains(shown, "AAECAw") {
				t.Errorf("the secret shows: %s", shown)
			}
		})
	}
}

func TestKMSNotices(t *testing.T) {
	t.Parallel()
	c, err := Load(sources(t, "MINIO_KMS_AUTO_ENCRYPTION=on", "RUSTFS_KMS_AWS_REGION=eu-1", "COFFER_KMS_TYPE=local", "MINIO_KMS_SECRET_KEY="+labKey))
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"MINIO_KMS_AUTO_ENCRYPTION has no effect: every object is encrypted, whatever it says",
		"RUSTFS_KMS_AWS_REGION has no effect: " + noAWS,
		"MINIO_KMS_SECRET_KEY has no effect: the type is local",
	}
	if diff := cmp.Diff(want, c.KMS.Notices); diff != "" {
		t.Errorf("notices (-want +got):\n%s", diff)
	}
}

// TestKeyDirectoryApart wants key directories outside of those that are copied
// or cleared.
func TestKeyDirectoryApart(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	base := []string{"COFFER_DATA=" + filepath.Join(dir, "data"), "TMPDIR=" + filepath.Join(dir, "tmp"), "COFFER_KMS_LOCAL_MASTER_KEY=m"}
	cases := []struct {
		name, dir, want string
		insecure        bool
	}{
		{name: "apart", dir: "keys"},
		{name: "in the data", dir: "data/keys", want: "the data directory"},
		{name: "in the data, insecure", dir: "data/keys", want: "the data directory", insecure: true},
		{name: "temporary", dir: "tmp/keys", want: "temporary files"},
		{name: "temporary, insecure", dir: "tmp/keys", insecure: true},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			_, err := Load(sources(t, append(base, "RUSTFS_KMS_LOCAL_KEY_DIR="+filepath.Join(dir, tc.dir),
				fmt.Sprintf("RUSTFS_KMS_ALLOW_INSECURE_DEV_DEFAULTS=%v", tc.insecure))...))
			switch {
			case tc.want == "" && err != nil:
				t.Error(err)
			case tc.want != "" && (err == nil || !strings.Contains(err.Error(), tc.want)):
				t.Errorf("Load = %v, want a fault about %s", err, tc.want)
			}
		})
	}
}

func TestTrustedProxies(t *testing.T) {
	t.Parallel()
	c, err := Load(sources(t, "COFFER_TRUSTED_PROXY=10.0.0.0/8, 192.0.2.7,::1,::ffff:192.0.2.8"))
	if err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprint(c.Server.TrustedProxies); got != "[10.0.0.0/8 192.0.2.7/32 ::1/128 192.0.2.8/32]" {
		t.Errorf("proxies %s", got)
	}
	_, err = Load(sources(t, "COFFER_TRUSTED_PROXY=proxy.example"))
	if _, ok := errors.AsType[Faults](err); !ok || !strings.Contains(err.Error(), "neither an address nor a network") {
		t.Errorf("Load = %v", err)
	}
}

// TestEveryVariableIsKnown wants each RUSTFS_KMS_ variable that RustFS has had, and its twin, to be a setting or to be
// said to have no effect.
func TestEveryVariableIsKnown(t *testing.T) {
	t.Parallel()
	known := map[string]bool{}
	for _, s := range settings("", "") {
		own, foreign := s.variables()
		for _, name := range append(own, foreign...) {
			known[name] = true
		}
	}
	for _, idle := range kmsIdle() {
		known[idle[0]] = true
	}
	for name := range strings.FieldsSeq(`
		ENABLE ENABLED VAULT_ENDPOINT VAULT_KEY_NAME TYPE BACKEND DEFAULT_KEY_ID TIMEOUT_SECS RETRY_ATTEMPTS
		ENABLE_CACHE KEY_DIR LOCAL_KEY_DIR LOCAL_MASTER_KEY VAULT_ADDRESS VAULT_TOKEN VAULT_NAMESPACE
		VAULT_MOUNT_PATH VAULT_KV_MOUNT VAULT_KEY_PREFIX VAULT_TRANSIT_METADATA_KV_MOUNT
		VAULT_TRANSIT_METADATA_PREFIX VAULT_SKIP_TLS_VERIFY VAULT_APPROLE_ROLE_ID VAULT_APPROLE_SECRET_ID
		VAULT_APPROLE_SECRET_ID_FILE VAULT_APPROLE_MOUNT VAULT_KUBERNETES_ROLE VAULT_KUBERNETES_MOUNT
		VAULT_KUBERNETES_JWT_PATH VAULT_TOKEN_FILE STATIC_SECRET_KEY STATIC_SECRET_KEY_FILE AWS_REGION
		AWS_ENDPOINT_URL ALLOW_INSECURE_DEV_DEFAULTS ALLOW_IMMEDIATE_DELETION ENFORCE_SSE_KEY_POLICY
		ROTATION_MAX_AGE_SECS ROTATION_MAX_WRAPS PROBE_INTERVAL_SECS BACKUP_DIR BACKUP_KEK BACKUP_KEK_ID
		BACKUP_KEK_VERSION DRILL_WORKSPACE DRILL_MASTER_KEY DRILL_KEYS DRILL_DISASTER DRILL_ID DRILL_DEPLOYMENT
		DRILL_OBJECTS_PER_KEY DRILL_OBJECT_BYTES DRILL_FILE_PERMISSIONS DRILL_EVIDENCE
	`) {
		for _, prefix := range []string{"RUSTFS_KMS_", "COFFER_KMS_"} {
			if !known[prefix+name] {
				t.Errorf("%s is not known", prefix+name)
			}
		}
	}
}

// TestEveryVariableIsDocumented holds the table of settings and the page about
// them together.
func TestEveryVariableIsDocumented(t *testing.T) {
	t.Parallel()
	page, err := os.ReadFile(filepath.Join("..", "..", "docs", "configuration.md"))
	if err != nil {
		t.Fatal(err)
	}
	documented := func(name string) {
		short := strings.TrimPrefix(strings.TrimPrefix(name, variablePrefix), rustfsPrefix)
		if !strings.Contains(string(page), "`"+short+"`") && !strings.Contains(string(page), "`"+name+"`") {
			t.Errorf("%s is not documented", name)
		}
	}
	for _, s := range settings("", "") {
		if own, foreign := s.variables(); s.isKMS() {
			for _, name := range append(own, foreign...) {
				documented(name)
			}
		}
	}
	for _, idle := range kmsIdle() {
		documented(idle[0])
	}
	for name := range kmsElsewhere() {
		documented(name)
	}
}
