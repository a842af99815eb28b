package config

import (
	"errors"
	"path/filepath"
	"strings"

	"coffer/internal/secret"
)

// setting is one row of the table of everything that can be told to the
// process.
type setting struct {
	name     string
	list     bool     // takes several values
	secret   bool     // taken from the environment alone and never shown
	noFile   bool     // has no line in the configuration file
	fallback []string // the default as it would be written
	also     []string // further names that its variable has
	foreign  []string // variables of other servers that mean it
	// set checks a value and keeps it. An error of a secret's set does not
	// quote it.
	set func(c *draft, g given) error
}

// draft is a Config under way.
type draft struct {
	Config
	rootPasswordFile  string
	newPassphraseFile string
	masterKeyFile     string
	staticKeyFile     string
}

// given is a value as it was written, and where.
type given struct {
	values []string
	origin Origin
}

// text is the single value of a setting that is not a list.
func (g given) text() string {
	if len(g.values) == 0 {
		return ""
	}
	return g.values[0]
}

// layer is what one source says, by the names of the settings.
type layer map[string]given

// settings is the table. The two directories are the defaults for data and
// config-dir.
func settings(configDir, dataDir string) []setting {
	rows := []setting{
		{name: "config", noFile: true, set: path(func(c *draft) *string { return &c.File })},
		{name: "config-dir", fallback: []string{configDir}, set: path(func(c *draft) *string { return &c.Home.Places.Config })},
		{name: "data", fallback: []string{dataDir}, set: path(func(c *draft) *string { return &c.Home.Places.Data })},
		{name: "dangerously-keep-keys-beside-data", fallback: []string{"false"}, set: truth(func(c *draft) *bool { return &c.Home.KeysBesideData })},
		{name: "accept-empty-data", fallback: []string{"false"}, set: truth(func(c *draft) *bool { return &c.Home.AcceptEmptyData })},
	}
	rows = append(rows, serverSettings()...)
	rows = append(rows, auditSettings()...)
	rows = append(rows, mountSettings()...)
	rows = append(rows, secretSettings()...)
	return append(rows, kmsSettings()...)
}

func serverSettings() []setting {
	return []setting{
		{name: "listen", fallback: []string{"127.0.0.1:9000"}, set: func(c *draft, g given) error {
			return keep(&c.Server.Listen, g, parseAddress)
		}},
		{name: "region", fallback: []string{"us-east-1"}, set: func(c *draft, g given) error {
			return keep(&c.Server.Region, g, parseRegion)
		}},
		{name: "domain", list: true, set: func(c *draft, g given) (err error) {
			c.Server.Domains, err = parseDomains(g.values)
			return err
		}},
		{name: "trusted-proxy", list: true, set: func(c *draft, g given) (err error) {
			c.Server.TrustedProxies, err = parseNetworks(g.values)
			return err
		}},
		{name: "tls-cert", set: path(func(c *draft) *string { return &c.Server.TLSCert })},
		{name: "tls-key", set: path(func(c *draft) *string { return &c.Server.TLSKey })},
		{name: "drain-timeout", fallback: []string{"30s"}, set: func(c *draft, g given) error {
			return keep(&c.Server.DrainTimeout, g, parseDuration)
		}},
		{name: "memory-limit", fallback: []string{"256MiB"}, set: func(c *draft, g given) error {
			c.Memory.Given = g.origin.Source != FromDefault
			return keep(&c.Memory.Bytes, g, parseSize)
		}},
		{name: "metastore-memory", fallback: []string{"128MiB"}, set: func(c *draft, g given) error {
			return keep(&c.Metastore.MemoryMiB, g, parseMiB)
		}},
		{name: "metrics-listen", fallback: []string{"127.0.0.1:9180"}, set: func(c *draft, g given) error {
			c.Metrics.Given = g.origin.Source != FromDefault
			return keep(&c.Metrics.Listen, g, parseAddressOrOff)
		}},
		{name: "log-level", fallback: []string{"info"}, set: func(c *draft, g given) error {
			return keep(&c.Log.Level, g, parseLevel)
		}},
		{name: "log-format", fallback: []string{"auto"}, set: func(c *draft, g given) error {
			return keep(&c.Log.Format, g, parseFormat)
		}},
		{name: "endpoint", set: parsed(func(c *draft) *string { return &c.Client.Endpoint }, parseURL)},
		{name: "ca-cert", set: path(func(c *draft) *string { return &c.Client.CACert })},
		{name: "root-user", set: func(c *draft, g given) error {
			return keep(&c.Home.Root.User, g, parseUser)
		}},
	}
}

func secretSettings() []setting {
	rows := []setting{
		{name: "unlock-key-file", set: path(func(c *draft) *string { return &c.Home.Unlock.KeyFile })},
		{name: "new-key-file", noFile: true, set: path(func(c *draft) *string { return &c.New.KeyFile })},
	}
	for _, p := range secretPairs() {
		rows = append(rows,
			setting{name: p.name, secret: true, noFile: true, foreign: p.foreign, set: func(c *draft, g given) error {
				return keep(p.secret(c), g, p.parse)
			}},
			setting{name: p.fileName(), noFile: p.noFile, foreign: p.foreignFiles(), set: path(p.file)})
	}
	return append(rows,
		setting{name: "unlock-key", secret: true, noFile: true, set: func(c *draft, g given) error {
			return keep(&c.Home.Unlock.Key, g, parseSecret)
		}},
		setting{name: "new-key", secret: true, noFile: true, set: func(c *draft, g given) error {
			return keep(&c.New.Key, g, parseSecret)
		}})
}

// secretPair is a secret that comes from a variable or from a file that
// another setting names.
type secretPair struct {
	name   string
	noFile bool // the file's name has no line in the configuration file
	secret func(*draft) *secret.Value
	file   func(*draft) *string
	parse  func(string) (secret.Value, error)

	fileWins bool     // over a variable of the same source, which is a fault elsewhere
	foreign  []string // variables of other servers for the secret; with _FILE for the file
}

func (p secretPair) foreignFiles() []string {
	var names []string
	for _, name := range p.foreign {
		names = append(names, name+"_FILE")
	}
	return names
}

func (p secretPair) fileName() string { return p.name + "-file" }

func secretPairs() []secretPair {
	return append(kmsSecretPairs(), []secretPair{
		{
			name:   "root-password",
			secret: func(c *draft) *secret.Value { return &c.Home.Root.Password },
			file:   func(c *draft) *string { return &c.rootPasswordFile },
			parse:  parsePassword,
		}, {
			name:   "unlock-passphrase",
			secret: func(c *draft) *secret.Value { return &c.Home.Unlock.Passphrase },
			file:   func(c *draft) *string { return &c.Home.Places.Passphrase },
			parse:  parseSecret,
		}, {
			name: "new-passphrase", noFile: true,
			secret: func(c *draft) *secret.Value { return &c.New.Passphrase },
			file:   func(c *draft) *string { return &c.newPassphraseFile },
			parse:  parseSecret,
		},
	}...)
}

// keep stores a parsed value where there is no error.
func keep[T any](into *T, g given, parse func(string) (T, error)) error {
	v, err := parse(g.text())
	if err != nil {
		return err
	}
	*into = v
	return nil
}

// path is the set of a file name. A relative one in the configuration file is
// relative to that file, any other to the working directory.
func path(field func(*draft) *string) func(*draft, given) error {
	return func(c *draft, g given) error {
		abs, err := wholePath(g.text(), g.origin)
		if err == nil {
			*field(c) = abs
		}
		return err
	}
}

// wholePath makes an absolute path of one that was given.
func wholePath(name string, at Origin) (string, error) {
	switch {
	case name == "":
		return "", errors.New("is empty; name a path")
	case strings.ContainsRune(name, 0):
		return "", errors.New("a path holds no zero byte")
	case name == "~" || strings.HasPrefix(name, "~/"):
		return "", errors.New("“~” is not expanded here; write the path out")
	}
	if at.Source == FromFile && !filepath.IsAbs(name) {
		name = filepath.Join(filepath.Dir(at.File), name)
	}
	return filepath.Abs(name)
}

// truth is the set of a truth value.
func truth(field func(*draft) *bool) func(*draft, given) error {
	return func(c *draft, g given) error { return keep(field(c), g, parseBool) }
}
