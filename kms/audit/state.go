package audit

import (
	"bytes"
	"crypto/hmac"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"time"

	"coffer/internal/disk"
)

// The state file is, integers big-endian,
//
//	offset   size   field
//	0        4      magic "CFAU"
//	4        1      format version, 1
//	5        1      1 when the log was closed, else 0
//	6        2      zero
//	8        16     log id
//	24       8      number of the first file that is kept
//	32       8      base: number of the last line before that file
//	40       32     base: its MAC, zero for number 0
//	72       8      number of the file that holds the head
//	80       8      offset in that file at which the head's line ends
//	88       8      head: number of the last line vouched for
//	96       32     head: its MAC
//	128      8      time of writing, nanoseconds since 1970-01-01 UTC
//	136      32     HMAC-SHA256(state key, bytes 0 to 135)
const (
	stateName  = "state"
	stateMagic = "CFAU"
	stateBody  = 136
	stateSize  = stateBody + sumSize

	formatVersion = 1
)

// state is what vouches for the two ends of the log.
type state struct {
	Clean  bool
	Log    logID
	First  uint64
	Base   Head
	Last   uint64
	Offset int64
	Head   Head
	Time   time.Time
}

// empty reports whether the log was made and holds no line yet.
func (s *state) empty() bool { return s.Head.Seq == 0 }

func (k *keys) encodeState(s *state) []byte {
	b := make([]byte, 0, stateSize)
	b = append(b, stateMagic...)
	b = append(b, formatVersion, 0, 0, 0)
	if s.Clean {
		b[5] = 1
	}
	b = append(b, s.Log[:]...)
	b = binary.BigEndian.AppendUint64(b, s.First)
	b = binary.BigEndian.AppendUint64(b, s.Base.Seq)
	b = append(b, s.Base.MAC[:]...)
	b = binary.BigEndian.AppendUint64(b, s.Last)
	b = binary.BigEndian.AppendUint64(b, uint64(s.Offset))
	b = binary.BigEndian.AppendUint64(b, s.Head.Seq)
	b = append(b, s.Head.MAC[:]...)
	b = binary.BigEndian.AppendUint64(b, uint64(s.Time.UnixNano()))
	m := k.state()
	m.Write(b)
	return m.Sum(b)
}

// decodeState is the inverse of encodeState. The error is ErrNewer or ErrState.
func (k *keys) decodeState(b []byte) (s state, err error) {
	if len(b) > 4 && string(b[:4]) == stateMagic && b[4] > formatVersion {
		return state{}, fmt.Errorf("%w: version %d", ErrNewer, b[4])
	}
	if len(b) != stateSize {
		return state{}, fmt.Errorf("%w: %d bytes, want %d", ErrState, len(b), stateSize)
	}
	m := k.state()
	m.Write(b[:stateBody])
	if !hmac.Equal(m.Sum(nil), b[stateBody:]) {
		return state{}, fmt.Errorf("%w: it does not authenticate", ErrState)
	}
	s = state{
		Clean: b[5] == 1, Log: logID(b[8:24]),
		First: binary.BigEndian.Uint64(b[24:]), Base: Head{binary.BigEndian.Uint64(b[32:]), sum(b[40:72])},
		Last: binary.BigEndian.Uint64(b[72:]), Offset: int64(binary.BigEndian.Uint64(b[80:])),
		Head: Head{binary.BigEndian.Uint64(b[88:]), sum(b[96:128])},
		Time: time.Unix(0, int64(binary.BigEndian.Uint64(b[128:]))),
	}
	orderly := s.First >= 1 && s.First <= s.Last && s.Last <= maxFile && s.Offset >= 0 && s.Base.Seq <= s.Head.Seq
	if !orderly || !bytes.Equal(k.encodeState(&s), b) {
		return state{}, fmt.Errorf("%w: it contradicts itself", ErrState)
	}
	return s, nil
}

// readState reads the state file; the error is that of the disk, ErrState or
// ErrNewer. A missing one is fs.ErrNotExist.
func (k *keys) readState(fsys disk.FS, dir string) (state, error) {
	b, err := disk.ReadFile(fsys, path.Join(dir, stateName), 2*stateSize)
	switch {
	case errors.Is(err, disk.ErrTooLarge):
		return state{}, fmt.Errorf("%w: it is too long", ErrState)
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		return state{}, fmt.Errorf("read the state: %w", err)
	case err != nil:
		return state{}, err
	}
	return k.decodeState(b)
}

// writeState replaces the state file in one durable step.
func (k *keys) writeState(fsys disk.FS, dir string, s *state) error {
	return disk.WriteFileAtomic(fsys, dir, stateName, k.encodeState(s))
}
