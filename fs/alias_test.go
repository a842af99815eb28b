package fs

import (
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestNameOf(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", 300)
	for _, c := range []struct {
		name    string
		segment string
		beside  bool
		want    string
	}{
		{"plain", "a", false, "a"},
		{"beside its directory", "a", true, "@s3.file.a"},
		{"empty", "", false, "@s3.empty"},
		{"dot", ".", false, "@s3.dot"},
		{"dot dot", "..", false, "@s3.dotdot"},
		{"three dots", "...", false, "..."},
		{"a dot beside its directory", ".", true, "@s3.file-dot"},
		{"zero byte", "a\x00b%", false, "@s3.esc.a%00b%25"},
		{"zero byte beside", "\x00", true, "@s3.file-esc.%00"},
		{"percent alone", "50%", false, "50%"},
		{"looks like an alias", "@s3.dot", false, "@s3.name.@s3.dot"},
		{"looks like an alias, beside", "@s3.dot", true, "@s3.file.@s3.dot"},
		{"255 bytes", long[:255], false, long[:255]},
		{"255 bytes, beside", long[:255], true,
			"@s3.file-long.2itatwr24okwzjehoblkrzma53lujjxx27h2lmm53cgvf7ga2q2q." + long[:188]},
		{"256 bytes", long[:256], false, ""},
		{"line feed", "a\nb", false, "a\nb"},
		{"not UTF-8", "\xff", false, "\xff"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got := nameOf(c.segment, c.beside)
			if c.want != "" && got != c.want {
				t.Errorf("nameOf = %q, want %q", got, c.want)
			}
			checkName(t, c.segment, c.beside)
		})
	}
}

func TestParseNameRefuses(t *testing.T) {
	t.Parallel()
	for _, name := range []string{
		"", ".", "..", "a/b", "a\x00", strings.Repeat("x", 256),
		"@s3.", "@s3.x", "@s3.empty.", "@s3.dot.x", "@s3.name.a", "@s3.name.", "@s3.file.", "@s3.file-empty", "@s3.file..",
		"@s3.file-name.@s3.x", "@s3.esc.a", "@s3.esc.%", "@s3.file-file.a", "@s3.file.." + "a\x00",
		"@s3.long.x", "@s3.long.short.x", "@s3.long." + strings.Repeat("!", 52) + ".x",
	} {
		if a, ok := parseName(name); ok {
			t.Errorf("parseName(%q) = %+v, want a refusal", name, a)
		}
	}
}

type failer interface{ Fatalf(string, ...any) }

// checkName fails unless a segment's name is a name and leads back to the segment.
func checkName(t failer, segment string, beside bool) {
	name := nameOf(segment, beside)
	if len(name) == 0 || len(name) > maxName || name == "." || name == ".." || strings.ContainsAny(name, "/\x00") {
		t.Fatalf("nameOf(%q, %v) = %q: no name", segment, beside, name)
	}
	if segment == "" && beside {
		return // there is no such file
	}
	a, ok := parseName(name)
	if !ok || a.file != beside && (beside || a.file) {
		t.Fatalf("parseName(%q) = %+v, %v, of segment %q, beside %v", name, a, ok, segment, beside)
	}
	if a.long() {
		if !strings.HasPrefix(segment, a.prefix) || a.hash != hashOf(segment) {
			t.Fatalf("parseName(%q) = %+v, does not lead to %q", name, a, segment)
		}
	} else if a.segment != segment {
		t.Fatalf("parseName(%q) = %q, want %q", name, a.segment, segment)
	}
}

func segments() *rapid.Generator[string] {
	piece := rapid.SampledFrom([]string{"", "a", ".", "..", "@s3.", "@s3.file.", "%", "%00", "\x00", "file-", "long.", "dot", "esc.",
		"name.", strings.Repeat("y", 120), "\xff"})
	return rapid.Custom(func(t *rapid.T) string {
		return strings.Join(rapid.SliceOfN(piece, 0, 8).Draw(t, "pieces"), "")
	})
}

// TestNamesAreInjective draws pairs of what a directory can hold: no two of them have one name.
func TestNamesAreInjective(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		a, b := segments().Draw(t, "a"), segments().Draw(t, "b")
		besideA, besideB := rapid.Bool().Draw(t, "beside a"), rapid.Bool().Draw(t, "beside b")
		checkName(t, a, besideA)
		checkName(t, b, besideB)
		if (a != b || besideA != besideB) && nameOf(a, besideA) == nameOf(b, besideB) {
			t.Fatalf("%q (%v) and %q (%v) are both named %q", a, besideA, b, besideB, nameOf(a, besideA))
		}
	})
}

// FuzzParseName takes any name: what it stands for has that name again.
func FuzzParseName(f *testing.F) {
	for _, s := range []string{"a", "@s3.file.a", "@s3.esc.%00", "@s3.dot", "@s3.long." + strings.Repeat("a", 52) + ".x", "@s3.name.@s3."} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, name string) {
		a, ok := parseName(name)
		if ok && !a.long() && nameOf(a.segment, a.file) != name {
			t.Errorf("%q stands for %+v, which is named %q", name, a, nameOf(a.segment, a.file))
		}
	})
}
