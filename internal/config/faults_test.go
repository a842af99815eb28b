package config

import (
	"errors"
	"strings"
	"testing"
)

// faultCase is a fault in one source and the words that its report must hold.
type faultCase struct {
	name    string
	flags   map[string][]string
	environ []string
	file    string
	want    []string // of each report, in order; F stands for the file
}

func faultCases() []faultCase {
	return []faultCase{
		{name: "address", flags: map[string][]string{"listen": {"9000"}}, want: []string{`--listen: "9000" is not of the form HOST:PORT`}},
		{name: "port", environ: []string{"COFFER_LISTEN=:70000"}, want: []string{`COFFER_LISTEN: "70000" is not a port from 0 to 65535`}},
		{name: "region", file: "\nregion: EU West\n", want: []string{`F:2: region: "EU West" is not a region`}},
		{name: "domains", environ: []string{"COFFER_DOMAIN=ok.example,-bad,b..d"}, want: []string{"COFFER_DOMAIN: \"-bad\" is not a domain name\n\"b..d\" is not a domain name"}},
		{name: "unknown line", file: "listn: x\n", want: []string{"F:1: listn: no such setting; did you mean listen?"}},
		{name: "unknown line, nothing near", file: "colour: x\n", want: []string{"F:1: colour: no such setting"}},
		{name: "line twice", file: "listen: a:1\nlisten: b:1\n", want: []string{"F:2: listen: given twice"}},
		{name: "no value", file: "listen:\n", want: []string{"F:1: listen: has no value"}},
		{name: "list for one", file: "listen: [a:1]\n", want: []string{"F:1: listen: takes one value, not a list"}},
		{name: "mapping for one", file: "tls: {cert: x}\n", want: []string{"F:1: tls: no such setting"}},
		{name: "alias", file: "region: &r a\nlisten: *r\n", want: []string{"F:2: listen: must be plain text"}},
		{name: "documents", file: "listen: a:1\n---\nlisten: b:1\n", want: []string{"F: holds more than one document"}},
		{name: "not a mapping", file: "- listen\n", want: []string{"F:1: must be a mapping"}},
		{name: "not YAML", file: "listen: [\n", want: []string{"F: yaml:"}},
		{name: "secret in the file", file: "root-password: hunter2hunter2\n", want: []string{"F:1: root-password: a secret does not belong into this file; name a file that holds it with root-password-file"}},
		{name: "config in the file", file: "config: x\n", want: []string{"F:1: config: cannot be set in a file; use --config or COFFER_CONFIG"}},
		{name: "new secret in the file", file: "new-key-file: x\n", want: []string{"F:1: new-key-file: cannot be set in a file"}},
		{name: "misspelt variable", environ: []string{"COFFER_LISTN=x"}, want: []string{"COFFER_LISTN: no such variable; did you mean COFFER_LISTEN?"}},
		{name: "missing file", flags: map[string][]string{"config": {"/nowhere/c.yaml"}}, want: []string{"--config: stat /nowhere/c.yaml"}},
		{name: "tilde", environ: []string{"COFFER_DATA=~/d"}, want: []string{"COFFER_DATA: “~” is not expanded here"}},
		{name: "truth", environ: []string{"COFFER_ACCEPT_EMPTY_DATA=yes"}, want: []string{`COFFER_ACCEPT_EMPTY_DATA: "yes" is neither true nor false`}},
		{name: "time", file: "drain-timeout: 0s\n", want: []string{`F:1: drain-timeout: "0s" is not a time`}},
		{name: "size", file: "memory-limit: 1KiB\n", want: []string{`F:1: memory-limit: "1KiB" is neither off nor a size`}},
		{name: "size not a number", file: "memory-limit: NaNMiB\n", want: []string{`F:1: memory-limit: "NaNMiB" is neither`}},
		{name: "metastore over the limit", environ: []string{"COFFER_METASTORE_MEMORY=1GiB"}, want: []string{"COFFER_METASTORE_MEMORY: metastore-memory (1GiB) must be less than memory-limit (256MiB)"}},
		{name: "limit under the metastore", flags: map[string][]string{"memory-limit": {"100MiB"}}, want: []string{"--memory-limit: metastore-memory (128MiB) must be less than memory-limit (100MiB)"}},
		{name: "level", file: "log-level: loud\n", want: []string{`F:1: log-level: "loud" is none of`}},
		{name: "format", file: "log-format: xml\n", want: []string{`F:1: log-format: "xml" is none of`}},
		{name: "certificate without key", flags: map[string][]string{"tls-cert": {"/nowhere"}}, want: []string{"--tls-cert: tls-key is missing"}},
		{name: "key without certificate", flags: map[string][]string{"tls-key": {"/nowhere"}}, want: []string{"--tls-key: tls-cert is missing"}},
		{name: "no such certificate", flags: map[string][]string{"tls-key": {"/nowhere"}, "tls-cert": {"/nowhere"}}, want: []string{"--tls-cert: open /nowhere"}},
		{name: "user alone", environ: []string{"COFFER_ROOT_USER=admin"}, want: []string{"COFFER_ROOT_USER: the password is missing"}},
		{name: "password alone", environ: []string{"COFFER_ROOT_PASSWORD=correct horse"}, want: []string{"COFFER_ROOT_PASSWORD: the user is missing"}},
		{name: "short password", environ: []string{"COFFER_ROOT_USER=admin", "COFFER_ROOT_PASSWORD=horse"}, want: []string{"COFFER_ROOT_PASSWORD: must have 8 to 256 characters, has 5"}},
		{name: "password twice", environ: []string{"COFFER_ROOT_USER=admin", "COFFER_ROOT_PASSWORD=correct horse", "COFFER_ROOT_PASSWORD_FILE=/nowhere"}, want: []string{"COFFER_ROOT_PASSWORD_FILE: COFFER_ROOT_PASSWORD is given as well"}},
		{name: "missing password file", environ: []string{"COFFER_ROOT_USER=admin", "COFFER_ROOT_PASSWORD_FILE=/nowhere"}, want: []string{"COFFER_ROOT_PASSWORD_FILE: stat /nowhere"}},
		{name: "passphrase and key", environ: []string{"COFFER_UNLOCK_PASSPHRASE=a", "COFFER_UNLOCK_KEY=b"}, want: []string{"COFFER_UNLOCK_KEY: a passphrase is given as well"}},
		{name: "two new secrets", environ: []string{"COFFER_NEW_PASSPHRASE=a", "COFFER_NEW_KEY=b"}, want: []string{"COFFER_NEW_KEY: a new passphrase is given as well"}},
		{name: "new key file and passphrase", flags: map[string][]string{"new-key-file": {"/nowhere"}}, environ: []string{"COFFER_NEW_PASSPHRASE=a"}, want: []string{"--new-key-file: another new secret is given as well"}},
		{
			name:  "overridden values are checked",
			flags: map[string][]string{"listen": {"a:1"}}, environ: []string{"COFFER_LISTEN=b"}, file: "listen: c\n",
			want: []string{`F:1: listen: "c"`, `COFFER_LISTEN: "b"`},
		},
		{
			name:    "every fault at once",
			flags:   map[string][]string{"log-level": {"loud"}},
			environ: []string{"COFFER_REGION=?", "COFFER_TLS_KEY=/nowhere"},
			file:    "listn: x\nlisten: y\n",
			want:    []string{"F:1: listn", "F:2: listen", "COFFER_REGION", "--log-level", "COFFER_TLS_KEY"},
		},
	}
}

func TestFaults(t *testing.T) {
	t.Parallel()
	for _, tc := range append(faultCases(), kmsFaultCases()...) {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			src := sources(t, tc.environ...)
			file := write(t, "c.yaml", tc.file)
			if tc.file != "" {
				src.Flags["config"] = []string{file}
			}
			for name, values := range tc.flags {
				src.Flags[name] = values
			}
			_, err := Load(src)
			faults, ok := errors.AsType[Faults](err)
			if !ok {
				t.Fatalf("Load = %v, want Faults", err)
			}
			if len(faults) != len(tc.want) {
				t.Fatalf("%d faults, want %d:\n%v", len(faults), len(tc.want), err)
			}
			for i, want := range tc.want {
				want = strings.Replace(want, "F:", file+":", 1)
				if !strings.HasPrefix(faults[i].Error(), want) {
					t.Errorf("fault %d:\n got %s\nwant %s…", i, faults[i], want)
				}
			}
			if strings.Contains(err.Error(), "horse") || strings.Contains(err.Error(), "hunter2") {
				t.Errorf("the error shows a secret: %v", err)
			}
		})
	}
}
