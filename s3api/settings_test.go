package s3api_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"coffer/object"
	"coffer/s3api"
)

// TestNotSet asks for settings that nobody made.
func TestNotSet(t *testing.T) {
	t.Parallel()
	s := start(t, nil)
	s.bucket("bucket")
	s.put("/bucket/key", "x")
	for _, tc := range []struct {
		target string
		status int
		want   string // code of an error, or a part of the document
	}{
		{"/bucket?acl=", 200, "<Permission>FULL_CONTROL</Permission>"},
		{"/bucket?policy=", 404, "NoSuchBucketPolicy"},
		{"/bucket?policyStatus=", 404, "NoSuchBucketPolicy"},
		{"/bucket?versioning=", 200, "<VersioningConfiguration xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"></VersioningConfiguration>"},
		{"/bucket?tagging=", 404, "NoSuchTagSet"},
		{"/bucket?cors=", 404, "NoSuchCORSConfiguration"},
		{"/bucket?lifecycle=", 404, "NoSuchLifecycleConfiguration"},
		{"/bucket?object-lock=", 404, "ObjectLockConfigurationNotFoundError"},
		{"/bucket?ownershipControls=", 404, "OwnershipControlsNotFoundError"},
		{"/bucket?encryption=", 200, "<SSEAlgorithm>AES256</SSEAlgorithm>"},
		{"/bucket?location=", 200, "<LocationConstraint"},
		{"/bucket?website=", 404, "NoSuchWebsiteConfiguration"},
		{"/bucket?logging=", 200, "<BucketLoggingStatus"},
		{"/bucket?notification=", 200, "<NotificationConfiguration"},
		{"/bucket?replication=", 404, "ReplicationConfigurationNotFoundError"},
		{"/bucket?requestPayment=", 200, "<Payer>BucketOwner</Payer>"},
		{"/bucket?accelerate=", 200, "<AccelerateConfiguration"},
		{"/bucket?publicAccessBlock=", 404, "NoSuchPublicAccessBlockConfiguration"},
		{"/bucket/key?acl=", 200, "<Permission>FULL_CONTROL</Permission>"},
		{"/bucket/key?tagging=", 200, "<TagSet></TagSet>"},
		{"/bucket/key?legal-hold=", 404, "NoSuchObjectLockConfiguration"},
		{"/bucket/key?retention=", 404, "NoSuchObjectLockConfiguration"},
	} {
		t.Run(tc.target, func(t *testing.T) {
			t.Parallel()
			s := s.in(t)
			for _, target := range []string{tc.target, strings.TrimSuffix(tc.target, "=")} {
				a := s.send(bareQuery(s.build(request{method: "GET", target: tc.target}), target))
				if a.status != tc.status || !strings.Contains(string(a.body), tc.want) {
					t.Fatalf("%s: %d, want %d %s\n%s", target, a.status, tc.status, tc.want, a.body)
				}
			}
			bucket := strings.Replace(tc.target, "/bucket", "/missing", 1)
			wantError(t, s.do(request{method: "GET", target: bucket}), 404, "NoSuchBucket")
			if strings.HasPrefix(tc.target, "/bucket/key") {
				wantError(t, s.do(request{method: "GET", target: strings.Replace(tc.target, "key", "none", 1)}), 404, "NoSuchKey")
			}
			wantError(t, s.do(request{method: "GET", target: tc.target, anonymous: true}), 403, "AccessDenied")
		})
	}
}

// bareQuery replaces ?acl= by ?acl, which has the same signature.
func bareQuery(req *http.Request, target string) *http.Request {
	_, req.URL.RawQuery, _ = strings.Cut(target, "?")
	return req
}

// TestUnknownSubResourcesChangeNothing sends every method with sub-resources that are not built, known and unknown. The
// object must stay as it is, and no read may hand it out.
func TestUnknownSubResourcesChangeNothing(t *testing.T) {
	t.Parallel()
	s := start(t, nil)
	s.bucket("bucket")
	s.put("/bucket/key", "precious")
	names := []string{"tagging", "legal-hold", "retention", "restore", "select", "torrent", "encryption", "renameObject", "append",
		"lifecycle", "cors", "policy", "versioning", "versions", "replication", "website", "logging", "notification", "metrics",
		"inventory", "analytics", "intelligent-tiering", "publicAccessBlock", "ownershipControls", "object-lock", "uploads",
		"delete", "accelerate", "requestPayment", "session", "metadataTable", "invented", "policyStatus", "location", "list-type"}
	served := map[string]bool{ // what is built
		"GET /bucket/key?tagging": true, "GET /bucket/key?legal-hold": true, "GET /bucket/key?retention": true,
		"POST /bucket/key?uploads": true, "POST /bucket?delete": true, "PUT /bucket?encryption": true, "DELETE /bucket?encryption": true,
	}
	for _, name := range names {
		for _, target := range []string{"/bucket/key", "/bucket"} {
			for _, method := range []string{"GET", "PUT", "POST", "DELETE", "HEAD"} {
				if served[method+" "+target+"?"+name] || method == "GET" && target == "/bucket" {
					continue
				}
				for _, query := range []string{name + "=", name + "=x"} {
					a := s.do(request{method: method, target: target + "?" + query, body: []byte("overwritten")})
					if method == "HEAD" && a.status != 501 && !(a.status == 200 && query == "invented=x") {
						t.Errorf("HEAD %s?%s: %d", target, query, a.status)
					}
					if method == "GET" && query == "invented=x" {
						continue // ignored, as S3 ignores it
					}
					if method != "HEAD" && a.status != 501 {
						t.Errorf("%s %s?%s: %d %s", method, target, query, a.status, a.body)
					}
				}
			}
		}
	}
	for _, query := range []string{"versions=", "metrics=", "inventory=", "analytics=", "intelligent-tiering=", "session=", "torrent=", "invented="} {
		if a := s.do(request{method: "GET", target: "/bucket?" + query}); a.status != 501 {
			t.Errorf("GET /bucket?%s: %d %s", query, a.status, a.body)
		}
	}
	if a := s.must(request{method: "GET", target: "/bucket/key"}); string(a.body) != "precious" {
		t.Errorf("the object is now %q", a.body)
	}
	if got := s.list(2, "", "", "", 1000); len(got.Keys) != 1 {
		t.Errorf("the bucket is now %q", got.Keys)
	}
}

// TestACLs: what is so anyway may be said, everything else is refused.
func TestACLs(t *testing.T) {
	t.Parallel()
	s := start(t, nil)
	s.bucket("bucket")
	s.put("/bucket/key", "x")
	public := "<Grant><Grantee xsi:type=\"Group\"><URI>http://acs.amazonaws.com/groups/global/AllUsers</URI></Grantee><Permission>READ</Permission></Grant>"
	for _, target := range []string{"/bucket?acl=", "/bucket/key?acl="} {
		own := s.must(request{method: "GET", target: target}).body
		put := func(body []byte, canned string) *answer {
			r := request{method: "PUT", target: target, body: body}
			if canned != "" {
				r.header = map[string]string{"x-amz-acl": canned}
			}
			return s.do(r)
		}
		for _, a := range []*answer{put(own, ""), put(nil, "private"), put(nil, "bucket-owner-full-control")} {
			if a.status != 200 {
				t.Errorf("%s: %d %s", target, a.status, a.body)
			}
		}
		wantError(t, put(nil, "public-read"), 400, "AccessControlListNotSupported")
		wantError(t, put(nil, ""), 400, "MissingSecurityHeader")
		wantError(t, put([]byte("<AccessControlPolicy>"), ""), 400, "MalformedACLError")
		for _, change := range [][2]string{{"FULL_CONTROL", "READ"}, {"<ID>9", "<ID>8"}, {"<Grant>", public + "<Grant>"}} {
			wantError(t, put([]byte(strings.Replace(string(own), change[0], change[1], 1)), ""), 400, "AccessControlListNotSupported")
		}
		wantError(t, s.do(request{method: "PUT", target: strings.Replace(target, "/bucket", "/missing", 1), body: own}), 404, "NoSuchBucket")
	}
}

// TestFieldsThatAreNotBuilt: a header that asks for what is not done is never passed over.
func TestFieldsThatAreNotBuilt(t *testing.T) {
	t.Parallel()
	s := start(t, nil)
	s.bucket("bucket")
	s.put("/bucket/key", "old")
	for _, tc := range []struct {
		name, value string
		status      int
		code        string
	}{
		{"x-amz-server-side-encryption", "aws:fsx", 501, "NotImplemented"},
		{"x-amz-server-side-encryption-key", "a2V5", 501, "NotImplemented"},
		{"x-amz-server-side-encryption-customer-original-size", "3", 501, "NotImplemented"},
		{"x-amz-copy-source-server-side-encryption", "AES256", 501, "NotImplemented"},
		{"x-amz-object-lock-mode", "GOVERNANCE", 501, "NotImplemented"},
		{"x-amz-object-lock-legal-hold", "ON", 501, "NotImplemented"},
		{"x-amz-tagging", "a=b", 501, "NotImplemented"},
		{"x-amz-write-offset-bytes", "3", 501, "NotImplemented"},
		{"x-amz-grant-read", "id=x", 400, "AccessControlListNotSupported"},
		{"x-amz-acl", "public-read", 400, "AccessControlListNotSupported"},
		{"x-amz-storage-class", "STANDARD_IA", 400, "InvalidStorageClass"},
		{"x-amz-expected-bucket-owner", "111122223333", 403, "AccessDenied"},
		{"x-amz-website-redirect-location", "elsewhere", 400, "InvalidArgument"},
		{"x-amz-checksum-md4", "AA==", 400, "InvalidRequest"},
		{"x-amz-checksum-crc32", "AA==", 400, "InvalidRequest"},
		{"x-amz-sdk-checksum-algorithm", "CRC32", 400, "InvalidRequest"},
		{"x-amz-trailer", "x-amz-checksum-crc32", 400, "InvalidRequest"},
		{"x-amz-meta-", "nameless", 400, "InvalidArgument"},
	} {
		t.Run(tc.name+" "+tc.value, func(t *testing.T) {
			t.Parallel()
			s := s.in(t)
			wantError(t, s.do(request{method: "PUT", target: "/bucket/key", body: []byte("new"), header: map[string]string{tc.name: tc.value}}), tc.status, tc.code)
			if a := s.must(request{method: "GET", target: "/bucket/key"}); string(a.body) != "old" {
				t.Errorf("the object is now %q", a.body)
			}
		})
	}
	for name, value := range map[string]string{"x-amz-acl": "private", "x-amz-server-side-encryption": "AES256", "x-amz-storage-class": "STANDARD"} {
		a := s.must(request{method: "PUT", target: "/bucket/fine", header: map[string]string{name: value}})
		if a.header.Get("x-amz-server-side-encryption") != "AES256" {
			t.Errorf("%s: %v", name, a.header)
		}
	}
}

// TestMetadataRoundTrip stores what clients may say about an object, and tries to set what they may not.
func TestMetadataRoundTrip(t *testing.T) {
	t.Parallel()
	s := start(t, nil)
	s.bucket("bucket")
	standard := map[string]string{
		"Content-Type": "text/x-test; charset=utf-8", "Cache-Control": "max-age=5", "Content-Disposition": `attachment; filename="a b"`,
		"Content-Encoding": "gzip", "Content-Language": "de", "Expires": "Thu, 01 Dec 2033 16:00:00 GMT",
		"x-amz-website-redirect-location": "/there", "x-amz-meta-name": "value", "X-Amz-Meta-UPPER": "Mixed Case", "x-amz-meta-empty": "",
		"x-amz-meta-words": "=?UTF-8?B?w6TDtsO8?=",
	}
	forbidden := map[string]string{
		"ETag": `"forged"`, "Last-Modified": "Thu, 01 Dec 1994 16:00:00 GMT", "x-amz-version-id": "forged", "x-amz-mp-parts-count": "7",
		"x-amz-delete-marker": "true", "x-amz-restore": "forged", "x-minio-internal-server-side-encryption-sealed-key": "forged",
		"x-rustfs-encryption-key": "forged", "x-coffer-object-id": "forged", "x-amz-request-id": "FORGED", "x-amz-replication-status": "REPLICA",
	}
	header := map[string]string{}
	for _, set := range []map[string]string{standard, forbidden} {
		for name, value := range set {
			header[name] = value
		}
	}
	s.must(request{method: "PUT", target: "/bucket/key", body: []byte("x"), header: header})
	s.must(request{method: "PUT", target: "/bucket/copy", header: map[string]string{"x-amz-copy-source": "bucket/key"}})
	up := between(string(s.must(request{method: "POST", target: "/bucket/multi?uploads=", header: header}).body), "<UploadId>", "</UploadId>")
	tag := s.must(request{method: "PUT", target: "/bucket/multi?partNumber=1&uploadId=" + up, body: []byte("x")}).header.Get("ETag")
	s.must(request{method: "POST", target: "/bucket/multi?uploadId=" + up, body: (&fixture{}).complete("1", tag)})
	for _, target := range []string{"/bucket/key", "/bucket/copy", "/bucket/multi"} {
		for _, method := range []string{"GET", "HEAD"} {
			a := s.must(request{method: method, target: target})
			for name, want := range standard {
				if target == "/bucket/copy" && name == "x-amz-website-redirect-location" {
					continue
				}
				got := a.header[http.CanonicalHeaderKey(name)]
				if len(got) != 1 || name == "x-amz-meta-words" && !strings.EqualFold(got[0], want) || name != "x-amz-meta-words" && got[0] != want {
					t.Errorf("%s %s: %s is %q, want %q", method, target, name, got, want)
				}
			}
			for name, value := range forbidden {
				if a.header.Get(name) == value {
					t.Errorf("%s %s: a client set %s", method, target, name)
				}
			}
		}
	}
	info, err := s.store.Head(context.Background(), object.GetRequest{Bucket: "bucket", Key: "key"})
	if err != nil || info.Info.Meta.User["words"] != "äöü" || len(info.Info.Meta.User) != 4 {
		t.Errorf("stored: %q %v", info.Info.Meta.User, err)
	}
	if a := s.must(request{method: "HEAD", target: "/bucket?x-id=HeadBucket"}); a.header.Get("x-amz-bucket-region") != testRegion {
		t.Errorf("region: %v", a.header)
	}
}

func TestResponseOverrides(t *testing.T) {
	t.Parallel()
	s := start(t, nil)
	s.bucket("bucket")
	s.must(request{method: "PUT", target: "/bucket/key", body: []byte("x"), header: map[string]string{"Content-Type": "text/plain"}})
	query := "response-cache-control=no-cache&response-content-disposition=attachment&response-content-encoding=br&" +
		"response-content-language=fr&response-content-type=text%2Fhtml&response-expires=0"
	for _, method := range []string{"GET", "HEAD"} {
		a := s.must(request{method: method, target: "/bucket/key?" + query})
		for name, want := range map[string]string{"Cache-Control": "no-cache", "Content-Disposition": "attachment", "Content-Encoding": "br",
			"Content-Language": "fr", "Content-Type": "text/html", "Expires": "0"} {
			if got := a.header.Get(name); got != want {
				t.Errorf("%s: %s is %q, want %q", method, name, got, want)
			}
		}
	}
	wantError(t, s.do(request{method: "GET", target: "/bucket/key?response-content-type=text%0D%0AX-Injected%3A%201"}), 400, "InvalidArgument")
	wantError(t, s.do(request{method: "GET", target: "/bucket/key?" + query, anonymous: true}), 403, "AccessDenied")
}

func TestHealth(t *testing.T) {
	t.Parallel()
	ready := fmt.Errorf("not yet")
	s := start(t, func(o *s3api.Options) { o.Ready = func() error { return ready } })
	check := func(target string, want int) {
		t.Helper()
		for _, method := range []string{"GET", "HEAD"} {
			if a := s.do(request{method: method, target: target, anonymous: true}); a.status != want || len(a.body) != 0 {
				t.Errorf("%s %s: %d %q, want %d", method, target, a.status, a.body, want)
			}
		}
	}
	for _, target := range []string{"/health/live", "/minio/health/live"} {
		check(target, 200)
	}
	for _, target := range []string{"/health/ready", "/minio/health/ready", "/minio/health/cluster"} {
		check(target, 503)
	}
	ready = nil
	for _, target := range []string{"/health/ready", "/minio/health/ready", "/minio/health/cluster?maintenance=true"} {
		check(target, 200)
	}
	wantError(t, s.do(request{method: "GET", target: "/health/other", anonymous: true}), 403, "AccessDenied")
	wantError(t, s.do(request{method: "PUT", target: "/health/live", anonymous: true}), 403, "AccessDenied")
}
