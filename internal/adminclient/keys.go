package adminclient

import (
	"context"
	"encoding/json"
	"net/url"
	"strconv"
)

// pageOfKeys is how many keys are asked for at a time: as many as the server gives.
const pageOfKeys = 1000

// Key describes a key. Times are RFC 3339 in UTC, here and everywhere; "" is not known.
type Key struct {
	ID           string            `json:"key_id"`
	State        string            `json:"key_state"` // Enabled, Disabled or PendingDeletion
	Description  string            `json:"description"`
	Created      string            `json:"creation_date"`
	DeletionDate *string           `json:"deletion_date"`
	Origin       string            `json:"origin"`
	Algorithm    string            `json:"algorithm"`
	Version      uint32            `json:"version"`
	Versions     []KeyVersion      `json:"versions"`
	Tags         map[string]string `json:"tags"`
	MaxAge       int64             `json:"max_age_seconds"` // 0: none
	RotationDue  bool              `json:"rotation_due"`
	ContextBound bool              `json:"context_bound"` // the backend checks contexts too
}

// KeyVersion is one version of a key.
type KeyVersion struct {
	Number  uint32 `json:"version"`
	Created string `json:"created_at"`
}

// Use counts what depends on a key or a backend.
type Use struct {
	KeyID      string   `json:"key_id"`
	Instance   string   `json:"instance"`
	KEKs       int64    `json:"keks"`
	Objects    int64    `json:"objects"`
	Uploads    int64    `json:"uploads"`
	Open       int64    `json:"open"` // streams, handles and writes that have not ended
	Buckets    []string `json:"bucket_defaults"`
	DefaultKey bool     `json:"service_default"`
}

// Changed is the answer to a change of a key.
type Changed struct {
	Message string `json:"message"`
	Key     Key    `json:"key_metadata"`
}

// NewKey says what key to make. An empty ID asks for a random one.
type NewKey struct {
	ID          string            `json:"key_id,omitempty"`
	Algorithm   string            `json:"algorithm,omitempty"`
	Description string            `json:"description,omitempty"`
	Tags        map[string]string `json:"tags,omitempty"`
}

// CreateKey makes a key.
func (c *Client) CreateKey(ctx context.Context, k NewKey) (Answer[Changed], error) {
	return ask[Changed](ctx, c, "POST", "kms/keys", nil, k)
}

// Described is a key, with what depends on it where that was asked for.
type Described struct {
	Key    Key  `json:"key_metadata"`
	Impact *Use `json:"impact"`
}

// DescribeKey describes a key. With impact the server counts what depends on it.
func (c *Client) DescribeKey(ctx context.Context, keyID string, impact bool) (Answer[Described], error) {
	query := url.Values{}
	if impact {
		query.Set("impact", "true")
	}
	return ask[Described](ctx, c, "GET", "kms/keys/"+segment(keyID), query, nil)
}

// ListedKey is a key in a list.
type ListedKey struct {
	ID          string  `json:"key_id"`
	Status      string  `json:"status"` // Active, Disabled or PendingDeletion
	Version     uint32  `json:"version"`
	Created     string  `json:"created_at"`
	RotatedAt   *string `json:"rotated_at"`
	RotationDue bool    `json:"rotation_due"`
	Description string  `json:"description"`
}

// KeyList is all keys of the backend. Its JSON form has one page's members.
type KeyList struct {
	Keys       []ListedKey
	Unreadable []string // ids of keys that the backend cannot read
}

// ListKeys lists all keys, page by page. The raw document is one list of them all.
func (c *Client) ListKeys(ctx context.Context) (Answer[KeyList], error) {
	type page struct {
		Keys       []json.RawMessage `json:"keys"`
		Truncated  bool              `json:"truncated"`
		Next       string            `json:"next_marker"`
		Unreadable []string          `json:"unreadable_key_ids"`
	}
	var all Answer[KeyList]
	raw := struct {
		Keys       []json.RawMessage `json:"keys"`
		Unreadable []string          `json:"unreadable_key_ids,omitempty"`
	}{Keys: []json.RawMessage{}}
	query := url.Values{"limit": {strconv.Itoa(pageOfKeys)}}
	for more := true; more; {
		p, err := ask[page](ctx, c, "GET", "kms/keys", query, nil)
		if err != nil {
			return all, err
		}
		raw.Keys, raw.Unreadable = append(raw.Keys, p.Doc.Keys...), append(raw.Unreadable, p.Doc.Unreadable...)
		more = p.Doc.Truncated && p.Doc.Next != query.Get("marker")
		query.Set("marker", p.Doc.Next)
	}
	for _, one := range raw.Keys {
		var k ListedKey
		if err := json.Unmarshal(one, &k); err != nil {
			return all, err
		}
		all.Doc.Keys = append(all.Doc.Keys, k)
	}
	all.Doc.Unreadable = raw.Unreadable
	var err error
	all.Raw, err = json.Marshal(raw)
	return all, err
}

type keyIDOnly struct {
	KeyID string `json:"key_id"`
}

// EnableKey enables a key.
func (c *Client) EnableKey(ctx context.Context, id string) (Answer[Changed], error) {
	return ask[Changed](ctx, c, "POST", "kms/keys/enable", nil, keyIDOnly{id})
}

// DisableKey disables a key: nothing new is sealed under it.
func (c *Client) DisableKey(ctx context.Context, id string) (Answer[Changed], error) {
	return ask[Changed](ctx, c, "POST", "kms/keys/disable", nil, keyIDOnly{id})
}

// RotateKey gives a key a new version.
func (c *Client) RotateKey(ctx context.Context, id string) (Answer[Changed], error) {
	return ask[Changed](ctx, c, "POST", "kms/keys/rotate", nil, keyIDOnly{id})
}

// CancelDeletion takes back the deletion of a key.
func (c *Client) CancelDeletion(ctx context.Context, id string) (Answer[Changed], error) {
	return ask[Changed](ctx, c, "POST", "kms/keys/cancel-deletion", nil, keyIDOnly{id})
}

// Deletion says how to delete a key.
type Deletion struct {
	KeyID     string `json:"key_id"`
	Days      *int   `json:"pending_window_in_days,omitempty"` // nil: the server's default
	Immediate bool   `json:"force_immediate,omitempty"`        // now, if nothing needs it
	Force     bool   `json:"force,omitempty"`                  // now, whatever needs it
	Confirm   string `json:"confirm_key_id,omitempty"`         // the id again, for the two above
}

// Deleted is the answer to a deletion.
type Deleted struct {
	Message      string   `json:"message"`
	KeyID        string   `json:"key_id"`
	DeletionDate string   `json:"deletion_date"`
	Impact       *Use     `json:"impact"`
	Receipt      *Receipt `json:"receipt"` // of a key that was destroyed
}

// Receipt tells what a destroyed key took with it.
type Receipt struct {
	Use
	DestroyedAt string `json:"destroyed_at"`
	RequestedBy string `json:"requested_by"`
	RequestID   string `json:"request_id"`
}

// DeleteKey lets a key wait for its deletion, or destroys it.
func (c *Client) DeleteKey(ctx context.Context, d Deletion) (Answer[Deleted], error) {
	return ask[Deleted](ctx, c, "DELETE", "kms/keys/delete", nil, d)
}
