package s3api_test

import (
	"bytes"
	"fmt"
	"strconv"
	"testing"
)

// TestRanges compares ranges with what RFC 9110 section 14.1.2 gives, on sizes around those at which storage changes.
func TestRanges(t *testing.T) {
	t.Parallel()
	s := start(t, nil)
	s.bucket("bucket")
	for _, size := range []int{0, 1, 10, 32 << 10, 64<<10 + 1, 1<<20 + 7} {
		data := pattern(size)
		target := fmt.Sprint("/bucket/", size)
		s.put(target, string(data))
		at := []int{0, 1, size / 2, size - 1, size, size + 1, 64<<10 - 1, 64 << 10}
		for _, first := range at {
			for _, last := range at {
				checkRange(t, s, target, data, fmt.Sprintf("bytes=%d-%d", first, last), first, last+1, first > last || first < 0 || last < 0)
			}
			checkRange(t, s, target, data, fmt.Sprintf("bytes=%d-", first), first, size, first < 0)
			if first >= 0 {
				from := max(size-first, 0)
				if first == 0 {
					from = size // of the last 0 bytes there are none
				}
				checkRange(t, s, target, data, fmt.Sprintf("bytes=-%d", first), from, size, false)
			}
		}
	}
}

// checkRange wants bytes from to (exclusive) of data; ignored says that the field is not a range.
func checkRange(t *testing.T, s *server, target string, data []byte, field string, from, to int, ignored bool) {
	t.Helper()
	for _, method := range []string{"GET", "HEAD"} {
		a := s.do(request{method: method, target: target, header: map[string]string{"Range": field}})
		status, contentRange := 206, ""
		var want []byte
		switch to = min(to, len(data)); {
		case ignored:
			status, want = 200, data
		case from >= len(data):
			status, contentRange = 416, fmt.Sprintf("bytes */%d", len(data))
		default:
			want, contentRange = data[from:to], fmt.Sprintf("bytes %d-%d/%d", from, to-1, len(data))
		}
		if a.status != status || a.header.Get("Content-Range") != contentRange {
			t.Errorf("%s %s of %d: %d %q, want %d %q", method, field, len(data), a.status, a.header.Get("Content-Range"), status, contentRange)
			continue
		}
		if status == 416 {
			continue
		}
		if method == "GET" && !bytes.Equal(a.body, want) {
			t.Errorf("%s of %d: %d bytes, want %d", field, len(data), len(a.body), len(want))
		}
		if n := a.header.Get("Content-Length"); n != strconv.Itoa(len(want)) {
			t.Errorf("%s %s of %d: Content-Length %s, want %d", method, field, len(data), n, len(want))
		}
	}
}

// TestIgnoredRanges: what is not one range of bytes is answered with the whole object.
func TestIgnoredRanges(t *testing.T) {
	t.Parallel()
	s := start(t, nil)
	s.bucket("bucket")
	s.put("/bucket/key", "0123456789")
	for _, field := range []string{"bytes=0-1,3-4", "bytes=a-b", "bytes=5-2", "bytes", "bytes=", "bytes=-", "items=0-1", "bytes=+1-2", "bytes=1 - 2"} {
		a := s.must(request{method: "GET", target: "/bucket/key", header: map[string]string{"Range": field}})
		if a.status != 200 || string(a.body) != "0123456789" || a.header.Get("Accept-Ranges") != "bytes" {
			t.Errorf("%q: %d %q", field, a.status, a.body)
		}
	}
}

// TestRangesAndPartsOfMultipart reads an object of odd parts around every edge, as a whole and part by part.
func TestRangesAndPartsOfMultipart(t *testing.T) {
	t.Parallel()
	s := start(t, nil)
	s.bucket("bucket")
	sizes := []int{5<<20 + 1, 5<<20 + 7, 1}
	up := between(string(s.must(request{method: "POST", target: "/bucket/key?uploads="}).body), "<UploadId>", "</UploadId>")
	var data []byte
	var parts []string
	for i, size := range sizes {
		part := bytes.Repeat([]byte{byte('a' + i)}, size)
		a := s.must(request{method: "PUT", target: fmt.Sprintf("/bucket/key?partNumber=%d&uploadId=%s", i+1, up), body: part})
		parts = append(parts, strconv.Itoa(i+1), a.header.Get("ETag"))
		data = append(data, part...)
	}
	s.must(request{method: "POST", target: "/bucket/key?uploadId=" + up, body: (&fixture{}).complete(parts...)})
	edge := 0
	for i, size := range sizes {
		for _, first := range []int{edge - 1, edge, edge + 1} {
			if first >= 0 {
				checkRange(t, s, "/bucket/key", data, fmt.Sprintf("bytes=%d-%d", first, first+2), first, first+3, false)
			}
		}
		a := s.must(request{method: "GET", target: fmt.Sprintf("/bucket/key?partNumber=%d", i+1)})
		if a.status != 206 || !bytes.Equal(a.body, data[edge:edge+size]) || a.header.Get("x-amz-mp-parts-count") != "3" ||
			a.header.Get("Content-Range") != fmt.Sprintf("bytes %d-%d/%d", edge, edge+size-1, len(data)) {
			t.Errorf("part %d: %d, %d bytes, %v", i+1, a.status, len(a.body), a.header)
		}
		edge += size
	}
	wantError(t, s.do(request{method: "GET", target: "/bucket/key?partNumber=4"}), 416, "InvalidPartNumber")
	wantError(t, s.do(request{method: "GET", target: "/bucket/key?partNumber=0"}), 400, "InvalidArgument")
	wantError(t, s.do(request{method: "GET", target: "/bucket/key?partNumber=1", header: map[string]string{"Range": "bytes=0-1"}}), 400, "InvalidRequest")
	a := s.must(request{method: "HEAD", target: "/bucket/key?partNumber=3"})
	if a.status != 206 || a.header.Get("Content-Length") != "1" {
		t.Errorf("HEAD of a part: %d %v", a.status, a.header)
	}
}
