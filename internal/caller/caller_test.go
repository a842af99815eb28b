package caller_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"coffer/internal/caller"
)

func TestCheckPairs(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		pairs []caller.Pair
		ok    bool
	}{
		{"none", nil, true},
		{"one", []caller.Pair{{Name: "a-b.c_1", Value: "ein Wert, ä"}}, true},
		{"empty value", []caller.Pair{{Name: "a", Value: ""}}, true},
		{"empty name", []caller.Pair{{Name: "", Value: "x"}}, false},
		{"long name", []caller.Pair{{Name: strings.Repeat("a", caller.MaxPairName+1), Value: ""}}, false},
		{"capital", []caller.Pair{{Name: "A", Value: ""}}, false},
		{"long value", []caller.Pair{{Name: "a", Value: strings.Repeat("a", caller.MaxPairValue+1)}}, false},
		{"control character", []caller.Pair{{Name: "a", Value: "b\n"}}, false},
		{"not UTF-8", []caller.Pair{{Name: "a", Value: "\xff"}}, false},
		{"twice", []caller.Pair{{Name: "a", Value: "1"}, {Name: "b", Value: "1"}, {Name: "a", Value: "1"}}, false},
		{"nine", make([]caller.Pair, 9), false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			err := caller.CheckPairs(c.pairs)
			if (err == nil) != c.ok || err != nil && !errors.Is(err, caller.ErrPairs) {
				t.Errorf("caller.CheckPairs = %v", err)
			}
		})
	}
}

func TestCaller(t *testing.T) {
	t.Parallel()
	if c, ok := caller.From(t.Context()); ok || !c.IsZero() {
		t.Errorf("an empty context carries %+v", c)
	}
	want := caller.Caller{Principal: "p", Pairs: []caller.Pair{{Name: "a", Value: "b"}}}
	ctx := context.WithoutCancel(caller.With(caller.With(t.Context(), caller.Caller{Principal: "outer"}), want))
	got, ok := caller.From(ctx)
	if diff := cmp.Diff(want, got); !ok || diff != "" {
		t.Errorf("Caller (-want +got):\n%s", diff)
	}
}
