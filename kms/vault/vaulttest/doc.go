// Package vaulttest runs a real Vault server for tests of whatever uses one.
//
// # Duty
//
// Launch and Start build test/vaultd once (the binary is kept in the user's
// cache directory under a hash of its sources and the Go version), start it on a
// free port of the loopback interface and hand back a Server: in memory or over
// files, with or without TLS, initialised and unsealed. A Server makes what a
// test needs of Vault: mounts, keys, policies, tokens, AppRoles, the Kubernetes
// login, rate quotas; and it is sealed, unsealed and restarted.
//
// Proxy stands between a backend and its server and does what networks and
// loaded servers do.
//
// # What it does not do
//
// It skips nothing: a server that cannot be built or started fails the test. The
// first build takes some minutes of processor time; `go test -run TestBinary
// -timeout 30m ./kms/vault/vaulttest` does it apart from everything else.
//
// # Concurrency and ownership
//
// A Server may be used by parallel tests: every name that it gives out is new.
// Seal, Unseal, Restart and Stop concern all who use it. The process ends with
// the one that started it, however that one ends.
package vaulttest
