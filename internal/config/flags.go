package config

import (
	"fmt"

	"github.com/alecthomas/kong"
)

// The flags, by the commands that take them. The structures declare names and
// help for the parser; Load takes what was given from the parser itself,
// because a field cannot tell a flag that was left out from one that was given
// its default. TestEveryFlagIsASetting holds the two together.

// ConfigFlags say where the configuration is.
type ConfigFlags struct {
	Config    string `placeholder:"FILE" group:"places" help:"Configuration file (default: coffer.yaml in the configuration directory, where there is one)."`
	ConfigDir string `placeholder:"DIR" group:"places" help:"Configuration directory: store key, keyring, root credentials (default: ${config_dir})."`
}

// RootFlags say who the root identity is.
type RootFlags struct {
	RootUser         string `placeholder:"NAME" group:"server" help:"Root access key (default: made at the first start and kept in root.credentials). The password comes from $$COFFER_ROOT_PASSWORD or a file."`
	RootPasswordFile string `placeholder:"FILE" group:"server" help:"File that holds the root secret key."`
}

// ClientFlags say which server the administrative commands talk to.
type ClientFlags struct {
	Endpoint string `placeholder:"URL" group:"server" help:"Server to talk to (default: the one of this machine, at the address of listen)."`
	CACert   string `name:"ca-cert" placeholder:"FILE" group:"server" help:"Certificates that the server's is checked by, PEM, besides those of the system."`
}

// PlaceFlags say where everything is.
type PlaceFlags struct {
	ConfigFlags
	Data                          string `placeholder:"DIR" group:"places" help:"Data directory: sealed objects and names (default: ${data})."`
	DangerouslyKeepKeysBesideData bool   `group:"places" help:"Start although keys lie inside the data directory, where whoever copies the data copies the keys."`
	AcceptEmptyData               bool   `group:"places" help:"Start with an empty data directory although this store had data: a disk was replaced on purpose."`
}

// ServerFlags say how objects are served.
type ServerFlags struct {
	Listen       string   `placeholder:"HOST:PORT" group:"server" help:"Address to serve S3 on (default: ${listen})."`
	Region       string   `placeholder:"REGION" group:"server" help:"Region that requests are signed for (default: ${region})."`
	Domain       []string `placeholder:"DOMAIN" group:"server" help:"Domain whose subdomains are buckets; may be repeated. *.localhost always works."`
	TrustedProxy []string `placeholder:"ADDRESS" group:"server" help:"Address or network of proxies whose X-Forwarded-Proto is believed; may be repeated."`
	TLSCert      string   `name:"tls-cert" placeholder:"FILE" group:"server" help:"Certificate chain, PEM."`
	TLSKey       string   `name:"tls-key" placeholder:"FILE" group:"server" help:"Private key of the certificate, PEM."`
	DrainTimeout string   `placeholder:"TIME" group:"server" help:"How long requests may go on after SIGTERM (default: ${drain_timeout})."`
	RootFlags
	MemoryLimit     string `placeholder:"SIZE" group:"server" help:"Memory that the process tries to stay under, or off (default: ${memory_limit}, or what $$GOMEMLIMIT says)."`
	MetastoreMemory string `placeholder:"SIZE" group:"server" help:"Memory for the tables and caches of the metastore, part of the former (default: ${metastore_memory})."`
	MetricsListen   string `placeholder:"HOST:PORT" group:"server" help:"Address to serve /metrics for Prometheus on, without TLS and password, or off (default: ${metrics_listen})."`
	LogLevel        string `placeholder:"LEVEL" group:"server" help:"debug, info, warn or error (default: ${log_level})."`
	LogFormat       string `placeholder:"FORMAT" group:"server" help:"text, json, or auto: text on a terminal (default: ${log_format})."`
}

// UnlockFlags say what unlocks the store.
type UnlockFlags struct {
	UnlockKeyFile        string `placeholder:"FILE" group:"unlock" help:"Key file that unlocks the store (default: unlock.key in the configuration directory)."`
	UnlockPassphraseFile string `placeholder:"FILE" group:"unlock" help:"File that holds the passphrase that unlocks the store. Else $$COFFER_UNLOCK_PASSPHRASE or $$COFFER_UNLOCK_KEY; on a terminal it is asked for."`
}

// NewSecretFlags name the secret of a slot that is added or changed.
type NewSecretFlags struct {
	NewPassphraseFile string `placeholder:"FILE" group:"new secret" help:"File that holds the new passphrase. Else $$COFFER_NEW_PASSPHRASE or $$COFFER_NEW_KEY; on a terminal it is asked for."`
	NewKeyFile        string `placeholder:"FILE" group:"new secret" help:"Key file; made with a random key where it is missing."`
}

// HelpVars gives the defaults that the help texts of the flags name.
func HelpVars(src Sources) kong.Vars {
	configDir, dataDir := src.defaultPlaces()
	vars := kong.Vars{helpVar("audit-dir"): src.auditDir(configDir)}
	for _, s := range settings(configDir, dataDir) {
		if len(s.fallback) == 1 {
			vars[helpVar(s.name)] = s.fallback[0]
		}
	}
	return vars
}

func helpVar(name string) string {
	b := []byte(name)
	for i := range b {
		if b[i] == '-' {
			b[i] = '_'
		}
	}
	return string(b)
}

// FlagHelp gives a function that appends the environment twin to the help of a
// flag that has one. Flags of a command's own are no settings and have none.
func FlagHelp() func(*kong.Value) string {
	known := map[string]bool{}
	for _, s := range settings("", "") {
		known[s.name] = true
	}
	return func(v *kong.Value) string {
		if v.Flag == nil || !known[v.Name] {
			return v.Help
		}
		return v.Help + " [" + Variable(v.Name) + "]"
	}
}

// givenFlags collects the flags that stand on the command line.
func givenFlags(kctx *kong.Context) map[string][]string {
	flags := map[string][]string{}
	for _, p := range kctx.Path {
		if p.Flag == nil {
			continue
		}
		switch v := kctx.FlagValue(p.Flag).(type) {
		case []string:
			flags[p.Flag.Name] = v
		default:
			flags[p.Flag.Name] = []string{fmt.Sprint(v)}
		}
	}
	return flags
}
