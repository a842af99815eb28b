package admin

import (
	"context"
	"math"
	"strconv"
	"strings"
	"time"

	"coffer/kms"
	"coffer/kms/manager"
)

// changedKey is the answer to a change of a key.
type changedKey struct {
	Success  bool        `json:"success"`
	Message  string      `json:"message"`
	KeyID    string      `json:"key_id"`
	Metadata keyMetadata `json:"key_metadata"`
}

func (a *API) changed(message string, k kms.KeyInfo, err error) (any, error) {
	if err != nil {
		return nil, err
	}
	return changedKey{true, message, k.ID, newKeyMetadata(k, a.o.Now())}, nil
}

func (a *API) createKeyWith(ctx context.Context, c *call) (any, error) {
	var body createBody
	if err := c.decodeOptional(&body, true); err != nil {
		return nil, err
	}
	k, err := a.create(ctx, c, &body)
	return a.changed("Key created.", k, err)
}

func (a *API) describeKey(ctx context.Context, c *call) (any, error) {
	id := c.segment
	c.keyID = id
	impact := false
	if c.Query.Has("impact") {
		switch c.Query.Get("impact") {
		case "true":
			impact = true
		case "false":
		default:
			return nil, invalid("impact is neither true nor false.")
		}
	}
	k, err := a.about(ctx, c, func(ctx context.Context, s manager.Service) (kms.KeyInfo, error) { return s.DescribeKey(ctx, id) })
	if err != nil {
		return nil, err
	}
	answer := struct {
		Success  bool        `json:"success"`
		Message  string      `json:"message"`
		Metadata keyMetadata `json:"key_metadata"`
		Impact   *Use        `json:"impact"`
	}{Success: true, Message: "Key found.", Metadata: newKeyMetadata(k, a.o.Now())}
	if impact {
		if answer.Impact, err = a.useOf(ctx, a.keys.Status().Instance, id); err != nil {
			return nil, err
		}
	}
	return answer, nil
}

// keyPage is a page of kms/keys.
type keyPage struct {
	Success    bool        `json:"success"`
	Message    string      `json:"message"`
	Keys       []listedKey `json:"keys"`
	Truncated  bool        `json:"truncated"`
	NextMarker *string     `json:"next_marker"`
	Unreadable []string    `json:"unreadable_key_ids,omitempty"`
}

const defaultKeyPage = 100

// listKeyPage lists a page of keys. Filters are applied after the page is cut, so that a short page may have followers.
func (a *API) listKeyPage(ctx context.Context, c *call) (any, error) {
	limit, err := c.limit()
	if err != nil {
		return nil, err
	}
	keep, err := c.filter()
	if err != nil {
		return nil, err
	}
	doc := keyPage{Success: true, Message: "Keys listed.", Keys: []listedKey{}}
	if limit == 0 {
		return doc, nil
	}
	var page kms.KeyPage
	err = a.do(ctx, func(ctx context.Context, s manager.Service) error {
		page, err = s.ListKeys(ctx, c.Query.Get("marker"), limit)
		return err
	})
	if err != nil {
		return nil, err
	}
	for _, k := range page.Keys {
		switch {
		case k.Fault != nil:
			doc.Unreadable = append(doc.Unreadable, k.ID)
		case keep(k):
			doc.Keys = append(doc.Keys, newListedKey(a.keys.WithMaxAge(k), a.o.Now()))
		}
	}
	if doc.Truncated = page.More && len(page.Keys) > 0; doc.Truncated {
		doc.NextMarker = new(page.Keys[len(page.Keys)-1].ID)
	}
	return doc, nil
}

// limit is the length of a page: 100 when it is absent, at most 1,000.
func (c *call) limit() (int, error) {
	if !c.Query.Has("limit") {
		return defaultKeyPage, nil
	}
	n, err := strconv.ParseUint(c.Query.Get("limit"), 10, 64)
	if err != nil && n != math.MaxUint64 { // a number that is too large saturates
		return 0, invalid("limit is no number of keys.")
	}
	return int(min(n, kms.MaxListedKeys)), nil //nolint:gosec // at most 1,000
}

// filter reads status and usage. Case, "_" and "-" do not matter.
func (c *call) filter() (func(kms.KeyInfo) bool, error) {
	plain := strings.NewReplacer("_", "", "-", "")
	word := func(name string) string { return plain.Replace(strings.ToLower(c.Query.Get(name))) }
	status, usage := word("status"), word("usage")
	switch status {
	case "", "active", "disabled", "pendingdeletion", "deleted":
	default:
		return nil, invalid("status is none of Active, Disabled, PendingDeletion and Deleted.")
	}
	switch usage {
	case "", "encryptdecrypt", "signverify":
	default:
		return nil, invalid("usage is neither EncryptDecrypt nor SignVerify.")
	}
	return func(k kms.KeyInfo) bool {
		return (status == "" || strings.ToLower(statusOf(k.State)) == status) && (usage == "" || strings.ToLower(k.Usage) == usage)
	}, nil
}

// changeKey makes a change that needs nothing but the key.
func (a *API) changeKey(ctx context.Context, c *call, message string, fn func(context.Context, any, string) (kms.KeyInfo, error)) (any, error) {
	id, err := c.wantKey()
	if err != nil {
		return nil, err
	}
	k, err := a.about(ctx, c, func(ctx context.Context, s manager.Service) (kms.KeyInfo, error) { return fn(ctx, s, id) })
	return a.changed(message, k, err)
}

func (a *API) enableKey(ctx context.Context, c *call) (any, error) {
	return a.changeKey(ctx, c, "Key enabled.", kms.EnableKey)
}

func (a *API) disableKey(ctx context.Context, c *call) (any, error) {
	return a.changeKey(ctx, c, "Key disabled.", kms.DisableKey)
}

func (a *API) cancelDeletion(ctx context.Context, c *call) (any, error) {
	return a.changeKey(ctx, c, "Deletion cancelled.", kms.CancelDeletion)
}

func (a *API) rotateKeyMetadata(ctx context.Context, c *call) (any, error) {
	return a.changeKey(ctx, c, "Key rotated.", func(ctx context.Context, b any, id string) (kms.KeyInfo, error) {
		return b.(manager.Service).RotateKey(ctx, id)
	})
}

// describeWith decodes a body that names a key, and makes the change that it asks for.
func (a *API) describeWith(ctx context.Context, c *call, message string, body any, id *string, fn func(context.Context, any) (kms.KeyInfo, error)) (any, error) {
	if err := c.decode(body, true); err != nil {
		return nil, err
	}
	if c.keyID = *id; c.keyID == "" {
		return nil, invalid("key_id is missing.")
	}
	k, err := a.about(ctx, c, func(ctx context.Context, s manager.Service) (kms.KeyInfo, error) { return fn(ctx, s) })
	return a.changed(message, k, err)
}

func (a *API) updateDescription(ctx context.Context, c *call) (any, error) {
	var body struct {
		KeyID       string  `json:"key_id"`
		Description *string `json:"description"`
	}
	return a.describeWith(ctx, c, "Description updated.", &body, &body.KeyID, func(ctx context.Context, b any) (kms.KeyInfo, error) {
		if body.Description == nil {
			return kms.KeyInfo{}, invalid(`description is missing; "" removes it.`)
		}
		return kms.SetDescription(ctx, b, body.KeyID, *body.Description)
	})
}

func (a *API) tagKey(ctx context.Context, c *call) (any, error) {
	var body struct {
		KeyID string            `json:"key_id"`
		Tags  map[string]string `json:"tags"`
	}
	return a.describeWith(ctx, c, "Key tagged.", &body, &body.KeyID, func(ctx context.Context, b any) (kms.KeyInfo, error) {
		if _, ok := body.Tags[nameTag]; ok || len(body.Tags) == 0 {
			return kms.KeyInfo{}, invalid("tags is empty, or holds the reserved tag name.")
		}
		return kms.SetTags(ctx, b, body.KeyID, body.Tags)
	})
}

func (a *API) untagKey(ctx context.Context, c *call) (any, error) {
	var body struct {
		KeyID   string   `json:"key_id"`
		TagKeys []string `json:"tag_keys"`
	}
	return a.describeWith(ctx, c, "Key untagged.", &body, &body.KeyID, func(ctx context.Context, b any) (kms.KeyInfo, error) {
		for _, name := range body.TagKeys {
			if name == nameTag {
				return kms.KeyInfo{}, invalid("the tag name is reserved.")
			}
		}
		return kms.RemoveTags(ctx, b, body.KeyID, body.TagKeys...)
	})
}

func (a *API) setMaxAge(ctx context.Context, c *call) (any, error) {
	var body struct {
		KeyID   string `json:"key_id"`
		Seconds *int64 `json:"max_age_seconds"`
	}
	return a.describeWith(ctx, c, "Rotation policy set.", &body, &body.KeyID, func(ctx context.Context, b any) (kms.KeyInfo, error) {
		if body.Seconds == nil || *body.Seconds < 0 || *body.Seconds > math.MaxInt64/int64(time.Second) {
			return kms.KeyInfo{}, invalid("max_age_seconds is missing or out of range; 0 means never.")
		}
		return kms.SetMaxAge(ctx, b, body.KeyID, time.Duration(*body.Seconds)*time.Second)
	})
}
