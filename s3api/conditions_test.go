package s3api_test

import (
	"fmt"
	"net/http"
	"testing"
	"time"
)

const noTag = `"00000000000000000000000000000000"`

// TestWriteConditions runs every condition on every operation that writes, over a key that is there and one that is
// not.
func TestWriteConditions(t *testing.T) {
	t.Parallel()
	s := start(t, nil)
	s.bucket("bucket")
	s.put("/bucket/source", "source")
	type h = map[string]string
	operations := map[string]func(s *server, key string, header h) *answer{
		"put": func(s *server, key string, header h) *answer {
			return s.do(request{method: "PUT", target: key, body: []byte("new"), header: header})
		},
		"copy": func(s *server, key string, header h) *answer {
			header["x-amz-copy-source"] = "bucket/source"
			return s.do(request{method: "PUT", target: key, header: header})
		},
		"complete": func(s *server, key string, header h) *answer {
			up := between(string(s.must(request{method: "POST", target: key + "?uploads="}).body), "<UploadId>", "</UploadId>")
			tag := s.must(request{method: "PUT", target: key + "?partNumber=1&uploadId=" + up, body: []byte("part")}).header.Get("ETag")
			return s.do(request{method: "POST", target: key + "?uploadId=" + up, body: (&fixture{}).complete("1", tag), header: header})
		},
		"delete": func(s *server, key string, header h) *answer {
			return s.do(request{method: "DELETE", target: key, header: header})
		},
	}
	for operation, run := range operations {
		for _, tc := range []struct {
			field, value     string // {tag} is the current entity tag
			present, missing int    // status; 200 stands for success
		}{
			{"If-Match", "{tag}", 200, 404},
			{"If-Match", noTag, 412, 404},
			{"If-Match", "*", 200, 404},
			{"If-Match", noTag + ", {tag}", 200, 404},
			{"If-None-Match", "*", 412, 200},
			{"If-None-Match", "{tag}", 412, 200},
			{"If-None-Match", noTag, 200, 200},
		} {
			for _, there := range []bool{true, false} {
				t.Run(fmt.Sprintf("%s/%s %s/%v", operation, tc.field, tc.value, there), func(t *testing.T) {
					t.Parallel()
					s := s.in(t)
					key := "/bucket/" + escape(t.Name())
					want, tag := tc.missing, noTag
					if operation == "delete" && want == 404 {
						want = 200 // S3: the key is gone, which is what was asked for
					}
					if there {
						tag, want = s.put(key, "old").header.Get("ETag"), tc.present
					}
					a := run(s, key, h{tc.field: replaceTag(tc.value, tag)})
					if ok := a.status/100 == 2; ok != (want == 200) || !ok && a.status != want {
						t.Fatalf("status %d, want %d\n%s", a.status, want, a.body)
					}
					after := s.do(request{method: "GET", target: key})
					switch {
					case want != 200 && there && string(after.body) != "old":
						t.Errorf("a refused write changed the object: %d %q", after.status, after.body)
					case want != 200 && !there && after.status != 404:
						t.Errorf("a refused write made an object: %d", after.status)
					case want == 200 && operation == "delete" && after.status != 404:
						t.Errorf("still there: %d", after.status)
					case want == 200 && operation != "delete" && string(after.body) == "old":
						t.Error("not written")
					}
				})
			}
		}
	}
}

func replaceTag(value, tag string) string {
	const mark = "{tag}"
	for i := 0; i+len(mark) <= len(value); i++ {
		if value[i:i+len(mark)] == mark {
			return value[:i] + tag + value[i+len(mark):]
		}
	}
	return value
}

// TestReadConditions follows the order of RFC 9110 section 13.2.2.
func TestReadConditions(t *testing.T) {
	t.Parallel()
	s := start(t, nil)
	s.bucket("bucket")
	tag := s.put("/bucket/key", "hello").header.Get("ETag")
	modified, err := time.Parse(http.TimeFormat, s.must(request{method: "HEAD", target: "/bucket/key"}).header.Get("Last-Modified"))
	if err != nil {
		t.Fatal(err)
	}
	same, before, after := modified.Format(http.TimeFormat), modified.Add(-time.Hour).Format(http.TimeFormat), modified.Add(time.Hour).Format(http.TimeFormat)
	for _, tc := range []struct {
		name   string
		header map[string]string
		status int
	}{
		{"match", map[string]string{"If-Match": tag}, 200},
		{"match, unquoted", map[string]string{"If-Match": tag[1 : len(tag)-1]}, 200},
		{"match any", map[string]string{"If-Match": "*"}, 200},
		{"match list", map[string]string{"If-Match": noTag + "," + tag}, 200},
		{"match other", map[string]string{"If-Match": noTag}, 412},
		{"none match", map[string]string{"If-None-Match": tag}, 304},
		{"none match any", map[string]string{"If-None-Match": "*"}, 304},
		{"none match weak", map[string]string{"If-None-Match": "W/" + tag}, 304},
		{"none match other", map[string]string{"If-None-Match": noTag}, 200},
		{"modified", map[string]string{"If-Modified-Since": before}, 200},
		{"not modified", map[string]string{"If-Modified-Since": same}, 304},
		{"not modified later", map[string]string{"If-Modified-Since": after}, 304},
		{"modified, no date", map[string]string{"If-Modified-Since": "yesterday"}, 200},
		{"unmodified", map[string]string{"If-Unmodified-Since": same}, 200},
		{"unmodified, changed", map[string]string{"If-Unmodified-Since": before}, 412},
		{"match overrides unmodified", map[string]string{"If-Match": tag, "If-Unmodified-Since": before}, 200},
		{"none match overrides modified", map[string]string{"If-None-Match": noTag, "If-Modified-Since": after}, 200},
		{"none match and modified", map[string]string{"If-None-Match": tag, "If-Modified-Since": before}, 304},
		{"match goes first", map[string]string{"If-Match": noTag, "If-None-Match": tag}, 412},
		{"condition before range", map[string]string{"If-Match": noTag, "Range": "bytes=99-"}, 412},
	} {
		for _, method := range []string{"GET", "HEAD"} {
			t.Run(tc.name+"/"+method, func(t *testing.T) {
				t.Parallel()
				a := s.in(t).do(request{method: method, target: "/bucket/key", header: tc.header})
				if a.status != tc.status {
					t.Fatalf("status %d, want %d", a.status, tc.status)
				}
				if method == "GET" && a.status == 200 && string(a.body) != "hello" || method == "HEAD" && len(a.body) != 0 {
					t.Errorf("body %q", a.body)
				}
			})
		}
	}
}

// TestCopyConditions: whichever condition on the source fails, the answer is 412.
func TestCopyConditions(t *testing.T) {
	t.Parallel()
	s := start(t, nil)
	s.bucket("bucket")
	tag := s.put("/bucket/key", "hello").header.Get("ETag")
	before, after := time.Now().Add(-time.Hour).UTC().Format(http.TimeFormat), time.Now().Add(time.Hour).UTC().Format(http.TimeFormat)
	up := between(string(s.must(request{method: "POST", target: "/bucket/up?uploads="}).body), "<UploadId>", "</UploadId>")
	for _, tc := range []struct {
		field, value string
		status       int
	}{
		{"if-match", tag, 200}, {"if-match", noTag, 412},
		{"if-none-match", noTag, 200}, {"if-none-match", tag, 412},
		{"if-modified-since", before, 200}, {"if-modified-since", after, 412},
		{"if-unmodified-since", after, 200}, {"if-unmodified-since", before, 412},
	} {
		for name, target := range map[string]string{"copy": "/bucket/copy", "part": "/bucket/up?partNumber=1&uploadId=" + up} {
			t.Run(fmt.Sprintf("%s/%s/%d", name, tc.field, tc.status), func(t *testing.T) {
				a := s.in(t).do(request{method: "PUT", target: target, header: map[string]string{
					"x-amz-copy-source": "/bucket/key", "x-amz-copy-source-" + tc.field: tc.value}})
				if a.status != tc.status {
					t.Fatalf("status %d, want %d\n%s", a.status, tc.status, a.body)
				}
			})
		}
	}
}
