package storekey

import (
	"errors"
	"fmt"
)

// Limits of Cost. A file that asks for more is refused before anything is
// allocated.
const (
	MaxMemoryKiB = 1 << 20
	MaxPasses    = 64
	MaxLanes     = 64
)

// ErrCost says that Argon2id parameters are outside their limits.
var ErrCost = errors.New("argon2id parameters outside their limits")

// Cost is what Argon2id spends on one trial of a passphrase.
type Cost struct {
	MemoryKiB uint32 // 8 per lane to MaxMemoryKiB
	Passes    uint32 // 1 to MaxPasses
	Lanes     uint8  // 1 to MaxLanes
}

// DefaultCost is what new slots get: 64 MiB, 3 passes, 4 lanes (RFC 9106,
// second recommended option).
func DefaultCost() Cost { return Cost{MemoryKiB: 64 << 10, Passes: 3, Lanes: 4} }

// Validate reports whether c is within the limits.
func (c Cost) Validate() error {
	switch {
	case c.Lanes < 1 || c.Lanes > MaxLanes:
		return fmt.Errorf("%w: %d lanes, must be 1 to %d", ErrCost, c.Lanes, MaxLanes)
	case c.Passes < 1 || c.Passes > MaxPasses:
		return fmt.Errorf("%w: %d passes, must be 1 to %d", ErrCost, c.Passes, MaxPasses)
	case c.MemoryKiB < 8*uint32(c.Lanes) || c.MemoryKiB > MaxMemoryKiB:
		return fmt.Errorf("%w: %d KiB, must be %d to %d", ErrCost, c.MemoryKiB, 8*uint32(c.Lanes), MaxMemoryKiB)
	}
	return nil
}
