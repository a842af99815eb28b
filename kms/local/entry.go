package local

import (
	"fmt"

	"coffer/kms"
)

// use calls fn with the record of a key, which fn neither keeps nor changes.
// Where the key's file could not be used before, it is tried again.
func (k *Keyring) use(keyID string, fn func(*keyRecord) error) error {
	e, err := k.find(keyID)
	if err != nil {
		return err
	}
	done, err := k.useLoaded(e, fn)
	if done {
		return err
	}
	if err := k.reload(e); err != nil {
		return err
	}
	if done, err = k.useLoaded(e, fn); !done {
		return errClosed
	}
	return err
}

// find looks a key up.
func (k *Keyring) find(keyID string) (*entry, error) {
	k.mu.RLock()
	defer k.mu.RUnlock()
	if k.closed {
		return nil, errClosed
	}
	e := k.entries[keyID]
	if e == nil {
		return nil, k.unknown()
	}
	return e, nil
}

// unknown is the error of a key that is not in the keyring.
func (k *Keyring) unknown() error {
	return fmt.Errorf("%w: keyring %v does not have it", kms.NotFound, k.instance)
}

// useLoaded calls fn if the record is in memory, and keeps it from being wiped
// meanwhile.
func (k *Keyring) useLoaded(e *entry, fn func(*keyRecord) error) (done bool, err error) {
	k.mu.RLock()
	defer k.mu.RUnlock()
	if k.closed {
		return true, errClosed
	}
	if e.destroyed {
		return true, k.unknown()
	}
	if e.record == nil {
		return false, nil
	}
	return true, fn(e.record)
}

// reload tries the file of a key again that could not be used.
func (k *Keyring) reload(e *entry) error {
	e.write.Lock()
	defer e.write.Unlock()
	done, err := k.useLoaded(e, func(*keyRecord) error { return nil })
	if done {
		return err // another call has loaded it meanwhile
	}
	r, err := k.readKey(k.files.keyName(e.id))
	return k.show(e, r, err)
}

// change replaces a key's file by what fn makes of its record and shows the
// result once it is durable. It begins from the file and not from memory, so
// that a file that was damaged or exchanged meanwhile is not written over.
func (k *Keyring) change(keyID string, fn func(*keyRecord) error) (kms.KeyInfo, error) {
	e, err := k.find(keyID)
	if err != nil {
		return kms.KeyInfo{}, err
	}
	e.write.Lock()
	defer e.write.Unlock()
	r, err := k.readKey(k.files.keyName(keyID))
	if err != nil {
		return kms.KeyInfo{}, err
	}
	if err := k.descends(e, r); err != nil {
		r.wipe()
		return kms.KeyInfo{}, err
	}
	if err := fn(r); err != nil {
		r.wipe()
		return kms.KeyInfo{}, err
	}
	if err := k.writeKey(r); err != nil {
		r.wipe() // the old record stays in use; it is sound whichever content the file has now
		return kms.KeyInfo{}, err
	}
	info := r.info()
	return info, k.show(e, r, nil)
}

// descends reports whether r, from the file, holds every version that is in
// use in memory. If not, an older copy was put in the file's place.
func (k *Keyring) descends(e *entry, r *keyRecord) error {
	k.mu.RLock()
	defer k.mu.RUnlock()
	switch {
	case k.closed:
		return errClosed
	case e.destroyed:
		return k.unknown()
	case e.record == nil:
		return nil
	}
	for _, v := range e.record.versions {
		found, ok := r.version(v.number)
		if !ok || !found.master.Equal(v.master) {
			return k.files.fault(k.files.keyName(e.id), kms.Crypto,
				fmt.Errorf("%w: it lacks version %d (fingerprint %v), which is in use", ErrDamaged, v.number, v.master.Fingerprint()))
		}
	}
	return nil
}

// show puts r, or the fault that stands in its place, into e and wipes what was
// there. The caller holds e.write.
func (k *Keyring) show(e *entry, r *keyRecord, fault error) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.closed || e.destroyed {
		if r != nil {
			r.wipe()
		}
		if k.closed {
			return errClosed
		}
		return k.unknown()
	}
	if e.record != nil {
		e.record.wipe()
	}
	e.record, e.fault = r, fault
	return fault
}
