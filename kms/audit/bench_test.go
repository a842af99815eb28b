package audit

import (
	"context"
	"fmt"
	"testing"

	"coffer/internal/disk"
)

func benchOptions(b *testing.B) Options {
	o := options(b, disk.NewOS(b.TempDir()))
	o.FileSize, o.SyncInterval = DefaultFileSize, DefaultSyncInterval
	return o
}

// BenchmarkRecord records from many goroutines as fast as the log takes lines,
// seals included.
func BenchmarkRecord(b *testing.B) {
	for _, workers := range []int{1, 32} {
		b.Run(fmt.Sprintf("callers=%d", workers), func(b *testing.B) {
			l := mustOpen(b, benchOptions(b))
			e := event(1)
			b.SetParallelism(workers)
			b.ReportAllocs()
			b.ResetTimer()
			b.RunParallel(func(p *testing.PB) {
				for p.Next() {
					if err := l.Record(context.Background(), e); err != nil {
						b.Error(err)
					}
				}
			})
			do(b, l.Flush(context.Background()))
			b.StopTimer()
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "lines/s")
			b.ReportMetric(float64(l.Stats().Seals), "seals")
			do(b, l.Close(context.Background()))
		})
	}
}

// BenchmarkFlush records a line and waits for it to be durable, from many
// goroutines that share seals.
func BenchmarkFlush(b *testing.B) {
	for _, workers := range []int{1, 64} {
		b.Run(fmt.Sprintf("callers=%d", workers), func(b *testing.B) {
			l := mustOpen(b, benchOptions(b))
			e := event(1)
			b.SetParallelism(workers)
			b.ResetTimer()
			b.RunParallel(func(p *testing.PB) {
				for p.Next() {
					if err := l.Record(context.Background(), e); err != nil {
						b.Error(err)
					}
					if err := l.Flush(context.Background()); err != nil {
						b.Error(err)
					}
				}
			})
			b.StopTimer()
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "lines/s")
			do(b, l.Close(context.Background()))
		})
	}
}

// BenchmarkVerify reads a log of 20,000 events; one operation is one line.
func BenchmarkVerify(b *testing.B) {
	const events = 20_000
	o := benchOptions(b)
	l := mustOpen(b, o)
	record(b, l, 1, events)
	do(b, l.Close(b.Context()))
	b.ResetTimer()
	for n := 0; n < b.N; n += events {
		mustVerify(b, o.FS)
	}
}
