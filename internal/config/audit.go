package config

import (
	"errors"
	"fmt"
	"path/filepath"
	"strconv"

	"coffer/internal/home"
	"coffer/kms/audit"
)

// Audit says how the record of who used which key is kept.
type Audit struct {
	Enabled  bool
	Dir      string // absolute
	Required bool   // what cannot be recorded is refused
	FileSize int64  // bytes
	Files    int    // that are kept; -1: all
}

// AuditPlaceFlags say where the audit log is.
type AuditPlaceFlags struct {
	AuditDir string `placeholder:"DIR" group:"audit" help:"Directory of the audit log, its alone, outside the data directory (default: ${audit_dir}, or audit in another configuration directory)."`
}

// AuditFlags say how the audit log is kept.
type AuditFlags struct {
	AuditPlaceFlags
	Audit         bool   `group:"audit" help:"Record every use of a key (default: ${audit})."`
	AuditRequired bool   `group:"audit" help:"Refuse what cannot be recorded, such as when the disk of the log is full (default: ${audit_required})."`
	AuditFileSize string `placeholder:"SIZE" group:"audit" help:"Size at which a new file begins (default: ${audit_file_size})."`
	AuditFiles    string `placeholder:"N" group:"audit" help:"Files that are kept, or all (default: ${audit_files})."`
}

func auditSettings() []setting {
	return []setting{
		{name: "audit", fallback: []string{"true"}, set: truth(func(c *draft) *bool { return &c.Audit.Enabled })},
		{name: "audit-dir", set: path(func(c *draft) *string { return &c.Audit.Dir })},
		{name: "audit-required", fallback: []string{"true"}, set: truth(func(c *draft) *bool { return &c.Audit.Required })},
		{name: "audit-file-size", fallback: []string{"64MiB"}, set: func(c *draft, g given) error {
			return keep(&c.Audit.FileSize, g, parseAuditFileSize)
		}},
		{name: "audit-files", fallback: []string{"64"}, set: func(c *draft, g given) error {
			return keep(&c.Audit.Files, g, parseAuditFiles)
		}},
	}
}

func parseAuditFileSize(s string) (int64, error) {
	n, err := parseBytes(s)
	if err != nil || n < audit.MinFileSize || n > audit.MaxFileSize {
		return 0, fmt.Errorf("%q is not a size of %d KiB to %d GiB, such as 64MiB", s, audit.MinFileSize>>10, audit.MaxFileSize>>30)
	}
	return n, nil
}

func parseAuditFiles(s string) (int, error) {
	if s == "all" {
		return -1, nil
	}
	n, err := strconv.ParseUint(s, 10, 31)
	if err != nil || n < 2 {
		return 0, fmt.Errorf("%q is neither all nor a number of at least 2", s)
	}
	return int(n), nil
}

// auditDir gives the directory of the audit log where none is named. A log belongs to the keys that chain it, so its place
// follows from the path of the configuration directory, whether that is a default or was named: in one environment each has
// another. Who moves XDG_CONFIG_HOME and leaves XDG_STATE_HOME can still bring two stores to one log; that the second's key
// does not open it keeps them apart then.
func (src Sources) auditDir(configDir string) string {
	usual, _ := src.defaultPlaces()
	state, user := src.lookup("XDG_STATE_HOME"), src.lookup("HOME")
	switch {
	case configDir == serviceConfigDir:
		return serviceAuditDir
	case configDir == usual && filepath.IsAbs(state):
		return filepath.Join(state, "coffer", "audit")
	case user != "" && configDir == filepath.Join(user, ".config", "coffer"):
		return filepath.Join(user, ".local", "state", "coffer", "audit")
	}
	return filepath.Join(configDir, "audit")
}

// placeAudit makes the default of audit-dir, which depends on another setting.
func (l *loader) placeAudit() {
	g := l.strongest("config-dir")
	configDir, err := wholePath(g.text(), g.origin)
	if err != nil {
		return // apply reports it
	}
	origin := Origin{Source: FromDefault, Name: "audit-dir"}
	l.layers[FromDefault]["audit-dir"] = given{values: []string{l.src.auditDir(configDir)}, origin: origin}
}

// completeAudit refuses a place in which something else lies, or which must not show what the log has.
func (l *loader) completeAudit() {
	c, places := &l.config.Audit, &l.config.Home.Places
	if !c.Enabled || c.Dir == "" || places.Config == "" || places.Data == "" {
		return
	}
	places.Audit = c.Dir
	origin := l.winner["audit-dir"].origin
	if c.Dir == places.Config {
		l.faults.add(origin, errors.New("is the configuration directory; name one for the log alone"))
	}
	err := places.CheckAudit()
	if _, inside := errors.AsType[*home.AuditInsideDataError](err); inside {
		err = fmt.Errorf("%w; name another directory by --audit-dir or %s", err, Variable("audit-dir"))
	}
	if err != nil {
		l.faults.add(origin, err)
	}
}
