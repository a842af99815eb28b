package fs

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"coffer/object"
)

// Defaults of Options.
const (
	DefaultUmask        = 0o022
	DefaultEntryTimeout = time.Second
	DefaultMemoryMiB    = 128
)

// Limits of Options.
const (
	MinMemoryMiB    = 16
	MaxMemoryMiB    = 1 << 20
	MaxEntryTimeout = 365 * 24 * time.Hour
)

// Target is what is mounted where.
type Target struct {
	Dir    string // directory to mount on
	Bucket string // "": all buckets, as directories
	Prefix string // "" or a directory of the bucket, with a "/" at its end
}

// ParseTarget reads DIR, or DIR=BUCKET, or DIR=BUCKET/PREFIX. The first “=” divides.
func ParseTarget(text string) (Target, error) {
	dir, what, one := strings.Cut(text, "=")
	t := Target{Dir: dir}
	if dir == "" {
		return t, errors.New("names no directory to mount on")
	}
	if !one {
		return t, nil
	}
	t.Bucket, t.Prefix, _ = strings.Cut(what, "/")
	if t.Prefix != "" && !strings.HasSuffix(t.Prefix, "/") {
		t.Prefix += "/"
	}
	return t, t.validate()
}

func (t Target) validate() error {
	if t.Bucket == "" && t.Prefix == "" {
		return nil
	}
	if err := object.ValidateBucketName(t.Bucket); err != nil {
		return fmt.Errorf("%q is no name of a bucket: %w", t.Bucket, err)
	}
	if len(t.Prefix) >= object.MaxKeyBytes {
		return fmt.Errorf("the prefix has %d bytes, at most %d leave room for names", len(t.Prefix), object.MaxKeyBytes-1)
	}
	return nil
}

// String is the text that ParseTarget reads.
func (t Target) String() string {
	switch {
	case t.Bucket == "":
		return t.Dir
	case t.Prefix == "":
		return t.Dir + "=" + t.Bucket
	default:
		return t.Dir + "=" + t.Bucket + "/" + strings.TrimSuffix(t.Prefix, "/")
	}
}

// Settings are what can be chosen about a mount. The zero value is not the default: see DefaultSettings.
type Settings struct {
	UID, GID           uint32        // owner of what no mount has touched
	Umask              uint32        // permissions that those things lack
	AllowOther         bool          // other users than the one that the server runs as
	DefaultPermissions bool          // the kernel checks permissions; else whoever may use the mount may do all
	ReadOnly           bool          // nothing can be changed
	EntryTimeout       time.Duration // how long the kernel may believe what it was told, if no change is notified
	MemoryMiB          int           // bound of requests under way and of what is remembered of files
}

// DefaultSettings are those that the process's own user gets.
func DefaultSettings() Settings {
	return Settings{
		UID: uint32(os.Geteuid()), GID: uint32(os.Getegid()), Umask: DefaultUmask, DefaultPermissions: true,
		EntryTimeout: DefaultEntryTimeout, MemoryMiB: DefaultMemoryMiB,
	}
}

// Options configures a mount. Store and Target must be set.
type Options struct {
	Store    *object.Store
	Target   Target
	Settings Settings
	Logger   *slog.Logger // default: discards
}

// validate reports all faults at once, and makes the directory absolute.
func (o *Options) validate() error {
	var errs []error
	if o.Store == nil {
		errs = append(errs, errors.New("no store"))
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if err := o.Target.validate(); err != nil {
		errs = append(errs, err)
	}
	if o.Target.Dir == "" {
		errs = append(errs, errors.New("no directory to mount on"))
	} else if abs, err := filepath.Abs(o.Target.Dir); err != nil {
		errs = append(errs, err)
	} else {
		o.Target.Dir = abs
	}
	s := &o.Settings
	if s.Umask&^0o777 != 0 {
		errs = append(errs, fmt.Errorf("umask %#o has more than permissions", s.Umask))
	}
	if s.EntryTimeout < 0 || s.EntryTimeout > MaxEntryTimeout {
		errs = append(errs, fmt.Errorf("entry time-out %v, not 0 to %v", s.EntryTimeout, MaxEntryTimeout))
	}
	if s.MemoryMiB < MinMemoryMiB || s.MemoryMiB > MaxMemoryMiB {
		errs = append(errs, fmt.Errorf("memory of %d MiB, not %d to %d", s.MemoryMiB, MinMemoryMiB, MaxMemoryMiB))
	}
	return errors.Join(errs...)
}
