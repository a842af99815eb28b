package admin_test

import (
	"net/url"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"coffer/s3api/admin"
)

// TestDocuments wants a line of docs/admin-api.md for each route, with sorted query names, and no line without a route. That they
// work is shown by test/docs.
func TestDocuments(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../docs/admin-api.md")
	if err != nil {
		t.Fatal(err)
	}
	lines := regexp.MustCompile(`(?m)^\$ admin -X ([A-Z]+) "\$URL([^"?]+)\??([^"]*)"`).FindAllStringSubmatch(string(text), -1)
	shown := map[string]bool{}
	for _, line := range lines {
		method, path, query := line[1], line[2], line[3]
		if !admin.Reserved(path) {
			continue // an object that the lines around it need
		}
		var names []string
		for _, pair := range strings.Split(query, "&") {
			name, _, _ := strings.Cut(pair, "=")
			names = append(names, name)
		}
		if !slices.IsSorted(names) {
			t.Errorf("%s: the query names are not sorted", line[0])
		}
		if _, err := url.ParseQuery(query); err != nil {
			t.Errorf("%s: %v", line[0], err)
		}
		found := slices.IndexFunc(admin.Routes(), func(r admin.Route) bool {
			before, _, open := strings.Cut(r.Path, "{")
			return r.Method == method && (r.Path == path || open && strings.HasPrefix(path, before) && path != before && !shown[method+" "+path])
		})
		if found < 0 {
			t.Errorf("%s: there is no such route", line[0])
			continue
		}
		exact := slices.Index(admin.Routes(), admin.Route{Method: method, Path: path, Op: admin.Routes()[found].Op})
		shown[method+" "+admin.Routes()[max(exact, found)].Path] = true
	}
	for _, r := range admin.Routes() {
		if !strings.HasPrefix(r.Path, "/minio/admin/") && !shown[r.Method+" "+r.Path] {
			t.Errorf("%s %s has no line", r.Method, r.Path)
		}
	}
}
