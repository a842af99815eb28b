package fs

import (
	"errors"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"coffer/object"
)

func described() *object.Node {
	return &object.Node{
		Info: object.ObjectInfo{
			ETag: "abc", VersionID: "null",
			Meta:       object.Metadata{ContentType: "text/plain", User: map[string]string{"color": "red", "empty": ""}},
			Encryption: object.Encryption{Mode: object.ModeSSEKMS, KeyID: "key"},
		},
		Attr: &object.Attributes{Extended: map[string][]byte{"user.x": {}, "user.y": {1}}},
	}
}

func TestXAttr(t *testing.T) {
	t.Parallel()
	n := described()
	for _, c := range []struct {
		name  string
		value string
		err   error
	}{
		{"user.s3.etag", "abc", nil},
		{"user.s3.version-id", "null", nil},
		{"user.s3.sse", "aws:kms", nil},
		{"user.s3.kms-key-id", "key", nil},
		{"user.s3.storage-class", "STANDARD", nil},
		{"user.s3.content-type", "text/plain", nil},
		{"user.s3.meta.color", "red", nil},
		{"user.s3.meta.empty", "", nil},
		{"user.s3.meta.none", "", syscall.ENODATA},
		{"user.s3.none", "", syscall.ENODATA},
		{"user.x", "", nil},
		{"user.y", "\x01", nil},
		{"user.z", "", syscall.ENODATA},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got, err := xattr(n, c.name)
			if !errors.Is(err, c.err) || string(got) != c.value {
				t.Errorf("%q, %v, want %q, %v", got, err, c.value, c.err)
			}
		})
	}
	want := []string{"user.s3.content-type", "user.s3.meta.color", "user.s3.meta.empty", "user.x", "user.y"}
	if diff := cmp.Diff(want, xattrNames(n)); diff != "" {
		t.Errorf("list (-want +got):\n%s", diff)
	}
}

func TestChangeOfXAttr(t *testing.T) {
	t.Parallel()
	text := func(s string) *string { return &s }
	for _, c := range []struct {
		name string
		attr string
		data []byte
		in   object.AttributeChange
		want object.AttributeChange
		err  error
	}{
		{name: "our own", attr: "user.x", data: []byte("1"), want: object.AttributeChange{Extended: map[string][]byte{"user.x": []byte("1")}}},
		{name: "remove", attr: "user.x", want: object.AttributeChange{Extended: map[string][]byte{"user.x": nil}}},
		{name: "metadata", attr: "user.s3.meta.a-b", data: []byte("v"), want: object.AttributeChange{UserMeta: map[string]*string{"a-b": text("v")}}},
		{name: "remove metadata", attr: "user.s3.meta.a", want: object.AttributeChange{UserMeta: map[string]*string{"a": nil}}},
		{name: "content type", attr: "user.s3.content-type", data: []byte("a/b"), in: object.AttributeChange{MustReplace: true},
			want: object.AttributeChange{ContentType: text("a/b")}},
		{name: "content type that must be new", attr: "user.s3.content-type", data: []byte("a/b"),
			in: object.AttributeChange{MustCreate: true}, err: syscall.EEXIST},
		{name: "read only", attr: "user.s3.etag", data: []byte("x"), err: syscall.EPERM},
		{name: "unknown of S3", attr: "user.s3.x", data: []byte("x"), err: syscall.EOPNOTSUPP},
		{name: "capital letters", attr: "user.s3.meta.A", data: []byte("x"), err: syscall.EINVAL},
		{name: "no header", attr: "user.s3.meta.a", data: []byte("x\ny"), err: syscall.EINVAL},
		{name: "another class", attr: "trusted.x", data: []byte("x"), err: syscall.EOPNOTSUPP},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got := c.in
			err := changeOfXAttr(described(), c.attr, c.data, &got)
			if !errors.Is(err, c.err) {
				t.Fatalf("error %v, want %v", err, c.err)
			}
			if diff := cmp.Diff(c.want, got); err == nil && diff != "" {
				t.Errorf("change (-want +got):\n%s", diff)
			}
		})
	}
}

func TestContentType(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, want string }{
		{"a.html", "text/html; charset=utf-8"}, {"a.png", "image/png"}, {"a", defaultType}, {".png", "image/png"}, {"a.none-such", defaultType},
	} {
		if got := contentType(c.name, syscall.S_IFREG); got != c.want {
			t.Errorf("contentType(%q) = %q, want %q", c.name, got, c.want)
		}
	}
	if got := contentType("a.png", syscall.S_IFLNK); got != defaultType {
		t.Errorf("a link has the type %q", got)
	}
}
