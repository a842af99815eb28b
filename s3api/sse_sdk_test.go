package s3api_test

import (
	"io"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
)

// TestEncryptionWithSDK: the AWS SDK asks for each mode, and finds in the answers what it looks for.
func TestEncryptionWithSDK(t *testing.T) {
	t.Parallel()
	s := startSealed(t, nil)
	ctx, client, bucket := t.Context(), s.sdk(), aws.String("bucket")
	put, err := client.PutObject(ctx, &s3.PutObjectInput{Bucket: bucket, Key: aws.String("kms"), Body: strings.NewReader("hello"),
		ServerSideEncryption: types.ServerSideEncryptionAwsKmsDsse, SSEKMSKeyId: aws.String("arn:aws:kms:us-east-1:1:key/app"),
		SSEKMSEncryptionContext: aws.String("eyJhIjoiMSJ9"), BucketKeyEnabled: aws.Bool(true)})
	if err != nil || put.ServerSideEncryption != types.ServerSideEncryptionAwsKms || *put.SSEKMSKeyId != "app" ||
		*put.SSEKMSEncryptionContext != "eyJhIjoiMSJ9" || !*put.BucketKeyEnabled {
		t.Fatalf("PutObject: %+v, %v", put, err)
	}
	c := customer(sseCustomer, 'k')
	key, sum := aws.String(c[sseCustomer+"key"]), aws.String(c[sseCustomer+"key-MD5"])
	own, err := client.PutObject(ctx, &s3.PutObjectInput{Bucket: bucket, Key: aws.String("client"), Body: strings.NewReader("hello"),
		SSECustomerAlgorithm: aws.String("AES256"), SSECustomerKey: key, SSECustomerKeyMD5: sum})
	if err != nil || own.ServerSideEncryption != "" || *own.SSECustomerAlgorithm != "AES256" || *own.SSECustomerKeyMD5 != *sum {
		t.Fatalf("PutObject with SSE-C: %+v, %v", own, err)
	}
	got, err := client.GetObject(ctx, &s3.GetObjectInput{Bucket: bucket, Key: aws.String("client"),
		SSECustomerAlgorithm: aws.String("AES256"), SSECustomerKey: key, SSECustomerKeyMD5: sum})
	if err != nil {
		t.Fatal(err)
	}
	if body, err := io.ReadAll(got.Body); err != nil || string(body) != "hello" {
		t.Errorf("GetObject with SSE-C: %q, %v", body, err)
	}
	rule := types.ServerSideEncryptionRule{BucketKeyEnabled: aws.Bool(true), ApplyServerSideEncryptionByDefault: &types.ServerSideEncryptionByDefault{
		SSEAlgorithm: types.ServerSideEncryptionAwsKms, KMSMasterKeyID: aws.String("other")}}
	if _, err := client.PutBucketEncryption(ctx, &s3.PutBucketEncryptionInput{Bucket: bucket,
		ServerSideEncryptionConfiguration: &types.ServerSideEncryptionConfiguration{Rules: []types.ServerSideEncryptionRule{rule}}}); err != nil {
		t.Fatal(err)
	}
	e, err := client.GetBucketEncryption(ctx, &s3.GetBucketEncryptionInput{Bucket: bucket})
	if err != nil {
		t.Fatal(err)
	}
	r := e.ServerSideEncryptionConfiguration.Rules[0]
	if r.ApplyServerSideEncryptionByDefault.SSEAlgorithm != types.ServerSideEncryptionAwsKms ||
		*r.ApplyServerSideEncryptionByDefault.KMSMasterKeyID != "other" || !*r.BucketKeyEnabled {
		t.Errorf("GetBucketEncryption: %+v", r)
	}
	up, err := client.CreateMultipartUpload(ctx, &s3.CreateMultipartUploadInput{Bucket: bucket, Key: aws.String("parts")})
	if err != nil || *up.SSEKMSKeyId != "other" || !*up.BucketKeyEnabled {
		t.Fatalf("CreateMultipartUpload: %+v, %v", up, err)
	}
	if _, err := client.DeleteBucketEncryption(ctx, &s3.DeleteBucketEncryptionInput{Bucket: bucket}); err != nil {
		t.Error(err)
	}
}
