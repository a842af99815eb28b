package storekey

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"sync"
	"time"

	"coffer/cipher"
	"coffer/internal/disk"
)

// FileName is the name of the file in the configuration directory.
const FileName = "store.key"

// SlotID names a slot of one file. Ids are not used twice.
type SlotID uint32

// Slot describes a slot. It holds no secret.
type Slot struct {
	ID      SlotID
	Kind    Kind
	Label   string
	Changed time.Time // when it was made or got its present secret
	Cost    Cost      // zero for a key file
}

// NewSlot says what a slot is to be. The secret is wiped by the call.
type NewSlot struct {
	Secret Secret
	Label  string // at most 64 bytes without control characters
	Cost   Cost   // DefaultCost when zero; not used for a key file
}

// Options say where the file is.
type Options struct {
	// FS is the configuration directory. Required.
	FS disk.FS
	// Now gives the times of slots; time.Now when nil.
	Now func() time.Time
}

// File is a loaded store.key.
type File struct {
	fs    disk.FS
	now   func() time.Time
	codec codec

	mu   sync.Mutex // guards what follows and serialises changes of the file
	data []byte     // the file as loaded or last written
	body body
}

func newFile(o Options) (*File, error) {
	if o.FS == nil {
		return nil, errors.New("storekey: Options.FS is nil")
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	c, err := newCodec()
	return &File{fs: o.FS, now: o.Now, codec: c}, err
}

// Create makes a StoreKey, and its file with one slot. It fails with ErrExists
// when there is a file, whatever its content.
func Create(o Options, s NewSlot) (*File, *cipher.StoreKey, error) {
	defer s.Secret.Wipe()
	f, err := newFile(o)
	if err != nil {
		return nil, nil, err
	}
	if _, err := f.read(); !errors.Is(err, ErrMissing) {
		if err == nil {
			err = ErrExists
		}
		return nil, nil, fault(err)
	}
	key, store := cipher.NewStoreKey(), cipher.NewStoreID()
	fingerprint := key.Fingerprint()
	b := body{Store: store[:], Fingerprint: fingerprint[:], Created: f.now().UnixNano(), Next: 2}
	slot, err := f.seal(b, 1, key, s)
	if err != nil {
		key.Wipe()
		return nil, nil, err
	}
	b.Slots = []slotBody{slot}
	if err := f.write(b); err != nil {
		key.Wipe()
		return nil, nil, err
	}
	return f, key, nil
}

// Load reads the file. It fails with ErrMissing, ErrDamaged, ErrNewer or an
// error of the disk, in a *FileError.
func Load(o Options) (*File, error) {
	f, err := newFile(o)
	if err != nil {
		return nil, err
	}
	if f.data, err = f.read(); err != nil {
		return nil, fault(err)
	}
	if f.body, err = f.codec.decode(f.data); err != nil {
		return nil, fault(err)
	}
	// An earlier process may have ended between replacing the file and making
	// that durable; a slot that is seen gone must not come back.
	if err := f.fs.SyncDir("."); err != nil {
		return nil, fault(err)
	}
	return f, nil
}

func fault(err error) error {
	var e *FileError
	if errors.As(err, &e) {
		return err
	}
	return &FileError{File: FileName, Err: err}
}

func (f *File) read() ([]byte, error) {
	data, err := disk.ReadFile(f.fs, FileName, maxFileSize)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, ErrMissing
	}
	if errors.Is(err, disk.ErrTooLarge) {
		return nil, fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	return data, err
}

// write replaces the file and, when that is durable, what is in memory. The
// caller holds mu or is alone.
func (f *File) write(b body) error {
	if err := b.check(); err != nil {
		return err
	}
	data, err := f.codec.encode(b)
	if err != nil {
		return err
	}
	if err := disk.WriteFileAtomic(f.fs, ".", FileName, data); err != nil {
		return fault(err)
	}
	f.data, f.body = data, b
	return nil
}

// StoreID returns the id of the store whose key this is.
func (f *File) StoreID() cipher.StoreID { return cipher.StoreID(f.snapshot().Store) }

// Fingerprint returns the fingerprint of the StoreKey.
func (f *File) Fingerprint() cipher.Fingerprint {
	return cipher.Fingerprint(f.snapshot().Fingerprint)
}

// Slots describes the slots in the order of their ids.
func (f *File) Slots() []Slot { return f.snapshot().slots() }

// snapshot returns the body. Its slices are never changed in place.
func (f *File) snapshot() body {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.body
}

func (b body) slots() []Slot {
	slots := make([]Slot, 0, len(b.Slots))
	for _, s := range b.Slots {
		slots = append(slots, s.slot())
	}
	return slots
}

func (s slotBody) slot() Slot {
	return Slot{ID: SlotID(s.ID), Kind: Kind(s.Kind), Label: s.Label, Changed: time.Unix(0, s.Changed), Cost: s.cost()}
}

// Unlock returns the StoreKey when a slot of the secret's kind opens, else a
// *WrongSecretError. It wipes the secret and changes nothing.
func (f *File) Unlock(secret Secret) (*cipher.StoreKey, error) {
	defer secret.Wipe()
	if err := secret.usable(); err != nil {
		return nil, err
	}
	b := f.snapshot()
	tried := 0
	for _, s := range b.Slots {
		if Kind(s.Kind) != secret.Kind() {
			continue
		}
		tried++
		key, err := f.codec.unwrap(b, s, secret)
		if errors.Is(err, cipher.ErrAuth) {
			continue
		}
		if err != nil {
			return nil, err
		}
		if key.Fingerprint() != cipher.Fingerprint(b.Fingerprint) {
			key.Wipe()
			return nil, fault(fmt.Errorf("%w: slot %d holds another key than the file names", ErrDamaged, s.ID))
		}
		return key, nil
	}
	return nil, &WrongSecretError{
		Store: cipher.StoreID(b.Store), Fingerprint: cipher.Fingerprint(b.Fingerprint),
		Kind: secret.Kind(), Tried: tried, Slots: b.slots(),
	}
}

// Add makes a slot for another secret.
func (f *File) Add(key *cipher.StoreKey, s NewSlot) (Slot, error) {
	defer s.Secret.Wipe()
	return f.change(key, func(b body) (body, slotBody, error) {
		if len(b.Slots) >= maxSlots {
			return b, slotBody{}, fmt.Errorf("%w: there are %d", ErrFull, len(b.Slots))
		}
		slot, err := f.seal(b, b.Next, key, s)
		b.Slots = append(slices.Clone(b.Slots), slot)
		b.Next++
		return b, slot, err
	})
}

// Change gives a slot another secret, of any kind. It keeps its id, and its
// label when s has none.
func (f *File) Change(key *cipher.StoreKey, id SlotID, s NewSlot) (Slot, error) {
	defer s.Secret.Wipe()
	return f.change(key, func(b body) (body, slotBody, error) {
		i, err := b.find(id)
		if err != nil {
			return b, slotBody{}, err
		}
		if s.Label == "" {
			s.Label = b.Slots[i].Label
		}
		slot, err := f.seal(b, uint32(id), key, s)
		b.Slots = slices.Clone(b.Slots)
		b.Slots[i] = slot
		return b, slot, err
	})
}

// Remove removes a slot. The last one is ErrLastSlot.
func (f *File) Remove(key *cipher.StoreKey, id SlotID) error {
	_, err := f.change(key, func(b body) (body, slotBody, error) {
		i, err := b.find(id)
		if err == nil && len(b.Slots) == 1 {
			err = ErrLastSlot
		}
		if err != nil {
			return b, slotBody{}, err
		}
		slot := b.Slots[i]
		b.Slots = slices.Delete(slices.Clone(b.Slots), i, i+1)
		return b, slot, nil
	})
	return err
}

// change replaces the file by what fn makes of it.
func (f *File) change(key *cipher.StoreKey, fn func(body) (body, slotBody, error)) (Slot, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if key == nil || key.Fingerprint() != cipher.Fingerprint(f.body.Fingerprint) {
		return Slot{}, ErrWrongKey
	}
	next, slot, err := fn(f.body)
	if err != nil {
		return Slot{}, err
	}
	found, err := f.read()
	if err != nil {
		return Slot{}, fault(err)
	}
	if !bytes.Equal(found, f.data) {
		return Slot{}, fault(ErrChanged)
	}
	if err := f.write(next); err != nil {
		return Slot{}, err
	}
	return slot.slot(), nil
}

// find returns the index of a slot.
func (b body) find(id SlotID) (int, error) {
	i := slices.IndexFunc(b.Slots, func(s slotBody) bool { return s.ID == uint32(id) })
	if i < 0 {
		return 0, fmt.Errorf("%w: %d", ErrNoSlot, id)
	}
	return i, nil
}

// seal makes a slot that s.Secret opens.
func (f *File) seal(b body, id uint32, key *cipher.StoreKey, s NewSlot) (slotBody, error) {
	if err := errors.Join(s.Secret.usable(), checkLabel(s.Label)); err != nil {
		return slotBody{}, err
	}
	slot := slotBody{
		ID: id, Kind: uint8(s.Secret.Kind()), Label: s.Label, Changed: f.now().UnixNano(),
		Salt: make([]byte, slotSaltSize),
	}
	rand.Read(slot.Salt) // never fails
	if s.Secret.Kind().stretched() {
		if s.Cost == (Cost{}) {
			s.Cost = DefaultCost()
		}
		slot.MemoryKiB, slot.Passes, slot.Lanes = s.Cost.MemoryKiB, s.Cost.Passes, s.Cost.Lanes
	}
	return f.codec.wrap(b, slot, s.Secret, key)
}
