// Package static is a key backend with one MasterKey that is given as text, as
// MinIO's MINIO_KMS_SECRET_KEY is: "id:base64 of 32 bytes". It is for labs: the
// key lies in a file or a variable, and nobody can rotate it.
//
// # Duty
//
// Static implements kms.Backend, kms.Admin, kms.Crypter and kms.Wrapper over that
// key, as its version 1. Everything that would need another key, version or
// state is Unsupported. Its instance id is derived from the key and its id, so
// that the same text is the same backend wherever it is given, and another one
// is another backend.
//
// # What it does not do
//
// It reads no file and no variable, and keeps nothing on disk. It does not read
// what MinIO wrapped.
//
// # Concurrency and ownership
//
// A Static is safe for concurrent use. The MasterKey stays in memory until
// Close, which wipes it and waits for the calls that use it.
//
// # Format
//
// The instance id is the first 16 bytes of
// HKDF-SHA-256(secret = MasterKey, salt = none, info = "coffer/v1/static/instance" || key id).
//
// The ciphertext of a kms.Wrapped:
//
//	offset   size     field
//	0        1        format version, 1
//	1        n + 41   Box(MasterKey).Seal(plaintext, AD)   (cipher/FORMAT.md)
//
//	AD = "coffer/v1/static/kek" || format version u8 || instance id (16)
//	     || key id length u32 BE || key id || context length u32 BE || context
package static
