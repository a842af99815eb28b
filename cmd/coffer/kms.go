package main

import (
	"errors"
	"fmt"

	"coffer/internal/config"
	"coffer/kms/manager"
)

// errNoKeys says why a server that heeds its key backend is not ready.
var errNoKeys = errors.New("the key backend does not work")

// givenBackend is the backend that the settings describe, nil where they leave
// it to the admin API.
func givenBackend(k config.KMS) *manager.Config {
	if !k.Enabled {
		return nil
	}
	c := &manager.Config{
		Type: k.Type, DefaultKeyID: k.DefaultKeyID,
		Timeout: k.Timeout, RetryAttempts: k.RetryAttempts,
		NoCache: k.NoCache, MaxCachedKeys: k.MaxCachedKeys, CacheTTL: k.CacheTTL,
	}
	switch k.Type {
	case config.KMSLocal:
		c.Local = manager.Local{KeyDir: k.LocalKeyDir, MasterKey: k.LocalMasterKey}
	case config.KMSStatic:
		c.Static = manager.Static{Key: k.StaticKey}
	case config.KMSVault:
		v := k.Vault
		c.Vault = manager.Vault{
			Address: v.Address, Namespace: v.Namespace, Mount: v.Mount, KVMount: v.KVMount, KeyPathPrefix: v.KeyPrefix,
			CAFile: v.CACert, ClientCertFile: v.ClientCert, ClientKeyFile: v.ClientKey, ServerName: v.ServerName,
			DangerSkipVerify: v.SkipVerify, DangerPlainHTTP: k.Insecure,
			Auth: givenAuth(v),
		}
	}
	return c
}

// givenAuth takes the strongest way to get a token. One that is not used is left
// out, so that no secret is kept that nobody needs.
func givenAuth(v config.Vault) manager.VaultAuth {
	switch {
	case v.TokenFile != "":
		return manager.VaultAuth{Method: manager.AuthTokenFile, TokenFile: v.TokenFile, Poll: v.TokenFilePoll}
	case v.KubernetesRole != "":
		return manager.VaultAuth{
			Method: manager.AuthKubernetes, Role: v.KubernetesRole, JWTFile: v.KubernetesJWT, Mount: v.KubernetesPath,
		}
	case v.RoleID != "":
		auth := manager.VaultAuth{Method: manager.AuthAppRole, RoleID: v.RoleID, SecretIDFile: v.SecretIDFile, Mount: v.AppRoleMount}
		if v.SecretIDFile == "" {
			auth.SecretID = v.SecretID
		}
		return auth
	default:
		return manager.VaultAuth{Method: manager.AuthToken, Token: v.Token}
	}
}

// notices tell what was said and is not done as it was said.
func notices(cfg *config.Config) []string {
	list := cfg.KMS.Notices
	given := givenBackend(cfg.KMS)
	if given == nil {
		return list
	}
	taken := given.WithDefaults()
	cut := func(name string, is bool, limit any) {
		if is {
			list = append(list, fmt.Sprintf("%s is over its limit and taken as %v", name, limit))
		}
	}
	cut("kms-timeout-secs", given.Timeout > taken.Timeout, taken.Timeout)
	cut("kms-retry-attempts", given.RetryAttempts > taken.RetryAttempts, taken.RetryAttempts)
	cut("kms-max-cached-keys", given.MaxCachedKeys > taken.MaxCachedKeys, taken.MaxCachedKeys)
	cut("kms-cache-ttl-secs", given.CacheTTL > taken.CacheTTL, taken.CacheTTL)
	return list
}

// readiness makes the server's readiness that of the key backend, where that is
// asked for. Where nobody has configured one there is none to wait for.
func readiness(k config.KMS, keys *manager.Manager) func() error {
	if !k.ReadyCheck {
		return nil
	}
	return func() error {
		if status := keys.Status(); status.State != manager.NotConfigured && !status.Available() {
			return errNoKeys
		}
		return nil
	}
}
