package manager

import (
	"context"
	"time"

	"coffer/cipher"
	"coffer/kms"
)

// DefaultSweepInterval is the default of Options.SweepInterval.
const DefaultSweepInterval = time.Hour

// Swept is a key that a sweep has looked at more closely.
type Swept struct {
	Instance  cipher.InstanceID
	KeyID     string
	Deletion  bool   // its deletion was due, else its rotation
	Destroyed bool   // its waiting time had passed, and nothing needed it
	Rotated   bool   // its newest version was older than its maximum age
	Counts    Counts // of what still needs a key that is due for deletion, which stays therefore
	Err       error  // why nothing was done
}

// Sweep looks at the keys of every backend that is open. A key whose waiting
// time before deletion has passed is destroyed, if Options.KeyReferences counts
// nothing that needs it; a key that is still needed goes on decrypting. With
// Options.RotateDue, a key whose rotation is due is rotated. It returns the keys
// that were due, and the errors of backends that could not list theirs.
func (m *Manager) Sweep(ctx context.Context) ([]Swept, error) {
	var all []Swept
	err := m.visitKeys(ctx, func(ctx context.Context, s Service, k kms.KeyInfo) {
		if swept, due := m.sweepKey(ctx, s, k); due {
			all = append(all, swept)
		}
	})
	if m.o.Watcher != nil && len(all) > 0 {
		m.o.Watcher.Swept(all)
	}
	return all, err
}

// WithMaxAge gives a key for which no maximum age is set the one of
// Options.KeyMaxAge.
func (m *Manager) WithMaxAge(k kms.KeyInfo) kms.KeyInfo {
	if k.MaxAge == 0 {
		k.MaxAge = m.o.KeyMaxAge
	}
	return k
}

// eachKey calls fn for every key, also those with a Fault. fn may destroy it.
func eachKey(ctx context.Context, s Service, fn func(kms.KeyInfo)) error {
	for after := ""; ; {
		page, err := s.ListKeys(ctx, after, kms.MaxListedKeys)
		if err != nil {
			return err
		}
		for _, k := range page.Keys {
			after = k.ID
			fn(k)
		}
		if !page.More || len(page.Keys) == 0 {
			return nil
		}
	}
}

// sweepKey does what is due for one key; false: nothing is.
func (m *Manager) sweepKey(ctx context.Context, s Service, k kms.KeyInfo) (Swept, bool) {
	swept := Swept{Instance: s.Instance(), KeyID: k.ID}
	now := time.Now()
	switch {
	case m.o.KeyReferences != nil && k.DeletionDue(now):
		swept.Deletion = true
		swept.Counts, swept.Err = m.o.KeyReferences(ctx, kms.KeyRef{Instance: s.Instance(), KeyID: k.ID})
		if swept.Err == nil && swept.Counts == (Counts{}) {
			swept.Err = kms.DestroyKey(ctx, s, k.ID)
			swept.Destroyed = swept.Err == nil
			m.recordSwept(ctx, Use{Op: OpDestroy, Instance: s.Instance(), KeyID: k.ID, Version: k.Newest().Number, Err: swept.Err})
			m.leases.forget(func(o owner) bool { return o == owner{s.Instance(), k.ID} })
		}
	case m.o.RotateDue && k.State == kms.StateEnabled && k.RotationDue(now):
		var rotated kms.KeyInfo
		rotated, swept.Err = s.RotateKey(ctx, k.ID)
		swept.Rotated = swept.Err == nil
		m.recordSwept(ctx, Use{Op: OpRotate, Instance: s.Instance(), KeyID: k.ID, Version: rotated.Newest().Number, Err: swept.Err})
	default:
		return swept, false
	}
	m.o.Logger.Info("key was due", "instance", swept.Instance.String(), "key", k.ID, "destroyed", swept.Destroyed,
		"rotated", swept.Rotated, "keks", swept.Counts.KEKs, "objects", swept.Counts.Objects, "uploads", swept.Counts.Uploads, "open", swept.Counts.Open, "error", swept.Err)
	return swept, true
}

// recordSwept keeps the record of what a sweep has done. It is done then, whether or not the record can be kept.
func (m *Manager) recordSwept(ctx context.Context, use Use) {
	if err := m.keepRecord(ctx, use); err != nil && use.Err == nil {
		m.o.Logger.Warn("no record of a sweep could be kept", "key", use.KeyID, "error", err)
	}
}

// sweeps sweeps until Close, and looks at the keys in between where somebody
// wants to know.
func (m *Manager) sweeps() {
	sweep := time.NewTicker(m.o.SweepInterval)
	defer sweep.Stop()
	var survey <-chan time.Time // nil: nobody wants one
	if m.o.Watcher != nil {
		survey = time.After(firstSurvey)
	}
	for {
		select {
		case <-sweep.C:
			m.sweepNow()
		case <-m.surveyed.kick:
			if survey == nil {
				survey = time.After(surveyPause)
			}
		case <-survey:
			survey = nil
			m.surveyNow()
		case <-m.ctx.Done():
			return
		}
	}
}

func (m *Manager) sweepNow() {
	swept, err := m.Sweep(m.ctx)
	if err != nil {
		m.o.Logger.Warn("keys cannot be listed", "error", err)
	}
	if m.o.OnSwept != nil && len(swept) > 0 {
		m.o.OnSwept(m.ctx, swept)
	}
}

func (m *Manager) surveyNow() {
	if err := m.Survey(m.ctx); err != nil {
		m.o.Logger.Debug("keys cannot be listed", "error", err)
	}
}
