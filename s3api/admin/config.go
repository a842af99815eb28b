package admin

import (
	"context"
	"maps"
	"net/http"
	"slices"

	"coffer/kms/manager"
)

// defaultTarget is the target that serves.
const defaultTarget = "default"

// targetDoc is a kms_vault target without its token.
type targetDoc struct {
	Target    string `json:"target"`
	Enabled   bool   `json:"enabled"`
	Endpoint  string `json:"endpoint"`
	KeyName   string `json:"key_name"`
	Token     string `json:"token"` // "" or redacted
	Namespace string `json:"namespace"`
	MountPath string `json:"mount_path"`
	Auth      string `json:"auth_method"`
}

// redacted stands where a secret is kept.
const redacted = "*redacted*"

func newTargetDoc(name string, enabled bool, s manager.Summary) targetDoc {
	doc := targetDoc{Target: name, Enabled: enabled, KeyName: s.DefaultKeyID}
	if v := s.Vault; v != nil {
		doc.Endpoint, doc.Namespace, doc.MountPath, doc.Auth = v.Address, v.Namespace, v.Mount, v.AuthMethod
		if v.HasCredentials {
			doc.Token = redacted
		}
	}
	return doc
}

// targets lists the kms_vault targets, that which serves first.
func (a *API) targets() []targetDoc {
	docs := []targetDoc{}
	kept := a.keys.Targets()
	if s, is := a.keys.Config(); is && s.Vault != nil {
		docs = append(docs, newTargetDoc(defaultTarget, a.keys.Status().State == manager.Running, s))
		delete(kept, defaultTarget)
	}
	for _, name := range slices.Sorted(maps.Keys(kept)) {
		docs = append(docs, newTargetDoc(name, false, kept[name]))
	}
	return docs
}

// config tells the whole configuration, without secrets.
func (a *API) config(context.Context, *call) (any, error) {
	s, _ := a.keys.Config()
	return struct {
		KMS   *configSummary `json:"kms"`
		Vault []targetDoc    `json:"kms_vault"`
	}{newConfigSummary(s), a.targets()}, nil
}

func (a *API) configTarget(_ context.Context, c *call) (any, error) {
	for _, doc := range a.targets() {
		if doc.Target == c.segment {
			return doc, nil
		}
	}
	return nil, noTarget()
}

func noTarget() error {
	return refuse(http.StatusNotFound, "NotFound", "There is no such target.", "Nothing is kept under this name.")
}

// targetBody is the body of S0, and what Vault may want besides.
type targetBody struct {
	Endpoint      string `json:"endpoint"`
	KeyName       string `json:"key_name"`
	Token         string `json:"token"`
	Enabled       *bool  `json:"enabled"`
	Namespace     string `json:"namespace"`
	MountPath     string `json:"mount_path"`
	CAFile        string `json:"ca_cert_path"`
	CertFile      string `json:"client_cert_path"`
	KeyFile       string `json:"client_key_path"`
	SkipTLSVerify bool   `json:"skip_tls_verify"`
	Insecure      bool   `json:"allow_insecure_dev_defaults"`
}

// setConfigTarget tests a Vault and keeps it. The default one serves from then on, unless it is not enabled.
func (a *API) setConfigTarget(ctx context.Context, c *call) (any, error) {
	var b targetBody
	if err := c.decode(&b, false); err != nil {
		return nil, err
	}
	if b.Endpoint == "" || b.Token == "" {
		return nil, invalidConfiguration("endpoint or token is missing.")
	}
	if b.SkipTLSVerify && !b.Insecure {
		return nil, invalidConfiguration("skip_tls_verify is taken only with allow_insecure_dev_defaults.")
	}
	cfg := manager.Config{Type: manager.TypeVault, Dialect: dialectKMSType, DefaultKeyID: b.KeyName, Vault: manager.Vault{
		Address: b.Endpoint, Namespace: b.Namespace, Mount: b.MountPath, CAFile: b.CAFile, ClientCertFile: b.CertFile, ClientKeyFile: b.KeyFile,
		DangerSkipVerify: b.SkipTLSVerify, DangerPlainHTTP: b.Insecure,
		Auth: manager.VaultAuth{Method: manager.AuthToken, Token: secretOf(b.Token)},
	}}
	enabled := b.Enabled == nil || *b.Enabled
	if c.segment == defaultTarget && enabled {
		if err := a.keys.Apply(ctx, cfg); err != nil {
			return nil, badConfiguration(err)
		}
		return targetSet{true, "The target is tested, kept, and serves.", defaultTarget}, nil
	}
	if err := a.keys.Keep(ctx, c.segment, cfg); err != nil {
		return nil, badConfiguration(err)
	}
	if c.segment == defaultTarget {
		if s, is := a.keys.Config(); is && s.Vault != nil {
			if err := a.keys.Stop(ctx); err != nil {
				return nil, err
			}
		}
	}
	return targetSet{true, "The target is tested and kept.", c.segment}, nil
}

// selectConfigTarget lets a target that is kept serve.
func (a *API) selectConfigTarget(ctx context.Context, c *call) (any, error) {
	err := a.keys.Select(ctx, c.segment)
	switch _, kept := a.keys.Targets()[c.segment]; {
	case err != nil && !kept:
		return nil, noTarget()
	case err != nil:
		return nil, badConfiguration(err)
	}
	return targetSet{true, "The target serves.", c.segment}, nil
}

// targetSet is the answer to a change of a target.
type targetSet struct {
	Success bool   `json:"success"`
	Message string `json:"message"`
	Target  string `json:"target"`
}
