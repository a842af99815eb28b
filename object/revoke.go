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

// Revoke ends what holds DataKeys: reads and writes of bodies under way fail with KindUnavailable before their next unit,
// and wipe their keys as they end. What begins afterwards asks the key service anew. Whoever holds up a stream by not
// reading or writing is for the front door to cut off.
func (s *Store) Revoke() {
	r := s.revoked
	r.mu.Lock()
	defer r.mu.Unlock()
	close(r.over)
	r.over = make(chan struct{})
}
