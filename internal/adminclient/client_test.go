package adminclient

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"coffer/internal/secret"
)

const password = "hunter2hunter2"

// serve gives a client of a server that answers with fn, after it has looked at what every request must have.
func serve(t *testing.T, fn func(r *http.Request, body string) (int, string)) *Client {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		head := fmt.Sprint(r.Header)
		if strings.Contains(head+r.RequestURI+string(body), password) {
			t.Errorf("a request tells the secret key: %s", head)
		}
		if auth := r.Header.Get("Authorization"); !strings.Contains(auth, "Credential=ROOT/") || !strings.Contains(auth, "//s3/aws4_request") {
			t.Errorf("Authorization: %s", auth)
		}
		status, answer := fn(r, string(body))
		w.WriteHeader(status)
		_, _ = io.WriteString(w, answer)
	}))
	t.Cleanup(s.Close)
	c, err := New(Options{Endpoint: s.URL + "/", AccessKey: "ROOT", SecretKey: secret.New([]byte(password)), UserAgent: "test"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// TestRequests compares what each method sends with the routes of the server.
func TestRequests(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	seven := 7
	for _, tc := range []struct {
		name string
		call func(c *Client) error
		line string
		body string
	}{
		{"CreateKey", func(c *Client) error {
			_, err := c.CreateKey(ctx, NewKey{ID: "k", Tags: map[string]string{"a": "b"}})
			return err
		},
			"POST kms/keys", `{"key_id":"k","tags":{"a":"b"}}`},
		{"DescribeKey", func(c *Client) error { _, err := c.DescribeKey(ctx, "a/b c+d", true); return err }, "GET kms/keys/a%2Fb%20c%2Bd?impact=true", ""},
		{"DeleteKey", func(c *Client) error { _, err := c.DeleteKey(ctx, Deletion{KeyID: "k", Days: &seven}); return err },
			"DELETE kms/keys/delete", `{"key_id":"k","pending_window_in_days":7}`},
		{"DeleteKey at once", func(c *Client) error {
			_, err := c.DeleteKey(ctx, Deletion{KeyID: "k", Force: true, Confirm: "k"})
			return err
		}, "DELETE kms/keys/delete", `{"key_id":"k","force":true,"confirm_key_id":"k"}`},
		{"RotateKey", func(c *Client) error { _, err := c.RotateKey(ctx, "k"); return err }, "POST kms/keys/rotate", `{"key_id":"k"}`},
		{"EnableKey", func(c *Client) error { _, err := c.EnableKey(ctx, "k"); return err }, "POST kms/keys/enable", `{"key_id":"k"}`},
		{"DisableKey", func(c *Client) error { _, err := c.DisableKey(ctx, "k"); return err }, "POST kms/keys/disable", `{"key_id":"k"}`},
		{"CancelDeletion", func(c *Client) error { _, err := c.CancelDeletion(ctx, "k"); return err }, "POST kms/keys/cancel-deletion", `{"key_id":"k"}`},
		{"Status", func(c *Client) error { _, err := c.Status(ctx); return err }, "GET kms/status", ""},
		{"Configure", func(c *Client) error { _, err := c.Configure(ctx, json.RawMessage(`{"kms_type":"local"}`)); return err },
			"POST kms/configure", `{"kms_type":"local"}`},
		{"Start", func(c *Client) error { _, err := c.Start(ctx, true); return err }, "POST kms/start", `{"force":true}`},
		{"Stop", func(c *Client) error { _, err := c.Stop(ctx); return err }, "POST kms/stop", ""},
		{"Census", func(c *Client) error {
			_, err := c.Census(ctx, Count{KeyID: "a b", Bucket: "b", Rebuild: true})
			return err
		},
			"GET kms/census?bucket=b&keyName=a%20b&rebuild=true", ""},
		{"StartJob", func(c *Client) error {
			_, err := c.StartJob(ctx, NewJob{Bucket: "b", Recursive: new(false), KEKsPerSecond: 5, To: &Place{Backend: "serving", KeyID: "k"}})
			return err
		}, "POST kms/rewrap-jobs", `{"bucket":"b","recursive":false,"keks_per_second":5,"to":{"backend":"serving","key_id":"k"}}`},
		{"StartJobs", func(c *Client) error { _, err := c.StartJobs(ctx, NewJob{From: &Place{KeyID: "k"}}); return err },
			"POST kms/rewrap-jobs", `{"all_buckets":true,"from":{"key_id":"k"}}`},
		{"Jobs", func(c *Client) error { _, err := c.Jobs(ctx); return err }, "GET kms/rewrap-jobs", ""},
		{"Job", func(c *Client) error { _, err := c.Job(ctx, "b"); return err }, "GET kms/rewrap-jobs/b", ""},
		{"PauseJob", func(c *Client) error { _, err := c.PauseJob(ctx, "b"); return err }, "POST kms/rewrap-jobs/pause", `{"bucket":"b"}`},
		{"ResumeJob", func(c *Client) error { _, err := c.ResumeJob(ctx, "b"); return err }, "POST kms/rewrap-jobs/resume", `{"bucket":"b"}`},
		{"CancelJob", func(c *Client) error { _, err := c.CancelJob(ctx, "b"); return err }, "POST kms/rewrap-jobs/cancel", `{"bucket":"b"}`},
		{"Retire", func(c *Client) error {
			_, err := c.Retire(ctx, NewRetirement{KeyID: "k", Version: 2, Rewrap: true})
			return err
		}, "POST kms/keys/retire", `{"key_id":"k","version":2,"rewrap":true}`},
		{"Retirements", func(c *Client) error { _, err := c.Retirements(ctx, "k"); return err }, "GET kms/retirements?keyName=k", ""},
		{"CancelRetirement", func(c *Client) error { _, err := c.CancelRetirement(ctx, "k"); return err }, "POST kms/keys/cancel-retirement", `{"key_id":"k"}`},
		{"RemoveInstance", func(c *Client) error { _, err := c.RemoveInstance(ctx, "ab"); return err }, "DELETE kms/instances/ab", ""},
		{"Rewrap", func(c *Client) error {
			_, err := c.Rewrap(ctx, RewrapBucket{Bucket: "b", Recursive: true, DryRun: true})
			return err
		},
			"POST kms/rewrap-bucket", `{"bucket":"b","recursive":true,"dry_run":true}`},
		{"Inspect", func(c *Client) error { _, err := c.Inspect(ctx, "b", "ü/?&", ""); return err }, "GET kms/inspect?bucket=b&key=%C3%BC%2F%3F%26", ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			c := serve(t, func(r *http.Request, body string) (int, string) {
				if diff := cmp.Diff(tc.line+"\n"+tc.body, r.Method+" "+strings.TrimPrefix(r.RequestURI, prefix)+"\n"+body); diff != "" {
					t.Errorf("(-want +got):\n%s", diff)
				}
				return 200, "{}"
			})
			if err := tc.call(c); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestListKeysFollowsPages(t *testing.T) {
	t.Parallel()
	pages := map[string]string{
		"":  `{"keys":[{"key_id":"a","status":"Active","new":1}],"truncated":true,"next_marker":"a"}`,
		"a": `{"keys":[],"truncated":true,"next_marker":"b","unreadable_key_ids":["b"]}`,
		"b": `{"keys":[{"key_id":"c"}],"truncated":false,"next_marker":null}`,
	}
	c := serve(t, func(r *http.Request, _ string) (int, string) { return 200, pages[r.URL.Query().Get("marker")] })
	list, err := c.ListKeys(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	want := KeyList{Keys: []ListedKey{{ID: "a", Status: "Active"}, {ID: "c"}}, Unreadable: []string{"b"}}
	if diff := cmp.Diff(want, list.Doc); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	const raw = `{"keys":[{"key_id":"a","status":"Active","new":1},{"key_id":"c"}],"unreadable_key_ids":["b"]}`
	if string(list.Raw) != raw {
		t.Errorf("raw %s", list.Raw)
	}
}

func TestErrors(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name   string
		status int
		answer string
		want   string
	}{
		{"refusal", 404, `{"code":"NotFound","message":"key not found.","description":"no key k."}`, "NotFound: key not found: no key k"},
		{"said twice", 409, `{"code":"KeyAlreadyExists","message":"key exists","description":"create k: key exists"}`, "KeyAlreadyExists: create k: key exists"},
		{"in use", 409, `{"code":"KeyInUse","message":"used","description":"used","in_use":{"objects":3}}`, "KeyInUse: used"},
		{"another server", 404, `<html>`, "is no Coffer server: 404 Not Found"},
		{"a redirect", 302, ``, "is no Coffer server: 302 Found"},
		{"no JSON", 200, `<html>`, "is none of this API"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			c := serve(t, func(*http.Request, string) (int, string) { return tc.status, tc.answer })
			_, err := c.Status(context.Background())
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("error %v, want %s", err, tc.want)
			}
			if e, ok := errors.AsType[*Error](err); ok && tc.name == "in use" && e.Use.Objects != 3 {
				t.Errorf("use %+v", e.Use)
			}
		})
	}
	c := serve(t, func(*http.Request, string) (int, string) { return 200, "{}" })
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := c.Status(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("given up: %v", err)
	}
	for _, endpoint := range []string{"", "localhost:9000", "ftp://h", "http://h/path", "http://"} {
		if _, err := New(Options{Endpoint: endpoint, AccessKey: "a", SecretKey: secret.New([]byte("b"))}); err == nil {
			t.Errorf("endpoint %q", endpoint)
		}
	}
	if _, err := New(Options{Endpoint: "http://h"}); err == nil {
		t.Error("no credentials")
	}
}
