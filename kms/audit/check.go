package audit

import (
	"bufio"
	"context"
	"crypto/hmac"
	"errors"
	"fmt"
	"io"
	"io/fs"

	"coffer/internal/disk"
)

// errTorn says that the last bytes of a file are no whole line.
var errTorn = errors.New("the last line is not whole")

func isNotExist(err error) bool { return errors.Is(err, fs.ErrNotExist) }

// checker follows the chain through the lines of one file after the other.
type checker struct {
	log   logID
	chain chain
	file  uint64 // number of the file
	line  int    // lines of it seen; the first line of a file begins it
}

// enter goes to the beginning of a file.
func (k *checker) enter(file uint64) { k.file, k.line = file, 0 }

// next takes a line without its line feed. The error is ErrChain or ErrNewer, and
// the checker stays where it is.
func (k *checker) next(raw []byte) (line, error) {
	body, mac, err := splitLine(raw)
	if err != nil {
		return line{}, fmt.Errorf("%w: %w", ErrChain, err)
	}
	want := k.chain.sum(body)
	l, err := parseBody(body)
	switch authentic := hmac.Equal(want[:], mac[:]); {
	case !authentic && err == nil && l.Seq != k.chain.at.Seq+1:
		return line{}, fmt.Errorf("%w: it is number %d where %d was to follow", ErrChain, l.Seq, k.chain.at.Seq+1)
	case !authentic:
		return line{}, fmt.Errorf("%w: it does not authenticate", ErrChain)
	case err != nil:
		return line{}, fmt.Errorf("%w: %w", ErrChain, err)
	}
	if err := k.place(&l); err != nil {
		return line{}, err
	}
	k.chain.step(mac)
	k.line++
	return l, nil
}

// place checks that an authentic line is where the log would have put it.
func (k *checker) place(l *line) error {
	switch begins := l.Kind == kindBegin; {
	case begins && l.Format > formatVersion:
		return fmt.Errorf("%w: version %d", ErrNewer, l.Format)
	case l.Seq != k.chain.at.Seq+1:
		return fmt.Errorf("%w: it is number %d where %d was to follow", ErrChain, l.Seq, k.chain.at.Seq+1)
	case begins != (k.line == 0):
		return fmt.Errorf("%w: a file begins elsewhere", ErrChain)
	case begins && (l.Log != k.log || l.File != k.file || l.Prev != k.chain.at.MAC):
		return fmt.Errorf("%w: it begins file %d of log %s", ErrChain, l.File, l.Log)
	}
	return nil
}

// walk takes the lines of f between two offsets, and calls visit after each with
// the offset of its end. It returns the end of the last good line, and an error of
// next, errTorn, or what the disk, the context or visit returned.
func (k *checker) walk(ctx context.Context, f disk.File, off, size int64, visit func(l *line, end int64) error) (int64, error) {
	const linesPerLook = 256
	r := bufio.NewReaderSize(io.NewSectionReader(f, off, size-off), 2*maxLine)
	for n := 0; ; n++ {
		if n%linesPerLook == 0 && ctx.Err() != nil {
			return off, context.Cause(ctx)
		}
		raw, err := r.ReadSlice('\n')
		switch {
		case errors.Is(err, io.EOF) && len(raw) == 0:
			return off, nil
		case errors.Is(err, io.EOF):
			return off, errTorn
		case errors.Is(err, bufio.ErrBufferFull):
			return off, fmt.Errorf("%w: %w: more than %d bytes", ErrChain, errLine, maxLine)
		case err != nil:
			return off, err
		}
		l, err := k.next(raw[:len(raw)-1])
		if err != nil {
			return off, err
		}
		off += int64(len(raw))
		if err := visit(&l, off); err != nil {
			return off, err
		}
	}
}

// readBegin reads the first line of file num and returns the Head that it follows.
func (k *keys) readBegin(f disk.File, log logID, num uint64) (Head, error) {
	const enough = 1 << 10 // bytes; the line of a begin has about 350
	buf := make([]byte, enough)
	n, err := f.ReadAt(buf, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return Head{}, err
	}
	raw, whole := firstLine(buf[:n])
	if !whole {
		return Head{}, fmt.Errorf("%w: %w", ErrChain, errTorn)
	}
	body, _, err := splitLine(raw)
	if err != nil {
		return Head{}, fmt.Errorf("%w: %w", ErrChain, err)
	}
	l, err := parseBody(body)
	if err != nil || l.Kind != kindBegin || l.Seq == 0 {
		return Head{}, fmt.Errorf("%w: no file begins here", ErrChain)
	}
	before := Head{l.Seq - 1, l.Prev}
	c := checker{log: log, chain: k.chainFrom(before), file: num}
	_, err = c.next(raw)
	return before, err
}

func firstLine(b []byte) ([]byte, bool) {
	for i, c := range b {
		if c == '\n' {
			return b[:i], true
		}
	}
	return nil, false
}
