package admin

import (
	"context"
	"encoding/base64"
	"encoding/json"

	"coffer/kms"
	"coffer/kms/manager"
	"coffer/object"
)

// inspectDoc tells how an object is sealed.
type inspectDoc struct {
	Bucket       string           `json:"bucket"`
	Key          string           `json:"key"`
	VersionID    string           `json:"version_id"`
	ObjectID     string           `json:"object_id"`
	Size         int64            `json:"size"`
	ETag         string           `json:"etag"`
	LastModified string           `json:"last_modified"`
	Parts        int              `json:"parts"`
	Mode         string           `json:"mode"`
	BucketKey    bool             `json:"bucket_key_enabled"`
	Keys         []inspectedKey   `json:"keys"`
	Body         inspectedBodyDoc `json:"body"`
}

// inspectedKey is a key slot.
type inspectedKey struct {
	Slot        int               `json:"slot"`
	Mode        string            `json:"mode"`
	Instance    string            `json:"instance"`
	BackendType string            `json:"backend_type"`
	Builtin     bool              `json:"builtin"`
	Serving     bool              `json:"serving"`
	KeyID       string            `json:"key_id"`
	Version     uint32            `json:"key_version"`
	Fingerprint string            `json:"key_fingerprint"`
	Generation  uint32            `json:"bucket_key_generation"` // 0: the KEK is the object's own, or a client's key
	Extents     int               `json:"extents"`
	Bytes       int64             `json:"bytes"`
	SealedAs    sealedAs          `json:"sealed_as"`
	Metadata    map[string]string `json:"metadata"`
	Rewrap      *rewrapInput      `json:"rewrap,omitempty"`
}

// sealedAs has the names that an object had when its key was sealed, as far as they were bound.
type sealedAs struct {
	Bucket string `json:"bucket"`
	Key    string `json:"key"`
}

// rewrapInput is a body of kms/rewrap.
type rewrapInput struct {
	Ciphertext string            `json:"ciphertext_b64"`
	Context    map[string]string `json:"context"`
}

type inspectedBodyDoc struct {
	ID         string `json:"id"`
	Extents    int    `json:"extents"`
	Chunks     int    `json:"chunks"`
	Inline     int    `json:"chunks_in_metastore"`
	Pages      int    `json:"pages"`
	References uint32 `json:"references"`
}

// inspect tells how an object is sealed, without a call to a backend and without a key.
func (a *API) inspect(ctx context.Context, c *call) (any, error) {
	bucket, key, version := c.Query.Get("bucket"), c.Query.Get("key"), c.Query.Get("versionId")
	if bucket == "" || key == "" {
		return nil, invalid("The query parameters bucket and key must be there.")
	}
	c.bucket, c.object = bucket, key
	in, err := a.o.Engine.Inspect(ctx, bucket, key, version)
	if err != nil {
		return nil, err
	}
	known := a.instances()
	doc := inspectDoc{
		Bucket: bucket, Key: key, VersionID: in.Info.VersionID, ObjectID: in.Object, Size: in.Info.Size, ETag: in.Info.ETag,
		LastModified: timeText(in.Info.ModTime), Parts: in.Info.Parts, Mode: in.Info.Encryption.Mode.String(), BucketKey: in.Info.Encryption.BucketKey,
		Keys: []inspectedKey{},
		Body: inspectedBodyDoc{in.Body.ID, in.Body.Extents, in.Body.Chunks, in.Body.Inline, in.Body.Pages, in.Body.References},
	}
	for slot := range in.Keys {
		k := &in.Keys[slot]
		d, err := newInspectedKey(k, known[k.Instance], in.Info.Encryption.Context)
		if err != nil {
			return nil, err
		}
		d.Slot = slot
		if slot == 0 {
			c.keyID = k.KeyID
			c.about(k.Instance, k.Version)
		}
		doc.Keys = append(doc.Keys, d)
	}
	return doc, nil
}

// instances are the backends by their ids.
func (a *API) instances() map[kms.InstanceID]manager.InstanceStatus {
	known := map[kms.InstanceID]manager.InstanceStatus{}
	for _, in := range a.keys.Status().Instances {
		known[in.ID] = in
	}
	return known
}

func newInspectedKey(k *object.InspectedKey, in manager.InstanceStatus, client []byte) (inspectedKey, error) {
	d := inspectedKey{
		Mode: k.Mode.String(), KeyID: k.KeyID, Version: k.Version, Generation: k.Generation, Extents: k.Extents, Bytes: k.Bytes,
		SealedAs: sealedAs{k.SealedBucket, k.SealedKey},
	}
	if k.Mode != object.ModeSSEC {
		wrapContext, err := contextEntries(k.WrapContext)
		if err != nil {
			return d, err
		}
		d.Instance, d.BackendType, d.Builtin, d.Serving = k.Instance.String(), kebabName(in.Config.Type), in.Builtin, in.Serving
		d.Fingerprint = k.Fingerprint.String()
		d.Rewrap = &rewrapInput{base64.StdEncoding.EncodeToString(k.Wrapped), wrapContext}
	}
	var err error
	d.Metadata, err = sealedMetadata(k, client)
	return d, err
}

func contextEntries(sealed []byte) (entries map[string]string, err error) {
	if len(sealed) > 0 {
		err = json.Unmarshal(sealed, &entries)
	}
	return entries, err
}

// The names that S2 and S0 give to what a server keeps of a sealed object.
const (
	sealedPrefix  = "x-amz-server-side-encryption"
	sealedKeyOfS0 = "x-amz-meta-sse-kms-encrypted-key"
	sealedIVOfS0  = "x-amz-meta-sse-kms-iv"
)

// sealedMetadata shows a sealed key under the names of S2, and with SSE-KMS under those of S0 too. The IV and the tag are
// those of the sealed DataKey.
func sealedMetadata(k *object.InspectedKey, client []byte) (map[string]string, error) {
	text := base64.StdEncoding.EncodeToString
	m := map[string]string{sealedPrefix + "-iv": text(k.Nonce), sealedPrefix + "-tag": text(k.Tag)}
	if k.Mode == object.ModeSSEC {
		m[sealedPrefix+"-customer-algorithm"] = "AES256"
		return m, nil
	}
	m[sealedPrefix], m[sealedPrefix+"-key"] = "AES256", text(k.Wrapped)
	if k.Mode == object.ModeSSEKMS {
		m[sealedPrefix], m[sealedPrefix+"-aws-kms-key-id"] = "aws:kms", k.KeyID
		m[sealedKeyOfS0], m[sealedIVOfS0] = m[sealedPrefix+"-key"], m[sealedPrefix+"-iv"]
	}
	if len(client) > 0 {
		m[sealedPrefix+"-context"] = text(client)
	}
	for _, sealed := range [][]byte{k.WrapContext, k.Context} {
		entries, err := contextEntries(sealed)
		if err != nil {
			return nil, err
		}
		for name, value := range entries {
			m[sealedPrefix+"-context-"+name] = value
		}
	}
	return m, nil
}
