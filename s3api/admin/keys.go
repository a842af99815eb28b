package admin

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"coffer/kms"
	"coffer/kms/manager"
)

// do calls the serving backend.
func (a *API) do(ctx context.Context, fn func(ctx context.Context, s manager.Service) error) error {
	return a.keys.Do(ctx, kms.InstanceID{}, fn)
}

// about calls the serving backend for what is known of a key.
func (a *API) about(ctx context.Context, c *call, fn func(ctx context.Context, s manager.Service) (kms.KeyInfo, error)) (k kms.KeyInfo, err error) {
	err = a.do(ctx, func(ctx context.Context, s manager.Service) error {
		k, err = fn(ctx, s)
		c.about(s.Instance(), k.Newest().Number)
		return err
	})
	return a.keys.WithMaxAge(k), err
}

// createBody is the body of requests that make a key, of all generations.
type createBody struct {
	KeyName     string            `json:"keyName"`
	Name        string            `json:"key_name"` // of S4
	KeyID       string            `json:"key_id"`
	Algorithm   string            `json:"algorithm"`
	KeyUsage    string            `json:"key_usage"`
	Description string            `json:"description"`
	Origin      string            `json:"origin"`
	Tags        map[string]string `json:"tags"`
	Policy      json.RawMessage   `json:"policy"` // of S4, which knows null alone
}

// nameTag is the tag that today's RustFS takes a new key's id from.
const nameTag = "name"

// spec is the key that a body asks for. One without an id gets a random one.
func (b *createBody) spec() kms.KeySpec {
	s := kms.KeySpec{KeyID: b.KeyID, Algorithm: b.Algorithm, Usage: b.KeyUsage, Origin: b.Origin, Description: b.Description, Tags: b.Tags}
	for _, name := range []string{b.KeyName, b.Name, b.Tags[nameTag]} {
		if s.KeyID == "" {
			s.KeyID = name
		}
	}
	if s.KeyID == "" {
		s.KeyID = newUUID()
	}
	if s.Algorithm == algorithmToday {
		s.Algorithm = kms.AlgorithmAES256
	}
	return s
}

// newUUID is a random UUID (RFC 9562, version 4).
func newUUID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

// algorithms are the four that S2 names; a backend says which of them it makes. It is never written to.
var algorithms = map[string]bool{"": true, kms.AlgorithmAES256: true, "AES-128": true, "RSA-2048": true, "RSA-4096": true}

func (a *API) create(ctx context.Context, c *call, b *createBody) (kms.KeyInfo, error) {
	spec := b.spec()
	c.keyID = spec.KeyID
	if b.Policy != nil && string(b.Policy) != "null" {
		return kms.KeyInfo{}, refuse(http.StatusNotImplemented, "NotImplemented", "Keys have no policy.", "The root identity may use every key; leave policy out.")
	}
	if !algorithms[spec.Algorithm] {
		return kms.KeyInfo{}, invalid("algorithm is none of AES-256, AES-128, RSA-2048 and RSA-4096.")
	}
	return a.about(ctx, c, func(ctx context.Context, s manager.Service) (kms.KeyInfo, error) {
		return kms.CreateKeyWith(ctx, s, spec)
	})
}

// createKey makes a key that the query or the body names.
func (a *API) createKey(ctx context.Context, c *call) (any, error) {
	var body createBody
	if err := c.decodeOptional(&body, false); err != nil {
		return nil, err
	}
	id, named := c.queryKey()
	if named && id == "" || !named && len(c.Body) == 0 {
		_, err := c.wantQueryKey()
		return nil, err
	}
	if named {
		body.KeyID = id
	}
	if c.Query.Has("algorithm") {
		body.Algorithm = c.Query.Get("algorithm")
	}
	k, err := a.create(ctx, c, &body)
	if err != nil {
		return nil, err
	}
	return newKeyDoc(k, a.o.Now()), nil
}

func (a *API) keyStatus(ctx context.Context, c *call) (any, error) {
	id, err := c.wantQueryKey()
	if err != nil {
		return nil, err
	}
	return a.answerKey(a.about(ctx, c, func(ctx context.Context, s manager.Service) (kms.KeyInfo, error) { return s.DescribeKey(ctx, id) }))
}

func (a *API) answerKey(k kms.KeyInfo, err error) (any, error) {
	if err != nil {
		return nil, err
	}
	return newKeyDoc(k, a.o.Now()), nil
}

// listKeys lists every key at once.
func (a *API) listKeys(ctx context.Context, _ *call) (any, error) {
	list := struct {
		Keys       []listedKey `json:"keys"`
		Unreadable []string    `json:"unreadable_key_ids,omitempty"`
	}{Keys: []listedKey{}}
	err := a.eachKey(ctx, func(k kms.KeyInfo) {
		if k.Fault != nil {
			list.Unreadable = append(list.Unreadable, k.ID)
			return
		}
		list.Keys = append(list.Keys, newListedKey(k, a.o.Now()))
	})
	return list, err
}

// eachKey calls fn for every key of the serving backend.
func (a *API) eachKey(ctx context.Context, fn func(k kms.KeyInfo)) error {
	return a.do(ctx, func(ctx context.Context, s manager.Service) error {
		for after := ""; ; {
			page, err := s.ListKeys(ctx, after, kms.MaxListedKeys)
			if err != nil {
				return err
			}
			for _, k := range page.Keys {
				fn(a.keys.WithMaxAge(k))
				after = k.ID
			}
			if !page.More || len(page.Keys) == 0 {
				return nil
			}
		}
	})
}

// ensureKey enables a key. On Transit, which has no such state of its own, an absent key is made.
func (a *API) ensureKey(ctx context.Context, c *call) (any, error) {
	id, err := c.wantQueryKey()
	if err != nil {
		return nil, err
	}
	transit := a.keys.Status().Type == manager.TypeVault
	return a.answerKey(a.about(ctx, c, func(ctx context.Context, s manager.Service) (kms.KeyInfo, error) {
		k, err := s.DescribeKey(ctx, id)
		switch {
		case errors.Is(err, kms.NotFound) && transit:
			return s.CreateKey(ctx, id)
		case err != nil || k.State == kms.StateEnabled:
			return k, err
		default:
			return kms.EnableKey(ctx, s, id)
		}
	}))
}

// disableKeyOfDocument disables a key where the backend itself knows that state. Transit does not, and S2 asks for a 501;
// POST kms/keys/disable does it all the same.
func (a *API) disableKeyOfDocument(ctx context.Context, c *call) (any, error) {
	id, err := c.wantQueryKey()
	if err != nil {
		return nil, err
	}
	if a.keys.Status().Type == manager.TypeVault {
		return nil, refuse(http.StatusNotImplemented, "NotImplemented", "Vault Transit cannot disable a key.",
			"Forbid its use by a Vault policy, rotate it, or use POST kms/keys/disable, by which Coffer itself refuses to encrypt under it.")
	}
	return a.answerKey(a.about(ctx, c, func(ctx context.Context, s manager.Service) (kms.KeyInfo, error) { return kms.DisableKey(ctx, s, id) }))
}

func (a *API) rotateKey(ctx context.Context, c *call) (any, error) {
	id, err := c.wantQueryKey()
	if err != nil {
		return nil, err
	}
	return a.answerKey(a.about(ctx, c, func(ctx context.Context, s manager.Service) (kms.KeyInfo, error) { return s.RotateKey(ctx, id) }))
}
