package config

import (
	"errors"
	"fmt"
	"path/filepath"
	"strconv"

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
	AuditDir string `placeholder:"DIR" group:"audit" help:"Directory of the audit log, its alone (default: audit in the data directory)."`
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

// completeAudit puts the log beside the data, unless another place was named, which nothing else lies in.
func (l *loader) completeAudit() {
	c := &l.config.Audit
	if _, named := l.winner["audit-dir"]; !named {
		c.Dir = l.config.Home.Places.Audit()
		return
	}
	for _, taken := range []string{l.config.Home.Places.Data, l.config.Home.Places.Config} {
		if c.Dir != "" && filepath.Clean(c.Dir) == filepath.Clean(taken) {
			l.faults.add(l.winner["audit-dir"].origin, errors.New("is the data or the configuration directory; name one for the log alone"))
		}
	}
}
