package badgerdb

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// fileWatch makes the entries of new files durable. Badger syncs what it writes
// into the log of a new memtable, but not the directory that names it.
type fileWatch struct {
	dir      *os.File
	syncDir  func() error
	next     int    // number of the first memtable log that does not exist
	nextPath string // its path
	changed  time.Time
}

const logSuffix = ".mem"

// watchFiles finds the logs that exist and makes their entries durable.
func watchFiles(path string) (*fileWatch, error) {
	entries, err := os.ReadDir(path)
	if err != nil {
		return nil, err
	}
	dir, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	w := &fileWatch{dir: dir, syncDir: dir.Sync}
	for _, entry := range entries {
		name, ok := strings.CutSuffix(entry.Name(), logSuffix)
		if !ok {
			continue
		}
		if n, err := strconv.Atoi(name); err == nil {
			w.next = max(w.next, n+1)
		}
	}
	w.nextPath = w.logPath()
	if err := w.settle(); err != nil {
		_ = dir.Close()
		return nil, err
	}
	return w, nil
}

// settle syncs the directory if a file has come or gone. A new memtable log is
// looked for by its name, for what was written into it is about to be called
// durable. The directory's time of change tells of all others; where it is too
// coarse to tell two changes apart, the second waits for the next one.
func (w *fileWatch) settle() error {
	grown := false
	for {
		_, err := os.Lstat(w.nextPath)
		if errors.Is(err, fs.ErrNotExist) {
			break
		}
		if err != nil {
			return fmt.Errorf("look for new log: %w", err)
		}
		grown = true
		w.next++
		w.nextPath = w.logPath()
	}
	info, err := w.dir.Stat()
	if err != nil {
		return fmt.Errorf("stat directory: %w", err)
	}
	if !grown && info.ModTime().Equal(w.changed) {
		return nil
	}
	if err := w.syncDir(); err != nil {
		return fmt.Errorf("sync directory: %w", err)
	}
	w.changed = info.ModTime()
	return nil
}

func (w *fileWatch) close() error { return w.dir.Close() }

// logPath names the next log as Badger does.
func (w *fileWatch) logPath() string {
	return filepath.Join(w.dir.Name(), fmt.Sprintf("%05d%s", w.next, logSuffix))
}
