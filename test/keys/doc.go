// Package keys holds the tests of keys over the whole product: the built server, its
// S3 and admin API, and a real Vault behind a proxy that fails on demand.
//
// # Duty
//
// It shows what only the whole can show: that a least Vault policy is enough, what
// clients see while the key service is slow, refuses or is gone, how many calls
// parallel reads make, that backends are swapped and emptied under load, that a rewrap which is killed over
// and over leaves nothing below the newest version of a key, what a large one costs, that
// no secret gets out of the process anywhere, and that no file of the data directory shows a name.
//
// # What it does not do
//
// The promises of a backend, of the manager and of the engine by themselves are
// tested beside them.
package keys
