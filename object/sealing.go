package object

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"io"
	"time"
	"unicode/utf8"

	"coffer/cipher"
	"coffer/kms"
)

// MaxClientContext is the longest encryption context of a client, in bytes of JSON.
const MaxClientContext = 8 << 10

// sealingPlan is a Sealing with everything decided that a request leaves open.
type sealingPlan struct {
	mode      cipher.Mode
	ref       kms.KeyRef // not for SSE-C
	bucketKey bool       // the KEK is the bucket's; always for SSE-S3
	client    []byte     // SSE-KMS: the client's context, as sent
	context   []byte     // SSE-KMS: what is sealed: the client's entries, bucket and key
	subject   Subject
	customer  *cipher.KEK
	uses      []*use // of the SealedKeys made by the plan, until done
}

// done tells that what was sealed by the plan is committed, or will not be.
func (p *sealingPlan) done() {
	for _, u := range p.uses {
		u.end()
	}
}

// planSealing decides how a new object is sealed: what the request asks for, else the bucket's default, else SSE-S3.
func (s *Store) planSealing(ctx context.Context, bucket, key string, b *bucketRecord, want *Sealing) (*sealingPlan, error) {
	p := &sealingPlan{
		mode: want.Mode, client: want.Context, customer: want.Customer, subject: Subject{Bucket: bucket, Key: key, Seals: true},
	}
	if p.mode == 0 {
		p.mode = orDefault(b.Encryption.Mode, cipher.ModeSSES3)
	}
	switch p.mode {
	case cipher.ModeSSEC:
		if b.Encryption.BlockSSEC {
			return nil, errKind(KindSSECBlocked)
		}
		if p.customer == nil {
			return nil, errKind(KindCustomerKeyMissing)
		}
		return p, nil
	case cipher.ModeSSEKMS:
		return p, s.planKMS(ctx, bucket, key, b, want, p)
	}
	var err error
	p.bucketKey = true
	p.ref, err = s.opts.Keys.Resolve(ctx, cipher.ModeSSES3, "")
	return p, err
}

func (s *Store) planKMS(ctx context.Context, bucket, key string, b *bucketRecord, want *Sealing, p *sealingPlan) error {
	keyID := want.KeyID
	if keyID == "" && b.Encryption.Mode == cipher.ModeSSEKMS {
		keyID = b.Encryption.KeyID
	}
	p.bucketKey = b.Encryption.Mode == cipher.ModeSSEKMS && b.Encryption.BucketKey
	if want.BucketKey != nil {
		p.bucketKey = *want.BucketKey
	}
	var err error
	if p.context, err = sealedContext(want.Context, bucket, key); err != nil {
		return err
	}
	p.ref, err = s.opts.Keys.Resolve(ctx, cipher.ModeSSEKMS, keyID)
	return err
}

// isZero reports whether nothing was asked for.
func (w *Sealing) isZero() bool {
	return w.Mode == 0 && w.KeyID == "" && w.Context == nil && w.BucketKey == nil && w.Customer == nil
}

// stored is what the record says of the encryption.
func (p *sealingPlan) stored() storedEncryption {
	if p.mode == cipher.ModeSSES3 {
		return storedEncryption{}
	}
	return storedEncryption{Mode: p.mode, KeyID: p.ref.KeyID, Context: p.client, BucketKey: p.mode == cipher.ModeSSEKMS && p.bucketKey}
}

// wantsMD5 reports whether the entity tag is the plaintext's MD5. In the other modes it must say nothing of the
// plaintext (https://docs.aws.amazon.com/AmazonS3/latest/API/API_Object.html).
func (e storedEncryption) wantsMD5() bool { return e.Mode == 0 }

// ValidateContext refuses what is no JSON object of strings, has a name twice, names "bucket" or "key", which the server
// adds itself, or is longer than MaxClientContext. Errors are of KindInvalidArgument.
func ValidateContext(client []byte) error {
	_, err := parseContext(client)
	return err
}

// parseContext returns the entries of a client's context.
func parseContext(client []byte) (map[string]string, error) {
	entries := map[string]string{}
	if len(client) == 0 {
		return entries, nil
	}
	bad := func(why string) (map[string]string, error) {
		return nil, errKindf(KindInvalidArgument, "encryption context: %s", why)
	}
	if len(client) > MaxClientContext || !utf8.Valid(client) {
		return bad("too long, or not UTF-8")
	}
	d := json.NewDecoder(bytes.NewReader(client))
	if token, err := d.Token(); err != nil || token != json.Delim('{') {
		return bad("not a JSON object")
	}
	for d.More() {
		name, err := d.Token()
		if err != nil {
			return bad("not JSON")
		}
		value, err := d.Token()
		text, ok := value.(string)
		if err != nil || !ok {
			return bad("a value is not a string")
		}
		if _, twice := entries[name.(string)]; twice || name == "bucket" || name == "key" {
			return bad("a name stands twice, or is one of the server's own: bucket, key")
		}
		entries[name.(string)] = text
	}
	if _, err := d.Token(); err != nil {
		return bad("not JSON")
	}
	if _, err := d.Token(); err != io.EOF {
		return bad("something follows the object")
	}
	return entries, nil
}

// sealedContext is the context that is authenticated: the client's entries with the bucket and the key as they are now,
// as JSON with sorted names.
func sealedContext(client []byte, bucket, key string) ([]byte, error) {
	entries, err := parseContext(client)
	if err != nil {
		return nil, err
	}
	entries["bucket"], entries["key"] = bucket, key
	sealed, err := json.Marshal(entries)
	if err == nil && len(sealed) > cipher.MaxContext {
		err = errKindf(KindInvalidArgument, "encryption context: too long together with the key")
	}
	return sealed, err
}

// keyring seals and opens the DataKeys of objects.
type keyring struct {
	service KeyService
	buckets *bucketKeys
	store   cipher.StoreID
	uses    *uses
	observe func(Work) // is told of keys that cannot be had
}

func newKeyring(opts *Options) *keyring {
	u := newUses()
	return &keyring{service: opts.Keys, buckets: newBucketKeys(opts, u), store: opts.StoreID, uses: u, observe: opts.Observe}
}

func (k *keyring) binding(bucket cipher.BucketID, object cipher.ObjectID) cipher.Binding {
	return cipher.Binding{Store: k.store, Bucket: bucket, Object: object}
}

// seal makes a DataKey for an object and seals it as planned. The caller wipes the DataKey.
func (k *keyring) seal(ctx context.Context, name string, b *bucketRecord, object cipher.ObjectID, p *sealingPlan) (*cipher.DataKey, []byte, error) {
	key := cipher.NewDataKey()
	sealed, err := k.sealKey(ctx, name, b, object, p, key)
	if err != nil {
		key.Wipe()
		return nil, nil, err
	}
	return key, sealed, nil
}

// sealKey seals a DataKey for an object as planned. The plan is to be told when that is done with.
func (k *keyring) sealKey(ctx context.Context, name string, b *bucketRecord, object cipher.ObjectID, p *sealingPlan, key *cipher.DataKey) (box []byte, err error) {
	defer func(start time.Time) {
		if err != nil {
			worker{observe: k.observe, mode: p.mode}.did(ctx, 0, start, err)
		}
	}(time.Now())
	kek, sealed, err := k.kek(ctx, name, b, p)
	if err != nil {
		return nil, err
	}
	if kek != p.customer {
		defer kek.Wipe()
	}
	if err := sealed.Seal(kek, key, k.binding(b.ID, object)); err != nil {
		return nil, err
	}
	return sealed.MarshalBinary()
}

// kek returns the KEK of a plan, and the SealedKey that names it.
func (k *keyring) kek(ctx context.Context, name string, b *bucketRecord, p *sealingPlan) (*cipher.KEK, *cipher.SealedKey, error) {
	ctx = withSubjects(ctx, p.subject)
	switch {
	case p.mode == cipher.ModeSSEC:
		return p.customer, &cipher.SealedKey{Mode: cipher.ModeSSEC}, nil
	case p.bucketKey:
		return k.buckets.issue(ctx, name, b, p)
	}
	u := k.uses.begin()
	p.uses = append(p.uses, u)
	kek, w, err := k.service.GenerateKEK(kms.BegunWith(ctx, p.ref.Instance), p.mode, p.ref.KeyID, p.context)
	if err != nil {
		u.end()
		return nil, nil, err
	}
	u.holdVersions(masterVersion{w.Instance, w.KeyID, w.Version})
	return kek, &cipher.SealedKey{
		Mode: p.mode, Instance: w.Instance, KeyFingerprint: w.Fingerprint, KeyVersion: w.Version, Wrapped: w.Blob(), Context: p.context,
	}, nil
}

// open opens a SealedKey of the object that ctx has as its subject. customer is the client's key, for SSE-C alone.
func (k *keyring) open(ctx context.Context, bucket cipher.BucketID, object cipher.ObjectID, sealed []byte, customer *cipher.KEK) (key *cipher.DataKey, err error) {
	var s cipher.SealedKey
	defer func(start time.Time) {
		if err != nil {
			worker{observe: k.observe, opened: true, mode: s.Mode}.did(ctx, 0, start, err)
		}
	}(time.Now())
	if err := s.UnmarshalBinary(sealed); err != nil {
		return nil, errKindf(KindCorrupt, "sealed key: %w", err)
	}
	if s.Mode == cipher.ModeSSEC {
		return k.openCustomer(&s, bucket, object, customer)
	}
	if customer != nil {
		return nil, errKindf(KindInvalidRequest, "the object is not encrypted with a client's key")
	}
	kek, err := k.findKEK(ctx, bucket, &s)
	if err != nil {
		return nil, err
	}
	defer kek.Wipe()
	return s.Open(kek, k.binding(bucket, object))
}

func (k *keyring) openCustomer(s *cipher.SealedKey, bucket cipher.BucketID, object cipher.ObjectID, customer *cipher.KEK) (*cipher.DataKey, error) {
	if customer == nil {
		return nil, errKind(KindCustomerKeyMissing)
	}
	key, err := s.Open(customer, k.binding(bucket, object))
	if errors.Is(err, cipher.ErrAuth) {
		return nil, errKind(KindCustomerKeyWrong)
	}
	return key, err
}

// findKEK gives back the KEK that a SealedKey names.
func (k *keyring) findKEK(ctx context.Context, bucket cipher.BucketID, s *cipher.SealedKey) (*cipher.KEK, error) {
	if s.Generation != 0 {
		return k.buckets.open(ctx, kekID{bucket, s.Generation})
	}
	keyID, ciphertext, err := kms.ParseBlob(s.Wrapped)
	if err != nil {
		return nil, errKindf(KindCorrupt, "wrapped kek: %w", err)
	}
	if s.Instance.IsZero() || s.KeyVersion == 0 || s.KeyFingerprint == (cipher.Fingerprint{}) { // "not known" to a backend, which would let it pass
		return nil, errKindf(KindCorrupt, "sealed key: it does not say what wrapped its KEK")
	}
	return k.service.Unwrap(ctx, kms.Wrapped{
		Instance: s.Instance, KeyID: keyID, Fingerprint: s.KeyFingerprint, Version: s.KeyVersion, Ciphertext: ciphertext,
	}, s.Context)
}

// randomMD5 stands in for the MD5 of a plaintext where the entity tag must not tell it.
func randomMD5() []byte {
	sum := make([]byte, 16)
	_, _ = rand.Read(sum) // never fails
	return sum
}
