package s3xml_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"coffer/s3api/s3xml"
)

// BenchmarkListBucket writes a page of 1,000 keys into a reused buffer.
func BenchmarkListBucket(b *testing.B) {
	doc := &s3xml.ListBucketV2{Name: "bucket", KeyCount: 1000, MaxKeys: 1000, IsTruncated: true}
	for i := range 1000 {
		doc.Contents = append(doc.Contents, s3xml.Object{
			Key: fmt.Sprintf("photos/2026/03/holiday & more/%08d.jpg", i), LastModified: time.Unix(1772366400+int64(i), 0),
			ETag: `"0123456789abcdef0123456789abcdef"`, Size: int64(i) << 10, StorageClass: "STANDARD", ChecksumAlgorithm: "CRC32", ChecksumType: "FULL_OBJECT",
		})
	}
	for _, encoding := range []string{"", s3xml.EncodingURL} {
		b.Run("encoding="+encoding, func(b *testing.B) {
			doc.EncodingType = encoding
			var buf []byte
			b.ReportAllocs()
			for b.Loop() {
				buf = doc.AppendXML(buf[:0])
			}
			b.SetBytes(int64(len(buf)))
		})
	}
}

// BenchmarkReadDelete reads 1,000 keys.
func BenchmarkReadDelete(b *testing.B) {
	in := "<Delete>" + strings.Repeat("<Object><Key>photos/2026/03/holiday &amp; more/00000000.jpg</Key></Object>", 1000) + "</Delete>"
	b.SetBytes(int64(len(in)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := s3xml.ReadDelete(strings.NewReader(in)); err != nil {
			b.Fatal(err)
		}
	}
}
