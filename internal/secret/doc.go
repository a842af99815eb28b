// Package secret holds passwords, passphrases and keys as they were given to the
// process: in a type that has no printed form, so that no log line, error or
// document shows one by accident.
//
// It does not know what a secret is for. The keys of objects and stores are
// types of package cipher.
//
// A Value may be used from many goroutines until it is wiped. Copies of a Value
// share its bytes.
package secret
