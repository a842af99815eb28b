// Package s3xml holds the wire documents of the S3 API: plain data in, XML out,
// and the other way round. It knows no HTTP and no engine type.
//
// # Writing
//
// Every answer is a struct with AppendXML, which appends the whole document, XML
// declaration included, and cannot fail:
//
//	doc := &s3xml.ListBucketV2{Name: b, Contents: objects, …}
//	body := doc.AppendXML(nil)        // Content-Type: application/xml
//
// Strings are raw: a document escapes them itself, and with EncodingType "url"
// it percent-encodes keys, prefixes, delimiters and markers itself too (spaces
// as %20, '/' kept). ETags are written as given; the caller adds the quotes where
// S3 has them, which is everywhere but in GetObjectAttributes. Zero times are
// left out. Elements that S3 leaves out when they are empty are left out.
//
// # Reading
//
//	del, err := s3xml.ReadDelete(body)
//	parts, err := s3xml.ReadCompleteMultipartUpload(body)
//	cfg, err := s3xml.ReadCreateBucketConfiguration(body)
//	enc, err := s3xml.ReadServerSideEncryptionConfiguration(body)
//
// Errors are *s3err.Error: MalformedXML for everything that is not well-formed or
// not of the schema, MissingRequestBodyError for a body of no bytes (an empty
// CreateBucketConfiguration is legal and gives the zero value), and
// MaxMessageLengthExceeded beyond the size limit; an error of the underlying
// reader is passed on. All of the body is read, up to the limit.
//
// As in S3, an element that the schema does not have is MalformedXML: an
// unknown condition must not be passed over. Namespaces, prefixes, attributes,
// comments and the XML declaration are accepted and mean nothing. DOCTYPE,
// entities other than the five of XML, other processing instructions and other
// encodings than UTF-8 are refused.
//
// # Control characters
//
// A key may hold any character; XML 1.0 cannot carry U+0000 to U+001F (but tab,
// LF and CR), U+FFFE and U+FFFF. Amazon S3 writes them as character references
// in lower-case hex in a document that says version 1.0, which conforming parsers
// refuse (boto/botocore#3496 shows it for U+0007, aws/aws-sdk-php#169 for &#x1b;)
// and which is the reason for encoding-type=url. This package does the same: the
// answer is exact, and whoever cannot parse it asks for encoding-type=url. The
// alternative, U+FFFD as MinIO and encoding/xml write it, names keys that do not
// exist (minio/minio#15023). Tab, LF and CR are references too, because a parser
// would normalise them.
//
// Reading accepts the same references, and the characters themselves, because
// botocore sends them so. CR is not made LF either, as XML would have it (and S3
// does, so that there a DeleteObjects of botocore for "a\r" deletes "a\n"): a key
// is what was sent. Amazon S3 refuses the other characters (boto/boto3#2005), so
// that such objects can be deleted one by one only. This is why the reader is not
// encoding/xml. It is a small one of its own, held against encoding/xml by a fuzz
// test.
//
// Everything here is safe for concurrent use as plain data is.
//
// Source: Amazon S3 API Reference, the "Response Syntax" and "Request Syntax" of
// each operation.
package s3xml
