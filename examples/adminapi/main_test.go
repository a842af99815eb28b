package main

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/google/go-cmp/cmp"

	"coffer/test/e2e/daemon"
)

// TestRun runs it twice against a server, the second time with a key that is there
// already.
func TestRun(t *testing.T) {
	t.Parallel()
	binary, err := daemon.Build(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	d, err := daemon.Start(t.Context(), daemon.Options{Binary: binary, Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute) // that of the test has ended
		defer cancel()
		if err := d.Stop(ctx); err != nil {
			t.Error(err)
		}
	})
	a := admin{d.URL, aws.Credentials{AccessKeyID: d.AccessKey, SecretAccessKey: d.SecretKey}}
	for first, want := range []string{`backend local, healthy: true
1 keys: coffer-sse-s3
example-key: Active, AES-256, version 1
example-key: Disabled, AES-256, version 1
example-key: Active, AES-256, version 2
an absent key: 404 NotFound: key not found
2 keys: coffer-sse-s3, example-key
`, `backend local, healthy: true
2 keys: coffer-sse-s3, example-key
it is there already
example-key: Active, AES-256, version 2
example-key: Disabled, AES-256, version 2
example-key: Active, AES-256, version 3
an absent key: 404 NotFound: key not found
2 keys: coffer-sse-s3, example-key
`} {
		var out strings.Builder
		if err := run(t.Context(), &out, a); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, out.String()); diff != "" {
			t.Errorf("run %d: %s", first+1, diff)
		}
	}
	a.credentials.SecretAccessKey = "another"
	if err := run(t.Context(), &strings.Builder{}, a); err == nil || !strings.Contains(err.Error(), "403 AccessDenied") {
		t.Errorf("with another secret: %v", err)
	}
}
