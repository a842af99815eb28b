package main

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestProgressLines(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	now := time.Unix(1_000_000, 0)
	l := newProgress(&out, false, "rewrapped").(*progressLines)
	l.now = func() time.Time { return now }
	for i, done := range []int64{0, 100, 200, 300, 300} {
		l.show(done, 400, "")
		if i == 2 {
			now = now.Add(lineEvery)
		}
	}
	l.show(400, 400, "")
	l.end()
	l.end()
	unknown := newProgress(&out, false, "rewrapped")
	unknown.show(7, 0, "its turn")
	unknown.end()
	want := []string{"rewrapped: 0 of 400", "rewrapped: 300 of 400", "rewrapped: 400 of 400", "rewrapped: 7, waiting for its turn", ""}
	if diff := cmp.Diff(want, strings.Split(out.String(), "\n")); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestProgressBar(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name        string
		done, total int64
		want        []string
	}{
		{"known", 300, 400, []string{"rewrapped", "300 of 400", "[", "]"}},
		{"complete", 400, 400, []string{"400 of 400"}},
		{"more than expected", 500, 400, []string{"500 of 500"}},
		{"unknown", 7, 0, []string{"rewrapped", "7", "waiting for its turn"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			var out bytes.Buffer
			b := newProgress(&out, true, "rewrapped")
			b.show(0, tc.total, "")
			b.show(tc.done, tc.total, "its turn")
			b.end()
			for _, want := range tc.want {
				if !strings.Contains(out.String(), want) {
					t.Errorf("%q has no %q", out.String(), want)
				}
			}
		})
	}
	newProgress(&bytes.Buffer{}, true, "nothing").end()
}
