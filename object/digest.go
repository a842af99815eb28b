package object

import (
	"crypto/md5"
	"crypto/subtle"
	"encoding/hex"
	"hash"

	"coffer/object/checksum"
)

// digester hashes a plaintext for its ETag and its additional checksum.
type digester struct {
	md5       hash.Hash // nil where neither the entity tag nor the client wants it
	algorithm checksum.Algorithm
	sum       hash.Hash // nil without an algorithm
}

func newDigester(a checksum.Algorithm, withMD5 bool) *digester {
	d := &digester{algorithm: a, sum: a.New()}
	if withMD5 {
		d.md5 = md5.New()
	}
	return d
}

func (d *digester) write(p []byte) {
	if d.md5 != nil {
		d.md5.Write(p)
	}
	if d.sum != nil {
		d.sum.Write(p)
	}
}

// digests are the results of a digester.
type digests struct {
	md5 []byte // nil where it was not computed
	sum []byte // nil without an algorithm
}

func (d *digester) sums() digests {
	var out digests
	if d.md5 != nil {
		out.md5 = d.md5.Sum(nil)
	}
	if d.sum != nil {
		out.sum = d.sum.Sum(nil)
	}
	return out
}

// verify compares the results with what the client declared. It asks for the trailer's value, so the body must have
// been read to its end.
func (want Digests) verify(got digests) error {
	if want.MD5 != nil && subtle.ConstantTimeCompare(want.MD5, got.md5) != 1 {
		return errKindf(KindBadDigest, "Content-MD5 differs from the body's")
	}
	value := want.Value
	if want.Trailer != nil {
		var err error
		if value, err = want.Trailer(); err != nil {
			return err
		}
	}
	if value != nil && subtle.ConstantTimeCompare(value, got.sum) != 1 {
		return errKindf(KindBadDigest, "%s differs from the body's", want.Algorithm)
	}
	return nil
}

// fullChecksum is the stored checksum of a body hashed as a whole.
func fullChecksum(a checksum.Algorithm, value []byte) storedChecksum {
	if a == 0 {
		return storedChecksum{}
	}
	return storedChecksum{Algorithm: a, Type: checksum.FullObject, Value: value}
}

func (c storedChecksum) public() Checksum {
	return Checksum{Algorithm: c.Algorithm, Type: c.Type, Value: c.Value, Parts: c.Parts}
}

func etagOf(md5 []byte) string { return hex.EncodeToString(md5) }
