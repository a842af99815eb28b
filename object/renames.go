package object

import (
	"bytes"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"

	"coffer/cipher"
	"coffer/metastore"
)

// renameEntry is a rename of a directory under way. It stands in the record of its bucket, so whoever reads a name sees
// it in the same snapshot, and whoever changes one conflicts with its own changes. From and To are prefixes that end in
// "/"; those of two renames do not overlap. The two halves of an exchange are two entries with the same id.
type renameEntry struct {
	ID    cipher.WriterID `cbor:"1,keyasint"`
	From  string          `cbor:"2,keyasint"`
	To    string          `cbor:"3,keyasint"`
	State renameState     `cbor:"4,keyasint"`
	Via   string          `cbor:"5,keyasint,omitempty"` // of renameStaging: a prefix that no S3 key has
}

type renameState uint8

const (
	renamePreparing renameState = 1 // everything is as before; who changes something below From or To waits
	renameMoving    renameState = 2 // below To is what lies there, else what still lies below From. Below From is nothing
	renameStaging   renameState = 3 // below To is what lies below Via, else what still lies below From
)

// viaPrefix is a prefix longer than any S3 key.
func viaPrefix(id cipher.WriterID, half byte) string {
	return strings.Repeat("\xff", MaxKeyBytes) + string(id[:]) + string(half)
}

// maxRenames bounds the renames under way in one bucket.
const maxRenames = 8

// busyError says that a name is part of a rename that has to be waited for. Nothing was applied.
type busyError struct{ rename cipher.WriterID }

func (e *busyError) Error() string { return fmt.Sprintf("rename %v is under way", e.rename) }

// overlaps reports whether one of two prefixes begins with the other.
func overlaps(a, b string) bool { return strings.HasPrefix(a, b) || strings.HasPrefix(b, a) }

// touches reports whether a rename has to do with what is below a prefix, or above.
func (r *renameEntry) touches(prefix string) bool {
	return overlaps(r.From, prefix) || overlaps(r.To, prefix)
}

// hides reports whether a key is below From and therefore names nothing.
func (r *renameEntry) hides(key string) bool {
	return r.State == renameMoving && strings.HasPrefix(key, r.From)
}

// takes reports whether a key is below To and may still lie elsewhere.
func (r *renameEntry) takes(key string) bool {
	return r.State != renamePreparing && strings.HasPrefix(key, r.To)
}

// place is the prefix below which everything will lie next.
func (r *renameEntry) place() string {
	if r.State == renameStaging {
		return r.Via
	}
	return r.To
}

// moved is where a key below From will lie next.
func (r *renameEntry) moved(key string) string { return r.place() + strings.TrimPrefix(key, r.From) }

// location is where the value of a key lies in the metastore: at, or else at old.
type location struct {
	at, old       []byte // old is nil where no rename is under way
	atKey, oldKey string // the keys that belong to them
	hidden        bool   // nowhere
}

// locate tells where the value of a key lies, by the tag of what it is.
func (b *bucketRecord) locate(tag byte, key string) location {
	for i := range b.Renames {
		switch r := &b.Renames[i]; {
		case r.hides(key):
			return location{hidden: true}
		case r.takes(key):
			l := location{atKey: r.place() + key[len(r.To):], oldKey: r.From + key[len(r.To):]}
			l.at, l.old = keyIn(tag, b.ID, l.atKey), keyIn(tag, b.ID, l.oldKey)
			return l
		}
	}
	return location{at: keyIn(tag, b.ID, key), atKey: key}
}

// nameOf is the name of what lies at a key.
func (b *bucketRecord) nameOf(at string) string {
	for i := range b.Renames {
		r := &b.Renames[i]
		if r.State == renamePreparing {
			continue
		}
		if rest, ok := strings.CutPrefix(at, r.From); ok {
			return r.To + rest
		}
		if rest, ok := strings.CutPrefix(at, r.place()); ok {
			return r.To + rest
		}
	}
	return at
}

// busy fails if a change of a key must wait for a rename.
func (b *bucketRecord) busy(key string) error {
	for i := range b.Renames {
		r := &b.Renames[i]
		below := strings.HasPrefix(key, r.From) || strings.HasPrefix(key, r.To)
		if r.hides(key) || r.State == renamePreparing && below {
			return &busyError{r.ID}
		}
	}
	return nil
}

// get reads the value at a location; the second result says that it was found at old.
func (l *location) get(get func([]byte) ([]byte, error)) ([]byte, bool, error) {
	if l.hidden {
		return nil, false, metastore.ErrNotFound
	}
	value, err := get(l.at)
	if l.old == nil || !errors.Is(err, metastore.ErrNotFound) {
		return value, false, err
	}
	value, err = get(l.old)
	return value, true, err
}

// put writes a value, which takes over what lies at old.
func (l *location) put(tx *metastore.Tx, value []byte) error {
	if l.old != nil {
		if err := tx.Delete(l.old); err != nil {
			return err
		}
	}
	return tx.Put(l.at, value)
}

func (l *location) delete(tx *metastore.Tx) error {
	if l.old != nil {
		if err := tx.Delete(l.old); err != nil {
			return err
		}
	}
	return tx.Delete(l.at)
}

// scanNames yields the names between two metastore keys, as they are now: a rename under way shows as if it were done.
// What it yields is valid until the next step.
func scanNames(v *metastore.View, b *bucketRecord, from, to []byte) iter.Seq2[metastore.KV, error] {
	spans := b.spans()
	if len(spans) == 0 {
		return v.Scan(from, to)
	}
	return func(yield func(metastore.KV, error) bool) {
		for _, sp := range spans {
			if end := least(to, sp.from); bytes.Compare(from, end) < 0 && !each(v.Scan(from, end), yield) {
				return
			}
			if !each(sp.scan(v, from, to), yield) {
				return
			}
			from = greatest(from, sp.to)
		}
		if bytes.Compare(from, to) < 0 {
			each(v.Scan(from, to), yield)
		}
	}
}

// span is a run of names that a rename changes: it hides what lies there, or shows what lies in two other places.
type span struct {
	from, to []byte
	at, old  []byte // begin the metastore keys of what it shows
	hidden   bool
}

// spans returns the runs of names that renames change, in order.
func (b *bucketRecord) spans() []span {
	var all []span
	add := func(prefix string, s span) {
		s.from, s.to = metastore.PrefixRange(nameKey(b.ID, prefix))
		all = append(all, s)
	}
	for i := range b.Renames {
		r := &b.Renames[i]
		switch r.State {
		case renameMoving:
			add(r.From, span{hidden: true})
		case renameStaging:
			add(r.Via, span{hidden: true})
		default:
			continue
		}
		add(r.To, span{at: nameKey(b.ID, r.place()), old: nameKey(b.ID, r.From)})
	}
	slices.SortFunc(all, func(a, b span) int { return bytes.Compare(a.from, b.from) })
	return all
}

// scan yields what a span shows between two metastore keys.
func (s *span) scan(v *metastore.View, from, to []byte) iter.Seq2[metastore.KV, error] {
	from, to = greatest(from, s.from), least(to, s.to)
	if s.hidden || bytes.Compare(from, to) >= 0 {
		return func(func(metastore.KV, error) bool) {}
	}
	return merge(s.lying(v, s.at, from, to), s.lying(v, s.old, from, to))
}

// lying yields what lies in a place, by the names that it has in the span.
func (s *span) lying(v *metastore.View, place, from, to []byte) iter.Seq2[metastore.KV, error] {
	start := slices.Concat(place, from[len(s.from):])
	_, end := metastore.PrefixRange(place)
	if bytes.Compare(to, s.to) < 0 {
		end = slices.Concat(place, to[len(s.from):])
	}
	return func(yield func(metastore.KV, error) bool) {
		var name []byte
		for kv, err := range v.Scan(start, end) {
			if kv.Key != nil {
				name = append(append(name[:0], s.from...), kv.Key[len(place):]...)
				kv.Key = name
			}
			if !yield(kv, err) {
				return
			}
		}
	}
}

// merge yields two ordered sequences as one; of two equal keys the first one's.
func merge(a, b iter.Seq2[metastore.KV, error]) iter.Seq2[metastore.KV, error] {
	return func(yield func(metastore.KV, error) bool) {
		next, stop := iter.Pull2(b)
		defer stop()
		other, otherErr, more := next()
		for kv, err := range a {
			for more && bytes.Compare(other.Key, kv.Key) < 0 {
				if !yield(other, otherErr) {
					return
				}
				other, otherErr, more = next()
			}
			if more && bytes.Equal(other.Key, kv.Key) {
				other, otherErr, more = next()
			}
			if !yield(kv, err) {
				return
			}
		}
		for more && yield(other, otherErr) {
			other, otherErr, more = next()
		}
	}
}

// each yields a sequence and reports whether it may go on.
func each(seq iter.Seq2[metastore.KV, error], yield func(metastore.KV, error) bool) bool {
	for kv, err := range seq {
		if !yield(kv, err) {
			return false
		}
	}
	return true
}

// least and greatest compare bounds of scans that are not nil.
func least(a, b []byte) []byte {
	if bytes.Compare(a, b) < 0 {
		return a
	}
	return b
}

func greatest(a, b []byte) []byte {
	if bytes.Compare(a, b) > 0 {
		return a
	}
	return b
}
