package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"coffer/internal/metrics/metricstest"
	"coffer/kms/vault/vaulttest"
)

// patience is how long a script waits for what another process is to do.
const patience = 30 * time.Second

// scriptLimit is how long all scripts may take together.
const scriptLimit = 4 * time.Minute

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"coffer": main, "s3": s3Main})
}

// TestScripts runs the scripts of testdata/script. Each has a HOME and two free
// addresses of its own, ADDR, on which coffer serves unless told otherwise, and
// OTHER. Beside coffer there is the program s3 (client_test.go).
func TestScripts(t *testing.T) {
	t.Parallel()
	testscript.Run(t, scripts("script", nil))
}

// TestScriptsWithVault runs the scripts of testdata/vault. Each has an engine, a
// place for states and credentials of its own in a real Vault: VAULT is its
// address, TRANSIT and KV are the mounts, the files token and secret-id hold what
// logs in, as role ROLE_ID at the mount APPROLE for the latter.
func TestScriptsWithVault(t *testing.T) {
	t.Parallel()
	v := vaulttest.Start(t, vaulttest.Options{})
	testscript.Run(t, scripts("vault", func(env *testscript.Env) error {
		transit, kv := v.Transit(t), v.KV(t)
		policy := v.Policy(t, vaulttest.AdminPolicy(transit, kv, "rustfs/kms/keys"))
		role := v.AppRole(t, vaulttest.AppRole{Policies: []string{policy}})
		for name, value := range map[string]string{"VAULT": v.Address, "TRANSIT": transit, "KV": kv, "ROLE_ID": role.ID, "APPROLE": role.Mount} {
			env.Setenv(name, value)
		}
		token := v.Token(t, vaulttest.Token{Policies: []string{policy}})
		return errors.Join(
			os.WriteFile(filepath.Join(env.WorkDir, "token"), []byte(token+"\n"), 0o600),
			os.WriteFile(filepath.Join(env.WorkDir, "secret-id"), []byte(role.SecretID+"\n"), 0o600))
	}))
}

// scripts describes the scripts of a directory below testdata; setup may be nil.
func scripts(dir string, setup func(*testscript.Env) error) testscript.Params {
	return testscript.Params{
		Dir:                 filepath.Join("testdata", dir),
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Deadline:            time.Now().Add(scriptLimit), // a serve that should have failed runs for ever
		Setup: func(env *testscript.Env) error {
			addr, other, err := freeAddresses()
			env.Setenv("ADDR", addr)
			env.Setenv("OTHER", other)
			env.Setenv("COFFER_LISTEN", addr)
			env.Setenv("COFFER_METRICS_LISTEN", "off")
			env.Setenv("HOME", filepath.Join(env.WorkDir, "home"))
			env.Setenv("ETC", filepath.Join(env.WorkDir, "home", ".config", "coffer"))
			env.Setenv("LOG", filepath.Join(env.WorkDir, "home", ".local", "state", "coffer", "audit"))
			env.Setenv("VAR", filepath.Join(env.WorkDir, "home", ".local", "share", "coffer"))
			if err == nil && setup != nil {
				err = setup(env)
			}
			return err
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"await":       cmdAwait,
			"get":         cmdGet,
			"refused":     cmdRefused,
			"appears":     cmdAppears,
			"await-job":   cmdAwaitJob,
			"instance":    cmdInstance,
			"signal":      cmdSignal,
			"mode":        cmdMode,
			"hides":       cmdHides,
			"certificate": cmdCertificate,
			"overwrite":   cmdOverwrite,
			"metric":      cmdMetric,
			"hold":        cmdHold,
			"use":         cmdUse,
			"tamper":      cmdTamper,
			"copydir":     cmdCopyDir,
			"head":        cmdHead,
		},
	}
}

// freeAddresses finds two addresses that nobody listens on at the moment.
func freeAddresses() (string, string, error) {
	a, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", "", err
	}
	defer a.Close()
	b, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", "", err
	}
	defer b.Close()
	return a.Addr().String(), b.Addr().String(), nil
}

// status gets a URL without authentication, and without looking at the server's
// certificate.
func status(url string) (int, error) {
	client := &http.Client{
		Timeout: 5 * time.Second,
		Transport: &http.Transport{
			DisableKeepAlives: true,
			TLSClientConfig:   &tls.Config{InsecureSkipVerify: true}, // the server makes it up as it goes
		},
	}
	resp, err := client.Get(url)
	if err != nil {
		return 0, err
	}
	defer resp.Body.Close()
	_, err = io.Copy(io.Discard, resp.Body)
	return resp.StatusCode, err
}

// poll tries until fn gives nil.
func poll(ts *testscript.TestScript, fn func() error) {
	deadline := time.Now().Add(patience)
	for {
		err := fn()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			ts.Fatalf("gave up: %v", err)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// await [URL]: wait until the server is ready.
func cmdAwait(ts *testscript.TestScript, neg bool, args []string) {
	url := "http://" + ts.Getenv("ADDR") + "/health/ready"
	if len(args) == 1 {
		url = args[0]
	}
	poll(ts, func() error {
		code, err := status(url)
		if err == nil && code != http.StatusOK {
			err = fmt.Errorf("%s answers %d", url, code)
		}
		return err
	})
}

// get STATUS URL: an anonymous GET is answered with the status.
func cmdGet(ts *testscript.TestScript, neg bool, args []string) {
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got, err := status(args[1])
	ts.Check(err)
	if got != want {
		ts.Fatalf("GET %s: %d, want %d", args[1], got, want)
	}
}

// refused ADDRESS: wait until nobody takes connections there.
func cmdRefused(ts *testscript.TestScript, neg bool, args []string) {
	poll(ts, func() error {
		conn, err := net.Dial("tcp", args[0])
		if err != nil {
			return nil
		}
		return fmt.Errorf("%s takes connections: %v", args[0], conn.Close())
	})
}

// appears FILE: wait until there is a file.
func cmdAppears(ts *testscript.TestScript, neg bool, args []string) {
	poll(ts, func() error {
		_, err := os.Stat(ts.MkAbs(args[0]))
		return err
	})
}

// await-job BUCKET STATE: wait until the rewrap of a bucket is in a state.
func cmdAwaitJob(ts *testscript.TestScript, neg bool, args []string) {
	poll(ts, func() error {
		// What does not exist yet, or is in another state, may be right the next time.
		if err := ts.Exec("coffer", "rewrap", "status", args[0], "--json"); err != nil {
			return err
		}
		if out := ts.ReadFile("stdout"); !strings.Contains(out, `"state":"`+args[1]+`"`) {
			return fmt.Errorf("the rewrap of %s: %s", args[0], out)
		}
		return nil
	})
}

// instance FILE BACKEND: set INSTANCE to the id of a backend in what coffer kms
// status has printed.
func cmdInstance(ts *testscript.TestScript, neg bool, args []string) {
	for line := range strings.Lines(ts.ReadFile(args[0])) {
		if words := strings.Fields(line); len(words) > 1 && len(words[0]) == 32 && words[1] == args[1] {
			ts.Setenv("INSTANCE", words[0])
			return
		}
	}
	ts.Fatalf("no backend %s in %s", args[1], args[0])
}

// signal TERM|INT [COMMAND]: send a signal to every coffer in the background, or
// to those that run a command alone.
func cmdSignal(ts *testscript.TestScript, neg bool, args []string) {
	signals := map[string]os.Signal{"TERM": syscall.SIGTERM, "INT": os.Interrupt}
	sent := 0
	for _, cmd := range ts.BackgroundCmds() {
		if filepath.Base(cmd.Path) == "coffer" && (len(args) == 1 || cmd.Args[1] == args[1]) {
			ts.Check(cmd.Process.Signal(signals[args[0]]))
			sent++
		}
	}
	if sent == 0 {
		ts.Fatalf("no coffer runs in the background")
	}
}

// mode MODE FILE…: each file has the permissions.
func cmdMode(ts *testscript.TestScript, neg bool, args []string) {
	for _, name := range args[1:] {
		info, err := os.Stat(ts.MkAbs(name))
		ts.Check(err)
		if got := fmt.Sprintf("%04o", info.Mode().Perm()); got != args[0] {
			ts.Fatalf("%s has mode %s, want %s", name, got, args[0])
		}
	}
}

// hides FILE…: none holds a secret of the store in ETC. stdout and stderr are
// those of the last command.
func cmdHides(ts *testscript.TestScript, neg bool, args []string) {
	secrets := []string{strings.TrimSpace(ts.ReadFile(filepath.Join(ts.Getenv("ETC"), "unlock.key")))}
	for line := range strings.Lines(ts.ReadFile(filepath.Join(ts.Getenv("ETC"), "root.credentials"))) {
		if name, value, ok := strings.Cut(line, " = "); ok && strings.Contains(name, "secret") {
			secrets = append(secrets, strings.TrimSpace(value))
		}
	}
	if len(secrets) != 2 {
		ts.Fatalf("%d secrets to look for", len(secrets))
	}
	for _, name := range args {
		for _, secret := range secrets {
			if strings.Contains(ts.ReadFile(name), secret) {
				ts.Fatalf("%s holds a secret", name)
			}
		}
	}
}

// certificate CERT KEY: make a self-signed certificate for 127.0.0.1.
func cmdCertificate(ts *testscript.TestScript, neg bool, args []string) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	ts.Check(err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	ts.Check(err)
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	ts.Check(err)
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600))
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER}), 0o600))
}

// overwrite FILE WORDS…: give a file new content.
func cmdOverwrite(ts *testscript.TestScript, neg bool, args []string) {
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(strings.Join(args[1:], " ")+"\n"), 0o600))
}

// metric NAME AT-LEAST [LABEL=VALUE…]: wait until a number of the server whose
// metrics are at OTHER is there.
func cmdMetric(ts *testscript.TestScript, neg bool, args []string) {
	want, err := strconv.ParseFloat(args[1], 64)
	ts.Check(err)
	var labels []string
	for _, arg := range args[2:] {
		name, value, _ := strings.Cut(arg, "=")
		labels = append(labels, name, value)
	}
	poll(ts, func() error {
		all, err := metricstest.Get(context.Background(), "http://"+ts.Getenv("OTHER")+"/metrics")
		if err == nil && all.Sum(args[0], labels...) < want {
			err = fmt.Errorf("%s%v is %v, want %v", args[0], labels, all.Sum(args[0], labels...), want)
		}
		return err
	})
}

// hold ADDRESS: take an address to the end of the script, unless somebody has it.
func cmdHold(ts *testscript.TestScript, neg bool, args []string) {
	if listener, err := net.Listen("tcp", args[0]); err == nil {
		ts.Defer(func() { _ = listener.Close() })
	}
}
