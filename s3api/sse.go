package s3api

import (
	"crypto/md5"
	"crypto/subtle"
	"encoding/base64"
	"strings"
	"unicode"
	"unicode/utf8"

	"coffer/object"
	"coffer/s3api/s3err"
)

// The header fields of server-side encryption, in lower case. docs/sse.md describes them for clients.
const (
	sseField          = "x-amz-server-side-encryption"
	sseKeyIDField     = sseField + "-aws-kms-key-id"
	sseContextField   = sseField + "-context"
	sseBucketKeyField = sseField + "-bucket-key-enabled"
	sseCustomerPrefix = sseField + "-customer-"
	sseSourcePrefix   = "x-amz-copy-source-server-side-encryption-customer-"
)

// sseFields says which fields of server-side encryption an operation takes.
type sseFields uint8

const (
	sseManaged  sseFields = 1 << iota // mode, key id, context, bucket key
	sseCustomer                       // the client's key of the object or upload
	sseSource                         // the client's key of a copy's source
)

// sseFieldOf tells which of them a field is, 0 for every other field.
func sseFieldOf(name string) sseFields {
	switch name {
	case sseField, sseKeyIDField, sseContextField, sseBucketKeyField:
		return sseManaged
	case sseCustomerPrefix + "algorithm", sseCustomerPrefix + "key", sseCustomerPrefix + "key-md5":
		return sseCustomer
	case sseSourcePrefix + "algorithm", sseSourcePrefix + "key", sseSourcePrefix + "key-md5":
		return sseSource
	default:
		return 0
	}
}

// checkSSEField refuses a field of server-side encryption that the operation does not take. The value stays unsaid: it
// may be a key.
func checkSSEField(c *call, name string, which sseFields) error {
	if c.route.sse&which == 0 {
		return s3err.Newf(s3err.InvalidArgument, "%s header is not supported for this operation.", name).With("ArgumentName", name)
	}
	return nil
}

// readSealing reads all fields of server-side encryption into the call, and lets go of the text of the keys in them.
// Whoever calls it calls wipeKeys in the end, also after an error.
func (s *Server) readSealing(c *call) error {
	defer c.forgetKeys()
	for _, p := range c.query {
		if name := strings.ToLower(p.Name); sseFieldOf(name)&(sseCustomer|sseSource) != 0 {
			return s3err.Newf(s3err.InvalidRequest, "%s must be a header field: URLs are written to logs.", name).With("ArgumentName", name)
		}
	}
	var err error
	if c.sealing, err = c.managedSealing(); err != nil {
		return err
	}
	customer, keyMD5, err := c.customerKey(sseCustomerPrefix)
	switch {
	case err != nil:
		return err
	case customer.Mode != 0 && c.asksManaged():
		customer.Customer.Wipe()
		return invalidArgument(sseCustomerPrefix+"algorithm", "AES256",
			"Server Side Encryption with Customer provided key is incompatible with the encryption method specified")
	case customer.Mode != 0:
		c.sealing, c.keyMD5 = customer, keyMD5
	}
	if c.source, _, err = c.customerKey(sseSourcePrefix); err != nil {
		return err
	}
	if (c.sealing.Customer != nil || c.source.Customer != nil) && !s.isPrivate(c) {
		return s3err.Newf(s3err.InvalidRequest,
			"Requests specifying Server Side Encryption with Customer provided keys must be made over a secure connection.")
	}
	return nil
}

// wipeKeys overwrites the keys that readSealing made. Nothing in the engine uses them any more when a handler is done.
func (c *call) wipeKeys() {
	for _, w := range []object.Sealing{c.sealing, c.source} {
		if w.Customer != nil {
			w.Customer.Wipe()
		}
	}
}

// forgetKeys lets go of the text of the client's keys, which Go cannot overwrite: it goes with the next collection.
func (c *call) forgetKeys() {
	delete(c.fields, sseCustomerPrefix+"key")
	delete(c.fields, sseSourcePrefix+"key")
	c.header = nil // the signature has been verified
}

// isPrivate reports whether nobody on the way of a request could read it: it came over TLS, or from this machine, or
// from a proxy that is trusted and says that it did. A proxy on this machine that says otherwise is believed.
func (s *Server) isPrivate(c *call) bool {
	if c.secure {
		return true
	}
	proto := c.get("x-forwarded-proto")
	if proto == "" {
		return c.peer.IsLoopback()
	}
	for hop := range strings.SplitSeq(proto, ",") {
		if !strings.EqualFold(strings.TrimSpace(hop), "https") {
			return false
		}
	}
	return c.peer.IsLoopback() ||
		s.isTrustedProxy(c.peer)
}

// asksManaged reports whether a field asks for a key of the server's side.
func (c *call) asksManaged() bool {
	return c.has(sseField) || c.has(sseKeyIDField) || c.has(sseContextField) || c.has(sseBucketKeyField)
}

// managedSealing reads what is asked for of the keys on the server's side.
func (c *call) managedSealing() (object.Sealing, error) {
	var want object.Sealing
	switch v := c.get(sseField); {
	case !c.has(sseField):
	case v == "AES256":
		want.Mode = object.ModeSSES3
	case v == "aws:kms", v == "aws:kms:dsse": // two layers are one here
		want.Mode = object.ModeSSEKMS
	case v == "aws:fsx":
		return want, s3err.New(s3err.NotImplemented).With("Header", sseField)
	default:
		return want, invalidArgument(sseField, v, "The encryption method specified is not supported")
	}
	for _, name := range []string{sseKeyIDField, sseContextField} {
		if c.has(name) && want.Mode != object.ModeSSEKMS {
			return want, s3err.Newf(s3err.InvalidArgument, "Server Side Encryption with AWS KMS managed key requires HTTP header "+
				"x-amz-server-side-encryption : aws:kms").With("ArgumentName", name)
		}
	}
	var err error
	if want.KeyID, err = parseKeyID(sseKeyIDField, c.get(sseKeyIDField)); err != nil {
		return want, err
	}
	if c.has(sseContextField) {
		if want.Context, err = parseContext(c.get(sseContextField)); err != nil {
			return want, err
		}
	}
	want.BucketKey, err = c.bucketKey(want.Mode)
	return want, err
}

// bucketKey reads whether the KEK is to be the bucket's; nil when nothing was said, or for a mode where it always is.
func (c *call) bucketKey(mode object.Mode) (*bool, error) {
	v := c.get(sseBucketKeyField)
	yes := strings.EqualFold(v, "true")
	switch {
	case !c.has(sseBucketKeyField):
		return nil, nil
	case !yes && !strings.EqualFold(v, "false"):
		return nil, invalidArgument(sseBucketKeyField, v, "The value must be true or false.")
	case mode == object.ModeSSES3:
		return nil, nil
	default:
		return &yes, nil
	}
}

// maxKeyID is the longest id of a key, in bytes, as package kms has it.
const maxKeyID = 256

// parseKeyID takes the id of a key from an id or from an ARN, whose resource it is: arn:aws:kms:<region>:<account>:key/<id>,
// or arn:aws:kms:<id>, as some clients write it. "" stands for the default key.
func parseKeyID(name, v string) (string, error) {
	id := v
	if resource, ok := strings.CutPrefix(v, "arn:aws:kms:"); ok {
		id = resource
		if _, after, ok := strings.Cut(":"+resource, ":key/"); ok {
			id = after
		}
	}
	switch {
	case strings.TrimSpace(id) != id:
		return "", s3err.Newf(s3err.InvalidRequest, "The id of a key must not begin or end with a space.").With("ArgumentName", name)
	case id == "" && v != "", len(id) > maxKeyID, !utf8.ValidString(id), strings.ContainsFunc(id, unicode.IsControl):
		return "", s3err.Newf(s3err.InvalidArgument, "The id of a key has 1 to %d bytes of UTF-8 without control characters.", maxKeyID).
			With("ArgumentName", name)
	}
	return id, nil
}

// parseContext reads an encryption context: a JSON object as it is, or in base64, which is taken off once.
func parseContext(v string) ([]byte, error) {
	bad := func(cause error) ([]byte, error) {
		e := s3err.Newf(s3err.InvalidArgument, "The encryption context must be a JSON object of strings, plain or in base64, "+
			"of at most %d bytes. No name stands twice, and none is bucket or key.", object.MaxClientContext)
		e.Err = cause
		return nil, e.With("ArgumentName", sseContextField)
	}
	text := []byte(v)
	if !strings.HasPrefix(v, "{") {
		var err error
		if text, err = base64.StdEncoding.DecodeString(v); err != nil || len(text) == 0 {
			return bad(err)
		}
	}
	if err := object.ValidateContext(text); err != nil {
		return bad(err)
	}
	return text, nil
}

// customerKey reads the three fields of a client's key: as a sealing that asks for it, and the MD5 that the answer
// names it by. The sealing is zero when none of them was sent. No error tells a key, or the MD5 of one.
func (c *call) customerKey(prefix string) (want object.Sealing, keyMD5 string, err error) {
	algorithm, key, sum := prefix+"algorithm", prefix+"key", prefix+"key-md5"
	bad := func(name, why string) (object.Sealing, string, error) {
		return object.Sealing{}, "", s3err.Newf(s3err.InvalidArgument, "%s", why).With("ArgumentName", name)
	}
	const must = "Requests specifying Server Side Encryption with Customer provided keys must provide "
	switch {
	case !c.has(algorithm) && !c.has(key) && !c.has(sum):
		return want, "", nil
	case !c.has(algorithm):
		return bad(algorithm, must+"a valid encryption algorithm.")
	case c.get(algorithm) != "AES256":
		return bad(algorithm, "The encryption request you specified is not valid. The valid value is AES256.")
	case !c.has(key):
		return bad(key, must+"an appropriate secret key.")
	case !c.has(sum):
		return bad(sum, must+"the client calculated MD5 of the secret key.")
	}
	raw, err := base64.StdEncoding.DecodeString(c.get(key))
	defer clear(raw)
	if err != nil || len(raw) != 32 {
		return bad(key, "The secret key was invalid for the specified algorithm.")
	}
	is := md5.Sum(raw)
	said, err := base64.StdEncoding.DecodeString(c.get(sum))
	if err != nil || subtle.ConstantTimeCompare(is[:], said) != 1 {
		return bad(sum, "The calculated MD5 hash of the key did not match the hash that was provided.")
	}
	customer, err := object.CustomerKey(raw)
	return object.Sealing{Mode: object.ModeSSEC, Customer: customer}, base64.StdEncoding.EncodeToString(is[:]), err
}

// setEncryption tells how a version or upload is sealed. A client's key is named by the MD5 that came with it.
func (c *call) setEncryption(e object.Encryption) {
	switch e.Mode {
	case object.ModeSSES3:
		c.set(sseField, "AES256")
	case object.ModeSSEKMS:
		c.set(sseField, "aws:kms")
		c.set(sseKeyIDField, e.KeyID)
		if e.BucketKey {
			c.set(sseBucketKeyField, "true")
		}
	case object.ModeSSEC:
		c.set(sseCustomerPrefix+"algorithm", "AES256")
		c.set(sseCustomerPrefix+"key-MD5", c.keyMD5)
	}
}

// setContext tells the encryption context that the client gave, always in base64, as S3 does.
func (c *call) setContext(e object.Encryption) {
	c.set(sseContextField, base64.StdEncoding.EncodeToString(e.Context))
}

// partKeyError is the answer to a part whose client's key is missing, or is not the upload's. S3 tells it from an object
// read with a wrong key, which is AccessDenied.
func partKeyError(err error) error {
	switch object.KindOf(err) {
	case object.KindCustomerKeyMissing:
		e := s3err.Newf(s3err.InvalidRequest, "The multipart upload initiate requested encryption. Subsequent part requests must "+
			"include the appropriate encryption parameters.")
		e.Err = err
		return e
	case object.KindCustomerKeyWrong:
		e := s3err.Newf(s3err.InvalidRequest, "The provided encryption parameters did not match the ones used originally.")
		e.Err = err
		return e
	default:
		return err
	}
}
