package manager

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	"coffer/cipher"
	"coffer/kms"
)

const (
	// maxKeyAges is how many keys of a backend a survey names.
	maxKeyAges = 100
	// surveyPause gathers changes of keys before the next survey.
	surveyPause = 5 * time.Second
	// firstSurvey is when the keys are looked at after the start.
	firstSurvey = 2 * time.Second
)

// KeySurvey is what the keys of one backend looked like at a time.
type KeySurvey struct {
	Instance   cipher.InstanceID
	Backend    string // as in Call
	At         time.Time
	States     map[kms.State]int
	Due        int      // keys whose rotation is due
	Unreadable int      // keys that cannot be described
	Oldest     []KeyAge // keys that encrypt, whose newest versions are oldest; the oldest first, at most 100
}

// KeyAge tells when the newest version of a key was made.
type KeyAge struct {
	KeyID  string
	Since  time.Time
	MaxAge time.Duration // zero: none is set
}

// note takes a key in.
func (s *KeySurvey) note(k kms.KeyInfo) {
	if k.Fault != nil {
		s.Unreadable++
		return
	}
	s.States[k.State]++
	if k.State != kms.StateEnabled || len(k.Versions) == 0 {
		return
	}
	if k.RotationDue(s.At) {
		s.Due++
	}
	age := KeyAge{KeyID: k.ID, Since: k.Newest().Created, MaxAge: k.MaxAge}
	at, _ := slices.BinarySearchFunc(s.Oldest, age, func(a, b KeyAge) int {
		return cmp.Or(a.Since.Compare(b.Since), cmp.Compare(a.KeyID, b.KeyID))
	})
	if at < maxKeyAges {
		s.Oldest = slices.Insert(s.Oldest, at, age)
		s.Oldest = s.Oldest[:min(len(s.Oldest), maxKeyAges)]
	}
}

// KeySurveys returns what was last found out about the keys of each backend,
// without a call to one. Where Options.Watcher is set, keys are looked at after
// the start, after changes, and by every sweep.
func (m *Manager) KeySurveys() []KeySurvey {
	m.surveyed.mu.Lock()
	defer m.surveyed.mu.Unlock()
	return slices.Clone(m.surveyed.last)
}

// Survey looks at the keys of every backend that is open.
func (m *Manager) Survey(ctx context.Context) error {
	return m.visitKeys(ctx, func(context.Context, Service, kms.KeyInfo) {})
}

// visitKeys calls fn for every usable key of every backend that is open, and keeps
// what it saw. It returns the errors of backends that could not list their keys;
// what was last seen of those stays.
func (m *Manager) visitKeys(ctx context.Context, fn func(context.Context, Service, kms.KeyInfo)) error {
	var errs []error
	var fresh []KeySurvey
	for _, in := range m.openInstances() {
		survey := KeySurvey{Instance: in.id, Backend: in.backend(), At: time.Now(), States: map[kms.State]int{}}
		err := m.Do(ctx, in.id, func(ctx context.Context, s Service) error {
			return eachKey(ctx, s, func(k kms.KeyInfo) {
				k = m.WithMaxAge(k)
				survey.note(k)
				if k.Fault == nil {
					fn(ctx, s, k)
				}
			})
		})
		if err == nil {
			fresh = append(fresh, survey)
		}
		errs = append(errs, err)
	}
	m.surveyed.keep(fresh, m.known)
	return errors.Join(errs...)
}

// openInstances are the backends that are built.
func (m *Manager) openInstances() (open []*instance) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	for _, in := range m.instances {
		if in.status().Open {
			open = append(open, in)
		}
	}
	return open
}

func (m *Manager) known(id cipher.InstanceID) bool {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return m.instances[id] != nil
}

// keep replaces the surveys of the same instances, and drops those of instances
// that are gone.
func (s *surveys) keep(fresh []KeySurvey, known func(cipher.InstanceID) bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, old := range s.last {
		replaced := slices.ContainsFunc(fresh, func(f KeySurvey) bool { return f.Instance == old.Instance })
		if !replaced && known(old.Instance) {
			fresh = append(fresh, old)
		}
	}
	slices.SortFunc(fresh, func(a, b KeySurvey) int { return slices.Compare(a.Instance[:], b.Instance[:]) })
	s.last = fresh
}

// keysChanged asks for a survey soon.
func (m *Manager) keysChanged() {
	select {
	case m.surveyed.kick <- struct{}{}:
	default:
	}
}
