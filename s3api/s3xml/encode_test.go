package s3xml_test

import (
	"encoding/xml"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"coffer/s3api/s3err"
	"coffer/s3api/s3xml"
)

const head = `<?xml version="1.0" encoding="UTF-8"?>` + "\n"

// ns puts the namespace on the root of a document.
func ns(doc string) string {
	end := strings.IndexByte(doc, '>')
	return head + doc[:end] + ` xmlns="http://s3.amazonaws.com/doc/2006-03-01/"` + doc[end:]
}

type encodeTest struct {
	name string
	doc  s3xml.Document
	want string
}

func at() time.Time {
	return time.Date(2026, 3, 1, 13, 0, 0, 123456789, time.FixedZone("", 3600))
}

func checkDocuments(t *testing.T, tests []encodeTest) {
	t.Helper()
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got := string(tt.doc.AppendXML([]byte("before")))
			if diff := cmp.Diff("before"+tt.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			wellFormed(t, got[len("before"):])
		})
	}
}

func wellFormed(t *testing.T, doc string) {
	t.Helper()
	d := xml.NewDecoder(strings.NewReader(doc))
	for {
		if _, err := d.Token(); errors.Is(err, io.EOF) {
			return
		} else if err != nil {
			t.Fatalf("not well-formed: %v", err)
		}
	}
}

const stamp = "2026-03-01T12:00:00.123Z"

func TestBucketDocuments(t *testing.T) {
	t.Parallel()
	owner := s3xml.Owner{ID: "id", DisplayName: "name"}
	checkDocuments(t, []encodeTest{
		{"no buckets", &s3xml.ListAllMyBuckets{Owner: s3xml.Owner{ID: "id"}},
			ns("<ListAllMyBucketsResult><Owner><ID>id</ID></Owner><Buckets></Buckets></ListAllMyBucketsResult>")},
		{"buckets", &s3xml.ListAllMyBuckets{Owner: owner, Prefix: "p", ContinuationToken: "t", Buckets: []s3xml.Bucket{{Name: "b", CreationDate: at(), Region: "r"}}},
			ns("<ListAllMyBucketsResult><Owner><ID>id</ID><DisplayName>name</DisplayName></Owner><Buckets><Bucket><Name>b</Name><CreationDate>" + stamp +
				"</CreationDate><BucketRegion>r</BucketRegion></Bucket></Buckets><Prefix>p</Prefix><ContinuationToken>t</ContinuationToken></ListAllMyBucketsResult>")},
		{"location", &s3xml.LocationConstraint{Region: "eu-west-1"}, ns("<LocationConstraint>eu-west-1</LocationConstraint>")},
		{"location of us-east-1", &s3xml.LocationConstraint{}, ns("<LocationConstraint></LocationConstraint>")},
		{"versioning never set", &s3xml.VersioningConfiguration{}, ns("<VersioningConfiguration></VersioningConfiguration>")},
		{"versioning", &s3xml.VersioningConfiguration{Status: "Enabled"}, ns("<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>")},
		{"encryption", &s3xml.ServerSideEncryptionConfiguration{Rule: s3xml.EncryptionRule{SSEAlgorithm: "AES256"}},
			ns("<ServerSideEncryptionConfiguration><Rule><ApplyServerSideEncryptionByDefault><SSEAlgorithm>AES256</SSEAlgorithm></ApplyServerSideEncryptionByDefault>" +
				"<BucketKeyEnabled>false</BucketKeyEnabled></Rule></ServerSideEncryptionConfiguration>")},
		{"encryption with a key", &s3xml.ServerSideEncryptionConfiguration{Rule: s3xml.EncryptionRule{SSEAlgorithm: "aws:kms", KMSMasterKeyID: "k", BucketKeyEnabled: true}},
			ns("<ServerSideEncryptionConfiguration><Rule><ApplyServerSideEncryptionByDefault><SSEAlgorithm>aws:kms</SSEAlgorithm><KMSMasterKeyID>k</KMSMasterKeyID>" +
				"</ApplyServerSideEncryptionByDefault><BucketKeyEnabled>true</BucketKeyEnabled></Rule></ServerSideEncryptionConfiguration>")},
		{"encryption that blocks", &s3xml.ServerSideEncryptionConfiguration{Rule: s3xml.EncryptionRule{SSEAlgorithm: "AES256", BlockedEncryptionTypes: []string{"SSE-C"}}},
			ns("<ServerSideEncryptionConfiguration><Rule><ApplyServerSideEncryptionByDefault><SSEAlgorithm>AES256</SSEAlgorithm></ApplyServerSideEncryptionByDefault>" +
				"<BucketKeyEnabled>false</BucketKeyEnabled><BlockedEncryptionTypes><EncryptionType>SSE-C</EncryptionType></BlockedEncryptionTypes></Rule></ServerSideEncryptionConfiguration>")},
		{"tagging", &s3xml.Tagging{Tags: []s3xml.Tag{{Key: "a", Value: ""}, {Key: "b", Value: "<"}}},
			ns("<Tagging><TagSet><Tag><Key>a</Key><Value></Value></Tag><Tag><Key>b</Key><Value>&lt;</Value></Tag></TagSet></Tagging>")},
		{"acl", &s3xml.AccessControlPolicy{Owner: owner},
			ns(`<AccessControlPolicy><Owner><ID>id</ID><DisplayName>name</DisplayName></Owner><AccessControlList><Grant>` +
				`<Grantee xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:type="CanonicalUser"><ID>id</ID><DisplayName>name</DisplayName></Grantee>` +
				`<Permission>FULL_CONTROL</Permission></Grant></AccessControlList></AccessControlPolicy>`)},
		{"ownership", &s3xml.OwnershipControls{ObjectOwnership: "BucketOwnerEnforced"},
			ns("<OwnershipControls><Rule><ObjectOwnership>BucketOwnerEnforced</ObjectOwnership></Rule></OwnershipControls>")},
		{"policy status", &s3xml.PolicyStatus{}, ns("<PolicyStatus><IsPublic>false</IsPublic></PolicyStatus>")},
		{"request payment", &s3xml.RequestPaymentConfiguration{Payer: "BucketOwner"}, ns("<RequestPaymentConfiguration><Payer>BucketOwner</Payer></RequestPaymentConfiguration>")},
		{"logging", s3xml.BucketLoggingStatus, ns("<BucketLoggingStatus></BucketLoggingStatus>")},
	})
}

func TestListDocuments(t *testing.T) {
	t.Parallel()
	full := s3xml.Object{Key: "a&b", LastModified: at(), ETag: `"e"`, Size: 5, StorageClass: "STANDARD", ChecksumAlgorithm: "CRC32", ChecksumType: "FULL_OBJECT", Owner: &s3xml.Owner{ID: "id"}}
	const contents = "<Contents><Key>a&amp;b</Key><LastModified>" + stamp + "</LastModified><ETag>&quot;e&quot;</ETag><ChecksumAlgorithm>CRC32</ChecksumAlgorithm>" +
		"<ChecksumType>FULL_OBJECT</ChecksumType><Size>5</Size><Owner><ID>id</ID></Owner><StorageClass>STANDARD</StorageClass></Contents>"
	checkDocuments(t, []encodeTest{
		{"v1 empty", &s3xml.ListBucketV1{Name: "b", MaxKeys: 1000},
			ns("<ListBucketResult><Name>b</Name><Prefix></Prefix><Marker></Marker><MaxKeys>1000</MaxKeys><IsTruncated>false</IsTruncated></ListBucketResult>")},
		{"v1", &s3xml.ListBucketV1{Name: "b", Prefix: "p", Marker: "m", NextMarker: "n", MaxKeys: 1, Delimiter: "/", IsTruncated: true, Contents: []s3xml.Object{full}, CommonPrefixes: []string{"x/"}},
			ns("<ListBucketResult><Name>b</Name><Prefix>p</Prefix><Marker>m</Marker><NextMarker>n</NextMarker><MaxKeys>1</MaxKeys><Delimiter>/</Delimiter><IsTruncated>true</IsTruncated>" +
				contents + "<CommonPrefixes><Prefix>x/</Prefix></CommonPrefixes></ListBucketResult>")},
		{"v1 url", &s3xml.ListBucketV1{Name: "b", Prefix: "ä ", Marker: "+", NextMarker: "&", MaxKeys: 1, Delimiter: "|", EncodingType: "url", Contents: []s3xml.Object{{Key: "a b\x01/%~"}}, CommonPrefixes: []string{"<"}},
			ns("<ListBucketResult><Name>b</Name><Prefix>%C3%A4%20</Prefix><Marker>%2B</Marker><NextMarker>%26</NextMarker><MaxKeys>1</MaxKeys><Delimiter>%7C</Delimiter><EncodingType>url</EncodingType>" +
				"<IsTruncated>false</IsTruncated><Contents><Key>a%20b%01/%25~</Key><ETag></ETag><Size>0</Size></Contents><CommonPrefixes><Prefix>%3C</Prefix></CommonPrefixes></ListBucketResult>")},
		{"v2", &s3xml.ListBucketV2{Name: "b", StartAfter: "s", ContinuationToken: "c", NextContinuationToken: "n", KeyCount: 2, MaxKeys: 9, Delimiter: "/", IsTruncated: true, Contents: []s3xml.Object{full}, CommonPrefixes: []string{"x/"}},
			ns("<ListBucketResult><Name>b</Name><Prefix></Prefix><ContinuationToken>c</ContinuationToken><NextContinuationToken>n</NextContinuationToken><StartAfter>s</StartAfter><KeyCount>2</KeyCount>" +
				"<MaxKeys>9</MaxKeys><Delimiter>/</Delimiter><IsTruncated>true</IsTruncated>" + contents + "<CommonPrefixes><Prefix>x/</Prefix></CommonPrefixes></ListBucketResult>")},
		{"v2 url", &s3xml.ListBucketV2{Name: "b", StartAfter: " ", EncodingType: "url"},
			ns("<ListBucketResult><Name>b</Name><Prefix></Prefix><StartAfter>%20</StartAfter><KeyCount>0</KeyCount><MaxKeys>0</MaxKeys><EncodingType>url</EncodingType><IsTruncated>false</IsTruncated></ListBucketResult>")},
		{"uploads", &s3xml.ListMultipartUploads{Bucket: "b", NextKeyMarker: "k", NextUploadIDMarker: "u", Prefix: "p", Delimiter: "/", MaxUploads: 3, IsTruncated: true,
			Uploads: []s3xml.Upload{{Key: "k", UploadID: "u", Initiator: &s3xml.Owner{ID: "i"}, Owner: &s3xml.Owner{ID: "o"}, StorageClass: "STANDARD", Initiated: at(), ChecksumAlgorithm: "CRC32", ChecksumType: "COMPOSITE"}}, CommonPrefixes: []string{"x/"}},
			ns("<ListMultipartUploadsResult><Bucket>b</Bucket><KeyMarker></KeyMarker><UploadIdMarker></UploadIdMarker><NextKeyMarker>k</NextKeyMarker><NextUploadIdMarker>u</NextUploadIdMarker><Prefix>p</Prefix>" +
				"<Delimiter>/</Delimiter><MaxUploads>3</MaxUploads><IsTruncated>true</IsTruncated><Upload><Key>k</Key><UploadId>u</UploadId><Initiator><ID>i</ID></Initiator><Owner><ID>o</ID></Owner>" +
				"<StorageClass>STANDARD</StorageClass><Initiated>" + stamp + "</Initiated><ChecksumAlgorithm>CRC32</ChecksumAlgorithm><ChecksumType>COMPOSITE</ChecksumType></Upload>" +
				"<CommonPrefixes><Prefix>x/</Prefix></CommonPrefixes></ListMultipartUploadsResult>")},
		{"uploads url", &s3xml.ListMultipartUploads{Bucket: "b", KeyMarker: " ", EncodingType: "url", Uploads: []s3xml.Upload{{Key: " ", UploadID: "u"}}},
			ns("<ListMultipartUploadsResult><Bucket>b</Bucket><KeyMarker>%20</KeyMarker><UploadIdMarker></UploadIdMarker><EncodingType>url</EncodingType><MaxUploads>0</MaxUploads>" +
				"<IsTruncated>false</IsTruncated><Upload><Key>%20</Key><UploadId>u</UploadId></Upload></ListMultipartUploadsResult>")},
		{"parts", &s3xml.ListParts{Bucket: "b", Key: "k", UploadID: "u", PartNumberMarker: 1, NextPartNumberMarker: 2, MaxParts: 3, ChecksumAlgorithm: "SHA256", ChecksumType: "COMPOSITE",
			Parts: []s3xml.Part{{Number: 2, LastModified: at(), ETag: "e", Size: 7, Checksums: s3xml.Checksums{SHA256: "s"}}}},
			ns("<ListPartsResult><Bucket>b</Bucket><Key>k</Key><UploadId>u</UploadId><PartNumberMarker>1</PartNumberMarker><NextPartNumberMarker>2</NextPartNumberMarker><MaxParts>3</MaxParts>" +
				"<IsTruncated>false</IsTruncated><ChecksumAlgorithm>SHA256</ChecksumAlgorithm><ChecksumType>COMPOSITE</ChecksumType><Part><PartNumber>2</PartNumber><LastModified>" + stamp +
				"</LastModified><ETag>e</ETag><Size>7</Size><ChecksumSHA256>s</ChecksumSHA256></Part></ListPartsResult>")},
	})
}

func TestObjectDocuments(t *testing.T) {
	t.Parallel()
	size := int64(0)
	sums := s3xml.Checksums{CRC32: "1", CRC32C: "2", CRC64NVME: "3", SHA1: "4", SHA256: "5", Type: "COMPOSITE"}
	const sumsXML = "<ChecksumCRC32>1</ChecksumCRC32><ChecksumCRC32C>2</ChecksumCRC32C><ChecksumCRC64NVME>3</ChecksumCRC64NVME><ChecksumSHA1>4</ChecksumSHA1><ChecksumSHA256>5</ChecksumSHA256><ChecksumType>COMPOSITE</ChecksumType>"
	checkDocuments(t, []encodeTest{
		{"initiate", &s3xml.InitiateMultipartUpload{Bucket: "b", Key: "k>", UploadID: "u"},
			ns("<InitiateMultipartUploadResult><Bucket>b</Bucket><Key>k&gt;</Key><UploadId>u</UploadId></InitiateMultipartUploadResult>")},
		{"complete", &s3xml.CompleteMultipartUploadResult{Location: "l", Bucket: "b", Key: "k", ETag: "e", Checksums: sums},
			ns("<CompleteMultipartUploadResult><Location>l</Location><Bucket>b</Bucket><Key>k</Key><ETag>e</ETag>" + sumsXML + "</CompleteMultipartUploadResult>")},
		{"copy", &s3xml.CopyResult{LastModified: at(), ETag: "e", Checksums: sums},
			ns("<CopyObjectResult><LastModified>" + stamp + "</LastModified><ETag>e</ETag>" + sumsXML + "</CopyObjectResult>")},
		{"copy of a part", &s3xml.CopyResult{Part: true, LastModified: at(), ETag: "e"},
			ns("<CopyPartResult><LastModified>" + stamp + "</LastModified><ETag>e</ETag></CopyPartResult>")},
		{"nothing deleted", &s3xml.DeleteResult{}, ns("<DeleteResult></DeleteResult>")},
		{"deleted", &s3xml.DeleteResult{Deleted: []s3xml.Deleted{{Key: "a"}, {Key: "b", VersionID: "v", DeleteMarker: true, DeleteMarkerVersionID: "d"}}, Errors: []s3xml.DeleteError{{Key: "c", VersionID: "v", Code: "AccessDenied", Message: "no"}}},
			ns("<DeleteResult><Deleted><Key>a</Key></Deleted><Deleted><Key>b</Key><VersionId>v</VersionId><DeleteMarker>true</DeleteMarker><DeleteMarkerVersionId>d</DeleteMarkerVersionId></Deleted>" +
				"<Error><Key>c</Key><VersionId>v</VersionId><Code>AccessDenied</Code><Message>no</Message></Error></DeleteResult>")},
		{"no attributes", &s3xml.ObjectAttributes{}, ns("<GetObjectAttributesResponse></GetObjectAttributesResponse>")},
		{"attributes", &s3xml.ObjectAttributes{ETag: "e", Checksums: &s3xml.Checksums{CRC32: "1", Type: "FULL_OBJECT"}, StorageClass: "STANDARD", Size: &size, Parts: &s3xml.ObjectParts{Total: 4}},
			ns("<GetObjectAttributesResponse><ETag>e</ETag><Checksum><ChecksumCRC32>1</ChecksumCRC32><ChecksumType>FULL_OBJECT</ChecksumType></Checksum><ObjectParts><PartsCount>4</PartsCount></ObjectParts>" +
				"<StorageClass>STANDARD</StorageClass><ObjectSize>0</ObjectSize></GetObjectAttributesResponse>")},
		{"attributes with parts", &s3xml.ObjectAttributes{Parts: &s3xml.ObjectParts{Total: 4, PartNumberMarker: 1, NextPartNumberMarker: 2, MaxParts: 1, IsTruncated: true, Parts: []s3xml.AttributePart{{Number: 2, Size: 9, Checksums: s3xml.Checksums{SHA1: "s"}}}}},
			ns("<GetObjectAttributesResponse><ObjectParts><PartsCount>4</PartsCount><PartNumberMarker>1</PartNumberMarker><NextPartNumberMarker>2</NextPartNumberMarker><MaxParts>1</MaxParts><IsTruncated>true</IsTruncated>" +
				"<Part><PartNumber>2</PartNumber><Size>9</Size><ChecksumSHA1>s</ChecksumSHA1></Part></ObjectParts></GetObjectAttributesResponse>")},
		{"error", s3xml.NewError(s3err.New(s3err.NoSuchKey), "/b/k", "r"),
			head + "<Error><Code>NoSuchKey</Code><Message>The specified key does not exist.</Message><Resource>/b/k</Resource><RequestId>r</RequestId></Error>"},
		{"error in full", &s3xml.Error{Code: "C", Message: "m", Key: "k", BucketName: "b", Details: []s3err.Detail{{Name: "ArgumentName", Value: "<"}}, RequestID: "r", HostID: "h"},
			head + "<Error><Code>C</Code><Message>m</Message><Key>k</Key><BucketName>b</BucketName><ArgumentName>&lt;</ArgumentName><RequestId>r</RequestId><HostId>h</HostId></Error>"},
		{"error with its own resource", s3xml.NewError(&s3err.Error{Code: s3err.NoSuchBucket, Message: "m", Resource: "/own"}, "/b", "r"),
			head + "<Error><Code>NoSuchBucket</Code><Message>m</Message><Resource>/own</Resource><RequestId>r</RequestId></Error>"},
	})
}

func TestText(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, in, want string }{
		{"plain", "a/b ä€🦊~", "a/b ä€🦊~"},
		{"markup", `<&>"'`, "&lt;&amp;&gt;&quot;&apos;"},
		{"control characters", "\x00\x01\x08\x0b\x0f\x10\x1f", "&#x0;&#x1;&#x8;&#xb;&#xf;&#x10;&#x1f;"},
		{"white space", "\t\n\r", "&#x9;&#xa;&#xd;"},
		{"delete and C1", "\x7f\u0080", "\x7f\u0080"},
		{"noncharacters", "\uFFFE\uFFFF\uFFFD", "&#xfffe;&#xffff;\uFFFD"},
		{"not UTF-8", "a\xffb\xc3", "a\uFFFDb\uFFFD"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got := string((&s3xml.LocationConstraint{Region: tt.in}).AppendXML(nil))
			if want := ns("<LocationConstraint>" + tt.want + "</LocationConstraint>"); got != want {
				t.Errorf("%q, want %q", got, want)
			}
		})
	}
}
