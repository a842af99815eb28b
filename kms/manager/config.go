package manager

import (
	"bytes"
	"errors"
	"fmt"
	"path"
	"strings"
	"time"

	"coffer/internal/secret"
	"coffer/kms"
)

// Types of backends.
const (
	TypeLocal  = "local"
	TypeVault  = "vault"
	TypeStatic = "static"
)

// Defaults and limits of Config. What exceeds a limit is taken as the limit.
const (
	DefaultTimeout       = 30 * time.Second
	MaxTimeout           = 300 * time.Second
	DefaultRetryAttempts = 3
	MaxRetryAttempts     = 10
	DefaultMaxCachedKeys = 1000
	MaxMaxCachedKeys     = 1_000_000
	DefaultCacheTTL      = 300 * time.Second
	MaxCacheTTL          = 24 * time.Hour

	DefaultVaultMount     = "transit"
	DefaultVaultKVMount   = "secret"
	DefaultVaultKeyPrefix = "rustfs/kms/keys"

	// FallbackKeyID is the key of writes that name none, where DefaultKeyID does
	// not either. It is made on first use.
	FallbackKeyID = "rustfs-default-key"
)

// Config says what backend is configured and how it is used. The zero value of
// a field is its default.
type Config struct {
	Type         string // TypeLocal, TypeVault or TypeStatic
	Dialect      string // of who has configured it: kept and told, and else not used
	DefaultKeyID string // FallbackKeyID when empty; of TypeStatic its own

	Timeout       time.Duration // of one attempt of administrative calls
	RetryAttempts int
	NoCache       bool // keep no KEKs
	MaxCachedKeys int
	CacheTTL      time.Duration

	Local  Local
	Vault  Vault
	Static Static
}

// Local configures TypeLocal: a keyring with a directory and a master key of its
// own, or the built-in keyring where KeyDir is empty.
type Local struct {
	KeyDir    string // absolute, outside the data directory
	MasterKey secret.Value
}

// Vault configures TypeVault.
type Vault struct {
	Address       string
	Namespace     string
	Mount         string // of the Transit engine
	KVMount       string // where key states are kept
	KeyPathPrefix string // below KVMount

	CAFile           string
	ClientCertFile   string
	ClientKeyFile    string
	ServerName       string
	DangerSkipVerify bool
	DangerPlainHTTP  bool

	Auth VaultAuth
}

// Methods of VaultAuth.
const (
	AuthToken      = "token"
	AuthTokenFile  = "token_file"
	AuthAppRole    = "approle"
	AuthKubernetes = "kubernetes"
)

// VaultAuth says how a token is got.
type VaultAuth struct {
	Method string // AuthToken when empty

	Token secret.Value // AuthToken

	TokenFile string        // AuthTokenFile
	Poll      time.Duration // of TokenFile

	RoleID       string       // AuthAppRole
	SecretID     secret.Value // AuthAppRole, or
	SecretIDFile string

	Role    string // AuthKubernetes
	JWTFile string

	Mount string // of the method; its name when empty
}

// Static configures TypeStatic.
type Static struct {
	Key secret.Value // "id:base64 of 32 bytes"
}

// WithDefaults returns c with every default filled in and every limit applied.
func (c Config) WithDefaults() Config {
	setDefault(&c.Timeout, DefaultTimeout)
	setDefault(&c.RetryAttempts, DefaultRetryAttempts)
	setDefault(&c.MaxCachedKeys, DefaultMaxCachedKeys)
	setDefault(&c.CacheTTL, DefaultCacheTTL)
	c.Timeout = min(c.Timeout, MaxTimeout)
	c.RetryAttempts = min(c.RetryAttempts, MaxRetryAttempts)
	c.MaxCachedKeys = min(c.MaxCachedKeys, MaxMaxCachedKeys)
	c.CacheTTL = min(c.CacheTTL, MaxCacheTTL)
	switch c.Type {
	case TypeVault:
		setDefault(&c.Vault.Mount, DefaultVaultMount)
		setDefault(&c.Vault.KVMount, DefaultVaultKVMount)
		setDefault(&c.Vault.KeyPathPrefix, DefaultVaultKeyPrefix)
		setDefault(&c.Vault.Auth.Method, AuthToken)
	case TypeStatic:
		if i := bytes.LastIndexByte(c.Static.Key.Expose(), ':'); i >= 0 {
			c.DefaultKeyID = string(c.Static.Key.Expose()[:i])
		}
	}
	return c
}

func setDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

// Validate reports all faults of c at once. The error has Kind Configuration,
// or Unsupported for a type that does not exist.
func (c Config) Validate() error {
	switch c.Type {
	case TypeLocal, TypeVault, TypeStatic:
	case "":
		return fmt.Errorf("%w: the type is missing: local, vault or static", kms.Configuration)
	default:
		return fmt.Errorf("%w: there is no backend type %q: there are local, vault (Transit) and static", kms.Unsupported, c.Type)
	}
	var errs []error
	fault := func(is bool, text string) {
		if is {
			errs = append(errs, errors.New(text))
		}
	}
	fault(c.Timeout < 0, "the time-out is negative")
	fault(c.RetryAttempts < 0, "the number of attempts is negative")
	fault(c.MaxCachedKeys < 0, "the number of cached keys is negative")
	fault(c.CacheTTL < 0, "the time to live of cached keys is negative")
	if c.DefaultKeyID != "" {
		if err := kms.CheckKeyID(c.DefaultKeyID); err != nil {
			errs = append(errs, fmt.Errorf("the default key: %w", err))
		}
	}
	switch c.Type {
	case TypeLocal:
		fault(c.Local.KeyDir == "" && !c.Local.MasterKey.IsZero(), "a master key without a key directory")
		fault(c.Local.KeyDir != "" && c.Local.MasterKey.IsZero(), "a key directory without a master key")
		fault(c.Local.KeyDir != "" && !strings.HasPrefix(c.Local.KeyDir, "/"), "the key directory is not an absolute path")
	case TypeVault:
		errs = append(errs, c.Vault.faults()...)
	case TypeStatic:
		fault(c.Static.Key.IsZero(), "the static key is missing")
	}
	if len(errs) == 0 {
		return nil
	}
	return fmt.Errorf("%w: %s", kms.Configuration, strings.ReplaceAll(errors.Join(errs...).Error(), "\n", "; "))
}

// faults leaves the form of the address to the backend.
func (v Vault) faults() []error {
	var errs []error
	fault := func(is bool, text string) {
		if is {
			errs = append(errs, errors.New(text))
		}
	}
	fault(v.Address == "", "the address of Vault is missing")
	fault(withoutUser(v.Address) != v.Address, "the address of Vault holds more than scheme, host, port and path")
	fault((v.ClientCertFile == "") != (v.ClientKeyFile == ""), "a client certificate and its key go together")
	a := v.Auth
	switch a.Method {
	case AuthToken, "":
		fault(a.Token.IsZero(), "the token is missing")
	case AuthTokenFile:
		fault(a.TokenFile == "", "the token file is missing")
	case AuthAppRole:
		fault(a.RoleID == "", "the role id is missing")
		fault(a.SecretID.IsZero() && a.SecretIDFile == "", "the secret id, or its file, is missing")
	case AuthKubernetes:
		fault(a.Role == "", "the Kubernetes role is missing")
	default:
		fault(true, "there is no such way to authenticate: token, token_file, approle or kubernetes")
	}
	return errs
}

// place names where the backend is, apart from credentials: the same place is
// the same backend. It is "" where only the backend itself can tell.
func (c Config) place() string {
	switch c.Type {
	case TypeLocal:
		return TypeLocal + ":" + path.Clean("/"+c.Local.KeyDir)
	case TypeVault:
		v := c.Vault
		return strings.Join([]string{
			TypeVault, strings.TrimRight(strings.ToLower(v.Address), "/"), strings.Trim(v.Namespace, "/"), strings.Trim(v.Mount, "/"),
		}, ":")
	default:
		return ""
	}
}

// isBuiltin reports whether c means the built-in keyring.
func (c Config) isBuiltin() bool { return c.Type == TypeLocal && c.Local.KeyDir == "" }

// sameBackend reports whether c and o build the same: all but the key and the
// cache settings are equal.
func (c Config) sameBackend(o Config) bool {
	if c.Type != o.Type || c.place() != o.place() {
		return false
	}
	switch c.Type {
	case TypeLocal:
		return equalSecrets(c.Local.MasterKey, o.Local.MasterKey)
	case TypeStatic:
		return equalSecrets(c.Static.Key, o.Static.Key)
	default:
		return false // a backend across the network is built anew
	}
}

func equalSecrets(a, b secret.Value) bool { return bytes.Equal(a.Expose(), b.Expose()) }

// secrets returns every secret of c, for the check that no text repeats one.
func (c Config) secrets() [][]byte {
	all := [][]byte{
		c.Local.MasterKey.Expose(), c.Vault.Auth.Token.Expose(), c.Vault.Auth.SecretID.Expose(), c.Static.Key.Expose(),
	}
	if i := bytes.LastIndexByte(c.Static.Key.Expose(), ':'); i >= 0 {
		all = append(all, c.Static.Key.Expose()[i+1:])
	}
	return all
}

// KeepCredentials fills in the credentials of old where c gives none: for a
// change that does not repeat them. It does so only where the backend is at the
// same place, since they would be sent to the new one.
func (c *Config) KeepCredentials(old Config) error {
	missing := false
	switch c.Type {
	case TypeVault:
		a := c.Vault.Auth
		missing = (a.Method == "" || a.Method == AuthToken) && a.Token.IsZero() ||
			a.Method == AuthAppRole && a.SecretID.IsZero() && a.SecretIDFile == ""
	case TypeLocal:
		missing = c.Local.KeyDir != "" && c.Local.MasterKey.IsZero()
	}
	if !missing {
		return nil
	}
	if c.WithDefaults().place() != old.WithDefaults().place() {
		return fmt.Errorf("%w: credentials are missing, and those that are kept belong to another place", kms.Configuration)
	}
	switch {
	case c.Type == TypeLocal:
		c.Local.MasterKey = old.Local.MasterKey
	case c.Vault.Auth.Method == "":
		c.Vault.Auth = old.Vault.Auth
	case c.Vault.Auth.Method == old.WithDefaults().Vault.Auth.Method:
		c.Vault.Auth.Token, c.Vault.Auth.SecretID = old.Vault.Auth.Token, old.Vault.Auth.SecretID
	}
	return nil
}
