package s3api_test

import (
	"context"
	"encoding/xml"
	"fmt"
	"math/rand/v2"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/google/go-cmp/cmp"

	"coffer/object"
	"coffer/s3api"
)

// listing is a page, or several put together.
type listing struct {
	Keys, Prefixes []string
}

// model is what S3 lists of keys: ascending, those below a common prefix folded into it.
func model(keys []string, prefix, delimiter, after string) listing {
	var out listing
	for _, k := range keys {
		if !strings.HasPrefix(k, prefix) || k <= after {
			continue
		}
		if i := strings.Index(k[len(prefix):], delimiter); delimiter != "" && i >= 0 {
			folded := k[:len(prefix)+i+len(delimiter)]
			if folded != after && !slices.Contains(out.Prefixes, folded) {
				out.Prefixes = append(out.Prefixes, folded)
			}
			continue
		}
		out.Keys = append(out.Keys, k)
	}
	return out
}

type page struct {
	IsTruncated           bool
	NextMarker            string
	NextContinuationToken string
	KeyCount              int
	MaxKeys               int
	Contents              []struct{ Key string }
	CommonPrefixes        []struct{ Prefix string }
}

// list reads all pages. Every page but the last must be full, and none more than that.
func (s *server) list(version int, prefix, delimiter, after string, size int) listing {
	s.t.Helper()
	var out listing
	marker, token := after, ""
	for range 1000 {
		q := url.Values{"prefix": {prefix}, "delimiter": {delimiter}, "max-keys": {fmt.Sprint(size)}, "encoding-type": {"url"}}
		switch {
		case version == 1:
			q.Set("marker", marker)
		case token != "":
			q.Set("list-type", "2")
			q.Set("continuation-token", token)
		default:
			q.Set("list-type", "2")
			q.Set("start-after", after)
		}
		query := strings.ReplaceAll(q.Encode(), "+", "%20")
		var p page
		if err := xml.Unmarshal(s.must(request{method: "GET", target: "/bucket?" + query}).body, &p); err != nil {
			s.t.Fatal(err)
		}
		n := len(p.Contents) + len(p.CommonPrefixes)
		if n > size || p.IsTruncated && n != size || version == 2 && p.KeyCount != n || p.MaxKeys != size {
			s.t.Fatalf("page of %d, truncated %v, KeyCount %d, MaxKeys %d, want %d", n, p.IsTruncated, p.KeyCount, p.MaxKeys, size)
		}
		for _, c := range p.Contents {
			out.Keys = append(out.Keys, s.unescape(c.Key))
		}
		for _, c := range p.CommonPrefixes {
			out.Prefixes = append(out.Prefixes, s.unescape(c.Prefix))
		}
		if !p.IsTruncated {
			return out
		}
		token = p.NextContinuationToken
		marker = s.unescape(p.NextMarker)
		if delimiter == "" {
			marker = out.Keys[len(out.Keys)-1] // S3 gives NextMarker only with a delimiter
		}
	}
	s.t.Fatal("the listing does not end")
	return out
}

func (s *server) unescape(v string) string {
	u, err := url.PathUnescape(v)
	if err != nil {
		s.t.Fatal(err)
	}
	return u
}

// TestListingsAgreeWithModel lists random keys in every way and in pages of several sizes.
func TestListingsAgreeWithModel(t *testing.T) {
	t.Parallel()
	s := start(t, nil)
	s.bucket("bucket")
	random := rand.New(rand.NewPCG(1, 2))
	const letters = "ab/-%é"
	set := map[string]bool{"a": true, "a/": true, "a/b": true, "a//b": true, "b/../c": true, "é/é": true}
	for len(set) < 60 {
		var b strings.Builder
		for range 1 + random.IntN(6) {
			r := []rune(letters)
			b.WriteRune(r[random.IntN(len(r))])
		}
		set[b.String()] = true
	}
	var keys []string
	for k := range set {
		keys = append(keys, k)
		if _, err := s.store.Put(context.Background(), object.PutRequest{Bucket: "bucket", Key: k, Body: strings.NewReader(""), Size: 0}); err != nil {
			t.Fatal(err)
		}
	}
	slices.Sort(keys)
	for _, prefix := range []string{"", "a", "a/", "b", "é", "none"} {
		for _, delimiter := range []string{"", "/", "a", "//", "b/"} {
			for _, after := range []string{"", "a", "a/", keys[len(keys)/2], "zzz"} {
				want := model(keys, prefix, delimiter, after)
				for _, size := range []int{1, 3, 7, 1000} {
					for _, version := range []int{1, 2} {
						got := s.list(version, prefix, delimiter, after, size)
						if diff := cmp.Diff(want, got); diff != "" {
							t.Fatalf("v%d prefix %q delimiter %q after %q by %d (-want +got):\n%s", version, prefix, delimiter, after, size, diff)
						}
					}
				}
			}
		}
	}
}

func TestListParameters(t *testing.T) {
	t.Parallel()
	s := start(t, nil)
	s.bucket("bucket")
	s.put("/bucket/"+escape("a b&c"), "x")
	s.must(request{method: "PUT", target: "/bucket/sum", body: []byte("x"), header: map[string]string{"x-amz-checksum-crc32": crcOf([]byte("x"))}})
	get := func(query string) string {
		return string(s.must(request{method: "GET", target: "/bucket?" + query}).body)
	}
	for _, tc := range []struct {
		query    string
		has, not []string
	}{
		{"list-type=2", []string{"<Key>a b&amp;c</Key>", "<KeyCount>2</KeyCount>", "<MaxKeys>1000</MaxKeys>", "<StorageClass>STANDARD</StorageClass>",
			"<Size>1</Size>", "<ETag>&quot;9dd4e461268c8034f5c8564e155c67a6&quot;</ETag>", "<ChecksumAlgorithm>CRC32</ChecksumAlgorithm>"}, []string{"<Owner>", "EncodingType"}},
		{"fetch-owner=true&list-type=2", []string{"<Owner>"}, nil},
		{"", []string{"<Owner>", "<Marker></Marker>"}, []string{"KeyCount"}},
		{"encoding-type=url&list-type=2", []string{"<Key>a%20b%26c</Key>", "<EncodingType>url</EncodingType>"}, nil},
		{"list-type=2&max-keys=0", []string{"<MaxKeys>0</MaxKeys>", "<IsTruncated>false</IsTruncated>", "<KeyCount>0</KeyCount>"}, []string{"<Key>"}},
		{"list-type=2&max-keys=5000", []string{"<MaxKeys>1000</MaxKeys>"}, nil},
		{"list-type=2&max-keys=1", []string{"<IsTruncated>true</IsTruncated>", "<NextContinuationToken>"}, nil},
		{"delimiter=b&max-keys=1", []string{"<NextMarker>a b</NextMarker>", "<Prefix>a b</Prefix>"}, nil},
		{"max-keys=1", []string{"<IsTruncated>true</IsTruncated>"}, []string{"NextMarker"}},
		{"foo=bar&list-type=2", []string{"<KeyCount>2</KeyCount>"}, nil},
	} {
		got := get(tc.query)
		for _, want := range tc.has {
			if !strings.Contains(got, want) {
				t.Errorf("?%s has no %s:\n%s", tc.query, want, got)
			}
		}
		for _, other := range tc.not {
			if strings.Contains(got, other) {
				t.Errorf("?%s has %s:\n%s", tc.query, other, got)
			}
		}
	}
}

func TestListBuckets(t *testing.T) {
	t.Parallel()
	s := start(t, nil)
	var names []string
	for i := range 5 {
		names = append(names, fmt.Sprintf("bucket-%d", i))
		s.bucket(names[i])
	}
	s.bucket("other")
	c := s.sdk()
	var got []string
	p := s3.NewListBucketsPaginator(c, &s3.ListBucketsInput{Prefix: aws.String("bucket-"), MaxBuckets: aws.Int32(2)})
	for p.HasMorePages() {
		out, err := p.NextPage(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		if len(out.Buckets) > 2 {
			t.Fatalf("page of %d", len(out.Buckets))
		}
		for _, b := range out.Buckets {
			got = append(got, *b.Name)
		}
	}
	if diff := cmp.Diff(names, got); diff != "" {
		t.Fatalf("(-want +got):\n%s", diff)
	}
	if a := s.must(request{method: "GET", target: "/", region: "eu-west-1"}); !strings.Contains(string(a.body), "<Name>other</Name>") {
		t.Errorf("ListBuckets under another region: %s", a.body)
	}
}

// TestListUploads pages through uploads of several keys, two of them of one key.
func TestListUploads(t *testing.T) {
	t.Parallel()
	s := start(t, nil)
	s.bucket("bucket")
	c := s.sdk()
	ctx := context.Background()
	var want []string
	for _, key := range []string{"a/1", "a/2", "b", "b", "c/1"} {
		out, err := c.CreateMultipartUpload(ctx, &s3.CreateMultipartUploadInput{Bucket: aws.String("bucket"), Key: aws.String(key)})
		if err != nil {
			t.Fatal(err)
		}
		want = append(want, key+" "+*out.UploadId)
	}
	slices.Sort(want)
	for size := range 6 {
		if size == 0 {
			continue
		}
		var got, prefixes []string
		in := &s3.ListMultipartUploadsInput{Bucket: aws.String("bucket"), MaxUploads: aws.Int32(int32(size))}
		p := s3.NewListMultipartUploadsPaginator(c, in)
		for p.HasMorePages() {
			out, err := p.NextPage(ctx)
			if err != nil {
				t.Fatal(err)
			}
			for _, u := range out.Uploads {
				got = append(got, *u.Key+" "+*u.UploadId)
			}
		}
		slices.Sort(got)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("by %d (-want +got):\n%s", size, diff)
		}
		p = s3.NewListMultipartUploadsPaginator(c, &s3.ListMultipartUploadsInput{Bucket: aws.String("bucket"), Delimiter: aws.String("/"), MaxUploads: aws.Int32(int32(size))})
		for p.HasMorePages() {
			out, err := p.NextPage(ctx)
			if err != nil {
				t.Fatal(err)
			}
			for _, x := range out.CommonPrefixes {
				prefixes = append(prefixes, *x.Prefix)
			}
		}
		if diff := cmp.Diff([]string{"a/", "c/"}, prefixes); diff != "" {
			t.Fatalf("prefixes by %d (-want +got):\n%s", size, diff)
		}
	}
}

// TestKeysRoundTrip stores, reads, lists, copies and deletes keys of every kind, in path and in virtual-host style.
func TestKeysRoundTrip(t *testing.T) {
	t.Parallel()
	s := start(t, func(o *s3api.Options) { o.Domains = []string{"s3.example.com"} })
	s.bucket("bucket")
	keys := []string{
		"a", "a/b", "a/", "a//b", "//", "/", "/a", "..", "../..", "a/../b", "./a", ".", "a/./b", "trailing/", "sp ace", "plus+plus",
		"per%cent", "%2F", "%2e%2e", "q?uery", "ha#sh", "amp&er=sand", "se;mi", "co:lon", "http://host/path", "at@", "quo\"te'", "<xml>&amp;",
		"back\\slash", "new\nline", "tab\ttab", "cr\rcr", "bell\a", "esc\x1b", "del\x7f", "unicode-ñ-日本-🙂", "\ufffe", "\u2028",
		"minio/x", "health/live", strings.Repeat("k", 1024), strings.Repeat("é", 512), strings.Repeat("🙂", 256), strings.Repeat("/", 1024),
	}
	slices.Sort(keys)
	for i, key := range keys {
		body := fmt.Sprint("body ", i)
		for _, style := range []struct{ name, host, prefix string }{
			{"path", "", "/bucket/"}, {"localhost", "bucket.localhost:9000", "/"}, {"domain", "bucket.s3.example.com", "/"},
		} {
			target := style.prefix + escape(key)
			if a := s.do(request{method: "PUT", target: target, host: style.host, body: []byte(body)}); a.status != 200 {
				t.Fatalf("%s: put %q: %d\n%s", style.name, key, a.status, a.body)
			}
			a := s.do(request{method: "GET", target: target, host: style.host})
			if a.status != 200 || string(a.body) != body {
				t.Fatalf("%s: get %q: %d %q", style.name, key, a.status, a.body)
			}
		}
		info, err := s.store.Head(context.Background(), object.GetRequest{Bucket: "bucket", Key: key})
		if err != nil || info.Info.Key != key {
			t.Fatalf("the engine has not %q: %v", key, err)
		}
		a := s.do(request{method: "PUT", target: "/bucket/copy", header: map[string]string{"x-amz-copy-source": "/bucket/" + escape(key)}})
		if a.status != 200 {
			t.Fatalf("copy %q: %d\n%s", key, a.status, a.body)
		}
		if a = s.must(request{method: "GET", target: "/bucket/copy"}); string(a.body) != body {
			t.Fatalf("copy of %q: %q", key, a.body)
		}
	}
	s.must(request{method: "DELETE", target: "/bucket/copy"})
	if diff := cmp.Diff(keys, s.list(2, "", "", "", 7).Keys); diff != "" {
		t.Fatalf("listing (-want +got):\n%s", diff)
	}
	for _, key := range keys {
		s.must(request{method: "DELETE", target: "/bucket/" + escape(key)})
	}
	if left := s.list(2, "", "", "", 1000).Keys; len(left) != 0 {
		t.Fatalf("left: %q", left)
	}
}

// TestRawKeys sends targets that the SDKs would escape, as curl does, without a signature over another form.
func TestRawKeys(t *testing.T) {
	t.Parallel()
	s := start(t, nil)
	s.bucket("bucket")
	for raw, key := range map[string]string{
		"a/../b": "a/../b", "//x": "//x", "co:lon": "co:lon", "http://host/p": "http://host/p", "a+b": "a+b", "a%2bb": "a+b", "ti~lde": "ti~lde",
		"%41": "A", "par(en)*!'": "par(en)*!'", "frag#ment": "frag#ment",
	} {
		signed := s.wire(request{method: "PUT", target: "/bucket/" + escape(key), hash: "UNSIGNED-PAYLOAD"}, "Content-Length: 1\r\n")
		line, rest, _ := strings.Cut(string(signed), "\r\n")
		c := s.dial()
		c.write([]byte("PUT /bucket/" + raw + " HTTP/1.1\r\n" + rest + "x"))
		if a := c.read("PUT"); a.status != 200 {
			t.Errorf("%q for %s: %d\n%s", raw, line, a.status, a.body)
			continue
		}
		if _, err := s.store.Head(context.Background(), object.GetRequest{Bucket: "bucket", Key: key}); err != nil {
			t.Errorf("%q did not become %q: %v", raw, key, err)
		}
	}
}
