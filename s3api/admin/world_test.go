package admin_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io/fs"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"coffer/cipher"
	"coffer/internal/disk/disktest"
	"coffer/internal/secret"
	"coffer/kms"
	"coffer/kms/kmstest"
	"coffer/kms/local"
	"coffer/kms/manager"
	"coffer/object"
	"coffer/object/objecttest"
	"coffer/s3api/admin"
)

const (
	canary     = "hvs.canary"
	builtinKey = "sse-s3"
)

// memory is a manager.ConfigStore.
type memory struct {
	mu   sync.Mutex
	data []byte
}

func (m *memory) Load(context.Context) ([]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.data == nil {
		return nil, fs.ErrNotExist
	}
	return bytes.Clone(m.data), nil
}

func (m *memory) Save(_ context.Context, sealed []byte) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.data = bytes.Clone(sealed)
	return nil
}

// world is an API over a manager with a Local keyring, a pretended Vault at https://vault, and an engine.
type world struct {
	t      *testing.T
	api    *admin.API
	keys   *manager.Manager
	store  *object.Store
	vault  *kmstest.Fake
	events []admin.Event
}

func newWorld(t *testing.T, change func(*manager.Options, *admin.Options)) *world {
	t.Helper()
	w := &world{t: t}
	keyring, err := local.Open(t.Context(), local.Options{
		FS: disktest.NewCrash(disktest.Options{}), Key: cipher.NewStoreKey().Derive(cipher.LabelKeyring),
	})
	if err != nil {
		t.Fatal(err)
	}
	mo := manager.Options{
		Builtin: keyring, BuiltinKeyID: builtinKey, Store: &memory{}, ProbeInterval: -1,
		Box: cipher.NewBox(cipher.NewStoreKey().Derive(cipher.LabelConfig)),
		Factories: map[string]manager.Factory{manager.TypeVault: func(_ context.Context, c manager.Config, id cipher.InstanceID) (manager.Service, error) {
			if c.Vault.Address != "https://vault" {
				return nil, &kms.Error{Op: "log in with " + string(c.Vault.Auth.Token.Expose()), Kind: kms.Unavailable}
			}
			if w.vault == nil {
				w.vault = kmstest.NewFakeInstance(id)
			}
			return w.vault, nil
		}},
	}
	ao := admin.Options{
		Server:  admin.ServerInfo{Version: "1.2.3", Endpoint: "127.0.0.1:9000", Started: time.Now().Add(-time.Minute)},
		Observe: func(_ context.Context, e admin.Event) { w.events = append(w.events, e) },
	}
	if change != nil {
		change(&mo, &ao)
	}
	if w.keys, err = manager.New(t.Context(), mo); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = w.keys.Close() })
	w.store = objecttest.New().Open(t, func(o *object.Options) { o.Keys = w.keys })
	ao.Keys, ao.Engine = w.keys, w.store
	if w.api, err = admin.New(ao); err != nil {
		t.Fatal(err)
	}
	return w
}

// doc is an answer.
type doc map[string]any

// ask sends "METHOD target" below /rustfs/admin/v3/, or what the target gives when it begins with a slash.
func (w *world) ask(request, body string) (int, doc) {
	w.t.Helper()
	r := w.raw(request, body)
	if len(r.Body) == 0 {
		return r.Status, nil
	}
	if r.ContentType != "application/json" {
		w.t.Errorf("%s: content type %q", request, r.ContentType)
	}
	var d doc
	if err := json.Unmarshal(r.Body, &d); err != nil {
		w.t.Fatalf("%s: %v\n%s", request, err, r.Body)
	}
	return r.Status, d
}

func (w *world) raw(request, body string) admin.Response {
	w.t.Helper()
	method, target, _ := strings.Cut(request, " ")
	if !strings.HasPrefix(target, "/") {
		target = "/rustfs/admin/v3/" + target
	}
	path, query, _ := strings.Cut(target, "?")
	values, err := url.ParseQuery(query)
	if err != nil {
		w.t.Fatal(err)
	}
	r := w.api.Serve(w.t.Context(), &admin.Request{
		Method: method, Path: path, Query: values, Body: []byte(body), Caller: admin.Caller{AccessKey: "root", RequestID: "R1"},
	})
	if strings.Contains(string(r.Body), "canary") {
		w.t.Errorf("%s: the answer tells a secret: %s", request, r.Body)
	}
	return r
}

// want asks and wants a status.
func (w *world) want(status int, request, body string) doc {
	w.t.Helper()
	got, d := w.ask(request, body)
	if got != status {
		w.t.Fatalf("%s: status %d, want %d: %v", request, got, status, d)
	}
	return d
}

// refused asks and wants an error of a code, in its form.
func (w *world) refused(status int, code, request, body string) doc {
	w.t.Helper()
	d := w.want(status, request, body)
	if d["code"] != code || d["message"] == "" || d["description"] == nil {
		w.t.Errorf("%s: error %v, want code %s", request, d, code)
	}
	return d
}

func (d doc) sub(name string) doc {
	m, _ := d[name].(map[string]any)
	return m
}

func (d doc) list(name string) []doc {
	all, _ := d[name].([]any)
	var docs []doc
	for _, v := range all {
		m, _ := v.(map[string]any)
		docs = append(docs, m)
	}
	return docs
}

// has checks fields by their printed JSON.
func (w *world) has(d doc, fields map[string]any) {
	w.t.Helper()
	for name, want := range fields {
		got, is := d[name]
		if g, e := mustJSON(w.t, got), mustJSON(w.t, want); !is || g != e {
			w.t.Errorf("%s is %s, want %s", name, g, e)
		}
	}
}

func mustJSON(t *testing.T, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// put stores an object under a key of the key service; "" is SSE-S3.
func (w *world) put(bucket, key, keyID string) {
	w.t.Helper()
	buckets, err := w.store.ListBuckets(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	if !slices.ContainsFunc(buckets, func(b object.BucketInfo) bool { return b.Name == bucket }) {
		if _, err := w.store.CreateBucket(w.t.Context(), bucket); err != nil {
			w.t.Fatal(err)
		}
	}
	sealing := object.Sealing{}
	if keyID != "" {
		sealing = object.Sealing{Mode: object.ModeSSEKMS, KeyID: keyID, BucketKey: new(false)}
	}
	_, err = w.store.Put(w.t.Context(), object.PutRequest{Bucket: bucket, Key: key, Body: strings.NewReader("bytes"), Size: 5, Sealing: sealing})
	if err != nil {
		w.t.Fatal(err)
	}
}

func value(s string) secret.Value { return secret.New([]byte(s)) }

func vaultBody(more string) string {
	return `{"kms_type":"vault","vault_address":"https://vault","vault_token":"` + canary + `","default_key_id":"app-default"` + more + `}`
}
