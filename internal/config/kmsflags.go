package config

// KMSFlags say which key backend is started, and how it is used.
type KMSFlags struct {
	KMSEnable                   bool   `name:"kms-enable" group:"kms" help:"Start the key backend that the settings describe, whatever the admin API has kept (default: when a type, a place or a static key is given)."`
	KMSType                     string `name:"kms-type" placeholder:"TYPE" group:"kms" help:"local, vault (Transit) or static (default: what the other settings are of, else local)."`
	KMSDefaultKeyID             string `name:"kms-default-key-id" placeholder:"KEY" group:"kms" help:"Key of SSE-KMS where nobody names one (default: rustfs-default-key)."`
	KMSTimeoutSecs              string `name:"kms-timeout-secs" placeholder:"N" group:"kms" help:"Seconds for one attempt of an administrative call (default: 30)."`
	KMSRetryAttempts            string `name:"kms-retry-attempts" placeholder:"N" group:"kms" help:"Attempts of a call that may be repeated (default: 3)."`
	KMSEnableCache              bool   `name:"kms-enable-cache" group:"kms" help:"Keep unwrapped keys of buckets and objects in memory for a while (default: ${kms_enable_cache})."`
	KMSMaxCachedKeys            string `name:"kms-max-cached-keys" placeholder:"N" group:"kms" help:"Keys that are kept at most (default: 1000)."`
	KMSCacheTTLSecs             string `name:"kms-cache-ttl-secs" placeholder:"N" group:"kms" help:"Seconds that a key is kept (default: 300)."`
	KMSLocalKeyDir              string `name:"kms-local-key-dir" placeholder:"DIR" group:"kms" help:"Directory of a keyring of its own, for the type local (default: the built-in keyring). Its master key comes from $$COFFER_KMS_LOCAL_MASTER_KEY or a file."`
	KMSLocalMasterKeyFile       string `name:"kms-local-master-key-file" placeholder:"FILE" group:"kms" help:"File that holds the master key of that directory."`
	KMSStaticSecretKeyFile      string `name:"kms-static-secret-key-file" placeholder:"FILE" group:"kms" help:"File that holds the static key, as id:base64. Else $$COFFER_KMS_STATIC_SECRET_KEY or $$MINIO_KMS_SECRET_KEY."`
	KMSNoStandIn                bool   `name:"kms-no-stand-in" group:"kms" help:"SSE-KMS is answered NotImplemented until there is a key backend, instead of using the built-in keyring."`
	KMSForSSES3                 bool   `name:"kms-for-sse-s3" group:"kms" help:"SSE-S3 uses the key backend too."`
	KMSRotationMaxAgeSecs       string `name:"kms-rotation-max-age-secs" placeholder:"N" group:"kms" help:"Age in seconds at which the rotation of a key is due for which the admin API has set none (default: never)."`
	KMSRotateDue                bool   `name:"kms-rotate-due" group:"kms" help:"Rotate keys that are older than the maximum age that was set for them."`
	KMSRewrapDue                bool   `name:"kms-rewrap-due" group:"kms" help:"Rewrap in the background what keys have wrapped that --kms-rotate-due rotates."`
	KMSProbeIntervalSecs        string `name:"kms-probe-interval-secs" placeholder:"N" group:"kms" help:"Seconds between tests of the key backend, 0 for none (default: ${kms_probe_interval_secs})."`
	KMSReadyCheck               bool   `name:"kms-ready-check" group:"kms" help:"The server is not ready while the key backend does not work."`
	KMSAllowInsecureDevDefaults bool   `name:"kms-allow-insecure-dev-defaults" group:"kms" help:"Allow plain HTTP to Vault on other machines, unverified TLS, and key directories among temporary files. Not for production."`
	KMSVaultAddress             string `name:"kms-vault-address" placeholder:"URL" group:"kms" help:"Address of Vault (default: http://localhost:8200). Its token comes from $$COFFER_KMS_VAULT_TOKEN or a file."`
	KMSVaultNamespace           string `name:"kms-vault-namespace" placeholder:"NAME" group:"kms" help:"Namespace of Vault Enterprise."`
	KMSVaultMountPath           string `name:"kms-vault-mount-path" placeholder:"PATH" group:"kms" help:"Mount of the Transit engine (default: transit)."`
	KMSVaultKVMount             string `name:"kms-vault-kv-mount" placeholder:"PATH" group:"kms" help:"Mount of the KV engine that keeps the states of keys (default: secret)."`
	KMSVaultKeyPrefix           string `name:"kms-vault-key-prefix" placeholder:"PATH" group:"kms" help:"Path below it (default: rustfs/kms/keys)."`
	KMSVaultCACert              string `name:"kms-vault-ca-cert" placeholder:"FILE" group:"kms" help:"Certificates that Vault's is checked by, PEM (default: those of the system)."`
	KMSVaultClientCert          string `name:"kms-vault-client-cert" placeholder:"FILE" group:"kms" help:"Certificate to show to Vault, PEM."`
	KMSVaultClientKey           string `name:"kms-vault-client-key" placeholder:"FILE" group:"kms" help:"Private key of that certificate, PEM."`
	KMSVaultServerName          string `name:"kms-vault-server-name" placeholder:"NAME" group:"kms" help:"Name that Vault's certificate must have (default: that of the address)."`
	KMSVaultSkipTLSVerify       bool   `name:"kms-vault-skip-tls-verify" group:"kms" help:"Trust whoever answers in place of Vault. Needs kms-allow-insecure-dev-defaults."`
	KMSVaultTokenFile           string `name:"kms-vault-token-file" placeholder:"FILE" group:"kms" help:"File in which something else keeps a fresh token."`
	KMSVaultTokenFilePollSecs   string `name:"kms-vault-token-file-poll-secs" placeholder:"N" group:"kms" help:"Seconds between looks at that file (default: 30)."`
	KMSVaultApproleRoleID       string `name:"kms-vault-approle-role-id" placeholder:"ID" group:"kms" help:"Log in by AppRole. The secret id comes from $$COFFER_KMS_VAULT_APPROLE_SECRET_ID or a file."`
	KMSVaultApproleSecretIDFile string `name:"kms-vault-approle-secret-id-file" placeholder:"FILE" group:"kms" help:"File that holds the secret id; read at every login."`
	KMSVaultApproleMount        string `name:"kms-vault-approle-mount" placeholder:"PATH" group:"kms" help:"Mount of the method (default: approle)."`
	KMSVaultKubernetesRole      string `name:"kms-vault-kubernetes-role" placeholder:"ROLE" group:"kms" help:"Log in by the pod's service account."`
	KMSVaultKubernetesMount     string `name:"kms-vault-kubernetes-mount" placeholder:"PATH" group:"kms" help:"Mount of the method (default: kubernetes)."`
	KMSVaultKubernetesJWTPath   string `name:"kms-vault-kubernetes-jwt-path" placeholder:"FILE" group:"kms" help:"File that holds the account's token (default: where Kubernetes puts it)."`
}
