package config

func kmsFaultCases() []faultCase {
	const token = "COFFER_KMS_VAULT_TOKEN=hunter2"
	vault := func(environ ...string) []string {
		return append([]string{"COFFER_KMS_VAULT_ADDRESS=https://vault:8200"}, environ...)
	}
	return []faultCase{
		{name: "aws", environ: []string{"RUSTFS_KMS_TYPE=aws"}, want: []string{`RUSTFS_KMS_TYPE: there is no backend type "aws": there are local, vault (Transit) and static`}},
		{name: "azure", environ: []string{"COFFER_KMS_TYPE=azure"}, want: []string{`COFFER_KMS_TYPE: there is no backend type "azure": there are local`}},
		{name: "gcp", file: "kms: {type: gcp}\n", want: []string{`F:1: kms.type: there is no backend type "gcp": there are local`}},
		{name: "key-value engine", environ: []string{"RUSTFS_KMS_BACKEND=vault-kv2"}, want: []string{`RUSTFS_KMS_BACKEND: there is no backend type "vault-kv2"`}},
		{name: "KES", environ: []string{"MINIO_KMS_KES_ENDPOINT=https://kes:7373"}, want: []string{"MINIO_KMS_KES_ENDPOINT: there is no backend for KES"}},
		{name: "key server of MinIO", environ: []string{"MINIO_KMS_SERVER=https://kms:7373"}, want: []string{"MINIO_KMS_SERVER: there is no backend for MinIO's key server"}},
		{name: "no attempts", environ: []string{"RUSTFS_KMS_RETRY_ATTEMPTS=0"}, want: []string{`RUSTFS_KMS_RETRY_ATTEMPTS: "0" is not a number over 0`}},
		{name: "probe interval", environ: []string{"RUSTFS_KMS_PROBE_INTERVAL_SECS=-1"}, want: []string{`RUSTFS_KMS_PROBE_INTERVAL_SECS: "-1" is not a number of seconds, nor 0`}},
		{name: "readiness without probes", environ: []string{"COFFER_KMS_READY_CHECK=true", "COFFER_KMS_PROBE_INTERVAL_SECS=0"}, want: []string{"COFFER_KMS_READY_CHECK: needs probes"}},
		{name: "default key", environ: []string{"RUSTFS_KMS_DEFAULT_KEY_ID=a\tb"}, want: []string{"RUSTFS_KMS_DEFAULT_KEY_ID: "}},
		{name: "two names that differ", environ: []string{"RUSTFS_KMS_TYPE=local", "RUSTFS_KMS_BACKEND=static"}, want: []string{"RUSTFS_KMS_BACKEND: RUSTFS_KMS_TYPE means the same and says otherwise"}},
		{name: "misspelt twin", environ: []string{"RUSTFS_KMS_TIPE=local"}, want: []string{"RUSTFS_KMS_TIPE: no such variable; did you mean RUSTFS_KMS_TYPE?"}},
		{name: "section that is none", file: "kms: vault\n", want: []string{"F:1: kms: must be a section"}},
		{name: "name outside of the section", file: "kms-type: vault\n", want: []string{"F:1: kms-type: belongs into the section kms, as type"}},
		{name: "misspelt name in the section", file: "kms:\n  tipe: vault\n", want: []string{"F:2: kms.tipe: no such setting; did you mean type?"}},
		{name: "secret in the section", file: "kms:\n  static-secret-key: hunter2\n", want: []string{"F:2: kms.static-secret-key: a secret does not belong into this file; name a file that holds it with static-secret-key-file"}},
		{name: "name of another section's setting", file: "kms:\n  listen: x\n", want: []string{"F:2: kms.listen: no such setting"}},
		{name: "static without a key", environ: []string{"COFFER_KMS_TYPE=static"}, want: []string{"COFFER_KMS_TYPE: the key is missing: set COFFER_KMS_STATIC_SECRET_KEY"}},
		{name: "static key of the wrong form", environ: []string{"MINIO_KMS_SECRET_KEY=hunter2"}, want: []string{"MINIO_KMS_SECRET_KEY: it must have the form id:base64"}},
		{name: "static key of the wrong size", environ: []string{"MINIO_KMS_SECRET_KEY=lab:aHVudGVyMg=="}, want: []string{"MINIO_KMS_SECRET_KEY: master key: cipher: unusable key: 7 bytes, want 32"}},
		{name: "two kinds", environ: vault(token, "MINIO_KMS_SECRET_KEY="+labKey), want: []string{"COFFER_KMS_VAULT_ADDRESS: MINIO_KMS_SECRET_KEY is given as well; say which is meant with COFFER_KMS_TYPE"}},
		{name: "relative key directory", environ: []string{"RUSTFS_KMS_LOCAL_KEY_DIR=./kms_keys", "RUSTFS_KMS_LOCAL_MASTER_KEY=m"}, want: []string{`RUSTFS_KMS_LOCAL_KEY_DIR: "./kms_keys" is not an absolute path`}},
		{name: "key directory alone", environ: []string{"RUSTFS_KMS_LOCAL_KEY_DIR=/srv/keys"}, want: []string{"RUSTFS_KMS_LOCAL_KEY_DIR: the master key is missing"}},
		{name: "master key alone", environ: []string{"COFFER_KMS_TYPE=local", "RUSTFS_KMS_LOCAL_MASTER_KEY=hunter2"}, want: []string{"RUSTFS_KMS_LOCAL_MASTER_KEY: the directory is missing"}},
		{name: "no credentials", environ: vault(), want: []string{"COFFER_KMS_VAULT_ADDRESS: a way to get a token of Vault is missing"}},
		{name: "no credentials, by type", environ: []string{"RUSTFS_KMS_ENABLE=true", "RUSTFS_KMS_TYPE=vault"}, want: []string{"RUSTFS_KMS_TYPE: a way to get a token of Vault is missing"}},
		{name: "scheme", environ: []string{token, "COFFER_KMS_VAULT_ADDRESS=ftp://vault"}, want: []string{"COFFER_KMS_VAULT_ADDRESS: is neither an https nor an http URL"}},
		{name: "password in the address", environ: []string{token, "COFFER_KMS_VAULT_ADDRESS=https://u:hunter2@vault"}, want: []string{"COFFER_KMS_VAULT_ADDRESS: holds more than scheme"}},
		{name: "plain HTTP", environ: []string{token, "RUSTFS_KMS_VAULT_ADDRESS=http://vault:8200"}, want: []string{"RUSTFS_KMS_VAULT_ADDRESS: over plain HTTP others can read"}},
		{name: "unverified TLS", environ: vault(token, "RUSTFS_KMS_VAULT_SKIP_TLS_VERIFY=true"), want: []string{"RUSTFS_KMS_VAULT_SKIP_TLS_VERIFY: needs COFFER_KMS_ALLOW_INSECURE_DEV_DEFAULTS"}},
		{name: "token of examples", environ: vault("RUSTFS_KMS_VAULT_TOKEN=dev-token"), want: []string{"RUSTFS_KMS_VAULT_TOKEN: is the token of examples"}},
		{name: "client certificate alone", environ: vault(token, "COFFER_KMS_VAULT_CLIENT_CERT=/c"), want: []string{"COFFER_KMS_VAULT_CLIENT_CERT: kms-vault-client-key is missing"}},
		{name: "client key alone", environ: vault(token, "COFFER_KMS_VAULT_CLIENT_KEY=/k"), want: []string{"COFFER_KMS_VAULT_CLIENT_KEY: kms-vault-client-cert is missing"}},
		{
			name: "token file and others", environ: vault(token, "RUSTFS_KMS_VAULT_TOKEN_FILE=/t", "RUSTFS_KMS_VAULT_KUBERNETES_ROLE=r"),
			want: []string{"RUSTFS_KMS_VAULT_TOKEN_FILE: COFFER_KMS_VAULT_TOKEN, RUSTFS_KMS_VAULT_KUBERNETES_ROLE is given as well"},
		},
		{
			name: "Kubernetes and AppRole", environ: vault("RUSTFS_KMS_VAULT_KUBERNETES_ROLE=r", "RUSTFS_KMS_VAULT_APPROLE_ROLE_ID=i"),
			want: []string{"RUSTFS_KMS_VAULT_KUBERNETES_ROLE: RUSTFS_KMS_VAULT_APPROLE_ROLE_ID is given as well"},
		},
		{name: "AppRole without secret id", environ: vault(token, "RUSTFS_KMS_VAULT_APPROLE_ROLE_ID=i"), want: []string{"RUSTFS_KMS_VAULT_APPROLE_ROLE_ID: the secret id is missing"}},
		{name: "secret id without AppRole", environ: vault(token, "RUSTFS_KMS_VAULT_APPROLE_SECRET_ID=hunter2"), want: []string{"RUSTFS_KMS_VAULT_APPROLE_SECRET_ID: the role id is missing"}},
	}
}
