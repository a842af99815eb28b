// Package vault is the key backend over the Transit engine of HashiCorp Vault:
// MasterKeys are Transit keys and never leave it. (OpenBao has the same calls; no
// test here runs against it.)
//
// # Duty
//
// Backend implements every interface of package kms. It gets and keeps a Vault
// token (Token, TokenFile, AppRole, Kubernetes), and bounds what a slow or failing
// Vault can do to those who wait for it: time, attempts, calls at once, and a
// circuit breaker.
//
// A KEK is made by datakey/plaintext, given back by decrypt, and moved to a
// newer version by rewrap; RewrapBatch moves up to 1,000 in one call. The
// ciphertext is Vault's own, "vault:v1:…", and a Wrapped.Blob of it is what
// others read too.
//
// # Contexts
//
// Keys that CreateKey makes are derived: Vault computes the key of every KEK from
// the MasterKey and the context, so it refuses another context itself. The
// context sent is "coffer/v1:" and the bytes that the caller gave.
//
// A key that an operator made without derived=true works as well. Vault ignores
// the context of such a key without a word, so for it neither Unwrap nor Rewrap
// notices another context; what binds then is the DataKey's own seal (package
// cipher). KeyInfo.Unbound tells the two apart, where the token may read the key.
//
// The instance id is compared and not bound: another instance over the same
// mount can open a KEK that has no instance id beside it. So KEKs outlive the
// loss of a configuration.
//
// # Key ids
//
// A key id that is a legal Transit name is that name. Every other id, and one
// that begins with "coffer.x.", becomes "coffer.x." and the id in which every byte
// but letters, digits and underscore is "-" and two hexadecimal digits:
// "tenant/a" is coffer.x.tenant-2fa.
//
// # Fingerprints
//
// Vault shows nothing of a key, and a least token may not even read when it was
// made. So the fingerprint of a key version names the version: it is made from
// instance id, key id and version number. That a key was deleted and made anew
// under its old name shows when Vault refuses what the old one wrapped.
//
// # States
//
// Transit has no place for the state, the description and the tags of a key. They
// stand in one small JSON record for each key (state.go): in a KV engine of
// version 2 at Options.KVMount and Options.KVPrefix, changed by check-and-set,
// when the token may use it; else in Options.State; else nowhere, and then keys are
// always enabled and what would change that is Unsupported. Report says which. A
// record outside the engine goes on to count, and moves there with its next
// change; to take the engine away from a token again makes Coffer forget states.
// A state that is changed by another process counts here after half a minute.
//
// # What Vault must allow
//
// To use a key K that exists, at the mount M:
//
//	path "M/datakey/plaintext/K" { capabilities = ["update"] }
//	path "M/decrypt/K"           { capabilities = ["update"] }
//	path "M/rewrap/K"            { capabilities = ["update"] }
//	path "M/encrypt/K"           { capabilities = ["update"] }
//
// The last one is for KEKs that move here from another backend, and for Encrypt.
// To administer keys, and to keep their state below the prefix P of the engine at
// S, besides:
//
//	path "M/keys"         { capabilities = ["list"] }
//	path "M/keys/*"       { capabilities = ["create", "read", "update", "delete"] }
//	path "S/data/P/*"     { capabilities = ["create", "read", "update"] }
//	path "S/metadata/P/*" { capabilities = ["read", "delete"] }
//
// What the policy forbids is kms.Denied, and the error names the path. Do not
// give create on encrypt: it lets Vault make keys that are missing.
//
// # What it does not do
//
// It caches no KEK. It reads no environment: not VAULT_ADDR and its kin, nor a
// proxy. One that Vault's library cannot parse is reported by Open. It does not
// destroy keys whose waiting time is over by itself.
//
// # Concurrency and ownership
//
// A Backend is safe for concurrent use. One goroutine keeps its token; Close ends
// it, and revokes a token that a login gave. Slices given are not kept.
//
// # Secrets
//
// No error and no log line holds a token, a secret id, a context or a KEK. What
// Vault answers is shown unless it repeats one of them.
package vault
