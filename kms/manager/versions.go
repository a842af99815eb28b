package manager

import "sync"

// versions are the newest versions of keys, as far as they were seen. The zero
// value is ready.
type versions struct {
	mu     sync.Mutex
	newest map[owner]uint32
}

// learn notes the version that a key wraps with now; 0 forgets it.
func (v *versions) learn(key owner, version uint32) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if version == 0 {
		delete(v.newest, key)
		return
	}
	if v.newest == nil {
		v.newest = make(map[owner]uint32)
	}
	v.newest[key] = version
}

// of is 0 where nothing is known.
func (v *versions) of(key owner) uint32 {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.newest[key]
}
