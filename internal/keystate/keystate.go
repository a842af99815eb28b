package keystate

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"

	"coffer/cipher"
	"coffer/kms"
	"coffer/kms/vault"
	"coffer/metastore"
)

const (
	tag        = 'k'
	format     = 1
	headerSize = 1 + 8
)

// Store keeps the records of one backend instance.
type Store struct {
	db       *metastore.DB
	instance cipher.InstanceID
}

var _ vault.StateStore = (*Store)(nil)

// New returns the store of an instance in db, which stays the caller's.
func New(db *metastore.DB, instance cipher.InstanceID) *Store { return &Store{db, instance} }

// Place implements vault.StateStore.
func (*Store) Place() string { return "metastore" }

func (s *Store) key(keyID string) []byte {
	return append(append([]byte{tag}, s.instance[:]...), keyID...)
}

// Load implements vault.StateStore.
func (s *Store) Load(ctx context.Context, keyID string) (record []byte, revision uint64, err error) {
	err = s.db.View(ctx, func(v *metastore.View) error {
		value, err := v.Get(s.key(keyID))
		if errors.Is(err, metastore.ErrNotFound) {
			return nil
		}
		if err == nil {
			record, revision, err = parse(value)
		}
		return err
	})
	return record, revision, classify("read", err)
}

// Save implements vault.StateStore.
func (s *Store) Save(ctx context.Context, keyID string, record []byte, revision uint64) error {
	key := s.key(keyID)
	err := s.db.Update(ctx, func(tx *metastore.Tx) error {
		found := uint64(0)
		value, err := tx.GetForUpdate(key)
		if err == nil {
			_, found, err = parse(value)
		}
		switch {
		case err != nil && !errors.Is(err, metastore.ErrNotFound):
			return err
		case found != revision:
			return vault.ErrStateConflict
		case record != nil:
			return tx.Put(key, encode(newRevision(), record))
		case found != 0:
			return tx.Delete(key)
		default:
			return nil
		}
	})
	return classify("kept", err)
}

// newRevision returns one that no record of the key has had: a record that was
// removed and made anew must not pass for the old one.
func newRevision() uint64 {
	var b [8]byte
	for {
		_, _ = rand.Read(b[:]) // it never fails
		if r := binary.BigEndian.Uint64(b[:]); r != 0 {
			return r
		}
	}
}

func encode(revision uint64, record []byte) []byte {
	value := make([]byte, 0, headerSize+len(record))
	value = binary.BigEndian.AppendUint64(append(value, format), revision)
	return append(value, record...)
}

// parse is the inverse of encode. The record is a part of value.
func parse(value []byte) (record []byte, revision uint64, err error) {
	if len(value) == 0 || value[0] != format {
		return nil, 0, fmt.Errorf("%w: its value in the metastore has an unknown format", kms.Unsupported)
	}
	if len(value) < headerSize {
		return nil, 0, fmt.Errorf("%w: its value in the metastore is cut off", kms.BackendFailure)
	}
	revision = binary.BigEndian.Uint64(value[1:headerSize])
	if revision == 0 {
		return nil, 0, fmt.Errorf("%w: its value in the metastore has no revision", kms.BackendFailure)
	}
	return value[headerSize:], revision, nil
}

// classify gives an error of the metastore the kind that key backends have for
// it.
func classify(what string, err error) error {
	kind := kms.Unavailable
	switch {
	case err == nil, kms.KindOf(err) != kms.Other:
		return err
	case errors.Is(err, metastore.ErrCorrupt):
		kind = kms.BackendFailure
	case errors.Is(err, metastore.ErrLimit):
		kind = kms.Invalid
	}
	return fmt.Errorf("%w: the state of the key cannot be %s: %w", kind, what, err)
}
