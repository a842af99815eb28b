package s3api_test

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/tls"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"hash/crc32"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"coffer/s3api"
)

// bodySizes are around the sizes at which the engine and the framings change.
var bodySizes = []int{0, 1, 8191, 8192, 65536, 300_001}

func pattern(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i * 7 >> 3)
	}
	return b
}

func crcOf(b []byte) string {
	sum := crc32.ChecksumIEEE(b)
	return base64.StdEncoding.EncodeToString([]byte{byte(sum >> 24), byte(sum >> 16), byte(sum >> 8), byte(sum)})
}

// chunkSigner makes aws-chunked bodies that are signed, by the rules of the S3 API Reference and not by our code.
type chunkSigner struct {
	key         []byte
	stamp, prev string
}

func (r request) chunkSigner(seed string, at time.Time) *chunkSigner {
	mac := func(key []byte, text string) []byte {
		m := hmac.New(sha256.New, key)
		m.Write([]byte(text))
		return m.Sum(nil)
	}
	day := at.UTC().Format("20060102")
	key := mac(mac(mac(mac([]byte("AWS4"+testSecret), day), testRegion), "s3"), "aws4_request")
	return &chunkSigner{key: key, prev: seed,
		stamp: at.UTC().Format("20060102T150405Z") + "\n" + day + "/" + testRegion + "/s3/aws4_request"}
}

func (c *chunkSigner) sign(kind, middle string, data []byte) string {
	sum := sha256.Sum256(data)
	m := hmac.New(sha256.New, c.key)
	fmt.Fprintf(m, "AWS4-HMAC-SHA256-%s\n%s\n%s\n%s%x", kind, c.stamp, c.prev, middle, sum)
	c.prev = hex.EncodeToString(m.Sum(nil))
	return c.prev
}

const emptySum = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\n"

// encode makes the body; trailer is "" or a line name:value.
func (c *chunkSigner) encode(data []byte, size int, trailer string) []byte {
	var b bytes.Buffer
	for {
		n := min(size, len(data))
		fmt.Fprintf(&b, "%x;chunk-signature=%s\r\n", n, c.sign("PAYLOAD", emptySum, data[:n]))
		b.Write(data[:n])
		if data = data[n:]; n == 0 {
			break
		}
		b.WriteString("\r\n")
	}
	if trailer != "" {
		fmt.Fprintf(&b, "%s\r\nx-amz-trailer-signature:%s\r\n", trailer, c.sign("TRAILER", "", []byte(trailer+"\n")))
	}
	b.WriteString("\r\n")
	return b.Bytes()
}

func unsignedChunks(data []byte, size int, trailer string) []byte {
	var b bytes.Buffer
	for len(data) > 0 {
		n := min(size, len(data))
		fmt.Fprintf(&b, "%x\r\n%s\r\n", n, data[:n])
		data = data[n:]
	}
	fmt.Fprintf(&b, "0\r\n%s\r\n\r\n", trailer)
	return b.Bytes()
}

// TestBodyForms stores the same bytes in every form that clients send, over fixed and chunked transfer coding, and
// checks that each form with a byte changed is refused and stores nothing.
func TestBodyForms(t *testing.T) {
	t.Parallel()
	s := start(t, nil)
	s.bucket("bucket")
	type form struct {
		name   string
		req    func(target string, data []byte) (request, func(seed string, at time.Time) []byte)
		status int // when a byte of the data is changed
		code   string
	}
	plain := func(hash func([]byte) string, header map[string]string) func(string, []byte) (request, func(string, time.Time) []byte) {
		return func(target string, data []byte) (request, func(string, time.Time) []byte) {
			r := request{method: "PUT", target: target, hash: hash(data), header: header}
			if header != nil {
				r.header = map[string]string{}
				for k, v := range header {
					r.header[k] = strings.NewReplacer("{md5}", md5Of(string(data)), "{crc}", crcOf(data)).Replace(v)
				}
			}
			return r, func(string, time.Time) []byte { return data }
		}
	}
	chunked := func(hash, trailer string, encode func(r request, data []byte, trailer, seed string, at time.Time) []byte) func(string, []byte) (request, func(string, time.Time) []byte) {
		return func(target string, data []byte) (request, func(string, time.Time) []byte) {
			r := request{method: "PUT", target: target, hash: hash, header: map[string]string{
				"x-amz-decoded-content-length": fmt.Sprint(len(data)), "Content-Encoding": "aws-chunked"}}
			line := ""
			if trailer != "" {
				r.header["x-amz-trailer"] = trailer
				line = trailer + ":" + crcOf(data)
			}
			return r, func(seed string, at time.Time) []byte { return encode(r, data, line, seed, at) }
		}
	}
	signed := func(r request, data []byte, trailer, seed string, at time.Time) []byte {
		return r.chunkSigner(seed, at).encode(data, 64<<10, trailer)
	}
	unsigned := func(_ request, data []byte, trailer, _ string, _ time.Time) []byte {
		return unsignedChunks(data, 64<<10, trailer)
	}
	hexSum := func(b []byte) string { sum := sha256.Sum256(b); return hex.EncodeToString(sum[:]) }
	constant := func(v string) func([]byte) string { return func([]byte) string { return v } }
	forms := []form{
		{"sha256", plain(hexSum, nil), 400, "XAmzContentSHA256Mismatch"},
		{"unsigned, MD5", plain(constant("UNSIGNED-PAYLOAD"), map[string]string{"Content-MD5": "{md5}"}), 400, "BadDigest"},
		{"unsigned, CRC32", plain(constant("UNSIGNED-PAYLOAD"), map[string]string{"x-amz-checksum-crc32": "{crc}"}), 400, "BadDigest"},
		{"proved by the body", plain(constant("none"), nil), 403, "SignatureDoesNotMatch"},
		{"chunks signed", chunked("STREAMING-AWS4-HMAC-SHA256-PAYLOAD", "", signed), 403, "SignatureDoesNotMatch"},
		{"chunks and trailer signed", chunked("STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER", "x-amz-checksum-crc32", signed), 403, "SignatureDoesNotMatch"},
		{"trailer", chunked("STREAMING-UNSIGNED-PAYLOAD-TRAILER", "x-amz-checksum-crc32", unsigned), 400, "BadDigest"},
	}
	for i, f := range forms {
		for _, size := range bodySizes {
			for _, transfer := range []string{"fixed", "chunked"} {
				t.Run(fmt.Sprintf("%s/%d/%s", f.name, size, transfer), func(t *testing.T) {
					t.Parallel()
					s := s.in(t)
					if transfer == "chunked" && !strings.Contains(f.name, "chunks") && f.name != "trailer" {
						t.Skip("S3 wants a length for plain bodies")
					}
					target := fmt.Sprintf("/bucket/form-%d-%d-%s", i, size, transfer)
					data := pattern(size)
					r, encode := f.req(target, data)
					a := s.putForm(r, data, encode, transfer, nil)
					if a.status != 200 {
						t.Fatalf("status %d\n%s", a.status, a.body)
					}
					got := s.must(request{method: "GET", target: target})
					if !bytes.Equal(got.body, data) || got.header.Get("Content-Encoding") != "" {
						t.Fatalf("read %d bytes, encoding %q", len(got.body), got.header.Get("Content-Encoding"))
					}
					if size == 0 {
						return
					}
					changed := target + "-changed"
					r, encode = f.req(changed, data)
					a = s.putForm(r, data, encode, transfer, data)
					wantError(t, a, f.status, f.code)
					if a := s.do(request{method: "HEAD", target: changed}); a.status != 404 {
						t.Fatalf("a refused body left something: %d", a.status)
					}
				})
			}
		}
	}
}

// putForm sends a body that is made from the request's own signature. change, when not nil, is where a byte changes
// after everything has been signed.
func (s *server) putForm(r request, data []byte, encode func(string, time.Time) []byte, transfer string, change []byte) *answer {
	s.t.Helper()
	at := time.Now()
	r.at = at
	r.body = data // signed where the form signs the body itself
	r.length = int64(len(encode("", at)))
	if transfer == "chunked" {
		r.length = -1
	}
	req := s.build(r)
	_, seed, _ := strings.Cut(req.Header.Get("Authorization"), "Signature=")
	body := encode(seed, at)
	if change != nil {
		at := bytes.Index(body, change[:min(len(change), 64<<10)]) // the first chunk's data
		if at < 0 {
			s.t.Fatal("the data is not in the body")
		}
		body = bytes.Clone(body)
		body[at] ^= 0x40
	}
	if len(body) > 0 {
		req.Body = io.NopCloser(bytes.NewReader(body))
	}
	return s.send(req)
}

// TestUnprovenBodyTellsNothing: whoever cannot sign learns nothing about buckets and objects, even though the answer
// is known before the body has been read.
func TestUnprovenBodyTellsNothing(t *testing.T) {
	t.Parallel()
	s := start(t, func(o *s3api.Options) { o.MaxUnprovenBody = 1 << 20 })
	s.bucket("bucket")
	s.put("/bucket/key", "old")
	for _, tc := range []struct {
		name, target, secret string
		size                 int
		header               map[string]string
		status               int
		code                 string
	}{
		{"proven, no bucket", "/missing/key", "", 100, nil, 404, "NoSuchBucket"},
		{"forged, no bucket", "/missing/key", "wrong", 100, nil, 403, "SignatureDoesNotMatch"},
		{"forged, bucket", "/bucket/key", "wrong", 100, nil, 403, "SignatureDoesNotMatch"},
		{"forged, large, no bucket", "/missing/key", "wrong", 900 << 10, nil, 403, "AccessDenied"},
		{"forged, large, bucket", "/bucket/key", "wrong", 900 << 10, nil, 403, "SignatureDoesNotMatch"},
		{"forged, condition", "/bucket/key", "wrong", 100, map[string]string{"If-None-Match": "*"}, 403, "SignatureDoesNotMatch"},
		{"forged, not built", "/bucket/key?tagging=", "wrong", 100, nil, 403, "SignatureDoesNotMatch"},
		{"proven, condition", "/bucket/key", "", 100, map[string]string{"If-None-Match": "*"}, 412, "PreconditionFailed"},
		{"more than may be unproven", "/bucket/key", "", 2 << 20, nil, 400, "EntityTooLarge"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			s := s.in(t)
			r := request{method: "PUT", target: tc.target, secret: tc.secret, body: pattern(tc.size), hash: "none", header: tc.header}
			c := s.dial()
			c.write(s.wire(r, fmt.Sprintf("Content-Length: %d\r\n", tc.size)))
			c.write(r.body)
			wantError(t, c.read("PUT"), tc.status, tc.code)
		})
	}
	t.Cleanup(func() {
		if a := s.must(request{method: "GET", target: "/bucket/key"}); string(a.body) != "old" {
			t.Errorf("the object changed: %d bytes", len(a.body))
		}
	})
}

// TestContinueOnlyForAuthentic: "100 Continue" is sent when the headers are authentic, and only then.
func TestContinueOnlyForAuthentic(t *testing.T) {
	t.Parallel()
	s := start(t, nil)
	s.bucket("bucket")
	for _, expect := range []string{"100-continue", "100-Continue"} {
		t.Run(expect, func(t *testing.T) {
			t.Parallel()
			s := s.in(t)
			body := pattern(100_000)
			framing := fmt.Sprintf("Content-Length: %d\r\nExpect: %s\r\n", len(body), expect)
			c := s.dial()
			c.write(s.wire(request{method: "PUT", target: "/bucket/" + expect, hash: "UNSIGNED-PAYLOAD"}, framing))
			line, err := c.r.ReadString('\n')
			if err != nil || !strings.HasPrefix(line, "HTTP/1.1 100 ") {
				t.Fatalf("%q %v", line, err)
			}
			if line, err = c.r.ReadString('\n'); err != nil || line != "\r\n" {
				t.Fatalf("%q %v", line, err)
			}
			c.write(body)
			if a := c.read("PUT"); a.status != 200 {
				t.Fatalf("status %d %s", a.status, a.body)
			}
			if got := s.must(request{method: "GET", target: "/bucket/" + expect}); !bytes.Equal(got.body, body) {
				t.Fatalf("%d bytes", len(got.body))
			}
			c = s.dial()
			c.write(s.wire(request{method: "PUT", target: "/bucket/no", hash: "UNSIGNED-PAYLOAD", secret: "wrong"}, framing))
			a := c.read("PUT")
			wantError(t, a, 403, "SignatureDoesNotMatch")
			if !a.closes || c.rest() != "" {
				t.Error("the connection goes on")
			}
		})
	}
}

// TestSDKBodies puts objects with the AWS SDK as it is by default: checksums in headers over HTTP, unsigned payload
// with a trailer over TLS, from seekable and other readers.
func TestSDKBodies(t *testing.T) {
	t.Parallel()
	cert, key, roots := certificate(t)
	plain := start(t, nil)
	secure := start(t, func(o *s3api.Options) { o.TLSCertFile, o.TLSKeyFile = cert, key })
	secure.client.Transport.(*http.Transport).TLSClientConfig = &tls.Config{RootCAs: roots}
	overTLS := func(o *s3.Options) { o.BaseEndpoint = aws.String("https://" + secure.addr) }
	ctx := context.Background()
	for _, tc := range []struct {
		name   string
		client *s3.Client
		input  func(*s3.PutObjectInput)
		opts   []func(*s3.Options)
	}{
		{"HTTP default", plain.sdk(), nil, nil},
		{"HTTP unsigned", plain.sdk(), nil, []func(*s3.Options){s3.WithAPIOptions(v4.SwapComputePayloadSHA256ForUnsignedPayloadMiddleware)}},
		{"HTTP CRC32C", plain.sdk(), func(i *s3.PutObjectInput) { i.ChecksumAlgorithm = types.ChecksumAlgorithmCrc32c }, nil},
		{"HTTP CRC64NVME", plain.sdk(), func(i *s3.PutObjectInput) { i.ChecksumAlgorithm = types.ChecksumAlgorithmCrc64nvme }, nil},
		{"HTTP SHA1", plain.sdk(), func(i *s3.PutObjectInput) { i.ChecksumAlgorithm = types.ChecksumAlgorithmSha1 }, nil},
		{"HTTP SHA256", plain.sdk(), func(i *s3.PutObjectInput) { i.ChecksumAlgorithm = types.ChecksumAlgorithmSha256 }, nil},
		{"TLS default", secure.sdk(overTLS), nil, nil},
		{"TLS not seekable", secure.sdk(overTLS), func(i *s3.PutObjectInput) { i.Body = struct{ io.Reader }{i.Body} }, nil},
		{"TLS SHA256", secure.sdk(overTLS), func(i *s3.PutObjectInput) { i.ChecksumAlgorithm = types.ChecksumAlgorithmSha256 }, nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			bucket := aws.String(strings.ToLower(strings.ReplaceAll(tc.name, " ", "-")))
			if _, err := tc.client.CreateBucket(ctx, &s3.CreateBucketInput{Bucket: bucket}); err != nil {
				t.Fatal(err)
			}
			for _, size := range bodySizes {
				data := pattern(size)
				key := aws.String(fmt.Sprint("size-", size))
				in := &s3.PutObjectInput{Bucket: bucket, Key: key, Body: bytes.NewReader(data), ContentLength: aws.Int64(int64(size))}
				if tc.input != nil {
					tc.input(in)
				}
				if _, err := tc.client.PutObject(ctx, in, tc.opts...); err != nil {
					t.Fatalf("%d bytes: %v", size, err)
				}
				out, err := tc.client.GetObject(ctx, &s3.GetObjectInput{Bucket: bucket, Key: key})
				if err != nil {
					t.Fatal(err)
				}
				got, err := io.ReadAll(out.Body) // verifies the checksum
				if err != nil || !bytes.Equal(got, data) {
					t.Fatalf("%d bytes: read %d: %v", size, len(got), err)
				}
				if out.ServerSideEncryption != types.ServerSideEncryptionAes256 {
					t.Errorf("encryption %q", out.ServerSideEncryption)
				}
				if tc.opts == nil && out.ChecksumCRC32 == nil && out.ChecksumCRC32C == nil && out.ChecksumCRC64NVME == nil &&
					out.ChecksumSHA1 == nil && out.ChecksumSHA256 == nil {
					t.Error("no checksum in the answer")
				}
				out.Body.Close()
			}
		})
	}
}
