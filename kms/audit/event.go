package audit

import (
	"cmp"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"coffer/cipher"
	"coffer/internal/caller"
)

// Limits of an Event beside those of its Caller, in bytes. The log cuts off what
// is longer and says so in the line.
const (
	MaxWord   = 64 // Operation, Outcome
	MaxKeyID  = 256
	MaxBucket = 256
)

// Event is one operation on a key, or one use of a KEK. It holds no secret, and
// nothing of a context but the bucket.
type Event struct {
	Time   time.Time     // the time of Record when zero
	Caller caller.Caller // that of the context when zero, else caller.Internal

	Operation  Operation
	Outcome    Outcome
	KeyID      string
	KeyVersion uint32            // 0: not known
	Instance   cipher.InstanceID // of the backend; zero: none was involved
	Cached     bool              // the KEK came from memory, the backend was not asked

	Bucket string
	Object string // name; only its keyed hash is written
}

// Entry is an Event as its line holds it.
type Entry struct {
	Operation  string
	Outcome    string
	Principal  string
	Source     string
	UserAgent  string
	RequestID  string
	UID        *uint32
	KeyID      string
	KeyVersion uint32
	Instance   cipher.InstanceID
	Cached     bool
	Bucket     string
	Object     string        // keyed hash
	Pairs      []caller.Pair // ascending by name
	Clipped    bool          // something was cut off or replaced
}

// newEntry brings an Event within the limits. The object's hash is left out.
func newEntry(e Event) Entry {
	c := clipper{}
	n := Entry{
		Operation: c.text(string(e.Operation), MaxWord), Outcome: c.text(string(e.Outcome), MaxWord),
		Principal: c.text(e.Caller.Principal, caller.MaxPrincipal), Source: c.text(e.Caller.Source, caller.MaxSource),
		UserAgent: c.text(e.Caller.UserAgent, caller.MaxUserAgent), RequestID: c.text(e.Caller.RequestID, caller.MaxRequestID),
		UID: e.Caller.UID, KeyID: c.text(e.KeyID, MaxKeyID), KeyVersion: e.KeyVersion, Instance: e.Instance,
		Cached: e.Cached, Bucket: c.text(e.Bucket, MaxBucket), Pairs: c.pairs(e.Caller.Pairs),
	}
	n.Clipped = c.clipped
	return n
}

// clipper brings values within limits and remembers that it had to.
type clipper struct{ clipped bool }

// text returns s as UTF-8 of at most limit bytes.
func (c *clipper) text(s string, limit int) string {
	if len(s) <= limit && utf8.ValidString(s) {
		return s
	}
	c.clipped = true
	if len(s) > limit {
		s = s[:limit]
		for i := 0; i < utf8.UTFMax-1 && !lastRuneWhole(s); i++ {
			s = s[:len(s)-1]
		}
	}
	return strings.ToValidUTF8(s, "?")
}

// lastRuneWhole reports whether s does not end within a rune.
func lastRuneWhole(s string) bool {
	r, size := utf8.DecodeLastRuneInString(s)
	return r != utf8.RuneError || size != 1
}

// pairs returns the first caller.MaxPairs pairs, each name once, ascending.
func (c *clipper) pairs(given []caller.Pair) []caller.Pair {
	var kept []caller.Pair
	for _, p := range given {
		p.Name = c.name(p.Name)
		twice := slices.ContainsFunc(kept, func(k caller.Pair) bool { return k.Name == p.Name })
		if p.Name == "" || twice || len(kept) == caller.MaxPairs {
			c.clipped = true
			continue
		}
		p.Value = c.text(p.Value, caller.MaxPairValue)
		kept = append(kept, p)
	}
	slices.SortFunc(kept, func(a, b caller.Pair) int { return cmp.Compare(a.Name, b.Name) })
	return kept
}

// name returns the name of a pair with every foreign character replaced.
func (c *clipper) name(s string) string {
	if len(s) > caller.MaxPairName {
		s, c.clipped = s[:caller.MaxPairName], true
	}
	return strings.Map(func(r rune) rune {
		if caller.BadInName(r) {
			c.clipped = true
			return '_'
		}
		return r
	}, s)
}
