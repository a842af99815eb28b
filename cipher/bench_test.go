package cipher

import (
	"bytes"
	"io"
	"testing"
	"time"
)

// The benchmarks of this file are read against each other: what sealing and opening cost beyond AES-256-GCM itself.
// One iteration of each is a chunk of 64 MiB, so that 16 are 1 GiB.
//
//	go test ./cipher -run '^$' -bench 'Ratio|Raw|Seal|Open|Read' -cpu 1
const benchChunk = 64 << 20

// benchFixture holds what the passes need; each pass handles benchChunk bytes once.
type benchFixture struct {
	key    *DataKey
	id     ChunkID
	sealed []byte
	piece  []byte // of a stream: 1 MiB
	whole  []byte // room for a chunk
	frame  []byte // room for a frame
}

func newBenchFixture(tb testing.TB) *benchFixture {
	tb.Helper()
	f := &benchFixture{
		key: NewDataKey(), id: NewChunkID(),
		piece: make([]byte, 1<<20),
		whole: make([]byte, 0, benchChunk),
		frame: make([]byte, DefaultFrameSize, DefaultFrameSize+FrameOverhead),
	}
	var err error
	f.sealed, err = SealChunk(nil, f.key, f.id, DefaultFrameSize, make([]byte, benchChunk))
	if err != nil {
		tb.Fatal(err)
	}
	return f
}

// raw is AES-256-GCM sealing 64 KiB in place, over and over: the yardstick.
func (f *benchFixture) raw(testing.TB) {
	aead := newGCM(f.piece[:KeySize])
	p := new(position)
	for i := range int64(benchChunk / DefaultFrameSize) {
		p.set(i, false)
		aead.Seal(f.frame[:0], p.nonce[:], f.frame, p.additional[:])
	}
}

// seal writes a chunk as a PUT does, the derivation of its key included.
func (f *benchFixture) seal(tb testing.TB) {
	w, err := NewChunkWriter(io.Discard, f.key, NewChunkID(), DefaultFrameSize)
	if err != nil {
		tb.Fatal(err)
	}
	defer w.Abort()
	for range benchChunk / len(f.piece) {
		if _, err := w.Write(f.piece); err != nil {
			tb.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		tb.Fatal(err)
	}
}

// open opens a chunk that is in memory, the derivation of its key included.
func (f *benchFixture) open(tb testing.TB) {
	if _, err := OpenChunk(f.whole, f.key, f.id, f.sealed); err != nil {
		tb.Fatal(err)
	}
}

// read reads a chunk as a GET does. What it reads from is memory too, and is copied out of as a file would be.
func (f *benchFixture) read(tb testing.TB) {
	r, err := NewChunkReader(bytes.NewReader(f.sealed), int64(len(f.sealed)), f.key, f.id)
	if err != nil {
		tb.Fatal(err)
	}
	for off := int64(0); off < r.Size(); off += int64(len(f.piece)) {
		if _, err := r.ReadAt(f.piece, off); err != nil {
			tb.Fatal(err)
		}
	}
}

// source is the part of read that is not this package's: copying out of the source, in the same units.
func (f *benchFixture) source(tb testing.TB) {
	src := bytes.NewReader(f.sealed)
	for off := int64(0); off < benchChunk; off += readUnit {
		if _, err := src.ReadAt(f.piece[:readUnit], off); err != nil {
			tb.Fatal(err)
		}
	}
}

func runPass(b *testing.B, pass func(*benchFixture, testing.TB)) {
	f := newBenchFixture(b)
	b.SetBytes(benchChunk)
	b.ReportAllocs()
	for b.Loop() {
		pass(f, b)
	}
}

func BenchmarkRaw(b *testing.B)        { runPass(b, (*benchFixture).raw) }
func BenchmarkSeal(b *testing.B)       { runPass(b, (*benchFixture).seal) }
func BenchmarkOpen(b *testing.B)       { runPass(b, (*benchFixture).open) }
func BenchmarkRead(b *testing.B)       { runPass(b, (*benchFixture).read) }
func BenchmarkReadSource(b *testing.B) { runPass(b, (*benchFixture).source) }

// BenchmarkRatio runs all of them in turn, takes the best time of each, which is the one least disturbed by whatever
// else the machine does, and reports percentages of raw: 100 is as fast as AES-256-GCM alone. read-net/raw leaves the
// source out.
func BenchmarkRatio(b *testing.B) {
	passes := []func(*benchFixture, testing.TB){
		(*benchFixture).raw, (*benchFixture).seal, (*benchFixture).open, (*benchFixture).read, (*benchFixture).source,
	}
	f := newBenchFixture(b)
	best := make([]time.Duration, len(passes))
	for b.Loop() {
		for i, pass := range passes {
			begin := time.Now()
			pass(f, b)
			if took := time.Since(begin); best[i] == 0 || took < best[i] {
				best[i] = took
			}
		}
	}
	percent := func(d time.Duration) float64 { return 100 * float64(best[0]) / float64(d) }
	b.ReportMetric(percent(best[1]), "%seal/raw")
	b.ReportMetric(percent(best[2]), "%open/raw")
	b.ReportMetric(percent(best[3]), "%read/raw")
	b.ReportMetric(percent(best[3]-best[4]), "%read-net/raw")
}

// BenchmarkSmall is what one small chunk costs, most of it in key schedules.
func BenchmarkSmall(b *testing.B) {
	key, id := NewDataKey(), NewChunkID()
	plain := make([]byte, 4<<10)
	sealed, err := SealChunk(nil, key, id, DefaultFrameSize, plain)
	if err != nil {
		b.Fatal(err)
	}
	room := make([]byte, 0, len(sealed))
	b.Run("seal", func(b *testing.B) {
		b.SetBytes(int64(len(plain)))
		b.ReportAllocs()
		for b.Loop() {
			if _, err := SealChunk(room, key, id, DefaultFrameSize, plain); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("open", func(b *testing.B) {
		b.SetBytes(int64(len(plain)))
		b.ReportAllocs()
		for b.Loop() {
			if _, err := OpenChunk(room, key, id, sealed); err != nil {
				b.Fatal(err)
			}
		}
	})
}

// BenchmarkBox is what one metastore value of 512 bytes costs.
func BenchmarkBox(b *testing.B) {
	box := NewBox(NewMasterKey())
	plain, key := make([]byte, 512), make([]byte, 64)
	sealed := box.Seal(nil, plain, key)
	room := make([]byte, 0, len(sealed))
	b.Run("seal", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			box.Seal(room, plain, key)
		}
	})
	b.Run("open", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := box.Open(room, sealed, key); err != nil {
				b.Fatal(err)
			}
		}
	})
}
