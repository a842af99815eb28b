package main

import (
	"context"
	"io"
	"os/exec"
	"strings"
	"testing"

	"coffer/test/e2e/daemon"
)

// TestRevoke asks a running server to clear its cache while an object is read, and with revoke as well: only that ends
// the stream. What begins afterwards is served.
func TestRevoke(t *testing.T) {
	t.Parallel()
	binary, err := exec.LookPath("coffer") // this test's own, see TestMain
	if err != nil {
		t.Fatal(err)
	}
	log := &syncBuffer{}
	d, err := daemon.Start(t.Context(), daemon.Options{Binary: binary, Dir: t.TempDir(), Log: log})
	if err != nil {
		t.Fatalf("%v\n%s", err, log.String())
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := d.Stop(ctx); err != nil {
			t.Error(err)
		}
	})
	body := strings.Repeat("0123456789abcdef", 2<<20) // 32 MiB, more than connections hold
	for _, r := range [][3]string{{"PUT", "/box", ""}, {"PUT", "/box/o", body}} {
		answer, err := signed(t.Context(), d, r[0], r[1], r[2])
		if err != nil || answer.StatusCode != 200 {
			t.Fatalf("%s %s: %v, %v", r[0], r[1], answer, err)
		}
		_ = answer.Body.Close()
	}
	for _, tc := range []struct {
		path string
		ends bool
	}{{"/rustfs/admin/v3/kms/clear-cache", false}, {"/rustfs/admin/v3/kms/clear-cache?revoke=true", true}} {
		t.Run(tc.path, func(t *testing.T) {
			answer, err := signed(t.Context(), d, "GET", "/box/o", "")
			if err != nil {
				t.Fatal(err)
			}
			defer answer.Body.Close()
			if _, err := io.CopyN(io.Discard, answer.Body, 1<<20); err != nil {
				t.Fatal(err)
			}
			cleared, err := signed(t.Context(), d, "POST", tc.path, "")
			if err != nil || cleared.StatusCode != 200 {
				t.Fatalf("%v, %v", cleared, err)
			}
			_ = cleared.Body.Close()
			n, err := io.Copy(io.Discard, answer.Body)
			if whole := err == nil && int(n) == len(body)-1<<20; whole == tc.ends {
				t.Errorf("%d more bytes came, and %v", n, err)
			}
		})
	}
}
