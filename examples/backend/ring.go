package backend

import (
	"context"
	"encoding/binary"
	"fmt"
	"sync"
	"time"

	"coffer/cipher"
	"coffer/kms"
	"coffer/kms/base"
)

// Ring is a key backend. Data and Keys give it all of its methods but two.
type Ring struct {
	base.Data
	base.Keys
	instance cipher.InstanceID
	mu       sync.Mutex
	keys     map[string]*key
}

// key is a MasterKey: masters holds its versions, the first one at 0.
type key struct {
	info    kms.KeyInfo
	masters []*cipher.MasterKey
}

// New returns a backend without keys.
func New() *Ring {
	r := &Ring{instance: cipher.NewInstanceID(), keys: map[string]*key{}}
	r.Data = base.Data{Seal: r.seal, Open: r.open}
	r.Keys = base.Keys{Origin: "EXAMPLE", Create: r.create, List: r.list, Rotate: r.rotate, Amend: r.amend, Destroy: r.destroy}
	return r
}

// Instance implements kms.Backend.
func (r *Ring) Instance() cipher.InstanceID { return r.instance }

// Health implements kms.Backend.
func (r *Ring) Health(ctx context.Context) error { return kms.NewError("check ring", "", ctx.Err()) }

// with calls fn with a key, while nobody else uses it.
func (r *Ring) with(keyID string, fn func(*key) error) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if k := r.keys[keyID]; k != nil {
		return fn(k)
	}
	return kms.NotFound
}

// seal puts the number of the version before the ciphertext.
func (r *Ring) seal(_ context.Context, keyID string, plaintext, keyContext []byte) (w kms.Wrapped, err error) {
	err = r.with(keyID, func(k *key) error {
		newest := k.info.Newest()
		w = kms.Wrapped{Instance: r.instance, KeyID: keyID, Fingerprint: newest.Fingerprint, Version: newest.Number}
		header := binary.BigEndian.AppendUint32(nil, newest.Number)
		w.Ciphertext = cipher.NewBox(k.masters[newest.Number-1]).Seal(header, plaintext, keyContext)
		return k.info.State.CheckEncrypt()
	})
	return w, err
}

func (r *Ring) open(_ context.Context, w kms.Wrapped, keyContext []byte) (o base.Opened, err error) {
	err = r.with(w.KeyID, func(k *key) error {
		if len(w.Ciphertext) < 4 || !w.Instance.IsZero() && w.Instance != r.instance {
			return fmt.Errorf("%w: another backend has wrapped it", kms.Crypto)
		}
		number := binary.BigEndian.Uint32(w.Ciphertext)
		if number < 1 || uint64(number) > uint64(len(k.masters)) || w.Version != 0 && w.Version != number {
			return fmt.Errorf("%w: another version has wrapped it", kms.Crypto)
		}
		if found := k.info.Versions[number-1].Fingerprint; !w.Fingerprint.IsZero() && w.Fingerprint != found {
			return fmt.Errorf("%w: another key has wrapped it", kms.Crypto)
		}
		o.Newest = int(number) == len(k.masters)
		if o.Plaintext, err = cipher.NewBox(k.masters[number-1]).Open(nil, w.Ciphertext[4:], keyContext); err != nil {
			return fmt.Errorf("%w: %w", kms.Crypto, err)
		}
		return nil
	})
	return o, err
}

func (r *Ring) create(_ context.Context, spec kms.KeySpec) (kms.KeyInfo, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.keys[spec.KeyID] != nil {
		return kms.KeyInfo{}, kms.AlreadyExists
	}
	k := &key{info: kms.KeyInfo{
		ID: spec.KeyID, State: kms.StateEnabled, Algorithm: spec.Algorithm, Usage: spec.Usage, Created: time.Now(),
		Origin: spec.Origin, Description: spec.Description, Tags: spec.Tags,
	}}
	r.keys[spec.KeyID] = k
	return k.grow(), nil
}

// grow gives a key one more version.
func (k *key) grow() kms.KeyInfo {
	master := cipher.NewMasterKey()
	k.masters = append(k.masters, master)
	k.info.Versions = append(k.info.Versions, kms.KeyVersion{
		Number: uint32(len(k.masters)), Fingerprint: master.Fingerprint(), Created: time.Now(),
	})
	return k.info
}

func (r *Ring) list(context.Context) (all []kms.KeyInfo, _ error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, k := range r.keys {
		all = append(all, k.info)
	}
	return all, nil
}

func (r *Ring) rotate(_ context.Context, keyID string) (info kms.KeyInfo, err error) {
	err = r.with(keyID, func(k *key) error {
		if err := k.info.State.CheckEncrypt(); err != nil {
			return err
		}
		info = k.grow()
		return nil
	})
	return info, err
}

func (r *Ring) amend(_ context.Context, keyID string, fn func(*kms.KeyInfo) error) (info kms.KeyInfo, err error) {
	err = r.with(keyID, func(k *key) error {
		info = k.info
		if err := fn(&info); err != nil {
			return err
		}
		k.info = info
		return nil
	})
	return info, err
}

func (r *Ring) destroy(_ context.Context, keyID string) error {
	return r.with(keyID, func(*key) error { delete(r.keys, keyID); return nil })
}
