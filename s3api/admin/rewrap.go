package admin

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"

	"coffer/kms"
	"coffer/kms/manager"
	"coffer/object"
)

// keyContext gives the bytes that a context is authenticated as: JSON with sorted names, as the engine seals it.
func keyContext(entries map[string]string) ([]byte, error) {
	if entries == nil {
		return nil, nil
	}
	return json.Marshal(entries)
}

// rewrap wraps one KEK by the newest version of its key. The blob names the key, not the backend: the one that serves is
// asked first, then the earlier ones.
func (a *API) rewrap(ctx context.Context, c *call) (any, error) {
	var body struct {
		Ciphertext string            `json:"ciphertext_b64"`
		Context    map[string]string `json:"context"`
		To         *place            `json:"to"`
	}
	if err := c.decode(&body, false); err != nil {
		return nil, err
	}
	to, err := a.target(ctx, body.To)
	if err != nil {
		return nil, err
	}
	blob, err := base64.StdEncoding.DecodeString(body.Ciphertext)
	if err != nil || len(blob) == 0 {
		return nil, refuse(http.StatusBadRequest, "InvalidBase64", "ciphertext_b64 is missing, or is not base64.", "It is the value of x-amz-server-side-encryption-key.")
	}
	w := kms.Wrapped{}
	if w.KeyID, w.Ciphertext, err = kms.ParseBlob(blob); err != nil {
		return nil, invalid("ciphertext_b64 is no wrapped key: %v.", err)
	}
	c.keyID = w.KeyID
	sealed, err := keyContext(body.Context)
	if err != nil {
		return nil, invalid("context: %v.", err)
	}
	w, err = a.rewrapAnywhere(ctx, w, sealed, to)
	if errors.Is(err, kms.Crypto) {
		return nil, refuse(http.StatusBadRequest, "InvalidCiphertext", "The wrapped key does not authenticate under this context.", "%v", err)
	}
	if err != nil {
		return nil, err
	}
	c.about(w.Instance, w.Version)
	doc := struct {
		Ciphertext string `json:"ciphertext_b64"`
		KeyID      string `json:"key_id"`
		Version    uint32 `json:"key_version"`
		Instance   string `json:"instance,omitempty"` // of a move
	}{Ciphertext: base64.StdEncoding.EncodeToString(w.Blob()), KeyID: w.KeyID, Version: w.Version}
	if body.To != nil {
		doc.Instance = w.Instance.String()
	}
	return doc, nil
}

// rewrapAnywhere gives the first success, else the error of the backend that serves.
func (a *API) rewrapAnywhere(ctx context.Context, w kms.Wrapped, sealed []byte, to kms.KeyRef) (kms.Wrapped, error) {
	s := a.keys.Status()
	ids := []kms.InstanceID{{}}
	for _, in := range s.Instances {
		if !in.Serving && in.Open {
			ids = append(ids, in.ID)
		}
	}
	var first error
	for _, id := range ids {
		done, err := a.rewrapOne(ctx, id, w, sealed, to)
		if err == nil {
			return done, nil
		}
		if first == nil {
			first = err
		}
	}
	return kms.Wrapped{}, first
}

// rewrapOne rewraps what a backend has wrapped, or moves it.
func (a *API) rewrapOne(ctx context.Context, id kms.InstanceID, w kms.Wrapped, sealed []byte, to kms.KeyRef) (done kms.Wrapped, err error) {
	if to != (kms.KeyRef{}) {
		w.Instance = id
		return a.keys.Move(ctx, w, sealed, to)
	}
	err = a.keys.Do(ctx, id, func(ctx context.Context, s manager.Service) (err error) {
		done, err = s.Rewrap(ctx, w, sealed)
		return err
	})
	return done, err
}

// place is a backend and a key of it, as requests name them.
type place struct {
	Backend string `json:"backend"` // the id of an instance; "" or "serving" is the one that serves
	KeyID   string `json:"key_id"`
}

// target finds the key that KEKs are to move to, the zero one for none. The key is the default one where it is not named.
func (a *API) target(ctx context.Context, p *place) (kms.KeyRef, error) {
	if p == nil {
		return kms.KeyRef{}, nil
	}
	if p.Backend == "" || p.Backend == serving {
		ref, err := a.keys.Resolve(ctx, object.ModeSSEKMS, p.KeyID)
		return kms.KeyRef{Instance: ref.Instance, KeyID: ref.KeyID}, err
	}
	id, err := a.findInstance(p.Backend)
	keyID := p.KeyID
	if keyID == "" {
		keyID = a.defaultKey()
	}
	return kms.KeyRef{Instance: id, KeyID: keyID}, err
}

// serving names the backend that serves, whichever it is.
const serving = "serving"

// origin narrows work to what a backend, a key or both have wrapped.
func (a *API) origin(p *place) (ref kms.KeyRef, err error) {
	switch {
	case p == nil:
		return ref, nil
	case p.Backend == serving:
		ref.Instance = a.keys.Status().Instance
	case p.Backend != "":
		ref.Instance, err = a.findInstance(p.Backend)
	}
	ref.KeyID = p.KeyID
	return ref, err
}

// findInstance finds a backend by its id in kms/status.
func (a *API) findInstance(id string) (kms.InstanceID, error) {
	for _, in := range a.keys.Status().Instances {
		if in.ID.String() == id {
			return in.ID, nil
		}
	}
	return kms.InstanceID{}, refuse(http.StatusNotFound, "NotFound", "There is no such backend instance.", "kms/status lists them.")
}

// rewrapBody is the body of kms/rewrap-bucket.
type rewrapBody struct {
	Bucket     string `json:"bucket"`
	Prefix     string `json:"prefix"`
	Recursive  *bool  `json:"recursive"`
	PageSize   *int   `json:"page_size"`
	MaxObjects *int   `json:"max_objects"`
	DryRun     bool   `json:"dry_run"`
	After      string `json:"after"`
	To         *place `json:"to"`
	From       *place `json:"from"`
}

func (b *rewrapBody) request() (object.RewrapRequest, error) {
	r := object.RewrapRequest{Bucket: b.Bucket, Prefix: b.Prefix, DryRun: b.DryRun, After: b.After, Shallow: b.Recursive != nil && !*b.Recursive}
	switch {
	case b.Bucket == "":
		return r, invalid("bucket is missing.")
	case b.PageSize != nil && (*b.PageSize < 1 || *b.PageSize > 1000):
		return r, invalid("page_size is not within 1 and 1000.")
	case b.MaxObjects != nil && *b.MaxObjects < 1:
		return r, invalid("max_objects is not positive.")
	}
	set(&r.PageSize, b.PageSize)
	set(&r.MaxObjects, b.MaxObjects)
	return r, nil
}

// rewrapDoc answers kms/rewrap-bucket. A dry run has Matched and WouldRewrap; both count objects, as Rewrapped does.
type rewrapDoc struct {
	Bucket      string        `json:"bucket"`
	Prefix      string        `json:"prefix"`
	DryRun      bool          `json:"dry_run"`
	Matched     int           `json:"matched"`
	WouldRewrap *int          `json:"would_rewrap,omitempty"`
	Rewrapped   int           `json:"rewrapped"`
	Uploads     int           `json:"uploads"`
	KEKs        int           `json:"keks"`
	SharedKEK   bool          `json:"shared_kek"`
	Failed      int           `json:"failed"`
	Processed   int           `json:"processed"`
	Skipped     int           `json:"skipped"`
	Errors      []rewrapError `json:"errors"`
	Next        string        `json:"next"`
}

type rewrapError struct {
	Key    string `json:"key"`
	Status string `json:"status"`
	Error  string `json:"error"`
}

// rewrapBucket rewraps what a bucket holds. Objects that fail are told one by one, with status 200.
func (a *API) rewrapBucket(ctx context.Context, c *call) (any, error) {
	var body rewrapBody
	if err := c.decode(&body, false); err != nil {
		return nil, err
	}
	req, err := body.request()
	if err != nil {
		return nil, err
	}
	c.bucket = req.Bucket
	if req.To, err = a.target(ctx, body.To); err != nil {
		return nil, err
	}
	if req.From, err = a.origin(body.From); err != nil {
		return nil, err
	}
	report, err := a.o.Engine.Rewrap(ctx, req)
	if err != nil {
		return nil, err
	}
	if len(report.Errors) > 0 {
		c.failedPartly(report.Errors[0].Err)
	}
	doc := rewrapDoc{
		Bucket: req.Bucket, Prefix: req.Prefix, DryRun: req.DryRun, Matched: report.Matched, Rewrapped: report.Rewrapped,
		Uploads: report.Uploads, KEKs: report.KEKs,
		SharedKEK: report.SharedKEK, Failed: report.Failed, Processed: report.Matched,
		Skipped: report.Matched - report.Outdated - report.Failed, Errors: []rewrapError{}, Next: report.Next,
	}
	if req.DryRun {
		doc.WouldRewrap = &report.Outdated
	} else {
		doc.Skipped = report.Matched - report.Rewrapped - report.Failed
	}
	doc.Skipped = max(doc.Skipped, 0)
	for _, e := range report.Errors {
		doc.Errors = append(doc.Errors, rewrapError{e.Key, "failed", e.Err.Error()})
	}
	return doc, nil
}

// censusEntry counts what depends on a version of a key.
type censusEntry struct {
	Instance    string `json:"instance"`
	BackendType string `json:"backend_type"`
	Builtin     bool   `json:"builtin"`
	Serving     bool   `json:"serving"`
	KeyID       string `json:"key_id"`
	Version     uint32 `json:"version"`
	KEKs        int64  `json:"keks"`
	Objects     int64  `json:"objects"`
	Uploads     int64  `json:"uploads"`
}

// censusDoc answers kms/census.
type censusDoc struct {
	Entries  []censusEntry `json:"entries"`
	Counted  bool          `json:"counted"`  // the records were counted just now
	Repaired int           `json:"repaired"` // kept counts that differed from them, and were set right
}

// census tells what depends on each version of each key. The counts are kept; the records are counted when asked.
func (a *API) census(ctx context.Context, c *call) (any, error) {
	only, _ := c.queryKey()
	rebuild, err := c.flag("rebuild")
	if err != nil {
		return nil, err
	}
	doc := censusDoc{Entries: []censusEntry{}, Counted: rebuild}
	c.bucket = c.Query.Get("bucket")
	var entries []object.CensusEntry
	if rebuild {
		var check object.CensusCheck
		check, err = a.o.Engine.CheckCensus(ctx)
		entries, doc.Repaired = check.Entries, check.Repaired
	}
	switch {
	case err != nil:
	case c.bucket != "":
		entries, err = a.o.Engine.BucketCensus(ctx, c.bucket)
	case !rebuild:
		entries, err = a.o.Engine.Census(ctx)
	}
	if err != nil {
		return nil, err
	}
	known := a.instances()
	for _, e := range entries {
		if only != "" && e.KeyID != only {
			continue
		}
		in := known[e.Instance]
		doc.Entries = append(doc.Entries, censusEntry{
			e.Instance.String(), kebabName(in.Config.Type), in.Builtin, in.Serving, e.KeyID, e.Version, e.KEKs, e.Objects, e.Uploads,
		})
	}
	return doc, nil
}

// generateDataKey makes a data key and gives it in clear, to those who encrypt by themselves.
func (a *API) generateDataKey(ctx context.Context, c *call) (any, error) {
	var body struct {
		KeyID   string            `json:"key_id"`
		KeySpec string            `json:"key_spec"`
		Context map[string]string `json:"encryption_context"`
	}
	if err := c.decode(&body, true); err != nil {
		return nil, err
	}
	if c.keyID = body.KeyID; c.keyID == "" {
		return nil, invalid("key_id is missing.")
	}
	switch body.KeySpec {
	case "", algorithmToday, "Aes256", kms.AlgorithmAES256:
	default:
		return nil, refuse(http.StatusNotImplemented, "NotImplemented", "There are no data keys of this key_spec.", "There is AES_256.")
	}
	sealed, err := keyContext(body.Context)
	if err != nil {
		return nil, invalid("encryption_context: %v.", err)
	}
	var doc struct {
		KeyID     string `json:"key_id"`
		Plaintext string `json:"plaintext_key"`
		Blob      string `json:"ciphertext_blob"`
	}
	err = a.do(ctx, func(ctx context.Context, s manager.Service) error {
		kek, w, err := s.GenerateKEK(ctx, body.KeyID, sealed)
		if err != nil {
			return err
		}
		defer kek.Wipe()
		c.about(s.Instance(), w.Version)
		doc.KeyID, doc.Plaintext, doc.Blob = w.KeyID, base64.StdEncoding.EncodeToString(kek.Expose()), base64.StdEncoding.EncodeToString(w.Blob())
		return nil
	})
	if err != nil {
		return nil, err
	}
	return doc, nil
}
