package manager

import (
	"fmt"
	"log/slog"
	"time"
)

// Summary is a Config without its secrets.
type Summary struct {
	Type          string        `json:"type"`
	Dialect       string        `json:"dialect,omitempty"`
	DefaultKeyID  string        `json:"default_key_id"`
	Timeout       time.Duration `json:"timeout"`
	RetryAttempts int           `json:"retry_attempts"`
	EnableCache   bool          `json:"enable_cache"`
	MaxCachedKeys int           `json:"max_cached_keys"`
	CacheTTL      time.Duration `json:"cache_ttl"`
	Local         *LocalSummary `json:"local,omitempty"`
	Vault         *VaultSummary `json:"vault,omitempty"`
}

// LocalSummary is a Local without its secret.
type LocalSummary struct {
	Builtin      bool   `json:"builtin"`
	KeyDir       string `json:"key_dir"`
	HasMasterKey bool   `json:"has_master_key"`
}

// VaultSummary is a Vault without its secrets.
type VaultSummary struct {
	Address        string `json:"address"`
	Namespace      string `json:"namespace"`
	Mount          string `json:"mount_path"`
	KVMount        string `json:"kv_mount"`
	KeyPathPrefix  string `json:"key_path_prefix"`
	AuthMethod     string `json:"auth_method_type"`
	HasCredentials bool   `json:"has_stored_credentials"`
	SkipTLSVerify  bool   `json:"skip_tls_verify"`
	PlainHTTP      bool   `json:"plain_http"`
	CAFile         string `json:"ca_file"`
	ClientCertFile string `json:"client_cert_file"`
}

// Summary returns c without its secrets, defaults filled in.
func (c Config) Summary() Summary {
	c = c.WithDefaults()
	s := Summary{
		Type: c.Type, Dialect: c.Dialect, DefaultKeyID: c.defaultKey(), Timeout: c.Timeout, RetryAttempts: c.RetryAttempts,
		EnableCache: !c.NoCache, MaxCachedKeys: c.MaxCachedKeys, CacheTTL: c.CacheTTL,
	}
	switch c.Type {
	case TypeLocal:
		s.Local = &LocalSummary{Builtin: c.isBuiltin(), KeyDir: c.Local.KeyDir, HasMasterKey: !c.Local.MasterKey.IsZero()}
	case TypeVault:
		v := c.Vault
		s.Vault = &VaultSummary{
			Address: withoutUser(v.Address), Namespace: v.Namespace, Mount: v.Mount, KVMount: v.KVMount, KeyPathPrefix: v.KeyPathPrefix,
			AuthMethod: v.Auth.Method, HasCredentials: !v.Auth.Token.IsZero() || !v.Auth.SecretID.IsZero(),
			SkipTLSVerify: v.DangerSkipVerify, PlainHTTP: v.DangerPlainHTTP, CAFile: v.CAFile, ClientCertFile: v.ClientCertFile,
		}
	}
	return s
}

// Format prints the Summary, whatever the verb.
func (c Config) Format(f fmt.State, _ rune) { _, _ = fmt.Fprintf(f, "%+v", c.Summary()) }

// LogValue logs the Summary.
func (c Config) LogValue() slog.Value { return slog.AnyValue(c.Summary()) }

// defaultKey is the key of writes that name none.
func (c Config) defaultKey() string {
	if c.DefaultKeyID == "" {
		return FallbackKeyID
	}
	return c.DefaultKeyID
}
