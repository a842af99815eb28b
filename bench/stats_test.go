package bench

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestPercentile(t *testing.T) {
	t.Parallel()
	hundred := make([]time.Duration, 100)
	for i := range hundred {
		hundred[i] = time.Duration(i + 1)
	}
	tests := []struct {
		name   string
		sorted []time.Duration
		p      float64
		want   time.Duration
	}{
		{"of none", nil, 50, 0},
		{"of one, lowest", []time.Duration{7}, 0, 7},
		{"of one, highest", []time.Duration{7}, 100, 7},
		{"median of two is the lower", []time.Duration{1, 2}, 50, 1},
		{"median of three", []time.Duration{1, 2, 3}, 50, 2},
		{"p90 of three is the highest", []time.Duration{1, 2, 3}, 90, 3},
		{"p50 of a hundred", hundred, 50, 50},
		{"p90 of a hundred", hundred, 90, 90},
		{"p99 of a hundred", hundred, 99, 99},
		{"p99.5 of a hundred", hundred, 99.5, 100},
		{"max of a hundred", hundred, 100, 100},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			if got := percentile(test.sorted, test.p); got != test.want {
				t.Errorf("got %d, want %d", got, test.want)
			}
		})
	}
}

func TestSummariseSorts(t *testing.T) {
	t.Parallel()
	samples := []time.Duration{5 * time.Millisecond, time.Millisecond, 3 * time.Millisecond}
	want := Latencies{Median: 3, P90: 5, P99: 5, Max: 5}
	if diff := cmp.Diff(want, summarise(samples)); diff != "" {
		t.Error(diff)
	}
}

func TestMedian(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		values []float64
		want   float64
	}{
		{"none", nil, 0},
		{"one", []float64{4}, 4},
		{"odd, unsorted", []float64{9, 1, 5}, 5},
		{"even, unsorted", []float64{8, 2, 4, 1}, 3},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			before := append([]float64(nil), test.values...)
			if got := Median(test.values); got != test.want {
				t.Errorf("got %v, want %v", got, test.want)
			}
			if diff := cmp.Diff(before, append([]float64(nil), test.values...)); diff != "" {
				t.Error("the argument was changed:", diff)
			}
		})
	}
}

func TestRatioOfRounds(t *testing.T) {
	t.Parallel()
	ratio := func(r float64) *float64 { return &r }
	tests := []struct {
		name        string
		rates, base []float64
		want        *float64
	}{
		{"no rounds", nil, nil, nil},
		{"the base did nothing", []float64{3}, []float64{0}, nil},
		{"itself", []float64{3, 5}, []float64{3, 5}, ratio(1)},
		{"a slow spell falls on both", []float64{100, 10, 100}, []float64{200, 20, 200}, ratio(0.5)},
		{"an odd round does not count", []float64{100, 1, 100}, []float64{200, 200, 200}, ratio(0.5)},
		{"a dead round of the base is left out", []float64{50, 100}, []float64{100, 0}, ratio(0.5)},
		{"nothing done", []float64{0}, []float64{10}, ratio(0)},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(test.want, RatioOfRounds(test.rates, test.base)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestPerSecond(t *testing.T) {
	t.Parallel()
	if got := perSecond(10, 2*time.Second); got != 5 {
		t.Errorf("got %v, want 5", got)
	}
	if got := perSecond(10, 0); got != 0 {
		t.Errorf("of no time: got %v, want 0", got)
	}
}
