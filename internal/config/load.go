package config

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/alecthomas/kong"

	"coffer/internal/home"
)

// defaultFile is the configuration file's name in the configuration directory.
const defaultFile = "coffer.yaml"

// The directories of a service, which has no home.
const (
	serviceConfigDir = "/etc/coffer"
	serviceDataDir   = "/var/lib/coffer"
	serviceAuditDir  = "/var/log/coffer/audit"
)

// maxSecretFileSize is the longest file that a secret is read from, in bytes.
const maxSecretFileSize = 64 << 10

// Sources is where settings come from, besides files.
type Sources struct {
	Flags         map[string][]string // by the names of the settings
	Environ       []string            // NAME=value
	UserConfigDir func() (string, error)
}

// System gives the sources of this process. kctx may be nil: no flags.
func System(kctx *kong.Context) Sources {
	src := Sources{Environ: os.Environ(), UserConfigDir: os.UserConfigDir}
	if kctx != nil {
		src.Flags = givenFlags(kctx)
	}
	return src
}

// lookup finds a variable. As in a process's own environment, the last one
// counts, and an empty one is as good as none.
func (src Sources) lookup(variable string) string {
	value := ""
	for _, entry := range src.Environ {
		if name, v, ok := strings.Cut(entry, "="); ok && name == variable {
			value = v
		}
	}
	return value
}

// defaultPlaces gives the directories that are used when nothing is said.
func (src Sources) defaultPlaces() (configDir, dataDir string) {
	configDir, dataDir = serviceConfigDir, serviceDataDir
	if dir, err := src.UserConfigDir(); err == nil {
		configDir = filepath.Join(dir, "coffer")
	}
	if dir := src.lookup("XDG_DATA_HOME"); filepath.IsAbs(dir) {
		dataDir = filepath.Join(dir, "coffer")
	} else if home := src.lookup("HOME"); home != "" {
		dataDir = filepath.Join(home, ".local", "share", "coffer")
	}
	return configDir, dataDir
}

// Load reads all sources and checks all values. Its error is of type Faults
// and names every fault.
func Load(src Sources) (*Config, error) {
	l := newLoader(src)
	l.readFlags()
	l.readEnvironment()
	l.readFile()
	l.placeAudit()
	l.apply()
	l.complete()
	return &l.config.Config, l.faults.err()
}

// loader is a Load under way.
type loader struct {
	src    Sources
	table  []setting
	known  map[string]setting
	layers map[Source]layer
	winner layer // the strongest value of each setting that has one
	config *draft
	faults Faults
}

func newLoader(src Sources) *loader {
	l := &loader{
		src:    src,
		table:  settings(src.defaultPlaces()),
		known:  map[string]setting{},
		layers: map[Source]layer{FromDefault: {}, FromCompatible: {}, FromEnvironment: {}, FromFlag: {}},
		winner: layer{},
		config: &draft{},
	}
	for _, s := range l.table {
		l.known[s.name] = s
		if s.fallback != nil {
			origin := Origin{Source: FromDefault, Name: s.name}
			l.layers[FromDefault][s.name] = given{values: s.fallback, origin: origin}
		}
	}
	return l
}

func (l *loader) readFlags() {
	for name, values := range l.src.Flags {
		if _, ok := l.known[name]; ok {
			origin := Origin{Source: FromFlag, Name: name}
			l.layers[FromFlag][name] = given{values: values, origin: origin}
		}
	}
}

// readFile reads the configuration file: the one that was named, or the one
// that lies in the configuration directory.
func (l *loader) readFile() {
	path, named := l.strongest("config"), true
	if path.values == nil {
		dir := l.strongest("config-dir")
		path = given{values: []string{filepath.Join(dir.text(), defaultFile)}, origin: dir.origin}
		named = false
	}
	if err := l.known["config"].set(l.config, path); err != nil {
		if named {
			return // apply reports it
		}
		l.config.File = ""
		return
	}
	text, err := readLimited(l.config.File, maxFileSize)
	switch {
	case errors.Is(err, fs.ErrNotExist) && !named:
		l.config.File = ""
		return
	case err != nil:
		l.faults.add(path.origin, err)
		return
	}
	values, faults := parseFile(l.config.File, text, l.known)
	if g, ok := values["config-dir"]; ok && !named {
		delete(values, "config-dir")
		faults.addf(g.origin, "the file was found in the configuration directory, so it cannot name another; use --config-dir, or name the file with --config")
	}
	l.faults = append(l.faults, faults...)
	l.layers[FromFile] = values
}

// strongest gives the value of a setting that counts, with nil values when
// nobody gave one.
func (l *loader) strongest(name string) given {
	for source := FromFlag; ; source-- {
		if g, ok := l.layers[source][name]; ok {
			return g
		}
		if source == FromDefault {
			return given{}
		}
	}
}

// apply checks the values of all sources, also those that a stronger one
// overrides, and keeps the strongest.
func (l *loader) apply() {
	for _, s := range l.table {
		for source := FromDefault; source <= FromFlag; source++ {
			g, ok := l.layers[source][s.name]
			if !ok {
				continue
			}
			// The strongest source comes last, so its value stays.
			if err := s.set(l.config, g); err != nil {
				l.faults.add(g.origin, err)
			}
			l.winner[s.name] = g
		}
		if g, ok := l.winner[s.name]; ok {
			l.config.Settings = append(l.config.Settings, effective(s, g))
		}
	}
}

func effective(s setting, g given) Effective {
	value := strings.Join(g.values, ", ")
	if s.secret {
		value = redacted
	}
	return Effective{Name: s.name, Value: value, Origin: g.origin}
}

// complete does what concerns several settings at once.
func (l *loader) complete() {
	for _, p := range secretPairs() {
		l.completeSecret(p)
	}
	l.completeUnlock()
	l.completeRoot()
	l.completeTLS()
	l.completeMemory()
	l.completePlaces()
	l.completeKMS()
	l.completeAudit()
	l.completeMount()
}

// completeSecret reads the file of a secret, unless a stronger source has given
// the secret itself.
func (l *loader) completeSecret(p secretPair) {
	direct, isDirect := l.winner[p.name]
	file, isFile := l.winner[p.fileName()]
	switch {
	case !isFile:
		return
	case isDirect && direct.origin.Source == file.origin.Source && !p.fileWins:
		l.faults.addf(file.origin, "%s is given as well; keep one of them", direct.origin)
		return
	case isDirect && direct.origin.Source > file.origin.Source:
		*p.file(l.config) = ""
		return
	}
	name := *p.file(l.config)
	if name == "" {
		return // not a path; apply has reported it
	}
	text, err := readLimited(name, maxSecretFileSize)
	if err != nil {
		l.faults.add(file.origin, err)
		return
	}
	defer clear(text)
	value, err := p.parse(trimNewline(string(text)))
	if err != nil {
		l.faults.addf(file.origin, "%s: %w", name, err)
		return
	}
	*p.secret(l.config) = value
}

// completeUnlock refuses two secrets where one is wanted.
func (l *loader) completeUnlock() {
	unlock, fresh := &l.config.Home.Unlock, &l.config.New
	if !unlock.Passphrase.IsZero() && !unlock.Key.IsZero() {
		l.faults.addf(l.winner["unlock-key"].origin, "a passphrase is given as well; keep one of them")
	}
	if !fresh.Passphrase.IsZero() && !fresh.Key.IsZero() {
		l.faults.addf(l.winner["new-key"].origin, "a new passphrase is given as well; keep one of them")
	}
	if fresh.KeyFile != "" && !(fresh.Passphrase.IsZero() && fresh.Key.IsZero()) {
		l.faults.addf(l.winner["new-key-file"].origin, "another new secret is given as well; keep one of them")
	}
	if unlock.KeyFile == "" {
		unlock.KeyFile = filepath.Join(l.config.Home.Places.Config, home.UnlockKeyFile)
	}
}

// completeRoot wants the root identity whole or not at all.
func (l *loader) completeRoot() {
	_, user := l.winner["root-user"]
	_, password := l.winner["root-password"]
	_, file := l.winner["root-password-file"]
	switch {
	case user && !password && !file:
		l.faults.addf(l.winner["root-user"].origin, "the password is missing: set %s or %s",
			Variable("root-password"), Variable("root-password-file"))
	case password && !user:
		l.faults.addf(l.winner["root-password"].origin, "the user is missing: set %s", Variable("root-user"))
	case file && !user:
		l.faults.addf(l.winner["root-password-file"].origin, "the user is missing: set %s", Variable("root-user"))
	}
}

// completeTLS loads the certificate, so that a bad one is found before
// anything is started.
func (l *loader) completeTLS() {
	s := &l.config.Server
	cert, isCert := l.winner["tls-cert"]
	key, isKey := l.winner["tls-key"]
	switch {
	case isCert && !isKey:
		l.faults.addf(cert.origin, "tls-key is missing; a certificate needs its key")
	case isKey && !isCert:
		l.faults.addf(key.origin, "tls-cert is missing; a key needs its certificate")
	case s.TLSCert != "" && s.TLSKey != "":
		if _, err := tls.LoadX509KeyPair(s.TLSCert, s.TLSKey); err != nil {
			l.faults.add(cert.origin, err)
		}
	}
}

// completeMemory refuses a metastore that alone would take all the memory.
func (l *loader) completeMemory() {
	limit, part := l.winner["memory-limit"], l.winner["metastore-memory"]
	if l.config.Memory.Bytes == 0 || int64(l.config.Metastore.MemoryMiB)<<20 < l.config.Memory.Bytes {
		return
	}
	blamed := part
	if part.origin.Source < limit.origin.Source {
		blamed = limit
	}
	l.faults.addf(blamed.origin, "metastore-memory (%s) must be less than memory-limit (%s)",
		part.text(), limit.text())
}

// completePlaces refuses keys that lie inside the data directory.
func (l *loader) completePlaces() {
	c := &l.config.Home
	c.Places.UnlockKey = c.Unlock.KeyFile
	if c.KeysBesideData || c.Places.Config == "" || c.Places.Data == "" {
		return
	}
	if err := c.Places.CheckApart(); err != nil {
		l.faults.addf(l.winner["data"].origin, "%w; move one of them, or give --dangerously-keep-keys-beside-data", err)
	}
}

// trimNewline takes off the line end that editors put at the end of a file.
func trimNewline(s string) string {
	return strings.TrimSuffix(strings.TrimSuffix(s, "\n"), "\r")
}

// readLimited reads a file of at most limit bytes.
func readLimited(path string, limit int64) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if info.IsDir() {
		return nil, fmt.Errorf("%s is a directory", path)
	}
	if info.Size() > limit {
		return nil, fmt.Errorf("%s is longer than %d bytes", path, limit)
	}
	return os.ReadFile(path)
}
