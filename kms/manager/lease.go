package manager

import (
	"container/list"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"sync"
	"time"

	"coffer/cipher"
	"coffer/kms"
)

// leaseKey names a wrapped KEK together with its context: all that a backend
// would be asked with.
type leaseKey [sha256.Size]byte

func newLeaseKey(w kms.Wrapped, keyContext []byte) leaseKey {
	h := sha256.New()
	h.Write(w.Instance[:])
	h.Write(w.Fingerprint[:])
	var n [4]byte
	binary.BigEndian.PutUint32(n[:], w.Version)
	h.Write(n[:])
	for _, part := range [][]byte{[]byte(w.KeyID), w.Ciphertext, keyContext} {
		binary.BigEndian.PutUint32(n[:], uint32(len(part)))
		h.Write(n[:])
		h.Write(part)
	}
	return leaseKey(h.Sum(nil))
}

// owner is the key that a KEK is wrapped under.
type owner struct {
	instance cipher.InstanceID
	keyID    string
}

// lease is a KEK that is kept until it expires. The cache alone has it: callers
// get copies, so that it can be wiped at any time.
type lease struct {
	key     leaseKey
	owner   owner
	kek     *cipher.KEK
	expires time.Time
	byAge   *list.Element // in leases.byAge
	byUse   *list.Element // in leases.byUse
}

// flight is a call for a KEK that is under way. It ends for itself, whoever
// gives up waiting.
type flight struct {
	owner   owner
	done    chan struct{} // closed when kek or err is there
	waiters int           // who will still take a copy
	kek     *cipher.KEK   // wiped when the last waiter is done
	err     error
}

// leases is a cache of KEKs with single flight, a time to live and a bound.
type leases struct {
	mu      sync.Mutex
	enabled bool
	ttl     time.Duration
	limit   int
	byKey   map[leaseKey]*lease
	byAge   *list.List // the oldest in front, which expires first
	byUse   *list.List // the least recently used in front
	flights map[leaseKey]*flight
	timer   *time.Timer // for the front of byAge
	epoch   uint64      // counts calls of clear
	stats   CacheStats
}

// CacheStats counts what the cache did.
type CacheStats struct {
	Enabled   bool          `json:"enabled"`
	Limit     int           `json:"max_keys"`
	TTL       time.Duration `json:"ttl"`
	Entries   int           `json:"entry_count"`
	Hits      uint64        `json:"hit_count"`
	Misses    uint64        `json:"miss_count"`
	Joined    uint64        `json:"joined_count"`   // misses that waited for the call of another
	Evictions uint64        `json:"eviction_count"` // to make room
	Expired   uint64        `json:"expired_count"`
	Cleared   uint64        `json:"cleared_count"` // when something was changed, or on demand
}

func newLeases() *leases {
	l := &leases{
		byKey: map[leaseKey]*lease{}, byAge: list.New(), byUse: list.New(), flights: map[leaseKey]*flight{},
	}
	return l
}

// configure changes the settings. Where they differ all leases end.
func (l *leases) configure(enabled bool, limit int, ttl time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.enabled == enabled && l.limit == limit && l.ttl == ttl {
		return
	}
	l.enabled, l.limit, l.ttl = enabled, limit, ttl
	l.clear(func(owner) bool { return true })
}

// forget ends the leases of those keys, and keeps calls that are under way from
// becoming leases or being joined.
func (l *leases) forget(which func(owner) bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.clear(which)
}

// clear is forget with mu held.
func (l *leases) clear(which func(owner) bool) {
	l.epoch++
	for _, e := range l.byKey {
		if which(e.owner) {
			l.drop(e)
			l.stats.Cleared++
		}
	}
	for key, f := range l.flights {
		if which(f.owner) {
			delete(l.flights, key)
		}
	}
	l.schedule()
}

// drop ends one lease. The caller holds mu and schedules.
func (l *leases) drop(e *lease) {
	delete(l.byKey, e.key)
	l.byAge.Remove(e.byAge)
	l.byUse.Remove(e.byUse)
	e.kek.Wipe()
}

// get returns a copy of a KEK: that of a lease, or what call gives. Callers that
// ask for the same at the same time share one call, which runs in a goroutine of
// spawn until it ends for itself; each waits for it as long as its ctx.
func (l *leases) get(ctx context.Context, key leaseKey, o owner, spawn func(func()), call func() (*cipher.KEK, error)) (kek *cipher.KEK, hit bool, err error) {
	l.mu.Lock()
	if e := l.byKey[key]; e != nil && time.Now().Before(e.expires) {
		defer l.mu.Unlock()
		l.stats.Hits++
		l.byUse.MoveToBack(e.byUse)
		kek, err = copyKEK(e.kek)
		return kek, true, err
	}
	l.stats.Misses++
	f := l.flights[key]
	if f != nil {
		l.stats.Joined++
	} else {
		f = &flight{owner: o, done: make(chan struct{})}
		l.flights[key] = f
		spawn(func() { l.land(key, f, call) })
	}
	f.waiters++
	l.mu.Unlock()

	select {
	case <-f.done:
	case <-ctx.Done():
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	f.waiters--
	select {
	case <-f.done: // also where both have ended
		if f.kek != nil {
			kek, err = copyKEK(f.kek)
		} else {
			err = f.err
		}
	default:
		err = ctx.Err()
	}
	f.release()
	return kek, false, err
}

// land makes the call of a flight and shares the result.
func (l *leases) land(key leaseKey, f *flight, call func() (*cipher.KEK, error)) {
	kek, err := call()
	l.mu.Lock()
	defer l.mu.Unlock()
	f.kek, f.err = kek, err
	close(f.done)
	if l.flights[key] == f {
		delete(l.flights, key)
		if err == nil {
			l.keep(key, f.owner, kek)
		}
	}
	f.release()
}

// release wipes the KEK of a flight that has ended and that nobody waits for.
func (f *flight) release() {
	select {
	case <-f.done:
		if f.waiters == 0 && f.kek != nil {
			f.kek.Wipe()
		}
	default:
	}
}

// now returns the epoch, for put.
func (l *leases) now() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.epoch
}

// put keeps a copy of a KEK that was asked for in an epoch, unless leases were
// ended since.
func (l *leases) put(key leaseKey, o owner, kek *cipher.KEK, epoch uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if epoch == l.epoch {
		l.keep(key, o, kek)
	}
}

// keep makes a lease of a copy of kek. The caller holds mu.
func (l *leases) keep(key leaseKey, o owner, kek *cipher.KEK) {
	if !l.enabled {
		return
	}
	own, err := copyKEK(kek)
	if err != nil {
		return
	}
	if old := l.byKey[key]; old != nil {
		l.drop(old)
	}
	for len(l.byKey) >= l.limit {
		l.drop(l.byUse.Front().Value.(*lease))
		l.stats.Evictions++
	}
	e := &lease{key: key, owner: o, kek: own, expires: time.Now().Add(l.ttl)}
	e.byAge, e.byUse = l.byAge.PushBack(e), l.byUse.PushBack(e)
	l.byKey[key] = e
	l.schedule()
}

// schedule sets the timer to the end of the oldest lease. The caller holds mu.
func (l *leases) schedule() {
	front := l.byAge.Front()
	if front == nil {
		if l.timer != nil {
			l.timer.Stop()
			l.timer = nil
		}
		return
	}
	left := time.Until(front.Value.(*lease).expires)
	if l.timer == nil {
		l.timer = time.AfterFunc(left, l.expire)
		return
	}
	l.timer.Reset(left)
}

// expire ends the leases whose time has come.
func (l *leases) expire() {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	for front := l.byAge.Front(); front != nil; front = l.byAge.Front() {
		e := front.Value.(*lease)
		if now.Before(e.expires) {
			break
		}
		l.drop(e)
		l.stats.Expired++
	}
	l.schedule()
}

// read returns the counts.
func (l *leases) read() CacheStats {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := l.stats
	s.Enabled, s.Limit, s.TTL, s.Entries = l.enabled, l.limit, l.ttl, len(l.byKey)
	return s
}

func copyKEK(kek *cipher.KEK) (*cipher.KEK, error) {
	own, err := cipher.KEKFromBytes(kek.Expose())
	if err != nil {
		return nil, &kms.Error{Op: "keep KEK", Kind: kms.CacheFailure, Err: err}
	}
	return own, nil
}
