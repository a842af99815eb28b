package fs

import (
	"crypto/sha256"
	"encoding/base32"
	"strings"
)

// A segment is the part of a key between two slashes. Most are names as they stand. The others get an alias, which
// begins with aliasMark; docs/mount.md says how they look to a user.
//
//	@s3.file.NAME        the file NAME beside the directory NAME, which keeps the plain name
//	@s3.name.NAME        a segment that itself begins with the mark
//	@s3.empty            the directory whose segment is empty, as between the slashes of “a//b”
//	@s3.dot, @s3.dotdot  the segments “.” and “..”
//	@s3.esc.TEXT         a segment with a zero byte: %00 stands for it, %25 for “%”
//	@s3.long.HASH.START  a segment whose name would be longer than maxName: the SHA-256 of the segment in base 32,
//	                     and as much of its start as fits
//
// file- before the kind (@s3.file-dot, @s3.file-esc.TEXT) is the file beside the directory of the same segment. The
// kind says how to undo the alias, and only the canonical alias of a segment is one, so no two segments share a name.
const (
	aliasMark = "@s3."
	maxName   = 255 // bytes of a name, as the kernel has it

	kindFile   = "file" // prefix of a kind, or the kind itself
	kindName   = "name"
	kindEmpty  = "empty"
	kindDot    = "dot"
	kindDotDot = "dotdot"
	kindEscape = "esc"
	kindLong   = "long"
)

func aliasEncoding() *base32.Encoding {
	return base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)
}

const aliasHashBytes = 52 // of a SHA-256 in base 32

// alias is a name taken apart.
type alias struct {
	segment string // "" of a long one: it is found by prefix and hash
	file    bool   // the file beside a directory of the same segment
	hash    string // of a long one
	prefix  string // of a long one: what the segment begins with
}

// long reports whether the segment must be looked for.
func (a alias) long() bool { return a.hash != "" }

// nameOf is the name that a segment is seen under. beside says that it is a file, and that there is a directory of
// the same segment.
func nameOf(segment string, beside bool) string {
	kind, payload := kindOfSegment(segment)
	switch {
	case beside && kind == kindName, beside && kind == "":
		kind = kindFile
	case beside:
		kind = kindFile + "-" + kind
	}
	name := joinAlias(kind, payload)
	if len(name) <= maxName {
		return name
	}
	kind = kindLong
	if beside {
		kind = kindFile + "-" + kindLong
	}
	head := aliasMark + kind + "." + hashOf(segment) + "."
	return head + escape(startOf(segment, maxName-len(head)))
}

func hashOf(segment string) string {
	hash := sha256.Sum256([]byte(segment))
	return aliasEncoding().EncodeToString(hash[:])
}

// kindOfSegment says how a segment is written, whatever its length: "" is as it stands.
func kindOfSegment(segment string) (kind, payload string) {
	switch {
	case segment == "":
		return kindEmpty, ""
	case segment == ".":
		return kindDot, ""
	case segment == "..":
		return kindDotDot, ""
	case strings.IndexByte(segment, 0) >= 0:
		return kindEscape, escape(segment)
	case strings.HasPrefix(segment, aliasMark):
		return kindName, segment
	default:
		return "", segment
	}
}

func joinAlias(kind, payload string) string {
	switch kind {
	case "":
		return payload
	case kindEmpty, kindDot, kindDotDot, kindFile + "-" + kindDot, kindFile + "-" + kindDotDot, kindFile + "-" + kindEmpty:
		return aliasMark + kind
	default:
		return aliasMark + kind + "." + payload
	}
}

// parseName takes a name apart. It reports false for what is the name of no segment.
func parseName(name string) (alias, bool) {
	if name == "" || name == "." || name == ".." || len(name) > maxName || strings.ContainsAny(name, "/\x00") {
		return alias{}, false
	}
	rest, marked := strings.CutPrefix(name, aliasMark)
	if !marked {
		return alias{segment: name}, true
	}
	kind, payload, _ := strings.Cut(rest, ".")
	var a alias
	switch kind {
	case kindFile:
		a.file, a.segment = true, payload
	default:
		kind, a.file = strings.CutPrefix(kind, kindFile+"-")
		if kind == kindLong {
			return parseLong(payload, a.file)
		}
		a.segment = segmentOf(kind, payload)
	}
	// The empty segment has no file: the key would end in "/".
	if a.file && a.segment == "" {
		return alias{}, false
	}
	return a, nameOf(a.segment, a.file) == name
}

// segmentOf undoes a kind. What it returns for what no segment is written as has another name.
func segmentOf(kind, payload string) string {
	switch kind {
	case kindDot:
		return "."
	case kindDotDot:
		return ".."
	case kindName:
		return payload
	case kindEscape:
		return unescape(payload)
	default:
		return ""
	}
}

func parseLong(payload string, file bool) (alias, bool) {
	hash, start, ok := strings.Cut(payload, ".")
	if !ok || len(hash) != aliasHashBytes {
		return alias{}, false
	}
	if _, err := aliasEncoding().DecodeString(hash); err != nil {
		return alias{}, false
	}
	return alias{file: file, hash: hash, prefix: unescape(start)}, true
}

// startOf is as much of the beginning of a segment as takes no more than limit bytes when it is escaped.
func startOf(segment string, limit int) string {
	n := 0
	for i := range len(segment) {
		n += escapedLen(segment[i])
		if n > limit {
			return segment[:i]
		}
	}
	return segment
}

func escapedLen(c byte) int {
	if c == 0 || c == '%' {
		return len("%00")
	}
	return 1
}

func escape(s string) string {
	return strings.NewReplacer("%", "%25", "\x00", "%00").Replace(s)
}

func unescape(s string) string {
	return strings.NewReplacer("%25", "%", "%00", "\x00").Replace(s)
}
