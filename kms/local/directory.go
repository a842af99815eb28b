package local

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"golang.org/x/crypto/argon2"

	"coffer/cipher"
	"coffer/internal/disk"
	"coffer/kms"
)

// Names and limits of a directory's own file (FORMAT.md).
const (
	masterName     = "master"
	masterMagic    = "CFLM"
	masterVersion1 = 1
	masterSaltSize = 16
	maxMasterFile  = 4 << 10
	maxMemoryKiB   = 1 << 20
	maxPasses      = 64
	maxLanes       = 64
)

// MaxMasterKeySize is the longest master key of a directory in bytes.
const MaxMasterKeySize = 1 << 10

var (
	// ErrMasterKey says that a directory does not open under the master key given.
	ErrMasterKey = errors.New("another master key")
	// ErrInUse says that a keyring, of this process or another, has the directory.
	ErrInUse = errors.New("the directory is in use")
	// ErrInside says that the directory is where it must not be.
	ErrInside = errors.New("the directory lies inside the data directory")
)

// DirectoryOptions say where a keyring with a directory and a master key of its
// own is.
type DirectoryOptions struct {
	// Path is the absolute path of the directory, which is made where it is
	// missing. Required.
	Path string
	// MasterKey is a text of 1 to MaxMasterKeySize bytes, which goes through
	// Argon2id. Required. It is not kept.
	MasterKey []byte
	// Outside are directories that Path must not be in, through symbolic links
	// neither: whoever copies the data would copy the keys with it.
	Outside []string
	// Cost is what Argon2id spends where the directory is made; DefaultCost when
	// zero. A directory that exists keeps its own.
	Cost Cost
}

// Cost is what Argon2id spends on a master key.
type Cost struct {
	MemoryKiB uint32
	Passes    uint32
	Lanes     uint8
}

// DefaultCost is 64 MiB, 3 passes, 4 lanes (RFC 9106, second recommended option).
func DefaultCost() Cost { return Cost{MemoryKiB: 64 << 10, Passes: 3, Lanes: 4} }

func (c Cost) check() error {
	if c.Lanes < 1 || c.Lanes > maxLanes || c.Passes < 1 || c.Passes > maxPasses ||
		c.MemoryKiB < 8*uint32(c.Lanes) || c.MemoryKiB > maxMemoryKiB {
		return fmt.Errorf("argon2id parameters %+v are outside their limits", c)
	}
	return nil
}

// Validate reports all faults of o at once.
func (o DirectoryOptions) Validate() error {
	var errs []error
	if !filepath.IsAbs(o.Path) {
		errs = append(errs, fmt.Errorf("local: the key directory %q is not an absolute path", o.Path))
	}
	if n := len(o.MasterKey); n < 1 || n > MaxMasterKeySize {
		errs = append(errs, fmt.Errorf("local: a master key of %d bytes, must be 1 to %d", n, MaxMasterKeySize))
	}
	if o.Cost != (Cost{}) {
		if err := o.Cost.check(); err != nil {
			errs = append(errs, fmt.Errorf("local: %w", err))
		}
	}
	for _, dir := range o.Outside {
		if err := checkOutside(o.Path, dir); err != nil {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

// Directory is a keyring that has its directory locked.
type Directory struct {
	*Keyring
	lock *disk.DirLock
}

// OpenDirectory opens the keyring of a directory, and makes it where there is
// none. The caller closes it.
func OpenDirectory(ctx context.Context, o DirectoryOptions) (*Directory, error) {
	d, err := openDirectory(ctx, o)
	if err != nil {
		return nil, kms.NewError("open keyring", "", err)
	}
	return d, nil
}

func openDirectory(ctx context.Context, o DirectoryOptions) (*Directory, error) {
	if err := errors.Join(ctx.Err(), o.Validate()); err != nil {
		return nil, fmt.Errorf("%w: %w", kms.Configuration, err)
	}
	volume := disk.NewOS(o.Path)
	if err := volume.MkdirAll("."); err != nil {
		return nil, fmt.Errorf("%w: %w", kms.Unavailable, err)
	}
	lock, err := disk.LockDir(o.Path)
	if errors.Is(err, disk.ErrLocked) {
		err = fmt.Errorf("%w: %w", ErrInUse, err)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", kms.Configuration, err)
	}
	k, err := openLocked(ctx, volume, o)
	if err != nil {
		return nil, errors.Join(err, lock.Unlock())
	}
	return &Directory{Keyring: k, lock: lock}, nil
}

// openLocked opens the keyring of a directory that nobody else has. That there
// is a keyring is kept in the directory's own file, so that one that is lost is
// not replaced by an empty one.
func openLocked(ctx context.Context, volume disk.Volume, o DirectoryOptions) (*Keyring, error) {
	c, err := newCodec()
	if err != nil {
		return nil, err
	}
	b, key, err := openMaster(volume, c, o)
	if err != nil {
		return nil, err
	}
	defer key.Wipe()
	k, err := Open(ctx, Options{FS: volume, Key: key, MustExist: b.Made})
	if err != nil || b.Made {
		return k, err
	}
	b.Made = true
	if err := writeMaster(volume, c, b); err != nil {
		return nil, errors.Join(err, k.Close())
	}
	return k, nil
}

// Close closes the keyring and gives the directory free.
func (d *Directory) Close() error { return errors.Join(d.Keyring.Close(), d.lock.Unlock()) }

// openMaster reads the directory's own file, or makes it where the directory
// holds nothing yet, and derives the keyring's key.
func openMaster(volume disk.Volume, c codec, o DirectoryOptions) (b masterBody, key *cipher.Subkey, err error) {
	data, err := disk.ReadFile(volume, masterName, maxMasterFile)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return makeMaster(volume, c, o)
	case err != nil:
		return b, nil, &FileError{File: masterName, Kind: kms.Unavailable, Err: err}
	}
	if b, err = decodeMaster(c, data); err != nil {
		kind := kms.Crypto
		if errors.Is(err, ErrNewer) {
			kind = kms.Unsupported
		}
		return b, nil, &FileError{File: masterName, Kind: kind, Err: err}
	}
	key, fingerprint, err := b.stretch(o.MasterKey)
	if err != nil {
		return b, nil, err
	}
	if !bytes.Equal(fingerprint[:], b.Fingerprint) {
		key.Wipe()
		return b, nil, fmt.Errorf("%w: %w: %s was made under the one with fingerprint %x",
			kms.Configuration, ErrMasterKey, o.Path, b.Fingerprint)
	}
	return b, key, nil
}

// isEmpty reports whether a directory holds no entry but temporary files.
func isEmpty(volume disk.Volume, dir string) (bool, error) {
	for e, err := range volume.ReadDir(dir) {
		switch {
		case err != nil:
			return false, fmt.Errorf("%w: %w", kms.Unavailable, err)
		case !disk.IsTemp(e.Name):
			return false, nil
		}
	}
	return true, nil
}

// masterBody is the body of the directory's own file.
type masterBody struct {
	Salt        []byte `cbor:"1,keyasint"`
	MemoryKiB   uint32 `cbor:"2,keyasint"`
	Passes      uint32 `cbor:"3,keyasint"`
	Lanes       uint8  `cbor:"4,keyasint"`
	Fingerprint []byte `cbor:"5,keyasint"`
	Made        bool   `cbor:"6,keyasint"` // there is a keyring
}

// makeMaster makes the directory's own file.
func makeMaster(volume disk.Volume, c codec, o DirectoryOptions) (b masterBody, key *cipher.Subkey, err error) {
	switch empty, err := isEmpty(volume, "."); {
	case err != nil:
		return b, nil, err
	case !empty: // the salt belongs to the keys: it is never made anew
		return b, nil, &FileError{File: masterName, Kind: kms.Crypto, Err: ErrMissing}
	}
	cost := o.Cost
	if cost == (Cost{}) {
		cost = DefaultCost()
	}
	b = masterBody{
		Salt: make([]byte, masterSaltSize), MemoryKiB: cost.MemoryKiB, Passes: cost.Passes, Lanes: cost.Lanes,
	}
	_, _ = rand.Read(b.Salt) // never fails
	key, fingerprint, err := b.stretch(o.MasterKey)
	if err != nil {
		return b, nil, err
	}
	b.Fingerprint = fingerprint[:]
	if err := writeMaster(volume, c, b); err != nil {
		key.Wipe()
		return b, nil, err
	}
	return b, key, nil
}

// writeMaster replaces the directory's own file in one durable step.
func writeMaster(volume disk.Volume, c codec, b masterBody) error {
	body, err := c.Encode(b)
	if err == nil {
		err = disk.WriteFileAtomic(volume, ".", masterName, append(append([]byte(masterMagic), masterVersion1), body...))
	}
	if err != nil {
		return &FileError{File: masterName, Kind: kms.Unavailable, Err: err}
	}
	return nil
}

func decodeMaster(c codec, data []byte) (masterBody, error) {
	var b masterBody
	head := len(masterMagic) + 1
	if len(data) < head || string(data[:head-1]) != masterMagic {
		return b, fmt.Errorf("%w: not the file of a key directory", ErrDamaged)
	}
	if v := data[head-1]; v != masterVersion1 {
		return b, fmt.Errorf("%w: version %d, this Coffer knows %d", ErrNewer, v, masterVersion1)
	}
	if err := c.decode(data[head:], &b); err != nil {
		return b, fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	err := Cost{b.MemoryKiB, b.Passes, b.Lanes}.check()
	if err == nil && (len(b.Salt) != masterSaltSize || len(b.Fingerprint) != cipher.IDSize) {
		err = errBody
	}
	if err != nil {
		return b, fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	return b, nil
}

// stretch derives the keyring's key and its fingerprint from a master key.
func (b masterBody) stretch(masterKey []byte) (*cipher.Subkey, cipher.Fingerprint, error) {
	raw := argon2.IDKey(masterKey, b.Salt, b.Passes, b.MemoryKiB, b.Lanes, cipher.KeySize)
	defer clear(raw)
	root, err := cipher.StoreKeyFromBytes(raw)
	if err != nil {
		return nil, cipher.Fingerprint{}, err
	}
	defer root.Wipe()
	return root.Derive(cipher.LabelKeyring), root.Fingerprint(), nil
}

// checkOutside returns ErrInside when dir is, or lies below, what.
func checkOutside(dir, what string) error {
	inside, err := disk.Inside(dir, what)
	if err == nil && inside {
		err = fmt.Errorf("%w: %s is in %s", ErrInside, dir, what)
	}
	return err
}
