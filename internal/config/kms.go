package config

import (
	"strings"
	"time"

	"coffer/internal/secret"
)

// KMS says which key backend is started, and how it is used. Zero values mean
// the defaults of the key service.
type KMS struct {
	// Enabled says that the backend below is started, whatever the admin API has
	// kept. Otherwise what it has kept is started, or nothing.
	Enabled bool
	Type    string // KMSLocal, KMSVault or KMSStatic

	DefaultKeyID  string
	Timeout       time.Duration // of one attempt of administrative calls
	RetryAttempts int
	NoCache       bool
	MaxCachedKeys int
	CacheTTL      time.Duration

	LocalKeyDir    string // "" is the built-in keyring
	LocalMasterKey secret.Value
	StaticKey      secret.Value // id:base64
	Vault          Vault

	NoStandIn     bool          // the built-in keyring does not serve SSE-KMS until there is a backend
	ForSSES3      bool          // SSE-S3 uses the backend too
	KeyMaxAge     time.Duration // of keys for which none is set; 0: none
	RotateDue     bool          // keys older than their maximum age are rotated
	RewrapDue     bool          // and what they have wrapped is rewrapped in the background
	ProbeInterval time.Duration // 0: the default; negative: no probes
	ReadyCheck    bool          // not ready while the backend does not work
	Insecure      bool          // plain HTTP, unverified TLS, keys in a temporary directory

	// Notices tell what was said and has no effect here.
	Notices []string
}

// The types of KMS.
const (
	KMSLocal  = "local"
	KMSVault  = "vault"
	KMSStatic = "static"
)

// Vault says where Vault is and how a token is got: by TokenFile, KubernetesRole
// or RoleID, whichever is given, else by Token.
type Vault struct {
	Address   string
	Namespace string
	Mount     string
	KVMount   string
	KeyPrefix string

	CACert         string
	ClientCert     string
	ClientKey      string
	ServerName     string
	SkipVerify     bool
	Token          secret.Value
	TokenFile      string
	TokenFilePoll  time.Duration
	RoleID         string
	SecretID       secret.Value
	SecretIDFile   string
	AppRoleMount   string
	KubernetesRole string
	KubernetesJWT  string
	KubernetesPath string // mount of the method
}

// kmsPrefix begins the names of the settings that the section kms of the file
// holds, and whose variables are read with the prefix of RustFS too.
const kmsPrefix = "kms-"

func kmsSettings() []setting {
	rows := []setting{
		{name: "kms-enable", also: []string{"kms-enabled"}, set: truth(func(c *draft) *bool { return &c.KMS.Enabled })},
		{name: "kms-type", also: []string{"kms-backend"}, set: parsed(func(c *draft) *string { return &c.KMS.Type }, parseKMSType)},
		{name: "kms-default-key-id", also: []string{"kms-vault-key-name"}, set: parsed(func(c *draft) *string { return &c.KMS.DefaultKeyID }, parseKeyID)},
		{name: "kms-timeout-secs", set: parsed(func(c *draft) *time.Duration { return &c.KMS.Timeout }, parseSeconds)},
		{name: "kms-retry-attempts", set: parsed(func(c *draft) *int { return &c.KMS.RetryAttempts }, parseCount)},
		{name: "kms-enable-cache", fallback: []string{"true"}, set: func(c *draft, g given) error {
			enabled, err := parseBool(g.text())
			c.KMS.NoCache = !enabled && err == nil
			return err
		}},
		{name: "kms-max-cached-keys", set: parsed(func(c *draft) *int { return &c.KMS.MaxCachedKeys }, parseCount)},
		{name: "kms-cache-ttl-secs", set: parsed(func(c *draft) *time.Duration { return &c.KMS.CacheTTL }, parseSeconds)},
		{name: "kms-local-key-dir", also: []string{"kms-key-dir"}, set: absolute(func(c *draft) *string { return &c.KMS.LocalKeyDir })},
		{name: "kms-no-stand-in", fallback: []string{"false"}, set: truth(func(c *draft) *bool { return &c.KMS.NoStandIn })},
		{name: "kms-for-sse-s3", fallback: []string{"false"}, set: truth(func(c *draft) *bool { return &c.KMS.ForSSES3 })},
		{name: "kms-rotation-max-age-secs", set: parsed(func(c *draft) *time.Duration { return &c.KMS.KeyMaxAge }, parseMaxAge)},
		{name: "kms-rotate-due", fallback: []string{"false"}, set: truth(func(c *draft) *bool { return &c.KMS.RotateDue })},
		{name: "kms-rewrap-due", fallback: []string{"false"}, set: truth(func(c *draft) *bool { return &c.KMS.RewrapDue })},
		{name: "kms-probe-interval-secs", fallback: []string{"60"}, set: parsed(func(c *draft) *time.Duration { return &c.KMS.ProbeInterval }, parseProbeInterval)},
		{
			name: "kms-ready-check", fallback: []string{"false"}, foreign: []string{"RUSTFS_HEALTH_COMPAT_KMS_READY_CHECK_ENABLE"},
			set: truth(func(c *draft) *bool { return &c.KMS.ReadyCheck }),
		},
		{name: "kms-allow-insecure-dev-defaults", fallback: []string{"false"}, set: truth(func(c *draft) *bool { return &c.KMS.Insecure })},
	}
	return append(rows, vaultSettings()...)
}

func vaultSettings() []setting {
	words := func(field func(*Vault) *string) func(*draft, given) error {
		return parsed(func(c *draft) *string { return field(&c.KMS.Vault) }, parseWords)
	}
	file := func(field func(*Vault) *string) func(*draft, given) error {
		return path(func(c *draft) *string { return field(&c.KMS.Vault) })
	}
	hidden := func(field func(*Vault) *secret.Value) func(*draft, given) error {
		return parsed(func(c *draft) *secret.Value { return field(&c.KMS.Vault) }, parseSecret)
	}
	return []setting{
		{
			name: "kms-vault-address", also: []string{"kms-vault-endpoint"},
			set: parsed(func(c *draft) *string { return &c.KMS.Vault.Address }, parseURL),
		},
		{name: "kms-vault-namespace", set: words(func(v *Vault) *string { return &v.Namespace })},
		{name: "kms-vault-mount-path", set: words(func(v *Vault) *string { return &v.Mount })},
		{name: "kms-vault-kv-mount", also: []string{"kms-vault-transit-metadata-kv-mount"}, set: words(func(v *Vault) *string { return &v.KVMount })},
		{name: "kms-vault-key-prefix", also: []string{"kms-vault-transit-metadata-prefix"}, set: words(func(v *Vault) *string { return &v.KeyPrefix })},
		{name: "kms-vault-ca-cert", set: file(func(v *Vault) *string { return &v.CACert })},
		{name: "kms-vault-client-cert", set: file(func(v *Vault) *string { return &v.ClientCert })},
		{name: "kms-vault-client-key", set: file(func(v *Vault) *string { return &v.ClientKey })},
		{name: "kms-vault-server-name", set: words(func(v *Vault) *string { return &v.ServerName })},
		{
			name: "kms-vault-skip-tls-verify", fallback: []string{"false"},
			set: truth(func(c *draft) *bool { return &c.KMS.Vault.SkipVerify }),
		},
		{name: "kms-vault-token", secret: true, noFile: true, set: hidden(func(v *Vault) *secret.Value { return &v.Token })},
		{name: "kms-vault-token-file", set: file(func(v *Vault) *string { return &v.TokenFile })},
		{
			name: "kms-vault-token-file-poll-secs",
			set:  parsed(func(c *draft) *time.Duration { return &c.KMS.Vault.TokenFilePoll }, parseSeconds),
		},
		{name: "kms-vault-approle-role-id", set: words(func(v *Vault) *string { return &v.RoleID })},
		{name: "kms-vault-approle-secret-id", secret: true, noFile: true, set: hidden(func(v *Vault) *secret.Value { return &v.SecretID })},
		{name: "kms-vault-approle-secret-id-file", set: file(func(v *Vault) *string { return &v.SecretIDFile })},
		{name: "kms-vault-approle-mount", set: words(func(v *Vault) *string { return &v.AppRoleMount })},
		{name: "kms-vault-kubernetes-role", set: words(func(v *Vault) *string { return &v.KubernetesRole })},
		{name: "kms-vault-kubernetes-mount", set: words(func(v *Vault) *string { return &v.KubernetesPath })},
		{name: "kms-vault-kubernetes-jwt-path", set: file(func(v *Vault) *string { return &v.KubernetesJWT })},
	}
}

// kmsSecretPairs are the secrets of backends that are read once, at the start.
func kmsSecretPairs() []secretPair {
	return []secretPair{
		{
			name: "kms-local-master-key", fileWins: true,
			secret: func(c *draft) *secret.Value { return &c.KMS.LocalMasterKey },
			file:   func(c *draft) *string { return &c.masterKeyFile },
			parse:  parseSecret,
		}, {
			name: "kms-static-secret-key", fileWins: true, foreign: []string{"MINIO_KMS_SECRET_KEY"},
			secret: func(c *draft) *secret.Value { return &c.KMS.StaticKey },
			file:   func(c *draft) *string { return &c.staticKeyFile },
			parse:  parseStaticKey,
		},
	}
}

// kmsElsewhere are variables of other servers that ask for what there is not.
// Where one is set, Coffer would otherwise do something else without a word.
func kmsElsewhere() map[string]string {
	const kes = "there is no backend for KES: there are local, vault (Transit) and static"
	const server = "there is no backend for MinIO's key server: there are local, vault (Transit) and static"
	return map[string]string{"MINIO_KMS_KES_ENDPOINT": kes, "MINIO_KMS_SERVER": server}
}

// kmsIdle are variables of other servers that need no heed, and why.
func kmsIdle() [][2]string {
	const (
		wraps    = "rotation is due by age alone: a version may wrap 2^32 KEKs, each of a bucket or an object"
		rootOnly = "the root identity may use every key"
		perCall  = "immediate deletion is asked for with the request and names the key twice"
		backup   = "key files are sealed, and are backed up as they are"
		drill    = "there is no tool that reads it"
	)
	idle := [][2]string{
		{"MINIO_KMS_AUTO_ENCRYPTION", "every object is encrypted, whatever it says"},
		{"RUSTFS_SSE_S3_MASTER_KEY", "the built-in keyring has the keys of SSE-S3"},
	}
	for _, both := range [][2]string{
		{"ROTATION_MAX_WRAPS", wraps}, {"ENFORCE_SSE_KEY_POLICY", rootOnly}, {"ALLOW_IMMEDIATE_DELETION", perCall},
		{"AWS_REGION", noAWS}, {"AWS_ENDPOINT_URL", noAWS},
		{"BACKUP_DIR", backup}, {"BACKUP_KEK", backup}, {"BACKUP_KEK_ID", backup}, {"BACKUP_KEK_VERSION", backup},
		{"DRILL_WORKSPACE", drill}, {"DRILL_MASTER_KEY", drill}, {"DRILL_KEYS", drill}, {"DRILL_DISASTER", drill}, {"DRILL_ID", drill},
		{"DRILL_DEPLOYMENT", drill}, {"DRILL_OBJECTS_PER_KEY", drill}, {"DRILL_OBJECT_BYTES", drill},
		{"DRILL_FILE_PERMISSIONS", drill}, {"DRILL_EVIDENCE", drill},
	} {
		for _, prefix := range []string{rustfsPrefix, variablePrefix} {
			idle = append(idle, [2]string{prefix + "KMS_" + both[0], both[1]})
		}
	}
	return idle
}

const noAWS = "there is no backend for AWS KMS: there are local, vault (Transit) and static"

// isKMS reports whether a setting belongs into the section kms of the file.
func (s setting) isKMS() bool { return strings.HasPrefix(s.name, kmsPrefix) }

// lineName is the name that the setting has in the configuration file.
func (s setting) lineName() string { return strings.TrimPrefix(s.name, kmsPrefix) }
