package object_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"slices"
	"testing"

	"coffer/cipher"
	"coffer/kms"
	"coffer/kms/kmstest"
	"coffer/metastore"
	"coffer/object"
	"coffer/object/objecttest"
)

// opened reads an object to its end.
func opened(s *object.Store, bucket, key string, customer *cipher.KEK) ([]byte, error) {
	r, err := s.Get(context.Background(), object.GetRequest{Bucket: bucket, Key: key, Customer: customer})
	if err != nil {
		return nil, err
	}
	defer r.Close()
	return io.ReadAll(r)
}

// envelope gives the one SealedKey of an object.
func envelope(t *testing.T, s *object.Store, bucket, key string) []byte {
	t.Helper()
	keys, err := s.Envelope(context.Background(), bucket, key)
	if err != nil || len(keys) != 1 {
		t.Fatalf("%d sealed keys, %v", len(keys), err)
	}
	return keys[0]
}

func setEnvelope(t *testing.T, s *object.Store, bucket, key string, sealed ...[]byte) {
	t.Helper()
	if err := s.SetEnvelope(context.Background(), bucket, key, sealed...); err != nil {
		t.Fatal(err)
	}
}

// hint reports whether a byte of a SealedKey under a bucket's KEK only tells how that was wrapped when it sealed. The KEK
// is found by its generation, and has been rewrapped or moved since, for all that one knows; so nothing can be compared.
func hint(s *cipher.SealedKey, at int) bool {
	return s.Generation != 0 && at >= 2 && at < 2+2*cipher.IDSize+4
}

// TestEveryBitOfAnEnvelope flips each bit of the SealedKey of an object of each mode, as somebody could who has the keys
// of the metastore. None opens, but for the hints, which change nothing. It is damage, unless what changed is the id of
// the key or its length: then it is one that does not exist.
func TestEveryBitOfAnEnvelope(t *testing.T) {
	t.Parallel()
	customer := cipher.NewKEK()
	for name, how := range sealings(customer) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, s, _ := openSealed(t)
			body := data(200, 1)
			putSealed(t, s, "bucket", "key", body, how)
			good := envelope(t, s, "bucket", "key")
			var sealed cipher.SealedKey
			if err := sealed.UnmarshalBinary(good); err != nil {
				t.Fatal(err)
			}
			id := bytes.Index(good, []byte("\x00\x00\x00\x03app")) + 4
			for bit := range len(good) * 8 {
				bad := bytes.Clone(good)
				bad[bit/8] ^= 1 << (bit % 8)
				setEnvelope(t, s, "bucket", "key", bad)
				got, err := opened(s, "bucket", "key", customerOf(how))
				switch kind := object.KindOf(err); {
				case err == nil && hint(&sealed, bit/8) && bytes.Equal(got, body):
				case err == nil:
					t.Errorf("byte %d, bit %d: it opened", bit/8, bit%8)
				case kind == object.KindCorrupt:
				case kind == object.KindKeyNotFound && bit/8 >= id-4 && bit/8 < id+3:
				case kind == object.KindCustomerKeyWrong && how.Mode == object.ModeSSEC: // it cannot be told apart
				default:
					t.Errorf("byte %d, bit %d: %v", bit/8, bit%8, err)
				}
			}
			setEnvelope(t, s, "bucket", "key", good)
			if got, err := opened(s, "bucket", "key", customerOf(how)); err != nil || !bytes.Equal(got, body) {
				t.Errorf("as it was: %v", err)
			}
		})
	}
}

// TestEveryBitAtRest flips each bit of the record of a small object, as it lies in the metastore: sealed. None is
// believed.
func TestEveryBitAtRest(t *testing.T) {
	t.Parallel()
	for name, how := range sealings(cipher.NewKEK()) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			env, s, _ := openSealed(t)
			putSealed(t, s, "bucket", "key", data(10, 1), how)
			var stored metastore.Write
			for kv := range lying(t, env, "n") {
				stored = kv
			}
			for bit := range len(stored.Value) * 8 {
				bad := bytes.Clone(stored.Value)
				bad[bit/8] ^= 1 << (bit % 8)
				apply(t, env, metastore.Write{Key: stored.Key, Value: bad})
				_, err := opened(s, "bucket", "key", customerOf(how))
				if object.KindOf(err) != object.KindCorrupt {
					t.Fatalf("byte %d, bit %d: %v", bit/8, bit%8, err)
				}
			}
			apply(t, env, stored)
			if _, err := opened(s, "bucket", "key", customerOf(how)); err != nil {
				t.Errorf("as it was: %v", err)
			}
		})
	}
}

// lying yields what lies in the metastore under a prefix.
func lying(t *testing.T, env *objecttest.Env, prefix string) func(func(metastore.Write) bool) {
	t.Helper()
	snap, err := env.Driver.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	defer snap.Release()
	var all []metastore.Write
	from, to := metastore.PrefixRange([]byte(prefix))
	for item, err := range snap.Scan(from, to) {
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, metastore.Write{Key: bytes.Clone(item.Key), Value: bytes.Clone(item.Value)})
	}
	if len(all) == 0 {
		t.Fatalf("nothing lies under %q", prefix)
	}
	return slices.Values(all)
}

func apply(t *testing.T, env *objecttest.Env, writes ...metastore.Write) {
	t.Helper()
	if _, err := env.Driver.Apply(context.Background(), metastore.Batch{Writes: writes}); err != nil {
		t.Fatal(err)
	}
}

// TestEnvelopesAreNotExchanged gives an object the SealedKey, the wrapped KEK or the context of another: of the same
// bucket and of another one, sealed in the same way and in every other.
func TestEnvelopesAreNotExchanged(t *testing.T) {
	t.Parallel()
	customer := cipher.NewKEK()
	for name, how := range sealings(customer) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, s, _ := openSealed(t)
			body := data(200, 1)
			putSealed(t, s, "bucket", "key", body, how)
			own := parse(t, envelope(t, s, "bucket", "key"))
			for other, otherHow := range sealings(customer) {
				for _, bucket := range []string{"bucket", "second"} {
					putSealed(t, s, bucket, "other", data(200, 2), otherHow)
					foreign := parse(t, envelope(t, s, bucket, "other"))
					for what, change := range map[string]func(*cipher.SealedKey){
						"sealed key":  func(k *cipher.SealedKey) { *k = foreign },
						"context":     func(k *cipher.SealedKey) { k.Context = foreign.Context },
						"wrapped KEK": func(k *cipher.SealedKey) { k.Wrapped = foreign.Wrapped },
						"generation":  func(k *cipher.SealedKey) { k.Generation = foreign.Generation },
						"KEK and its context": func(k *cipher.SealedKey) {
							k.Wrapped, k.Generation, k.Context = foreign.Wrapped, foreign.Generation, foreign.Context
						},
						"names of the KEK": func(k *cipher.SealedKey) {
							k.Instance, k.KeyFingerprint, k.KeyVersion = foreign.Instance, foreign.KeyFingerprint, foreign.KeyVersion
						},
					} {
						changed := own
						change(&changed)
						encoded, err := changed.MarshalBinary()
						if changed.Equal(own) || err != nil {
							continue // there is nothing to exchange, or no such envelope
						}
						setEnvelope(t, s, "bucket", "key", encoded)
						got, err := opened(s, "bucket", "key", customerOf(how))
						wantRefusal(t, fmt.Sprintf("%s of %s in %s", what, other, bucket), &own, what, got, body, err)
					}
				}
			}
		})
	}
}

// wantRefusal wants damage, or what cannot be told from it: a client's key that is wrong, missing or not wanted.
func wantRefusal(t *testing.T, what string, own *cipher.SealedKey, part string, got, body []byte, err error) {
	t.Helper()
	switch object.KindOf(err) {
	case object.KindCorrupt, object.KindCustomerKeyWrong, object.KindCustomerKeyMissing, object.KindInvalidRequest:
		return
	}
	if err == nil && part == "names of the KEK" && own.Generation != 0 && bytes.Equal(got, body) {
		return // see hint
	}
	t.Errorf("%s: %v", what, err)
}

func parse(t *testing.T, sealed []byte) cipher.SealedKey {
	t.Helper()
	var s cipher.SealedKey
	if err := s.UnmarshalBinary(sealed); err != nil {
		t.Fatal(err)
	}
	return s
}

// TestGenerationsAreNotExchanged gives a bucket the KEK of another bucket, and of another key.
func TestGenerationsAreNotExchanged(t *testing.T) {
	t.Parallel()
	yes := true
	for name, how := range map[string]object.Sealing{"SSE-S3": {}, "SSE-KMS": {Mode: object.ModeSSEKMS, KeyID: "app", BucketKey: &yes}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, s, _ := openSealed(t)
			generation := func(bucket string, how object.Sealing) uint32 {
				putSealed(t, s, bucket, "key", data(10, 1), how)
				return parse(t, envelope(t, s, bucket, "key")).Generation
			}
			a, b := generation("bucket", how), generation("second", how)
			if err := s.SwapGenerations(context.Background(), "bucket", "second", a, b); err != nil {
				t.Fatal(err)
			}
			for _, bucket := range []string{"bucket", "second"} {
				_, err := opened(s, bucket, "key", nil)
				wantKind(t, err, object.KindCorrupt)
			}
			if err := s.SwapGenerations(context.Background(), "bucket", "second", a, b); err != nil {
				t.Fatal(err)
			}
			other := generation("bucket", object.Sealing{Mode: object.ModeSSEKMS, KeyID: "other", BucketKey: &yes})
			putSealed(t, s, "bucket", "key", data(10, 1), how)
			if err := s.SwapGenerations(context.Background(), "bucket", "bucket", a, other); err != nil {
				t.Fatal(err)
			}
			_, err := opened(s, "bucket", "key", nil)
			wantKind(t, err, object.KindCorrupt)
		})
	}
}

// TestOrderOfAContext: what is authenticated does not depend on the order in which a client names its entries, and
// what is answered is what it sent.
func TestOrderOfAContext(t *testing.T) {
	t.Parallel()
	_, s, fake := openSealed(t)
	const sealed = `{"a":"1","b":"2","bucket":"bucket","c":"3","key":"key"}`
	yes := true
	for _, bucketKey := range []*bool{nil, &yes} {
		for _, sent := range []string{
			`{"a":"1","b":"2","c":"3"}`, `{"c":"3","b":"2","a":"1"}`, `{"b":"2","c":"3","a":"1"}`, ` { "c" : "3", "\u0061":"1", "b":"2" } `,
		} {
			how := object.Sealing{Mode: object.ModeSSEKMS, KeyID: "app", Context: []byte(sent), BucketKey: bucketKey}
			info := putSealed(t, s, "bucket", "key", data(200, 1), how)
			if got := string(info.Encryption.Context); got != sent {
				t.Errorf("%s came back as %s", sent, got)
			}
			k := parse(t, envelope(t, s, "bucket", "key"))
			if string(k.Context) != sealed {
				t.Errorf("%s is sealed as %s", sent, k.Context)
			}
			if got, err := opened(s, "bucket", "key", nil); err != nil || !bytes.Equal(got, data(200, 1)) {
				t.Errorf("%s: %v", sent, err)
			}
			if bucketKey != nil {
				continue
			}
			keyID, ciphertext, err := kms.ParseBlob(k.Wrapped)
			if err != nil {
				t.Fatal(err)
			}
			w := kms.Wrapped{Instance: k.Instance, KeyID: keyID, Fingerprint: k.KeyFingerprint, Version: k.KeyVersion, Ciphertext: ciphertext}
			if _, err := fake.Unwrap(context.Background(), w, []byte(sealed)); err != nil {
				t.Errorf("%s: the backend has another context: %v", sent, err)
			}
		}
	}
}

// TestContextIsAuthenticated changes an entry of the context of an object.
func TestContextIsAuthenticated(t *testing.T) {
	t.Parallel()
	_, s, _ := openSealed(t)
	yes := true
	for name, bucketKey := range map[string]*bool{"own KEK": nil, "bucket's KEK": &yes} {
		putSealed(t, s, "bucket", "key", data(10, 1), object.Sealing{Mode: object.ModeSSEKMS, KeyID: "app", Context: []byte(`{"tenant":"a"}`), BucketKey: bucketKey})
		k := parse(t, envelope(t, s, "bucket", "key"))
		k.Context = bytes.Replace(k.Context, []byte(`"a"`), []byte(`"b"`), 1)
		encoded, err := k.MarshalBinary()
		if err != nil {
			t.Fatal(err)
		}
		setEnvelope(t, s, "bucket", "key", encoded)
		_, err = opened(s, "bucket", "key", nil)
		if object.KindOf(err) != object.KindCorrupt {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// twoBackends has a second backend, whose keys have the same names.
type twoBackends struct {
	object.SingleKey
	second object.Backend
}

// Unwrap asks the backend that is named.
func (b twoBackends) Unwrap(ctx context.Context, w kms.Wrapped, keyContext []byte) (*cipher.KEK, error) {
	if w.Instance == b.second.Instance() {
		return b.second.Unwrap(ctx, w, keyContext)
	}
	return b.SingleKey.Unwrap(ctx, w, keyContext)
}

// TestBackendsAreNotExchanged has another backend open what one has wrapped, under a key of the same name: as it is, and
// with all that the SealedKey says of the other one's key. It gives an object what the other backend has wrapped as well.
func TestBackendsAreNotExchanged(t *testing.T) {
	t.Parallel()
	env := objecttest.New()
	first, second := env.Keyring.(*kmstest.Fake), kmstest.NewFake("app")
	if _, err := first.CreateKey(t.Context(), "app"); err != nil {
		t.Fatal(err)
	}
	s := env.Open(t, func(o *object.Options) {
		smallLayout(o)
		o.Keys = twoBackends{object.SingleKey{Backend: first, KeyID: object.DefaultKeyID}, second}
	})
	newBucket(t, s, "bucket")
	putSealed(t, s, "bucket", "key", data(10, 1), object.Sealing{Mode: object.ModeSSEKMS, KeyID: "app"})
	own := parse(t, envelope(t, s, "bucket", "key"))
	kek, w, err := second.GenerateKEK(t.Context(), "app", own.Context)
	if err != nil {
		t.Fatal(err)
	}
	kek.Wipe()
	for what, change := range map[string]func(*cipher.SealedKey){
		"instance": func(k *cipher.SealedKey) { k.Instance = w.Instance },
		"instance, fingerprint and version": func(k *cipher.SealedKey) {
			k.Instance, k.KeyFingerprint, k.KeyVersion = w.Instance, w.Fingerprint, w.Version
		},
		"wrapped KEK": func(k *cipher.SealedKey) { k.Wrapped = w.Blob() },
		"everything": func(k *cipher.SealedKey) {
			k.Instance, k.KeyFingerprint, k.KeyVersion, k.Wrapped = w.Instance, w.Fingerprint, w.Version, w.Blob()
		},
		"no instance": func(k *cipher.SealedKey) { k.Instance = cipher.InstanceID{} },
	} {
		changed := own
		change(&changed)
		encoded, err := changed.MarshalBinary()
		if err != nil {
			t.Fatal(err)
		}
		setEnvelope(t, s, "bucket", "key", encoded)
		if _, err := opened(s, "bucket", "key", nil); object.KindOf(err) != object.KindCorrupt {
			t.Errorf("%s of another backend: %v", what, err)
		}
	}
}
