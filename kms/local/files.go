package local

import (
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"

	"coffer/cipher"
	"coffer/internal/disk"
	"coffer/kms"
)

// Names and labels of format 1 (FORMAT.md).
const (
	instanceName  = "instance"
	keySuffix     = ".key"
	nameHashSize  = 16
	labelFileName = "coffer/v1/keyring/name"
	fileMagic     = "CFKR"
	fileVersion   = 1
	headerSize    = len(fileMagic) + 2
)

// kind tells what a sealed file holds; it is stored.
type kind uint8

const (
	kindInstance  kind = 1
	kindKey       kind = 2
	kindTombstone kind = 3
)

var (
	// ErrMissing says that a file which must be there is not.
	ErrMissing = errors.New("is missing")
	// ErrDamaged says that a file does not authenticate or holds nonsense.
	ErrDamaged = errors.New("is damaged")
	// ErrNewer says that a file was written by a newer version of Coffer.
	ErrNewer = errors.New("has a newer format")
)

// FileError says that a file of the keyring cannot be used, and what to do.
// Its cause is ErrMissing, ErrDamaged, ErrNewer or an error of the disk.
type FileError struct {
	File string // relative to the configuration directory
	Kind kms.Kind
	Err  error
}

// Error names the file and the remedy.
func (e *FileError) Error() string {
	s := fmt.Sprintf("keyring file %s: %v", e.File, e.Err)
	switch {
	case errors.Is(e.Err, ErrNewer):
		return s + "; use the version of Coffer that wrote it"
	case errors.Is(e.Err, ErrMissing), errors.Is(e.Err, ErrDamaged):
		return s + "; nothing was made in its place: restore this file from a backup"
	default:
		return s
	}
}

// Unwrap gives the kind and the cause.
func (e *FileError) Unwrap() []error { return []error{e.Kind, e.Err} }

// files reads and writes the sealed files of one directory.
type files struct {
	fs      disk.Volume
	dir     string
	box     *cipher.Box
	nameKey []byte
}

func newFiles(fsys disk.Volume, dir string, key *cipher.Subkey) (*files, error) {
	nameKey, err := hkdf.Key(sha256.New, key.Expose(), nil, labelFileName, sha256.Size)
	if err != nil {
		return nil, err
	}
	return &files{fs: fsys, dir: dir, box: cipher.NewBox(key), nameKey: nameKey}, nil
}

// keyName is the base name of the file of a key.
func (f *files) keyName(keyID string) string {
	mac := hmac.New(sha256.New, f.nameKey)
	mac.Write([]byte(keyID))
	return hex.EncodeToString(mac.Sum(nil)[:nameHashSize]) + keySuffix
}

// isKeyName reports whether a base name has the form of a key file's.
func isKeyName(name string) bool {
	digits, ok := strings.CutSuffix(name, keySuffix)
	if !ok || len(digits) != 2*nameHashSize || strings.ToLower(digits) != digits {
		return false
	}
	_, err := hex.DecodeString(digits)
	return err == nil
}

func (f *files) path(name string) string { return path.Join(f.dir, name) }

// fault makes the FileError for name.
func (f *files) fault(name string, kind kms.Kind, err error) error {
	return &FileError{File: f.path(name), Kind: kind, Err: err}
}

// read opens a sealed file and returns its body, which the caller wipes.
func (f *files) read(name string, k kind) ([]byte, error) {
	data, err := disk.ReadFile(f.fs, f.path(name), maxFileSize)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, f.fault(name, kms.Crypto, ErrMissing)
	case errors.Is(err, disk.ErrTooLarge):
		return nil, f.fault(name, kms.Crypto, fmt.Errorf("%w: %w", ErrDamaged, err))
	case err != nil:
		return nil, f.fault(name, kms.Unavailable, err)
	}
	body, err := openFile(f.box, name, k, data)
	if errors.Is(err, ErrNewer) {
		return nil, f.fault(name, kms.Unsupported, err)
	}
	if err != nil {
		return nil, f.fault(name, kms.Crypto, err)
	}
	return body, nil
}

// write replaces a sealed file in one durable step.
func (f *files) write(name string, k kind, body []byte) error {
	data := sealFile(f.box, name, k, body)
	if len(data) > maxFileSize {
		return f.fault(name, kms.InvalidState, fmt.Errorf("would have %d bytes, more than %d", len(data), maxFileSize))
	}
	if err := disk.WriteFileAtomic(f.fs, f.dir, name, data); err != nil {
		return f.fault(name, kms.Unavailable, err)
	}
	return nil
}

// header is the clear beginning of a sealed file.
func header(k kind) []byte {
	return append([]byte(fileMagic), fileVersion, byte(k))
}

// sealFile gives the bytes of a sealed file.
func sealFile(box *cipher.Box, name string, k kind, body []byte) []byte {
	h := header(k)
	return box.Seal(h, body, append(h, name...))
}

// openFile is the inverse of sealFile.
func openFile(box *cipher.Box, name string, k kind, data []byte) ([]byte, error) {
	if len(data) < headerSize || string(data[:len(fileMagic)]) != fileMagic {
		return nil, fmt.Errorf("%w: not a keyring file", ErrDamaged)
	}
	if v := data[len(fileMagic)]; v > fileVersion {
		return nil, fmt.Errorf("%w: version %d, this Coffer knows %d", ErrNewer, v, fileVersion)
	}
	h := header(k)
	if string(data[:headerSize]) != string(h) {
		return nil, fmt.Errorf("%w: wrong header", ErrDamaged)
	}
	body, err := box.Open(nil, data[headerSize:], append(h, name...))
	if err != nil {
		return nil, fmt.Errorf("%w, or belongs to another store: %w", ErrDamaged, err)
	}
	return body, nil
}

// makeDir makes the directory durably.
func (f *files) makeDir() error {
	if err := f.fs.MkdirAll(f.dir); err != nil {
		return f.fault("", kms.Unavailable, err)
	}
	for parent := f.dir; parent != "."; {
		parent = path.Dir(parent)
		if err := f.fs.SyncDir(parent); err != nil {
			return f.fault("", kms.Unavailable, err)
		}
	}
	return nil
}

// sync makes the directory's entries durable.
func (f *files) sync() error {
	if err := f.fs.SyncDir(f.dir); err != nil {
		return f.fault("", kms.Unavailable, err)
	}
	return nil
}

func (f *files) remove(name string) error {
	if err := f.fs.Remove(f.path(name)); err != nil {
		return f.fault(name, kms.Unavailable, err)
	}
	return nil
}

// names lists the directory: the files that are not temporary, and those that
// are. A directory that does not exist is empty.
func (f *files) names() (kept, temporary []string, err error) {
	for e, err := range f.fs.ReadDir(f.dir) {
		if errors.Is(err, fs.ErrNotExist) {
			return nil, nil, nil
		}
		if err != nil {
			return nil, nil, f.fault("", kms.Unavailable, err)
		}
		if !e.Dir && disk.IsTemp(e.Name) {
			temporary = append(temporary, e.Name)
			continue
		}
		kept = append(kept, e.Name)
	}
	return kept, temporary, nil
}
