package admin

import (
	"maps"
	"time"

	"coffer/kms"
)

// algorithmToday is how today's RustFS spells kms.AlgorithmAES256.
const algorithmToday = "AES_256"

// keyDoc is what the routes of kms/key answer: the fields of every generation of clients.
type keyDoc struct {
	KeyID     string      `json:"key_id"`
	KeyName   string      `json:"key_name"`
	MCKeyID   string      `json:"key-id"` // of older mc
	Status    string      `json:"status"`
	CreatedAt string      `json:"created_at"`
	Algorithm string      `json:"algorithm"`
	Version   uint32      `json:"version"`
	Metadata  keyMetadata `json:"key_metadata"`
}

func newKeyDoc(k kms.KeyInfo, now time.Time) keyDoc {
	return keyDoc{
		KeyID: k.ID, KeyName: k.ID, MCKeyID: k.ID, Status: statusOf(k.State), CreatedAt: timeText(k.Created), Algorithm: k.Algorithm,
		Version: k.Newest().Number, Metadata: newKeyMetadata(k, now),
	}
}

// keyMetadata describes a key to the routes of kms/keys.
type keyMetadata struct {
	KeyID         string            `json:"key_id"`
	KeyState      string            `json:"key_state"`
	KeyUsage      string            `json:"key_usage"`
	Description   string            `json:"description"`
	CreationDate  string            `json:"creation_date"`
	DeletionDate  *string           `json:"deletion_date"`
	Origin        string            `json:"origin"`
	KeyManager    string            `json:"key_manager"`
	Tags          map[string]string `json:"tags"`
	Algorithm     string            `json:"algorithm"`
	Version       uint32            `json:"version"`
	Versions      []keyVersion      `json:"versions"`
	MaxAgeSeconds int64             `json:"max_age_seconds"`
	RotationDue   bool              `json:"rotation_due"`
	ContextBound  bool              `json:"context_bound"` // the backend checks contexts under this key
}

type keyVersion struct {
	Version   uint32 `json:"version"`
	CreatedAt string `json:"created_at"`
}

func newKeyMetadata(k kms.KeyInfo, now time.Time) keyMetadata {
	m := keyMetadata{
		KeyID: k.ID, KeyState: k.State.String(), KeyUsage: k.Usage, Description: k.Description, CreationDate: timeText(k.Created),
		Origin: k.Origin, KeyManager: "CUSTOMER", Tags: tagsOf(k), Algorithm: k.Algorithm, Version: k.Newest().Number,
		Versions: []keyVersion{}, MaxAgeSeconds: int64(k.MaxAge / time.Second), RotationDue: k.RotationDue(now), ContextBound: !k.Unbound,
	}
	if !k.DeleteAfter.IsZero() {
		m.DeletionDate = new(timeText(k.DeleteAfter))
	}
	for _, v := range k.Versions {
		m.Versions = append(m.Versions, keyVersion{v.Number, timeText(v.Created)})
	}
	return m
}

// listedKey is a key in listings.
type listedKey struct {
	KeyID             string            `json:"key_id"`
	Description       string            `json:"description"`
	Algorithm         string            `json:"algorithm"`
	Usage             string            `json:"usage"`
	Status            string            `json:"status"`
	Version           uint32            `json:"version"`
	Metadata          map[string]string `json:"metadata"`
	Tags              map[string]string `json:"tags"`
	CreatedAt         string            `json:"created_at"`
	RotatedAt         *string           `json:"rotated_at"`
	CreatedBy         string            `json:"created_by"`
	RotationDue       bool              `json:"rotation_due"`
	RotationDueReason string            `json:"rotation_due_reason,omitempty"`
}

func newListedKey(k kms.KeyInfo, now time.Time) listedKey {
	l := listedKey{
		KeyID: k.ID, Description: k.Description, Algorithm: k.Algorithm, Usage: k.Usage, Status: statusOf(k.State),
		Version: k.Newest().Number, Metadata: map[string]string{}, Tags: tagsOf(k), CreatedAt: timeText(k.Created), CreatedBy: k.Origin,
	}
	if len(k.Versions) > 1 {
		l.RotatedAt = new(timeText(k.Newest().Created))
	}
	if k.RotationDue(now) {
		l.RotationDue, l.RotationDueReason = true, "age"
		if len(k.Versions) < 2 {
			l.RotationDueReason = "never_rotated"
		}
	}
	return l
}

// statusOf is a state in the words of S2 and of listings.
func statusOf(s kms.State) string {
	if s == kms.StateEnabled {
		return "Active"
	}
	return s.String()
}

// tagsOf is never nil.
func tagsOf(k kms.KeyInfo) map[string]string {
	tags := map[string]string{}
	maps.Copy(tags, k.Tags)
	return tags
}

// timeText is RFC 3339 in UTC, "" for the zero time.
func timeText(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339)
}
