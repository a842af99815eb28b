package fs

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"coffer/object"
)

// streamNames is what a directory with these segments looks like. A segment that ends in "/" is a directory.
func streamNames(segments []string) []string {
	dir := place{"b", "d/"}
	slices.Sort(segments)
	var s dirStream
	for _, segment := range slices.Compact(segments) {
		n := object.Node{Info: object.ObjectInfo{Key: dir.key + segment}, Directory: strings.HasSuffix(segment, "/")}
		s.add(dir, &n)
	}
	s.end()
	var names []string
	for _, e := range s.entries {
		names = append(names, e.name)
	}
	slices.Sort(names)
	return names
}

func TestNamesInDirectory(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name     string
		segments []string
		want     []string
	}{
		{"nothing", nil, nil},
		{"files", []string{"a", "b"}, []string{"a", "b"}},
		{"a file beside its directory", []string{"a", "a/"}, []string{"@s3.file.a", "a"}},
		{"names between the two", []string{"a", "a-", "a-b", "a/", "a0"}, []string{"@s3.file.a", "a", "a-", "a-b", "a0"}},
		{"several at once", []string{"a", "a-", "a-/", "a/", "ab"}, []string{"@s3.file.a", "@s3.file.a-", "a", "a-", "ab"}},
		{"names between, and no directory", []string{"a", "a-", "a0/"}, []string{"a", "a-", "a0"}},
		{"dots", []string{".", "./", "../"}, []string{"@s3.dot", "@s3.dotdot", "@s3.file-dot"}},
		{"an empty segment", []string{"/", "a"}, []string{"@s3.empty", "a"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(c.want, streamNames(c.segments)); diff != "" {
				t.Errorf("names (-want +got):\n%s", diff)
			}
		})
	}
}

// TestNamesInAnyDirectory compares with the rule, which is told without regard to order.
func TestNamesInAnyDirectory(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		segments := rapid.SliceOf(rapid.StringOfN(rapid.SampledFrom([]rune("a-.~@0")), 0, 4, -1)).Draw(t, "segments")
		for i := range segments {
			if segments[i] == "" || rapid.Bool().Draw(t, "directory") {
				segments[i] += "/"
			}
		}
		var want []string
		for _, segment := range slices.Compact(slices.Sorted(slices.Values(segments))) {
			name, isDir := strings.CutSuffix(segment, "/")
			want = append(want, nameOf(name, !isDir && slices.Contains(segments, segment+"/")))
		}
		slices.Sort(want)
		if diff := cmp.Diff(want, streamNames(segments)); diff != "" {
			t.Fatalf("names (-want +got):\n%s", diff)
		}
		if len(slices.Compact(slices.Clone(want))) != len(want) {
			t.Fatalf("a name hides another: %q", want)
		}
	})
}

// TestDirectoryWindow reads forward, back within what is kept, and back beyond it.
func TestDirectoryWindow(t *testing.T) {
	t.Parallel()
	const total = 3*dirKeep + 5
	var s dirStream
	reads := 0
	more := func() error {
		reads++
		from := s.first + len(s.entries)
		for i := from; i < min(from+dirPage, total); i++ {
			s.entries = append(s.entries, dirEntry{name: strings.Repeat("x", i%7), found: found{node: object.Node{Inode: uint64(i)}}})
		}
		s.ended = s.first+len(s.entries) == total
		return nil
	}
	for _, number := range []int{0, 1, total / 2, total - 1, total - dirKeep, 3, total - 1, total} {
		e, ok, err := s.entry(number, more)
		if err != nil || ok != (number < total) || ok && e.node.Inode != uint64(number) {
			t.Fatalf("entry %d = %v, %v, %v", number, e.node.Inode, ok, err)
		}
		if len(s.entries) > dirKeep+dirPage {
			t.Fatalf("%d entries are kept", len(s.entries))
		}
	}
}
