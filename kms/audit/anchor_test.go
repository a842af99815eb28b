package audit

import (
	"errors"
	"path"
	"strings"
	"testing"

	"coffer/internal/disk"
	"coffer/internal/disk/disktest"
)

func anchored(t *testing.T, fsys, apart disk.Volume) Options {
	o := options(t, fsys)
	o.Anchor = apart
	return o
}

// copyLog copies the files of a log.
func copyLog(t *testing.T, from disk.FS) map[string]string {
	t.Helper()
	files := map[string]string{}
	for e, err := range from.ReadDir(dir) {
		do(t, err)
		files[e.Name] = read(t, from, e.Name)
	}
	return files
}

// TestAnchor takes the log away, or back to what it was: a start refuses both as long as the anchor is there.
func TestAnchor(t *testing.T) {
	t.Parallel()
	fsys, apart := memory(), memory()
	write := func(first, last int) {
		t.Helper()
		l := mustOpen(t, anchored(t, fsys, apart))
		record(t, l, first, last)
		do(t, l.Close(t.Context()))
	}
	if _, ok, err := Anchored(apart); ok || err != nil {
		t.Errorf("an anchor is there before a log: %v", err)
	}
	write(1, 5)
	before := copyLog(t, fsys)
	first, ok, err := Anchored(apart)
	if r := mustVerify(t, fsys, first); !ok || err != nil || r.Head != first {
		t.Errorf("the anchor has %v, %v, want %v", first, err, r.Head)
	}
	write(6, 9)

	opens := func(want error) {
		t.Helper()
		l, err := Open(t.Context(), anchored(t, fsys, apart))
		if !errors.Is(err, want) {
			t.Errorf("Open = %v, want %v", err, want)
		}
		if err == nil {
			do(t, l.Close(t.Context()))
		}
	}
	replace := func(files map[string]string) {
		t.Helper()
		for name := range copyLog(t, fsys) {
			do(t, fsys.Remove(path.Join(dir, name)))
		}
		for name, data := range files {
			put(t, fsys, name, data)
		}
	}
	now := copyLog(t, fsys)
	replace(before)
	opens(ErrHead)
	kept, _, err := Anchored(apart)
	do(t, err)
	if _, err := verify(t, fsys, kept); !errors.Is(err, ErrHead) {
		t.Errorf("Verify = %v, want ErrHead", err)
	}
	replace(nil)
	opens(ErrState)
	do(t, apart.Remove(AnchorName))
	opens(nil) // a new log was agreed to
	again, _, err := Anchored(apart)
	do(t, err)
	replace(now)
	opens(ErrHead) // it is another log
	if kept, _, err := Anchored(apart); err != nil || kept != again {
		t.Errorf("a refused log has moved the anchor to %v, %v", kept, err)
	}
}

// TestAnchorDamaged refuses what is no anchor, and lives without the place for it.
func TestAnchorDamaged(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"empty": "", "words": "a b c", "no head": anchorMagic + " " + strings.Repeat("0", 32) + " 1",
		"no log": anchorMagic + " 0 1:" + strings.Repeat("0", 64), "a newer one": "coffer-audit-head-2 x y",
	} {
		apart := memory()
		do(t, disk.WriteFileAtomic(apart, ".", AnchorName, []byte(text)))
		if _, err := Open(t.Context(), anchored(t, memory(), apart)); err == nil {
			t.Errorf("%s: opened", name)
		}
		if _, _, err := Anchored(apart); err == nil {
			t.Errorf("%s: Anchored takes it", name)
		}
	}
	fsys, apart := memory(), disktest.NewFaulty(memory())
	apart.SetRules(disktest.Always(disktest.OpCreate, disktest.Fault{Err: errors.New("read-only")}))
	l := mustOpen(t, anchored(t, fsys, apart))
	record(t, l, 1, 3)
	do(t, l.Close(t.Context()))
	mustVerify(t, fsys)
}

// TestEvents reads back what was recorded, up to the first fault.
func TestEvents(t *testing.T) {
	t.Parallel()
	fsys := memory()
	written(t, fsys, 5)
	hash, err := ObjectHash(testKey(t), "bucket", "object 3")
	do(t, err)
	var ids []string
	visit := func(f Found) error {
		ids = append(ids, f.RequestID)
		if want := read(t, fsys, fileName(1)); !strings.Contains(want, "\n"+strings.TrimSuffix(string(f.JSON()), "}")+`,"mac":"`) {
			t.Errorf("no line is %s", f.JSON())
		}
		if f.RequestID == "r3" && (f.Object != hash || f.File != fileName(1) || f.Line != 5 || f.Seq != 5 || f.Time.IsZero()) {
			t.Errorf("found %+v", f)
		}
		return nil
	}
	r, err := Events(t.Context(), fsys, dir, testKey(t), visit)
	if got := strings.Join(ids, " "); err != nil || got != "r1 r2 r3 r4 r5" || r.Events != 5 {
		t.Errorf("events %s, %v", got, err)
	}
	enough := errors.New("enough")
	var fault *Fault
	if _, err := Events(t.Context(), fsys, dir, testKey(t), func(Found) error { return enough }); !errors.Is(err, enough) || errors.As(err, &fault) {
		t.Errorf("Events = %v", err)
	}
	put(t, fsys, fileName(1), strings.Replace(read(t, fsys, fileName(1)), `"r4"`, `"r9"`, 1))
	ids = nil
	_, err = Events(t.Context(), fsys, dir, testKey(t), visit)
	wantFault(t, err, fileName(1), 6, ErrChain)
	if len(ids) != 3 {
		t.Errorf("events %v before the fault", ids)
	}
}
