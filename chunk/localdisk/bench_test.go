package localdisk_test

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"coffer/cipher"
	"coffer/internal/disk"
)

// BenchmarkCommit commits chunks of 1 MiB from several goroutines on the disk
// under the temporary directory, and reports how many directory syncs each took.
func BenchmarkCommit(b *testing.B) {
	const size = 1 << 20
	for _, workers := range []int{1, 4, 16, 64} {
		b.Run(fmt.Sprintf("1MiB/%d", workers), func(b *testing.B) {
			s := open(b, disk.NewOS(b.TempDir()))
			defer s.Close()
			data := make([]byte, size)
			before := s.Stats()
			b.SetBytes(size)
			b.ResetTimer()
			start := time.Now()
			jobs := make(chan struct{})
			var wg sync.WaitGroup
			for range workers {
				wg.Go(func() {
					for range jobs {
						if err := commit(b.Context(), s, cipher.NewChunkID(), data); err != nil {
							b.Errorf("commit: %v", err)
						}
					}
				})
			}
			for range b.N {
				jobs <- struct{}{}
			}
			close(jobs)
			wg.Wait()
			b.ReportMetric(float64(b.N)/time.Since(start).Seconds(), "commits/s")
			b.ReportMetric(float64(s.Stats().DirSyncs-before.DirSyncs)/float64(b.N), "dirsyncs/op")
		})
	}
}
