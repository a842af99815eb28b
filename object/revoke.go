package object

import "sync"

// revocation tells what holds DataKeys that it has to end.
type revocation struct {
	mu   sync.Mutex
	over chan struct{} // closed by the next Revoke
}

func newRevocation() *revocation { return &revocation{over: make(chan struct{})} }

// next is closed by the next Revoke. It is asked for before a key is, so that no key from before outlives one.
func (r *revocation) next() <-chan struct{} {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.over
}

// end closes what next has given.
func (r *revocation) end() {
	r.mu.Lock()
	defer r.mu.Unlock()
	close(r.over)
	r.over = make(chan struct{})
}

// Revoke ends what holds DataKeys: reads and writes of bodies under way fail with KindUnavailable before their next unit,
// and wipe their keys as they end. Open files lose their keys; their next read or write asks the key service anew, but
// for files of which much was written and not committed, which are lost. What begins afterwards asks anew as well.
// Whoever holds up a stream by not reading or writing is for the front door to cut off.
func (s *Store) Revoke() {
	s.revoked.end()
	for _, f := range s.files.all() {
		f.revoke()
	}
}

// errNoKeys says that the keys were revoked before they were used: they are asked for again.
var errNoKeys = errKindf(KindUnavailable, "the key was revoked")

// revoke lets go of the keys of an open file, and of what they have opened.
func (f *openFile) revoke() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.stream != nil {
		_ = f.lose(errNoKeys) // who commits is told
	}
	f.chunks.close()
	for _, k := range f.keys {
		k.Wipe()
	}
	f.keys = nil
}
