package adminclient

import (
	"context"
	"encoding/json"
	"net/url"
)

// Status describes the key service.
type Status struct {
	Status       string     `json:"status"` // in the words of the last configuration's form
	State        string     `json:"state"`  // Running, Configured, NotConfigured or Error
	BackendType  string     `json:"backend_type"`
	Healthy      *bool      `json:"healthy"`
	Failure      string     `json:"failure"`
	DefaultKeyID string     `json:"default_key_id"`
	StandIn      bool       `json:"stand_in"` // the built-in keyring stands in for a backend
	Circuit      string     `json:"circuit"`
	TokenEnds    string     `json:"credential_expires"`
	Notes        []string   `json:"notes"`
	CacheEnabled bool       `json:"cache_enabled"`
	Cache        *Cache     `json:"cache_stats"`
	Probe        *Probe     `json:"probe"`
	Instances    []Instance `json:"instances"`
	Audit        *Audit     `json:"audit"`
}

// Audit is how the audit log of the server is.
type Audit struct {
	Enabled  bool   `json:"enabled"`
	Required bool   `json:"required"` // what cannot be recorded is refused
	Healthy  bool   `json:"healthy"`
	Failure  string `json:"failure"`
	Lost     uint64 `json:"lost"` // lines
	Head     string `json:"head"`
}

// Cache counts what the cache of KEKs did.
type Cache struct {
	Hits    uint64 `json:"hit_count"`
	Misses  uint64 `json:"miss_count"`
	Entries int    `json:"entry_count"`
}

// Probe is the last test of the backend.
type Probe struct {
	At        string  `json:"at"`
	Reachable bool    `json:"reachable"`
	Proven    bool    `json:"proven"`
	Millis    float64 `json:"latency_ms"`
	Error     string  `json:"error"`
}

// Instance is a backend that serves, or once did.
type Instance struct {
	ID          string `json:"id"`
	BackendType string `json:"backend_type"`
	Builtin     bool   `json:"builtin"`
	Serving     bool   `json:"serving"`
	Open        bool   `json:"open"`
	Failure     string `json:"failure"`
	Address     string `json:"address"`
	MountPath   string `json:"mount_path"`
	KeyDir      string `json:"key_dir"`
}

// Done is the answer to a change of the key service.
type Done struct {
	Success bool   `json:"success"`
	Message string `json:"message"`
	Status  any    `json:"status"` // the state: a word, or an object when it is Error
}

// Status asks the key service, and through it the backend.
func (c *Client) Status(ctx context.Context) (Answer[Status], error) {
	return ask[Status](ctx, c, "GET", "kms/status", nil, nil)
}

// Configure sends a configuration of either form as it is.
func (c *Client) Configure(ctx context.Context, configuration json.RawMessage) (Answer[Done], error) {
	return ask[Done](ctx, c, "POST", "kms/configure", nil, configuration)
}

// Start starts the configured backend; with force also one that runs.
func (c *Client) Start(ctx context.Context, force bool) (Answer[Done], error) {
	return ask[Done](ctx, c, "POST", "kms/start", nil, map[string]bool{"force": force})
}

// Stop stops the backend.
func (c *Client) Stop(ctx context.Context) (Answer[Done], error) {
	return ask[Done](ctx, c, "POST", "kms/stop", nil, nil)
}

// Census counts what depends on each version of each key.
type Census struct {
	Entries  []CensusEntry `json:"entries"`
	Counted  bool          `json:"counted"`  // the records were counted just now
	Repaired int           `json:"repaired"` // kept counts that were set right
}

// CensusEntry counts what depends on one version of a key.
type CensusEntry struct {
	Instance    string `json:"instance"`
	BackendType string `json:"backend_type"`
	Builtin     bool   `json:"builtin"`
	Serving     bool   `json:"serving"`
	KeyID       string `json:"key_id"`
	Version     uint32 `json:"version"`
	KEKs        int64  `json:"keks"`
	Objects     int64  `json:"objects"`
	Uploads     int64  `json:"uploads"`
}

// Count says what to count.
type Count struct {
	KeyID   string // "": every key
	Bucket  string // "": every bucket
	Rebuild bool   // count the records, and set right what was kept of them
}

// Census tells what depends on which version of which key.
func (c *Client) Census(ctx context.Context, of Count) (Answer[Census], error) {
	query := url.Values{}
	if of.KeyID != "" {
		query.Set("keyName", of.KeyID)
	}
	if of.Bucket != "" {
		query.Set("bucket", of.Bucket)
	}
	if of.Rebuild {
		query.Set("rebuild", "true")
	}
	return ask[Census](ctx, c, "GET", "kms/census", query, nil)
}
