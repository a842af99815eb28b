package adminclient

import (
	"context"
	"net/url"
)

// RewrapBucket says what to rewrap in one request.
type RewrapBucket struct {
	Bucket     string `json:"bucket"`
	Prefix     string `json:"prefix,omitempty"`
	Recursive  bool   `json:"recursive"`
	PageSize   int    `json:"page_size,omitempty"`
	MaxObjects int    `json:"max_objects,omitempty"` // that are rewrapped; 0: all
	DryRun     bool   `json:"dry_run,omitempty"`
	After      string `json:"after,omitempty"` // the Next of an answer
	To         *Place `json:"to,omitempty"`    // as in NewJob
	From       *Place `json:"from,omitempty"`
}

// Rewrapped says what was found and done.
type Rewrapped struct {
	Matched     int           `json:"matched"`
	WouldRewrap int           `json:"would_rewrap"` // of a dry run
	Rewrapped   int           `json:"rewrapped"`
	Uploads     int           `json:"uploads"`
	KEKs        int           `json:"keks"`
	SharedKEK   bool          `json:"shared_kek"`
	Failed      int           `json:"failed"`
	Skipped     int           `json:"skipped"`
	Errors      []RewrapError `json:"errors"`
	Next        string        `json:"next"`
}

// RewrapError is an object that was not rewrapped.
type RewrapError struct {
	Key   string `json:"key"`
	Error string `json:"error"`
}

// Rewrap rewraps what a bucket holds, within one request.
func (c *Client) Rewrap(ctx context.Context, r RewrapBucket) (Answer[Rewrapped], error) {
	return ask[Rewrapped](ctx, c, "POST", "kms/rewrap-bucket", nil, r)
}

// Inspected tells how an object is sealed.
type Inspected struct {
	Bucket       string         `json:"bucket"`
	Key          string         `json:"key"`
	VersionID    string         `json:"version_id"`
	ObjectID     string         `json:"object_id"`
	Size         int64          `json:"size"`
	ETag         string         `json:"etag"`
	LastModified string         `json:"last_modified"`
	Parts        int            `json:"parts"`
	Mode         string         `json:"mode"`
	BucketKey    bool           `json:"bucket_key_enabled"`
	Keys         []InspectedKey `json:"keys"`
	Body         InspectedBody  `json:"body"`
}

// InspectedKey is one of its sealed keys.
type InspectedKey struct {
	Slot        int    `json:"slot"`
	Mode        string `json:"mode"`
	Instance    string `json:"instance"`
	BackendType string `json:"backend_type"`
	Builtin     bool   `json:"builtin"`
	KeyID       string `json:"key_id"`
	Version     uint32 `json:"key_version"`
	Fingerprint string `json:"key_fingerprint"`
	Generation  uint32 `json:"bucket_key_generation"`
	Extents     int    `json:"extents"`
	Bytes       int64  `json:"bytes"`
	SealedAs    struct {
		Bucket string `json:"bucket"`
		Key    string `json:"key"`
	} `json:"sealed_as"`
	Metadata map[string]string `json:"metadata"`
}

// InspectedBody tells where its bytes lie.
type InspectedBody struct {
	Extents    int    `json:"extents"`
	Chunks     int    `json:"chunks"`
	Inline     int    `json:"chunks_in_metastore"`
	Pages      int    `json:"pages"`
	References uint32 `json:"references"`
}

// Inspect tells how an object is sealed. versionID "" is the current version.
func (c *Client) Inspect(ctx context.Context, bucket, key, versionID string) (Answer[Inspected], error) {
	query := url.Values{"bucket": {bucket}, "key": {key}}
	if versionID != "" {
		query.Set("versionId", versionID)
	}
	return ask[Inspected](ctx, c, "GET", "kms/inspect", query, nil)
}
