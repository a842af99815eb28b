package home

import (
	"errors"
	"fmt"
	"strings"

	"coffer/cipher"
)

// ErrNoSecret says that nothing was given that could unlock the store.
var ErrNoSecret = errors.New("nothing is given that unlocks the store")

// ErrOneDirectory says that the configuration and the data directory are the
// same, which no flag allows.
var ErrOneDirectory = errors.New("the configuration directory and the data directory are one")

// KeysBesideDataError says that a key lies where the sealed data lies, so that
// whoever gets the data gets the key with it.
type KeysBesideDataError struct {
	Key  string // file or directory that holds a key
	Data string // data directory
}

// Error names both.
func (e *KeysBesideDataError) Error() string {
	return fmt.Sprintf("the key %s would lie inside the data directory %s, where a copy of the data carries its key along", e.Key, e.Data)
}

// AuditInsideDataError says that the audit log lies where nothing may show a name
// in the clear.
type AuditInsideDataError struct{ Audit, Data string }

// Error names both.
func (e *AuditInsideDataError) Error() string {
	return fmt.Sprintf("the audit log %s would lie inside the data directory %s, where no name is in the clear, and it names buckets", e.Audit, e.Data)
}

// InUseError says that another process has a directory.
type InUseError struct{ Dir string }

// Error names the directory.
func (e *InUseError) Error() string {
	return fmt.Sprintf("%s is in use by another coffer process; one process at a time owns a store", e.Dir)
}

// KeyMissingError says that there is something which only a store.key opens
// that is not there. None is made in its place.
type KeyMissingError struct {
	StoreKey string // path where it should be
	Found    string // what needs it
}

// Error says what to do.
func (e *KeyMissingError) Error() string {
	return fmt.Sprintf("%s is missing, but %s needs it; nothing was made in its place: restore it from a backup, or name the right directories with --config-dir and --data", e.StoreKey, e.Found)
}

// OtherStoreError says that the data directory belongs to another store than
// store.key.
type OtherStoreError struct {
	StoreKey, Data string         // paths
	Want           cipher.StoreID // of store.key
	Found          cipher.StoreID // of the data directory
}

// Error names both stores.
func (e *OtherStoreError) Error() string {
	return fmt.Sprintf("%s belongs to store %v, but %s is the key of store %v; name the right directories with --config-dir and --data",
		e.Data, e.Found, e.StoreKey, e.Want)
}

// DataMissingError says that a store which had data finds its data directory
// empty.
type DataMissingError struct {
	Data  string
	Store cipher.StoreID
}

// Error says what to do.
func (e *DataMissingError) Error() string {
	return fmt.Sprintf("store %v has data elsewhere, and %s is empty or missing; is a disk not mounted? To begin with an empty store under the same keys, give --accept-empty-data once",
		e.Store, e.Data)
}

// UnmarkedError says that a data directory holds data and does not say whose.
type UnmarkedError struct{ Data string }

// Error names the directory.
func (e *UnmarkedError) Error() string {
	return fmt.Sprintf("%s holds data but its file %q, which names the store, is missing or unfinished; restore it from a backup", e.Data, markerFile)
}

// ForeignError says that the data directory holds files that are no store's.
type ForeignError struct {
	Data  string
	Names []string
}

// Error names some of the files.
func (e *ForeignError) Error() string {
	const shown = 3
	names := e.Names
	more := ""
	if len(names) > shown {
		names, more = names[:shown], ", …"
	}
	return fmt.Sprintf("%s is no data directory: it holds %s%s; name an empty directory with --data", e.Data, strings.Join(names, ", "), more)
}

// DamagedError says that a small file of this package's own does not read as it
// was written.
type DamagedError struct {
	File   string
	Reason string
}

// Error names the file and the fault.
func (e *DamagedError) Error() string { return e.File + " is damaged: " + e.Reason }
