package audit

import (
	"encoding/hex"
	"strconv"
	"time"
	"unicode/utf8"
)

// A line is
//
//	body || ,"mac":"<64 hex digits>"} || line feed
//
// where body begins with {"seq": and ends before the comma (FORMAT.md).
const (
	maxLine   = 32 << 10 // bytes of a line with its line feed; longer ones are refused
	macField  = `,"mac":"`
	lineEnd   = `"}`
	macDigits = 2 * sumSize
	lineTail  = len(macField) + macDigits + len(lineEnd) // what follows the body, without the line feed
	timeForm  = "2006-01-02T15:04:05.000000000Z"
)

// kind is the type of a line.
type kind string

const (
	kindBegin kind = "begin" // first of every file
	kindStart kind = "start" // a process opened the log
	kindEvent kind = "event"
	kindPrune kind = "prune" // the oldest file was given up
	kindStop  kind = "stop"  // a process closed the log
)

// line is what a line says, apart from its MAC.
type line struct {
	Seq  uint64
	Time time.Time
	Kind kind

	Format uint32 // begin
	Log    logID  // begin
	File   uint64 // begin: this file; prune: the one given up
	Prev   sum    // begin: MAC of the line before
	Last   uint64 // prune: number of the last line given up

	Clean    bool   // start: the log was closed before
	Tail     uint64 // start: lines found behind what the state file vouched for
	CutLines uint64 // start: line feeds in what was cut off
	CutBytes uint64 // start: bytes that did not continue the chain

	Event Entry // event
}

// bodyOf returns the body of the line.
func bodyOf(l *line) []byte { return appendRest(appendSeq(nil, l.Seq), l) }

// appendSeq appends the beginning of a body.
func appendSeq(dst []byte, seq uint64) []byte {
	return strconv.AppendUint(append(dst, `{"seq":`...), seq, 10)
}

// appendRest appends what follows the line's number in its body.
func appendRest(dst []byte, l *line) []byte {
	dst = append(dst, `,"time":"`...)
	dst = l.Time.UTC().AppendFormat(dst, timeForm)
	dst = append(dst, `","type":"`...)
	dst = append(dst, l.Kind...)
	dst = append(dst, '"')
	switch l.Kind {
	case kindBegin:
		dst = appendNumber(dst, "format", uint64(l.Format))
		dst = appendHex(dst, "log", l.Log[:])
		dst = appendNumber(dst, "file", l.File)
		dst = appendHex(dst, "prev", l.Prev[:])
	case kindStart:
		dst = append(dst, `,"clean":`...)
		dst = strconv.AppendBool(dst, l.Clean)
		dst = appendNumber(dst, "tail", l.Tail)
		dst = appendNumber(dst, "cutLines", l.CutLines)
		dst = appendNumber(dst, "cutBytes", l.CutBytes)
	case kindPrune:
		dst = appendNumber(dst, "file", l.File)
		dst = appendNumber(dst, "last", l.Last)
	case kindEvent:
		dst = appendEntry(dst, &l.Event)
	}
	return dst
}

// appendEntry appends the fields of an event. Empty ones are left out, but for
// operation and outcome.
func appendEntry(dst []byte, e *Entry) []byte {
	dst = appendString(dst, "op", e.Operation)
	dst = appendString(dst, "outcome", e.Outcome)
	dst = appendFilled(dst, "principal", e.Principal)
	dst = appendFilled(dst, "source", e.Source)
	dst = appendFilled(dst, "agent", e.UserAgent)
	dst = appendFilled(dst, "request", e.RequestID)
	if e.UID != nil {
		dst = appendNumber(dst, "uid", uint64(*e.UID))
	}
	dst = appendFilled(dst, "keyId", e.KeyID)
	if e.KeyVersion != 0 {
		dst = appendNumber(dst, "keyVersion", uint64(e.KeyVersion))
	}
	if !e.Instance.IsZero() {
		dst = appendHex(dst, "instance", e.Instance[:])
	}
	if e.Cached {
		dst = append(dst, `,"cached":true`...)
	}
	dst = appendFilled(dst, "bucket", e.Bucket)
	dst = appendFilled(dst, "object", e.Object)
	if len(e.Pairs) > 0 {
		dst = append(dst, `,"pairs":{`...)
		for i, p := range e.Pairs {
			if i > 0 {
				dst = append(dst, ',')
			}
			dst = appendQuoted(dst, p.Name)
			dst = append(dst, ':')
			dst = appendQuoted(dst, p.Value)
		}
		dst = append(dst, '}')
	}
	if e.Clipped {
		dst = append(dst, `,"clipped":true`...)
	}
	return dst
}

func appendName(dst []byte, name string) []byte {
	dst = append(dst, ',', '"')
	dst = append(dst, name...)
	return append(dst, '"', ':')
}

func appendNumber(dst []byte, name string, n uint64) []byte {
	return strconv.AppendUint(appendName(dst, name), n, 10)
}

func appendHex(dst []byte, name string, b []byte) []byte {
	dst = append(appendName(dst, name), '"')
	return append(hex.AppendEncode(dst, b), '"')
}

func appendString(dst []byte, name, s string) []byte {
	return appendQuoted(appendName(dst, name), s)
}

func appendFilled(dst []byte, name, s string) []byte {
	if s == "" {
		return dst
	}
	return appendString(dst, name, s)
}

// appendQuoted appends s, which is UTF-8, as a JSON string. Quotes, backslashes,
// and what a terminal may take for a command (C0, DEL, C1) are escaped, and
// nothing else.
func appendQuoted(dst []byte, s string) []byte {
	const digits = "0123456789abcdef"
	dst = append(dst, '"')
	done := 0
	for i := 0; i < len(s); {
		r, size := rune(s[i]), 1
		if r >= utf8.RuneSelf {
			r, size = utf8.DecodeRuneInString(s[i:])
		}
		switch {
		case r == '"' || r == '\\':
			dst = append(dst, s[done:i]...)
			dst = append(dst, '\\', byte(r))
			done = i + size
		case r < 0x20 || r >= 0x7f && r <= 0x9f:
			dst = append(dst, s[done:i]...)
			dst = append(dst, '\\', 'u', '0', '0', digits[r>>4], digits[r&15])
			done = i + size
		}
		i += size
	}
	return append(append(dst, s[done:]...), '"')
}

// appendTail appends what follows a body.
func appendTail(dst []byte, mac *sum) []byte {
	dst = append(dst, macField...)
	dst = hex.AppendEncode(dst, mac[:])
	return append(dst, lineEnd+"\n"...)
}
