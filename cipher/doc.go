// Package cipher is the one place in Coffer that encrypts. It holds the identifiers, the secret key types, the sealed
// chunk (ChunkWriter, ChunkReader, SealChunk, OpenChunk), the Box for small values, the SealedKey that a record
// keeps, and every derivation of one key from another. FORMAT.md gives all of it byte by byte.
//
// # The attacker considered
//
// Somebody who has everything at rest, reads it again and again over time, and changes it as they please: flips bits,
// cuts, extends, reorders, moves bytes between chunks, objects, buckets and stores, and puts back what stood there
// before. They may also choose plaintexts and names, as any client does. They do not have the StoreKey, a MasterKey
// or the memory of the process.
//
// What they learn is sizes, counts and times, and which chunk files belong to one chunk of what length. What they
// change is refused with ErrAuth or ErrFormat before a byte of it is used: every frame of a chunk, every box and
// every sealed key is authenticated together with its place. What they put back whole, an old box under the same key
// of the metastore, is genuine and opens: freshness is not a matter of this package. Nor is deletion.
//
// AES-GCM and XAES-256-GCM do not commit to their key: who knows two keys can make bytes that open under both. Here
// nobody chooses a DataKey or an encryption nonce, and the key of every seal comes out of HKDF or a random nonce, so
// this does not arise; do not build on the contrary.
//
// # What it does not do
//
// It does not know names, objects, files or key services, does no input or output but on what it is given, and
// depends on nothing but the standard library. It does not run in a process with GODEBUG=fips140=only, which forbids
// GCM under nonces of one's own.
//
// # Ownership and concurrency
//
// Keys are passed as pointers and belong to whoever made them, who may Wipe them when nobody uses them any more. One
// DataKey serves any number of chunks at once; what is derived for a chunk costs about a microsecond. Box and
// ChunkReader are safe for concurrent use, ChunkWriter and SealedKey are not. Slices that are passed in are neither
// kept nor changed; slices that come out belong to the caller, but for Expose.
package cipher
