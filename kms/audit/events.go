package audit

import (
	"context"
	"time"

	"coffer/cipher"
	"coffer/internal/disk"
)

// Found is an event in a log, and where it stands.
type Found struct {
	File string
	Line int // from 1
	Seq  uint64
	Time time.Time
	Entry

	line line
}

// JSON returns the line as it stands, without its MAC and line feed.
func (f *Found) JSON() []byte { return append(bodyOf(&f.line), '}') }

// Events calls visit for every event of a log, in order, and checks the log meanwhile as Verify does. It ends at the first
// fault, or with the error of visit.
func Events(ctx context.Context, fsys disk.FS, dir string, key *cipher.Subkey, visit func(Found) error) (Report, error) {
	seen := uint64(0) // a log that is written meanwhile may be read again from its beginning
	return examine(ctx, fsys, dir, key, nil, func(v *verifier, l *line) error {
		if l.Kind != kindEvent || l.Seq <= seen {
			return nil
		}
		seen = l.Seq
		return visit(Found{File: fileName(v.k.file), Line: v.k.line, Seq: l.Seq, Time: l.Time, Entry: l.Event, line: *l})
	})
}
