package caller

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// HeaderPrefix begins the request headers whose rest and value are a Pair.
const HeaderPrefix = "x-coffer-audit-"

const (
	// Internal is the principal of work that nobody asked for, such as a worker's.
	Internal = "coffer:internal"
	// Unproven stands before the access key of a request that is proven only by the
	// end of its body, as long as that has not been read.
	Unproven = "unproven:"
)

// Limits of what a caller says of itself, in bytes. The log cuts off what is
// longer and says so in the line.
const (
	MaxPrincipal = 256
	MaxSource    = 128
	MaxUserAgent = 256
	MaxRequestID = 128
	MaxPairs     = 8 // pairs
	MaxPairName  = 64
	MaxPairValue = 256
)

// ErrPairs says that pairs are beyond what the log takes.
var ErrPairs = errors.New("audit pairs")

// Caller is who asked for something, and how.
type Caller struct {
	Principal string
	Source    string // address that the request came from
	UserAgent string
	RequestID string
	UID       *uint32 // user of the mount, nil elsewhere
	Pairs     []Pair  // what the caller wants to see in the log
}

// Pair is a name and a value that a caller adds to its lines.
type Pair struct{ Name, Value string }

// contextKey is the key of the Caller in a context.
type contextKey struct{}

// With returns a context that carries c. The caller does not change c.Pairs
// afterwards.
func With(ctx context.Context, c Caller) context.Context {
	return context.WithValue(ctx, contextKey{}, c)
}

// From returns the Caller that ctx carries; ok is false when it carries none.
func From(ctx context.Context) (c Caller, ok bool) {
	c, ok = ctx.Value(contextKey{}).(Caller)
	return c, ok
}

// IsZero reports whether nothing is said.
func (c Caller) IsZero() bool {
	return c.Principal == "" && c.Source == "" && c.UserAgent == "" && c.RequestID == "" && c.UID == nil &&
		len(c.Pairs) == 0
}

// CheckPairs reports, as ErrPairs, what the log would have to cut: more than
// MaxPairs, a name twice, a name that is not 1 to MaxPairName bytes of a-z, 0-9,
// '.', '_' and '-', a value that has more than MaxPairValue bytes, is not UTF-8 or
// holds a control character. A front door asks before it does anything.
func CheckPairs(pairs []Pair) error {
	if len(pairs) > MaxPairs {
		return fmt.Errorf("%w: %d, at most %d", ErrPairs, len(pairs), MaxPairs)
	}
	for i, p := range pairs {
		if p.Name == "" || len(p.Name) > MaxPairName || strings.ContainsFunc(p.Name, BadInName) {
			return fmt.Errorf("%w: the name of pair %d is not 1 to %d of a-z 0-9 . _ -", ErrPairs, i+1, MaxPairName)
		}
		if len(p.Value) > MaxPairValue || !utf8.ValidString(p.Value) || strings.ContainsFunc(p.Value, unicode.IsControl) {
			return fmt.Errorf("%w: the value of %s is not up to %d bytes of text", ErrPairs, p.Name, MaxPairValue)
		}
		for _, earlier := range pairs[:i] {
			if earlier.Name == p.Name {
				return fmt.Errorf("%w: %s is given twice", ErrPairs, p.Name)
			}
		}
	}
	return nil
}

// BadInName reports whether the name of a Pair must not have r.
func BadInName(r rune) bool {
	return (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '.' && r != '_' && r != '-'
}
