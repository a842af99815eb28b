package admin

import (
	"net/http"
	"strings"
	"time"

	"coffer/internal/secret"
	"coffer/kms/manager"
)

// commonBody is what every configuration with backend_type may say. Fields that are absent stay as they are.
type commonBody struct {
	BackendType   *string `json:"backend_type"`
	DefaultKeyID  *string `json:"default_key_id"`
	Timeout       *int64  `json:"timeout_seconds"`
	RetryAttempts *int    `json:"retry_attempts"`
	EnableCache   *bool   `json:"enable_cache"`
	MaxCachedKeys *int    `json:"max_cached_keys"`
	CacheTTL      *int64  `json:"cache_ttl_seconds"`
	Insecure      *bool   `json:"allow_insecure_dev_defaults"`
}

type localBody struct {
	commonBody
	KeyDir          *string `json:"key_dir"`
	MasterKey       *string `json:"master_key"`
	FilePermissions *int    `json:"file_permissions"`
}

type vaultBody struct {
	commonBody
	Address        *string   `json:"address"`
	Auth           rawMethod `json:"auth_method"`
	Namespace      *string   `json:"namespace"`
	Mount          *string   `json:"mount_path"`
	KVMount        *string   `json:"kv_mount"`
	KeyPathPrefix  *string   `json:"key_path_prefix"`
	SkipTLSVerify  *bool     `json:"skip_tls_verify"`
	CAFile         *string   `json:"ca_cert_path"`
	ClientCertFile *string   `json:"client_cert_path"`
	ClientKeyFile  *string   `json:"client_key_path"`
	ServerName     *string   `json:"tls_server_name"`
}

type staticBody struct {
	commonBody
	KeyID     string `json:"key_id"`
	SecretKey string `json:"secret_key"`
}

// privateFile is the only mode that key files have, 0600.
const privateFile = 0o600

// backendType gives the type that a spelling of backend_type means. "vault" is Transit, as in S3's documents.
func backendType(name string) (string, error) {
	switch strings.ReplaceAll(strings.ToLower(name), "_", "-") {
	case "local":
		return manager.TypeLocal, nil
	case "vault", "vault-transit", "vaulttransit":
		return manager.TypeVault, nil
	case "static":
		return manager.TypeStatic, nil
	default:
		return "", refuse(http.StatusBadRequest, "UnsupportedKmsType", "There is no such backend_type.",
			"There are local, vault (that is, vault-transit) and static.")
	}
}

// overlay puts a body with backend_type over what is configured. Another type, or another place, starts anew.
func (a *API) overlay(c *call, cfg *manager.Config) error {
	var s shape
	if err := c.decode(&s, false); err != nil {
		return err
	}
	old := *cfg
	if s.BackendType != nil {
		kind, err := backendType(*s.BackendType)
		if err != nil {
			return err
		}
		if kind != cfg.Type {
			*cfg = manager.Config{Type: kind, DefaultKeyID: a.o.DefaultKeyID}
		}
	}
	cfg.Dialect = ""
	var err error
	switch cfg.Type {
	case manager.TypeLocal:
		err = a.overlayLocal(c, cfg)
	case manager.TypeVault:
		err = overlayVault(c, cfg, old)
	case manager.TypeStatic:
		err = overlayStatic(c, cfg)
	default:
		err = invalidConfiguration("backend_type is missing, and nothing is configured.")
	}
	return err
}

func (b *commonBody) overlay(cfg *manager.Config) error {
	set(&cfg.DefaultKeyID, b.DefaultKeyID)
	for _, d := range []struct {
		name string
		from *int64
		to   *time.Duration
	}{{"timeout_seconds", b.Timeout, &cfg.Timeout}, {"cache_ttl_seconds", b.CacheTTL, &cfg.CacheTTL}} {
		v, err := seconds(d.name, d.from)
		if err != nil {
			return err
		}
		if d.from != nil {
			*d.to = v
		}
	}
	for _, n := range []struct {
		name     string
		from, to *int
	}{{"retry_attempts", b.RetryAttempts, &cfg.RetryAttempts}, {"max_cached_keys", b.MaxCachedKeys, &cfg.MaxCachedKeys}} {
		if n.from != nil && *n.from <= 0 {
			return invalidConfiguration("%s is not positive.", n.name)
		}
		set(n.to, n.from)
	}
	if b.EnableCache != nil {
		cfg.NoCache = !*b.EnableCache
	}
	return nil
}

func (a *API) overlayLocal(c *call, cfg *manager.Config) error {
	var b localBody
	if err := c.decode(&b, true); err != nil {
		return err
	}
	if b.FilePermissions != nil && *b.FilePermissions != privateFile {
		return invalidConfiguration("file_permissions is not 384 (0600), which key files always have.")
	}
	if b.KeyDir != nil && *b.KeyDir != cfg.Local.KeyDir {
		cfg.Local = manager.Local{KeyDir: *b.KeyDir}
	}
	if b.MasterKey != nil && *b.MasterKey != "" {
		cfg.Local.MasterKey = secretOf(*b.MasterKey)
	}
	if cfg.Local.KeyDir != "" && cfg.Local.MasterKey.IsZero() {
		cfg.Local.MasterKey = a.o.LocalMasterKey
	}
	return b.overlay(cfg)
}

func overlayVault(c *call, cfg *manager.Config, old manager.Config) error {
	var b vaultBody
	if err := c.decode(&b, true); err != nil {
		return err
	}
	v := &cfg.Vault
	moved := b.Address != nil && *b.Address != v.Address
	if moved {
		v.Auth = manager.VaultAuth{} // credentials are not sent to another place
	}
	set(&v.Address, b.Address)
	set(&v.Namespace, b.Namespace)
	set(&v.Mount, b.Mount)
	set(&v.KVMount, b.KVMount)
	set(&v.KeyPathPrefix, b.KeyPathPrefix)
	set(&v.DangerSkipVerify, b.SkipTLSVerify)
	set(&v.DangerPlainHTTP, b.Insecure)
	set(&v.CAFile, b.CAFile)
	set(&v.ClientCertFile, b.ClientCertFile)
	set(&v.ClientKeyFile, b.ClientKeyFile)
	set(&v.ServerName, b.ServerName)
	if v.DangerSkipVerify && !v.DangerPlainHTTP {
		return invalidConfiguration("skip_tls_verify lets anybody on the way read every token and key: it is taken only with allow_insecure_dev_defaults.")
	}
	if b.Auth != nil {
		auth, err := b.Auth.parse()
		if err != nil {
			return err
		}
		v.Auth = auth
	}
	if err := cfg.KeepCredentials(old); err != nil {
		return err
	}
	return b.overlay(cfg)
}

func overlayStatic(c *call, cfg *manager.Config) error {
	var b staticBody
	if err := c.decode(&b, true); err != nil {
		return err
	}
	switch {
	case b.KeyID != "" && b.SecretKey != "":
		cfg.Static.Key = secretOf(b.KeyID + ":" + b.SecretKey)
	case b.KeyID != "" || b.SecretKey != "":
		return invalidConfiguration("key_id and secret_key go together.")
	}
	return b.overlay(cfg)
}

// set takes a field that is there.
func set[T any](field, value *T) {
	if value != nil {
		*field = *value
	}
}

func secretOf(s string) secret.Value { return secret.New([]byte(s)) }
