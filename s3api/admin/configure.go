package admin

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"time"

	"coffer/kms"
	"coffer/kms/manager"
)

// shape is what decides between the forms of a configuration.
type shape struct {
	KMSType     *string `json:"kms_type"`
	BackendType *string `json:"backend_type"`
}

// changed configuration of the backend_type form.
type configured struct {
	Success bool   `json:"success"`
	Message string `json:"message"`
	Status  any    `json:"status"`
}

// configure takes either form of a configuration. That with kms_type starts it at once; the other one is kept, and
// replaces a backend that runs.
func (a *API) configure(ctx context.Context, c *call) (any, error) {
	var s shape
	if err := c.decode(&s, false); err != nil {
		return nil, err
	}
	if s.KMSType != nil {
		return a.configureKMSType(ctx, c, *s.KMSType)
	}
	if s.BackendType == nil {
		return nil, invalid("Either kms_type or backend_type must be there.")
	}
	return a.configureBackendType(ctx, c, "KMS configured.")
}

// reconfigure is configure that changes only what the body names.
func (a *API) reconfigure(ctx context.Context, c *call) (any, error) {
	var s shape
	if err := c.decode(&s, false); err != nil {
		return nil, err
	}
	if s.KMSType != nil {
		return a.configureKMSType(ctx, c, *s.KMSType)
	}
	return a.configureBackendType(ctx, c, "KMS reconfigured.")
}

// dialectKMSType marks a configuration that came in the form with kms_type, or as a target of S0: kms/status speaks of it
// in the words of that generation, OK, Degraded and Failed.
const dialectKMSType = "kms_type"

// kmsTypeBody is the form with kms_type. Unknown fields are ignored.
type kmsTypeBody struct {
	Address      string `json:"vault_address"`
	Token        string `json:"vault_token"`
	RoleID       string `json:"vault_app_role_id"`
	SecretID     string `json:"vault_app_role_secret_id"`
	Namespace    string `json:"vault_namespace"`
	Mount        string `json:"vault_mount_path"`
	Timeout      *int64 `json:"vault_timeout_seconds"`
	DefaultKeyID string `json:"default_key_id"`
	Insecure     bool   `json:"allow_insecure_dev_defaults"`
}

func (a *API) configureKMSType(ctx context.Context, c *call, kind string) (any, error) {
	var b kmsTypeBody
	if err := c.decode(&b, false); err != nil {
		return nil, err
	}
	cfg, err := b.config(kind)
	if err != nil {
		return nil, err
	}
	if cfg.DefaultKeyID == "" {
		cfg.DefaultKeyID = a.o.DefaultKeyID
	}
	if err := a.keys.Apply(ctx, cfg); err != nil {
		return nil, badConfiguration(err)
	}
	return struct {
		Success bool   `json:"success"`
		Message string `json:"message"`
		KMSType string `json:"kms_type"`
	}{true, "KMS configured and started.", kind}, nil
}

func (b *kmsTypeBody) config(kind string) (manager.Config, error) {
	cfg := manager.Config{Type: kind, Dialect: dialectKMSType, DefaultKeyID: b.DefaultKeyID}
	switch kind {
	case manager.TypeLocal:
		return cfg, nil
	case manager.TypeVault:
	default:
		return cfg, refuse(http.StatusBadRequest, "UnsupportedKmsType", "There is no such kms_type.",
			"There are vault (Transit) and local; the form with backend_type knows static too.")
	}
	var err error
	if cfg.Timeout, err = seconds("vault_timeout_seconds", b.Timeout); err != nil {
		return cfg, err
	}
	cfg.Vault = manager.Vault{Address: b.Address, Namespace: b.Namespace, Mount: b.Mount, DangerPlainHTTP: b.Insecure}
	switch {
	case b.RoleID != "" && b.SecretID != "":
		cfg.Vault.Auth = manager.VaultAuth{Method: manager.AuthAppRole, RoleID: b.RoleID, SecretID: secretOf(b.SecretID)}
	case b.Token != "":
		cfg.Vault.Auth = manager.VaultAuth{Method: manager.AuthToken, Token: secretOf(b.Token)}
	default:
		return cfg, invalidConfiguration("vault_token is missing, or vault_app_role_id with vault_app_role_secret_id.")
	}
	return cfg, nil
}

// configureBackendType overlays the form with backend_type on what is configured.
func (a *API) configureBackendType(ctx context.Context, c *call, message string) (any, error) {
	err := a.keys.Reconfigure(ctx, func(cfg *manager.Config) error { return a.overlay(c, cfg) })
	if err != nil {
		return nil, badConfiguration(err)
	}
	return configured{true, message, a.stateDoc()}, nil
}

// badConfiguration answers what a configuration that does not work is answered, whatever the backend said.
func badConfiguration(err error) error {
	if _, ok := errors.AsType[*Error](err); ok {
		return err
	}
	switch kms.KindOf(err) {
	case kms.Other, kms.NotConfigured:
		return err
	case kms.Unsupported:
		return refuse(http.StatusBadRequest, "UnsupportedKmsType", "There is no such backend type.", "%v", err)
	}
	return invalidConfiguration("%v", err)
}

func invalidConfiguration(format string, args ...any) error {
	return refuse(http.StatusBadRequest, "InvalidConfiguration", "The configuration does not work; nothing was changed.", format, args...)
}

// stateDoc is the state as today's clients read it: a word, or an object with the error.
func (a *API) stateDoc() any {
	s := a.keys.Status()
	if s.State == manager.Error {
		return map[string]string{"Error": s.Failure}
	}
	return string(s.State)
}

// start starts what is configured.
func (a *API) start(ctx context.Context, c *call) (any, error) {
	var body struct {
		Force bool `json:"force"`
	}
	if err := c.decodeOptional(&body, true); err != nil {
		return nil, err
	}
	err := a.keys.Start(ctx, body.Force)
	switch {
	case errors.Is(err, kms.InvalidState):
		return configured{false, "KMS is running already; send force to restart it.", a.stateDoc()}, nil
	case err != nil:
		return nil, err
	}
	return configured{true, "KMS started.", a.stateDoc()}, nil
}

// stop takes the backend away and keeps the configuration.
func (a *API) stop(ctx context.Context, _ *call) (any, error) {
	if err := a.keys.Stop(ctx); err != nil {
		return nil, err
	}
	return configured{true, "KMS stopped.", a.stateDoc()}, nil
}

// clearCache wipes the KEKs that are kept.
func (a *API) clearCache(_ context.Context, c *call) (any, error) {
	revoke, err := c.flag("revoke")
	if err != nil {
		return nil, err
	}
	a.keys.ClearCache(revoke)
	return struct {
		Status  string `json:"status"`
		Message string `json:"message"`
		Revoked bool   `json:"revoked"`
	}{"success", "cache cleared successfully", revoke}, nil
}

// seconds reads a positive number of seconds; absent is zero, the default.
func seconds(name string, n *int64) (time.Duration, error) {
	switch {
	case n == nil:
		return 0, nil
	case *n <= 0:
		return 0, invalidConfiguration("%s is not positive.", name)
	}
	return time.Duration(min(*n, int64(manager.MaxCacheTTL/time.Second))) * time.Second, nil
}

// strict decodes a part of a body and refuses unknown fields.
func strict(data []byte, into any) error {
	return (&call{Request: &Request{Body: bytes.TrimSpace(data)}}).decode(into, true)
}

// rawMethod is auth_method: one name and what belongs to it.
type rawMethod map[string]json.RawMessage
