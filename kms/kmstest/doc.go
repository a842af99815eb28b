// Package kmstest holds what tests of key backends share: Run, the conformance
// suite that every backend passes, and Fake, a backend in memory.
//
// A backend's own test calls the suite in a few lines:
//
//	func TestConformance(t *testing.T) {
//		t.Parallel()
//		kmstest.Run(t, func(t *testing.T) kmstest.Backend { return open(t) })
//	}
//
// The suite opens a backend without keys for every case, and now and then two
// at once, which must be different instances. What a backend promises beyond
// the interfaces of package kms, such as durability, is tested beside the
// backend. Every backend runs the same cases, none is skipped; RunFixed is the
// suite of backends that hold one key and cannot make others.
//
// Fake is for tests of code that uses a backend. It passes the suite, counts
// calls, fails on demand and can be put into states that a real backend reaches
// only by accident. It keeps its MasterKeys in memory alone. It is safe for
// concurrent use, and has no format.
package kmstest
