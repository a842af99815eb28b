package main

import (
	"time"

	"coffer/internal/config"
	"coffer/kms/manager"
	"coffer/object"
	"coffer/s3api/admin"
)

// openAdmin makes the administration of the keys.
func (h *house) openAdmin(cfg *config.Config, keys *manager.Manager, store *object.Store) (*admin.API, error) {
	scheme := "http"
	if cfg.Server.TLSCert != "" {
		scheme = "https"
	}
	options := admin.Options{
		Keys: keys, Engine: store, DefaultKeyID: cfg.KMS.DefaultKeyID, LocalMasterKey: cfg.KMS.LocalMasterKey, Logger: h.log,
		Server: admin.ServerInfo{
			Version: version(), Endpoint: cfg.Server.Listen, Scheme: scheme, Region: cfg.Server.Region,
			DeploymentID: h.home.StoreID.String(), Started: time.Now(),
		},
	}
	if h.audit != nil {
		options.Audit, options.AuditDir = h.audit, cfg.Audit.Dir
	}
	return admin.New(options)
}
