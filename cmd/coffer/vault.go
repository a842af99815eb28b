package main

import (
	"log/slog"

	"coffer/cipher"
	"coffer/kms/manager"
	"coffer/kms/vault"
)

// vaultOptions says in the words of package vault what was configured.
func vaultOptions(c manager.Config, instance cipher.InstanceID, log *slog.Logger) vault.Options {
	v := c.Vault
	return vault.Options{
		Instance: instance, Address: v.Address, DangerPlainHTTP: v.DangerPlainHTTP, Namespace: v.Namespace,
		TLS: vault.TLS{
			CAFile: v.CAFile, ClientCertFile: v.ClientCertFile, ClientKeyFile: v.ClientKeyFile,
			ServerName: v.ServerName, DangerSkipVerify: v.DangerSkipVerify,
		},
		Mount: v.Mount, KVMount: v.KVMount, KVPrefix: v.KeyPathPrefix,
		Auth:         vaultAuth(v.Auth),
		AdminTimeout: c.Timeout, Attempts: c.RetryAttempts, Logger: log,
	}
}

// vaultAuth gives nil, which package vault refuses, for a method that does not
// exist.
func vaultAuth(a manager.VaultAuth) vault.Auth {
	switch a.Method {
	case manager.AuthToken:
		return vault.Token{Token: a.Token}
	case manager.AuthTokenFile:
		return vault.TokenFile{Path: a.TokenFile, Poll: a.Poll}
	case manager.AuthAppRole:
		return vault.AppRole{Mount: a.Mount, RoleID: a.RoleID, SecretID: a.SecretID, SecretIDFile: a.SecretIDFile}
	case manager.AuthKubernetes:
		return vault.Kubernetes{Mount: a.Mount, Role: a.Role, JWTFile: a.JWTFile}
	default:
		return nil
	}
}
