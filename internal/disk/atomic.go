package disk

import (
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"
)

// tempSuffix ends the name of every temporary file.
const tempSuffix = ".tmp"

// ErrTooLarge says that a file is longer than its reader allows.
var ErrTooLarge = errors.New("file too large")

// IsTemp reports whether a base name is that of a temporary file which
// WriteFileAtomic may have left behind at a power cut. Such a file holds
// nothing that anybody was told is kept, and may be removed.
func IsTemp(name string) bool { return strings.HasSuffix(name, tempSuffix) }

// WriteFileAtomic puts data under dir/name, where a file may already be, in one
// durable step: after a nil error the new content is there after a power cut;
// at any moment, and after any error or cut, the name holds either the former
// content or the new one, whole.
//
// An error means that the change may or may not have happened; the former
// content is never damaged by it.
func WriteFileAtomic(fsys FS, dir, name string, data []byte) error {
	var salt [8]byte
	rand.Read(salt[:]) // never fails
	temp := path.Join(dir, name+"."+hex.EncodeToString(salt[:])+tempSuffix)
	if err := writeSynced(fsys, temp, data); err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	if err := fsys.Rename(temp, path.Join(dir, name)); err != nil {
		return fmt.Errorf("write %s: %w", name, errors.Join(err, fsys.Remove(temp)))
	}
	if err := fsys.SyncDir(dir); err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	return nil
}

// writeSynced makes a file with durable bytes, or none.
func writeSynced(fsys FS, name string, data []byte) error {
	f, err := fsys.Create(name)
	if err != nil {
		return err
	}
	n, err := f.Write(data)
	if err == nil && n < len(data) {
		err = io.ErrShortWrite
	}
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return errors.Join(err, fsys.Remove(name))
	}
	return nil
}

// ReadFile reads a whole file of at most limit bytes; a longer one is
// ErrTooLarge.
func ReadFile(fsys FS, name string, limit int64) ([]byte, error) {
	f, err := fsys.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	size, err := f.Size()
	if err != nil {
		return nil, err
	}
	if size > limit {
		return nil, fmt.Errorf("read %s: %w: %d bytes, limit %d", name, ErrTooLarge, size, limit)
	}
	data := make([]byte, size)
	if n, err := f.ReadAt(data, 0); n < len(data) {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	return data, nil
}
