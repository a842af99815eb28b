package awschunk_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"coffer/s3api/awschunk"
	"coffer/s3api/s3err"
)

// refusal is a change of a sample body on the wire.
type refusal struct {
	name   string
	modes  []awschunk.Mode
	change func(string) string
	want   s3err.Code // "" passes
}

func swap(old, new string) func(string) string {
	return func(wire string) string {
		if !strings.Contains(wire, old) {
			panic("nothing to swap: " + old)
		}
		return strings.Replace(wire, old, new, 1)
	}
}

func someModes() (all, signed, unsigned []awschunk.Mode) {
	all = []awschunk.Mode{awschunk.Signed, awschunk.SignedTrailer, awschunk.UnsignedTrailer}
	return all, all[:2], all[2:]
}

func chunkRefusals() []refusal {
	const (
		incomplete = s3err.IncompleteBody
		mismatch   = s3err.SignatureDoesNotMatch
	)
	all, signed, unsigned := someModes()
	return []refusal{
		{"data changed", signed, swap("aaaa", "aaab"), mismatch},
		{"data of the last chunk changed", signed, swap("rest", "resT"), mismatch},
		{"signature of 66 digits", signed, swap("chunk-signature=", "chunk-signature=00"), incomplete},
		{"chunk signature missing", signed, swap(";chunk-signature=", ";"), incomplete},
		{"chunk without signature", signed, func(w string) string { return w[:4] + w[4+len(";chunk-signature=")+64:] }, incomplete},
		{"signature on an unsigned chunk", unsigned, swap("200a", "200a;chunk-signature="+strings.Repeat("0", 64)), incomplete},
		{"size in upper case", all, swap("200a", "200A"), ""},
		{"size with leading zeros", all, func(w string) string { return "0000" + w }, ""},
		{"size too long", all, func(w string) string { return strings.Repeat("0", 13) + w }, incomplete},
		{"size negative", all, func(w string) string { return "-" + w }, incomplete},
		{"size with 0x", all, func(w string) string { return "0x" + w }, incomplete},
		{"size with a blank", all, func(w string) string { return " " + w }, incomplete},
		{"size empty", all, func(w string) string { return w[4:] }, incomplete},
		{"size beyond 63 bits", all, func(w string) string { return "ffffffffffff" + w }, incomplete},
		{"size larger than declared", all, func(w string) string { return "1" + w }, incomplete},
		{"extension on an unsigned chunk", unsigned, swap("200a\r\n", "200a;a=b\r\n"), incomplete},
		{"header ends in LF", all, swap("\r\n", "\n"), incomplete},
		{"no CRLF behind data", all, swap("a\r\n4", "a\n\n4"), incomplete},
		{"header of a kilobyte", all, func(w string) string { return strings.Repeat("0", 1024) + w }, incomplete},
		{"data behind the end", all, func(w string) string { return w + "x" }, s3err.InvalidRequest},
		{"CRLF behind the end", all, func(w string) string { return w + "\r\n" }, s3err.InvalidRequest},
		{"a second end", unsigned, func(w string) string { return w + "0\r\n\r\n" }, s3err.InvalidRequest},
		{"a line in place of the last CRLF", all[:2], func(w string) string { return w[:len(w)-2] + "a:b\r\n" }, s3err.InvalidRequest},
		{"a line where the end should be", all[:1], func(w string) string { return w[:len(w)-2] + "a:b\r\n\r\n" }, s3err.InvalidRequest},
	}
}

func trailerRefusals() []refusal {
	const (
		incomplete = s3err.IncompleteBody
		mismatch   = s3err.SignatureDoesNotMatch
		trailer    = s3err.MalformedTrailerError
	)
	all, signed, unsigned := someModes()
	return []refusal{
		{"trailer ends in LF", all[1:], swap("AA==\r\n", "AA==\n"), ""},
		{"trailer ends in LF CRLF", signed[1:], swap("AA==\r\n", "AA==\n\r\n"), ""},
		{"blank line before the trailers", signed[1:], swap("x-amz-checksum", "\r\nx-amz-checksum"), ""},
		{"three blank lines", signed[1:], swap("x-amz-checksum", "\r\n\r\n\r\nx-amz-checksum"), trailer},
		{"trailer name in upper case", all[1:], swap("x-amz-checksum-crc32:", "X-Amz-Checksum-CRC32:"), ""},
		{"blanks around the value", all[1:], swap("AAAAAA==", " AAAAAA== \t"), ""},
		{"trailer value changed", signed[1:], swap("AAAAAA==", "AAAAAB=="), mismatch},
		{"trailer signature changed", signed[1:], swap("x-amz-trailer-signature:", "x-amz-trailer-signature:0"), mismatch},
		{"trailer of another name", all[1:], swap("-crc32:", "-crc32c:"), trailer},
		{"trailer twice", all[1:], swap("x-amz-checksum-crc32:", "x-amz-checksum-crc32:AA==\r\nx-amz-checksum-crc32:"), trailer},
		{"trailer missing", unsigned, swap("x-amz-checksum-crc32:AAAAAA==\r\n", ""), trailer},
		{"trailer and signature missing", signed[1:], func(w string) string { return w[:strings.Index(w, "x-amz-checksum")] + "\r\n" }, incomplete},
		{"trailer without a colon", all[1:], swap("-crc32:", "-crc32="), trailer},
		{"trailer of a kilobyte", all[1:], swap("AAAAAA==", strings.Repeat("A", 1024)), incomplete},
		{"trailer signature in the unsigned form", unsigned, swap("\r\n\r\n", "\r\nx-amz-trailer-signature:00\r\n\r\n"), trailer},
	}
}

func TestRefused(t *testing.T) {
	t.Parallel()
	for _, tt := range slices.Concat(chunkRefusals(), trailerRefusals()) {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			for _, mode := range tt.modes {
				b := sample(mode)
				got, r, err := decode(strings.NewReader(tt.change(b.encode())), b.options(), 1<<16)
				if tt.want == "" {
					if err != nil || got != b.data() {
						t.Errorf("mode %d: %v", mode, err)
					}
					continue
				}
				if !errors.Is(err, tt.want) {
					t.Errorf("mode %d: %v, want %s", mode, err, tt.want)
				}
				if _, again := r.Read(make([]byte, 1)); !errors.Is(again, tt.want) {
					t.Errorf("mode %d: the error is not final: %v", mode, again)
				}
			}
		})
	}
}
