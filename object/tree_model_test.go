package object_test

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"coffer/chunk/memchunk"
	"coffer/metastore"
	"coffer/metastore/memdb"
	"coffer/object"
	"coffer/object/objecttest"
)

// treeModel is a bucket as a plain map, changed through S3 and through a mount, while renames of directories are under
// way and are stepped at random. Names of one file share a *treeFile. Whatever is committed on the way is kept as a
// crash would find it: an engine that is opened over it must show the bucket as it was or as it is.
type treeModel struct {
	ctx   context.Context
	env   *objecttest.Env
	disk  *cutting
	store *object.Store
	files map[string]*treeFile
	made  int
	batch int // of the mover

	incoming map[string]*treeFile // by the names that a rename gives
}

type treeFile struct{ body []byte }

// cutting is a metastore that keeps what a crash after each commit would find.
type cutting struct {
	*memdb.DB
	cuts []*memdb.DB
}

func (c *cutting) Apply(ctx context.Context, b metastore.Batch) (uint64, error) {
	n, err := c.DB.Apply(ctx, b)
	if err == nil {
		c.cuts = append(c.cuts, c.Crash())
	}
	return n, err
}

func TestTreeAgreesWithAMap(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		m := &treeModel{ctx: context.Background(), disk: &cutting{DB: memdb.New()}, files: map[string]*treeFile{}}
		m.batch = rapid.SampledFrom([]int{1, 1, 3, 40}).Draw(rt, "batch")
		m.env = objecttest.NewOver(m.disk, memchunk.New(memchunk.Options{}))
		m.open(rt)
		defer func() { _ = m.store.Close() }()
		if _, err := m.store.CreateBucket(m.ctx, "bucket"); err != nil {
			rt.Fatal(err)
		}
		for range 8 {
			m.put(rt)
		}
		rt.Repeat(map[string]func(*rapid.T){
			"put": m.atomic(m.put), "delete": m.atomic(m.delete), "copy": m.atomic(m.copy), "mkdir": m.atomic(m.mkdir),
			"rmdir": m.atomic(m.rmdir), "unlink": m.atomic(m.unlink), "link": m.atomic(m.link), "chmod": m.atomic(m.chmod),
			"rename file": m.atomic(m.renameFile), "rename directory": m.atomic(m.renameDir),
			"rename directory again": m.atomic(m.renameDir), "and again": m.atomic(m.renameDir), "complete": m.atomic(m.complete), "step": m.step, "restart": m.restart,
			"list": m.list, "read directory": m.readDir, "": m.check,
		})
	})
}

func (m *treeModel) open(rt *rapid.T) {
	opts := m.env.Options()
	smallLayout(&opts)
	object.HoldMover(&opts, m.batch)
	var err error
	if m.store, err = object.Open(m.ctx, opts); err != nil {
		rt.Fatal(err)
	}
	if _, err := m.store.StepMover(m.ctx); err != nil {
		rt.Fatal(err)
	}
}

func (m *treeModel) restart(rt *rapid.T) {
	if err := m.store.Close(); err != nil {
		rt.Fatal(err)
	}
	m.disk.DB = m.disk.Crash()
	m.open(rt)
}

// atomic runs an operation and looks what each crash on the way leaves.
func (m *treeModel) atomic(run func(*rapid.T)) func(*rapid.T) {
	return func(rt *rapid.T) {
		before := maps.Clone(m.files)
		m.disk.cuts = nil
		run(rt)
		for i, cut := range m.disk.cuts {
			m.recovered(rt, i, cut, before)
		}
	}
}

// recovered opens an engine over what a crash left, and lets it finish what was under way.
func (m *treeModel) recovered(rt *rapid.T, i int, cut *memdb.DB, before map[string]*treeFile) {
	env := *m.env
	env.Driver = cut
	opts := env.Options()
	smallLayout(&opts)
	object.HoldMover(&opts, m.batch)
	s, err := object.Open(m.ctx, opts)
	if err != nil {
		rt.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	first := contents(rt, s)
	for more := true; more; {
		if more, err = s.StepMover(m.ctx); err != nil {
			rt.Fatal(err)
		}
	}
	if n, err := s.RenamesUnderWay(m.ctx, "bucket"); n != 0 || err != nil {
		rt.Fatalf("cut %d: %d renames are left: %v", i, n, err)
	}
	if got := contents(rt, s); got != first || got != listing(before) && got != listing(m.files) {
		rt.Fatalf("cut %d holds %s,\nmoved %s,\nwas %s,\nis %s", i, first, got, listing(before), listing(m.files))
	}
	if err := s.CheckLinks(m.ctx); err != nil {
		rt.Fatalf("cut %d: %v", i, err)
	}
	if check, err := s.CheckCensus(m.ctx); err != nil || check.Repaired != 0 {
		rt.Fatalf("cut %d: the census was wrong: %v", i, err)
	}
}

// contents and listing write a bucket and a model down in the same way.
func contents(rt *rapid.T, s *object.Store) string {
	page, err := s.List(context.Background(), object.ListRequest{Bucket: "bucket", Max: object.MaxListKeys})
	if err != nil {
		rt.Fatal(err)
	}
	var out strings.Builder
	for _, o := range page.Objects {
		fmt.Fprintf(&out, "%s=%d ", o.Key, o.Size)
	}
	return out.String()
}

func listing(files map[string]*treeFile) string {
	var out strings.Builder
	for _, key := range slices.Sorted(maps.Keys(files)) {
		fmt.Fprintf(&out, "%s=%d ", key, len(files[key].body))
	}
	return out.String()
}

var (
	segments = rapid.SampledFrom([]string{"x", "y", "x", "y", "z"})
	treeDirs = rapid.Map(rapid.SliceOfN(segments, 1, 3), func(s []string) string { return strings.Join(s, "/") + "/" })
	treeKeys = rapid.Map(treeDirs, func(d string) string { return d[:len(d)-1] })
	anyKeys  = rapid.OneOf(treeKeys, treeKeys, treeKeys, treeDirs)
)

func (m *treeModel) fresh() *treeFile {
	m.made++
	return &treeFile{body: data(m.made%90+1, byte(m.made))} // sizes tell files apart in a listing
}

func parent(key string) string {
	return key[:strings.LastIndexByte(strings.TrimSuffix(key, "/"), '/')+1]
}

// touch notes that a mount changed something in the directory of a key.
func (m *treeModel) touch(key string) { m.mark(parent(key)) }

func (m *treeModel) mark(dir string) {
	if dir != "" && m.files[dir] == nil {
		m.files[dir] = &treeFile{}
	}
}

func (m *treeModel) below(dir string) bool {
	for key := range m.files {
		if key != dir && strings.HasPrefix(key, dir) {
			return true
		}
	}
	return false
}

func (m *treeModel) exists(dir string) bool { return m.files[dir] != nil || m.below(dir) }

// want checks the kind of an error: 0 is success.
func (m *treeModel) want(rt *rapid.T, err error, want object.Kind) bool {
	if want == 0 && err != nil || want != 0 && (err == nil || object.KindOf(err) != want) {
		rt.Fatalf("error %v, want kind %d", err, want)
	}
	return want == 0
}

// either is kind where cond holds.
func either(cond bool, kind, otherwise object.Kind) object.Kind {
	if cond {
		return kind
	}
	return otherwise
}

func (m *treeModel) put(rt *rapid.T) {
	key, f := anyKeys.Draw(rt, "key"), m.fresh()
	_, err := m.store.Put(m.ctx, object.PutRequest{Bucket: "bucket", Key: key, Body: bytes.NewReader(f.body), Size: int64(len(f.body))})
	m.want(rt, err, 0)
	m.files[key] = f
}

func (m *treeModel) complete(rt *rapid.T) {
	key, f := treeKeys.Draw(rt, "key"), m.fresh()
	m.want(rt, uploadOnePart(m.ctx, m.store, key, f.body), 0)
	m.files[key] = f
}

func (m *treeModel) delete(rt *rapid.T) {
	key := anyKeys.Draw(rt, "key")
	m.want(rt, m.store.Delete(m.ctx, object.DeleteRequest{Bucket: "bucket", Key: key}), 0)
	delete(m.files, key)
}

func (m *treeModel) copy(rt *rapid.T) {
	from, to := treeKeys.Draw(rt, "from"), treeKeys.Draw(rt, "to")
	f := m.files[from]
	_, err := m.store.Copy(m.ctx, object.CopyRequest{SourceBucket: "bucket", SourceKey: from, Bucket: "bucket", Key: to})
	if m.want(rt, err, either(f == nil, object.KindNoSuchKey, either(from == to, object.KindInvalidRequest, 0))) {
		m.files[to] = &treeFile{body: f.body}
	}
}

func (m *treeModel) mkdir(rt *rapid.T) {
	dir := treeDirs.Draw(rt, "dir")
	_, err := m.store.MakeDir(m.ctx, "bucket", dir, object.Attributes{Mode: 0o040755})
	if m.want(rt, err, either(m.exists(dir) || m.files[dir[:len(dir)-1]] != nil, object.KindExists, 0)) {
		m.mark(dir)
		m.touch(dir)
	}
}

func (m *treeModel) rmdir(rt *rapid.T) {
	dir := treeDirs.Draw(rt, "dir")
	want := either(m.below(dir), object.KindNotEmpty, either(m.files[dir] == nil, object.KindNoSuchKey, 0))
	if m.want(rt, m.store.RemoveDir(m.ctx, "bucket", dir), want) {
		delete(m.files, dir)
		m.touch(dir)
	}
}

func (m *treeModel) unlink(rt *rapid.T) {
	key := treeKeys.Draw(rt, "key")
	if m.want(rt, m.store.Unlink(m.ctx, "bucket", key), either(m.files[key] == nil, object.KindNoSuchKey, 0)) {
		delete(m.files, key)
		m.touch(key)
	}
}

func (m *treeModel) link(rt *rapid.T) {
	from, to := treeKeys.Draw(rt, "from"), treeKeys.Draw(rt, "to")
	_, err := m.store.Link(m.ctx, "bucket", from, to)
	want := either(m.files[from] == nil, object.KindNoSuchKey, either(m.files[to] != nil, object.KindExists, 0))
	if m.want(rt, err, want) {
		m.files[to] = m.files[from]
		m.touch(to)
	}
}

func (m *treeModel) chmod(rt *rapid.T) {
	key, mode := anyKeys.Draw(rt, "key"), uint32(0o600)
	there := m.files[key] != nil
	if strings.HasSuffix(key, "/") {
		there = m.exists(key)
	}
	_, err := m.store.SetAttributes(m.ctx, "bucket", key, object.AttributeChange{Mode: &mode})
	if m.want(rt, err, either(!there, object.KindNoSuchKey, 0)) && strings.HasSuffix(key, "/") {
		m.mark(key)
	}
}

func (m *treeModel) renameFile(rt *rapid.T) {
	req := object.RenameRequest{Bucket: "bucket", From: treeKeys.Draw(rt, "from"), To: treeKeys.Draw(rt, "to")}
	req.NoReplace = rapid.Bool().Draw(rt, "no replace")
	req.Exchange = !req.NoReplace && rapid.Bool().Draw(rt, "exchange")
	from, to := m.files[req.From], m.files[req.To]
	want := either(from == nil || to == nil && req.Exchange, object.KindNoSuchKey, either(to != nil && req.NoReplace, object.KindExists, 0))
	if !m.want(rt, m.store.Rename(m.ctx, req), want) || from == to {
		return
	}
	m.files[req.To] = from
	if delete(m.files, req.From); req.Exchange {
		m.files[req.From] = to
	}
	m.touch(req.From)
	m.touch(req.To)
}

func (m *treeModel) renameDir(rt *rapid.T) {
	req := object.RenameRequest{Bucket: "bucket", From: treeDirs.Draw(rt, "from"), To: treeDirs.Draw(rt, "to")}
	if full := m.fullDirs(); len(full) > 0 && rapid.IntRange(0, 3).Draw(rt, "likely") > 0 {
		req.From = rapid.SampledFrom(full).Draw(rt, "full")
		if m.exists(req.To) {
			req.To = rapid.SampledFrom([]string{"w/", "x/w/", "y/w/", "w/w/"}).Draw(rt, "new")
		}
	}
	req.NoReplace = rapid.Bool().Draw(rt, "no replace")
	req.Exchange = !req.NoReplace && rapid.IntRange(0, 3).Draw(rt, "exchange") == 0
	if full := m.fullDirs(); len(full) > 0 && req.Exchange {
		req.To = rapid.SampledFrom(full).Draw(rt, "other")
	}
	same := req.From == req.To
	want := either(!m.exists(req.From) || req.Exchange && !m.exists(req.To), object.KindNoSuchKey,
		either(!same && m.exists(req.To) && req.NoReplace, object.KindExists,
			either(!same && !req.Exchange && m.below(req.To), object.KindNotEmpty, 0)))
	if !same && (strings.HasPrefix(req.To, req.From) || req.Exchange && strings.HasPrefix(req.From, req.To)) {
		want = object.KindInvalidArgument
	}
	if !m.want(rt, m.store.Rename(m.ctx, req), want) || same {
		return
	}
	m.mark(req.From)
	if !req.Exchange {
		delete(m.files, req.To)
	}
	if req.Exchange {
		m.mark(req.To)
	}
	for key, f := range maps.Clone(m.files) {
		if rest, ok := strings.CutPrefix(key, req.From); ok {
			m.moved(key, req.To+rest, f)
		} else if rest, ok := strings.CutPrefix(key, req.To); ok && req.Exchange {
			m.moved(key, req.From+rest, f)
		}
	}
	for key, f := range m.incoming {
		m.files[key] = f
	}
	m.incoming = nil
	m.touch(req.From)
	m.touch(req.To)
}

// moved takes a file off its name and lays it aside for another.
func (m *treeModel) moved(from, to string, f *treeFile) {
	if m.incoming == nil {
		m.incoming = map[string]*treeFile{}
	}
	delete(m.files, from)
	m.incoming[to] = f
}

// fullDirs are the directories that have something in them.
func (m *treeModel) fullDirs() []string {
	full := map[string]bool{}
	for key := range m.files {
		for dir := parent(key); dir != ""; dir = parent(dir) {
			full[dir] = true
		}
	}
	return slices.Sorted(maps.Keys(full))
}

func (m *treeModel) step(rt *rapid.T) {
	if _, err := m.store.StepMover(m.ctx); err != nil {
		rt.Fatal(err)
	}
}

func (m *treeModel) list(rt *rapid.T) {
	lm := &model{ctx: m.ctx, store: m.store, objects: map[string][]byte{}, etags: map[string]string{}}
	for key, f := range m.files {
		lm.objects[key] = f.body
	}
	req := object.ListRequest{
		Bucket: "bucket", Prefix: rapid.SampledFrom([]string{"", "x", "x/", "x/y", "x/y/", "y/", "z/z/z"}).Draw(rt, "prefix"),
		Delimiter: rapid.SampledFrom([]string{"", "/", "y"}).Draw(rt, "delimiter"), Max: rapid.IntRange(1, 4).Draw(rt, "max"),
	}
	if rapid.Bool().Draw(rt, "start after") {
		req.After.Key = anyKeys.Draw(rt, "after")
	}
	want := lm.expectList(&req)
	var got []string
	for more := true; more; {
		page, err := m.store.List(m.ctx, req)
		m.want(rt, err, 0)
		var names []string
		for _, o := range page.Objects {
			names = append(names, o.Key)
		}
		for _, p := range page.Prefixes {
			names = append(names, p+" folded")
		}
		slices.SortFunc(names, func(a, b string) int {
			return strings.Compare(strings.TrimSuffix(a, " folded"), strings.TrimSuffix(b, " folded"))
		})
		got = append(got, names...)
		req.After, more = page.Next, page.More
	}
	if !slices.Equal(got, want) {
		rt.Fatalf("listed %q, want %q", got, want)
	}
}

func (m *treeModel) readDir(rt *rapid.T) {
	dir := rapid.OneOf(treeDirs, rapid.Just("")).Draw(rt, "dir")
	page, err := m.store.ReadDir(m.ctx, "bucket", dir, object.ListPosition{}, object.MaxListKeys)
	if !m.want(rt, err, either(dir != "" && !m.exists(dir), object.KindNoSuchKey, 0)) {
		return
	}
	want := map[string]bool{}
	for key := range m.files {
		if rest, ok := strings.CutPrefix(key, dir); ok && rest != "" {
			if i := strings.IndexByte(rest, '/'); i >= 0 {
				key = dir + rest[:i+1]
			}
			want[key] = true
		}
	}
	var got []string
	for _, n := range page.Nodes {
		got = append(got, n.Info.Key)
		if n.Directory && n.Implicit != (m.files[n.Info.Key] == nil) {
			rt.Fatalf("%+v", n)
		}
	}
	if !slices.Equal(got, slices.Sorted(maps.Keys(want))) {
		rt.Fatalf("%q has %q, want %q", dir, got, slices.Sorted(maps.Keys(want)))
	}
}

// check runs after every operation.
func (m *treeModel) check(rt *rapid.T) {
	if got, want := contents(rt, m.store), listing(m.files); got != want {
		rt.Fatalf("holds %s, want %s", got, want)
	}
	key := anyKeys.Draw(rt, "get")
	f := m.files[key]
	r, err := m.store.Get(m.ctx, object.GetRequest{Bucket: "bucket", Key: key})
	if !m.want(rt, err, either(f == nil, object.KindNoSuchKey, 0)) {
		return
	}
	(&model{}).compare(rt, r, f.body)
	links := uint32(0)
	for _, g := range m.files {
		if g == f {
			links++
		}
	}
	if n, err := m.store.Stat(m.ctx, "bucket", key); err != nil || n.Links != links {
		rt.Fatalf("%q has %d names, want %d: %v", key, n.Links, links, err)
	}
}
