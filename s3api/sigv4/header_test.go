package sigv4_test

import (
	"slices"
	"strings"
	"testing"

	"coffer/s3api/s3err"
	"coffer/s3api/sigv4"
)

func TestAuthorizationAccepted(t *testing.T) {
	t.Parallel()
	nop := func(*sigv4.Request) {}
	tests := []mutation{
		{"as signed", nop, "", ""},
		{"no blanks between components", edit(", ", ","), "", ""},
		{"more blanks and tabs", edit(", ", " ,\t "), "", ""},
		{"components in another order", func(r *sigv4.Request) {
			auth, _ := r.Header.Get("Authorization")
			p := strings.Split(strings.TrimPrefix(auth, "AWS4-HMAC-SHA256 "), ", ")
			r.Header = setField(r.Header, "Authorization", "AWS4-HMAC-SHA256 "+p[2]+", "+p[1]+", "+p[0])
		}, "", ""},
		{"header name in lower case", func(r *sigv4.Request) {
			for i := range r.Header {
				r.Header[i].Name = strings.ToLower(r.Header[i].Name)
			}
		}, "", ""},
		{"fields in reverse order", func(r *sigv4.Request) { slices.Reverse(r.Header) }, "", ""},
		{"signed names in another order", edit("host;x-amz-content-sha256;", "x-amz-content-sha256;host;"), "", ""},
		{"signed names in upper case", edit("host;", "Host;"), "", ""},
		{"unsigned Content-MD5", addField("Content-MD5", "x"), "", ""},
		{"unsigned x-amzn-trace-id", addField("X-Amzn-Trace-Id", "x"), "", ""},
		{"unsigned User-Agent", addField("User-Agent", "x"), "", ""},
		{"a Host field beside Request.Host", addField("Host", "evil"), "", ""},
	}
	runMutations(t, tests, func(t *testing.T) *sigv4.Request { return base().sign(t) })
}

func TestAuthorizationMalformed(t *testing.T) {
	t.Parallel()
	const three = "requires three components"
	tests := []mutation{
		{"no header at all", func(r *sigv4.Request) { r.Header = dropField(r.Header, "Authorization") }, s3err.AccessDenied, "Access Denied"},
		{"two Authorization fields", addField("authorization", "AWS4-HMAC-SHA256 Credential=x"), s3err.InvalidArgument, "Only one auth mechanism"},
		{"header and query", func(r *sigv4.Request) { r.RawQuery += "&X-Amz-Signature=00" }, s3err.InvalidArgument, "Only one auth mechanism"},
		{"header and query of version 2", func(r *sigv4.Request) { r.RawQuery += "&AWSAccessKeyId=a&Signature=b" }, s3err.InvalidArgument, "Only one auth mechanism"},
		{"version 2", func(r *sigv4.Request) { r.Header = setField(r.Header, "Authorization", "AWS AKTEST:c2ln") }, s3err.InvalidRequest, "Please use AWS4-HMAC-SHA256"},
		{"version 4A", edit("AWS4-HMAC-SHA256 ", "AWS4-ECDSA-P256-SHA256 "), s3err.InvalidRequest, "Please use AWS4-HMAC-SHA256"},
		{"algorithm as a prefix", edit("AWS4-HMAC-SHA256 ", "AWS4-HMAC-SHA256X "), s3err.InvalidRequest, "Please use AWS4-HMAC-SHA256"},
		{"algorithm alone", func(r *sigv4.Request) { r.Header = setField(r.Header, "Authorization", "AWS4-HMAC-SHA256") }, s3err.AuthorizationHeaderMalformed, three},
		{"empty component", edit(", ", ",,"), s3err.AuthorizationHeaderMalformed, three},
		{"unknown component", edit(", ", ", Extra=1, "), s3err.AuthorizationHeaderMalformed, three},
		{"component twice", edit(", ", ", Credential=a/20260301/eu-west-1/s3/aws4_request, "), s3err.AuthorizationHeaderMalformed, three},
		{"component without value", edit("Signature=", "Signature"), s3err.AuthorizationHeaderMalformed, three},
		{"no credential", edit("Credential="+accessKey+"/20260301/eu-west-1/s3/aws4_request, ", ""), s3err.AuthorizationHeaderMalformed, "missing Credential"},
		{"no signature", func(r *sigv4.Request) { edit(", Signature="+signature(r), "")(r) }, s3err.AuthorizationHeaderMalformed, "missing Signature"},
		{"short credential", edit("/s3/aws4_request", "/aws4_request"), s3err.AuthorizationHeaderMalformed, "mal-formed; expecting"},
		{"empty access key", edit(accessKey+"/", "/"), s3err.AuthorizationHeaderMalformed, "mal-formed; expecting"},
		{"other terminal", edit("aws4_request", "aws3_request"), s3err.AuthorizationHeaderMalformed, "incorrect terminal"},
		{"other service", edit("/s3/", "/sts/"), s3err.AuthorizationHeaderMalformed, "incorrect service"},
		{"scope date of no calendar", edit("20260301", "20260231"), s3err.AuthorizationHeaderMalformed, "incorrect date format"},
		{"scope date of another day", edit("20260301", "20260302"), s3err.AuthorizationHeaderMalformed, "Invalid credential date"},
		{"wrong region", edit("eu-west-1", "us-east-1"), s3err.AuthorizationHeaderMalformed, `the region "us-east-1" is wrong; expecting "eu-west-1"`},
		{"empty region", edit("eu-west-1", ""), s3err.AuthorizationHeaderMalformed, `the region "" is wrong`},
		{"unknown access key", edit(accessKey, "AKOTHER"), s3err.InvalidAccessKeyId, ""},
		{"access key with a slash", edit(accessKey, "AK/OTHER"), s3err.InvalidAccessKeyId, ""},
	}
	runMutations(t, tests, func(t *testing.T) *sigv4.Request { return base().sign(t) })
}

func TestAuthorizationRefused(t *testing.T) {
	t.Parallel()
	tests := []mutation{
		{"host not signed", edit("host;", ""), s3err.AccessDenied, "not signed"},
		{"signed name twice", edit("host;", "host;host;"), s3err.AuthorizationHeaderMalformed, "SignedHeaders"},
		{"signed name empty", edit("host;", "host;;"), s3err.AuthorizationHeaderMalformed, "SignedHeaders"},
		{"signed name no token", edit("host;", "host;a b;"), s3err.AuthorizationHeaderMalformed, "SignedHeaders"},
		{"unsigned x-amz header", addField("X-Amz-Acl", "public-read"), s3err.AccessDenied, "not signed"},
		{"x-amz header dropped from the list", edit(";x-amz-meta-k", ""), s3err.AccessDenied, "not signed"},
		{"content hash dropped from the list", edit("x-amz-content-sha256;", ""), s3err.SignatureDoesNotMatch, ""},
		{"signature in upper case", func(r *sigv4.Request) { edit(signature(r), strings.ToUpper(signature(r)))(r) }, s3err.SignatureDoesNotMatch, ""},
		{"signature cut short", func(r *sigv4.Request) { edit(signature(r), signature(r)[:63])(r) }, s3err.SignatureDoesNotMatch, ""},
		{"signature of another request", func(r *sigv4.Request) { edit(signature(r), strings.Repeat("0", 64))(r) }, s3err.SignatureDoesNotMatch, ""},
		{"session token", func(r *sigv4.Request) {
			edit("x-amz-meta-k", "x-amz-meta-k;x-amz-security-token")(r)
			addField("X-Amz-Security-Token", "t")(r)
		}, s3err.InvalidToken, ""},
	}
	runMutations(t, tests, func(t *testing.T) *sigv4.Request { return base().sign(t) })
}

func TestPathAndQuery(t *testing.T) {
	t.Parallel()
	raw := func(path, query string) func(*sigv4.Request) {
		return func(r *sigv4.Request) { r.RawPath, r.RawQuery = path, query }
	}
	const bad = s3err.SignatureDoesNotMatch
	tests := []mutation{
		{"upper hex", raw("/b/%C3%A4%2Fx//../.", "k=a%2Fb&k=a+b&z"), "", ""},
		{"lower hex", raw("/b/%c3%a4%2fx//../.", "k=a%2fb&k=a%20b&z="), "", ""},
		{"raw UTF-8", raw("/b/ä%2Fx//../.", "z&k=a+b&k=a/b"), "", ""},
		{"every character escaped", raw("/%62/%C3%A4%2F%78//%2E%2E/%2E", "%6B=%61%2F%62&k=a+b&z"), "", ""},
		{"reserved characters raw", raw("/b/%c3%a4%2Fx//../.", "k=a/b&k=a+b&z"), "", ""},
		{"empty pairs", raw("/b/%C3%A4%2Fx//../.", "&k=a%2Fb&&k=a+b&z&"), "", ""},
		{"%2F as a slash", raw("/b/%C3%A4/x//../.", "k=a%2Fb&k=a+b&z"), "", ""},

		{"path cleaned", raw("/b/%C3%A4%2Fx", "k=a%2Fb&k=a+b&z"), bad, ""},
		{"double slash joined", raw("/b/%C3%A4%2Fx/../.", "k=a%2Fb&k=a+b&z"), bad, ""},
		{"path escaped twice", raw("/b/%25C3%25A4%252Fx//../.", "k=a%2Fb&k=a+b&z"), bad, ""},
		{"plus in the path", raw("/b/%C3%A4%2Fx//../.+", "k=a%2Fb&k=a+b&z"), bad, ""},
		{"plus escaped in the query", raw("/b/%C3%A4%2Fx//../.", "k=a%2Fb&k=a%2Bb&z"), bad, ""},
		{"value dropped", raw("/b/%C3%A4%2Fx//../.", "k=a%2Fb&z"), bad, ""},
		{"value twice", raw("/b/%C3%A4%2Fx//../.", "k=a%2Fb&k=a+b&z&z"), bad, ""},
		{"name in another case", raw("/b/%C3%A4%2Fx//../.", "K=a%2Fb&k=a+b&z"), bad, ""},
		{"semicolon is no separator", raw("/b/%C3%A4%2Fx//../.", "k=a%2Fb;k=a+b&z"), bad, ""},
		{"half an escape in the path", raw("/b/%C3%A", "z"), s3err.InvalidURI, ""},
		{"a percent at the end of the path", raw("/b/%", "z"), s3err.InvalidURI, ""},
		{"half an escape in the query", raw("/b/%C3%A4%2Fx//../.", "k=a%2Fb&k=a+b&z=%4"), bad, ""},
	}
	p := base()
	p.path = "/b/ä/x//../."
	p.query = []sigv4.Param{{Name: "k", Value: "a b"}, {Name: "z"}, {Name: "k", Value: "a/b"}}
	runMutations(t, tests, func(t *testing.T) *sigv4.Request { return p.sign(t) })
}
