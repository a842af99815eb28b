package admin

import (
	"context"
	"time"

	"coffer/kms"
	"coffer/object"
)

// retirementDoc is the retirement of the older versions of a key.
type retirementDoc struct {
	KeyID     string   `json:"key_id"`
	Instance  string   `json:"instance"`
	Floor     uint32   `json:"least_version"` // those below it are being retired
	AskedAt   string   `json:"asked_at"`
	Retirable bool     `json:"retirable"`
	Needs     needsDoc `json:"needed_by"`
	Jobs      []jobDoc `json:"jobs,omitempty"`
}

type needsDoc struct {
	KEKs    int64 `json:"keks"`
	Objects int64 `json:"objects"`
	Uploads int64 `json:"uploads"`
	Open    int64 `json:"open"`
}

func newRetirementDoc(r *object.Retirement) retirementDoc {
	return retirementDoc{
		KeyID: r.Key.KeyID, Instance: r.Key.Instance.String(), Floor: r.Key.Version, AskedAt: timeText(r.Asked.Truncate(time.Second)),
		Retirable: r.Retirable, Needs: needsDoc{r.Needs.KEKs, r.Needs.Objects, r.Needs.Uploads, r.Needs.Open},
	}
}

// retireBody is the body of the routes of retirement.
type retireBody struct {
	KeyID   string `json:"key_id"`
	Backend string `json:"backend"`
	Version uint32 `json:"version"` // 0: all but the newest
	Rewrap  bool   `json:"rewrap"`
}

// key finds the key that a body is about.
func (b *retireBody) key(ctx context.Context, a *API, c *call) (kms.KeyRef, error) {
	if c.keyID = b.KeyID; b.KeyID == "" {
		return kms.KeyRef{}, invalid("key_id is missing.")
	}
	ref, err := a.target(ctx, &place{b.Backend, b.KeyID})
	ref.Version = b.Version
	return ref, err
}

// retireKeyVersion asks for the retirement of a version of a key and of all before it.
func (a *API) retireKeyVersion(ctx context.Context, c *call) (any, error) {
	var body retireBody
	if err := c.decode(&body, true); err != nil {
		return nil, err
	}
	ref, err := body.key(ctx, a, c)
	if err == nil && ref.Version == 0 {
		var newest uint32
		if newest, err = a.keys.NewestVersion(ctx, ref.Instance, ref.KeyID); newest > 0 {
			ref.Version = newest - 1
		}
	}
	if err != nil {
		return nil, err
	}
	c.about(ref.Instance, ref.Version)
	r, err := a.o.Engine.Retire(ctx, ref)
	if err != nil {
		return nil, err
	}
	doc := newRetirementDoc(&r)
	if body.Rewrap {
		jobs, err := a.o.Engine.StartRewraps(ctx, object.RewrapJobRequest{From: kms.KeyRef{Instance: ref.Instance, KeyID: ref.KeyID}})
		if err != nil {
			return nil, err
		}
		doc.Jobs = newJobsDoc(jobs).Jobs
	}
	return doc, nil
}

// listRetirements tells of all that were asked for, or of those of one key.
func (a *API) listRetirements(ctx context.Context, c *call) (any, error) {
	only, _ := c.queryKey()
	all, err := a.o.Engine.Retirements(ctx)
	if err != nil {
		return nil, err
	}
	doc := struct {
		Retirements []retirementDoc `json:"retirements"`
	}{[]retirementDoc{}}
	for i := range all {
		if only == "" || all[i].Key.KeyID == only {
			doc.Retirements = append(doc.Retirements, newRetirementDoc(&all[i]))
		}
	}
	return doc, nil
}

// cancelRetirement lets writes end under the older versions of a key again.
func (a *API) cancelRetirement(ctx context.Context, c *call) (any, error) {
	var body retireBody
	if err := c.decode(&body, true); err != nil {
		return nil, err
	}
	ref, err := body.key(ctx, a, c)
	if err != nil {
		return nil, err
	}
	c.about(ref.Instance, 0)
	if err := a.o.Engine.CancelRetirement(ctx, ref); err != nil {
		return nil, err
	}
	return struct {
		Success bool   `json:"success"`
		Message string `json:"message"`
		KeyID   string `json:"key_id"`
	}{true, "The retirement is cancelled.", ref.KeyID}, nil
}
