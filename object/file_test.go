package object_test

import (
	"bytes"
	"context"
	"crypto/md5"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"testing"

	"pgregory.net/rapid"

	"coffer/object"
	"coffer/object/objecttest"
)

// editLayout makes files reach every boundary with little data.
func editLayout(o *object.Options) {
	o.InlineLimit, o.ChunkSize, o.FrameSize, o.SealAfter, o.CloneLeast = 100, 10_000, 4096, 3000, 1000
}

// editedFile is a file and what it must hold.
type editedFile struct {
	key       string
	file      *object.File
	want      []byte
	committed []byte // what S3 sees, nil while it knows nothing
}

// editMachine changes files at random and compares them with bytes in memory.
type editMachine struct {
	env   *objecttest.Env
	store *object.Store
	files []*editedFile
	made  int
}

func (m *editMachine) open(t *rapid.T) {
	s, err := object.Open(context.Background(), optionsOf(m.env, editLayout))
	if err != nil {
		t.Fatal(err)
	}
	m.store = s
}

func optionsOf(env *objecttest.Env, change func(*object.Options)) object.Options {
	o := env.Options()
	change(&o)
	return o
}

func (m *editMachine) pick(t *rapid.T) *editedFile {
	if len(m.files) == 0 {
		t.Skip("no file")
	}
	f := m.files[rapid.IntRange(0, len(m.files)-1).Draw(t, "file")]
	if f.file == nil {
		var err error
		if f.file, err = m.store.OpenFile(context.Background(), "bucket", f.key); err != nil {
			t.Fatal(err)
		}
	}
	return f
}

func (f *editedFile) grow(size int) {
	if size > len(f.want) {
		f.want = append(f.want, make([]byte, size-len(f.want))...)
	}
}

func (m *editMachine) Create(t *rapid.T) {
	if len(m.files) >= 4 {
		t.Skip("enough")
	}
	m.made++
	key := fmt.Sprintf("dir/%d", m.made)
	f, err := m.store.CreateFile(context.Background(), object.CreateRequest{Bucket: "bucket", Key: key, Attr: object.Attributes{Mode: 0o100644}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := m.store.CreateFile(context.Background(), object.CreateRequest{Bucket: "bucket", Key: key}); object.KindOf(err) != object.KindExists {
		t.Fatalf("made twice: %v", err)
	}
	m.files = append(m.files, &editedFile{key: key, file: f})
}

func (m *editMachine) Put(t *rapid.T) {
	if len(m.files) >= 4 {
		t.Skip("enough")
	}
	m.made++
	f := &editedFile{key: fmt.Sprintf("put/%d", m.made), want: data(rapid.IntRange(0, 20_000).Draw(t, "size"), byte(m.made))}
	put2(t, m.store, f.key, f.want)
	f.committed = bytes.Clone(f.want)
	m.files = append(m.files, f)
}

func put2(t *rapid.T, s *object.Store, key string, body []byte) {
	if _, err := s.Put(context.Background(), object.PutRequest{Bucket: "bucket", Key: key, Body: bytes.NewReader(body), Size: int64(len(body))}); err != nil {
		t.Fatal(err)
	}
}

// Copy makes another object that shares the body of a committed one.
func (m *editMachine) Copy(t *rapid.T) {
	if len(m.files) >= 4 {
		t.Skip("enough")
	}
	f := m.pick(t)
	if f.committed == nil {
		t.Skip("not committed")
	}
	m.made++
	key := fmt.Sprintf("copy/%d", m.made)
	if _, err := m.store.Copy(context.Background(), object.CopyRequest{SourceBucket: "bucket", SourceKey: f.key, Bucket: "bucket", Key: key}); err != nil {
		t.Fatal(err)
	}
	m.files = append(m.files, &editedFile{key: key, want: bytes.Clone(f.committed), committed: bytes.Clone(f.committed)})
}

func (m *editMachine) Write(t *rapid.T) {
	f := m.pick(t)
	off := rapid.IntRange(0, max(len(f.want)*5/4, 1)).Draw(t, "off")
	p := data(rapid.SampledFrom([]int{1, 7, 99, 256, 1000, 5000}).Draw(t, "length"), rapid.Byte().Draw(t, "seed"))
	if n, err := f.file.WriteAt(context.Background(), p, int64(off)); n != len(p) || err != nil {
		t.Fatal(n, err)
	}
	f.grow(off + len(p))
	copy(f.want[off:], p)
}

func (m *editMachine) Append(t *rapid.T) {
	f := m.pick(t)
	p := data(rapid.IntRange(1, 2000).Draw(t, "length"), rapid.Byte().Draw(t, "seed"))
	off, n, err := f.file.Append(context.Background(), p)
	if off != int64(len(f.want)) || n != len(p) || err != nil {
		t.Fatal(off, n, err)
	}
	f.want = append(f.want, p...)
}

func (m *editMachine) Truncate(t *rapid.T) {
	f := m.pick(t)
	size := rapid.IntRange(0, len(f.want)+3000).Draw(t, "size")
	if err := f.file.Truncate(context.Background(), int64(size)); err != nil {
		t.Fatal(err)
	}
	f.grow(size)
	f.want = f.want[:size]
}

func (m *editMachine) Punch(t *rapid.T) {
	f := m.pick(t)
	off, length := rapid.IntRange(0, len(f.want)+10).Draw(t, "off"), rapid.IntRange(1, 4000).Draw(t, "length")
	if err := f.file.Punch(context.Background(), int64(off), int64(length)); err != nil {
		t.Fatal(err)
	}
	if off < len(f.want) {
		clear(f.want[off:min(off+length, len(f.want))])
	}
}

// Clone makes a range of one file that of another, or of itself.
func (m *editMachine) Clone(t *rapid.T) {
	f, src := m.pick(t), m.pick(t)
	off, from := rapid.IntRange(0, len(f.want)+100).Draw(t, "off"), rapid.IntRange(0, len(src.want)).Draw(t, "from")
	length := rapid.IntRange(1, 8000).Draw(t, "length")
	part := bytes.Clone(src.want[from:min(from+length, len(src.want))])
	n, err := f.file.CloneRange(context.Background(), int64(off), src.file, int64(from), int64(length))
	if f == src && off < from+len(part) && from < off+len(part) {
		if object.KindOf(err) != object.KindInvalidArgument {
			t.Fatalf("overlapping ranges: %v", err)
		}
		return
	}
	if n != int64(len(part)) || err != nil {
		t.Fatal(n, err)
	}
	if len(part) == 0 {
		return
	}
	f.grow(off + len(part))
	copy(f.want[off:], part)
	m.Sync2(t, f) // they may have been committed on the way
	m.Sync2(t, src)
}

func (m *editMachine) Read(t *rapid.T) {
	f := m.pick(t)
	off := rapid.IntRange(0, len(f.want)).Draw(t, "off")
	p := make([]byte, rapid.IntRange(0, 6000).Draw(t, "length"))
	n, err := f.file.ReadAt(context.Background(), p, int64(off))
	if want := f.want[off:min(off+len(p), len(f.want))]; !bytes.Equal(p[:n], want) {
		t.Fatalf("read %d bytes at %d that differ", n, off)
	}
	if (n < len(p)) != (err == io.EOF) || (err != nil && err != io.EOF) {
		t.Fatal(n, err)
	}
}

func (m *editMachine) Sync(t *rapid.T) {
	f := m.pick(t)
	if err := f.file.Sync(context.Background()); err != nil {
		t.Fatal(err)
	}
	f.committed = append([]byte{}, f.want...)
}

func (m *editMachine) Close(t *rapid.T) {
	f := m.pick(t)
	m.Sync2(t, f)
	if err := f.file.Close(); err != nil {
		t.Fatal(err)
	}
	f.file = nil
}

func (m *editMachine) Sync2(t *rapid.T, f *editedFile) {
	if err := f.file.Sync(context.Background()); err != nil {
		t.Fatal(err)
	}
	f.committed = append([]byte{}, f.want...)
}

// Replace puts another object over a file that is open: it goes on with what it opened, and what it changed is lost.
func (m *editMachine) Replace(t *rapid.T) {
	f := m.pick(t)
	dirty := f.committed == nil || f.file.Node().Open
	body := data(rapid.IntRange(0, 5000).Draw(t, "size"), 3)
	put2(t, m.store, f.key, body)
	p := make([]byte, len(f.want)+1)
	if n, err := f.file.ReadAt(context.Background(), p, 0); !bytes.Equal(p[:n], f.want) || (len(f.want) > 0 && err != io.EOF) {
		t.Fatalf("an open file changed under its reader: %v", err)
	}
	err := f.file.Sync(context.Background())
	if dirty != (err != nil) || (dirty && object.KindOf(err) != object.KindStale) {
		t.Fatalf("changes pending: %v, error %v", dirty, err)
	}
	if err := f.file.Close(); err != nil {
		t.Fatal(err)
	}
	f.file, f.want, f.committed = nil, body, bytes.Clone(body)
}

func (m *editMachine) Delete(t *rapid.T) {
	if len(m.files) == 0 {
		t.Skip("no file")
	}
	i := rapid.IntRange(0, len(m.files)-1).Draw(t, "file")
	f := m.files[i]
	if f.file != nil {
		m.Close2(t, f)
	}
	if err := m.store.Delete(context.Background(), object.DeleteRequest{Bucket: "bucket", Key: f.key}); err != nil {
		t.Fatal(err)
	}
	m.files = append(m.files[:i], m.files[i+1:]...)
}

func (m *editMachine) Close2(t *rapid.T, f *editedFile) {
	m.Sync2(t, f)
	if err := f.file.Close(); err != nil {
		t.Fatal(err)
	}
	f.file = nil
}

func (m *editMachine) Collect(t *rapid.T) {
	if _, err := m.store.Collect(context.Background()); err != nil {
		t.Fatal(err)
	}
}

func (m *editMachine) Tidy(t *rapid.T) {
	f := m.pick(t)
	if err := f.file.Tidy(context.Background()); err != nil {
		t.Fatal(err)
	}
}

// Crash goes on from what was durable.
func (m *editMachine) Crash(t *rapid.T) {
	was := m.store
	m.env = m.env.Crash()
	m.open(t)
	_ = was.Close()
	var left []*editedFile
	for _, f := range m.files {
		if f.committed != nil {
			left = append(left, &editedFile{key: f.key, want: bytes.Clone(f.committed), committed: f.committed})
		}
	}
	m.files = left
}

// Check compares what S3 sees.
func (m *editMachine) Check(t *rapid.T) {
	for _, f := range m.files {
		r, err := m.store.Get(context.Background(), object.GetRequest{Bucket: "bucket", Key: f.key})
		if f.committed == nil {
			if object.KindOf(err) != object.KindNoSuchKey {
				t.Fatalf("%s is known to S3: %v", f.key, err)
			}
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		var got bytes.Buffer
		_, err = io.Copy(&got, r)
		if err := errors.Join(err, r.Close()); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got.Bytes(), f.committed) {
			t.Fatalf("S3 sees %d bytes of %s that differ from the %d committed", got.Len(), f.key, len(f.committed))
		}
	}
}

func TestFileAgainstBytes(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		m := &editMachine{env: objecttest.New()}
		m.open(rt)
		if _, err := m.store.CreateBucket(context.Background(), "bucket"); err != nil {
			rt.Fatal(err)
		}
		rt.Repeat(map[string]func(*rapid.T){
			"create": m.Create, "put": m.Put, "copy": m.Copy, "write": m.Write, "write more": m.Write, "append": m.Append,
			"truncate": m.Truncate, "clone": m.Clone, "punch": m.Punch, "read": m.Read, "sync": m.Sync, "close": m.Close, "replace": m.Replace,
			"delete": m.Delete, "collect": m.Collect, "tidy": m.Tidy, "crash": m.Crash, "": m.Check,
		})
		for len(m.files) > 0 {
			m.Delete(rt)
		}
		if err := m.store.Delete(context.Background(), object.DeleteRequest{Bucket: "bucket", Key: "dir/"}); err != nil {
			rt.Fatal(err)
		}
		m.store.SettleFiles(context.Background())
		for n := 1; n > 0; { // a body gives its bases back when it goes
			var err error
			if n, err = m.store.Collect(context.Background()); err != nil {
				rt.Fatal(err)
			}
		}
		chunks, keys := leftovers(t, m.env)
		for _, tag := range []byte("ndecqupbx") {
			if keys[tag] != 0 {
				rt.Errorf("%d keys with tag %q are left", keys[tag], tag)
			}
		}
		if chunks != 0 {
			rt.Errorf("%d chunk files are left", chunks)
		}
		if err := m.store.Close(); err != nil {
			rt.Fatal(err)
		}
	})
}

// TestFileOfManyExtents edits a file at so many places that its tree gets pages of pages, shares it on the way, and
// finds both copies as they should be, and nothing left of them in the end.
func TestFileOfManyExtents(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	env := objecttest.New()
	s := env.Open(t, editLayout)
	newBucket(t, s, "bucket")
	const size = 2 << 20
	want := data(size, 1)
	put(t, s, "bucket", "key", want)
	random := rand.New(rand.NewPCG(5, 6))
	f, err := s.OpenFile(ctx, "bucket", "key")
	if err != nil {
		t.Fatal(err)
	}
	edit := func(rounds int) {
		for i := range rounds {
			for range 400 {
				off := random.IntN(size - 20)
				p := data(1+random.IntN(20), byte(i))
				if _, err := f.WriteAt(ctx, p, int64(off)); err != nil {
					t.Fatal(err)
				}
				copy(want[off:], p)
			}
			if err := f.Sync(ctx); err != nil {
				t.Fatal(err)
			}
		}
		if got := read(t, s, object.GetRequest{Bucket: "bucket", Key: "key"}); !bytes.Equal(got, want) {
			t.Fatal("S3 sees other bytes than were written")
		}
	}
	edit(25)
	kept := bytes.Clone(want)
	if _, err := s.Copy(ctx, object.CopyRequest{SourceBucket: "bucket", SourceKey: "key", Bucket: "bucket", Key: "copy"}); err != nil {
		t.Fatal(err)
	}
	edit(25)
	if err := f.Tidy(ctx); err != nil {
		t.Fatal(err)
	}
	collectAll(t, s)
	edit(1)
	if got := read(t, s, object.GetRequest{Bucket: "bucket", Key: "copy"}); !bytes.Equal(got, kept) {
		t.Fatal("the copy changed with its source")
	}
	if err := f.Tidy(ctx); err != nil { // else the Store would do so a little later
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{"key", "copy"} {
		if err := s.Delete(ctx, object.DeleteRequest{Bucket: "bucket", Key: key}); err != nil {
			t.Fatal(err)
		}
	}
	s.SettleFiles(ctx)
	collectAll(t, s)
	wantEmpty(t, env, s)
}

// collectAll collects until nothing is left to collect. A body gives its bases back when it goes.
func collectAll(t testing.TB, s *object.Store) {
	t.Helper()
	for n := 1; n > 0; {
		var err error
		if n, err = s.Collect(context.Background()); err != nil {
			t.Fatal(err)
		}
	}
}

// TestTidyGivesBytesBack overwrites a file again and again, and finds it no larger than a few times its size.
func TestTidyGivesBytesBack(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	env := objecttest.New()
	s := env.Open(t, editLayout)
	newBucket(t, s, "bucket")
	want := data(50_000, 1)
	put(t, s, "bucket", "key", want)
	f, err := s.OpenFile(ctx, "bucket", "key")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for i := range 40 {
		for off := 0; off < len(want); off += 5000 {
			p := data(4000, byte(i))
			if _, err := f.WriteAt(ctx, p, int64(off)); err != nil {
				t.Fatal(err)
			}
			copy(want[off:], p)
		}
		if err := f.Sync(ctx); err != nil {
			t.Fatal(err)
		}
	}
	if err := f.Tidy(ctx); err != nil {
		t.Fatal(err)
	}
	collectAll(t, s)
	var held int64
	for info, err := range env.Chunks.List(ctx) {
		if err != nil {
			t.Fatal(err)
		}
		held += info.Size
	}
	if held > 3*int64(len(want)) {
		t.Errorf("%d bytes are held for %d", held, len(want))
	}
	if got := read(t, s, object.GetRequest{Bucket: "bucket", Key: "key"}); !bytes.Equal(got, want) {
		t.Error("tidying changed the bytes")
	}
}

// TestCompaction writes a log line by line, each of them durable, and finds it in few runs afterwards.
func TestCompaction(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	env := objecttest.New()
	s := env.Open(t, nil)
	newBucket(t, s, "bucket")
	f, err := s.CreateFile(ctx, object.CreateRequest{Bucket: "bucket", Key: "log", Attr: object.Attributes{Mode: 0o100644}})
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var want []byte
	for i := range 1000 {
		line := data(100, byte(i))
		if _, _, err := f.Append(ctx, line); err != nil {
			t.Fatal(err)
		}
		if err := f.Sync(ctx); err != nil {
			t.Fatal(err)
		}
		want = append(want, line...)
	}
	collectAll(t, s)
	_, before := leftovers(t, env)
	tag := f.Node().Info.ETag
	if err := f.Tidy(ctx); err != nil {
		t.Fatal(err)
	}
	collectAll(t, s)
	if _, after := leftovers(t, env); before['d'] < 1000 || after['d'] > 10 || after['e'] > 1 {
		t.Errorf("%d chunks in the metastore became %d, with %d pages", before['d'], after['d'], after['e'])
	}
	if now := f.Node().Info.ETag; now != tag {
		t.Errorf("the entity tag was %s and is %s", tag, now)
	}
	if got := read(t, s, object.GetRequest{Bucket: "bucket", Key: "log"}); !bytes.Equal(got, want) {
		t.Error("the bytes changed")
	}
}

// TestCompactionBesideWrites writes to a file while it is compacted: neither undoes the other.
func TestCompactionBesideWrites(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	env := objecttest.New()
	s := env.Open(t, nil)
	newBucket(t, s, "bucket")
	f, err := s.CreateFile(ctx, object.CreateRequest{Bucket: "bucket", Key: "log", Attr: object.Attributes{Mode: 0o100644}})
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	const stretches, stretch = 24, 4 << 20
	for i := range stretches {
		for j := range 80 { // more than a stretch may have
			if _, err := f.WriteAt(ctx, data(100, byte(i)), int64(i*stretch+2*j*100)); err != nil {
				t.Fatal(err)
			}
		}
		if err := f.Sync(ctx); err != nil {
			t.Fatal(err)
		}
	}
	written := make(chan error)
	_, before := leftovers(t, env)
	go func() {
		_, err := f.WriteAt(ctx, []byte("meanwhile"), 0)
		written <- err
	}()
	if err := f.Tidy(ctx); err != nil {
		t.Fatal(err)
	}
	if err := <-written; err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(f.Sync(ctx), f.Tidy(ctx)); err != nil {
		t.Fatal(err)
	}
	collectAll(t, s)
	if _, after := leftovers(t, env); after['d'] > before['d'] {
		t.Errorf("%d chunks in the metastore became %d", before['d'], after['d'])
	}
	p := make([]byte, 300)
	for i := range stretches {
		want := append(append(data(100, byte(i)), make([]byte, 100)...), data(100, byte(i))...)
		if i == 0 {
			copy(want, "meanwhile")
		}
		if _, err := f.ReadAt(ctx, p, int64(i*stretch)); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(p, want) {
			t.Fatalf("stretch %d has other bytes", i)
		}
	}
}

// TestReaderKeepsItsVersionOfAFile reads through S3 what edits have left behind meanwhile.
func TestReaderKeepsItsVersionOfAFile(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	s := objecttest.New().Open(t, editLayout)
	newBucket(t, s, "bucket")
	want := data(600_000, 1)
	put(t, s, "bucket", "key", want)
	f, err := s.OpenFile(ctx, "bucket", "key")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for i := range 3 {
		r, err := s.Get(ctx, object.GetRequest{Bucket: "bucket", Key: "key"})
		if err != nil {
			t.Fatal(err)
		}
		before := bytes.Clone(want)
		for off := 0; off < len(want); off += 3000 {
			p := data(2999, byte(i+2))
			if _, err := f.WriteAt(ctx, p, int64(min(off, len(want)-len(p)))); err != nil {
				t.Fatal(err)
			}
			copy(want[min(off, len(want)-len(p)):], p)
		}
		if err := f.Sync(ctx); err != nil {
			t.Fatal(err)
		}
		if err := f.Tidy(ctx); err != nil {
			t.Fatal(err)
		}
		if _, err := s.Collect(ctx); err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(r)
		if err := errors.Join(err, r.Close()); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, before) {
			t.Fatal("a reader saw a mixture")
		}
	}
}

func TestETagOfFiles(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	body := data(20_000, 7)
	for name, test := range map[string]struct {
		write func(*object.File) error
		md5   bool
	}{
		"in order": {func(f *object.File) error {
			for off := 0; off < len(body); off += 900 {
				if _, err := f.WriteAt(ctx, body[off:min(off+900, len(body))], int64(off)); err != nil {
					return err
				}
			}
			return nil
		}, true},
		"again": {func(f *object.File) error {
			for range 2 {
				if _, err := f.WriteAt(ctx, body, 0); err != nil {
					return err
				}
			}
			return nil
		}, false},
		"backwards": {func(f *object.File) error {
			for off := len(body) - 1000; off >= 0; off -= 1000 {
				if _, err := f.WriteAt(ctx, body[off:off+1000], int64(off)); err != nil {
					return err
				}
			}
			return nil
		}, false},
		"committed on the way": {func(f *object.File) error {
			if _, err := f.WriteAt(ctx, body[:900], 0); err != nil {
				return err
			}
			if err := f.Sync(ctx); err != nil {
				return err
			}
			_, err := f.WriteAt(ctx, body[900:], 900)
			return err
		}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := objecttest.New().Open(t, editLayout)
			newBucket(t, s, "bucket")
			f, err := s.CreateFile(ctx, object.CreateRequest{Bucket: "bucket", Key: "key", Attr: object.Attributes{Mode: 0o100644}})
			if err == nil {
				err = test.write(f)
			}
			if err == nil {
				err = f.Sync(ctx)
			}
			if err := errors.Join(err, f.Close()); err != nil {
				t.Fatal(err)
			}
			sel, err := s.Head(ctx, object.GetRequest{Bucket: "bucket", Key: "key"})
			if err != nil {
				t.Fatal(err)
			}
			sum := md5.Sum(body)
			if md5 := hex.EncodeToString(sum[:]); (sel.Info.ETag == md5) != test.md5 || (!test.md5 && len(sel.Info.ETag) != 34) {
				t.Errorf("entity tag %s, MD5 %s", sel.Info.ETag, md5)
			}
			if got := read(t, s, object.GetRequest{Bucket: "bucket", Key: "key"}); !bytes.Equal(got, body) {
				t.Error("other bytes")
			}
		})
	}
}
