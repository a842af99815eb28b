package vault

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"coffer/kms"
)

const (
	// Origin is the origin of a key whose material Vault made.
	Origin = "VAULT_TRANSIT"
	// keyType is the type of the keys that this package makes.
	keyType = "aes256-gcm96"
	// describeAtOnce bounds the calls by which ListKeys looks at keys.
	describeAtOnce = 8
)

// keyAnswer is what Transit tells of a key.
type keyAnswer struct {
	Data struct {
		Type               string                     `json:"type"`
		Derived            bool                       `json:"derived"`
		SupportsEncryption bool                       `json:"supports_encryption"`
		Keys               map[string]json.RawMessage `json:"keys"`
	} `json:"data"`
	Warnings []string `json:"warnings"`
}

func (b *Backend) keyCall(method, keyID, suffix string) call {
	path := b.options.Mount + "/keys/" + nameOf(keyID) + suffix
	return call{method: method, path: path, engine: "Transit", admin: true}
}

// CreateKey implements kms.Admin.
func (b *Backend) CreateKey(ctx context.Context, keyID string) (kms.KeyInfo, error) {
	return b.CreateKeyWith(ctx, kms.KeySpec{KeyID: keyID})
}

// CreateKeyWith implements kms.Creator. The key is derived, of type aes256-gcm96
// and cannot be exported.
func (b *Backend) CreateKeyWith(ctx context.Context, spec kms.KeySpec) (info kms.KeyInfo, err error) {
	err = b.operate(ctx, "create key", spec.KeyID, true, func(ctx context.Context) error {
		full, err := spec.WithDefaults("")
		if err != nil {
			return err
		}
		info, err = b.create(ctx, full)
		return err
	})
	if err != nil {
		return kms.KeyInfo{}, err
	}
	return info, nil
}

func (b *Backend) create(ctx context.Context, spec kms.KeySpec) (kms.KeyInfo, error) {
	// Vault answers a creation of a key that exists as if it had made it. So one
	// looks first, and creations here are made one after the other.
	select {
	case b.creating <- struct{}{}:
		defer func() { <-b.creating }()
	case <-ctx.Done():
		return kms.KeyInfo{}, ctx.Err()
	}
	switch _, err := b.transitKey(ctx, spec.KeyID, true); {
	case err == nil:
		return kms.KeyInfo{}, kms.AlreadyExists
	case kindIn(err) != kms.NotFound && kindIn(err) != kms.Denied:
		return kms.KeyInfo{}, err
	}
	keep := record{Origin: spec.Origin, Description: spec.Description, Tags: spec.Tags}
	something := keep.Origin != "" || keep.Description != "" || len(keep.Tags) > 0
	h, err := b.states.load(ctx, spec.KeyID)
	if err == nil && something && h.store == nil {
		err = fmt.Errorf("%w: there is no place for an origin, a description or tags", kms.Unsupported)
	}
	if err != nil && !h.present {
		return kms.KeyInfo{}, err
	}
	info, err := b.createInTransit(ctx, spec.KeyID)
	if err != nil {
		return kms.KeyInfo{}, err
	}
	if something || h.present { // what is there is of a key that was destroyed
		err = b.states.save(ctx, spec.KeyID, h, &keep)
	}
	return keep.describe(info), err
}

func (b *Backend) createInTransit(ctx context.Context, keyID string) (kms.KeyInfo, error) {
	c := b.keyCall(http.MethodPut, keyID, "")
	c.once = true
	c.body = map[string]any{"type": keyType, "derived": true}
	var made keyAnswer
	if err := b.do(ctx, c, &made); err != nil {
		return kms.KeyInfo{}, err
	}
	if made.Data.Keys == nil { // servers before 1.12 answer with nothing
		return b.transitKey(ctx, keyID, false)
	}
	// A token that may not read keys learns of an old one here at the latest,
	// where it differs from what was asked for or the server tells.
	told := func(warning string) bool { return strings.Contains(warning, "already existed") }
	if slices.ContainsFunc(made.Warnings, told) || made.Data.Type != keyType || !made.Data.Derived || len(made.Data.Keys) != 1 {
		return kms.KeyInfo{}, kms.AlreadyExists
	}
	return b.keyInfo(keyID, made)
}

// DescribeKey implements kms.Admin.
func (b *Backend) DescribeKey(ctx context.Context, keyID string) (info kms.KeyInfo, err error) {
	err = b.operate(ctx, "describe key", keyID, true, func(ctx context.Context) error {
		info, err = b.describe(ctx, keyID)
		return err
	})
	if err != nil {
		return kms.KeyInfo{}, err
	}
	return info, nil
}

func (b *Backend) describe(ctx context.Context, keyID string) (kms.KeyInfo, error) {
	info, err := b.transitKey(ctx, keyID, false)
	if err != nil {
		return kms.KeyInfo{}, err
	}
	h, err := b.states.load(ctx, keyID)
	return h.describe(info), err
}

// transitKey describes a key as far as Transit knows it. asks says that being
// denied is one of the answers.
func (b *Backend) transitKey(ctx context.Context, keyID string, asks bool) (kms.KeyInfo, error) {
	if err := kms.CheckKeyID(keyID); err != nil {
		return kms.KeyInfo{}, err
	}
	c := b.keyCall(http.MethodGet, keyID, "")
	c.asks = asks
	var found keyAnswer
	if err := b.do(ctx, c, &found); err != nil {
		return kms.KeyInfo{}, err
	}
	return b.keyInfo(keyID, found)
}

// keyInfo fails with Unsupported for a key that cannot wrap, such as one that
// signs.
func (b *Backend) keyInfo(keyID string, a keyAnswer) (kms.KeyInfo, error) {
	if !a.Data.SupportsEncryption {
		return kms.KeyInfo{}, fmt.Errorf("%w: a key of type %q cannot wrap", kms.Unsupported, a.Data.Type)
	}
	info := kms.KeyInfo{
		ID: keyID, State: kms.StateEnabled, Algorithm: algorithmOf(a.Data.Type), Usage: kms.UsageEncryptDecrypt,
		Origin: Origin, Unbound: !a.Data.Derived,
	}
	for text, raw := range a.Data.Keys {
		number, err := strconv.ParseUint(text, 10, 32)
		created, ok := creation(raw)
		if err != nil || number == 0 || !ok {
			return kms.KeyInfo{}, fmt.Errorf("%w: Vault describes the key in an unknown form", kms.BackendFailure)
		}
		info.Versions = append(info.Versions, kms.KeyVersion{
			Number: uint32(number), Fingerprint: b.fingerprint(keyID, uint32(number)), Created: created,
		})
	}
	if len(info.Versions) == 0 {
		return kms.KeyInfo{}, fmt.Errorf("%w: Vault lists no version of the key", kms.BackendFailure)
	}
	slices.SortFunc(info.Versions, func(v, w kms.KeyVersion) int { return cmp.Compare(v.Number, w.Number) })
	info.Created = info.Versions[0].Created
	b.unbound.note(keyID, info.Unbound)
	return info, nil
}

// algorithmOf names a type of Transit's as the admin API does, where it has a
// name for it.
func algorithmOf(transitType string) string {
	switch transitType {
	case keyType:
		return kms.AlgorithmAES256
	case "aes128-gcm96":
		return "AES-128"
	case "rsa-2048":
		return "RSA-2048"
	case "rsa-4096":
		return "RSA-4096"
	default:
		return transitType
	}
}

// creation reads when a version was made: Unix seconds, or for asymmetric keys
// an object with a time.
func creation(raw json.RawMessage) (time.Time, bool) {
	var seconds int64
	if json.Unmarshal(raw, &seconds) == nil {
		return time.Unix(seconds, 0), true
	}
	var described struct {
		CreationTime time.Time `json:"creation_time"`
	}
	err := json.Unmarshal(raw, &described)
	return described.CreationTime, err == nil && !described.CreationTime.IsZero()
}

// ListKeys implements kms.Admin. Vault lists names alone, so every key of the
// page is looked at; one that cannot wrap or may not be read has a Fault.
func (b *Backend) ListKeys(ctx context.Context, after string, limit int) (page kms.KeyPage, err error) {
	err = b.operate(ctx, "list keys", "", true, func(ctx context.Context) error {
		page, err = b.list(ctx, after, limit)
		return err
	})
	if err != nil {
		return kms.KeyPage{}, err
	}
	return page, nil
}

func (b *Backend) listCall() call {
	query := url.Values{"list": {"true"}}
	return call{method: http.MethodGet, path: b.options.Mount + "/keys", query: query, engine: "Transit", admin: true}
}

func (b *Backend) list(ctx context.Context, after string, limit int) (kms.KeyPage, error) {
	if limit < 1 || limit > kms.MaxListedKeys {
		limit = kms.MaxListedKeys
	}
	var found struct {
		Data struct {
			Keys []string `json:"keys"`
		} `json:"data"`
	}
	if err := b.do(ctx, b.listCall(), &found); err != nil && kindIn(err) != kms.NotFound { // which means that there are none
		return kms.KeyPage{}, err
	}
	keys := make([]kms.KeyInfo, 0, len(found.Data.Keys))
	for _, name := range found.Data.Keys {
		id, err := idOf(name)
		if err != nil {
			id = name
		}
		if id > after {
			keys = append(keys, kms.KeyInfo{ID: id, Fault: err})
		}
	}
	slices.SortFunc(keys, func(k, l kms.KeyInfo) int { return strings.Compare(k.ID, l.ID) })
	page := kms.KeyPage{Keys: keys[:min(limit, len(keys))], More: len(keys) > limit}
	return page, b.fill(ctx, page.Keys)
}

// fill describes keys of which only the id is known.
func (b *Backend) fill(ctx context.Context, keys []kms.KeyInfo) error {
	slots := make(chan struct{}, describeAtOnce)
	var wg sync.WaitGroup
	for i := range keys {
		if keys[i].Fault != nil {
			continue
		}
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			info, err := b.describe(ctx, keys[i].ID)
			if err != nil {
				info = kms.KeyInfo{ID: keys[i].ID, Fault: newError("describe key", keys[i].ID, err)}
			}
			keys[i] = info
		})
	}
	wg.Wait()
	return ctx.Err()
}

// RotateKey implements kms.Admin.
func (b *Backend) RotateKey(ctx context.Context, keyID string) (info kms.KeyInfo, err error) {
	err = b.operate(ctx, "rotate key", keyID, true, func(ctx context.Context) error {
		info, err = b.rotate(ctx, keyID)
		return err
	})
	if err != nil {
		return kms.KeyInfo{}, err
	}
	return info, nil
}

func (b *Backend) rotate(ctx context.Context, keyID string) (kms.KeyInfo, error) {
	if err := kms.CheckKeyID(keyID); err != nil {
		return kms.KeyInfo{}, err
	}
	h, err := b.states.load(ctx, keyID)
	if err == nil {
		err = h.state().CheckEncrypt()
	}
	if err != nil {
		return kms.KeyInfo{}, err
	}
	c := b.keyCall(http.MethodPut, keyID, "/rotate")
	c.once = true
	var made keyAnswer
	if err := b.do(ctx, c, &made); err != nil {
		return kms.KeyInfo{}, err
	}
	if made.Data.Keys == nil { // servers before 1.12 answer with nothing
		return b.describe(ctx, keyID)
	}
	info, err := b.keyInfo(keyID, made)
	return h.describe(info), err
}
