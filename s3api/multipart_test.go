package s3api_test

import (
	"bytes"
	"context"
	"crypto/md5"
	"fmt"
	"io"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/google/go-cmp/cmp"
)

// TestMultipartWithSDK uploads in parts with every checksum and type, copies a part, lists, completes twice, and reads
// back with the SDK verifying.
func TestMultipartWithSDK(t *testing.T) {
	t.Parallel()
	s := start(t, nil)
	s.bucket("bucket")
	c := s.sdk()
	ctx := context.Background()
	bucket := aws.String("bucket")
	source := bytes.Repeat([]byte("source"), 1<<20)
	s.put("/bucket/source", string(source))
	for _, tc := range []struct {
		algorithm types.ChecksumAlgorithm
		kind      types.ChecksumType
		want      types.ChecksumType
	}{
		{"", "", ""}, // the SDK sends CRC32 with the parts all the same
		{types.ChecksumAlgorithmCrc32, types.ChecksumTypeFullObject, types.ChecksumTypeFullObject},
		{types.ChecksumAlgorithmCrc32c, types.ChecksumTypeComposite, types.ChecksumTypeComposite},
		{types.ChecksumAlgorithmCrc64nvme, "", types.ChecksumTypeFullObject},
		{types.ChecksumAlgorithmSha1, "", types.ChecksumTypeComposite},
		{types.ChecksumAlgorithmSha256, types.ChecksumTypeComposite, types.ChecksumTypeComposite},
	} {
		t.Run(fmt.Sprintf("%s %s", tc.algorithm, tc.kind), func(t *testing.T) {
			t.Parallel()
			key := aws.String(fmt.Sprintf("multi-%s-%s", tc.algorithm, tc.kind))
			up, err := c.CreateMultipartUpload(ctx, &s3.CreateMultipartUploadInput{Bucket: bucket, Key: key,
				ChecksumAlgorithm: tc.algorithm, ChecksumType: tc.kind, Metadata: map[string]string{"name": "value"}})
			if err != nil {
				t.Fatal(err)
			}
			var parts []types.CompletedPart
			var data []byte
			for number := int32(1); number <= 3; number++ {
				part := bytes.Repeat([]byte{byte('0' + number)}, 5<<20+int(number))
				if number == 2 && tc.algorithm != "" {
					out, err := c.UploadPartCopy(ctx, &s3.UploadPartCopyInput{Bucket: bucket, Key: key, UploadId: up.UploadId, PartNumber: &number,
						CopySource: aws.String("bucket/source"), CopySourceRange: aws.String("bytes=3-5242885")})
					if err != nil {
						t.Fatal(err)
					}
					r := out.CopyPartResult
					part = source[3:5242886]
					parts = append(parts, types.CompletedPart{PartNumber: &number, ETag: r.ETag, ChecksumCRC32: r.ChecksumCRC32,
						ChecksumCRC32C: r.ChecksumCRC32C, ChecksumCRC64NVME: r.ChecksumCRC64NVME, ChecksumSHA1: r.ChecksumSHA1, ChecksumSHA256: r.ChecksumSHA256})
				} else {
					out, err := c.UploadPart(ctx, &s3.UploadPartInput{Bucket: bucket, Key: key, UploadId: up.UploadId, PartNumber: &number,
						Body: bytes.NewReader(part), ChecksumAlgorithm: tc.algorithm})
					if err != nil {
						t.Fatal(err)
					}
					parts = append(parts, types.CompletedPart{PartNumber: &number, ETag: out.ETag, ChecksumCRC32: out.ChecksumCRC32,
						ChecksumCRC32C: out.ChecksumCRC32C, ChecksumCRC64NVME: out.ChecksumCRC64NVME, ChecksumSHA1: out.ChecksumSHA1, ChecksumSHA256: out.ChecksumSHA256})
				}
				if tc.algorithm == "" {
					parts[number-1] = types.CompletedPart{PartNumber: &number, ETag: parts[number-1].ETag}
				}
				data = append(data, part...)
			}
			list, err := c.ListParts(ctx, &s3.ListPartsInput{Bucket: bucket, Key: key, UploadId: up.UploadId, MaxParts: aws.Int32(2)})
			if err != nil || len(list.Parts) != 2 || !*list.IsTruncated || *list.NextPartNumberMarker != "2" {
				t.Fatalf("list parts: %+v %v", list, err)
			}
			var etag string
			for range 2 {
				out, err := c.CompleteMultipartUpload(ctx, &s3.CompleteMultipartUploadInput{Bucket: bucket, Key: key, UploadId: up.UploadId,
					MultipartUpload: &types.CompletedMultipartUpload{Parts: parts}})
				if err != nil {
					t.Fatal(err)
				}
				if !strings.HasSuffix(*out.ETag, `-3"`) || etag != "" && etag != *out.ETag || out.ServerSideEncryption != types.ServerSideEncryptionAes256 {
					t.Fatalf("complete: %v", out)
				}
				etag = *out.ETag
			}
			out, err := c.GetObject(ctx, &s3.GetObjectInput{Bucket: bucket, Key: key})
			if err != nil {
				t.Fatal(err)
			}
			got, err := io.ReadAll(out.Body)
			if err != nil || md5.Sum(got) != md5.Sum(data) || out.Metadata["name"] != "value" || *out.ETag != etag {
				t.Fatalf("read %d bytes, want %d: %v", len(got), len(data), err)
			}
			if tc.algorithm != "" && out.ChecksumType != tc.want {
				t.Errorf("checksum type %q, want %q", out.ChecksumType, tc.want)
			}
			attributes, err := c.GetObjectAttributes(ctx, &s3.GetObjectAttributesInput{Bucket: bucket, Key: key, MaxParts: aws.Int32(2),
				ObjectAttributes: types.ObjectAttributes("").Values()})
			if err != nil {
				t.Fatal(err)
			}
			if *attributes.ObjectSize != int64(len(data)) || *attributes.ObjectParts.TotalPartsCount != 3 || attributes.StorageClass != types.StorageClassStandard ||
				`"`+*attributes.ETag+`"` != etag {
				t.Errorf("attributes: %+v %+v", attributes, attributes.ObjectParts)
			}
			if tc.algorithm != "" && (len(attributes.ObjectParts.Parts) != 2 || !*attributes.ObjectParts.IsTruncated || attributes.Checksum == nil) {
				t.Errorf("attributes: %+v %+v", attributes, attributes.ObjectParts)
			}
		})
	}
}

// TestCompleteChecks: what a complete request declares about the object is held against it.
func TestCompleteChecks(t *testing.T) {
	t.Parallel()
	s := start(t, nil)
	s.bucket("bucket")
	type h = map[string]string
	for _, tc := range []struct {
		name   string
		header h
		status int
		code   string
	}{
		{"size", h{"x-amz-mp-object-size": "5"}, 200, ""},
		{"wrong size", h{"x-amz-mp-object-size": "6"}, 400, "InvalidRequest"},
		{"size is none", h{"x-amz-mp-object-size": "many"}, 400, "InvalidArgument"},
		{"checksum", h{"x-amz-checksum-crc32": crcOf([]byte("hello")), "x-amz-checksum-type": "FULL_OBJECT"}, 200, ""},
		{"wrong checksum", h{"x-amz-checksum-crc32": "AAAAAA==", "x-amz-checksum-type": "FULL_OBJECT"}, 400, "BadDigest"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			s := s.in(t)
			target := "/bucket/" + escape(tc.name)
			up := between(string(s.must(request{method: "POST", target: target + "?uploads=", header: h{
				"x-amz-checksum-algorithm": "CRC32", "x-amz-checksum-type": "FULL_OBJECT"}}).body), "<UploadId>", "</UploadId>")
			tag := s.must(request{method: "PUT", target: target + "?partNumber=1&uploadId=" + up, body: []byte("hello"),
				header: h{"x-amz-checksum-crc32": crcOf([]byte("hello"))}}).header.Get("ETag")
			a := s.do(request{method: "POST", target: target + "?uploadId=" + up, body: (&fixture{}).complete("1", tag), header: tc.header})
			if tc.status == 200 {
				if a.status != 200 {
					t.Fatalf("%d %s", a.status, a.body)
				}
				return
			}
			wantError(t, a, tc.status, tc.code)
		})
	}
}

func TestAbortUpload(t *testing.T) {
	t.Parallel()
	s := start(t, nil)
	s.bucket("bucket")
	up := between(string(s.must(request{method: "POST", target: "/bucket/key?uploads="}).body), "<UploadId>", "</UploadId>")
	s.must(request{method: "PUT", target: "/bucket/key?partNumber=1&uploadId=" + up, body: []byte("x")})
	if a := s.do(request{method: "DELETE", target: "/bucket/key?uploadId=" + up}); a.status != 204 || len(a.body) != 0 {
		t.Fatalf("%d %s", a.status, a.body)
	}
	wantError(t, s.do(request{method: "GET", target: "/bucket/key?uploadId=" + up}), 404, "NoSuchUpload")
	wantError(t, s.do(request{method: "PUT", target: "/bucket/key?uploadId=" + up}), 400, "InvalidArgument")
}

// TestCopies covers both metadata directives and copies onto itself.
func TestCopies(t *testing.T) {
	t.Parallel()
	s := start(t, nil)
	s.bucket("bucket")
	s.bucket("other")
	type h = map[string]string
	source := "a/ü b?c%d+e"
	s.must(request{method: "PUT", target: "/bucket/" + escape(source), body: []byte("hello"),
		header: h{"x-amz-meta-a": "1", "Content-Type": "text/plain", "x-amz-checksum-crc32": crcOf([]byte("hello"))}})
	for _, tc := range []struct {
		name   string
		target string
		header h
		status int
		code   string
		meta   string // x-amz-meta-a afterwards
		kind   string // Content-Type afterwards
	}{
		{"keep", "/bucket/1", h{"x-amz-copy-source": "/bucket/" + escape(source)}, 200, "", "1", "text/plain"},
		{"keep, all escaped", "/bucket/1b", h{"x-amz-copy-source": strings.ReplaceAll("bucket/"+escape(source), "/", "%2F")}, 200, "", "1", "text/plain"},
		{"keep although sent", "/bucket/2", h{"x-amz-copy-source": "bucket/" + escape(source), "x-amz-meta-a": "2", "Content-Type": "x/y"}, 200, "", "1", "text/plain"},
		{"replace", "/bucket/3", h{"x-amz-copy-source": "bucket/" + escape(source), "x-amz-metadata-directive": "REPLACE", "x-amz-meta-a": "3"}, 200, "", "3", "binary/octet-stream"},
		{"other bucket", "/other/4", h{"x-amz-copy-source": "bucket/" + escape(source)}, 200, "", "1", "text/plain"},
		{"version", "/other/5", h{"x-amz-copy-source": "bucket/" + escape(source) + "?versionId=null"}, 200, "", "1", "text/plain"},
		{"no version", "/other/6", h{"x-amz-copy-source": "bucket/" + escape(source) + "?versionId=0123456789abcdef0123456789abcdef"}, 404, "NoSuchVersion", "", ""},
		{"directive", "/bucket/7", h{"x-amz-copy-source": "bucket/" + escape(source), "x-amz-metadata-directive": "MERGE"}, 400, "InvalidArgument", "", ""},
		{"algorithm", "/bucket/8", h{"x-amz-copy-source": "bucket/" + escape(source), "x-amz-checksum-algorithm": "SHA256"}, 200, "", "1", "text/plain"},
		{"no algorithm", "/bucket/9", h{"x-amz-copy-source": "bucket/" + escape(source), "x-amz-checksum-algorithm": "MD4"}, 400, "InvalidRequest", "", ""},
		{"access point", "/bucket/10", h{"x-amz-copy-source": "arn:aws:s3:us-east-1:1:accesspoint/x/object/y"}, 501, "NotImplemented", "", ""},
	} {
		a := s.do(request{method: "PUT", target: tc.target, header: tc.header})
		if tc.status != 200 {
			wantError(t, a, tc.status, tc.code)
			continue
		}
		if a.status != 200 || a.header.Get("x-amz-server-side-encryption") != "AES256" || !strings.Contains(string(a.body), "<ETag>&quot;5d41402abc4b2a76b9719d911017c592&quot;</ETag>") {
			t.Fatalf("%s: %d %v %s", tc.name, a.status, a.header, a.body)
		}
		got := s.must(request{method: "GET", target: tc.target})
		if diff := cmp.Diff([]string{"hello", tc.meta, tc.kind}, []string{string(got.body), got.header.Get("x-amz-meta-a"), got.header.Get("Content-Type")}); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tc.name, diff)
		}
	}
	self := h{"x-amz-copy-source": "bucket/1"}
	wantError(t, s.do(request{method: "PUT", target: "/bucket/1", header: self}), 400, "InvalidRequest")
	self["x-amz-server-side-encryption"] = "AES256"
	if a := s.must(request{method: "PUT", target: "/bucket/1", header: self}); !strings.Contains(string(a.body), "CopyObjectResult") {
		t.Errorf("copy onto itself with encryption: %s", a.body)
	}
	self["x-amz-metadata-directive"], self["x-amz-meta-a"] = "REPLACE", "new"
	s.must(request{method: "PUT", target: "/bucket/1", header: self})
	if a := s.must(request{method: "GET", target: "/bucket/1"}); string(a.body) != "hello" || a.header.Get("x-amz-meta-a") != "new" {
		t.Errorf("after a copy onto itself: %q %v", a.body, a.header)
	}
}

// TestPartCopyRanges refuses ranges that the source does not have.
func TestPartCopyRanges(t *testing.T) {
	t.Parallel()
	s := start(t, nil)
	s.bucket("bucket")
	s.put("/bucket/source", "0123456789")
	up := between(string(s.must(request{method: "POST", target: "/bucket/key?uploads="}).body), "<UploadId>", "</UploadId>")
	target := "/bucket/key?partNumber=1&uploadId=" + up
	for _, tc := range []struct {
		span   string
		status int
		code   string
	}{
		{"bytes=0-9", 200, ""}, {"bytes=3-3", 200, ""}, {"", 200, ""}, {"bytes=0-10", 416, "InvalidRange"}, {"bytes=10-12", 416, "InvalidRange"},
		{"bytes=5-", 400, "InvalidArgument"}, {"bytes=-5", 400, "InvalidArgument"}, {"bytes=5-3", 400, "InvalidArgument"}, {"0-5", 400, "InvalidArgument"},
		{"bytes=0-1,3-4", 400, "InvalidArgument"},
	} {
		header := map[string]string{"x-amz-copy-source": "bucket/source"}
		if tc.span != "" {
			header["x-amz-copy-source-range"] = tc.span
		}
		a := s.do(request{method: "PUT", target: target, header: header})
		if tc.status == 200 {
			if a.status != 200 || !strings.Contains(string(a.body), "CopyPartResult") {
				t.Errorf("%q: %d %s", tc.span, a.status, a.body)
			}
			continue
		}
		wantError(t, a, tc.status, tc.code)
	}
}

func TestDeleteObjects(t *testing.T) {
	t.Parallel()
	s := start(t, nil)
	s.bucket("bucket")
	post := func(body string, header map[string]string) *answer {
		header["Content-MD5"] = md5Of(body)
		return s.do(request{method: "POST", target: "/bucket?delete=", body: []byte(body), header: header})
	}
	for _, key := range []string{"a", "b", "c", "d&<>"} {
		s.put("/bucket/"+escape(key), key)
	}
	a := post("<Delete><Object><Key>a</Key></Object><Object><Key>none</Key></Object><Object><Key>d&amp;&lt;&gt;</Key></Object></Delete>", map[string]string{})
	if n := strings.Count(string(a.body), "<Deleted>"); a.status != 200 || n != 3 || !strings.Contains(string(a.body), "<Key>d&amp;&lt;&gt;</Key>") {
		t.Fatalf("%d %s", a.status, a.body)
	}
	a = post("<Delete><Quiet>true</Quiet><Object><Key>b</Key></Object><Object><Key>c</Key><ETag>other</ETag></Object>"+
		"<Object><Key>"+strings.Repeat("x", 1025)+"</Key></Object></Delete>", map[string]string{})
	if body := string(a.body); strings.Contains(body, "<Deleted>") || strings.Count(body, "<Error>") != 2 ||
		!strings.Contains(body, "<Code>PreconditionFailed</Code>") || !strings.Contains(body, "<Code>KeyTooLongError</Code>") {
		t.Fatalf("%d %s", a.status, body)
	}
	if got := s.list(2, "", "", "", 1000); len(got.Keys) != 1 || got.Keys[0] != "c" {
		t.Fatalf("left: %q", got.Keys)
	}
	var objects []types.ObjectIdentifier
	for i := range 1000 {
		objects = append(objects, types.ObjectIdentifier{Key: aws.String(fmt.Sprint("key-", i))})
	}
	out, err := s.sdk().DeleteObjects(context.Background(), &s3.DeleteObjectsInput{Bucket: aws.String("bucket"), Delete: &types.Delete{Objects: objects}})
	if err != nil || len(out.Deleted) != 1000 || len(out.Errors) != 0 {
		t.Fatalf("%d deleted, %d errors: %v", len(out.Deleted), len(out.Errors), err)
	}
}
