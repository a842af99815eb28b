package sigv4_test

import (
	"errors"
	"strings"
	"testing"

	"coffer/s3api/s3err"
	"coffer/s3api/sigv4"
)

// base is a small request that verifies.
func base() plain {
	return plain{
		method:  "PUT",
		path:    "/b/a key",
		query:   []sigv4.Param{{Name: "partNumber", Value: "1"}},
		header:  sigv4.Header{{Name: "X-Amz-Content-Sha256", Value: "UNSIGNED-PAYLOAD"}, {Name: "X-Amz-Meta-K", Value: "v"}},
		payload: "UNSIGNED-PAYLOAD",
		time:    now(),
	}
}

// edit changes the Authorization header.
func edit(old, new string) func(*sigv4.Request) {
	return func(r *sigv4.Request) {
		auth, _ := r.Header.Get("Authorization")
		if !strings.Contains(auth, old) {
			panic("nothing to edit: " + old)
		}
		r.Header = setField(r.Header, "Authorization", strings.Replace(auth, old, new, 1))
	}
}

// editQuery changes the raw query.
func editQuery(old, new string) func(*sigv4.Request) {
	return func(r *sigv4.Request) {
		if !strings.Contains(r.RawQuery, old) {
			panic("nothing to edit: " + old)
		}
		r.RawQuery = strings.Replace(r.RawQuery, old, new, 1)
	}
}

func addField(name, value string) func(*sigv4.Request) {
	return func(r *sigv4.Request) { r.Header = append(r.Header, sigv4.Field{Name: name, Value: value}) }
}

func signature(r *sigv4.Request) string {
	auth, _ := r.Header.Get("Authorization")
	return auth[strings.LastIndexByte(auth, '=')+1:]
}

type mutation struct {
	name   string
	mutate func(*sigv4.Request)
	want   s3err.Code // "" verifies
	text   string     // part of the message
}

func runMutations(t *testing.T, tests []mutation, sign func(*testing.T) *sigv4.Request) {
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			r := sign(t)
			tt.mutate(r)
			ver, err := verifier().Begin(r)
			if tt.want == "" {
				if err != nil || !ver.Proven() {
					t.Fatalf("Begin: %v", err)
				}
				return
			}
			var e *s3err.Error
			if !errors.As(err, &e) || e.Code != tt.want || !strings.Contains(e.Text(), tt.text) {
				t.Fatalf("Begin: %v; want %s with %q", err, tt.want, tt.text)
			}
			if ver != nil {
				t.Error("a verification beside the error")
			}
		})
	}
}
