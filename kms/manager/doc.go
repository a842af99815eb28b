// Package manager is the life of key backends: it configures, starts, stops and
// swaps them at run time, and serves the engine with the keys of all of them.
//
// # Duty
//
// A Manager has two key services. The built-in keyring always runs and wraps the
// KEKs of SSE-S3. The configured KMS serves SSE-KMS; until somebody has
// configured one, the built-in keyring stands in (unless Options.NoStandIn). Its
// states are NotConfigured, Configured, Running and Error.
//
// A change builds and probes a candidate first: the backend is reached, and a KEK
// that it wraps comes back. A candidate that does not work changes nothing.
// One that does is kept, sealed and durable, and then serves from the next call
// on; calls under way end with the backend that they began with.
//
// # Instances
//
// A backend is an instance with an id, which stands in everything that it has
// wrapped. A backend at the same place with another token is the same instance;
// so is one at another place that opens what the instance has wrapped.
// Every instance that was ever started stays for decryption until
// RemoveInstance, which refuses while something still needs it.
//
// # Requests
//
// GenerateKEK and Unwrap are bounded by Options.RequestTimeout, retries and the
// opening of a backend included, also where a backend does not heed its
// context. Callers that unwrap the same KEK at the same time share one call, which
// goes on when the first of them gives up. KEKs are kept for Config.CacheTTL, up
// to Config.MaxCachedKeys of them, and wiped at the end; a read whose KEK is
// kept needs no backend. What is kept is the Manager's own: every caller gets a
// copy, owns it, and should wipe it. KEKs of the built-in keyring are not kept,
// since it answers from memory.
//
// # Failures
//
// A backend that cannot be reached at the start is tried again, with growing
// pauses, by the background and by requests; recovery needs no hand. Errors are
// those of package kms. Nobody having configured a key service is NotConfigured,
// which no client should repeat; one that is stopped or not there is Unavailable.
//
// # Keys that are due
//
// A sweep destroys keys whose waiting time before deletion has passed, but never
// one that something still needs, and rotates those whose newest version is too
// old, where that is asked for.
//
// # What it does not do
//
// It knows no Vault and no environment: factories and Options.Given are passed
// in. It writes no audit log and no metrics: Options.Record is for the one,
// Options.Watcher, Options.Observe, Status and KeySurveys for the other. It counts
// no references: Options.References and Options.KeyReferences do.
//
// # Secrets
//
// Secrets of a Config are of type secret.Value. No error, log line, Status or
// Summary repeats one; an error of a backend that does is withheld.
//
// # Concurrency and ownership
//
// A Manager is safe for concurrent use. Changes of the configuration are one after
// the other. Close waits for everything that the Manager began.
//
// # Format
//
// FORMAT.md gives the bytes of the sealed configuration.
package manager
