// Package object is the engine that every front door of Coffer shares: buckets, objects, uploads, preconditions,
// sealing, bodies and their collection.
//
// A Store joins three things that know nothing of each other: a metastore (names and records), a chunk store (sealed
// bytes) and a keyring (keys that wrap keys). It turns a plaintext stream into sealed, durable chunks and publishes
// them by one metastore transaction, so that a name shows either the whole old version or the whole new one, and a
// nil error means that the change survives a power cut.
//
// It does not know HTTP, XML, signatures, FUSE, Badger or Vault. It does not decide who may do what.
//
// Concurrency: every method of Store is safe for concurrent use. A Reader belongs to one goroutine and must be closed:
// until then the version that it reads cannot be collected. Lock order: no lock is held across a metastore
// transaction or a call to a keyring.
//
// Errors are *Error values; decide by KindOf. Errors of a caller's body reader are returned wrapped, so that errors.As
// finds them.
//
// What lies in the metastore is written down in LAYOUT.md; chunks and sealed keys in cipher/FORMAT.md.
package object
