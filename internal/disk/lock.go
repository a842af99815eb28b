package disk

import "errors"

// ErrLocked says that another process, or another holder in this one, has locked a directory.
var ErrLocked = errors.New("directory is locked")
