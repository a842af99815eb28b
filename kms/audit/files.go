package audit

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strconv"
	"strings"

	"coffer/internal/disk"
)

const (
	filePrefix = "audit-"
	fileSuffix = ".jsonl"
	fileDigits = 10
	maxFile    = 9_999_999_999
	tempSuffix = ".new.tmp" // of a file before it has its name
)

// fileName gives the name of a file of the log by its number.
func fileName(n uint64) string { return fmt.Sprintf("%s%0*d%s", filePrefix, fileDigits, n, fileSuffix) }

// fileNumber is the inverse of fileName.
func fileNumber(name string) (uint64, bool) {
	rest, begins := strings.CutPrefix(name, filePrefix)
	digits, ends := strings.CutSuffix(rest, fileSuffix)
	if !begins || !ends || len(digits) != fileDigits {
		return 0, false
	}
	n, err := strconv.ParseUint(digits, 10, 64)
	return n, err == nil && n > 0 && fileName(n) == name
}

// listed is a file of the log as the directory has it.
type listed struct {
	num  uint64
	size int64
}

// listing is what is in the directory of a log.
type listing struct {
	files []listed // ascending
	temps []string // base names of what an interrupted replacement left
}

func list(fsys disk.FS, dir string) (l listing, err error) {
	for e, err := range fsys.ReadDir(dir) {
		if err != nil {
			return listing{}, fmt.Errorf("list the log: %w", err)
		}
		if n, ok := fileNumber(e.Name); ok && !e.Dir {
			l.files = append(l.files, listed{n, e.Size})
		}
		ours := strings.HasPrefix(e.Name, filePrefix) || strings.HasPrefix(e.Name, stateName+".")
		if disk.IsTemp(e.Name) && ours && !e.Dir {
			l.temps = append(l.temps, e.Name)
		}
	}
	slices.SortFunc(l.files, func(a, b listed) int { return cmp.Compare(a.num, b.num) })
	return l, nil
}

// since leaves out what was given up already: files with a number below first.
func (l listing) since(first uint64) []listed {
	i, _ := slices.BinarySearchFunc(l.files, first, func(f listed, n uint64) int { return cmp.Compare(f.num, n) })
	return l.files[i:]
}

// publish makes file num of the first prefix bytes of from and of tail, durable,
// in the place of one that may be there, in one step. The file that it returns
// can be appended to. After an error the name holds what it held, or the new file.
func publish(fsys disk.FS, dir string, num uint64, from disk.File, prefix int64, tail []byte) (disk.File, error) {
	name := path.Join(dir, fileName(num))
	temp := name + tempSuffix
	if err := fsys.Remove(temp); err != nil && !isNotExist(err) {
		return nil, err
	}
	f, err := fsys.Create(temp)
	if err != nil {
		return nil, err
	}
	if err = fill(f, from, prefix, tail); err != nil {
		return nil, errors.Join(err, f.Close(), fsys.Remove(temp))
	}
	if err = fsys.Rename(temp, name); err != nil {
		return nil, errors.Join(err, f.Close(), fsys.Remove(temp))
	}
	if err = fsys.SyncDir(dir); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// fill writes a new file and makes its bytes durable.
func fill(f, from disk.File, prefix int64, tail []byte) error {
	if prefix > 0 {
		n, err := io.Copy(f, io.NewSectionReader(from, 0, prefix))
		if err != nil {
			return err
		}
		if n < prefix {
			return fmt.Errorf("copy %d bytes of %d: %w", n, prefix, io.ErrUnexpectedEOF)
		}
	}
	n, err := f.Write(tail)
	if err == nil && n < len(tail) {
		err = io.ErrShortWrite
	}
	if err != nil {
		return err
	}
	return f.Sync()
}
