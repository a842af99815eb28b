package object

import (
	"context"
	"encoding/json"

	"coffer/cipher"
	"coffer/kms"
	"coffer/metastore"
)

// Inspection tells an administrator how a version is sealed. It holds no key in clear, and what it holds opens nothing
// without the key backends.
type Inspection struct {
	Info   ObjectInfo
	Object string         // object id
	Keys   []InspectedKey // the key slots, which extents name by their index
	Body   InspectedBody
}

// InspectedKey is a DataKey of a version as it is kept: sealed under a KEK, which a MasterKey has wrapped. With SSE-C there
// is a seal, and nothing of the KEK.
type InspectedKey struct {
	Mode        cipher.Mode
	Instance    cipher.InstanceID  // of the backend that wrapped the KEK
	KeyID       string             // of the MasterKey
	Version     uint32             // of the MasterKey, as the KEK is wrapped now
	Fingerprint cipher.Fingerprint // of that version
	Generation  uint32             // of the bucket's KEK; 0: the KEK is the object's own, or a client's key

	Wrapped     []byte // the wrapped KEK with its key id, see kms.Wrapped.Blob
	WrapContext []byte // what it was wrapped under, as JSON
	Context     []byte // what the DataKey is bound to, as JSON; nil: nothing of its own
	Nonce, Tag  []byte // of the sealed DataKey

	SealedBucket string // the names at sealing, as far as they were part of a context
	SealedKey    string

	Extents int   // sealed by it
	Bytes   int64 // of the plaintext
}

// InspectedBody tells where the bytes of a version lie.
type InspectedBody struct {
	ID         string // "" for an empty object
	Extents    int
	Chunks     int    // that it uses, wherever they lie
	Inline     int    // of those, chunks in the metastore
	Pages      int    // of its tree
	References uint32 // records that share it
}

// Inspect tells how a version is sealed. It makes no call to a key service.
func (s *Store) Inspect(ctx context.Context, bucket, key, versionID string) (Inspection, error) {
	in, err := s.inspect(ctx, bucket, key, versionID)
	return in, s.wrap("inspect", bucket, key, err)
}

func (s *Store) inspect(ctx context.Context, bucket, key, versionID string) (in Inspection, err error) {
	r, id, unpin, err := s.findPinned(ctx, bucket, key, versionID)
	if err != nil {
		return in, err
	}
	defer unpin()
	in.Info, in.Object = r.info(bucket, key), r.Object.String()
	err = s.opts.Meta.View(ctx, func(v *metastore.View) error {
		in.Keys = make([]InspectedKey, len(r.Keys))
		for slot, sealed := range r.Keys {
			if err := inspectKey(v, id, sealed, &in.Keys[slot]); err != nil {
				return err
			}
		}
		return in.inspectBody(ctx, v, &r.Body)
	})
	return in, err
}

// inspectKey reads a SealedKey, and the bucket's KEK where that sealed it.
func inspectKey(v *metastore.View, bucket cipher.BucketID, sealed []byte, k *InspectedKey) error {
	var s cipher.SealedKey
	if err := s.UnmarshalBinary(sealed); err != nil {
		return errKindf(KindCorrupt, "sealed key: %w", err)
	}
	k.Mode, k.Generation, k.Context = s.Mode, s.Generation, s.Context
	k.Nonce, k.Tag = s.Nonce(), s.Tag()
	switch {
	case s.Mode == cipher.ModeSSEC:
		return nil
	case s.Generation != 0:
		r, err := readKEK(v.Get, kekID{bucket, s.Generation})
		if err != nil {
			return err
		}
		k.Instance, k.KeyID, k.Version, k.Fingerprint = r.Instance, r.KeyID, r.Version, r.Fingerprint
		k.Wrapped, k.WrapContext = r.wrapped().Blob(), r.Context
	default:
		keyID, _, err := kms.ParseBlob(s.Wrapped)
		if err != nil {
			return errKindf(KindCorrupt, "wrapped kek: %w", err)
		}
		k.Instance, k.KeyID, k.Version, k.Fingerprint = s.Instance, keyID, s.KeyVersion, s.KeyFingerprint
		k.Wrapped, k.WrapContext = s.Wrapped, s.Context
	}
	return k.sealedAs()
}

// sealedAs takes the names at sealing out of the contexts. That of a bucket's KEK names the bucket alone.
func (k *InspectedKey) sealedAs() error {
	for _, sealed := range [][]byte{k.WrapContext, k.Context} {
		if len(sealed) == 0 {
			continue
		}
		var entries map[string]string
		if err := json.Unmarshal(sealed, &entries); err != nil {
			return errKindf(KindCorrupt, "context as sealed: %w", err)
		}
		k.SealedBucket = entries["bucket"]
		if key := entries["key"]; key != "" {
			k.SealedKey = key
		}
	}
	return nil
}

// inspectBody counts what the body is made of, and what each key sealed of it.
func (in *Inspection) inspectBody(ctx context.Context, v *metastore.View, b *body) error {
	if b.ID.IsZero() {
		return nil
	}
	in.Body.ID = b.ID.String()
	chunks := map[cipher.ChunkID]bool{}
	err := b.walk(v, func(extents []extent, pages []cipher.PageID) error {
		if err := validateExtents(extents, len(in.Keys)); err != nil {
			return err
		}
		in.Body.Pages += len(pages)
		in.Body.Extents += len(extents)
		for _, e := range extents {
			in.Keys[e.Slot].Extents++
			in.Keys[e.Slot].Bytes += e.Length
			if !chunks[e.Chunk] && e.Place.inMetastore() {
				in.Body.Inline++
			}
			chunks[e.Chunk] = true
		}
		return ctx.Err()
	})
	in.Body.Chunks = len(chunks)
	if err != nil {
		return err
	}
	in.Body.References, _, err = bodyCount(v.Get, b.ID)
	return err
}
