package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/alecthomas/kong"
	"go.yaml.in/yaml/v3"

	"coffer/internal/adminclient"
	"coffer/internal/config"
	"coffer/internal/secret"
)

// maxConfiguration is the longest configuration that is sent, in bytes, and so the longest file of a secret.
const maxConfiguration = 1 << 20

// kmsConfigureCommands send a configuration, one for each type of backend. Secrets come from files, from the environment, or
// are asked for.
type kmsConfigureCommands struct {
	Vault  configureVaultCommand  `cmd:"" help:"Vault's Transit engine."`
	Local  configureLocalCommand  `cmd:"" help:"The built-in keyring, or a keyring in a directory of its own."`
	Static configureStaticCommand `cmd:"" help:"One fixed key, for labs."`
	File   configureFileCommand   `cmd:"" help:"A configuration in the words of the admin API, JSON or YAML, from a file."`
}

// backendFlags are what every type takes.
type backendFlags struct {
	DefaultKeyID string `name:"default-key-id" placeholder:"KEY" help:"Key of SSE-KMS where nobody names one (default: rustfs-default-key)."`
	Start        bool   `help:"Start the backend when it is configured."`
	Insecure     bool   `name:"allow-insecure-dev-defaults" help:"Allow plain HTTP to Vault on other machines, and unverified TLS. Not for production."`
}

func (f backendFlags) body(kind string) map[string]any {
	b := map[string]any{"backend_type": kind}
	put(b, "default_key_id", f.DefaultKeyID)
	putTrue(b, "allow_insecure_dev_defaults", f.Insecure)
	return b
}

// put sets a member that was given.
func put(b map[string]any, name, value string) {
	if value != "" {
		b[name] = value
	}
}

func putTrue(b map[string]any, name string, value bool) {
	if value {
		b[name] = true
	}
}

type configureVaultCommand struct {
	clientFlags
	backendFlags
	Address        string `name:"vault-address" required:"" placeholder:"URL" help:"Address of Vault."`
	Namespace      string `name:"vault-namespace" placeholder:"NAME" help:"Namespace of Vault Enterprise."`
	Mount          string `name:"vault-mount-path" placeholder:"PATH" help:"Mount of the Transit engine (default: transit)."`
	KVMount        string `name:"vault-kv-mount" placeholder:"PATH" help:"Mount of the KV engine that keeps the states of keys (default: secret)."`
	KeyPrefix      string `name:"vault-key-prefix" placeholder:"PATH" help:"Path below it (default: rustfs/kms/keys)."`
	VaultCA        string `name:"vault-ca-cert" placeholder:"FILE" help:"Certificates that Vault's is checked by, on the server."`
	ClientCert     string `name:"vault-client-cert" placeholder:"FILE" help:"Certificate to show to Vault, on the server."`
	ClientKey      string `name:"vault-client-key" placeholder:"FILE" help:"Private key of that certificate, on the server."`
	ServerName     string `name:"vault-server-name" placeholder:"NAME" help:"Name that Vault's certificate must have."`
	SkipVerify     bool   `name:"vault-skip-tls-verify" help:"Trust whoever answers in place of Vault. Needs --allow-insecure-dev-defaults."`
	TokenFile      string `name:"vault-token-file" placeholder:"FILE" help:"File on the server in which something else keeps a fresh token."`
	RoleID         string `name:"vault-approle-role-id" placeholder:"ID" help:"Log in by AppRole. The secret id comes from --secret-file, $$COFFER_KMS_VAULT_APPROLE_SECRET_ID, or is asked for."`
	SecretIDFile   string `name:"vault-approle-secret-id-file" placeholder:"FILE" help:"File on the server that holds the secret id; read at every login."`
	RoleMount      string `name:"vault-approle-mount" placeholder:"PATH" help:"Mount of AppRole (default: approle)."`
	Role           string `name:"vault-kubernetes-role" placeholder:"ROLE" help:"Log in by the service account of the server's pod."`
	RoleJWT        string `name:"vault-kubernetes-jwt-path" placeholder:"FILE" help:"File on the server that holds the account's token."`
	KubernetesPath string `name:"vault-kubernetes-mount" placeholder:"PATH" help:"Mount of Kubernetes (default: kubernetes)."`
	SecretFile     string `placeholder:"FILE" help:"File that holds the token or the secret id. Else $$COFFER_KMS_VAULT_TOKEN; on a terminal it is asked for."`
}

// Validate wants one way to get a token.
func (c configureVaultCommand) Validate() error {
	ways := 0
	for _, given := range []string{c.TokenFile, c.RoleID, c.Role} {
		if given != "" {
			ways++
		}
	}
	if ways > 1 {
		return errors.New("--vault-token-file, --vault-approle-role-id and --vault-kubernetes-role are three ways to get a token; keep one")
	}
	return nil
}

// Run configures Vault.
func (c configureVaultCommand) Run(kctx *kong.Context, std streams) error {
	return configure(c.clientFlags, c.Start, kctx, std, func(cfg *config.Config) (any, error) {
		b := c.body("vault-transit")
		for name, value := range map[string]string{
			"address": c.Address, "namespace": c.Namespace, "mount_path": c.Mount, "kv_mount": c.KVMount, "key_path_prefix": c.KeyPrefix,
			"ca_cert_path": c.VaultCA, "client_cert_path": c.ClientCert, "client_key_path": c.ClientKey, "tls_server_name": c.ServerName,
		} {
			put(b, name, value)
		}
		putTrue(b, "skip_tls_verify", c.SkipVerify)
		var err error
		b["auth_method"], err = c.auth(cfg, std)
		return b, err
	})
}

// auth is the way to get a token, with the secret that it wants, if any.
func (c configureVaultCommand) auth(cfg *config.Config, std streams) (map[string]any, error) {
	b := map[string]any{}
	switch {
	case c.TokenFile != "":
		put(b, "path", c.TokenFile)
		return map[string]any{"TokenFile": b}, nil
	case c.Role != "":
		put(b, "role", c.Role)
		put(b, "jwt_path", c.RoleJWT)
		put(b, "mount", c.KubernetesPath)
		return map[string]any{"Kubernetes": b}, nil
	case c.RoleID != "":
		put(b, "role_id", c.RoleID)
		put(b, "mount", c.RoleMount)
		if c.SecretIDFile != "" {
			put(b, "secret_id_file", c.SecretIDFile)
			return map[string]any{"AppRole": b}, nil
		}
		text, err := secretFor("secret id of AppRole", c.SecretFile, "kms-vault-approle-secret-id", cfg.KMS.Vault.SecretID, std)
		put(b, "secret_id", text)
		return map[string]any{"AppRole": b}, err
	default:
		text, err := secretFor("token of Vault", c.SecretFile, "kms-vault-token", cfg.KMS.Vault.Token, std)
		put(b, "token", text)
		return map[string]any{"Token": b}, err
	}
}

type configureLocalCommand struct {
	clientFlags
	backendFlags
	KeyDir     string `name:"local-key-dir" placeholder:"DIR" help:"Directory of a keyring of its own, on the server (default: the built-in keyring)."`
	SecretFile string `placeholder:"FILE" help:"File that holds the master key of that directory. Else $$COFFER_KMS_LOCAL_MASTER_KEY; on a terminal it is asked for."`
}

// Run configures a keyring.
func (c configureLocalCommand) Run(kctx *kong.Context, std streams) error {
	return configure(c.clientFlags, c.Start, kctx, std, func(cfg *config.Config) (any, error) {
		b := c.body("local")
		if c.KeyDir == "" {
			return b, nil
		}
		put(b, "key_dir", c.KeyDir)
		text, err := secretFor("master key", c.SecretFile, "kms-local-master-key", cfg.KMS.LocalMasterKey, std)
		put(b, "master_key", text)
		return b, err
	})
}

type configureStaticCommand struct {
	clientFlags
	backendFlags
	SecretFile string `placeholder:"FILE" help:"File that holds the key, as id:base64. Else $$COFFER_KMS_STATIC_SECRET_KEY; on a terminal it is asked for."`
}

// Run configures a static key.
func (c configureStaticCommand) Run(kctx *kong.Context, std streams) error {
	return configure(c.clientFlags, c.Start, kctx, std, func(cfg *config.Config) (any, error) {
		b := c.body("static")
		text, err := secretFor("static key (id:base64)", c.SecretFile, "kms-static-secret-key", cfg.KMS.StaticKey, std)
		if err != nil {
			return nil, err
		}
		id, key, ok := strings.Cut(text, ":")
		if !ok {
			return nil, errors.New("a static key is id:base64")
		}
		b["key_id"], b["secret_key"] = id, key
		return b, nil
	})
}

type configureFileCommand struct {
	clientFlags
	Start bool   `help:"Start the backend when it is configured."`
	File  string `arg:"" placeholder:"FILE" help:"File with the body of kms/configure, or - for the standard input."`
}

// Run sends a file.
func (c configureFileCommand) Run(kctx *kong.Context, std streams) error {
	return configure(c.clientFlags, c.Start, kctx, std, func(*config.Config) (any, error) {
		text, err := readInput(c.File, std)
		defer clear(text)
		if err != nil {
			return nil, err
		}
		var b map[string]any
		if err := yaml.Unmarshal(text, &b); err != nil || b == nil { // JSON is YAML
			return nil, fmt.Errorf("%s is neither a JSON object nor a YAML mapping", c.File) // the error may quote a secret
		}
		return b, nil
	})
}

// configure sends what body gives, and starts the backend if asked to.
func configure(f clientFlags, start bool, kctx *kong.Context, std streams, body func(*config.Config) (any, error)) error {
	r, cfg, err := f.connect(kctx, std)
	if err != nil {
		return err
	}
	defer r.Close()
	doc, err := body(cfg)
	if err != nil {
		return err
	}
	text, err := json.Marshal(doc)
	defer clear(text)
	if err != nil {
		return err
	}
	ctx := context.Background()
	answer, err := r.Configure(ctx, text)
	if err == nil && start {
		answer, err = r.Start(ctx, true)
	}
	if err != nil {
		return r.explain(err)
	}
	return display(r, answer, func(w io.Writer, doc *adminclient.Done) {
		fmt.Fprintln(w, doc.Message)
		if doc.Status == "Configured" {
			fmt.Fprintln(w, "It does not run yet; coffer kms start starts it.")
		}
	})
}

// secretFor takes a secret from a file, from the variable of a setting, or from a person.
func secretFor(what, file, setting string, given secret.Value, std streams) (string, error) {
	if file != "" {
		text, err := readInput(file, std)
		defer clear(text)
		return strings.TrimRight(string(text), "\r\n"), err
	}
	if !given.IsZero() {
		return string(given.Expose()), nil
	}
	ask := asker(std)
	if ask == nil {
		return "", fmt.Errorf("the %s is missing: name a file with --secret-file, or set %s", what, config.Variable(setting))
	}
	text, err := ask("The " + what + ": ")
	defer clear(text)
	return string(text), err
}

// readInput reads a file, or for "-" the standard input.
func readInput(name string, std streams) ([]byte, error) {
	in := std.in
	if name != "-" {
		file, err := os.Open(name)
		if err != nil {
			return nil, err
		}
		defer file.Close()
		in = file
	}
	text, err := io.ReadAll(io.LimitReader(in, maxConfiguration+1))
	if err == nil && len(text) > maxConfiguration {
		err = fmt.Errorf("%s is longer than %d bytes", name, maxConfiguration)
	}
	return text, err
}
