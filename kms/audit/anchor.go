package audit

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"coffer/internal/disk"
)

// AnchorName is the file in Options.Anchor that keeps the head.
const AnchorName = "audit.head"

const (
	anchorMagic    = "coffer-audit-head-1"
	anchorSize     = 1 << 10     // bytes; more than any anchor has
	anchorInterval = time.Minute // between writings while the log grows
)

// anchor is a sealed head that is kept apart from the log. It is worth something because who puts the log back to an
// earlier state does not put the anchor back with it.
type anchor struct {
	Log  logID
	Head Head
}

// readAnchor reads the anchor; nil where there is none.
func readAnchor(fsys disk.FS) (*anchor, error) {
	text, err := disk.ReadFile(fsys, AnchorName, anchorSize)
	if isNotExist(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the head that is kept: %w", err)
	}
	words := strings.Fields(string(text))
	if len(words) != 3 || words[0] != anchorMagic {
		return nil, fmt.Errorf("%s is not one line of %s, a log and a head", AnchorName, anchorMagic)
	}
	var a anchor
	a.Head, err = ParseHead(words[2])
	if err := errors.Join(err, fromHex(a.Log[:], words[1])); err != nil {
		return nil, fmt.Errorf("%s: %w", AnchorName, err)
	}
	return &a, nil
}

func (a *anchor) write(fsys disk.FS) error {
	text := fmt.Sprintf("%s %s %s\n", anchorMagic, a.Log, a.Head)
	return disk.WriteFileAtomic(fsys, ".", AnchorName, []byte(text))
}

// holds checks that a log which ends at a head holds what the anchor names. The lines before that are for Verify.
func (a *anchor) holds(log logID, end Head) error {
	switch {
	case a == nil:
		return nil
	case a.Log != log:
		return &Fault{Err: fmt.Errorf("%w: it is log %s, and not %s", ErrHead, log, a.Log)}
	case end.Seq < a.Head.Seq:
		return &Fault{Err: fmt.Errorf("%w: it ends at %d, before %d", ErrHead, end.Seq, a.Head.Seq)}
	case end.Seq == a.Head.Seq && end != a.Head:
		return &Fault{Err: fmt.Errorf("%w: line %d is another", ErrHead, end.Seq)}
	}
	return nil
}

// Anchored returns the head that a Log has kept by Options.Anchor, for Verify; false where there is none.
func Anchored(fsys disk.FS) (Head, bool, error) {
	a, err := readAnchor(fsys)
	if a == nil {
		return Head{}, false, err
	}
	return a.Head, true, nil
}

// moor keeps the sealed head in the anchor, if that is due. An anchor that cannot be written is no reason to stop: it is
// older then.
func (w *writer) moor(now bool) {
	if w.anchor == nil || w.state.Head == w.moored || !now && time.Since(w.mooredAt) < anchorInterval {
		return
	}
	a := anchor{w.state.Log, w.state.Head}
	w.mooredAt = time.Now()
	if err := a.write(w.anchor); err != nil {
		w.report(fmt.Errorf("keep the head: %w", err))
		return
	}
	w.moored = w.state.Head
}
