package sigv4

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"slices"
	"strings"
	"time"

	"coffer/s3api/s3err"
)

// SecretFunc gives the secret of an access key; false when there is none. It
// is called on the path of every request, by many goroutines.
type SecretFunc func(accessKey string) (Secret, bool)

// Options of a Verifier. The zero value accepts every region.
type Options struct {
	Region string           // the only region accepted; "" accepts any
	Now    func() time.Time // nil: time.Now
}

// Verifier verifies requests.
type Verifier struct {
	secrets SecretFunc
	region  string
	now     func() time.Time
}

// New returns a Verifier.
func New(secrets SecretFunc, o Options) *Verifier {
	if o.Now == nil {
		o.Now = time.Now
	}
	return &Verifier{secrets: secrets, region: o.Region, now: o.Now}
}

// Verification is a request whose signature is verified, or, while Proven is
// false, one that will be when its body has been read.
type Verification struct {
	AccessKey     string
	Scope         Scope
	Time          time.Time // of signing
	Presigned     bool
	Expires       time.Time // of a presigned URL
	SignedHeaders []string  // lower case, sorted
	Payload       Payload
	Query         Query // the request's query, decoded

	sum       [32]byte // declared, for PayloadSHA256
	proven    bool
	key       *signingKey
	claim     *claim
	canonical []byte // up to the payload line
}

// Begin verifies everything that can be known before the body is read. The
// error is a *s3err.Error.
func (v *Verifier) Begin(r *Request) (*Verification, error) {
	q := ParseQuery(r.RawQuery)
	c, err := parseClaim(r, q)
	if err != nil {
		return nil, err
	}
	payload, sum, err := ParsePayload(c.payload)
	if err != nil {
		return nil, err
	}
	if err := v.check(r, c); err != nil {
		return nil, err
	}
	secret, ok := v.secrets(c.accessKey)
	if !ok {
		return nil, s3err.New(s3err.InvalidAccessKeyId).With("AWSAccessKeyId", c.accessKey)
	}
	if c.token {
		return nil, s3err.New(s3err.InvalidToken)
	}
	if err := checkTime(c, v.now()); err != nil {
		return nil, err
	}
	ver := &Verification{
		AccessKey: c.accessKey, Scope: c.scope, Time: c.time, Presigned: c.presigned,
		SignedHeaders: c.signed, Payload: payload, Query: q,
		sum: sum, key: derive(secret, c.scope), claim: c,
	}
	if c.presigned {
		ver.Expires = c.time.Add(c.expires)
	}
	if ver.canonical, err = canonicalRequest(r, q, c); err != nil {
		return nil, err
	}
	if err := ver.begin(r.NoBody); err != nil {
		return nil, err
	}
	return ver, nil
}

// begin verifies the signature where the payload line is known already.
func (ver *Verification) begin(noBody bool) error {
	if ver.Payload != PayloadAbsent {
		if err := ver.prove(ver.claim.payload); err != nil {
			return err
		}
	}
	if noBody && ver.NeedsBodySHA256() {
		return ver.Finish(sha256.Sum256(nil))
	}
	return nil
}

// Proven reports whether the signature has been verified. While it is false the
// request is as good as anonymous.
func (ver *Verification) Proven() bool { return ver.proven }

// NeedsBodySHA256 reports whether the caller must hash the body (as sent, that
// is before any decoding) and call Finish before it commits.
func (ver *Verification) NeedsBodySHA256() bool {
	return ver.Payload == PayloadAbsent || ver.Payload == PayloadSHA256
}

// Finish takes the SHA-256 of the whole body as sent. It gives
// XAmzContentSHA256Mismatch when another one was declared, and
// SignatureDoesNotMatch when none was and the signature is wrong. Where
// NeedsBodySHA256 is false it does nothing.
func (ver *Verification) Finish(body [32]byte) error {
	switch ver.Payload {
	case PayloadAbsent:
		return ver.finishAbsent(hex.EncodeToString(body[:]))
	case PayloadSHA256:
		if subtle.ConstantTimeCompare(body[:], ver.sum[:]) != 1 {
			return s3err.New(s3err.XAmzContentSHA256Mismatch).
				With("ClientComputedContentSHA256", ver.claim.payload).
				With("S3ComputedContentSHA256", hex.EncodeToString(body[:]))
		}
	}
	return nil
}

// finishAbsent names the usual mistake: curl before 8 signs an upload with -T as
// if it had no body.
func (ver *Verification) finishAbsent(body string) error {
	err := ver.prove(body)
	if err == nil || !sameSignature(ver.signature(emptySHA256), ver.claim.signature) {
		return err
	}
	return s3err.Newf(s3err.SignatureDoesNotMatch, "The request was signed as if it had no body. "+
		"Send the header x-amz-content-sha256: UNSIGNED-PAYLOAD, or the SHA-256 of the body, and sign it.")
}

// Chunks starts the chain of chunk signatures of a PayloadSigned or
// PayloadSignedTrailer body. The request must be Proven, which it is after
// Begin for these payloads.
func (ver *Verification) Chunks() *ChunkVerifier {
	return newChunkVerifier(ver.key, ver.Time, ver.Scope, ver.claim.signature)
}

// signature is what the signature would be for a payload line.
func (ver *Verification) signature(payload string) string {
	return ver.key.sign(stringToSign(ver.claim, ver.canonicalWith(payload)))
}

func (ver *Verification) canonicalWith(payload string) []byte {
	return append(slices.Clip(ver.canonical), payload...)
}

func (ver *Verification) prove(payload string) error {
	canonical := ver.canonicalWith(payload)
	toSign := stringToSign(ver.claim, canonical)
	if !sameSignature(ver.key.sign(toSign), ver.claim.signature) {
		if slices.ContainsFunc(ver.SignedHeaders, holdsSecret) ||
			slices.ContainsFunc(ver.Query, func(p Param) bool { return holdsSecret(strings.ToLower(p.Name)) }) {
			canonical = nil
		}
		return errSignature(ver.claim, toSign, canonical)
	}
	ver.proven = true
	return nil
}

func parseClaim(r *Request, q Query) (*claim, error) {
	switch r.detect(q) {
	case HeaderV4:
		return parseHeaderClaim(r)
	case QueryV4:
		return parseQueryClaim(r, q)
	case Unsupported:
		return nil, s3err.Newf(s3err.InvalidRequest, unsupportedAuth)
	case Ambiguous:
		return nil, errOneMechanism()
	}
	return nil, s3err.Wrap(s3err.AccessDenied, ErrAnonymous)
}

// check holds the claim against the region and the headers that arrived.
func (v *Verifier) check(r *Request, c *claim) error {
	region := c.scope.Region
	switch {
	case region == "" && r.EmptyRegion:
	case region == "", v.region != "" && region != v.region && !r.AnyRegion:
		d := inHeader
		if c.presigned {
			d = inQuery
		}
		return d.errorf("the region %q is wrong; expecting %q", region, v.region).With("Region", v.region)
	}
	var unsigned []string
	for _, f := range r.Header {
		name := strings.ToLower(f.Name)
		if strings.HasPrefix(name, "x-amz-") && name != headerSHA256 && !slices.Contains(c.signed, name) {
			unsigned = append(unsigned, name)
		}
	}
	if len(unsigned) > 0 {
		return s3err.Newf(s3err.AccessDenied, "%s", msgUnsigned).With("HeadersNotSigned", strings.Join(unsigned, ", "))
	}
	return nil
}

func checkTime(c *claim, now time.Time) error {
	switch {
	case c.presigned && c.time.After(now.Add(maxSkew)):
		return s3err.Newf(s3err.AccessDenied, "Request is not valid yet")
	case c.presigned && now.After(c.time.Add(c.expires)):
		return errExpired(c, now)
	case !c.presigned && (c.time.After(now.Add(maxSkew)) || c.time.Before(now.Add(-maxSkew))):
		return errSkewed(c, now)
	}
	return nil
}

// canonicalRequest builds the canonical request up to its payload line.
func canonicalRequest(r *Request, q Query, c *claim) ([]byte, error) {
	path, ok := UnescapePath(r.RawPath)
	if !ok {
		return nil, s3err.New(s3err.InvalidURI)
	}
	if path == "" {
		path = "/"
	}
	b := make([]byte, 0, 1024)
	b = append(append(b, r.Method...), '\n')
	b = append(appendEscaped(b, path, true), '\n')
	except := ""
	if c.presigned {
		except = querySig
	}
	b = append(appendCanonicalQuery(b, q, except), '\n')
	for _, name := range c.signed {
		b = append(append(b, name...), ':')
		b = append(appendHeader(b, r, name), '\n')
	}
	b = append(b, '\n')
	b = append(b, strings.Join(c.signed, ";")...)
	return append(b, '\n'), nil
}

func appendHeader(b []byte, r *Request, name string) []byte {
	if name == "host" {
		return appendTrimmed(b, r.Host)
	}
	first := true
	for _, f := range r.Header {
		if strings.EqualFold(f.Name, name) {
			if !first {
				b = append(b, ',')
			}
			b, first = appendTrimmed(b, f.Value), false
		}
	}
	return b
}

func stringToSign(c *claim, canonical []byte) []byte {
	b := make([]byte, 0, 192)
	b = append(b, algorithm...)
	b = append(b, '\n')
	b = c.time.AppendFormat(b, timeFormat)
	b = append(b, '\n')
	b = append(b, c.scope.String()...)
	b = append(b, '\n')
	sum := sha256.Sum256(canonical)
	return hex.AppendEncode(b, sum[:])
}

// holdsSecret reports whether the value of a field, or of a parameter of that
// name, must not be repeated in an answer: SSE-C keys, their MD5s and session
// tokens.
func holdsSecret(name string) bool {
	return name == headerToken || name == headerAuth || name == "cookie" ||
		strings.HasSuffix(name, "-server-side-encryption-customer-key") ||
		strings.HasSuffix(name, "-server-side-encryption-customer-key-md5")
}
