package admin

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"time"

	"coffer/kms"
	"coffer/kms/manager"
)

// Use counts what depends on a key.
type Use struct {
	KeyID      string   `json:"key_id"`
	Instance   string   `json:"instance"`
	KEKs       int64    `json:"keks"`
	Objects    int64    `json:"objects"`
	Uploads    int64    `json:"uploads"`
	Open       int64    `json:"open"`            // streams, handles and writes begun under it
	Buckets    []string `json:"bucket_defaults"` // whose default encryption names it
	DefaultKey bool     `json:"service_default"` // the key of writes that name none
}

// needed reports whether anything that is stored, or about to be, depends on the key.
func (u *Use) needed() bool { return u.KEKs+u.Objects+u.Uploads+u.Open > 0 || len(u.Buckets) > 0 }

// useOf counts what depends on a key.
func (a *API) useOf(ctx context.Context, instance kms.InstanceID, keyID string) (*Use, error) {
	d, err := a.o.Engine.Dependents(ctx, kms.KeyRef{Instance: instance, KeyID: keyID})
	if err != nil {
		return nil, err
	}
	buckets, err := a.o.Engine.BucketsEncryptedBy(ctx, keyID)
	if err != nil {
		return nil, err
	}
	if buckets == nil {
		buckets = []string{}
	}
	return &Use{
		KeyID: keyID, Instance: instance.String(), KEKs: d.KEKs, Objects: d.Objects, Uploads: d.Uploads, Open: d.Open,
		Buckets: buckets, DefaultKey: a.defaultKey() == keyID,
	}, nil
}

// defaultKey is the key of writes that name none.
func (a *API) defaultKey() string {
	if s, _ := a.keys.Config(); s.DefaultKeyID != "" {
		return s.DefaultKeyID
	}
	return manager.FallbackKeyID
}

// deletion is what a request to delete a key asks for.
type deletion struct {
	KeyID     string `json:"key_id"`
	Days      *int64 `json:"pending_window_in_days"`
	Immediate bool   `json:"force_immediate"` // destroy it now, if nothing needs it
	Force     bool   `json:"force"`           // destroy it now, whatever needs it
	Confirm   string `json:"confirm_key_id"`
}

const (
	day               = 24 * time.Hour
	defaultWindowDays = 30
)

func (c *call) deletion() (d deletion, err error) {
	if err := c.decodeOptional(&d, true); err != nil {
		return d, err
	}
	if d.KeyID == "" {
		if d.KeyID, err = c.wantQueryKey(); err != nil {
			return d, err
		}
	}
	c.keyID, c.destroys = d.KeyID, d.Force || d.Immediate
	for _, name := range []string{"force_immediate", "force"} {
		if v := c.Query.Get(name); v != "" && v != "false" || c.Query.Has("confirm_key_id") {
			return d, invalid("force, force_immediate and confirm_key_id are taken from a JSON body only.")
		}
	}
	for _, name := range []string{"pending_window_in_days", "pendingWindowDays", "days"} {
		if d.Days == nil && c.Query.Has(name) {
			n, err := strconv.ParseInt(c.Query.Get(name), 10, 32)
			if err != nil {
				return d, invalid("%s is no number of days.", name)
			}
			d.Days = &n
		}
	}
	if (d.Force || d.Immediate) && d.Confirm != d.KeyID {
		return d, invalid("To destroy a key at once, confirm_key_id must repeat its id.")
	}
	return d, nil
}

// window is the waiting time.
func (d *deletion) window() (time.Duration, error) {
	days := int64(defaultWindowDays)
	if d.Days != nil {
		days = *d.Days
	}
	if days < int64(kms.MinDeletionWindow/day) || days > int64(kms.MaxDeletionWindow/day) {
		return 0, invalid("The waiting time is 7 to 30 days.")
	}
	return time.Duration(days) * day, nil
}

// deletedKey is the answer to a deletion; Receipt is there when the key was destroyed.
type deletedKey struct {
	Success      bool     `json:"success"`
	Message      string   `json:"message"`
	KeyID        string   `json:"key_id"`
	DeletionDate *string  `json:"deletion_date"`
	Impact       *Use     `json:"impact"`
	Receipt      *receipt `json:"receipt,omitempty"`
}

// receipt tells what a destroyed key took with it.
type receipt struct {
	Use
	DestroyedAt string `json:"destroyed_at"`
	RequestedBy string `json:"requested_by"`
	RequestID   string `json:"request_id"`
}

// deleteKey lets a key that nothing needs wait for its deletion, or destroys it.
func (a *API) deleteKey(ctx context.Context, c *call) (any, error) {
	d, err := c.deletion()
	if err != nil {
		return nil, err
	}
	window, err := d.window()
	if err != nil {
		return nil, err
	}
	instance := a.keys.Status().Instance
	k, err := a.describe(ctx, instance, d.KeyID)
	if err != nil {
		return nil, err
	}
	c.about(instance, k.Newest().Number)
	use, err := a.useOf(ctx, instance, d.KeyID)
	if err != nil {
		return nil, err
	}
	switch {
	case use.needed() && !d.Force:
		return nil, inUse(use)
	case d.Force, d.Immediate:
		return a.destroyNow(ctx, c, instance, k, use, d.Force)
	}
	err = a.keys.Do(ctx, instance, func(ctx context.Context, s manager.Service) error {
		k, err = kms.ScheduleDeletion(ctx, s, d.KeyID, window)
		return err
	})
	if err != nil {
		return nil, err
	}
	return deletedKey{Success: true, Message: "Deletion scheduled.", KeyID: d.KeyID, DeletionDate: new(timeText(k.DeleteAfter)), Impact: use}, nil
}

func inUse(use *Use) error {
	return &Error{Status: http.StatusConflict, Code: "KeyInUse", Message: "The key is in use.", Use: use,
		Description: "Its destruction makes what is counted unreadable for good. Rewrap or move it first, or send force and confirm_key_id."}
}

// removeInstance forgets an earlier backend that nothing needs.
func (a *API) removeInstance(ctx context.Context, c *call) (any, error) {
	for _, in := range a.keys.Status().Instances {
		if in.ID.String() != c.segment {
			continue
		}
		err := a.keys.RemoveInstance(ctx, in.ID)
		if e, ok := errors.AsType[*manager.InUseError](err); ok {
			return nil, &Error{Status: http.StatusConflict, Code: "BackendInUse", Message: "The backend is in use.",
				Description: "What is counted was wrapped by it. Move the KEKs to another backend first.",
				Use: &Use{Instance: c.segment, KEKs: int64(e.Counts.KEKs), Objects: int64(e.Counts.Objects), //nolint:gosec // counts of records
					Uploads: int64(e.Counts.Uploads), Open: int64(e.Counts.Open), Buckets: []string{}}} //nolint:gosec // counts of records
		}
		if err != nil {
			return nil, err
		}
		return struct {
			Success  bool   `json:"success"`
			Message  string `json:"message"`
			Instance string `json:"instance"`
		}{true, "The backend is forgotten.", c.segment}, nil
	}
	return nil, refuse(http.StatusNotFound, "NotFound", "There is no such backend instance.", "kms/status lists them.")
}

func (a *API) describe(ctx context.Context, instance kms.InstanceID, keyID string) (k kms.KeyInfo, err error) {
	err = a.keys.Do(ctx, instance, func(ctx context.Context, s manager.Service) error {
		k, err = s.DescribeKey(ctx, keyID)
		return err
	})
	return k, err
}

// destroyNow freezes a key and destroys it, if nothing needs it or force is set. Where it stays, it is given back its state.
func (a *API) destroyNow(ctx context.Context, c *call, instance kms.InstanceID, k kms.KeyInfo, use *Use, force bool) (any, error) {
	frozen, thaw, err := a.freeze(ctx, instance, k)
	switch {
	case err == nil:
		use = frozen
	case !force: // who insists destroys what cannot be disabled too, such as a key that is damaged
		return nil, err
	}
	if use.needed() && !force {
		return nil, errors.Join(inUse(use), thaw())
	}
	answer, err := a.destroyKey(ctx, c, instance, use)
	if err != nil {
		err = errors.Join(err, thaw())
	}
	return answer, err
}

// freeze takes a key out of use and counts again: nothing new can come to need it after that. thaw gives it back its
// state, as freeze does itself where it fails.
func (a *API) freeze(ctx context.Context, instance kms.InstanceID, k kms.KeyInfo) (use *Use, thaw func() error, err error) {
	thaw = func() error { return nil }
	if k.State == kms.StateEnabled {
		err = a.keys.Do(ctx, instance, func(ctx context.Context, s manager.Service) error {
			_, err := kms.DisableKey(ctx, s, k.ID)
			return err
		})
		if err != nil {
			return nil, thaw, err
		}
		thaw = func() error {
			return a.keys.Do(ctx, instance, func(ctx context.Context, s manager.Service) error {
				_, err := kms.EnableKey(ctx, s, k.ID)
				return err
			})
		}
	}
	if use, err = a.useOf(ctx, instance, k.ID); err != nil {
		err = errors.Join(err, thaw())
	}
	return use, thaw, err
}

// destroyKey destroys a key, wipes what is kept of its KEKs, and answers with a receipt.
func (a *API) destroyKey(ctx context.Context, c *call, instance kms.InstanceID, use *Use) (any, error) {
	if err := a.keys.DestroyKey(ctx, instance, use.KeyID); err != nil {
		return nil, err
	}
	a.keys.ClearCache(use.needed())
	if err := a.o.Engine.CancelRetirement(ctx, kms.KeyRef{Instance: instance, KeyID: use.KeyID}); err != nil {
		return nil, err // a key that is made under its id begins anew
	}
	at := timeText(a.o.Now())
	slices.Sort(use.Buckets)
	return deletedKey{
		Success: true, Message: "Key destroyed.", KeyID: use.KeyID, DeletionDate: &at, Impact: use,
		Receipt: &receipt{Use: *use, DestroyedAt: at, RequestedBy: c.Caller.AccessKey, RequestID: c.Caller.RequestID},
	}, nil
}
