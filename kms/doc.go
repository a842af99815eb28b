// Package kms says what a key backend is: the service that holds MasterKeys and
// wraps KEKs under them.
//
// # Duty
//
// The package declares the two interfaces of a backend (Backend, the data path,
// and Admin, the administration of keys), what they exchange (Wrapped, KeyInfo)
// and the one error vocabulary of key services (Error, Kind) with the codes that
// front doors answer (Kind.Codes). What a backend may do beyond the two are
// small interfaces of their own (Creator, Lifecycle, Describer, Crypter,
// Wrapper, BatchRewrapper, Gate, Reporter); the functions of the same names as their
// methods ask any backend, and answer Unsupported for one that cannot.
//
// The built-in keyring is package kms/local; kms/manager configures, starts,
// stops and swaps backends; package kms/kmstest holds the conformance suite that
// every backend passes.
//
// # What it does not do
//
// It seals no DataKey and no object byte (package cipher), it knows no bucket,
// object, request or record (package object), and it caches nothing.
//
// # The security notion
//
// A backend issues KEKs (GenerateKEK) and gives each back only to a caller that
// presents the wrapped form unchanged together with exactly the context that it
// was issued under (Unwrap). A wrapped KEK that was altered in any bit, moved to
// another key, another backend instance or another context is refused with Kind
// Crypto. MasterKeys never leave a backend.
//
// # Contexts
//
// A context is an opaque string of bytes, at most MaxContextSize long. It is
// compared byte for byte and never parsed, so the caller stores the bytes that
// it sealed with. A nil context and an empty one are the same.
//
// # Concurrency and ownership
//
// Backends are safe for concurrent use. They keep no slice that they are given,
// and what they return belongs to the caller, who wipes the KEK when done. A
// call that may block ends when its context.Context ends.
//
// # Format
//
// The bytes of Wrapped.Blob are described at that method. What stands inside
// Wrapped.Ciphertext is the backend's own matter (for the built-in keyring see
// kms/local/FORMAT.md).
package kms
