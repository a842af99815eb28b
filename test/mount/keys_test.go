//go:build e2e

package mount

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"coffer/kms/vault/vaulttest"
)

// TestKeysAway takes Vault away from a bucket that it protects: what was read goes on, what is cold fails within two
// seconds, a file whose key is in hand is still written, and the log tells who used which key.
func TestKeysAway(t *testing.T) {
	needFUSE(t)
	server := vaulttest.Start(t, vaulttest.Options{})
	proxy := vaulttest.NewProxy(t, server)
	transit, kv := server.Transit(t), server.KV(t)
	role := server.AppRole(t, vaulttest.AppRole{
		Policies: []string{server.Policy(t, vaulttest.AdminPolicy(transit, kv, "coffer"))}, TTL: time.Hour, MaxTTL: time.Hour,
	})
	secret := filepath.Join(t.TempDir(), "secret-id")
	if err := os.WriteFile(secret, []byte(role.SecretID), 0o600); err != nil {
		t.Fatal(err)
	}
	w := newWorld(t, "--kms-type", "vault", "--kms-vault-address", proxy.Address, "--kms-vault-mount-path", transit, "--kms-vault-kv-mount", kv,
		"--kms-vault-key-prefix", "coffer", "--kms-vault-approle-role-id", role.ID, "--kms-vault-approle-secret-id-file", secret,
		"--kms-vault-approle-mount", role.Mount, "--kms-default-key-id", "app", "--kms-ready-check")
	if out, err := w.coffer("keys", "create", "app"); err != nil && !strings.Contains(out, "xists") {
		t.Fatalf("%v: %s", err, out)
	}
	_, err := w.s3.PutBucketEncryption(t.Context(), &s3.PutBucketEncryptionInput{
		Bucket: aws.String(bucket), ServerSideEncryptionConfiguration: &types.ServerSideEncryptionConfiguration{
			Rules: []types.ServerSideEncryptionRule{{ApplyServerSideEncryptionByDefault: &types.ServerSideEncryptionByDefault{
				SSEAlgorithm: types.ServerSideEncryptionAwsKms, KMSMasterKeyID: aws.String("app"),
			}}},
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	w.write("cold", "cold")
	w.write("warm", "warm")
	w.stop() // the keys in memory go with it
	w.start()
	path := func(name string) string { return filepath.Join(w.work, name) }
	open, err := os.OpenFile(path("warm"), os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer open.Close()
	read := func() {
		t.Helper()
		if text, err := os.ReadFile(path("warm")); string(text) != "warm" {
			t.Fatalf("warm holds %q, %v", text, err)
		}
	}
	read()
	proxy.SetFault(vaulttest.Slow(time.Minute))
	read()
	started := time.Now()
	if _, err := os.ReadFile(path("cold")); !errors.Is(err, syscall.EIO) {
		t.Errorf("a cold file: %v, want EIO", err)
	}
	if took := time.Since(started); took > 2*time.Second {
		t.Errorf("it took %v", took)
	}
	if entries, err := os.ReadDir(w.work); err != nil || len(entries) != 2 {
		t.Errorf("%d entries, %v", len(entries), err)
	}
	if _, err := open.WriteAt([]byte("W"), 0); err != nil {
		t.Error(err)
	}
	if err := open.Sync(); err != nil {
		t.Errorf("fsync of a file whose key is in hand: %v", err)
	}
	proxy.SetFault(nil)
	if text, err := os.ReadFile(path("warm")); string(text) != "Warm" {
		t.Errorf("warm holds %q, %v", text, err)
	}
	w.stop()
	w.audited()
	w.start()
}

// audited looks for what the mount has done in the log.
func (w *world) audited() {
	w.tb.Helper()
	files, err := filepath.Glob(filepath.Join(w.dir, "config", "audit", "*"))
	if err != nil {
		w.tb.Fatal(err)
	}
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			w.tb.Fatal(err)
		}
		for line := range strings.Lines(string(text)) {
			if strings.Contains(line, `"principal":"coffer:mount"`) && strings.Contains(line, `"uid":0`) && strings.Contains(line, `"keyId":"app"`) {
				return
			}
		}
	}
	w.tb.Error("no line of the audit log tells of the mount, the user and the key")
}

// TestCustomerKeys lists objects that a client's key protects, and does not open them.
func TestCustomerKeys(t *testing.T) {
	w := newWorld(t)
	key := strings.Repeat("k", 32)
	sum := md5Of(key)
	_, err := w.s3.PutObject(t.Context(), &s3.PutObjectInput{
		Bucket: aws.String(bucket), Key: aws.String("f"), Body: strings.NewReader("secret"),
		SSECustomerAlgorithm: aws.String("AES256"), SSECustomerKey: aws.String(base64Of(key)), SSECustomerKeyMD5: aws.String(sum),
	})
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(filepath.Join(w.work, "f"))
	if err != nil || info.Size() != 6 {
		t.Errorf("%v, %v", info, err)
	}
	if _, err := os.Open(filepath.Join(w.work, "f")); !errors.Is(err, syscall.EACCES) {
		t.Errorf("open: %v, want EACCES", err)
	}
}
