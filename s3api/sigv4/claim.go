package sigv4

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"coffer/s3api/s3err"
)

// Scope is the credential scope of a signature.
type Scope struct {
	Date    string // yyyymmdd
	Region  string
	Service string // always "s3"
}

// String is the scope as it stands in the string to sign.
func (s Scope) String() string {
	return s.Date + "/" + s.Region + "/" + s.Service + "/" + terminator
}

// claim is what a request says about its own signature, parsed and unproven.
type claim struct {
	presigned bool
	accessKey string
	scope     Scope
	time      time.Time
	expires   time.Duration // presigned only
	signed    []string      // lower case, sorted, unique
	signature string
	payload   string // payload line of the canonical request; "" when not declared
	token     bool   // a session token was sent
}

// dialect words the errors of the two places a signature can stand.
type dialect struct {
	code   s3err.Code
	prefix string // of errors in the credential
}

var (
	inHeader = dialect{s3err.AuthorizationHeaderMalformed, "The authorization header is malformed; "}
	inQuery  = dialect{s3err.AuthorizationQueryParametersError, "Error parsing the X-Amz-Credential parameter; "}
)

func (d dialect) errorf(format string, args ...any) *s3err.Error {
	return s3err.Newf(d.code, d.prefix+format, args...)
}

// parseCredential splits <access key>/<date>/<region>/<service>/aws4_request.
// The access key may itself contain '/'.
func parseCredential(d dialect, s string) (accessKey string, scope Scope, err error) {
	parts := strings.Split(s, "/")
	n := len(parts)
	if n < 5 {
		return "", Scope{}, d.errorf(`the Credential is mal-formed; expecting "<YOUR-AKID>/YYYYMMDD/REGION/SERVICE/aws4_request".`)
	}
	accessKey = strings.Join(parts[:n-4], "/")
	scope = Scope{Date: parts[n-4], Region: parts[n-3], Service: parts[n-2]}
	switch {
	case accessKey == "":
		return "", Scope{}, d.errorf(`the Credential is mal-formed; expecting "<YOUR-AKID>/YYYYMMDD/REGION/SERVICE/aws4_request".`)
	case parts[n-1] != terminator:
		return "", Scope{}, d.errorf("incorrect terminal %q. This endpoint uses %q.", parts[n-1], terminator)
	case scope.Service != service:
		return "", Scope{}, d.errorf("incorrect service %q. This endpoint belongs to %q.", scope.Service, service)
	}
	if _, perr := time.Parse(dateFormat, scope.Date); perr != nil {
		return "", Scope{}, d.errorf(`incorrect date format %q. This date in the credential must be in the format "yyyyMMdd".`, scope.Date)
	}
	return accessKey, scope, nil
}

// parseSignedHeaders gives the names in lower case and sorted. host must be
// among them, and none may stand twice.
func parseSignedHeaders(d dialect, s string) ([]string, error) {
	names := strings.Split(strings.ToLower(s), ";")
	slices.Sort(names)
	for i, name := range names {
		if !isToken(name) || i > 0 && names[i-1] == name {
			return nil, s3err.Newf(d.code, "The SignedHeaders list is malformed.")
		}
	}
	if !slices.Contains(names, "host") {
		return nil, s3err.Newf(s3err.AccessDenied, "%s", msgUnsigned).With("HeadersNotSigned", "host")
	}
	return names, nil
}

// isToken reports whether s is a header name (RFC 9110, 5.6.2).
func isToken(s string) bool {
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c <= ' ' || c >= 0x7f || strings.IndexByte(`"(),/:;<=>?@[\]{}`, c) >= 0 {
			return false
		}
	}
	return s != ""
}

// parseHeaderClaim reads the Authorization header and the date.
func parseHeaderClaim(r *Request) (*claim, error) {
	if r.Header.count(headerAuth) > 1 {
		return nil, errOneMechanism()
	}
	auth, _ := r.Header.Get(headerAuth)
	a, err := parseAuthorization(strings.TrimPrefix(auth, algorithm))
	if err != nil {
		return nil, err
	}
	c := &claim{signature: a.signature}
	if c.accessKey, c.scope, err = parseCredential(inHeader, a.credential); err != nil {
		return nil, err
	}
	if c.signed, err = parseSignedHeaders(inHeader, a.signedHeaders); err != nil {
		return nil, err
	}
	if c.time, err = requestTime(r.Header); err != nil {
		return nil, err
	}
	if day := c.time.Format(dateFormat); day != c.scope.Date {
		return nil, inHeader.errorf("Invalid credential date %q. This date is not the same as X-Amz-Date: %q.", c.scope.Date, day)
	}
	if c.payload, err = singleField(r.Header, headerSHA256); err != nil {
		return nil, err
	}
	_, c.token = r.Header.Get(headerToken)
	return c, nil
}

// authorization is the three components of the Authorization header.
type authorization struct {
	credential, signedHeaders, signature string
}

// parseAuthorization splits Credential=…, SignedHeaders=…, Signature=… in any
// order, each exactly once, nothing else.
func parseAuthorization(s string) (authorization, error) {
	var a authorization
	places := map[string]*string{"Credential": &a.credential, "SignedHeaders": &a.signedHeaders, "Signature": &a.signature}
	for field := range strings.SplitSeq(s, ",") {
		name, value, _ := strings.Cut(strings.Trim(field, " \t"), "=")
		place := places[name]
		if place == nil || *place != "" || value == "" {
			return a, inHeader.errorf("the authorization header requires three components: Credential, SignedHeaders, and Signature.")
		}
		*place = value
	}
	for _, name := range []string{"Credential", "SignedHeaders", "Signature"} {
		if *places[name] == "" {
			return a, inHeader.errorf("missing %s.", name)
		}
	}
	return a, nil
}

// requestTime reads x-amz-date, or Date in its absence.
func requestTime(h Header) (time.Time, error) {
	if s, ok := h.Get(headerDate); ok {
		if t, err := time.Parse(timeFormat, s); err == nil && h.count(headerDate) == 1 {
			return t, nil
		}
		return time.Time{}, errNoDate()
	}
	if s, ok := h.Get("date"); ok && h.count("date") == 1 {
		for _, format := range []string{time.RFC1123, timeFormat} {
			if t, err := time.Parse(format, s); err == nil {
				return t.UTC(), nil
			}
		}
	}
	return time.Time{}, errNoDate()
}

// singleField gives the value of a field that may stand once, "" when absent.
func singleField(h Header, name string) (string, error) {
	if h.count(name) > 1 {
		return "", s3err.Newf(s3err.InvalidArgument, "%s was sent more than once.", name).With("ArgumentName", name)
	}
	v, _ := h.Get(name)
	return strings.Trim(v, " \t"), nil
}

// parseQueryClaim reads the parameters of a presigned URL.
func parseQueryClaim(r *Request, q Query) (*claim, error) {
	for _, name := range []string{queryAlgo, queryCred, queryDate, queryExpires, querySigned, querySig} {
		if v, _ := q.Get(name); v == "" || q.count(name) != 1 {
			return nil, s3err.Newf(inQuery.code, "Query-string authentication version 4 requires the X-Amz-Algorithm, "+
				"X-Amz-Credential, X-Amz-Signature, X-Amz-Date, X-Amz-SignedHeaders, and X-Amz-Expires parameters.")
		}
	}
	value := func(name string) string { v, _ := q.Get(name); return v }
	if value(queryAlgo) != algorithm {
		return nil, s3err.Newf(inQuery.code, "X-Amz-Algorithm only supports %q", algorithm)
	}
	c := &claim{presigned: true, signature: value(querySig)}
	var err error
	if c.accessKey, c.scope, err = parseCredential(inQuery, value(queryCred)); err != nil {
		return nil, err
	}
	if c.signed, err = parseSignedHeaders(inQuery, value(querySigned)); err != nil {
		return nil, err
	}
	if c.time, err = time.Parse(timeFormat, value(queryDate)); err != nil {
		return nil, s3err.Newf(inQuery.code, `X-Amz-Date must be in the ISO8601 Long Format "yyyyMMdd'T'HHmmss'Z'"`)
	}
	if day := c.time.Format(dateFormat); day != c.scope.Date {
		return nil, s3err.Newf(inQuery.code, "Invalid credential date %q. This date is not the same as X-Amz-Date: %q.", c.scope.Date, day)
	}
	if c.expires, err = parseExpires(value(queryExpires)); err != nil {
		return nil, err
	}
	if c.payload, err = presignedPayload(r.Header, q); err != nil {
		return nil, err
	}
	_, inHead := r.Header.Get(headerToken)
	c.token = inHead || q.Has(queryToken)
	return c, nil
}

const maxExpires = 604800 // seconds; a week

func parseExpires(s string) (time.Duration, error) {
	n, err := strconv.ParseInt(s, 10, 64)
	switch {
	case err != nil && !isDigits(strings.TrimPrefix(s, "-")) || strings.HasPrefix(s, "+"):
		return 0, s3err.Newf(inQuery.code, "X-Amz-Expires should be a number")
	case strings.HasPrefix(s, "-"):
		return 0, s3err.Newf(inQuery.code, "X-Amz-Expires must be non-negative")
	case err != nil || n > maxExpires:
		return 0, s3err.Newf(inQuery.code, "X-Amz-Expires must be less than a week (in seconds); "+
			"that is, the given X-Amz-Expires must be less than 604800 seconds")
	case n == 0:
		return 0, s3err.Newf(inQuery.code, "X-Amz-Expires must be at least 1")
	}
	return time.Duration(n) * time.Second, nil
}

func isDigits(s string) bool {
	for i := 0; i < len(s); i++ {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return s != ""
}

// presignedPayload gives the payload line: the header where it was sent, else
// the parameter, else UNSIGNED-PAYLOAD. So whatever the request declares about
// its body is covered by the signature.
func presignedPayload(h Header, q Query) (string, error) {
	head, err := singleField(h, headerSHA256)
	if err != nil {
		return "", err
	}
	param, inQueryString := q.Get(querySHA256)
	if q.count(querySHA256) > 1 || inQueryString && head != "" && head != param {
		return "", s3err.Newf(inQuery.code, "X-Amz-Content-Sha256 was given twice with different values")
	}
	switch {
	case head != "":
		return head, nil
	case param != "":
		return param, nil
	}
	return unsignedPayload, nil
}
