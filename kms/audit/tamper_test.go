package audit

import (
	"errors"
	"path"
	"slices"
	"strings"
	"testing"

	"coffer/cipher"
	"coffer/internal/disk"
	"coffer/internal/disk/disktest"
)

// victim is a closed log of four files or more.
func victim(t testing.TB) *disktest.Crash {
	t.Helper()
	fsys := memory()
	written(t, fsys, 800)
	if r := mustVerify(t, fsys); r.Files < 4 {
		t.Fatalf("only %d files", r.Files)
	}
	return fsys
}

func lines(t testing.TB, fsys disk.FS, num uint64) []string {
	t.Helper()
	return slices.Collect(strings.Lines(read(t, fsys, fileName(num))))
}

func newest(t testing.TB, fsys disk.FS) uint64 {
	t.Helper()
	found, err := list(fsys, dir)
	do(t, err)
	return found.files[len(found.files)-1].num
}

func remove(t testing.TB, fsys disk.FS, name string) {
	t.Helper()
	do(t, fsys.Remove(path.Join(dir, name)))
}

// edit changes the lines of a file.
func edit(num uint64, change func(l []string) []string) func(*testing.T, disk.FS) {
	return func(t *testing.T, fsys disk.FS) {
		put(t, fsys, fileName(num), strings.Join(change(lines(t, fsys, num)), ""))
	}
}

func TestTampering(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		do    func(*testing.T, disk.FS)
		file  string // "newest" and "next" stand for that file and the one behind it
		line  int    // -1: the last one that is left
		cause error
	}{
		{"line removed", edit(2, func(l []string) []string { return slices.Delete(l, 4, 5) }), fileName(2), 5, ErrChain},
		{"first line removed", edit(2, func(l []string) []string { return l[1:] }), fileName(2), 1, ErrChain},
		{"last line of an old file removed", edit(2, func(l []string) []string { return l[:len(l)-1] }), fileName(3), 1, ErrChain},
		{"line edited", edit(2, func(l []string) []string {
			l[4] = strings.Replace(l[4], "success", "sUccess", 1)
			return l
		}), fileName(2), 5, ErrChain},
		{"lines swapped", edit(2, func(l []string) []string { l[4], l[5] = l[5], l[4]; return l }), fileName(2), 5, ErrChain},
		{"line repeated", edit(2, func(l []string) []string { return slices.Insert(l, 5, l[4]) }), fileName(2), 6, ErrChain},
		{"line inserted", edit(2, func(l []string) []string { return slices.Insert(l, 5, "{}\n") }), fileName(2), 6, ErrChain},
		{"empty line", edit(2, func(l []string) []string { return slices.Insert(l, 5, "\n") }), fileName(2), 6, ErrChain},
		{"old file cut within a line", edit(2, func(l []string) []string {
			last := len(l) - 1
			l[last] = l[last][:20]
			return l
		}), fileName(2), -1, ErrChain},
		{"old file emptied", edit(2, func([]string) []string { return nil }), fileName(2), 1, ErrChain},
		{"old file removed", func(t *testing.T, f disk.FS) { remove(t, f, fileName(2)) }, fileName(2), 0, ErrMissing},
		{"first file removed", func(t *testing.T, f disk.FS) { remove(t, f, fileName(1)) }, fileName(1), 0, ErrMissing},
		{"newest file removed", func(t *testing.T, f disk.FS) { remove(t, f, fileName(newest(t, f))) }, "newest", 0, ErrMissing},
		{"all files removed", func(t *testing.T, f disk.FS) {
			for n := newest(t, f); n > 0; n-- {
				remove(t, f, fileName(n))
			}
		}, fileName(1), 0, ErrMissing},
		{"newest file emptied", func(t *testing.T, f disk.FS) { put(t, f, fileName(newest(t, f)), "") }, "newest", 1, ErrTruncated},
		{"tail of the newest file removed", func(t *testing.T, f disk.FS) {
			edit(newest(t, f), func(l []string) []string { return l[:len(l)-3] })(t, f)
		}, "newest", -1, ErrTruncated},
		{"newest file cut within a line", func(t *testing.T, f disk.FS) {
			edit(newest(t, f), func(l []string) []string { l[len(l)-1] = l[len(l)-1][:9]; return l })(t, f)
		}, "newest", -1, ErrTruncated},
		{"line feed at the end removed", func(t *testing.T, f disk.FS) {
			edit(newest(t, f), func(l []string) []string {
				l[len(l)-1] = strings.TrimSuffix(l[len(l)-1], "\n")
				return l
			})(t, f)
		}, "newest", -1, ErrTruncated},
		{"last line repeated", func(t *testing.T, f disk.FS) {
			edit(newest(t, f), func(l []string) []string { return append(l, l[len(l)-1]) })(t, f)
		}, "newest", -1, ErrExtra},
		{"bytes appended", func(t *testing.T, f disk.FS) {
			edit(newest(t, f), func(l []string) []string { return append(l, "x") })(t, f)
		}, "newest", -1, ErrExtra},
		{"files swapped", func(t *testing.T, f disk.FS) {
			two, three := read(t, f, fileName(2)), read(t, f, fileName(3))
			put(t, f, fileName(2), three)
			put(t, f, fileName(3), two)
		}, fileName(2), 1, ErrChain},
		{"file repeated as newest", func(t *testing.T, f disk.FS) {
			put(t, f, fileName(newest(t, f)+1), read(t, f, fileName(2)))
		}, "next", 1, ErrExtra},
		{"file far behind", func(t *testing.T, f disk.FS) { put(t, f, fileName(99), read(t, f, fileName(2))) }, "next", 0, ErrMissing},
		{"state removed", func(t *testing.T, f disk.FS) { remove(t, f, stateName) }, stateName, 0, ErrState},
		{"state cut", func(t *testing.T, f disk.FS) { put(t, f, stateName, read(t, f, stateName)[:50]) }, stateName, 0, ErrState},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			fsys := victim(t)
			switch c.file {
			case "newest":
				c.file = fileName(newest(t, fsys))
			case "next":
				c.file = fileName(newest(t, fsys) + 1)
			}
			c.do(t, fsys)
			if c.line == -1 {
				num, _ := fileNumber(c.file)
				c.line = len(lines(t, fsys, num))
			}
			_, err := verify(t, fsys)
			wantFault(t, err, c.file, c.line, c.cause)
			if n := fsys.OpenFiles(); n != 0 {
				t.Errorf("%d files are still open", n)
			}
		})
	}
}

// TestEveryByte changes each byte of a small log in turn.
func TestEveryByte(t *testing.T) {
	t.Parallel()
	fsys := memory()
	written(t, fsys, 2)
	for _, name := range []string{fileName(1), stateName} {
		whole := read(t, fsys, name)
		for i := range whole {
			b := []byte(whole)
			b[i] ^= 1 << (i % 8)
			put(t, fsys, name, string(b))
			var f *Fault
			if _, err := verify(t, fsys); !errors.As(err, &f) || f.File != name {
				t.Errorf("byte %d of %s changed: %v", i, name, err)
			}
		}
		put(t, fsys, name, whole)
	}
	mustVerify(t, fsys)
}

// TestEveryTruncation cuts a small log at each length.
func TestEveryTruncation(t *testing.T) {
	t.Parallel()
	fsys := memory()
	written(t, fsys, 2)
	whole := read(t, fsys, fileName(1))
	for n := range whole {
		put(t, fsys, fileName(1), whole[:n])
		if _, err := verify(t, fsys); !errors.Is(err, ErrTruncated) {
			t.Errorf("cut to %d bytes: %v", n, err)
		}
	}
}

func TestOfAnotherLog(t *testing.T) {
	t.Parallel()
	ours, theirs := memory(), memory()
	written(t, ours, 3)
	written(t, theirs, 3)
	put(t, ours, fileName(1), read(t, theirs, fileName(1)))
	_, err := verify(t, ours)
	wantFault(t, err, fileName(1), 1, ErrChain)

	_, err = Verify(t.Context(), theirs, dir, cipher.NewStoreKey().Derive(cipher.LabelAudit))
	wantFault(t, err, stateName, 0, ErrState)

	put(t, theirs, stateName, stateMagic+"\x02 of the future")
	_, err = verify(t, theirs)
	wantFault(t, err, stateName, 0, ErrNewer)
	if _, err := Open(t.Context(), options(t, theirs)); !errors.Is(err, ErrNewer) {
		t.Errorf("Open = %v, want ErrNewer", err)
	}
}

// TestOpenRefuses damages a log where Open looks: it says so and changes nothing.
func TestOpenRefuses(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		do    func(*testing.T, disk.FS)
		cause error
	}{
		{"state removed", func(t *testing.T, f disk.FS) { remove(t, f, stateName) }, ErrState},
		{"newest file removed", func(t *testing.T, f disk.FS) { remove(t, f, fileName(newest(t, f))) }, ErrMissing},
		{"oldest file removed", func(t *testing.T, f disk.FS) { remove(t, f, fileName(1)) }, ErrMissing},
		{"middle file removed", func(t *testing.T, f disk.FS) { remove(t, f, fileName(2)) }, ErrMissing},
		{"newest file cut", func(t *testing.T, f disk.FS) {
			edit(newest(t, f), func(l []string) []string { return l[:len(l)-1] })(t, f)
		}, ErrTruncated},
		{"sealed line changed", func(t *testing.T, f disk.FS) {
			edit(newest(t, f), func(l []string) []string {
				last := l[len(l)-1]
				l[len(l)-1] = last[:len(last)-8] + "00000\"}\n"
				return l
			})(t, f)
		}, ErrChain},
		{"beginning changed", edit(2, func(l []string) []string {
			l[0] = strings.Replace(l[0], `"file":2`, `"file":3`, 1)
			return l
		}), ErrChain},
		{"files swapped", func(t *testing.T, f disk.FS) {
			two, three := read(t, f, fileName(2)), read(t, f, fileName(3))
			put(t, f, fileName(2), three)
			put(t, f, fileName(3), two)
		}, ErrChain},
		{"files from nowhere", func(t *testing.T, f disk.FS) {
			for i := range uint64(2) {
				put(t, f, fileName(newest(t, f)+1), read(t, f, fileName(2+i)))
			}
		}, ErrChain},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			fsys := victim(t)
			c.do(t, fsys)
			before := contents(t, fsys)
			_, err := Open(t.Context(), options(t, fsys))
			var f *Fault
			if !errors.As(err, &f) || !errors.Is(err, c.cause) {
				t.Errorf("Open = %v, want %v", err, c.cause)
			}
			if contents(t, fsys) != before {
				t.Error("Open changed a log that it refused")
			}
			if n := fsys.OpenFiles(); n != 0 {
				t.Errorf("%d files are still open", n)
			}
		})
	}
}

// contents joins all files of the log.
func contents(t testing.TB, fsys disk.FS) string {
	t.Helper()
	var all []string
	for e, err := range fsys.ReadDir(dir) {
		do(t, err)
		all = append(all, e.Name+"\n"+read(t, fsys, e.Name))
	}
	slices.Sort(all)
	return strings.Join(all, "\n")
}

// TestUnsealedTail kills the process between a write and its seal, and edits what
// nothing vouches for.
func TestUnsealedTail(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name   string
		change func(l []string) []string
		cause  error
		torn   int64
		kept   int    // events after the next start
		cut    bool   // something was cut off
		lines  uint64 // line feeds in that
	}{
		{"nothing", func(l []string) []string { return l }, nil, 0, 6, false, 0},
		{"torn", func(l []string) []string { l[len(l)-1] = l[len(l)-1][:33]; return l }, nil, 33, 5, true, 0},
		{"edited", func(l []string) []string {
			l[len(l)-2] = strings.Replace(l[len(l)-2], "success", "failure", 1)
			return l
		}, ErrTail, 0, 4, true, 2},
		{"zeros of a power cut", func(l []string) []string { return append(l, string(make([]byte, 99))) }, nil, 99, 6, true, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			fsys := memory()
			l := mustOpen(t, options(t, fsys))
			record(t, l, 1, 3)
			do(t, l.Flush(t.Context()))
			state := read(t, fsys, stateName)
			record(t, l, 4, 6)
			do(t, l.Flush(t.Context()))
			sealed := lines(t, fsys, 1)
			put(t, fsys, stateName, state)
			put(t, fsys, fileName(1), strings.Join(c.change(sealed), ""))

			r, err := verify(t, fsys)
			if c.cause == nil && (err != nil || r.Torn != c.torn) || !errors.Is(err, c.cause) {
				t.Errorf("Verify = %v, torn %d; want %v, %d", err, r.Torn, c.cause, c.torn)
			}
			again := mustOpen(t, options(t, fsys))
			do(t, again.Close(t.Context()))
			r = mustVerify(t, fsys)
			wantRequests(t, fsys, 1, c.kept)
			if r.Kills != 1 || (len(r.Repairs) == 1) != c.cut {
				t.Fatalf("report %+v", r)
			}
			if c.cut && (r.Repairs[0].Lines != c.lines || r.Repairs[0].Bytes == 0) {
				t.Errorf("repair %+v, want %d lines", r.Repairs[0], c.lines)
			}
		})
	}
}
