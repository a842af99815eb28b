package bench

import (
	"crypto/md5"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/xml"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// stub is a small S3 that checks what the client must get right.
type stub struct {
	*httptest.Server
	endpoint Endpoint
	spoil    func(key string, body []byte) ([]byte, int) // what a GET answers, and a status

	mu       sync.Mutex // guards what follows
	bucket   bool
	objects  map[string][]byte
	puts     int
	unsigned int
	faults   []string
}

func newStub(t *testing.T, label string) *stub {
	t.Helper()
	s := &stub{objects: make(map[string][]byte)}
	s.Server = httptest.NewServer(s)
	t.Cleanup(s.Close)
	s.endpoint = Endpoint{Label: label, URL: s.URL, AccessKey: "AK", SecretKey: NewSecret("SK"), Region: "r-1"}
	return s
}

func (s *stub) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	s.mu.Lock()
	defer s.mu.Unlock()
	if err != nil {
		s.faults = append(s.faults, err.Error())
	}
	s.check(r, body)
	bucket, key, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	if bucket != "coffer-bench" {
		s.faults = append(s.faults, "bucket "+bucket)
	}
	switch {
	case key != "":
		s.serveObject(w, r.Method, key, body)
	case r.Method == http.MethodPut && s.bucket:
		w.WriteHeader(http.StatusConflict)
		fmt.Fprint(w, "<Error><Code>BucketAlreadyOwnedByYou</Code></Error>")
	case r.Method == http.MethodPut:
		s.bucket = true
	case r.Method == http.MethodDelete && len(s.objects) > 0:
		w.WriteHeader(http.StatusConflict)
		fmt.Fprint(w, "<Error><Code>BucketNotEmpty</Code></Error>")
	case r.Method == http.MethodDelete:
		s.bucket = false
	case r.Method == http.MethodPost && r.URL.RawQuery == "delete=":
		s.deleteObjects(r, body)
	case r.Method == http.MethodGet && r.URL.Query().Get("list-type") == "2":
		for _, k := range slices.Sorted(maps.Keys(s.objects)) {
			if strings.HasPrefix(k, r.URL.Query().Get("prefix")) {
				fmt.Fprintf(w, "<Contents><Key>%s</Key></Contents>", k)
			}
		}
	default:
		s.faults = append(s.faults, r.Method+" "+r.URL.String())
	}
}

// check recomputes signature and digest.
func (s *stub) check(r *http.Request, body []byte) {
	date, err := time.Parse(timeFormat, r.Header.Get("X-Amz-Date"))
	if err != nil {
		s.faults = append(s.faults, err.Error())
	}
	payload := r.Header.Get("X-Amz-Content-Sha256")
	want, _ := newSigner(&s.endpoint).sign(r.Method, r.Host, r.URL.EscapedPath(), r.URL.RawQuery, payload, date)
	if got := r.Header.Get("Authorization"); got != want {
		s.faults = append(s.faults, "signature of "+r.Method+" "+r.URL.String())
	}
	digest := sha256.Sum256(body)
	if payload == unsignedPayload {
		s.unsigned++
	} else if payload != hex.EncodeToString(digest[:]) {
		s.faults = append(s.faults, "digest of "+r.Method+" "+r.URL.String())
	}
}

func (s *stub) serveObject(w http.ResponseWriter, method, key string, body []byte) {
	switch method {
	case http.MethodPut:
		s.puts++
		s.objects[key] = body
	case http.MethodGet:
		stored, found := s.objects[key]
		status := http.StatusOK
		if !found {
			status = http.StatusNotFound
		}
		if s.spoil != nil {
			stored, status = s.spoil(key, stored)
		}
		w.WriteHeader(status)
		_, _ = w.Write(stored)
	default:
		s.faults = append(s.faults, method+" "+key)
	}
}

func (s *stub) deleteObjects(r *http.Request, body []byte) {
	sum := md5.Sum(body)
	if r.Header.Get("Content-Md5") != base64.StdEncoding.EncodeToString(sum[:]) {
		s.faults = append(s.faults, "Content-MD5 of a multi-delete")
	}
	var wire struct {
		Object []struct{ Key string }
	}
	if err := xml.Unmarshal(body, &wire); err != nil || len(wire.Object) > 1000 {
		s.faults = append(s.faults, fmt.Sprintf("multi-delete of %d: %v", len(wire.Object), err))
	}
	for _, object := range wire.Object {
		delete(s.objects, object.Key)
	}
}

// expectClean fails the test if the stub complained or holds anything.
func (s *stub) expectClean(t *testing.T) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.faults) > 0 {
		t.Errorf("%d faults, the first: %s", len(s.faults), s.faults[0])
	}
	if len(s.objects) > 0 || s.bucket {
		t.Errorf("left behind: %d objects, bucket %v", len(s.objects), s.bucket)
	}
}
