package object

import (
	"bytes"
	"encoding/hex"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"coffer/cipher"
	"coffer/object/checksum"
)

var makeGolden = flag.Bool("golden.make", false, "write golden files that do not exist yet; existing ones are never changed")

// ident returns an identifier that is easy to find in a hex dump.
func ident(b byte) (id [16]byte) {
	for i := range id {
		id[i] = b
	}
	return id
}

// goldenValues has one value of everything that is stored, with every field set somewhere.
func goldenValues() map[string]formatted {
	extents := []extent{
		{Offset: 0, Length: 64 << 20, Chunk: ident(0xc1), Place: inChunkStore},
		{Offset: 64 << 20, Length: 700, Chunk: ident(0xc2), At: 300, Slot: 1, Place: inMetastore},
	}
	parts := []partEntry{
		{Number: 1, Offset: 0, Size: 64 << 20, MD5: bytes.Repeat([]byte{0xa1}, 16), Checksum: []byte{1, 2, 3, 4}, ModTime: 1_700_000_000_000_000_001},
		{Number: 7, Offset: 64 << 20, Size: 700, MD5: bytes.Repeat([]byte{0xa2}, 16), ModTime: 1_700_000_000_000_000_002},
	}
	refs := []pageRef{{First: 0, Page: ident(0xe1)}, {First: 1 << 40, Page: ident(0xe2)}}
	meta := metadata{
		ContentType: "text/plain", CacheControl: "no-cache", ContentDisposition: "inline", ContentEncoding: "gzip",
		ContentLanguage: "de", Expires: "Thu, 01 Dec 2033 16:00:00 GMT", WebsiteRedirect: "/other", StorageClass: "STANDARD_IA",
		User: map[string]string{"a": "1", "name": "value"},
	}
	return map[string]formatted{
		"record-small": &record{
			Format: 1, Kind: kindObject, Object: ident(0x01), Size: 3, ModTime: 1_700_000_000_123_456_789,
			ETag: "900150983cd24fb0d6963f7d28e17f72", Keys: [][]byte{{0x5e, 0xa1}}, Inode: 2,
			Body: body{ID: ident(0xb0), Extents: []extent{{Length: 3, Chunk: ident(0xc0), Place: inMetastore}}},
		},
		"record-full": &record{
			Format: 1, Kind: kindObject, Object: ident(0x01), Version: ident(0x02), Size: 64<<20 + 700,
			ModTime: 1_700_000_000_123_456_789, ETag: "0123456789abcdef0123456789abcdef-2", Meta: meta,
			Checksum: storedChecksum{Algorithm: checksum.CRC32C, Type: checksum.Composite, Value: []byte{9, 8, 7, 6}, Parts: 2},
			Keys:     [][]byte{{0x5e, 0xa1}, {0x5e, 0xa2}}, Body: body{ID: ident(0xb1), Extents: extents},
			Parts: partTable{Count: 2, Inline: parts}, Upload: ident(0x0f), Inode: 65538, Links: 2,
			Attributes: &attributes{Mode: 0o100644, UID: 1000, GID: 100, AccessTime: 1, ChangeTime: 2, BirthTime: 3, Device: 4,
				Extended: map[string][]byte{"user.color": []byte("red")}},
		},
		"record-paged": &record{
			Format: 1, Kind: kindObject, Object: ident(0x01), Size: 1 << 41, ModTime: 1, ETag: "0123456789abcdef0123456789abcdef-9000",
			Keys: [][]byte{{0x5e, 0xa1}}, Body: body{ID: ident(0xb2), Depth: 1, Pages: refs}, Parts: partTable{Count: 9000, Pages: refs}, Inode: 3,
		},
		"record-delete-marker": &record{Format: 1, Kind: kindDeleteMarker, Object: ident(0x01), Version: ident(0x03), ModTime: 1},
		"record-link":          &record{Format: 1, Kind: kindLink, Object: ident(0x01), LinkTo: ident(0x04)},
		"record-kms": &record{
			Format: 1, Kind: kindObject, Object: ident(0x01), Size: 3, ModTime: 1, ETag: "0123456789abcdef0123456789abcdef",
			Keys: [][]byte{{0x5e, 0xa3}}, Body: body{ID: ident(0xb0), Extents: []extent{{Length: 3, Chunk: ident(0xc0), Place: inMetastore}}}, Inode: 4,
			Encryption: storedEncryption{Mode: cipher.ModeSSEKMS, KeyID: "app", Context: []byte(`{"tenant":"t1"}`), BucketKey: true},
		},
		"bucket-default": &bucketRecord{
			Format: 1, ID: ident(0x06), Created: 1, Generation: 1, Last: 3, KMS: map[string]uint32{"app": 2, "other": 3},
			Encryption: bucketEncryption{Mode: cipher.ModeSSEKMS, KeyID: "app", BucketKey: true, BlockSSEC: true},
		},
		"upload-sse-c": &uploadRecord{
			Format: 1, Object: ident(0x01), Initiated: 1, Key: []byte{0x5e, 0xa4}, Encryption: storedEncryption{Mode: cipher.ModeSSEC},
		},
		"page-extents": &page{Format: 1, Extents: extents},
		"page-refs":    &page{Format: 1, Refs: refs},
		"page-parts":   &page{Format: 1, Parts: parts},
		"store":        &storeRecord{Format: 1, Store: ident(0x05), Created: 1_700_000_000_000_000_000},
		"bucket":       &bucketRecord{Format: 1, ID: ident(0x06), Created: 1_700_000_000_000_000_000, Generation: 3, Deleting: ident(0x07)},
		"kek": &kekRecord{
			Format: 1, Instance: ident(0x08), KeyID: "coffer-sse-s3", Fingerprint: ident(0x09), Version: 2, Ciphertext: []byte{1, 2, 3},
			Context: []byte(`{"bucket":"photos"}`), Created: 1_700_000_000_000_000_000, Seals: 4096,
		},
		"upload": &uploadRecord{
			Format: 1, Object: ident(0x01), Initiated: 1_700_000_000_000_000_000, Meta: meta, Algorithm: checksum.CRC64NVME,
			Type: checksum.FullObject, Key: []byte{0x5e, 0xa1}, Completing: ident(0x0a), Run: ident(0x0b),
		},
		"part": &partRecord{
			Format: 1, Size: 64<<20 + 700, MD5: bytes.Repeat([]byte{0xa1}, 16), Checksum: []byte{1, 2, 3, 4},
			ModTime: 1_700_000_000_000_000_000, Body: body{ID: ident(0xb3), Extents: extents},
		},
		"intent":         &intentRecord{Format: 1, Chunks: []cipher.ChunkID{ident(0xc3)}, Pages: []cipher.PageID{ident(0xe3)}},
		"removal-body":   &removal{Format: 1, Body: body{ID: ident(0xb4), Extents: extents}, Parts: refs},
		"removal-upload": &removal{Format: 1, Upload: ident(0x0c), Used: []byte{0x82}},
		"removal-keks":   &removal{Format: 1, Bucket: ident(0x06)},
		"count":          &countRecord{Format: 1, Count: 2},
		"count-lent":     &countRecord{Format: 1, Count: 1, Lent: true},
		"removal-garbage": &removal{Format: 1, Body: body{ID: ident(0xb4)}, Garbage: &garbage{
			Pages: []cipher.PageID{ident(0xe1)}, Files: []cipher.ChunkID{ident(0xc1)}, Inline: []cipher.ChunkID{ident(0xc2)},
		}},
		"removal-base": &removal{Format: 1, Body: body{ID: ident(0xb4)}, Base: true},
		"page-owned":   &page{Format: 1, Extents: extents, Owner: ident(0xb5)},
		"body":         &bodyRecord{Format: 1, Origin: &body{ID: ident(0xb5), Extents: extents}, Frozen: &body{ID: ident(0xb5), Depth: 1, Pages: refs}},
		"record-edited": &record{
			Format: 1, Kind: kindObject, Object: ident(0x01), Size: 1 << 41, ModTime: 1, ETag: "0123456789abcdef0123456789abcdef-1",
			Keys: [][]byte{{0x5e, 0xa1}}, Inode: 6,
			Body: body{
				ID: ident(0xb5), Depth: 2, Pages: refs, Edited: editedTidy, Stale: 4096, Bases: []cipher.BodyID{ident(0xb6)},
			},
		},
		"record-borrowed": &record{
			Format: 1, Kind: kindObject, Object: ident(0x01), Size: 7, ModTime: 1, ETag: "0123456789abcdef0123456789abcdef-1",
			Keys: [][]byte{{0x5e, 0xa1}}, Inode: 6,
			Body: body{ID: ident(0xb5), Edited: editedTidy, Bases: []cipher.BodyID{ident(0xb6)}, Extents: []extent{
				{Length: 3, Chunk: ident(0xc1), Place: borrowedChunkStore}, {Offset: 3, Length: 4, Chunk: ident(0xc2), Place: borrowedInMetastore},
			}},
		},
		"counts": &countsRecord{Format: 1, KEKs: 3, Objects: 2, Uploads: 1},
		"tally": &tallyRecord{Format: 1, Entries: []tallyEntry{
			{Dependency: goldenShared().bytes(), Objects: 1}, {Dependency: goldenOwn().bytes(), KEKs: -1, Objects: -1, Uploads: 1},
		}},
		"census":      &censusRecord{Format: 1, Since: 1_700_000_000_000_000_000},
		"floor":       &floorRecord{Format: 1, Version: 3, Asked: 1_700_000_000_000_000_000},
		"times":       &timesRecord{Format: 1, ModTime: 1_700_000_000_000_000_001, ChangeTime: 1_700_000_000_000_000_002},
		"record-name": &record{Format: 1, Kind: kindLink, Object: ident(0x04), LinkTo: ident(0x04)},
		"record-shared": &record{
			Format: 1, Kind: kindObject, Object: ident(0x04), Size: 3, ModTime: 1, ETag: "0123456789abcdef0123456789abcdef", Inode: 5, Links: 2,
			Keys: [][]byte{{0x5e, 0xa1}}, Body: body{ID: ident(0xb0), Extents: []extent{{Length: 3, Chunk: ident(0xc0), Place: inMetastore}}},
		},
		"link": &linkRecord{Format: 1},
		"bucket-exchange": &bucketRecord{Format: 1, ID: ident(0x06), Created: 1, Generation: 1, Renames: []renameEntry{
			{ID: ident(0x0d), From: "a/b/", To: "c/", State: renameStaging, Via: viaPrefix(ident(0x0d), 0)},
			{ID: ident(0x0d), From: viaPrefix(ident(0x0d), 1), To: "a/b/", State: renameMoving},
		}},
		"bucket-renames": &bucketRecord{Format: 1, ID: ident(0x06), Created: 1, Generation: 1, Renames: []renameEntry{
			{ID: ident(0x0d), From: "a/b/", To: "c/", State: renamePreparing}, {ID: ident(0x0e), From: "d/", To: "e/", State: renameMoving},
		}},
		"bucket-root": &bucketRecord{
			Format: 1, ID: ident(0x06), Created: 1, Generation: 1,
			Root: &attributes{Mode: 0o040755, UID: 1000, GID: 1001, AccessTime: 1, ChangeTime: 2, BirthTime: 3},
		},
		"job": &jobRecord{
			Format: 1, ID: ident(0x0d), Bucket: "photos", Prefix: "a/", Shallow: true, From: jobKey{ident(0x08), "app"}, To: jobKey{ident(0x0e), "next"},
			Rate: 100, State: JobFailed, After: "a/b", Counts: jobCounts{6, 5, 4, 3, 2, true}, Generations: []uint32{1, 3},
			Errors: []jobError{{Key: "a/c", Cause: "not found"}}, Total: 7, Started: 1, Updated: 2, Ended: 3, Failure: "corrupt", PageSize: 70,
		},
	}
}

func goldenShared() dependency { return dependency{bucket: ident(0x06), generation: 3} }

func goldenOwn() dependency {
	return dependency{bucket: ident(0x06), master: masterVersion{ident(0x08), "app", 2}}
}

// goldenCensusKeys are the keys that came with the census.
func goldenCensusKeys() string {
	var out strings.Builder
	for _, k := range []struct {
		name string
		key  []byte
	}{
		{"counts of generation 3", censusKey(goldenShared())}, {"counts of app 2", censusKey(goldenOwn())},
		{"tally 7", tallyKey(ident(0x0b), 7)}, {"census", keyCensus}, {"floor", floorKey(masterKey{ident(0x08), "app"})},
	} {
		fmt.Fprintf(&out, "%s %x\n", k.name, k.key)
	}
	return out.String()
}

func goldenKeys() string {
	bucket, upload := cipher.BucketID(ident(0x06)), cipher.UploadID(ident(0x0c))
	var out strings.Builder
	for _, k := range []struct {
		name string
		key  []byte
	}{
		{"format", keyFormat}, {"inodes", keyInodes}, {"bucket photos", bucketKey("photos")}, {"kek 3", kekKey(bucket, 3)},
		{"name a/b", nameKey(bucket, "a/b")}, {"data", dataKey(ident(0xc0))}, {"page", pageKey(ident(0xe1))},
		{"count", countKey(ident(0xb0))}, {"queue body", queueKey(queueBody, ident(0x01))},
		{"queue upload", queueKey(queueUpload, ident(0x0c))}, {"upload a NUL b", uploadKey(bucket, "a\x00b", upload)},
		{"part 10000", partKey(upload, 10_000)}, {"intent", intentKey(ident(0x0b), ident(0x0a))},
	} {
		fmt.Fprintf(&out, "%s %x\n", k.name, k.key)
	}
	return out.String()
}

// goldenTreeKeys are the keys that came with directories.
func goldenTreeKeys() string {
	return fmt.Sprintf("times a/b/ %x\n", timesKey(ident(0x06), "a/b/"))
}

// goldenLinkKeys are the keys that came with hard links.
func goldenLinkKeys() string {
	return fmt.Sprintf("shared %x\nlink a/b %x\n", sharedKey(ident(0x06), ident(0x04)), linkKey(ident(0x06), ident(0x04), "a/b"))
}

// goldenFileKeys are the keys that came with the editing of bodies.
func goldenFileKeys() string {
	return fmt.Sprintf("body %x\nowned %x\n", bodyKey(ident(0xb5)), ownedKey(ident(0xb5), ident(0xc1)))
}

// golden compares with a file, or makes it under -golden.make where there is none.
func golden(t *testing.T, name, got string) {
	t.Helper()
	file := filepath.Join("testdata", "v1", name)
	want, err := os.ReadFile(file)
	if os.IsNotExist(err) && *makeGolden {
		want, err = []byte(got), os.WriteFile(file, []byte(got), 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s changed: stores of this format could not be read any more (-stored +now):\n%s", file, diff)
	}
}

func TestGoldenLayout(t *testing.T) {
	for name, value := range goldenValues() {
		t.Run(name, func(t *testing.T) {
			golden(t, name+".hex", hex.EncodeToString(encode(value))+"\n")
			again := reflect.New(reflect.TypeOf(value).Elem()).Interface().(formatted)
			if err := decode(encode(value), again); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(value, again, cmp.Exporter(func(reflect.Type) bool { return true })); diff != "" {
				t.Errorf("decoded differs (-encoded +decoded):\n%s", diff)
			}
		})
	}
	golden(t, "keys.txt", goldenKeys())
	golden(t, "keys-census.txt", goldenCensusKeys())
	golden(t, "keys-jobs.txt", fmt.Sprintf("job %x\nqueue keks %x\n", jobKeyOf(ident(0x06)), queueKey(queueKEKs, ident(0x06))))
	for _, d := range []dependency{goldenShared(), goldenOwn()} {
		if again, err := parseDependency(d.bytes()); err != nil || again != d {
			t.Errorf("%+v came back as %+v, %v", d, again, err)
		}
	}
	golden(t, "keys-tree.txt", goldenTreeKeys())
	golden(t, "keys-links.txt", goldenLinkKeys())
	golden(t, "keys-files.txt", goldenFileKeys())
}

func TestDecodeRefuses(t *testing.T) {
	good := encode(&countRecord{Format: 1, Count: 2})
	for name, b := range map[string][]byte{
		"empty":          {},
		"trailing byte":  append(bytes.Clone(good), 0),
		"newer format":   encode(&countRecord{Format: 2, Count: 2}),
		"unknown field":  {0xa2, 0x01, 0x01, 0x18, 0x63, 0x01},
		"field twice":    {0xa2, 0x01, 0x01, 0x01, 0x01},
		"huge array":     {0xa2, 0x01, 0x01, 0x02, 0x9a, 0xff, 0xff, 0xff, 0xff},
		"indefinite map": {0xbf, 0x01, 0x01, 0xff},
		"torn":           good[:len(good)-1],
	} {
		t.Run(name, func(t *testing.T) {
			var c countRecord
			if err := decode(b, &c); faultKind(err) != KindCorrupt {
				t.Errorf("decode: %v, want %q", err, KindCorrupt)
			}
		})
	}
	for name, extents := range map[string][]extent{
		"negative length": {{Length: -1}},
		"overlap":         {{Length: 10}, {Offset: 5, Length: 10}},
		"overflow":        {{Offset: 1 << 62, Length: 1<<63 - 1}},
		"slot":            {{Length: 1, Slot: 1}},
		"place":           {{Length: 1, Place: 9}},
	} {
		if err := validateExtents(extents, 1); faultKind(err) != KindCorrupt {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzDecodeRecord(f *testing.F) {
	for _, v := range goldenValues() {
		f.Add(encode(v))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if r, err := decodeRecord(b); err == nil {
			if _, err := decodeRecord(encode(r)); err != nil {
				t.Fatalf("a record that was read cannot be read again: %v", err)
			}
		}
	})
}

func FuzzParseDependency(f *testing.F) {
	f.Add(goldenShared().bytes())
	f.Add(goldenOwn().bytes())
	f.Fuzz(func(t *testing.T, b []byte) {
		if d, err := parseDependency(b); err == nil && !bytes.Equal(d.bytes(), b) {
			t.Fatalf("%x came back as %x", b, d.bytes())
		}
	})
}

func FuzzUploadKey(f *testing.F) {
	f.Add("a\x00b")
	f.Add("")
	f.Add("\x00\x01\xff")
	f.Fuzz(func(t *testing.T, key string) {
		id := cipher.NewUploadID()
		got, gotID, err := parseUploadKey(uploadKey(cipher.NewBucketID(), key, id))
		if err != nil || got != key || gotID != id {
			t.Fatalf("%q came back as %q, %v", key, got, err)
		}
	})
}

func TestUploadKeysKeepTheOrderOfKeys(t *testing.T) {
	keys := []string{"", "\x00", "\x00\x00", "\x00\x01", "\x01", "a", "a\x00", "a\x00b", "a\x01", "ab", "b"}
	bucket := cipher.NewBucketID()
	for i, key := range keys[1:] {
		if bytes.Compare(uploadKey(bucket, keys[i], ident(0xff)), uploadKey(bucket, key, ident(0))) >= 0 {
			t.Errorf("%q does not come before %q", keys[i], key)
		}
	}
}
