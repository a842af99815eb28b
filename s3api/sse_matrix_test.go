package s3api_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strconv"
	"testing"
	"time"

	"coffer/object"
)

// layout is how an engine lays out bodies: small, so that small objects have edges of every kind.
type layout struct{ inline, chunk, frame int }

func (l layout) set(o *object.Options) {
	o.InlineLimit, o.ChunkSize, o.FrameSize = l.inline, int64(l.chunk), l.frame
}

// edges are the places in an object of these parts where a frame, a chunk or a part begins, and its end.
func (l layout) edges(parts []int) []int {
	var edges []int
	start := 0
	for _, size := range parts {
		for chunk := 0; chunk < size; chunk += l.chunk {
			for frame := 0; frame < min(l.chunk, size-chunk); frame += l.frame {
				edges = append(edges, start+chunk+frame)
			}
		}
		start += size
	}
	return append(edges, start)
}

// noise gives bytes that are different everywhere.
func noise(seed uint64, size int) []byte {
	b := make([]byte, size)
	for i, r := 0, rand.New(rand.NewPCG(seed, 1)); i < size; i += 8 {
		v := r.Uint64()
		for j := i; j < min(i+8, size); j++ {
			b[j], v = byte(v), v>>8
		}
	}
	return b
}

// wantReads reads an object in every way and compares with what was written: whole, by ranges around every edge, by
// ranges to and from the end, and by parts. parts are the sizes of its parts, one of an object that has none.
func (l layout) wantReads(t *testing.T, s *server, target string, read fields, data []byte, parts []int) {
	t.Helper()
	get := func(query, span string, status int, want []byte) {
		t.Helper()
		header := read
		if span != "" {
			header = join(read, fields{"Range": "bytes=" + span})
		}
		a := s.do(request{method: "GET", target: target + query, header: header})
		if a.status != status || sha256.Sum256(a.body) != sha256.Sum256(want) {
			t.Errorf("%s%s %s: %d with %d bytes, want %d with %d: %.200s", target, query, span, a.status, len(a.body), status, len(want), a.body)
		}
	}
	get("", "", 200, data)
	if a := s.must(request{method: "HEAD", target: target, header: read}); a.header.Get("Content-Length") != strconv.Itoa(len(data)) {
		t.Errorf("%s: Content-Length %s of %d bytes", target, a.header.Get("Content-Length"), len(data))
	}
	near := func(edge int) []int { return []int{edge - 1, edge, edge + 1} }
	for _, edge := range l.edges(parts) {
		for _, first := range near(edge) {
			for _, last := range near(edge) {
				if first >= 0 && last >= first && first < len(data) {
					get("", fmt.Sprintf("%d-%d", first, last), 206, data[first:min(last+1, len(data))])
				}
			}
		}
	}
	tail := min(parts[len(parts)-1], l.frame)
	for _, n := range []int{1, 2, tail, tail + 1} {
		if n = min(n, len(data)); n > 0 {
			get("", fmt.Sprintf("-%d", n), 206, data[len(data)-n:])
			get("", fmt.Sprintf("%d-", len(data)-n), 206, data[len(data)-n:])
		}
	}
	if len(data) > 0 {
		get("", fmt.Sprintf("-%d", len(data)+1), 206, data)
	}
	start := 0
	for i, size := range parts {
		get(fmt.Sprintf("?partNumber=%d", i+1), "", 206, data[start:start+size])
		start += size
	}
	wantError(t, s.do(request{method: "GET", target: fmt.Sprintf("%s?partNumber=%d", target, len(parts)+1), header: read}), 416, "InvalidPartNumber")
}

// putChunked stores an object by an aws-chunked body.
func (s *server) putChunked(target string, header fields, data []byte) {
	s.t.Helper()
	trailer := "x-amz-checksum-crc32"
	r := request{method: "PUT", target: target, hash: "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER", header: join(header, fields{
		"x-amz-decoded-content-length": strconv.Itoa(len(data)), "Content-Encoding": "aws-chunked", "x-amz-trailer": trailer})}
	a := s.putForm(r, data, func(seed string, at time.Time) []byte {
		return r.chunkSigner(seed, at).encode(data, 10_007, trailer+":"+crcOf(data))
	}, "fixed", nil)
	if a.status != 200 {
		s.t.Fatalf("%s: %d %s", target, a.status, a.body)
	}
}

// upload makes an object of parts, which send stores one by one, and returns the answer.
func (s *server) upload(target string, write fields, parts int, send func(number int, query string) *answer) {
	s.t.Helper()
	up := s.begin(target, write)
	var tags []string
	for n := 1; n <= parts; n++ {
		a := send(n, fmt.Sprintf("?partNumber=%d&uploadId=%s", n, up))
		tag := a.header.Get("ETag")
		if tag == "" { // of a copy it stands in the document
			tag = between(string(a.body), "<ETag>", "</ETag>")
		}
		tags = append(tags, strconv.Itoa(n), tag)
	}
	s.must(request{method: "POST", target: target + "?uploadId=" + up, body: (&fixture{}).complete(tags...)})
}

// putParts makes an object of parts of these sizes.
func (s *server) putParts(target string, m *sealMode, data []byte, sizes []int) {
	s.t.Helper()
	s.upload(target, m.write, len(sizes), func(number int, query string) *answer {
		part := data[:sizes[number-1]]
		data = data[len(part):]
		return s.must(request{method: "PUT", target: target + query, body: part, header: m.read})
	})
}

// remove deletes an object and its bytes.
func (s *server) remove(target string) {
	s.t.Helper()
	s.must(request{method: "DELETE", target: target})
	if _, err := s.store.Collect(context.Background()); err != nil {
		s.t.Fatal(err)
	}
}

// TestMatrixOfPuts: every mode, put at once and in aws-chunked form, in sizes around those at which storage changes.
func TestMatrixOfPuts(t *testing.T) {
	t.Parallel()
	l := layout{inline: 100, chunk: 50_001, frame: 16 << 10}
	s := startSealed(t, l.set)
	for _, m := range sealModes('k') {
		t.Run(m.name, func(t *testing.T) {
			t.Parallel()
			s := s.in(t)
			for i, size := range []int{0, 1, 100, 101, 16 << 10, 50_001, 50_002, 150_017} {
				data := noise(uint64(i), size)
				target := fmt.Sprintf("/bucket/%s/%d", escape(m.name), size)
				s.must(request{method: "PUT", target: target, body: data, header: m.write})
				l.wantReads(t, s, target, m.read, data, []int{size})
				s.putChunked(target, m.write, data)
				l.wantReads(t, s, target, m.read, data, []int{size})
			}
		})
	}
}

// TestMatrixOfCopies: every mode to every mode, within a bucket and to another, and onto itself. The copy is read after
// the source is gone.
func TestMatrixOfCopies(t *testing.T) {
	t.Parallel()
	l := layout{inline: 100, chunk: 50_001, frame: 16 << 10}
	s := startSealed(t, l.set)
	s.bucket("second")
	data := noise(7, 150_017)
	for _, from := range sealModes('k') {
		for _, to := range sealModes('t') {
			t.Run(from.name+" to "+to.name, func(t *testing.T) {
				t.Parallel()
				s := s.in(t)
				name := escape(from.name + " to " + to.name)
				source := "bucket/" + name
				header := join(to.write, from.source, fields{"x-amz-copy-source": source})
				for _, target := range []string{"/bucket/copy/" + name, "/second/" + name, "/bucket/" + name} {
					s.must(request{method: "PUT", target: "/" + source, body: data, header: join(from.write, fields{"x-amz-meta-a": "1"})})
					if target == "/"+source && to.write == nil { // a change must be asked for
						wantError(t, s.do(request{method: "PUT", target: target, header: header}), 400, "InvalidRequest")
						header = join(header, fields{"x-amz-storage-class": "STANDARD"})
					}
					wantFields(t, target, s.must(request{method: "PUT", target: target, header: header}).header, to.answer)
					if target != "/"+source {
						s.remove("/" + source)
					}
					l.wantReads(t, s, target, to.read, data, []int{len(data)})
					wantFields(t, target, s.must(request{method: "HEAD", target: target, header: to.read}).header, join(to.answer, fields{"x-amz-meta-a": "1"}))
				}
			})
		}
	}
}

// TestMatrixOfUploads: every mode in parts of odd sizes; copied whole to every mode, and copied by ranges that cross
// frames, chunks and parts into the parts of an upload of every mode.
func TestMatrixOfUploads(t *testing.T) {
	t.Parallel()
	l := layout{inline: 100, chunk: 3<<20 + 3, frame: 1 << 20}
	s := startSealed(t, l.set)
	sizes := []int{5<<20 + 1, 5<<20 + 4097, 70_001}
	total := 0
	for _, size := range sizes {
		total += size
	}
	spans := [][2]int{{3, 5<<20 + 100}, {1<<20 - 1, 6<<20 + 7}, {total - 1, total - 1}} // first and last byte
	for i, from := range sealModes('k') {
		t.Run(from.name, func(t *testing.T) {
			t.Parallel()
			s := s.in(t)
			data := noise(uint64(i), total)
			source := "bucket/" + escape(from.name)
			s.putParts("/"+source, &from, data, sizes)
			l.wantReads(t, s, "/"+source, from.read, data, sizes)
			for _, to := range sealModes('t') {
				target := "/" + source + escape(" to "+to.name)
				header := join(to.write, from.source, fields{"x-amz-copy-source": source})
				s.must(request{method: "PUT", target: target, header: header})
				l.wantReads(t, s, target, to.read, data, []int{total})
				s.remove(target)

				var want []byte
				var parts []int
				s.upload(target, to.write, len(spans), func(number int, query string) *answer {
					first, last := spans[number-1][0], spans[number-1][1]
					want = append(want, data[first:last+1]...)
					parts = append(parts, last+1-first)
					return s.must(request{method: "PUT", target: target + query, header: join(to.read, from.source, fields{
						"x-amz-copy-source": source, "x-amz-copy-source-range": fmt.Sprintf("bytes=%d-%d", first, last)})})
				})
				l.wantReads(t, s, target, to.read, want, parts)
				s.remove(target)
			}
		})
	}
}

// TestNewClientKey: a copy of an object onto itself with the old and the new key changes the key, and no byte.
func TestNewClientKey(t *testing.T) {
	t.Parallel()
	l := layout{inline: 100, chunk: 50_001, frame: 16 << 10}
	s := startSealed(t, l.set)
	data := noise(9, 150_017)
	before := s.must(request{method: "PUT", target: "/bucket/key", body: data, header: join(customer(sseCustomer, 'k'), fields{"x-amz-meta-a": "1"})})
	header := join(customer(sseCustomer, 'n'), fields{"x-amz-copy-source": "bucket/key"})
	wantError(t, s.do(request{method: "PUT", target: "/bucket/key", header: join(header, customer(sseSource, 'w'))}), 403, "AccessDenied")
	wantError(t, s.do(request{method: "PUT", target: "/bucket/key", header: header}), 400, "InvalidRequest")
	s.must(request{method: "PUT", target: "/bucket/key", header: join(header, customer(sseSource, 'k'))})
	l.wantReads(t, s.server, "/bucket/key", customer(sseCustomer, 'n'), data, []int{len(data)})
	after := s.must(request{method: "HEAD", target: "/bucket/key", header: customer(sseCustomer, 'n')})
	wantFields(t, "after", after.header, fields{"ETag": before.header.Get("ETag"), "x-amz-meta-a": "1"})
	wantError(t, s.do(request{method: "GET", target: "/bucket/key", header: customer(sseCustomer, 'k')}), 403, "AccessDenied")
}

// TestDestroyedKey: what was copied to another key reads on, and what needs the destroyed one says so.
func TestDestroyedKey(t *testing.T) {
	t.Parallel()
	s := startSealed(t, nil)
	data := bytes.Repeat([]byte("0123456789"), 10_000)
	app, other := fields{sse: "aws:kms", sseKeyID: "app"}, fields{sse: "aws:kms", sseKeyID: "other"}
	s.must(request{method: "PUT", target: "/bucket/source", body: data, header: app})
	s.must(request{method: "PUT", target: "/bucket/copy", header: join(other, fields{"x-amz-copy-source": "bucket/source"})})
	s.fake.Destroy("app")
	if a := s.must(request{method: "GET", target: "/bucket/copy"}); !bytes.Equal(a.body, data) {
		t.Error("the copy differs")
	}
	wantError(t, s.do(request{method: "GET", target: "/bucket/source"}), 400, "KMS.NotFoundException")
	if a := s.do(request{method: "HEAD", target: "/bucket/source"}); a.status != http.StatusOK {
		t.Errorf("HEAD: %d", a.status)
	}
}
