package home

import (
	"errors"
	"io/fs"
	"slices"

	"coffer/cipher"
	"coffer/internal/disk"
	"coffer/kms/storekey"
)

// lostFound is what file systems have at their root, and no file of anybody's.
const lostFound = "lost+found"

// stage is how far a store has come.
type stage uint8

const (
	stageNew        stage = iota // nothing is there, or an unfinished first start
	stageUnfinished              // store.key is there, the marker does not name it yet
	stageReplaced                // the data directory is empty, and that is accepted
	stageKnown                   // store.key and marker belong together
)

// finding is what survey saw.
type finding struct {
	stage stage
	file  *storekey.File // nil in stageNew
	data  bool           // there is a metastore or a chunk store
}

// volumes are the directories as disks.
type volumes struct {
	config, data disk.Volume
	key          disk.Volume // directory of the key file
}

// survey looks at both directories, changes nothing, and refuses what does not
// belong together.
func survey(o Options, v volumes) (finding, error) {
	m, err := readMarker(v.data)
	if err != nil {
		return finding{}, err
	}
	found, foreign, err := contents(v.data)
	if err != nil {
		return finding{}, err
	}
	if o.KeysBesideData {
		foreign = nil // they may be keys
	}
	file, err := storekey.Load(storekey.Options{FS: v.config})
	if errors.Is(err, storekey.ErrMissing) {
		return finding{stage: stageNew}, checkNew(o.Places, m, found, foreign)
	}
	if err != nil {
		return finding{}, err
	}
	f := finding{file: file, data: found}
	f.stage, err = checkKnown(o, m, found, foreign, file.StoreID())
	return f, err
}

// contents tells what lies in the data directory, which may be missing: parts
// of a store, and names that are no part of one.
func contents(data disk.FS) (store bool, foreign []string, err error) {
	for e, err := range data.ReadDir(".") {
		if errors.Is(err, fs.ErrNotExist) {
			return false, nil, nil
		}
		switch {
		case err != nil:
			return false, nil, err
		case e.Name == metaDir || e.Name == chunkDir:
			store = true
		case e.Name == markerFile, disk.IsTemp(e.Name), e.Name == lostFound:
		default:
			foreign = append(foreign, e.Name)
		}
	}
	slices.Sort(foreign)
	return store, foreign, nil
}

// checkNew refuses to make a store.key where something needs a former one.
func checkNew(p Places, m marker, store bool, foreign []string) error {
	missing := func(found string) error { return &KeyMissingError{StoreKey: p.storeKey(), Found: found} }
	if store || !m.store.IsZero() {
		return missing("the data directory " + p.Data)
	}
	if len(foreign) > 0 {
		return &ForeignError{Data: p.Data, Names: foreign}
	}
	for _, needs := range []struct{ dir, found string }{{p.keyring(), "the keyring"}, {p.Audit, "the audit log"}} {
		if needs.dir == "" {
			continue
		}
		holds, err := holdsFiles(disk.NewOS(needs.dir))
		if err != nil {
			return err
		}
		if holds {
			return missing(needs.found + " " + needs.dir)
		}
	}
	return nil
}

// holdsFiles reports whether a directory, which may be missing, has an entry.
func holdsFiles(dir disk.FS) (bool, error) {
	for e, err := range dir.ReadDir(".") {
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return false, nil
		case err != nil:
			return false, err
		case e.Name != lostFound:
			return true, nil
		}
	}
	return false, nil
}

// checkKnown compares the store.key that is there with the data directory.
func checkKnown(o Options, m marker, store bool, foreign []string, id cipher.StoreID) (stage, error) {
	p := o.Places
	switch {
	case m.store == id:
		return stageKnown, nil
	case !m.store.IsZero():
		return 0, &OtherStoreError{StoreKey: p.storeKey(), Data: p.Data, Want: id, Found: m.store}
	case store:
		return 0, &UnmarkedError{Data: p.Data}
	case len(foreign) > 0:
		return 0, &ForeignError{Data: p.Data, Names: foreign}
	case m.present:
		return stageUnfinished, nil
	case !o.AcceptEmptyData:
		return 0, &DataMissingError{Data: p.Data, Store: id}
	}
	return stageReplaced, nil
}
