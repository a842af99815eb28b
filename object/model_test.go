package object_test

import (
	"bytes"
	"context"
	"crypto/md5"
	"encoding/hex"
	"fmt"
	"slices"
	"sort"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"coffer/chunk/memchunk"
	"coffer/cipher"
	"coffer/metastore"
	"coffer/metastore/badgerdb"
	"coffer/metastore/memdb"
	"coffer/object"
	"coffer/object/objecttest"
)

// The model of a bucket is a map. Random operations run on a Store and on the map, and every answer is compared; small
// sizes of inline bodies, chunks and frames let little data cross every boundary.
func TestStoreAgreesWithAMap(t *testing.T) {
	t.Parallel()
	for name, open := range map[string]func(*rapid.T, testing.TB) restartable{
		"memdb":    openMemory,
		"badgerdb": openBadger,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			rapid.Check(t, func(rt *rapid.T) {
				m := &model{
					ctx: context.Background(), driver: open(rt, t), objects: map[string][]byte{}, etags: map[string]string{},
					meta: map[string]string{}, uploads: map[string]*modelUpload{},
				}
				m.open(rt)
				defer m.close(rt)
				rt.Repeat(map[string]func(*rapid.T){
					"put": m.put, "conditional put": m.conditionalPut, "get": m.get, "range": m.getRange, "delete": m.delete,
					"copy": m.copy, "copy onto itself": m.copyOntoItself, "list": m.list, "restart": m.restart,
					"begin upload": m.beginUpload, "put part": m.putPart, "copy part": m.copyPart, "complete": m.complete,
					"abort": m.abort, "collect": m.collect, "": m.checkSize,
				})
			})
		})
	}
}

// restartable is a metastore driver that can be closed and opened again.
type restartable interface {
	reopen(rt *rapid.T) metastore.Driver
}

type memory struct{ db *memdb.DB }

func openMemory(*rapid.T, testing.TB) restartable { return &memory{memdb.New()} }

func (m *memory) reopen(*rapid.T) metastore.Driver {
	m.db = m.db.Crash()
	return m.db
}

type badger struct {
	dir string
	key *cipher.Subkey
	db  *badgerdb.DB
}

func openBadger(_ *rapid.T, tb testing.TB) restartable {
	key := cipher.NewStoreKey()
	return &badger{dir: tb.TempDir(), key: key.Derive(cipher.LabelBadger)}
}

func (b *badger) reopen(rt *rapid.T) metastore.Driver {
	if b.db != nil {
		if err := b.db.Close(); err != nil {
			rt.Fatal(err)
		}
	}
	db, err := badgerdb.Open(context.Background(), badgerdb.Options{Dir: b.dir, EncryptionKey: b.key})
	if err != nil {
		rt.Fatal(err)
	}
	b.db = db
	return db
}

type model struct {
	ctx    context.Context
	driver restartable
	env    *objecttest.Env
	store  *object.Store

	objects map[string][]byte
	etags   map[string]string
	meta    map[string]string // the value of one user metadata entry
	uploads map[string]*modelUpload
	made    int // bodies made, so that no two are alike
}

type modelUpload struct {
	key   string
	parts map[int][]byte
	etags map[int]string
}

func (m *model) open(rt *rapid.T) {
	m.env = objecttest.NewOver(m.driver.reopen(rt), memchunk.New(memchunk.Options{}))
	m.start(rt)
	if _, err := m.store.CreateBucket(m.ctx, "bucket"); err != nil {
		rt.Fatal(err)
	}
}

func (m *model) start(rt *rapid.T) {
	opts := m.env.Options()
	smallLayout(&opts)
	store, err := object.Open(m.ctx, opts)
	if err != nil {
		rt.Fatal(err)
	}
	m.store = store
}

func (m *model) close(rt *rapid.T) {
	if err := m.store.Close(); err != nil {
		rt.Fatal(err)
	}
	if err := m.env.Driver.Close(); err != nil {
		rt.Fatal(err)
	}
}

func (m *model) restart(rt *rapid.T) {
	if err := m.store.Close(); err != nil {
		rt.Fatal(err)
	}
	m.env.Driver = m.driver.reopen(rt)
	m.start(rt)
}

var (
	keys = rapid.SampledFrom([]string{
		"a", "a/b", "a/b/c", "a/c", "a//b", "/", "..", "../a", "b", "b/", "b/x", "ba", "c\x00", "c\x00d", "c\x01", "ä", "日本", "z\xff",
	})
	bodySizes = rapid.SampledFrom([]int{0, 1, 99, 100, 101, 4097, 40_000, 40_001, 81_000})
)

func (m *model) body(rt *rapid.T) []byte {
	m.made++
	return append(data(bodySizes.Draw(rt, "size"), byte(m.made)), fmt.Sprint(m.made)...)
}

func (m *model) checkKind(rt *rapid.T, err error, want object.Kind, ok bool) {
	if ok && err != nil {
		rt.Fatalf("failed: %v", err)
	}
	if !ok && (err == nil || object.KindOf(err) != want) {
		rt.Fatalf("error %v, want kind %q", err, want)
	}
}

// stored notes that a key now holds a body.
func (m *model) stored(rt *rapid.T, key string, body []byte, meta string, info object.ObjectInfo) {
	sum := md5.Sum(body)
	if info.Parts == 0 && info.ETag != hex.EncodeToString(sum[:]) {
		rt.Fatalf("ETag %s is not the MD5 of the body", info.ETag)
	}
	m.objects[key], m.etags[key], m.meta[key] = body, info.ETag, meta
}

func (m *model) put(rt *rapid.T) {
	key, body := keys.Draw(rt, "key"), m.body(rt)
	meta := fmt.Sprint(m.made)
	info, err := m.store.Put(m.ctx, object.PutRequest{Bucket: "bucket", Key: key, Body: bytes.NewReader(body), Size: int64(len(body)),
		Meta: object.Metadata{User: map[string]string{"n": meta}}})
	m.checkKind(rt, err, 0, true)
	m.stored(rt, key, body, meta, info)
}

func (m *model) conditionalPut(rt *rapid.T) {
	key, body := keys.Draw(rt, "key"), m.body(rt)
	etag, exists := m.etags[key]
	tag := rapid.SampledFrom([]string{"*", etag, "0123", `"` + etag + `"`, `"x", "` + etag + `"`}).Draw(rt, "tag")
	matches := exists && (tag == "*" || etag != "" && strings.Contains(tag, etag))
	req := object.PutRequest{Bucket: "bucket", Key: key, Body: bytes.NewReader(body), Size: -1}
	ok, want := matches, object.KindPreconditionFailed
	if rapid.Bool().Draw(rt, "if match") {
		req.If.IfMatch = tag
		if tag == "" {
			ok = true
		} else if !exists {
			want = object.KindNoSuchKey
		}
	} else {
		req.If.IfNoneMatch = tag
		ok = !matches || tag == ""
	}
	info, err := m.store.Put(m.ctx, req)
	m.checkKind(rt, err, want, ok)
	if err == nil {
		m.stored(rt, key, body, "", info)
	}
}

func (m *model) get(rt *rapid.T) {
	key := keys.Draw(rt, "key")
	body, exists := m.objects[key]
	r, err := m.store.Get(m.ctx, object.GetRequest{Bucket: "bucket", Key: key})
	m.checkKind(rt, err, object.KindNoSuchKey, exists)
	if err != nil {
		return
	}
	m.compare(rt, r, body)
	if info := r.Selection().Info; info.ETag != m.etags[key] || info.Meta.User["n"] != m.meta[key] {
		rt.Fatalf("%q: %+v, want ETag %s and metadata %q", key, info, m.etags[key], m.meta[key])
	}
}

func (m *model) compare(rt *rapid.T, r *object.Reader, want []byte) {
	defer r.Close()
	var got bytes.Buffer
	if _, err := r.WriteTo(&got); err != nil || !bytes.Equal(got.Bytes(), want) {
		rt.Fatalf("read %d bytes, want %d: %v", got.Len(), len(want), err)
	}
}

func (m *model) getRange(rt *rapid.T) {
	key := keys.Draw(rt, "key")
	body, exists := m.objects[key]
	size := int64(len(body))
	first := rapid.Int64Range(-1, size+10).Draw(rt, "first")
	last := rapid.Int64Range(max(first, 0), size+10).Draw(rt, "last")
	from, to := first, min(last+1, size)
	if first < 0 {
		from, to = max(size-last, 0), size
	}
	ok := exists && from < to
	want := object.KindInvalidRange
	if !exists {
		want = object.KindNoSuchKey
	}
	r, err := m.store.Get(m.ctx, object.GetRequest{Bucket: "bucket", Key: key, Range: &object.RangeSpec{First: first, Last: last}})
	m.checkKind(rt, err, want, ok)
	if err == nil {
		m.compare(rt, r, body[from:to])
	}
}

func (m *model) delete(rt *rapid.T) {
	key := keys.Draw(rt, "key")
	m.checkKind(rt, m.store.Delete(m.ctx, object.DeleteRequest{Bucket: "bucket", Key: key}), 0, true)
	m.forget(key)
}

func (m *model) forget(key string) {
	delete(m.objects, key)
	delete(m.etags, key)
	delete(m.meta, key)
}

func (m *model) copy(rt *rapid.T) {
	from, to := keys.Draw(rt, "from"), keys.Draw(rt, "to")
	body, exists := m.objects[from]
	want := object.KindNoSuchKey
	if from == to && exists {
		exists, want = false, object.KindInvalidRequest
	}
	info, err := m.store.Copy(m.ctx, object.CopyRequest{SourceBucket: "bucket", SourceKey: from, Bucket: "bucket", Key: to})
	m.checkKind(rt, err, want, exists)
	if err == nil {
		m.stored(rt, to, body, m.meta[from], info)
	}
}

func (m *model) copyOntoItself(rt *rapid.T) {
	key := keys.Draw(rt, "key")
	body, exists := m.objects[key]
	info, err := m.store.Copy(m.ctx, object.CopyRequest{SourceBucket: "bucket", SourceKey: key, Bucket: "bucket", Key: key,
		Meta: &object.Metadata{User: map[string]string{"n": "self"}}})
	m.checkKind(rt, err, object.KindNoSuchKey, exists)
	if err == nil {
		m.stored(rt, key, body, "self", info)
	}
}

// list pages through the bucket and compares with a plain computation over the map.
func (m *model) list(rt *rapid.T) {
	req := object.ListRequest{
		Bucket: "bucket", Prefix: rapid.SampledFrom([]string{"", "a", "a/", "b", "c\x00", "none", "ä"}).Draw(rt, "prefix"),
		Delimiter: rapid.SampledFrom([]string{"", "/", "b", "//", "\x00"}).Draw(rt, "delimiter"),
		Max:       rapid.IntRange(1, 5).Draw(rt, "max"),
	}
	if rapid.Bool().Draw(rt, "start after") {
		req.After.Key = keys.Draw(rt, "after")
	}
	want := m.expectList(&req)
	var got []string
	for {
		page, err := m.store.List(m.ctx, req)
		m.checkKind(rt, err, 0, true)
		n := len(page.Objects) + len(page.Prefixes)
		if n > req.Max || (page.More && n < req.Max) {
			rt.Fatalf("page of %d entries, at most %d, more: %v", n, req.Max, page.More)
		}
		var names []string
		for _, o := range page.Objects {
			names = append(names, o.Key)
			if o.ETag != m.etags[o.Key] || o.Size != int64(len(m.objects[o.Key])) {
				rt.Fatalf("listed %+v", o)
			}
		}
		for _, p := range page.Prefixes {
			names = append(names, p+" folded")
		}
		sort.Slice(names, func(i, j int) bool {
			return strings.TrimSuffix(names[i], " folded") < strings.TrimSuffix(names[j], " folded")
		})
		got = append(got, names...)
		if !page.More {
			break
		}
		req.After = page.Next
	}
	if !slices.Equal(got, want) {
		rt.Fatalf("listed %q, want %q", got, want)
	}
}

func (m *model) expectList(req *object.ListRequest) []string {
	all := make([]string, 0, len(m.objects))
	for key := range m.objects {
		all = append(all, key)
	}
	sort.Strings(all)
	var want []string
	for _, key := range all {
		if !strings.HasPrefix(key, req.Prefix) || key <= req.After.Key {
			continue
		}
		name := key
		if req.Delimiter != "" {
			if i := strings.Index(key[len(req.Prefix):], req.Delimiter); i >= 0 {
				name = key[:len(req.Prefix)+i+len(req.Delimiter)] + " folded"
			}
		}
		if len(want) == 0 || want[len(want)-1] != name {
			want = append(want, name)
		}
	}
	return want
}

func (m *model) beginUpload(rt *rapid.T) {
	if len(m.uploads) >= 3 {
		return
	}
	key := keys.Draw(rt, "key")
	u, err := m.store.CreateUpload(m.ctx, object.UploadRequest{Bucket: "bucket", Key: key})
	m.checkKind(rt, err, 0, true)
	m.uploads[u.UploadID] = &modelUpload{key: key, parts: map[int][]byte{}, etags: map[int]string{}}
}

// pick draws one of the uploads, "" when there is none.
func (m *model) pick(rt *rapid.T) (string, *modelUpload) {
	if len(m.uploads) == 0 {
		return "", nil
	}
	ids := make([]string, 0, len(m.uploads))
	for id := range m.uploads {
		ids = append(ids, id)
	}
	sort.Slice(ids, func(i, j int) bool { return m.uploads[ids[i]].key+ids[i] < m.uploads[ids[j]].key+ids[j] })
	id := ids[rapid.IntRange(0, len(ids)-1).Draw(rt, "upload")]
	return id, m.uploads[id]
}

func (m *model) putPart(rt *rapid.T) {
	id, u := m.pick(rt)
	if u == nil {
		return
	}
	number, body := rapid.IntRange(1, 3).Draw(rt, "number"), m.body(rt)
	p, err := m.store.PutPart(m.ctx, object.PartRequest{Bucket: "bucket", Key: u.key, UploadID: id, Number: number,
		Body: bytes.NewReader(body), Size: int64(len(body))})
	m.checkKind(rt, err, 0, true)
	u.parts[number], u.etags[number] = body, p.ETag
}

func (m *model) copyPart(rt *rapid.T) {
	id, u := m.pick(rt)
	if u == nil {
		return
	}
	from := keys.Draw(rt, "from")
	body, exists := m.objects[from]
	p, err := m.store.CopyPart(m.ctx, object.CopyPartRequest{SourceBucket: "bucket", SourceKey: from, Bucket: "bucket", Key: u.key,
		UploadID: id, Number: 1})
	m.checkKind(rt, err, object.KindNoSuchKey, exists)
	if err == nil {
		u.parts[1], u.etags[1] = body, p.ETag
	}
}

// complete uses one part of an upload, since parts before the last one would have to be large.
func (m *model) complete(rt *rapid.T) {
	id, u := m.pick(rt)
	if u == nil {
		return
	}
	number := rapid.IntRange(1, 3).Draw(rt, "number")
	body, exists := u.parts[number]
	req := object.CompleteRequest{Bucket: "bucket", Key: u.key, UploadID: id, Size: -1,
		Parts: []object.CompletedPart{{Number: number, ETag: u.etags[number]}}}
	info, err := m.store.CompleteUpload(m.ctx, req)
	m.checkKind(rt, err, object.KindInvalidPart, exists)
	if err != nil {
		return
	}
	m.stored(rt, u.key, body, "", info)
	delete(m.uploads, id)
	again, err := m.store.CompleteUpload(m.ctx, req)
	m.checkKind(rt, err, 0, true)
	if again.ETag != info.ETag {
		rt.Fatalf("completed again: %+v, before %+v", again, info)
	}
}

func (m *model) abort(rt *rapid.T) {
	id, u := m.pick(rt)
	if u == nil {
		return
	}
	m.checkKind(rt, m.store.AbortUpload(m.ctx, "bucket", u.key, id), 0, true)
	delete(m.uploads, id)
	m.checkKind(rt, m.store.AbortUpload(m.ctx, "bucket", u.key, id), object.KindNoSuchUpload, false)
}

func (m *model) collect(rt *rapid.T) {
	_, err := m.store.Collect(m.ctx)
	m.checkKind(rt, err, 0, true)
}

// checkSize runs after every operation: the listing has as many keys as the map, and the uploads are those begun.
func (m *model) checkSize(rt *rapid.T) {
	page, err := m.store.List(m.ctx, object.ListRequest{Bucket: "bucket", Max: object.MaxListKeys})
	m.checkKind(rt, err, 0, true)
	uploads, err := m.store.ListUploads(m.ctx, object.ListUploadsRequest{Bucket: "bucket", Max: object.MaxListKeys})
	m.checkKind(rt, err, 0, true)
	if len(page.Objects) != len(m.objects) || len(uploads.Uploads) != len(m.uploads) {
		rt.Fatalf("%d objects and %d uploads, want %d and %d", len(page.Objects), len(uploads.Uploads), len(m.objects), len(m.uploads))
	}
}
