// Package backend is an example: a key backend of about a hundred lines that passes
// the conformance suite. docs/backends.md goes through it.
//
// It keeps its keys in memory, where a real one would ask a service or read files, so
// what it has wrapped can be read as long as the process lives. It is safe for
// concurrent use, and has no format.
package backend
