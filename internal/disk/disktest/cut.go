package disktest

import (
	"maps"
	"math/rand/v2"
)

// tornPage is the unit in which bytes that were never synced reach the medium.
const tornPage = 4 << 10

// Crash cuts the power: it returns the file system that is found afterwards,
// with what was durable and nothing else. The old one goes on by itself.
func (c *Crash) Crash() *Crash { return c.cut(lost{}) }

// CrashTorn cuts the power of a machine that had begun to write. Of what was
// not durable some survives, as r decides: of a directory any of the changes,
// of a file some length, with pages of zeros in it. The same generator state
// and history give the same result.
func (c *Crash) CrashTorn(r *rand.Rand) *Crash { return c.cut(torn{r}) }

// survival decides what of the rest is found.
type survival interface {
	change() bool         // whether this change of a directory survives
	bytes(f *file) []byte // the bytes of a file
}

// lost is the survival of nothing.
type lost struct{}

func (lost) change() bool { return false }

func (lost) bytes(f *file) []byte { return f.data[:f.synced:f.synced] }

// torn is the survival of anything.
type torn struct{ r *rand.Rand }

func (t torn) change() bool { return t.r.IntN(2) == 0 }

func (t torn) bytes(f *file) []byte {
	rest := len(f.data) - f.synced
	if rest == 0 {
		return f.data[:f.synced:f.synced]
	}
	n := len(f.data)
	if t.r.IntN(2) == 0 {
		n = f.synced + t.r.IntN(rest+1)
	}
	data := make([]byte, n)
	copy(data, f.data[:f.synced])
	for off := f.synced; off < n; {
		end := min(n, (off/tornPage+1)*tornPage)
		if t.r.IntN(4) > 0 {
			copy(data[off:end], f.data[off:end])
		}
		off = end
	}
	return data
}

func (c *Crash) cut(s survival) *Crash {
	c.mu.Lock()
	defer c.mu.Unlock()
	after := NewCrash(Options{Capacity: c.capacity})
	k := &cutter{survival: s, to: after, files: make(map[*file]*file)}
	after.root = k.directory(c.root)
	return after
}

// cutter copies what survives. A file may be found under two names.
type cutter struct {
	survival
	to    *Crash
	files map[*file]*file
}

func (k *cutter) directory(d *directory) *directory {
	found := maps.Clone(d.durable)
	for _, c := range d.pending {
		if k.change() {
			c.apply(found)
		}
	}
	copied := newDirectory()
	for _, name := range names(found) {
		switch node := found[name].(type) {
		case *file:
			copied.entries[name] = k.file(node)
		case *directory:
			copied.entries[name] = k.directory(node)
		}
	}
	copied.durable = maps.Clone(copied.entries)
	return copied
}

func (k *cutter) file(f *file) *file {
	if done, ok := k.files[f]; ok {
		return done
	}
	data := k.bytes(f)
	copied := &file{data: data, synced: len(data), modTime: f.modTime}
	k.files[f] = copied
	k.to.used += int64(len(data))
	return copied
}
