package object

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"coffer/cipher"
	"coffer/kms"
	"coffer/metastore"
)

const (
	maxSealsPerKEK = 1 << 24 // DataKeys under one generation of a bucket KEK
	maxKEKAge      = 90 * 24 * time.Hour
	minKEKAge      = time.Minute // before a rotation makes another one
	sealBlock      = 1 << 12     // seals counted ahead by one transaction
)

// bucketKeys issues the KEKs of buckets: one for SSE-S3, and one for every key that SSE-KMS uses with a bucket key.
//
// A new generation follows after maxSealsPerKEK seals, after maxKEKAge, when the MasterKey was rotated, and when the
// mode is served by another key or backend, or the key does not unwrap the present one any more. Seals are counted in blocks, ahead of use, so that no write pays for the
// count and a crash can only count too many.
type bucketKeys struct {
	db      *metastore.DB
	update  func(context.Context, func(*change) error) error // Store.update
	service KeyService
	uses    *uses
	now     func() time.Time

	mu      sync.Mutex
	issuers map[issuerID]*issuer
}

// kekID is a KEK of a bucket. Generations count over all of them.
type kekID struct {
	bucket     cipher.BucketID
	generation uint32
}

type issuerID struct {
	bucket cipher.BucketID
	keyID  string // "" for SSE-S3
}

// issuer is the generation that new objects are sealed under. It keeps no KEK: how long one stays in memory is the key
// service's to say. Its lock is held across the transaction that counts the next block, and across the making of a
// generation: the bucket's other writers need the outcome.
type issuer struct {
	mu         sync.Mutex
	generation uint32
	record     kekRecord
	left       int    // seals left of the counted block
	lost       uint32 // generations up to this one cannot be unwrapped any more
	gaveUp     time.Time
}

func newBucketKeys(opts *Options, u *uses) *bucketKeys {
	return &bucketKeys{uses: u, db: opts.Meta, service: opts.Keys, now: opts.Now, issuers: make(map[issuerID]*issuer)}
}

// generate makes a KEK for a bucket. Its context is the bucket alone.
func (k *bucketKeys) generate(ctx context.Context, bucket string, mode cipher.Mode, keyID string) (*cipher.KEK, *kekRecord, error) {
	keyContext, err := json.Marshal(map[string]string{"bucket": bucket})
	if err != nil {
		return nil, nil, err
	}
	ctx = withSubjects(ctx, Subject{Bucket: bucket, Seals: true})
	kek, w, err := k.service.GenerateKEK(ctx, mode, keyID, keyContext)
	if err != nil {
		return nil, nil, err
	}
	record := &kekRecord{Format: recordFormat, Context: keyContext, Created: k.now().UnixNano()}
	record.setWrapped(w)
	return kek, record, nil
}

// addGenerated makes a KEK for a bucket and runs add, which writes its record. Where its key is being retired, because it
// was rotated meanwhile, another one is made.
func (k *bucketKeys) addGenerated(ctx context.Context, bucket string, mode cipher.Mode, keyID string, add func(*change, *kekRecord) error) error {
	for attempt := 0; ; attempt++ {
		u := k.uses.begin()
		kek, record, err := k.generate(ctx, bucket, mode, keyID)
		if err != nil {
			u.end()
			return err
		}
		kek.Wipe()
		err = k.update(ctx, func(tx *change) error {
			tx.kek(record)
			return add(tx, record)
		})
		u.end()
		below, is := errors.AsType[*belowFloorError](err)
		if !is {
			return err
		}
		if attempt == maxLifts {
			return errKindf(KindKeyDisabled, "%w", below)
		}
	}
}

// issue returns the bucket's KEK for one more seal, which the caller wipes, and the SealedKey that names it. Its key must be
// one that may encrypt. Where it cannot unwrap the KEK any more, because it was made anew or gave up the version, the bucket
// gets another KEK.
func (k *bucketKeys) issue(ctx context.Context, name string, b *bucketRecord, p *sealingPlan) (*cipher.KEK, *cipher.SealedKey, error) {
	u := k.uses.begin()
	defer u.end()
	checked := make(chan error, 1)
	go func() { checked <- k.service.CheckEncrypt(ctx, p.ref) }() // a backend that is away is waited for once
	kek, sealed, err := k.reserveAndUnwrap(ctx, name, b, p)
	if sealed != nil && isLost(err) {
		k.issuer(p.issuerID(b)).giveUp(sealed.Generation, k.now())
		kek, sealed, err = k.reserveAndUnwrap(ctx, name, b, p)
	}
	if forbidden := <-checked; forbidden != nil {
		if err == nil {
			kek.Wipe()
		}
		return nil, nil, forbidden
	}
	return kek, sealed, err
}

func (k *bucketKeys) reserveAndUnwrap(ctx context.Context, name string, b *bucketRecord, p *sealingPlan) (*cipher.KEK, *cipher.SealedKey, error) {
	record, generation, err := k.reserve(ctx, name, b, p)
	if err != nil {
		return nil, nil, err
	}
	kek, err := k.unwrap(ctx, record)
	return kek, &cipher.SealedKey{
		Mode: p.mode, Instance: record.Instance, KeyFingerprint: record.Fingerprint, KeyVersion: record.Version,
		Generation: generation, Context: p.context,
	}, err
}

// reserve counts one more seal under the generation that new objects use.
func (k *bucketKeys) reserve(ctx context.Context, name string, b *bucketRecord, p *sealingPlan) (*kekRecord, uint32, error) {
	id := p.issuerID(b)
	is := k.issuer(id)
	is.mu.Lock()
	defer is.mu.Unlock()
	if is.left == 0 || is.generation < b.generation(id.keyID) || k.outdated(&is.record, &p.ref) || k.tooOld(&is.record) {
		if err := k.refill(ctx, is, name, b, id.keyID, p); err != nil {
			return nil, 0, err
		}
	}
	is.left--
	record := is.record
	return &record, is.generation, nil
}

func (p *sealingPlan) issuerID(b *bucketRecord) issuerID {
	if p.mode == cipher.ModeSSEKMS {
		return issuerID{b.ID, p.ref.KeyID}
	}
	return issuerID{bucket: b.ID}
}

// giveUp has another generation made for new objects, unless there is one. A backend that unwraps nothing of what it has
// wrapped gets one more generation a minute, not one with every write.
func (is *issuer) giveUp(generation uint32, now time.Time) {
	is.mu.Lock()
	defer is.mu.Unlock()
	if generation <= is.lost || now.Sub(is.gaveUp) < minKEKAge {
		return
	}
	is.lost, is.gaveUp = generation, now
	if is.generation <= is.lost {
		is.left = 0
	}
}

// isLost reports whether a KEK cannot be unwrapped, and will not be.
func isLost(err error) bool {
	return errors.Is(err, kms.NotFound) || errors.Is(err, kms.InvalidState) || errors.Is(err, kms.Crypto)
}

func (k *bucketKeys) issuer(id issuerID) *issuer {
	k.mu.Lock()
	defer k.mu.Unlock()
	is := k.issuers[id]
	if is == nil {
		is = &issuer{}
		k.issuers[id] = is
	}
	return is
}

// generation is the newest one for a key, "" being SSE-S3; 0 if there is none.
func (b *bucketRecord) generation(keyID string) uint32 {
	if keyID == "" {
		return b.Generation
	}
	return b.KMS[keyID]
}

// outdated reports whether the MasterKey of a generation is not the one to use any more: it is another one, or was rotated.
// A generation lasts for some time all the same, so that a backend that still wraps by an older version is not asked for
// one at every write.
func (k *bucketKeys) outdated(r *kekRecord, ref *kms.KeyRef) bool {
	rotated := r.Version < ref.Version && k.now().Sub(time.Unix(0, r.Created)) > minKEKAge
	return r.Instance != ref.Instance || r.KeyID != ref.KeyID || rotated
}

func (k *bucketKeys) tooOld(r *kekRecord) bool {
	return k.now().Sub(time.Unix(0, r.Created)) > maxKEKAge
}

// refill counts the next block of seals, in a new generation when the present one is not to be used any more.
func (k *bucketKeys) refill(ctx context.Context, is *issuer, name string, b *bucketRecord, keyID string, p *sealingPlan) error {
	generation := max(is.generation, b.generation(keyID))
	record, err := (*kekRecord)(nil), errUsedUp
	if generation > is.lost {
		record, err = k.count(ctx, b.ID, generation, &p.ref)
	}
	if errors.Is(err, errUsedUp) {
		if generation, err = k.advance(ctx, name, b.ID, generation, keyID, p); err == nil {
			whatever := kms.KeyRef{Instance: p.ref.Instance, KeyID: p.ref.KeyID} // the version that the key had then
			record, err = k.count(ctx, b.ID, generation, &whatever)
		}
	}
	if err != nil {
		return err
	}
	is.generation, is.record, is.left = generation, *record, sealBlock
	return nil
}

var errUsedUp = errors.New("generation is used up")

// count reserves sealBlock seals of a generation. It answers errUsedUp where there is none, and where it must not be
// used for new objects.
func (k *bucketKeys) count(ctx context.Context, bucket cipher.BucketID, generation uint32, ref *kms.KeyRef) (*kekRecord, error) {
	if generation == 0 {
		return nil, errUsedUp
	}
	record := new(kekRecord)
	err := k.db.Update(ctx, func(tx *metastore.Tx) (err error) {
		if record, err = readKEK(tx.GetForUpdate, kekID{bucket, generation}); err != nil {
			return err
		}
		if record.Seals+sealBlock > maxSealsPerKEK || k.tooOld(record) || k.outdated(record, ref) {
			return errUsedUp
		}
		record.Seals += sealBlock
		return tx.Put(kekKey(bucket, generation), encode(record))
	})
	return record, err
}

func readKEK(get func([]byte) ([]byte, error), id kekID) (*kekRecord, error) {
	value, err := get(kekKey(id.bucket, id.generation))
	if err != nil {
		return nil, fmt.Errorf("generation %d of the bucket's KEK: %w", id.generation, missingIsCorrupt(err))
	}
	var record kekRecord
	return &record, decode(value, &record)
}

// advance makes the generation after the given one, unless the bucket has it already, and returns the newest.
func (k *bucketKeys) advance(ctx context.Context, name string, bucket cipher.BucketID, used uint32, keyID string, p *sealingPlan) (uint32, error) {
	var newest uint32
	err := k.addGenerated(kms.BegunWith(ctx, p.ref.Instance), name, p.mode, p.ref.KeyID, func(tx *change, record *kekRecord) error {
		b, err := bucketForUpdate(tx.Tx, name)
		if err != nil {
			return err
		}
		if b.ID != bucket {
			return errKind(KindNoSuchBucket)
		}
		if newest = b.generation(keyID); newest > used {
			return nil
		}
		newest = b.addGeneration(keyID)
		if err := tx.Put(bucketKey(name), encode(b)); err != nil {
			return err
		}
		return tx.Put(kekKey(bucket, newest), encode(record))
	})
	return newest, err
}

// addGeneration takes the next generation for a key.
func (b *bucketRecord) addGeneration(keyID string) uint32 {
	b.Last = max(b.Last, b.Generation) + 1
	if keyID == "" {
		b.Generation = b.Last
		return b.Last
	}
	if b.KMS == nil {
		b.KMS = make(map[string]uint32)
	}
	b.KMS[keyID] = b.Last
	return b.Last
}

// open returns a generation's KEK.
func (k *bucketKeys) open(ctx context.Context, id kekID) (*cipher.KEK, error) {
	u := k.uses.begin()
	defer u.end()
	var record *kekRecord
	err := k.db.View(ctx, func(v *metastore.View) (err error) {
		record, err = readKEK(v.Get, id)
		return err
	})
	if err != nil {
		return nil, err
	}
	return k.unwrap(ctx, record)
}

func (k *bucketKeys) unwrap(ctx context.Context, r *kekRecord) (*cipher.KEK, error) {
	return k.service.Unwrap(ctx, r.wrapped(), r.Context)
}

func (r *kekRecord) wrapped() kms.Wrapped {
	return kms.Wrapped{Instance: r.Instance, KeyID: r.KeyID, Fingerprint: r.Fingerprint, Version: r.Version, Ciphertext: r.Ciphertext}
}

func (r *kekRecord) setWrapped(w kms.Wrapped) {
	r.Instance, r.KeyID, r.Fingerprint, r.Version, r.Ciphertext = w.Instance, w.KeyID, w.Fingerprint, w.Version, w.Ciphertext
}

// rewrapped lets new objects use a generation as it is wrapped now.
func (k *bucketKeys) rewrapped(id kekID, record *kekRecord) {
	k.mu.Lock()
	var using []*issuer
	for who, is := range k.issuers {
		if who.bucket == id.bucket {
			using = append(using, is)
		}
	}
	k.mu.Unlock()
	for _, is := range using {
		is.mu.Lock()
		if is.generation == id.generation {
			is.record = *record
		}
		is.mu.Unlock()
	}
}

// forget drops what is kept for a bucket that is gone.
func (k *bucketKeys) forget(bucket cipher.BucketID) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for id := range k.issuers {
		if id.bucket == bucket {
			delete(k.issuers, id)
		}
	}
}

// missingIsCorrupt turns the absence of a key that must exist into KindCorrupt.
func missingIsCorrupt(err error) error {
	if errors.Is(err, metastore.ErrNotFound) {
		return errKindf(KindCorrupt, "missing: %w", err)
	}
	return err
}
