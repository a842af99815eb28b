// Command vaultd is a real Vault server for tests: Vault's own core and HTTP
// API, linked from its Go modules, with the few plugins that Coffer meets. It is
// a module of its own, so that nothing of it comes into the product; README.md
// says what is left out.
//
//	vaultd -dev                                                      in memory, initialised and unsealed
//	vaultd -data DIR                                                 files, to be initialised and unsealed over the API
//	vaultd -data DIR -tls-cert C.pem -tls-key K.pem -tls-client-ca A.pem
//
// When it serves, it writes one line of JSON to standard output: address, and
// with -dev root_token and unseal_keys (hexadecimal). It ends on an interrupt, on
// SIGTERM, and with -stdin when its standard input ends, which is how it ends
// with the test that started it, however that one ends.
package main
