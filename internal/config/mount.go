package config

import (
	"errors"
	"fmt"
	"path/filepath"
	"strconv"
	"time"

	"coffer/fs"
)

// AutoMount is the value of the setting mount that stands for all buckets on the default directory, if that is
// possible.
const AutoMount = "auto"

// autoMountDir is the default directory, in the home directory of who starts the server.
const autoMountDir = "coffer-files"

// Mount says what is mounted.
type Mount struct {
	Targets  []fs.Target // with absolute directories
	Auto     string      // directory to mount all buckets on, if that is possible; "" for none
	Settings fs.Settings
}

// MountFlags say what is mounted besides serving S3.
type MountFlags struct {
	Mount []string `sep:"none" placeholder:"DIR[=BUCKET[/PREFIX]]" group:"mount" help:"Mount all buckets, or one, or a directory of one; may be repeated. auto is all buckets on coffer-files in the home directory, if that is possible."`
	MountSettingsFlags
}

// MountSettingsFlags say how it is mounted.
type MountSettingsFlags struct {
	MountUID                string `name:"mount-uid" placeholder:"UID" group:"mount" help:"Owner of what no mount has touched (default: who runs the server)."`
	MountGID                string `name:"mount-gid" placeholder:"GID" group:"mount" help:"Its group (default: that of who runs the server)."`
	MountUmask              string `placeholder:"OCTAL" group:"mount" help:"Permissions that it lacks (default: ${mount_umask})."`
	MountAllowOther         bool   `group:"mount" help:"Let other users in; their permissions are checked (default: ${mount_allow_other})."`
	MountDefaultPermissions bool   `group:"mount" help:"Let the kernel check permissions (default: ${mount_default_permissions})."`
	MountReadOnly           bool   `group:"mount" help:"Allow no changes (default: ${mount_read_only})."`
	MountEntryTimeout       string `placeholder:"TIME" group:"mount" help:"How long the kernel may believe what it was told, should it not hear of a change (default: ${mount_entry_timeout})."`
	MountMemory             string `placeholder:"SIZE" group:"mount" help:"Memory for requests and for what is remembered of files (default: ${mount_memory})."`
}

func mountSettings() []setting {
	return []setting{
		{name: "mount", list: true, set: func(c *draft, g given) error { return c.Mount.setTargets(g) }},
		{name: "mount-uid", set: func(c *draft, g given) error { return keep(&c.Mount.Settings.UID, g, parseID) }},
		{name: "mount-gid", set: func(c *draft, g given) error { return keep(&c.Mount.Settings.GID, g, parseID) }},
		{name: "mount-umask", fallback: []string{"022"}, set: func(c *draft, g given) error {
			return keep(&c.Mount.Settings.Umask, g, parseUmask)
		}},
		{name: "mount-allow-other", fallback: []string{"false"}, set: truth(func(c *draft) *bool { return &c.Mount.Settings.AllowOther })},
		{name: "mount-default-permissions", fallback: []string{"true"}, set: truth(func(c *draft) *bool { return &c.Mount.Settings.DefaultPermissions })},
		{name: "mount-read-only", fallback: []string{"false"}, set: truth(func(c *draft) *bool { return &c.Mount.Settings.ReadOnly })},
		{name: "mount-entry-timeout", fallback: []string{"1s"}, set: func(c *draft, g given) error {
			return keep(&c.Mount.Settings.EntryTimeout, g, parseEntryTimeout)
		}},
		{name: "mount-memory", fallback: []string{"128MiB"}, set: func(c *draft, g given) error {
			return keep(&c.Mount.Settings.MemoryMiB, g, parseMountMemory)
		}},
	}
}

// setTargets reads what to mount. A relative directory in the configuration file is relative to that file, any other
// to the working directory.
func (m *Mount) setTargets(g given) error {
	var errs []error
	m.Targets, m.Auto = nil, "" // a stronger source replaces a weaker one
	for _, text := range g.values {
		if text == AutoMount {
			m.Auto = autoMountDir // completeMount says where
			continue
		}
		t, err := fs.ParseTarget(text)
		if err == nil {
			t.Dir, err = wholePath(t.Dir, g.origin)
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("%q: %w", text, err))
			continue
		}
		m.Targets = append(m.Targets, t)
	}
	return errors.Join(errs...)
}

// parseID takes the number of a user or group. 4294967295 stands for none.
func parseID(s string) (uint32, error) {
	n, err := strconv.ParseUint(s, 10, 32)
	if err != nil || n == 1<<32-1 {
		return 0, fmt.Errorf("%q is not the number of a user or group", s)
	}
	return uint32(n), nil
}

func parseUmask(s string) (uint32, error) {
	n, err := strconv.ParseUint(s, 8, 32)
	if err != nil || n > 0o777 {
		return 0, fmt.Errorf("%q is not an octal number up to 777", s)
	}
	return uint32(n), nil
}

func parseEntryTimeout(s string) (time.Duration, error) {
	d, err := time.ParseDuration(s)
	if err != nil || d < 0 || d > fs.MaxEntryTimeout {
		return 0, fmt.Errorf("%q is not a time from 0s to %d hours, such as 1s", s, int(fs.MaxEntryTimeout.Hours()))
	}
	return d, nil
}

func parseMountMemory(s string) (int, error) {
	n, err := parseBytes(s)
	if err != nil || n>>20 < fs.MinMemoryMiB || n>>20 > fs.MaxMemoryMiB {
		return 0, fmt.Errorf("%q is not a size of at least %d MiB, such as 128MiB", s, fs.MinMemoryMiB)
	}
	return int(n >> 20), nil
}

// completeMount fills in what depends on who runs the process.
func (l *loader) completeMount() {
	m, own := &l.config.Mount, fs.DefaultSettings()
	if m.Auto != "" {
		home := l.src.lookup("HOME")
		if !filepath.IsAbs(home) {
			home = "/mnt"
		}
		m.Auto = filepath.Join(home, autoMountDir)
	}
	if _, ok := l.winner["mount-uid"]; !ok {
		m.Settings.UID = own.UID
	}
	if _, ok := l.winner["mount-gid"]; !ok {
		m.Settings.GID = own.GID
	}
}
