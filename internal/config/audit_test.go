package config

import (
	"errors"
	"path/filepath"
	"strings"
	"testing"
)

// TestAuditDir finds the default place of the log, which in one environment no two configuration directories share.
func TestAuditDir(t *testing.T) {
	t.Parallel()
	cases := []struct {
		name             string
		environ          []string
		configDir, audit string
	}{
		{"home", []string{"HOME=/home/a"}, "/home/a/.config/coffer", "/home/a/.local/state/coffer/audit"},
		{"state home", []string{"HOME=/home/a", "XDG_STATE_HOME=/s"}, "/home/a/.config/coffer", "/s/coffer/audit"},
		{"relative state home is ignored", []string{"HOME=/home/a", "XDG_STATE_HOME=s"}, "/home/a/.config/coffer", "/home/a/.local/state/coffer/audit"},
		{"configuration and state elsewhere", []string{"HOME=/home/a", "XDG_CONFIG_HOME=/c", "XDG_STATE_HOME=/s"}, "/c/coffer", "/s/coffer/audit"},
		{"configuration elsewhere", []string{"HOME=/home/a", "XDG_CONFIG_HOME=/c"}, "/c/coffer", "/c/coffer/audit"},
		{"configuration named as it is", []string{"HOME=/home/a", "XDG_CONFIG_HOME=/home/a/.config"}, "/home/a/.config/coffer", "/home/a/.local/state/coffer/audit"},
		{"another directory", []string{"HOME=/home/a", "XDG_STATE_HOME=/s"}, "/srv/keys", "/srv/keys/audit"},
		{"service", nil, "/etc/coffer", "/var/log/coffer/audit"},
		{"service, seen by a user", []string{"HOME=/root", "XDG_STATE_HOME=/s"}, "/etc/coffer", "/var/log/coffer/audit"},
		{"another directory of a service", nil, "/srv/keys", "/srv/keys/audit"},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			src := Sources{Environ: tc.environ}
			src.UserConfigDir = func() (string, error) { // as os.UserConfigDir has it
				if dir := src.lookup("XDG_CONFIG_HOME"); dir != "" {
					return dir, nil
				}
				if dir := src.lookup("HOME"); dir != "" {
					return filepath.Join(dir, ".config"), nil
				}
				return "", errors.New("no home")
			}
			if got := src.auditDir(tc.configDir); got != tc.audit {
				t.Errorf("got %s, want %s", got, tc.audit)
			}
		})
	}
}

// TestAuditPlace takes the default from the configuration directory, and refuses the data directory, whatever names it.
func TestAuditPlace(t *testing.T) {
	t.Parallel()
	cases := []struct {
		name    string
		environ []string // with %HOME and %DIR
		file    string
		want    string // directory, the same
		fault   string
	}{
		{name: "default", want: "%HOME/.local/state/coffer/audit"},
		{name: "other data", environ: []string{"COFFER_DATA=%DIR/data"}, want: "%HOME/.local/state/coffer/audit"},
		{name: "other keys", environ: []string{"COFFER_CONFIG_DIR=%DIR/keys/"}, want: "%DIR/keys/audit"},
		{name: "keys named by the file", environ: []string{"COFFER_CONFIG=%DIR/c.yaml"}, file: "config-dir: keys\n", want: "%DIR/keys/audit"},
		{name: "named", environ: []string{"COFFER_AUDIT_DIR=%DIR/log"}, want: "%DIR/log"},
		{name: "named in the data", environ: []string{"COFFER_DATA=%DIR", "COFFER_AUDIT_DIR=%DIR/log"}, fault: "COFFER_AUDIT_DIR: the audit log %DIR/log would lie inside the data directory %DIR,"},
		{name: "data around the default", environ: []string{"COFFER_DATA=%HOME/.local/state"}, fault: "would lie inside the data directory %HOME/.local/state,"},
		{name: "nothing is recorded", environ: []string{"COFFER_DATA=%HOME/.local/state", "COFFER_AUDIT=false"}, want: "%HOME/.local/state/coffer/audit"},
		{name: "the keys' own", environ: []string{"COFFER_CONFIG_DIR=%DIR", "COFFER_AUDIT_DIR=%DIR"}, fault: "COFFER_AUDIT_DIR: is the configuration directory"},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			src := sources(t)
			in := strings.NewReplacer("%HOME", src.lookup("HOME"), "%DIR", filepath.Dir(write(t, "c.yaml", tc.file)))
			for _, v := range tc.environ {
				name, value, _ := strings.Cut(v, "=")
				src.Environ = append(src.Environ, name+"="+in.Replace(value))
			}
			c, err := Load(src)
			switch {
			case tc.fault != "" && (err == nil || !strings.Contains(err.Error(), in.Replace(tc.fault))):
				t.Errorf("got %v, want %s", err, in.Replace(tc.fault))
			case tc.fault == "" && err != nil:
				t.Error(err)
			case tc.fault == "" && c.Audit.Dir != in.Replace(tc.want):
				t.Errorf("got %s, want %s", c.Audit.Dir, in.Replace(tc.want))
			}
		})
	}
}
