// Package local is the built-in keyring: a key backend that keeps versioned
// MasterKeys in sealed files of the configuration directory.
//
// # Duty
//
// Keyring implements kms.Backend, kms.Admin and all that a backend may add to
// them, over a directory with one sealed file per key and one for the keyring
// itself (FORMAT.md gives the bytes). The files are sealed under a subkey of the
// StoreKey, so the keyring runs from the start of the server, without any
// service.
//
// # Nothing is ever regenerated
//
// A keyring is made once, in an empty directory. From then on it lists its keys
// in its own file, so that a key file that is gone is told from a key that never
// was. A file that is missing, damaged, of another store or of a newer format is
// a *FileError that names the file and what to do; the key is not made anew
// under any operation, and the other keys go on working. A file that was
// restored is picked up by the next operation on its key.
//
// # Destruction
//
// DestroyKey is the one operation that loses key material, and cannot be undone.
// Nothing is destroyed by time alone: a key whose waiting time has passed goes
// on decrypting until somebody calls DestroyKey.
//
// # Durability
//
// A file is replaced in one durable step (disk.WriteFileAtomic). After an error
// or a power cut in the middle of CreateKey or RotateKey the file holds the old
// content or the new one, whole. A new version wraps nothing before it is
// durable. A key whose creation failed midway is finished by the next CreateKey
// of its id, or by Open.
//
// # What it does not do
//
// It does not lock its directory: one process at a time may use it, which the
// owner of the configuration directory sees to. It makes no backups.
//
// # Concurrency and ownership
//
// A Keyring is safe for concurrent use. MasterKeys stay in memory until Close,
// which wipes them; Unwrap and GenerateKEK do not touch the disk while a key's
// file is sound. Writes to one key are one after the other.
package local
