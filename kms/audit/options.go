package audit

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"time"

	"coffer/cipher"
	"coffer/internal/disk"
)

// DefaultDir is the directory of the log.
const DefaultDir = "audit"

// Bounds and defaults of Options.
const (
	MinFileSize         = 64 << 10
	DefaultFileSize     = 64 << 20
	MaxFileSize         = 1 << 30
	DefaultFiles        = 64
	DefaultSyncInterval = 500 * time.Millisecond
	DefaultQueue        = 4096
)

// Options say where a log is and how it is kept.
type Options struct {
	// FS is where the log is. Required.
	FS disk.Volume
	// Dir is the log's directory in FS, its alone; DefaultDir when empty.
	Dir string
	// Key is the StoreKey's subkey for audit. Required. The log derives what it
	// needs and does not keep it.
	Key *cipher.Subkey
	// MustExist forbids making a log. Set it when the store is known to have one,
	// so that a lost directory is reported and not replaced by an empty one.
	MustExist bool
	// Anchor is a directory apart from the log, of which the attacker who reaches the log does not reach the other, or
	// nil. There the head is kept in audit.head, once a minute and at the end. Where it is there, Open refuses a log that
	// is missing, another, or ends before it.
	Anchor disk.FS

	// FileSize is the length in bytes at which a new file begins, MinFileSize to
	// MaxFileSize; DefaultFileSize when 0.
	FileSize int64
	// Files is how many files are kept, at least 2; the oldest is given up when one
	// more begins, and a line says so. DefaultFiles when 0; all when negative.
	Files int
	// SyncInterval is how long a line may wait to become durable;
	// DefaultSyncInterval when 0.
	SyncInterval time.Duration
	// Queue is how many lines may wait to be written; DefaultQueue when 0.
	Queue int

	// Logger hears when lines cannot be written, and when they can again; nobody
	// does when nil.
	Logger *slog.Logger
	// Now gives the time; time.Now when nil.
	Now func() time.Time

	newID func() logID // newLogID when nil
}

// Validate reports all faults of o at once.
func (o Options) Validate() error {
	var errs []error
	fault := func(format string, args ...any) { errs = append(errs, fmt.Errorf("audit: Options."+format, args...)) }
	if o.FS == nil {
		fault("FS is nil")
	}
	if o.Key == nil || o.Key.Expose() == nil {
		fault("Key is missing or wiped")
	}
	if o.Dir != "" && (o.Dir == "." || !fs.ValidPath(o.Dir)) {
		fault("Dir %q is not a directory below FS", o.Dir)
	}
	if o.FileSize != 0 && (o.FileSize < MinFileSize || o.FileSize > MaxFileSize) {
		fault("FileSize %d is not from %d to %d", o.FileSize, MinFileSize, MaxFileSize)
	}
	if o.Files == 1 {
		fault("Files is 1, less than 2")
	}
	if o.SyncInterval < 0 {
		fault("SyncInterval %v is negative", o.SyncInterval)
	}
	if o.Queue < 0 {
		fault("Queue %d is negative", o.Queue)
	}
	return errors.Join(errs...)
}

// withDefaults fills in what was left out.
func (o Options) withDefaults() Options {
	setDefault(&o.Dir, DefaultDir)
	setDefault(&o.FileSize, DefaultFileSize)
	setDefault(&o.Files, DefaultFiles)
	setDefault(&o.SyncInterval, DefaultSyncInterval)
	setDefault(&o.Queue, DefaultQueue)
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.newID == nil {
		o.newID = newLogID
	}
	return o
}

func setDefault[T comparable](v *T, d T) {
	var zero T
	if *v == zero {
		*v = d
	}
}
