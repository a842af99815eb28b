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
	sealBlock      = 1 << 12 // seals counted ahead by one transaction
	maxOpenKEKs    = 4096    // kept in memory
)

// bucketKeys issues the KEKs of buckets and seals DataKeys under them.
//
// A bucket has one KEK at a time; a new generation follows after maxSealsPerKEK seals or maxKEKAge. Seals are counted
// in blocks, ahead of use, so that no write pays for the count and a crash can only count too many.
type bucketKeys struct {
	db      *metastore.DB
	keyring kms.Backend
	keyID   string
	store   cipher.StoreID
	now     func() time.Time

	mu      sync.Mutex
	issuers map[cipher.BucketID]*issuer
	opened  map[kekID]*cipher.KEK
}

type kekID struct {
	bucket     cipher.BucketID
	generation uint32
}

// issuer is the generation that a bucket's new objects are sealed under. Its lock is held across the transaction that
// counts the next block, and across the making of a generation: the bucket's other writers need the outcome.
type issuer struct {
	mu         sync.Mutex
	generation uint32
	record     kekRecord
	kek        *cipher.KEK
	left       int // seals left of the counted block
}

func newBucketKeys(opts *Options) *bucketKeys {
	return &bucketKeys{
		db: opts.Meta, keyring: opts.Keyring, keyID: opts.KeyID, store: opts.StoreID, now: opts.Now,
		issuers: make(map[cipher.BucketID]*issuer), opened: make(map[kekID]*cipher.KEK),
	}
}

// generate makes a KEK for a bucket. Its context is the bucket alone.
func (k *bucketKeys) generate(ctx context.Context, bucket string) (*cipher.KEK, kekRecord, error) {
	keyContext, err := json.Marshal(map[string]string{"bucket": bucket})
	if err != nil {
		return nil, kekRecord{}, err
	}
	kek, w, err := k.keyring.GenerateKEK(ctx, k.keyID, keyContext)
	if err != nil {
		return nil, kekRecord{}, err
	}
	return kek, kekRecord{
		Format: recordFormat, Instance: w.Instance, KeyID: w.KeyID, Fingerprint: w.Fingerprint, Version: w.Version,
		Ciphertext: w.Ciphertext, Context: keyContext, Created: k.now().UnixNano(),
	}, nil
}

// seal makes a DataKey for an object and seals it under the bucket's KEK. The caller wipes the DataKey.
func (k *bucketKeys) seal(ctx context.Context, name string, b *bucketRecord, object cipher.ObjectID) (*cipher.DataKey, []byte, error) {
	key := cipher.NewDataKey()
	sealed, err := k.sealKey(ctx, name, b, object, key)
	if err != nil {
		key.Wipe()
		return nil, nil, err
	}
	return key, sealed, nil
}

// sealKey seals a DataKey for an object.
func (k *bucketKeys) sealKey(ctx context.Context, name string, b *bucketRecord, object cipher.ObjectID, key *cipher.DataKey) ([]byte, error) {
	kek, sealed, err := k.issue(ctx, name, b)
	if err != nil {
		return nil, err
	}
	if err := sealed.Seal(kek, key, k.binding(b.ID, object)); err != nil {
		return nil, err
	}
	return sealed.MarshalBinary()
}

func (k *bucketKeys) binding(bucket cipher.BucketID, object cipher.ObjectID) cipher.Binding {
	return cipher.Binding{Store: k.store, Bucket: bucket, Object: object}
}

// issue returns the bucket's KEK for one more seal, and the SealedKey that names it.
func (k *bucketKeys) issue(ctx context.Context, name string, b *bucketRecord) (*cipher.KEK, cipher.SealedKey, error) {
	is := k.issuer(b.ID)
	is.mu.Lock()
	defer is.mu.Unlock()
	if is.left == 0 || is.generation < b.Generation {
		if err := k.refill(ctx, is, name, b); err != nil {
			return nil, cipher.SealedKey{}, err
		}
	}
	is.left--
	return is.kek, cipher.SealedKey{
		Mode: cipher.ModeSSES3, Instance: is.record.Instance, KeyFingerprint: is.record.Fingerprint,
		KeyVersion: is.record.Version, Generation: is.generation,
	}, nil
}

func (k *bucketKeys) issuer(bucket cipher.BucketID) *issuer {
	k.mu.Lock()
	defer k.mu.Unlock()
	is := k.issuers[bucket]
	if is == nil {
		is = &issuer{}
		k.issuers[bucket] = is
	}
	return is
}

// refill counts the next block of seals, in a new generation when the present one is used up.
func (k *bucketKeys) refill(ctx context.Context, is *issuer, name string, b *bucketRecord) error {
	generation := max(is.generation, b.Generation)
	record, err := k.count(ctx, b.ID, generation)
	if errors.Is(err, errUsedUp) {
		if generation, err = k.advance(ctx, name, b.ID, generation); err == nil {
			record, err = k.count(ctx, b.ID, generation)
		}
	}
	if err != nil {
		return err
	}
	kek, err := k.open(ctx, kekID{b.ID, generation})
	if err != nil {
		return err
	}
	is.generation, is.record, is.kek, is.left = generation, record, kek, sealBlock
	return nil
}

var errUsedUp = errors.New("generation is used up")

// count reserves sealBlock seals of a generation.
func (k *bucketKeys) count(ctx context.Context, bucket cipher.BucketID, generation uint32) (kekRecord, error) {
	var record kekRecord
	err := k.db.Update(ctx, func(tx *metastore.Tx) error {
		record = kekRecord{}
		value, err := tx.GetForUpdate(kekKey(bucket, generation))
		if err != nil {
			return fmt.Errorf("generation %d of the bucket's KEK: %w", generation, missingIsCorrupt(err))
		}
		if err := decode(value, &record); err != nil {
			return err
		}
		age := k.now().Sub(time.Unix(0, record.Created))
		if record.Seals+sealBlock > maxSealsPerKEK || age > maxKEKAge {
			return errUsedUp
		}
		record.Seals += sealBlock
		return tx.Put(kekKey(bucket, generation), encode(&record))
	})
	return record, err
}

// advance makes the generation after the given one, unless the bucket has it already, and returns the newest.
func (k *bucketKeys) advance(ctx context.Context, name string, bucket cipher.BucketID, used uint32) (uint32, error) {
	kek, record, err := k.generate(ctx, name)
	if err != nil {
		return 0, err
	}
	defer kek.Wipe()
	var newest uint32
	err = k.db.Update(ctx, func(tx *metastore.Tx) error {
		b, err := bucketForUpdate(tx, name)
		if err != nil {
			return err
		}
		if b.ID != bucket {
			return errKind(KindNoSuchBucket)
		}
		newest = b.Generation
		if b.Generation > used {
			return nil
		}
		newest = used + 1
		b.Generation = newest
		if err := tx.Put(bucketKey(name), encode(b)); err != nil {
			return err
		}
		return tx.Put(kekKey(bucket, newest), encode(&record))
	})
	return newest, err
}

// openKey opens a SealedKey of an object.
func (k *bucketKeys) openKey(ctx context.Context, bucket cipher.BucketID, object cipher.ObjectID, sealed []byte) (*cipher.DataKey, error) {
	var s cipher.SealedKey
	if err := s.UnmarshalBinary(sealed); err != nil {
		return nil, errKindf(KindCorrupt, "sealed key: %w", err)
	}
	if s.Mode != cipher.ModeSSES3 || s.Generation == 0 {
		return nil, errKindf(KindNotImplemented, "sealed key of mode %v", s.Mode)
	}
	kek, err := k.open(ctx, kekID{bucket, s.Generation})
	if err != nil {
		return nil, err
	}
	return s.Open(kek, k.binding(bucket, object))
}

// open returns a generation's KEK, from memory or unwrapped.
func (k *bucketKeys) open(ctx context.Context, id kekID) (*cipher.KEK, error) {
	k.mu.Lock()
	kek := k.opened[id]
	k.mu.Unlock()
	if kek != nil {
		return kek, nil
	}
	var record kekRecord
	err := k.db.View(ctx, func(v *metastore.View) error {
		value, err := v.Get(kekKey(id.bucket, id.generation))
		if err != nil {
			return fmt.Errorf("generation %d of the bucket's KEK: %w", id.generation, missingIsCorrupt(err))
		}
		return decode(value, &record)
	})
	if err != nil {
		return nil, err
	}
	kek, err = k.keyring.Unwrap(ctx, kms.Wrapped{
		Instance: record.Instance, KeyID: record.KeyID, Fingerprint: record.Fingerprint, Version: record.Version,
		Ciphertext: record.Ciphertext,
	}, record.Context)
	if err != nil {
		return nil, err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if len(k.opened) >= maxOpenKEKs {
		clear(k.opened) // the garbage collector takes them once their last user is done
	}
	k.opened[id] = kek
	return kek, nil
}

// forget drops what is kept for a bucket that is gone.
func (k *bucketKeys) forget(bucket cipher.BucketID) {
	k.mu.Lock()
	defer k.mu.Unlock()
	delete(k.issuers, bucket)
	for id := range k.opened {
		if id.bucket == bucket {
			delete(k.opened, id)
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
