package main

import "fmt"

// line is a figure that the product is held to.
type line struct {
	text     string
	want     float64
	format   string // of want and of the figure
	measured func(figures) (float64, bool)
}

func lines() []line {
	named := func(name string) func(figures) (float64, bool) {
		return func(f figures) (float64, bool) { return f.median(name) }
	}
	over := func(name, base string) func(figures) (float64, bool) {
		return func(f figures) (float64, bool) { return f.ratio(name, base) }
	}
	const percent, times = "%.1f %%", "%.1f times"
	return []line{
		{"Sealing 1 GiB in 64 KiB frames, of raw AES-256-GCM", 90, percent, named("Ratio %seal/raw")},
		{"Opening 1 GiB in 64 KiB frames, of raw AES-256-GCM", 90, percent, named("Ratio %open/raw")},
		{"Durable 4 KiB puts of 64 goroutines: transactions in a flush", 30, "%.1f", named("DurablePut tx/flush")},
		{"Durable 4 KiB puts of 64 goroutines, of single synced appends", 10, times, over("DurablePut puts/s", "disk appends/s")},
		{"Durable 4 KiB puts over HTTP, of single synced appends", 2, times, over("put put 4KiB x64 ops/s", "disk appends/s")},
		{"10 MiB gets of 4 workers, of the same HTTP server from memory", 0.6, "%.2f", named("get get 10MiB x4 of memory")},
		{"10 MiB gets of 1 worker, of the same HTTP server from memory", 0.6, "%.2f", named("get get 10MiB x1 of memory")},
	}
}

// verdict says in words what was measured and whether that is enough.
func (l line) verdict(f figures) (measured, met string) {
	value, found := l.measured(f)
	switch {
	case !found:
		return "not measured", "-"
	case value >= l.want:
		return fmt.Sprintf(l.format, value), "yes"
	default:
		return fmt.Sprintf(l.format, value), "no"
	}
}
