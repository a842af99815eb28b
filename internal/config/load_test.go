package config

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/alecthomas/kong"
	"github.com/google/go-cmp/cmp"
)

// write makes a file below a new directory and gives its path.
func write(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// sources gives sources with an empty home of their own.
func sources(t *testing.T, environ ...string) Sources {
	t.Helper()
	home := t.TempDir()
	return Sources{
		Flags:         map[string][]string{},
		Environ:       append([]string{"HOME=" + home}, environ...),
		UserConfigDir: func() (string, error) { return filepath.Join(home, ".config"), nil },
	}
}

func TestDefaults(t *testing.T) {
	t.Parallel()
	src := sources(t)
	c, err := Load(src)
	if err != nil {
		t.Fatal(err)
	}
	home := src.lookup("HOME")
	got := map[string]any{
		"config": c.Home.Places.Config, "data": c.Home.Places.Data, "unlock": c.Home.Places.UnlockKey,
		"listen": c.Server.Listen, "region": c.Server.Region, "drain": c.Server.DrainTimeout,
		"domains": len(c.Server.Domains), "memory": c.Memory, "level": c.Log.Level, "format": c.Log.Format,
		"file": c.File, "user": c.Home.Root.User, "password": c.Home.Root.Password.IsZero(),
	}
	want := map[string]any{
		"config": home + "/.config/coffer", "data": home + "/.local/share/coffer", "unlock": home + "/.config/coffer/unlock.key",
		"listen": "127.0.0.1:9000", "region": "us-east-1", "drain": 30 * time.Second,
		"domains": 0, "memory": Memory{Bytes: 256 << 20}, "level": slog.LevelInfo, "format": FormatAuto,
		"file": "", "user": "", "password": true,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("defaults (-want +got):\n%s", diff)
	}
}

func TestDefaultPlaces(t *testing.T) {
	t.Parallel()
	noHome := func() (string, error) { return "", errors.New("no home") }
	cases := []struct {
		name         string
		environ      []string
		dir          func() (string, error)
		config, data string
	}{
		{"home", []string{"HOME=/home/a"}, func() (string, error) { return "/home/a/.config", nil }, "/home/a/.config/coffer", "/home/a/.local/share/coffer"},
		{"no home", nil, noHome, "/etc/coffer", "/var/lib/coffer"},
		{"empty home", []string{"HOME="}, noHome, "/etc/coffer", "/var/lib/coffer"},
		{"data home", []string{"HOME=/home/a", "XDG_DATA_HOME=/x"}, func() (string, error) { return "/home/a/.config", nil }, "/home/a/.config/coffer", "/x/coffer"},
		{"relative data home is ignored", []string{"HOME=/home/a", "XDG_DATA_HOME=x"}, noHome, "/etc/coffer", "/home/a/.local/share/coffer"},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			config, data := Sources{Environ: tc.environ, UserConfigDir: tc.dir}.defaultPlaces()
			if config != tc.config || data != tc.data {
				t.Errorf("got %s and %s, want %s and %s", config, data, tc.config, tc.data)
			}
		})
	}
}

// TestPrecedence gives one setting through every subset of the sources.
func TestPrecedence(t *testing.T) {
	t.Parallel()
	for sources3 := range 8 {
		flag, env, file := sources3&4 != 0, sources3&2 != 0, sources3&1 != 0
		t.Run(fmt.Sprintf("flag %v env %v file %v", flag, env, file), func(t *testing.T) {
			t.Parallel()
			src := sources(t)
			path := write(t, "c.yaml", "log-level: warn\n")
			want, origin := "us-east-1", "default of region"
			if file {
				path = write(t, "c.yaml", "log-level: warn\nregion: from-file\n")
				want, origin = "from-file", path+":2: region"
			}
			src.Environ = append(src.Environ, "COFFER_CONFIG="+path)
			if env {
				src.Environ = append(src.Environ, "COFFER_REGION=from-env")
				want, origin = "from-env", "COFFER_REGION"
			}
			if flag {
				src.Flags["region"] = []string{"from-flag"}
				want, origin = "from-flag", "--region"
			}
			c, err := Load(src)
			if err != nil {
				t.Fatal(err)
			}
			if c.Server.Region != want {
				t.Errorf("region = %q, want %q", c.Server.Region, want)
			}
			for _, s := range c.Settings {
				if s.Name == "region" && (s.Value != want || s.Origin.String() != origin) {
					t.Errorf("reported as %q from %q, want %q from %q", s.Value, s.Origin, want, origin)
				}
			}
		})
	}
}

// TestForeignVariables are set by the surroundings of containers.
func TestForeignVariables(t *testing.T) {
	t.Parallel()
	src := sources(t, "COFFER_SERVICE_HOST=10.0.0.1", "COFFER_SERVICE_PORT=9000", "COFFER_PORT=tcp://10.0.0.1:9000",
		"COFFER_PORT_9000_TCP_ADDR=10.0.0.1", "COFFER_VERSION=1", "COFFER_LISTEN=")
	c, err := Load(src)
	if err != nil {
		t.Fatal(err)
	}
	if c.Server.Listen != "127.0.0.1:9000" {
		t.Errorf("an empty variable counts: listen = %q", c.Server.Listen)
	}
}

func TestSecrets(t *testing.T) {
	t.Parallel()
	file := write(t, "password", "from the file\r\n")
	cases := []struct {
		name    string
		flags   map[string][]string
		environ []string
		file    string
		want    string
	}{
		{name: "variable", environ: []string{"COFFER_ROOT_PASSWORD=from the variable"}, want: "from the variable"},
		{name: "file of a variable", environ: []string{"COFFER_ROOT_PASSWORD_FILE=" + file}, want: "from the file"},
		{name: "file of a flag wins over the variable", flags: map[string][]string{"root-password-file": {file}}, environ: []string{"COFFER_ROOT_PASSWORD=from the variable"}, want: "from the file"},
		{name: "variable wins over the file's line", environ: []string{"COFFER_ROOT_PASSWORD=from the variable"}, file: "root-password-file: /nowhere\n", want: "from the variable"},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			src := sources(t, append(tc.environ, "COFFER_ROOT_USER=admin")...)
			src.Flags["config"] = []string{write(t, "c.yaml", tc.file)}
			for name, values := range tc.flags {
				src.Flags[name] = values
			}
			c, err := Load(src)
			if err != nil {
				t.Fatal(err)
			}
			if got := string(c.Home.Root.Password.Expose()); got != tc.want {
				t.Errorf("password %q, want %q", got, tc.want)
			}
			if shown := fmt.Sprintf("%v %+v %#v %s", *c, c.Settings, c.Home.Root, c.Home.Root.Password); strings.Contains(shown, tc.want) {
				t.Errorf("the secret shows: %s", shown)
			}
		})
	}
}

func TestRelativePaths(t *testing.T) {
	t.Parallel()
	file := write(t, "c.yaml", "data: d\nunlock-key-file: keys/u.key\n")
	src := sources(t)
	src.Flags["config"] = []string{file}
	src.Flags["config-dir"] = []string{"here"}
	c, err := Load(src)
	if err != nil {
		t.Fatal(err)
	}
	wd, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Dir(file)
	got := []string{c.Home.Places.Data, c.Home.Places.UnlockKey, c.Home.Places.Config}
	want := []string{dir + "/d", dir + "/keys/u.key", wd + "/here"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("paths (-want +got):\n%s", diff)
	}
}

func TestFileOfTheConfigurationDirectory(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, defaultFile)
	load := func(text string) (*Config, error) {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return Load(sources(t, "COFFER_CONFIG_DIR="+dir))
	}
	c, err := load("region: from-file\n")
	if err != nil {
		t.Fatal(err)
	}
	if c.Server.Region != "from-file" || c.File != path {
		t.Errorf("region %q of file %q", c.Server.Region, c.File)
	}
	if _, err := load("config-dir: /elsewhere\n"); err == nil || !strings.Contains(err.Error(), "cannot name another") {
		t.Errorf("a file that moves its own directory: %v", err)
	}
}

// TestKeysBesideData: the check itself is tested in package home.
func TestKeysBesideData(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	src := sources(t, "COFFER_DATA="+dir, "COFFER_CONFIG_DIR="+filepath.Join(dir, "etc"))
	_, err := Load(src)
	if err == nil || !strings.Contains(err.Error(), "--dangerously-keep-keys-beside-data") {
		t.Errorf("keys inside the data directory: %v", err)
	}
	src.Flags["dangerously-keep-keys-beside-data"] = []string{"true"}
	if _, err := Load(src); err == nil || !strings.Contains(err.Error(), "default of audit-dir: the audit log "+dir+"/etc/audit would lie inside") {
		t.Errorf("with the flag, which is about keys alone: %v", err)
	}
	src.Flags["audit-dir"] = []string{t.TempDir()}
	if _, err := Load(src); err != nil {
		t.Errorf("with the flag: %v", err)
	}
}

// TestEveryFlagIsASetting holds the flags and the table together: each setting
// but a secret has its flag, and each flag its setting.
func TestEveryFlagIsASetting(t *testing.T) {
	t.Parallel()
	var cli struct {
		PlaceFlags
		ServerFlags
		KMSFlags
		AuditFlags
		MountFlags
		UnlockFlags
		NewSecretFlags
		ClientFlags
	}
	src := sources(t)
	parser, err := kong.New(&cli, HelpVars(src))
	if err != nil {
		t.Fatal(err)
	}
	flags := map[string]bool{}
	for _, f := range parser.Model.Flags {
		if f.Name != "help" {
			flags[f.Name] = true
		}
	}
	want := map[string]bool{}
	for _, s := range settings("", "") {
		if !s.secret {
			want[s.name] = true
		}
	}
	if diff := cmp.Diff(want, flags); diff != "" {
		t.Errorf("flags (-settings +flags):\n%s", diff)
	}
}

// TestGivenFlags takes flags from a parsed command line, and only those.
func TestGivenFlags(t *testing.T) {
	t.Parallel()
	var cli struct {
		Serve struct {
			PlaceFlags
			ServerFlags
		} `cmd:""`
	}
	parser, err := kong.New(&cli, HelpVars(sources(t)))
	if err != nil {
		t.Fatal(err)
	}
	kctx, err := parser.Parse([]string{"serve", "--listen", "a:1", "--domain", "x.example", "--domain=y.example", "--accept-empty-data"})
	if err != nil {
		t.Fatal(err)
	}
	want := map[string][]string{"listen": {"a:1"}, "domain": {"x.example", "y.example"}, "accept-empty-data": {"true"}}
	if diff := cmp.Diff(want, givenFlags(kctx)); diff != "" {
		t.Errorf("flags (-want +got):\n%s", diff)
	}
}

func TestLocal(t *testing.T) {
	t.Parallel()
	for listen, want := range map[string]bool{
		"127.0.0.1:9000": true, "[::1]:9000": true, "localhost:1": true, ":9000": false, "0.0.0.0:9000": false, "example.com:1": false,
	} {
		if got := (Server{Listen: listen}).Local(); got != want {
			t.Errorf("Local(%q) = %v, want %v", listen, got, want)
		}
	}
}

// TestSizes are the forms of a memory limit.
func TestSizes(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]int64{
		"off": 0, "224MiB": 224 << 20, "1.5GiB": 3 << 29, "500MB": 500e6, "67108864B": 64 << 20,
		"63MiB": -1, "": -1, "MiB": -1, "12": -1, "-1GiB": -1, "9999999TiB": -1, "+InfGiB": -1,
	} {
		got, err := parseSize(text)
		if err != nil {
			got = -1
		}
		if got != want {
			t.Errorf("parseSize(%q) = %d, want %d", text, got, want)
		}
	}
}

// TestEverySettingIsChecked: a row without a check would panic in Load.
func TestEverySettingIsChecked(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, s := range settings("", "") {
		if s.set == nil || seen[s.name] {
			t.Errorf("%s: without a check, or twice", s.name)
		}
		seen[s.name] = true
	}
}
