package home

import (
	"errors"
	"io/fs"
	"strings"

	"coffer/cipher"
	"coffer/internal/disk"
)

// The marker's text, before and after the store id is known.
const (
	markerPrefix     = "coffer store 1 "
	markerUnfinished = "unfinished"
	maxMarkerSize    = 256
)

// marker is what the data directory says about itself.
type marker struct {
	present bool
	store   cipher.StoreID // zero: unfinished
}

// readMarker reads the marker. A missing one is no error.
func readMarker(data disk.FS) (marker, error) {
	text, err := disk.ReadFile(data, markerFile, maxMarkerSize)
	if errors.Is(err, fs.ErrNotExist) {
		return marker{}, nil
	}
	if errors.Is(err, disk.ErrTooLarge) {
		return marker{}, &DamagedError{File: markerFile, Reason: "too long"}
	}
	if err != nil {
		return marker{}, err
	}
	return parseMarker(string(text))
}

func parseMarker(text string) (marker, error) {
	rest, ok := strings.CutPrefix(text, markerPrefix)
	if !ok {
		return marker{}, &DamagedError{File: markerFile, Reason: "not the marker of a data directory, or of a newer version"}
	}
	rest = strings.TrimSuffix(rest, "\n")
	if rest == markerUnfinished {
		return marker{present: true}, nil
	}
	id, err := cipher.ParseStoreID(rest)
	if err != nil || id.IsZero() {
		return marker{}, &DamagedError{File: markerFile, Reason: "it names no store"}
	}
	return marker{present: true, store: id}, nil
}

// writeMarker writes the marker durably.
func writeMarker(data disk.FS, m marker) error {
	text := markerPrefix + markerUnfinished + "\n"
	if !m.store.IsZero() {
		text = markerPrefix + m.store.String() + "\n"
	}
	return disk.WriteFileAtomic(data, ".", markerFile, []byte(text))
}
