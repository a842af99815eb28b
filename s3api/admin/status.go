package admin

import (
	"context"
	"time"

	"coffer/kms"
	"coffer/kms/manager"
)

// statusDoc answers kms/status: the fields of all generations of clients. Only the words of Status differ.
type statusDoc struct {
	Status  string        `json:"status"`
	Backend string        `json:"backend"`
	Healthy *bool         `json:"healthy"`
	Details statusDetails `json:"details"`

	BackendType string         `json:"backend_type"`
	Summary     *configSummary `json:"config_summary"`

	BackendStatus string       `json:"backend_status"`
	CacheEnabled  bool         `json:"cache_enabled"`
	CacheStats    *cacheStats  `json:"cache_stats"`
	DefaultKeyID  string       `json:"default_key_id"`
	Capabilities  capabilities `json:"capabilities"`

	State     string           `json:"state"`
	Failure   string           `json:"failure"`
	StandIn   bool             `json:"stand_in"`
	Circuit   string           `json:"circuit"`
	InFlight  int              `json:"in_flight"`
	TokenEnds string           `json:"credential_expires"`
	Notes     []string         `json:"notes"`
	Probe     *probeDoc        `json:"probe"`
	Instances []instanceStatus `json:"instances"`
	Audit     auditDoc         `json:"audit"`
}

type statusDetails struct {
	EngineType string  `json:"engine_type"`
	MountPath  *string `json:"mount_path"`
	Namespace  *string `json:"namespace"`
	Endpoint   string  `json:"endpoint"` // address or directory; "" for what is in this process
	Version    string  `json:"version"`  // of the server behind the backend; else of this one
}

type cacheStats struct {
	Hits      uint64 `json:"hit_count"`
	Misses    uint64 `json:"miss_count"`
	Entries   int    `json:"entry_count"`
	Evictions uint64 `json:"eviction_count"`
	Joined    uint64 `json:"joined_count"`
}

type capabilities struct {
	Encrypt           bool `json:"encrypt"`
	Decrypt           bool `json:"decrypt"`
	GenerateDataKey   bool `json:"generate_data_key"`
	Rotate            bool `json:"rotate"`
	EnableDisable     bool `json:"enable_disable"`
	ScheduleDeletion  bool `json:"schedule_deletion"`
	Versioning        bool `json:"versioning"`
	PhysicalDelete    bool `json:"physical_delete"`
	UpdateKeyMetadata bool `json:"update_key_metadata"`
	Rewrap            bool `json:"rewrap"`
}

type probeDoc struct {
	At        string  `json:"at"`
	Reachable bool    `json:"reachable"`
	Proven    bool    `json:"proven"`
	Millis    float64 `json:"latency_ms"`
	Error     string  `json:"error"`
}

type instanceStatus struct {
	ID          string `json:"id"`
	BackendType string `json:"backend_type"`
	Builtin     bool   `json:"builtin"`
	Serving     bool   `json:"serving"`
	Open        bool   `json:"open"`
	Failure     string `json:"failure"`
	KeyState    string `json:"key_state"`
	Address     string `json:"address"`
	MountPath   string `json:"mount_path"`
	KeyDir      string `json:"key_dir"`
}

// status probes the backend first, so that the answer is about now.
func (a *API) status(ctx context.Context, _ *call) (any, error) {
	if s := a.keys.Status(); !s.Instance.IsZero() {
		bounded, cancel := context.WithTimeout(ctx, s.Config.Timeout)
		defer cancel()
		a.keys.ProbeNow(bounded)
	}
	s := a.keys.Status()
	doc := newStatusDoc(s, a.defaultKey())
	if doc.Details.Version == "" && doc.Details.MountPath == nil {
		doc.Details.Version = a.o.Server.Version
	}
	doc.Audit = a.auditDoc()
	if c, is := a.keys.Config(); is && c.Dialect == dialectKMSType {
		doc.Status = healthOf(s)
	}
	return doc, nil
}

// healthOf is the status after a configuration with kms_type. A key service that is not there is Failed.
func healthOf(s manager.Status) string {
	switch {
	case s.Healthy():
		return "OK"
	case s.State == manager.Running && s.Probe.Reachable:
		return "Degraded"
	default:
		return "Failed"
	}
}

func newStatusDoc(s manager.Status, defaultKey string) statusDoc {
	doc := statusDoc{
		Status: string(s.State), Backend: s.Type, BackendType: backendName(s.Type), Summary: newConfigSummary(s.Config),
		BackendStatus: "unhealthy", CacheEnabled: s.Cache.Enabled, DefaultKeyID: defaultKey, Capabilities: newCapabilities(s),
		State: string(s.State), Failure: s.Failure, StandIn: s.StandIn, Circuit: s.Report.Circuit.String(), InFlight: s.Report.InFlight,
		TokenEnds: timeText(s.Report.CredentialExpires), Notes: append([]string{}, s.Report.Notes...), Instances: []instanceStatus{},
		Details: statusDetails{EngineType: s.Type, Version: s.Report.Version},
	}
	if s.State == manager.Running {
		doc.Healthy = new(s.Available())
	}
	switch {
	case s.Available():
		doc.BackendStatus = "healthy"
	case s.State == manager.Error:
		doc.BackendStatus = "error"
	}
	if v := s.Config.Vault; v != nil {
		doc.Details.EngineType, doc.Details.MountPath, doc.Details.Endpoint = "transit", &v.Mount, v.Address
		if v.Namespace != "" {
			doc.Details.Namespace = &v.Namespace
		}
	}
	if l := s.Config.Local; l != nil {
		doc.Details.Endpoint = l.KeyDir
	}
	if s.Cache.Enabled {
		doc.CacheStats = &cacheStats{s.Cache.Hits, s.Cache.Misses, s.Cache.Entries, s.Cache.Evictions, s.Cache.Joined}
	}
	if !s.Probe.At.IsZero() {
		doc.Probe = newProbeDoc(s.Probe)
	}
	for _, in := range s.Instances {
		doc.Instances = append(doc.Instances, newInstanceStatus(in))
	}
	return doc
}

func newProbeDoc(p manager.Probe) *probeDoc {
	doc := &probeDoc{At: timeText(p.At), Reachable: p.Reachable, Proven: p.Proven, Millis: float64(p.Latency) / float64(time.Millisecond)}
	if p.Err != nil {
		doc.Error = p.Err.Error()
	}
	return doc
}

func newInstanceStatus(in manager.InstanceStatus) instanceStatus {
	doc := instanceStatus{
		ID: in.ID.String(), BackendType: kebabName(in.Config.Type), Builtin: in.Builtin, Serving: in.Serving, Open: in.Open, Failure: in.Failure,
		KeyState: in.KeyState,
	}
	if v := in.Config.Vault; v != nil {
		doc.Address, doc.MountPath = v.Address, v.Mount
	}
	if l := in.Config.Local; l != nil {
		doc.KeyDir = l.KeyDir
	}
	return doc
}

func newCapabilities(s manager.Status) capabilities {
	there, c := !s.Instance.IsZero(), s.Capabilities
	return capabilities{
		Encrypt: there, Decrypt: there, GenerateDataKey: there, Rotate: c.Create, EnableDisable: c.Lifecycle, ScheduleDeletion: c.Lifecycle,
		Versioning: c.Create, PhysicalDelete: c.Lifecycle, UpdateKeyMetadata: c.Describe, Rewrap: c.Create || c.Batch,
	}
}

// serviceStatus is the answer that today's clients know, without a call to the backend.
func (a *API) serviceStatus(context.Context, *call) (any, error) {
	s := a.keys.Status()
	doc := struct {
		Status      any            `json:"status"`
		BackendType *string        `json:"backend_type"`
		Healthy     *bool          `json:"healthy"`
		Summary     *configSummary `json:"config_summary"`
	}{Status: a.stateDoc()}
	if s.Type != "" {
		doc.BackendType, doc.Summary = new(backendName(s.Type)), newConfigSummary(s.Config)
	}
	if s.State == manager.Running {
		doc.Healthy = new(s.Available())
	}
	return doc, nil
}

// configSummary is a configuration without its secrets.
type configSummary struct {
	BackendType   string         `json:"backend_type"`
	DefaultKeyID  string         `json:"default_key_id"`
	Timeout       int64          `json:"timeout_seconds"`
	RetryAttempts int            `json:"retry_attempts"`
	EnableCache   bool           `json:"enable_cache"`
	MaxCachedKeys int            `json:"max_cached_keys"`
	CacheTTL      int64          `json:"cache_ttl_seconds"`
	Cache         *cacheSummary  `json:"cache_summary"`
	Backend       map[string]any `json:"backend_summary"`
}

type cacheSummary struct {
	MaxKeys       int   `json:"max_keys"`
	TTLSeconds    int64 `json:"ttl_seconds"`
	EnableMetrics bool  `json:"enable_metrics"`
}

func newConfigSummary(s manager.Summary) *configSummary {
	doc := &configSummary{
		BackendType: backendName(s.Type), DefaultKeyID: s.DefaultKeyID, Timeout: int64(s.Timeout / time.Second), RetryAttempts: s.RetryAttempts,
		EnableCache: s.EnableCache, MaxCachedKeys: s.MaxCachedKeys, CacheTTL: int64(s.CacheTTL / time.Second), Backend: backendSummary(s),
	}
	if s.EnableCache {
		doc.Cache = &cacheSummary{s.MaxCachedKeys, doc.CacheTTL, true}
	}
	return doc
}

func backendSummary(s manager.Summary) map[string]any {
	m := map[string]any{"backend_type": kebabName(s.Type)}
	if l := s.Local; l != nil {
		m["builtin"], m["key_dir"], m["has_master_key"], m["file_permissions"] = l.Builtin, l.KeyDir, l.HasMasterKey, privateFile
	}
	if v := s.Vault; v != nil {
		m["address"], m["namespace"], m["mount_path"], m["kv_mount"], m["key_path_prefix"] = v.Address, v.Namespace, v.Mount, v.KVMount, v.KeyPathPrefix
		m["auth_method_type"], m["has_stored_credentials"], m["skip_tls_verify"] = v.AuthMethod, v.HasCredentials, v.SkipTLSVerify
		m["plain_http"], m["ca_cert_path"], m["client_cert_path"] = v.PlainHTTP, v.CAFile, v.ClientCertFile
	}
	if s.Type == manager.TypeStatic {
		m["key_id"] = s.DefaultKeyID
	}
	return m
}

// backendName is a type as today's status spells it.
func backendName(kind string) string {
	switch kind {
	case manager.TypeLocal:
		return "Local"
	case manager.TypeVault:
		return "VaultTransit"
	case manager.TypeStatic:
		return "Static"
	default:
		return kind
	}
}

// kebabName is a type as today's summaries spell it.
func kebabName(kind string) string {
	if kind == manager.TypeVault {
		return "vault-transit"
	}
	return kind
}

// kmsConfig tells how keys are used, without secrets.
func (a *API) kmsConfig(context.Context, *call) (any, error) {
	s, is := a.keys.Config()
	if !is && a.keys.Status().Instance.IsZero() {
		return nil, kms.NewError("kms config", "", kms.NotConfigured)
	}
	return struct {
		Backend       string         `json:"backend"`
		KMSType       string         `json:"kms_type"`
		CacheEnabled  bool           `json:"cache_enabled"`
		MaxKeys       int            `json:"cache_max_keys"`
		TTLSeconds    int64          `json:"cache_ttl_seconds"`
		DefaultKeyID  string         `json:"default_key_id"`
		TimeoutSecs   int64          `json:"timeout_secs"`
		RetryAttempts int            `json:"retry_attempts"`
		Summary       map[string]any `json:"backend_summary"`
		EnableAudit   bool           `json:"enable_audit"`
		AuditLogPath  string         `json:"audit_log_path"`
	}{
		backendName(s.Type), s.Type, s.EnableCache, s.MaxCachedKeys, int64(s.CacheTTL / time.Second), a.defaultKey(),
		int64(s.Timeout / time.Second), s.RetryAttempts, backendSummary(s), a.o.Audit != nil, a.o.AuditDir,
	}, nil
}
