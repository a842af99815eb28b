package manager

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"time"

	"coffer/cipher"
	"coffer/internal/disk"
	"coffer/internal/secret"
	"coffer/kms"
)

// Format 1 of the sealed file (FORMAT.md).
const (
	FileName    = "kms.conf"
	fileMagic   = "CFKM"
	fileVersion = 1
	headerSize  = len(fileMagic) + 1
	maxFileSize = 1 << 20
)

var (
	// ErrDamaged says that the configuration does not authenticate or holds
	// nonsense.
	ErrDamaged = errors.New("the configuration of the key service is damaged, or belongs to another store")
	// ErrNewer says that a newer version of Coffer wrote the configuration.
	ErrNewer = errors.New("the configuration of the key service has a newer format")
)

// ConfigStore keeps the configuration's sealed form.
type ConfigStore interface {
	// Load returns what was saved last; an error with fs.ErrNotExist when
	// nothing was.
	Load(ctx context.Context) ([]byte, error)
	// Save replaces it in one durable step.
	Save(ctx context.Context, sealed []byte) error
}

// File is the ConfigStore in a file of a configuration directory.
type File struct {
	FS   disk.FS
	Name string // FileName when empty
}

func (f File) name() string {
	if f.Name == "" {
		return FileName
	}
	return f.Name
}

// Load implements ConfigStore.
func (f File) Load(context.Context) ([]byte, error) {
	return disk.ReadFile(f.FS, f.name(), maxFileSize)
}

// Save implements ConfigStore.
func (f File) Save(_ context.Context, sealed []byte) error {
	return disk.WriteFileAtomic(f.FS, ".", f.name(), sealed)
}

// record is what is kept. It holds secrets: it is encoded for sealing only.
type record struct {
	Phase     phase            `json:"phase"`
	Serving   string           `json:"serving,omitempty"` // instance id
	Config    *configRecord    `json:"config,omitempty"`  // what is configured
	Targets   []targetRecord   `json:"targets,omitempty"`
	Instances []instanceRecord `json:"instances"`
}

// phase says how far the configured backend was brought.
type phase string

const (
	phaseNone       phase = "none"       // nobody has configured one
	phaseConfigured phase = "configured" // never started
	phaseRunning    phase = "running"
	phaseStopped    phase = "stopped"
)

type targetRecord struct {
	Name   string       `json:"name"`
	Config configRecord `json:"config"`
}

type instanceRecord struct {
	ID      string       `json:"id"`
	Created time.Time    `json:"created"`
	Config  configRecord `json:"config"`
	Proof   *proofRecord `json:"proof,omitempty"`
}

// proofRecord shows whether a backend at another place is the same backend.
type proofRecord struct {
	Blob        []byte `json:"blob"` // kms.Wrapped.Blob
	Fingerprint string `json:"fingerprint"`
}

// configRecord is a Config with its secrets as bytes.
type configRecord struct {
	Type          string        `json:"type"`
	Dialect       string        `json:"dialect,omitempty"`
	DefaultKeyID  string        `json:"default_key_id,omitempty"`
	Timeout       time.Duration `json:"timeout_ns,omitempty"`
	RetryAttempts int           `json:"retry_attempts,omitempty"`
	NoCache       bool          `json:"no_cache,omitempty"`
	MaxCachedKeys int           `json:"max_cached_keys,omitempty"`
	CacheTTL      time.Duration `json:"cache_ttl_ns,omitempty"`
	Local         *localRecord  `json:"local,omitempty"`
	Vault         *vaultRecord  `json:"vault,omitempty"`
	StaticKey     []byte        `json:"static_key,omitempty"`
}

type localRecord struct {
	KeyDir    string `json:"key_dir,omitempty"`
	MasterKey []byte `json:"master_key,omitempty"`
}

type vaultRecord struct {
	Address          string        `json:"address"`
	Namespace        string        `json:"namespace,omitempty"`
	Mount            string        `json:"mount,omitempty"`
	KVMount          string        `json:"kv_mount,omitempty"`
	KeyPathPrefix    string        `json:"key_path_prefix,omitempty"`
	CAFile           string        `json:"ca_file,omitempty"`
	ClientCertFile   string        `json:"client_cert_file,omitempty"`
	ClientKeyFile    string        `json:"client_key_file,omitempty"`
	ServerName       string        `json:"server_name,omitempty"`
	DangerSkipVerify bool          `json:"danger_skip_verify,omitempty"`
	DangerPlainHTTP  bool          `json:"danger_plain_http,omitempty"`
	Method           string        `json:"method,omitempty"`
	Token            []byte        `json:"token,omitempty"`
	TokenFile        string        `json:"token_file,omitempty"`
	Poll             time.Duration `json:"poll_ns,omitempty"`
	RoleID           string        `json:"role_id,omitempty"`
	SecretID         []byte        `json:"secret_id,omitempty"`
	SecretIDFile     string        `json:"secret_id_file,omitempty"`
	Role             string        `json:"role,omitempty"`
	JWTFile          string        `json:"jwt_file,omitempty"`
	AuthMount        string        `json:"auth_mount,omitempty"`
}

func (c Config) record() configRecord {
	r := configRecord{
		Type: c.Type, Dialect: c.Dialect, DefaultKeyID: c.DefaultKeyID, Timeout: c.Timeout, RetryAttempts: c.RetryAttempts,
		NoCache: c.NoCache, MaxCachedKeys: c.MaxCachedKeys, CacheTTL: c.CacheTTL, StaticKey: c.Static.Key.Expose(),
	}
	switch c.Type {
	case TypeLocal:
		r.Local = &localRecord{KeyDir: c.Local.KeyDir, MasterKey: c.Local.MasterKey.Expose()}
	case TypeVault:
		v, a := c.Vault, c.Vault.Auth
		r.Vault = &vaultRecord{
			Address: v.Address, Namespace: v.Namespace, Mount: v.Mount, KVMount: v.KVMount, KeyPathPrefix: v.KeyPathPrefix,
			CAFile: v.CAFile, ClientCertFile: v.ClientCertFile, ClientKeyFile: v.ClientKeyFile, ServerName: v.ServerName,
			DangerSkipVerify: v.DangerSkipVerify, DangerPlainHTTP: v.DangerPlainHTTP,
			Method: a.Method, Token: a.Token.Expose(), TokenFile: a.TokenFile, Poll: a.Poll, RoleID: a.RoleID,
			SecretID: a.SecretID.Expose(), SecretIDFile: a.SecretIDFile, Role: a.Role, JWTFile: a.JWTFile, AuthMount: a.Mount,
		}
	}
	return r
}

func (r configRecord) config() Config {
	c := Config{
		Type: r.Type, Dialect: r.Dialect, DefaultKeyID: r.DefaultKeyID, Timeout: r.Timeout, RetryAttempts: r.RetryAttempts,
		NoCache: r.NoCache, MaxCachedKeys: r.MaxCachedKeys, CacheTTL: r.CacheTTL,
		Static: Static{Key: secret.New(r.StaticKey)},
	}
	if l := r.Local; l != nil {
		c.Local = Local{KeyDir: l.KeyDir, MasterKey: secret.New(l.MasterKey)}
	}
	if v := r.Vault; v != nil {
		c.Vault = Vault{
			Address: v.Address, Namespace: v.Namespace, Mount: v.Mount, KVMount: v.KVMount, KeyPathPrefix: v.KeyPathPrefix,
			CAFile: v.CAFile, ClientCertFile: v.ClientCertFile, ClientKeyFile: v.ClientKeyFile, ServerName: v.ServerName,
			DangerSkipVerify: v.DangerSkipVerify, DangerPlainHTTP: v.DangerPlainHTTP,
			Auth: VaultAuth{
				Method: v.Method, Token: secret.New(v.Token), TokenFile: v.TokenFile, Poll: v.Poll, RoleID: v.RoleID,
				SecretID: secret.New(v.SecretID), SecretIDFile: v.SecretIDFile, Role: v.Role, JWTFile: v.JWTFile, Mount: v.AuthMount,
			},
		}
	}
	return c
}

// seal gives the bytes of the file.
func (r record) seal(box *cipher.Box) ([]byte, error) {
	body, err := json.Marshal(r)
	if err != nil {
		return nil, err
	}
	defer clear(body)
	header := append([]byte(fileMagic), fileVersion)
	return box.Seal(header, body, header), nil
}

// openRecord is the inverse of seal.
func openRecord(box *cipher.Box, data []byte) (record, error) {
	if len(data) < headerSize || string(data[:len(fileMagic)]) != fileMagic {
		return record{}, fmt.Errorf("%w: it is another file", ErrDamaged)
	}
	if v := data[len(fileMagic)]; v != fileVersion {
		return record{}, fmt.Errorf("%w: version %d, this Coffer knows %d", ErrNewer, v, fileVersion)
	}
	body, err := box.Open(nil, data[headerSize:], data[:headerSize])
	if err != nil {
		return record{}, fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	defer clear(body)
	var r record
	decoder := json.NewDecoder(bytes.NewReader(body))
	decoder.DisallowUnknownFields()
	if decoder.Decode(&r) != nil { // whose text may quote the body
		return record{}, fmt.Errorf("%w: its content is malformed", ErrDamaged)
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return record{}, fmt.Errorf("%w: its content goes on", ErrDamaged)
	}
	return r, nil
}

// load reads what was kept; where nothing was, phaseNone.
func (m *Manager) load(ctx context.Context) (record, error) {
	data, err := m.o.Store.Load(ctx)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return record{Phase: phaseNone}, nil
	case err != nil:
		return record{}, fmt.Errorf("%w: load the configuration: %w", kms.Unavailable, err)
	}
	r, err := openRecord(m.o.Box, data)
	if err != nil {
		return record{}, fmt.Errorf("%w: %w", kms.Configuration, err)
	}
	return r, nil
}

// save keeps r.
func (m *Manager) save(ctx context.Context, r record) error {
	data, err := r.seal(m.o.Box)
	if err == nil {
		err = m.o.Store.Save(ctx, data)
	}
	if err != nil {
		return fmt.Errorf("%w: save the configuration: %w", kms.Unavailable, err)
	}
	return nil
}
