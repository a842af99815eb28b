package local

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"sync"
	"time"

	"coffer/cipher"
	"coffer/internal/disk"
	"coffer/kms"
)

// DefaultDir is the keyring's directory in the configuration directory.
const DefaultDir = "keyring"

// Origin is the origin of key material that a Keyring made.
const Origin = "COFFER_LOCAL"

var (
	_ kms.Backend        = (*Keyring)(nil)
	_ kms.Admin          = (*Keyring)(nil)
	_ kms.Creator        = (*Keyring)(nil)
	_ kms.Lifecycle      = (*Keyring)(nil)
	_ kms.Describer      = (*Keyring)(nil)
	_ kms.Crypter        = (*Keyring)(nil)
	_ kms.Wrapper        = (*Keyring)(nil)
	_ kms.BatchRewrapper = (*Keyring)(nil)
)

// Options say where a keyring is and what opens it.
type Options struct {
	// FS is the configuration directory. Required.
	FS disk.Volume
	// Dir is the keyring's directory in FS; DefaultDir when empty.
	Dir string
	// Key is the StoreKey's subkey for keyrings. Required. The keyring derives
	// what it needs and does not keep it.
	Key *cipher.Subkey
	// MustExist forbids making a keyring. Set it when the store is known to have
	// one, so that a lost directory is reported and not replaced by an empty one.
	MustExist bool
	// Now gives the time of creations; time.Now when nil.
	Now func() time.Time
}

// Validate reports all faults of o at once.
func (o Options) Validate() error {
	var errs []error
	if o.FS == nil {
		errs = append(errs, errors.New("local: Options.FS is nil"))
	}
	if o.Key == nil || o.Key.Expose() == nil {
		errs = append(errs, errors.New("local: Options.Key is missing or wiped"))
	}
	if o.Dir != "" && (o.Dir == "." || !fs.ValidPath(o.Dir)) {
		errs = append(errs, fmt.Errorf("local: Options.Dir %q is not a directory below FS", o.Dir))
	}
	return errors.Join(errs...)
}

// Keyring is the built-in key backend.
//
// Locks are taken in this order: Keyring.list, entry.write, Keyring.mu. No disk
// is touched under Keyring.mu.
type Keyring struct {
	files    *files
	codec    codec
	now      func() time.Time
	instance cipher.InstanceID

	list sync.Mutex // held while the instance file is replaced

	mu      sync.RWMutex // guards what follows, and the records against wiping
	record  instanceRecord
	entries map[string]*entry // by key id
	strays  []error           // files that are no key of the list and do not open
	closed  bool
}

// entry is a key of the list.
type entry struct {
	id    string
	write sync.Mutex // serialises changes of the key and loads from the disk

	// guarded by Keyring.mu
	record    *keyRecord // nil when the file could not be used
	fault     error      // why record is nil
	destroyed bool       // for good; record and fault are nil
}

// Open opens the keyring, and makes it first when its directory is missing or
// empty and that is allowed. A fault of the keyring's own file is an error. A
// fault of a key's file is not: it comes back from every operation on that key
// and from Health.
//
// The caller closes the keyring.
func Open(ctx context.Context, o Options) (*Keyring, error) {
	k, err := open(ctx, o)
	if err != nil {
		return nil, kms.NewError("open keyring", "", err)
	}
	return k, nil
}

func open(ctx context.Context, o Options) (*Keyring, error) {
	if err := o.Validate(); err != nil {
		return nil, fmt.Errorf("%w: %w", kms.Configuration, err)
	}
	if o.Dir == "" {
		o.Dir = DefaultDir
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	c, err := newCodec()
	if err != nil {
		return nil, err
	}
	f, err := newFiles(o.FS, o.Dir, o.Key)
	if err != nil {
		return nil, err
	}
	k := &Keyring{files: f, codec: c, now: o.Now, entries: map[string]*entry{}}
	names, temporary, err := k.prepare(o.MustExist)
	if err != nil {
		return nil, err
	}
	err = k.load(ctx, names)
	for _, name := range temporary {
		if err == nil {
			err = f.remove(name)
		}
	}
	if err != nil {
		k.wipe()
		return nil, err
	}
	return k, nil
}

// prepare makes the directory and the instance file where there is none, and
// returns the names of the files, those of temporary ones apart.
func (k *Keyring) prepare(mustExist bool) (names, temporary []string, err error) {
	f := k.files
	names, temporary, err = f.names()
	if err != nil {
		return nil, nil, err
	}
	if slices.Contains(names, instanceName) {
		// An earlier process may have ended between replacing a file and making
		// that durable; what is read from here on must not vanish.
		return names, temporary, f.sync()
	}
	if mustExist || len(names) > 0 {
		return nil, nil, f.fault(instanceName, kms.Crypto, ErrMissing)
	}
	if err := f.makeDir(); err != nil {
		return nil, nil, err
	}
	r := instanceRecord{instance: cipher.NewInstanceID(), created: k.now()}
	return []string{instanceName}, temporary, k.writeInstance(r)
}

func (k *Keyring) writeInstance(r instanceRecord) error {
	body, err := k.codec.encodeInstance(r)
	if err != nil {
		return err
	}
	return k.files.write(instanceName, kindInstance, body)
}

// load reads the instance file and every key file.
func (k *Keyring) load(ctx context.Context, names []string) error {
	body, err := k.files.read(instanceName, kindInstance)
	if err != nil {
		return err
	}
	if k.record, err = k.codec.decodeInstance(body); err != nil {
		return k.files.fault(instanceName, kms.Crypto, fmt.Errorf("%w: %w", ErrDamaged, err))
	}
	k.instance = k.record.instance
	next := k.record
	listed := make(map[string]bool, len(k.record.keyIDs))
	for _, id := range k.record.keyIDs {
		if err := ctx.Err(); err != nil {
			return err
		}
		e, name := &entry{id: id}, k.files.keyName(id)
		if e.record, e.fault = k.readKey(name); errors.Is(e.fault, errDestroyed) {
			next = next.without(id)
			continue // adopt removes its file
		}
		listed[name] = true
		k.entries[id] = e
	}
	return k.adopt(next, names, listed)
}

// adopt takes in the key files that the list does not name: creations that
// ended before the list was replaced. And it finishes what destructions left:
// the list that is written is next without them, then their tombstones go.
func (k *Keyring) adopt(next instanceRecord, names []string, listed map[string]bool) error {
	var tombstones []string
	for _, name := range names {
		if !isKeyName(name) || listed[name] {
			continue
		}
		r, err := k.readKey(name)
		switch {
		case errors.Is(err, errDestroyed):
			tombstones = append(tombstones, name)
		case err != nil:
			k.strays = append(k.strays, err)
		default:
			k.entries[r.id] = &entry{id: r.id, record: r}
			next = next.with(r.id)
		}
	}
	if !slices.Equal(next.keyIDs, k.record.keyIDs) {
		if err := k.writeInstance(next); err != nil {
			return err
		}
		k.record = next
	}
	for _, name := range tombstones {
		if err := k.files.remove(name); err != nil {
			return err
		}
	}
	return nil
}

// errDestroyed says that a tombstone stands in the place of a key's file.
var errDestroyed = fmt.Errorf("%w: it was destroyed", kms.NotFound)

// readKey loads a key file and checks that it is the one its name says.
func (k *Keyring) readKey(name string) (*keyRecord, error) {
	body, err := k.files.read(name, kindKey)
	if err != nil {
		if errors.Is(err, ErrDamaged) && k.buried(name) {
			return nil, errDestroyed
		}
		return nil, err
	}
	defer clear(body)
	r, err := k.codec.decodeKey(body)
	if err != nil {
		return nil, k.files.fault(name, kms.Crypto, fmt.Errorf("%w: %w", ErrDamaged, err))
	}
	switch {
	case k.files.keyName(r.id) != name:
		err = fmt.Errorf("%w: it holds another key", ErrDamaged)
	case r.instance != k.instance:
		err = fmt.Errorf("%w: it belongs to keyring %v, this is %v", ErrDamaged, r.instance, k.instance)
	default:
		return r, nil
	}
	r.wipe()
	return nil, k.files.fault(name, kms.Crypto, err)
}

func (k *Keyring) writeKey(r *keyRecord) error {
	body, err := k.codec.encodeKey(r)
	if err != nil {
		return err
	}
	defer clear(body)
	return k.files.write(k.files.keyName(r.id), kindKey, body)
}

// writeTombstone puts a tombstone in the place of a key's file.
func (k *Keyring) writeTombstone(name, keyID string) error {
	body, err := k.codec.Encode(tombstoneBody{ID: keyID, Instance: k.instance[:], Destroyed: k.now().UnixNano()})
	if err != nil {
		return err
	}
	return k.files.write(name, kindTombstone, body)
}

// buried reports whether a tombstone of this keyring stands under name.
func (k *Keyring) buried(name string) bool {
	body, err := k.files.read(name, kindTombstone)
	if err != nil {
		return false
	}
	var b tombstoneBody
	return k.codec.decode(body, &b) == nil && bytes.Equal(b.Instance, k.instance[:]) && k.files.keyName(b.ID) == name
}

// Instance returns the id that the keyring got at its creation.
func (k *Keyring) Instance() cipher.InstanceID { return k.instance }

// Close wipes the MasterKeys. Every later operation fails with Unavailable.
func (k *Keyring) Close() error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if !k.closed {
		k.closed = true
		k.wipe()
	}
	return nil
}

// wipe forgets all keys. The caller holds mu or is alone.
func (k *Keyring) wipe() {
	for _, e := range k.entries {
		if e.record != nil {
			e.record.wipe()
		}
	}
}
