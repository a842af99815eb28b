package object

import (
	"bytes"
	"encoding/binary"
	"maps"
	"slices"

	"coffer/cipher"
	"coffer/kms"
)

// masterKey is a MasterKey, masterVersion a version of one.
type masterKey struct {
	instance cipher.InstanceID
	keyID    string
}

type masterVersion struct {
	instance cipher.InstanceID
	keyID    string
	version  uint32
}

func (m masterVersion) key() masterKey { return masterKey{m.instance, m.keyID} }

// dependency is what a SealedKey needs, as the census counts it: a generation of the bucket's KEK, whose own record says
// what wraps it, or the version of a MasterKey that wraps the object's own KEK. The zero one is a client's key.
type dependency struct {
	bucket     cipher.BucketID
	generation uint32
	master     masterVersion // where generation is 0
}

// isOwn reports whether the KEK is the object's own.
func (d dependency) isOwn() bool { return d.master.keyID != "" }

// dependencyOf reads a SealedKey.
func dependencyOf(bucket cipher.BucketID, sealed []byte) (dependency, error) {
	var s cipher.SealedKey
	if err := s.UnmarshalBinary(sealed); err != nil {
		return dependency{}, errKindf(KindCorrupt, "sealed key: %w", err)
	}
	switch {
	case s.Mode == cipher.ModeSSEC:
		return dependency{}, nil
	case s.Generation != 0:
		return dependency{bucket: bucket, generation: s.Generation}, nil
	}
	w, err := wrappedOf(&s)
	return dependency{bucket: bucket, master: masterVersion{w.Instance, w.KeyID, w.Version}}, err
}

// wrappedOf is the wrapped KEK inside a SealedKey of an object's own KEK; setWrapped is its inverse.
func wrappedOf(s *cipher.SealedKey) (kms.Wrapped, error) {
	keyID, ciphertext, err := kms.ParseBlob(s.Wrapped)
	if err != nil {
		return kms.Wrapped{}, errKindf(KindCorrupt, "wrapped kek: %w", err)
	}
	return kms.Wrapped{
		Instance: s.Instance, KeyID: keyID, Fingerprint: s.KeyFingerprint, Version: s.KeyVersion, Ciphertext: ciphertext,
	}, nil
}

func setWrapped(s *cipher.SealedKey, w kms.Wrapped) {
	s.Instance, s.KeyFingerprint, s.KeyVersion, s.Wrapped = w.Instance, w.Fingerprint, w.Version, w.Blob()
}

// eachDependency calls fn with what the SealedKeys of a record count for: each KEK of its own, and the object once for
// all that depend on the same.
func eachDependency(bucket cipher.BucketID, keys [][]byte, fn func(dependency, counts)) error {
	var seen []dependency
	for _, sealed := range keys {
		d, err := dependencyOf(bucket, sealed)
		if err != nil {
			return err
		}
		if d == (dependency{}) {
			continue
		}
		var n counts
		if d.isOwn() {
			n.KEKs = 1
		}
		if !slices.Contains(seen, d) {
			seen = append(seen, d)
			n.Objects = 1
		}
		fn(d, n)
	}
	return nil
}

// uploadDependency is eachDependency for the SealedKey of an upload; nil counts nothing.
func uploadDependency(bucket cipher.BucketID, sealed []byte, fn func(dependency, counts)) error {
	if sealed == nil {
		return nil
	}
	d, err := dependencyOf(bucket, sealed)
	if err != nil || d == (dependency{}) {
		return err
	}
	n := counts{Uploads: 1}
	if d.isOwn() {
		n.KEKs = 1
	}
	fn(d, n)
	return nil
}

// bytes gives the dependency as metastore keys and tallies hold it.
func (d dependency) bytes() []byte {
	b := binary.BigEndian.AppendUint32(bytes.Clone(d.bucket[:]), d.generation)
	if !d.isOwn() {
		return b
	}
	b = append(b, d.master.instance[:]...)
	b = binary.BigEndian.AppendUint32(b, d.master.version)
	return append(b, d.master.keyID...)
}

// parseDependency is the inverse of bytes.
func parseDependency(b []byte) (d dependency, err error) {
	const shared, own = cipher.IDSize + 4, 2*cipher.IDSize + 8
	if len(b) != shared && len(b) <= own {
		return d, errKindf(KindCorrupt, "a count for something of %d bytes", len(b))
	}
	copy(d.bucket[:], b)
	d.generation = binary.BigEndian.Uint32(b[cipher.IDSize:])
	if (len(b) == shared) != (d.generation != 0) {
		return d, errKindf(KindCorrupt, "a count for generation %d in %d bytes", d.generation, len(b))
	}
	if len(b) > own {
		copy(d.master.instance[:], b[shared:])
		d.master.version = binary.BigEndian.Uint32(b[shared+cipher.IDSize:])
		d.master.keyID = string(b[own:])
	}
	return d, nil
}

// counts are what depends on something, or by how much that changes.
type counts struct{ KEKs, Objects, Uploads int64 }

func (n counts) plus(m counts) counts {
	return counts{n.KEKs + m.KEKs, n.Objects + m.Objects, n.Uploads + m.Uploads}
}

func (n counts) negative() counts { return counts{-n.KEKs, -n.Objects, -n.Uploads} }

// deltas are counts by what they are for. There are none of zero.
type deltas map[dependency]counts

func (d *deltas) add(what dependency, n counts) {
	if *d == nil {
		*d = make(deltas, 1)
	}
	if n = (*d)[what].plus(n); n == (counts{}) {
		delete(*d, what)
		return
	}
	(*d)[what] = n
}

// plus returns the sum, which is never nil.
func (d deltas) plus(more deltas) deltas {
	sum := make(deltas, len(d)+len(more))
	maps.Copy(sum, d)
	for what, n := range more {
		sum.add(what, n)
	}
	return sum
}

// minus returns the difference.
func (d deltas) minus(less deltas) deltas {
	difference := d.plus(nil)
	for what, n := range less {
		difference.add(what, n.negative())
	}
	return difference
}
