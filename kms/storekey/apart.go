package storekey

import (
	"errors"
	"fmt"

	"coffer/internal/disk"
)

// ErrInside says that the configuration directory is in the data directory.
var ErrInside = errors.New("the configuration directory lies inside the data directory")

// CheckApart returns ErrInside when configDir is dataDir or lies below it,
// through symbolic links too: whoever copies the data would copy the keys with
// it. Neither needs to exist.
func CheckApart(configDir, dataDir string) error {
	inside, err := disk.Inside(configDir, dataDir)
	if err == nil && inside {
		err = fmt.Errorf("%w: %s is in %s", ErrInside, configDir, dataDir)
	}
	return err
}
