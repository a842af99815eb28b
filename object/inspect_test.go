package object_test

import (
	"bytes"
	"context"
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"coffer/cipher"
	"coffer/kms"
	"coffer/kms/kmstest"
	"coffer/metastore"
	"coffer/object"
)

func inspect(t *testing.T, s *object.Store, bucket, key string) object.Inspection {
	t.Helper()
	in, err := s.Inspect(context.Background(), bucket, key, "")
	if err != nil {
		t.Fatal(err)
	}
	return in
}

// TestInspect looks at an object of every mode, asks the backend to rewrap what it is shown, and counts the calls of
// Inspect itself: none.
func TestInspect(t *testing.T) {
	t.Parallel()
	_, s, fake := openSealed(t)
	rotate(t, fake, "app")
	fingerprint := func(keyID string) cipher.Fingerprint {
		info, err := fake.DescribeKey(context.Background(), keyID)
		if err != nil {
			t.Fatal(err)
		}
		return info.Newest().Fingerprint
	}
	const own, bucketOnly = `{"a":"1","b":"2","bucket":"bucket","key":"SSE-KMS"}`, `{"bucket":"bucket"}`
	shared := `{"bucket":"bucket","key":"SSE-KMS bucket key"}`
	wants := map[string]object.InspectedKey{
		"default":            {Mode: object.ModeSSES3, KeyID: object.DefaultKeyID, Version: 1, WrapContext: []byte(bucketOnly), SealedBucket: "bucket"},
		"SSE-S3":             {Mode: object.ModeSSES3, KeyID: object.DefaultKeyID, Version: 1, WrapContext: []byte(bucketOnly), SealedBucket: "bucket"},
		"SSE-KMS":            {Mode: object.ModeSSEKMS, KeyID: "app", Version: 2, WrapContext: []byte(own), Context: []byte(own), SealedBucket: "bucket", SealedKey: "SSE-KMS"},
		"SSE-KMS bucket key": {Mode: object.ModeSSEKMS, KeyID: "app", Version: 2, WrapContext: []byte(bucketOnly), Context: []byte(shared), SealedBucket: "bucket", SealedKey: "SSE-KMS bucket key"},
		"SSE-C":              {Mode: object.ModeSSEC},
	}
	for name, how := range sealings(cipher.NewKEK()) {
		t.Run(name, func(t *testing.T) {
			info := putSealed(t, s, "bucket", name, data(90_000, 5), how)
			before := fake.Calls(kmstest.OpUnwrap) + fake.Calls(kmstest.OpGenerateKEK) + fake.Calls(kmstest.OpDescribeKey)
			in := inspect(t, s, "bucket", name)
			if after := fake.Calls(kmstest.OpUnwrap) + fake.Calls(kmstest.OpGenerateKEK) + fake.Calls(kmstest.OpDescribeKey); after != before {
				t.Errorf("%d calls to the key service", after-before)
			}
			if diff := cmp.Diff(info, in.Info); diff != "" || len(in.Object) != 32 || len(in.Keys) != 1 {
				t.Fatalf("object %q with %d keys, %s", in.Object, len(in.Keys), diff)
			}
			k, want := in.Keys[0], wants[name]
			if len(k.Nonce) != 12 || len(k.Tag) != 16 {
				t.Errorf("nonce %x, tag %x", k.Nonce, k.Tag)
			}
			if want.Mode != object.ModeSSEC {
				want.Instance, want.Fingerprint = fake.Instance(), fingerprint(want.KeyID)
			}
			if shared := name != "SSE-KMS" && name != "SSE-C"; (k.Generation != 0) != shared {
				t.Errorf("generation %d", k.Generation)
			}
			want.Extents, want.Bytes = 3, 90_000
			want.Wrapped, want.Generation, want.Nonce, want.Tag = k.Wrapped, k.Generation, k.Nonce, k.Tag
			if diff := cmp.Diff(want, k); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if want.Mode != object.ModeSSEC {
				rewraps(t, fake, &k)
			}
		})
	}
}

// rewraps fails when what an administrator is shown is not what a backend rewraps.
func rewraps(t *testing.T, fake *kmstest.Fake, k *object.InspectedKey) {
	t.Helper()
	keyID, ciphertext, err := kms.ParseBlob(k.Wrapped)
	if err != nil || keyID != k.KeyID {
		t.Fatalf("blob of key %q: %v", keyID, err)
	}
	w := kms.Wrapped{Instance: k.Instance, KeyID: keyID, Fingerprint: k.Fingerprint, Version: k.Version, Ciphertext: ciphertext}
	if _, err := fake.Rewrap(context.Background(), w, k.WrapContext); err != nil {
		t.Errorf("it does not rewrap: %v", err)
	}
}

func TestInspectBody(t *testing.T) {
	t.Parallel()
	_, s, _ := openSealed(t)
	for _, tc := range []struct {
		name string
		size int
		want object.InspectedBody
	}{
		{"empty", 0, object.InspectedBody{}},
		{"inline", 100, object.InspectedBody{Extents: 1, Chunks: 1, Inline: 1, References: 1}},
		{"one chunk", 101, object.InspectedBody{Extents: 1, Chunks: 1, References: 1}},
		{"pages", 40_000*80 + 1, object.InspectedBody{Extents: 81, Chunks: 81, Pages: 1, References: 1}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			putSealed(t, s, "bucket", tc.name, data(tc.size, 6), object.Sealing{})
			in := inspect(t, s, "bucket", tc.name)
			if (in.Body.ID == "") != (tc.size == 0) {
				t.Errorf("body %q", in.Body.ID)
			}
			tc.want.ID = in.Body.ID
			if diff := cmp.Diff(tc.want, in.Body); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if k := in.Keys[0]; k.Extents != tc.want.Extents || k.Bytes != int64(tc.size) {
				t.Errorf("the key sealed %d extents of %d bytes", k.Extents, k.Bytes)
			}
		})
	}
	if _, err := s.Copy(context.Background(), object.CopyRequest{SourceBucket: "bucket", SourceKey: "pages", Bucket: "bucket", Key: "copy"}); err != nil {
		t.Fatal(err)
	}
	source, copied := inspect(t, s, "bucket", "pages"), inspect(t, s, "bucket", "copy")
	if source.Body.References != 2 || copied.Body.ID != source.Body.ID || copied.Object == source.Object {
		t.Errorf("a copy that shares: %+v, %+v", source.Body, copied.Body)
	}
	for target, want := range map[string]object.Kind{"bucket/none": object.KindNoSuchKey, "none/key": object.KindNoSuchBucket} {
		bucket, key, _ := strings.Cut(target, "/")
		_, err := s.Inspect(context.Background(), bucket, key, "")
		wantKind(t, err, want)
	}
	_, err := s.Inspect(context.Background(), "bucket", "copy", "none")
	wantKind(t, err, object.KindInvalidArgument)
}

// TestInspectSealedAs gives an object another name, as a rename does: the names at sealing stay beside the present one.
func TestInspectSealedAs(t *testing.T) {
	t.Parallel()
	env, s, _ := openSealed(t)
	how := object.Sealing{Mode: object.ModeSSEKMS, KeyID: "app", Context: []byte(`{"Bucket":"x","KEY":"y","\u212aey":"z"}`)}
	putSealed(t, s, "bucket", "before", data(10, 1), how)
	err := env.Options().Meta.Update(context.Background(), func(tx *metastore.Tx) error {
		return renameRecord(env.Options().Meta, tx, "before", "after")
	})
	if err != nil {
		t.Fatal(err)
	}
	in := inspect(t, s, "bucket", "after")
	if k := in.Keys[0]; in.Info.Key != "after" || k.SealedBucket != "bucket" || k.SealedKey != "before" {
		t.Errorf("%q sealed as %s/%s", in.Info.Key, k.SealedBucket, k.SealedKey)
	}
	var entries map[string]string
	if err := json.Unmarshal(in.Keys[0].Context, &entries); err != nil || entries["key"] != "before" || len(entries) != 5 {
		t.Errorf("context %s: %v", in.Keys[0].Context, err)
	}
	if got := read(t, s, object.GetRequest{Bucket: "bucket", Key: "after"}); !bytes.Equal(got, data(10, 1)) {
		t.Error("it reads differently")
	}
}

// renameRecord moves a record to another name of its bucket.
func renameRecord(db *metastore.DB, tx *metastore.Tx, from, to string) error {
	var old []byte
	err := db.View(context.Background(), func(v *metastore.View) error {
		start, end := metastore.PrefixRange([]byte{'n'})
		for kv, err := range v.Scan(start, end) {
			if err != nil {
				return err
			}
			if bytes.HasSuffix(kv.Key, []byte(from)) {
				old = bytes.Clone(kv.Key)
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	value, err := tx.GetForUpdate(old)
	if err != nil {
		return err
	}
	if err := tx.Put(append(bytes.Clone(old[:len(old)-len(from)]), to...), value); err != nil {
		return err
	}
	return tx.Delete(old)
}
