package audit

import (
	"errors"
	"fmt"
)

// What a Fault can be.
var (
	// ErrState: the state file is missing, damaged, or of another log.
	ErrState = errors.New("the state file is not sound")
	// ErrMissing: a file of the log is not there.
	ErrMissing = errors.New("the file is missing")
	// ErrChain: a line does not continue the chain. It was edited, or lines before
	// it were removed, repeated or put into another order.
	ErrChain = errors.New("the line does not continue the chain")
	// ErrTruncated: the log ends before the last line that the state file vouches for.
	ErrTruncated = errors.New("the log ends too early")
	// ErrExtra: there is more than the log can have: lines after its end was
	// sealed, or too many that nothing vouches for. The state file is an old one.
	ErrExtra = errors.New("the log goes on behind its end")
	// ErrTail: bytes that the state file does not vouch for do not continue the
	// chain. A power cut does this, and so does one who edits the last lines; the
	// next Open cuts them off and records that.
	ErrTail = errors.New("the unsealed end of the log is damaged")
	// ErrHead: the log does not hold a line that was remembered elsewhere. It was
	// put back to an earlier state.
	ErrHead = errors.New("the log does not hold a remembered line")
	// ErrNewer: the log was written by a newer version of Coffer.
	ErrNewer = errors.New("the format is newer")
)

// Fault is a place at which the log is not what was written.
type Fault struct {
	File string // base name; empty when it is the log as a whole
	Line int    // from 1; 0 when it is the file as a whole
	Err  error  // wraps one of the errors above
}

// Error names file and line.
func (f *Fault) Error() string {
	switch {
	case f.File == "":
		return "audit log: " + f.Err.Error()
	case f.Line == 0:
		return fmt.Sprintf("audit log: %s: %v", f.File, f.Err)
	default:
		return fmt.Sprintf("audit log: %s, line %d: %v", f.File, f.Line, f.Err)
	}
}

// Unwrap returns the cause.
func (f *Fault) Unwrap() error { return f.Err }
