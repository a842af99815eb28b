package keys

import (
	"fmt"
	"maps"
	"path/filepath"
	"strings"
	"testing"

	"coffer/test/canary"
)

// Names that are nowhere in the data directory.
const (
	secretBucket = "bucket-canary-4c1e"
	secretFolder = "folder-canary-77ab"
	secretObject = "object-canary-09d2"
	secretKey    = "master-key-canary-b3"
)

// TestNoNameInTheData puts, gets, copies, lists and deletes in every mode, and looks for the names in all files of the data
// directory, while the server runs and when it has stopped.
func TestNoNameInTheData(t *testing.T) {
	t.Parallel()
	mount, token := setUp(t, secretKey)
	s := newSite(t, nil)
	s.must(request{method: "PUT", target: "/" + secretBucket})
	s.workInEveryMode("stand-in")
	s.useVault(vault.Address, mount, token, secretKey)
	s.workInEveryMode("vault")
	s.must(request{method: "PUT", target: "/" + secretBucket + "-gone"})
	s.must(request{method: "DELETE", target: "/" + secretBucket + "-gone"})
	s.nameless()
	s.stop()
	s.nameless()
	found, err := canary.Scan(filepath.Join(s.dir, "config", "audit"), []string{secretBucket})
	if err != nil || len(found) == 0 {
		t.Errorf("the search does not find the bucket where it is in the clear, in the audit log: %v", err)
	}
}

// nameless looks for the names.
func (s *site) nameless() {
	s.t.Helper()
	found, err := canary.Scan(filepath.Join(s.dir, "data"), []string{secretBucket, secretFolder, secretObject, secretKey})
	if err != nil {
		s.t.Fatal(err)
	}
	for _, f := range found {
		s.t.Errorf("%q lies as %s in %s at %d: …%s…", f.Needle, f.Encoding, f.File, f.Offset, around(f.File, f.Offset))
	}
}

// workInEveryMode leaves some objects and deletes others, in the bucket, of every mode of encryption.
func (s *site) workInEveryMode(suffix string) {
	s.t.Helper()
	for mode, header := range map[string]fields{
		"default": nil,
		"s3":      {"x-amz-server-side-encryption": "AES256"},
		"kms":     kmsMode(""),
		"named":   with(kmsMode(secretKey), fields{"x-amz-server-side-encryption-bucket-key-enabled": "true"}),
		"client":  customer(customerKey),
	} {
		if mode == "named" && suffix != "vault" {
			header = with(kmsMode(""), fields{"x-amz-server-side-encryption-bucket-key-enabled": "true"})
		}
		read, source := fields{}, fields{}
		if mode == "client" {
			read = header
			for name, value := range header {
				source[strings.Replace(name, "x-amz-", "x-amz-copy-source-", 1)] = value
			}
		}
		base := fmt.Sprintf("/%s/%s/%s-%s-%s", secretBucket, secretFolder, secretObject, mode, suffix)
		for _, name := range []string{"-kept", "-gone"} {
			s.put(base+name, strings.Repeat("body ", 30_000), header)
			s.must(request{method: "GET", target: base + name, header: read})
			s.must(request{method: "HEAD", target: base + name, header: read})
		}
		maps.Copy(source, header)
		source["x-amz-copy-source"] = base + "-gone"
		s.must(request{method: "PUT", target: base + "-copy", header: source})
		_, rest, _ := strings.Cut(s.must(request{method: "POST", target: base + "-parts?uploads=", header: header}).body, "<UploadId>")
		id, _, _ := strings.Cut(rest, "</UploadId>")
		s.must(request{method: "PUT", target: base + "-parts?partNumber=1&uploadId=" + id, body: "part", header: read})
		s.must(request{method: "DELETE", target: base + "-gone"})
	}
	s.must(request{method: "GET", target: "/" + secretBucket + "?list-type=2&prefix=" + secretFolder})
}
