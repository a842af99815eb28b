package bench

import (
	"math"
	"slices"
	"time"
)

// Latencies summarises the durations of successful requests, in milliseconds.
type Latencies struct {
	Median float64 `json:"median"`
	P90    float64 `json:"p90"`
	P99    float64 `json:"p99"`
	Max    float64 `json:"max"`
}

// summarise sorts the samples in place.
func summarise(samples []time.Duration) Latencies {
	slices.Sort(samples)
	return Latencies{
		Median: milliseconds(percentile(samples, 50)),
		P90:    milliseconds(percentile(samples, 90)),
		P99:    milliseconds(percentile(samples, 99)),
		Max:    milliseconds(percentile(samples, 100)),
	}
}

// percentile gives the nearest-rank percentile of sorted samples: the smallest
// sample that at least p per cent of all do not exceed. Of none it is zero.
func percentile(sorted []time.Duration, p float64) time.Duration {
	if len(sorted) == 0 {
		return 0
	}
	rank := int(math.Ceil(p / 100 * float64(len(sorted))))
	return sorted[min(max(rank, 1), len(sorted))-1]
}

func milliseconds(d time.Duration) float64 {
	return float64(d) / float64(time.Millisecond)
}

// perSecond is zero where no time has passed.
func perSecond(amount float64, elapsed time.Duration) float64 {
	if elapsed <= 0 {
		return 0
	}
	return amount / elapsed.Seconds()
}

// Median of unsorted values, the mean of the middle two for an even count; zero
// of none.
func Median(values []float64) float64 {
	if len(values) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(values))
	middle := len(sorted) / 2
	if len(sorted)%2 == 1 {
		return sorted[middle]
	}
	return (sorted[middle-1] + sorted[middle]) / 2
}

// RatioOfRounds compares two endpoints round by round and gives the median of
// the ratios of those rounds in which the base did any work; nil if there are
// none. Rounds are neighbours in time, so a slow spell of the machine falls on
// both sides of a ratio.
func RatioOfRounds(rates, base []float64) *float64 {
	ratios := make([]float64, 0, len(rates))
	for i := range min(len(rates), len(base)) {
		if base[i] > 0 {
			ratios = append(ratios, rates[i]/base[i])
		}
	}
	if len(ratios) == 0 {
		return nil
	}
	ratio := Median(ratios)
	return &ratio
}
