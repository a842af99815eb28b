package files

import (
	"context"
	"errors"
	"fmt"
	"os"
)

// Side is one of those that are measured.
type Side struct {
	Label string
	Dir   string // the workloads use a directory of their own in it
	// Chill empties what is kept in memory of the files, by the kernel and by who serves them.
	Chill func(context.Context) error
	// Sync makes durable what was written, where close has not done so.
	Sync func(context.Context) error
}

// Sizes say how much each workload does.
type Sizes struct {
	FileBytes    int64 // of the file that is written and read in sequence and at random
	RandomReads  int
	RandomWrites int // without fsync, or with one at the end
	SyncedWrites int // each with an fsync
	Small        int // files
	SmallBytes   int // in each
	PerDirectory int // small files
}

// DefaultSizes are those of a run that is recorded.
func DefaultSizes() Sizes {
	return Sizes{
		FileBytes: 256 << 20, RandomReads: 5000, RandomWrites: 5000, SyncedWrites: 500,
		Small: 5000, SmallBytes: 2048, PerDirectory: 100,
	}
}

// Plan says what Run measures.
type Plan struct {
	Sides  []Side // the first is what the others are held against
	Sizes  Sizes
	Rounds int
	Tar    string // an archive of a source tree
	// Progress is told what begins, if it is there.
	Progress func(round int, row, side string)
}

// block is what random reads and writes move, and step what those in sequence do.
const (
	block = 4 << 10
	step  = 1 << 20
)

func (p *Plan) validate() error {
	var errs []error
	s := p.Sizes
	if s.FileBytes < step || s.FileBytes%step != 0 {
		errs = append(errs, fmt.Errorf("a file of %d bytes, not some MiB", s.FileBytes))
	}
	if min(s.RandomReads, s.RandomWrites, s.SyncedWrites, s.Small, s.SmallBytes, s.PerDirectory, p.Rounds, len(p.Sides)) < 1 {
		errs = append(errs, errors.New("a size, the rounds or the sides are zero"))
	}
	for _, side := range p.Sides {
		if side.Chill == nil || side.Sync == nil {
			errs = append(errs, fmt.Errorf("%s: no Chill or no Sync", side.Label))
		}
	}
	if _, err := os.Stat(p.Tar); err != nil {
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}
