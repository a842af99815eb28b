package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"coffer/kms/vault/vaulttest"
	"coffer/test/e2e/daemon"
)

// sealedModes are the header fields of each mode: of writes, and of reads.
func sealedModes() map[string][2][]string {
	customer := []string{
		"X-Amz-Server-Side-Encryption-Customer-Algorithm", "AES256",
		"X-Amz-Server-Side-Encryption-Customer-Key", "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=",
		"X-Amz-Server-Side-Encryption-Customer-Key-Md5", "KYvwGXoFFJ42a2u2GDWhwQ==",
	}
	return map[string][2][]string{
		"none":      {},
		"s3":        {{kmsHeader, "AES256"}},
		"kms":       {{kmsHeader, "aws:kms", kmsHeader + "-Context", `{"b":"2","a":"1"}`}},
		"bucketkey": {{kmsHeader, "aws:kms", kmsHeader + "-Bucket-Key-Enabled", "true"}},
		"ssec":      {customer, customer},
	}
}

// TestSealedByOneProcess seals objects of every mode by one process, over each kind of key backend, and reads them by
// another one over what the first has left.
func TestSealedByOneProcess(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write := func(name, text string) string {
		t.Helper()
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return file
	}
	v := vaulttest.Start(t, vaulttest.Options{})
	mount := v.Transit(t)
	token := v.Token(t, vaulttest.Token{Policies: []string{v.Policy(t, vaulttest.MountPolicy(mount))}})
	insecure := "--kms-allow-insecure-dev-defaults" // keys below the directory of temporary files
	for name, args := range map[string][]string{
		"built-in": nil,
		"directory": {"--kms-type", "local", "--kms-local-key-dir", filepath.Join(dir, "keys"),
			"--kms-local-master-key-file", write("master", "a master key for the directory"), insecure},
		"static": {"--kms-type", "static", "--kms-static-secret-key-file", write("static", "app:QkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkJCQkI=")},
		"vault": {"--kms-type", "vault", "--kms-vault-address", v.Address, "--kms-vault-mount-path", mount,
			"--kms-vault-token-file", write("token", token)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			home := t.TempDir()
			body := bytes.Repeat([]byte("0123456789abcdef"), 10_000)
			by := func(use func(d *daemon.Daemon)) {
				t.Helper()
				d := startOver(t, home, append(args, "--kms-ready-check"))
				use(d)
				ctx, cancel := context.WithTimeout(context.Background(), patience)
				defer cancel()
				if err := d.Stop(ctx); err != nil {
					t.Fatal(err)
				}
			}
			call := func(d *daemon.Daemon, method, path, text string, fields []string) []byte {
				t.Helper()
				answer, err := signed(t.Context(), d, method, path, text, fields...)
				if err != nil {
					t.Fatal(err)
				}
				defer answer.Body.Close()
				got, err := io.ReadAll(answer.Body)
				if err != nil || answer.StatusCode != 200 {
					t.Errorf("%s %s: %s, %v: %.300s", method, path, answer.Status, err, got)
				}
				return got
			}
			by(func(d *daemon.Daemon) {
				call(d, "PUT", "/box", "", nil)
				for mode, fields := range sealedModes() {
					call(d, "PUT", "/box/"+mode, string(body), fields[0])
				}
			})
			by(func(d *daemon.Daemon) {
				for mode, fields := range sealedModes() {
					if got := call(d, "GET", "/box/"+mode, "", fields[1]); !bytes.Equal(got, body) {
						t.Errorf("%s reads differently", mode)
					}
				}
			})
		})
	}
}

// startOver starts a server over what lies in dir. The credentials are always the same.
func startOver(t *testing.T, dir string, args []string) *daemon.Daemon {
	t.Helper()
	binary, err := exec.LookPath("coffer") // this test's own, see TestMain
	if err != nil {
		t.Fatal(err)
	}
	log := &syncBuffer{}
	d, err := daemon.Start(t.Context(), daemon.Options{
		Binary: binary, Dir: dir, Args: args, Log: log, AccessKey: "somebody", SecretKey: "something secret",
	})
	if err != nil {
		t.Fatal(fmt.Errorf("%w\n%s", err, log.String()))
	}
	return d
}
