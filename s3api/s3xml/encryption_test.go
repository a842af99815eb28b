package s3xml_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"coffer/s3api/s3err"
	"coffer/s3api/s3xml"
)

func TestReadServerSideEncryptionConfiguration(t *testing.T) {
	t.Parallel()
	const (
		apply = "ApplyServerSideEncryptionByDefault"
		sseS3 = "<" + apply + "><SSEAlgorithm>AES256</SSEAlgorithm></" + apply + ">"
		bad   = s3err.MalformedXML
	)
	rule := func(inner string) string {
		return "<ServerSideEncryptionConfiguration><Rule>" + inner + "</Rule></ServerSideEncryptionConfiguration>"
	}
	kms := func(inner string) string { return rule("<" + apply + ">" + inner + "</" + apply + ">") }
	blocked := func(inner string) string { return "<BlockedEncryptionTypes>" + inner + "</BlockedEncryptionTypes>" }
	type want = s3xml.EncryptionRule
	for _, tt := range []struct {
		name, in string
		want     want
		code     s3err.Code
	}{
		{"SSE-S3", rule(sseS3), want{SSEAlgorithm: "AES256"}, ""},
		{"bucket key", rule(sseS3 + "<BucketKeyEnabled>true</BucketKeyEnabled>"), want{SSEAlgorithm: "AES256", BucketKeyEnabled: true}, ""},
		{"no bucket key", rule("<BucketKeyEnabled>0</BucketKeyEnabled>" + sseS3), want{SSEAlgorithm: "AES256"}, ""},
		{"SSE-KMS", kms("<KMSMasterKeyID>app</KMSMasterKeyID><SSEAlgorithm>aws:kms</SSEAlgorithm>"), want{SSEAlgorithm: "aws:kms", KMSMasterKeyID: "app"}, ""},
		{"DSSE", kms("<SSEAlgorithm>aws:kms:dsse</SSEAlgorithm><KMSMasterKeyID/>"), want{SSEAlgorithm: "aws:kms:dsse"}, ""},
		{"blocked", rule(sseS3 + blocked("<EncryptionType>SSE-C</EncryptionType>")), want{SSEAlgorithm: "AES256", BlockedEncryptionTypes: []string{"SSE-C"}}, ""},
		{"blocked alone", rule(blocked("<EncryptionType>SSE-C</EncryptionType>")), want{BlockedEncryptionTypes: []string{"SSE-C"}}, ""},
		{"none blocked", rule(blocked("<EncryptionType>NONE</EncryptionType>")), want{BlockedEncryptionTypes: []string{"NONE"}}, ""},
		{"nothing blocked", rule(sseS3 + blocked("")), want{SSEAlgorithm: "AES256"}, ""},

		{"no body", "", want{}, s3err.MissingRequestBodyError},
		{"no rule", "<ServerSideEncryptionConfiguration/>", want{}, bad},
		{"empty rule", rule(""), want{}, bad},
		{"two rules", strings.Replace(rule(sseS3), "</Rule>", "</Rule><Rule>"+sseS3+"</Rule>", 1), want{}, bad},
		{"two defaults", rule(sseS3 + sseS3), want{}, bad},
		{"no algorithm", kms("<KMSMasterKeyID>app</KMSMasterKeyID>"), want{}, bad},
		{"algorithm of no kind", kms("<SSEAlgorithm>AES128</SSEAlgorithm>"), want{}, bad},
		{"two algorithms", kms("<SSEAlgorithm>AES256</SSEAlgorithm><SSEAlgorithm>aws:kms</SSEAlgorithm>"), want{}, bad},
		{"unknown element", rule(sseS3 + "<Bypass/>"), want{}, bad},
		{"unknown element within", kms("<SSEAlgorithm>AES256</SSEAlgorithm><Bypass/>"), want{}, bad},
		{"bucket key of neither", rule(sseS3 + "<BucketKeyEnabled>maybe</BucketKeyEnabled>"), want{}, bad},
		{"blocked of no kind", rule(blocked("<EncryptionType>SSE-S3</EncryptionType>")), want{}, bad},
		{"blocked and not", rule(blocked("<EncryptionType>NONE</EncryptionType><EncryptionType>SSE-C</EncryptionType>")), want{}, bad},
		{"blocked by another name", rule(blocked("<Type>SSE-C</Type>")), want{}, bad},
		{"other root", "<Encryption><Rule>" + sseS3 + "</Rule></Encryption>", want{}, bad},
		{"cut", rule(sseS3)[:80], want{}, bad},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := s3xml.ReadServerSideEncryptionConfiguration(strings.NewReader(tt.in))
			if s3err.CodeOf(err) != tt.code {
				t.Fatalf("%v, want %q", err, tt.code)
			}
			if err == nil {
				if diff := cmp.Diff(tt.want, got.Rule); diff != "" {
					t.Errorf("(-want +got):\n%s", diff)
				}
			}
		})
	}
}
