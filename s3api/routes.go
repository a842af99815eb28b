package s3api

import (
	"context"
	"slices"
	"strings"

	"coffer/s3api/s3err"
)

// kind is what a path means.
type kind uint8

const (
	service kind = iota
	bucketKind
	objectKind
)

// route says which handler serves a request. The first row that fits wins.
type route struct {
	kind   kind
	method string
	query  string // parameter that must be there; "" for the operation without a sub-resource
	header string // field that must be there, "" if none
	op     string // name of the operation, as in the S3 API Reference
	handle func(*Server, context.Context, *call) error

	params    []string  // other parameters that the operation has
	body      bool      // the handler reads the body
	transfers bool      // object data of any length moves: no deadline for the whole
	anyRegion bool      // clients ask it to find out the region
	open      bool      // no signature wanted
	admin     bool      // of the administration: answers are JSON, a scope may have no region
	sse       sseFields // fields of server-side encryption that the operation takes
}

// Parameters of several operations.
var (
	overrideParams = []string{"response-content-type", "response-cache-control", "response-content-disposition",
		"response-content-encoding", "response-content-language", "response-expires"}
	readParams = append([]string{"versionId", "partNumber"}, overrideParams...)
	listParams = []string{"prefix", "delimiter", "encoding-type", "max-keys", "marker", "continuation-token", "start-after", "fetch-owner"}
)

// routes is the S3 API as far as it is served. It is never written to.
var routes = []route{
	{kind: service, method: "GET", op: "ListBuckets", handle: (*Server).listBuckets, anyRegion: true,
		params: []string{"prefix", "max-buckets", "continuation-token", "bucket-region"}},

	{kind: bucketKind, method: "PUT", query: "acl", op: "PutBucketAcl", handle: (*Server).putBucketACL, body: true},
	{kind: bucketKind, method: "PUT", query: "encryption", op: "PutBucketEncryption", handle: (*Server).putEncryption, body: true},
	{kind: bucketKind, method: "PUT", op: "CreateBucket", handle: (*Server).createBucket, body: true},
	{kind: bucketKind, method: "HEAD", op: "HeadBucket", handle: (*Server).headBucket},
	{kind: bucketKind, method: "DELETE", query: "encryption", op: "DeleteBucketEncryption", handle: (*Server).deleteEncryption},
	{kind: bucketKind, method: "DELETE", op: "DeleteBucket", handle: (*Server).deleteBucket},
	{kind: bucketKind, method: "POST", query: "delete", op: "DeleteObjects", handle: (*Server).deleteObjects, body: true},
	{kind: bucketKind, method: "GET", query: "location", op: "GetBucketLocation", handle: (*Server).getLocation, anyRegion: true},
	{kind: bucketKind, method: "GET", query: "uploads", op: "ListMultipartUploads", handle: (*Server).listUploads,
		params: []string{"prefix", "delimiter", "encoding-type", "max-uploads", "key-marker", "upload-id-marker"}},
	{kind: bucketKind, method: "GET", query: "acl", op: "GetBucketAcl", handle: (*Server).getBucketACL},
	{kind: bucketKind, method: "GET", query: "encryption", op: "GetBucketEncryption", handle: (*Server).getEncryption},
	{kind: bucketKind, method: "GET", query: "versioning", op: "GetBucketVersioning", handle: (*Server).getVersioning},
	{kind: bucketKind, method: "GET", query: "requestPayment", op: "GetBucketRequestPayment", handle: (*Server).getRequestPayment},
	{kind: bucketKind, method: "GET", query: "logging", op: "GetBucketLogging", handle: (*Server).getLogging},
	{kind: bucketKind, method: "GET", query: "notification", op: "GetBucketNotificationConfiguration", handle: (*Server).getNotification},
	{kind: bucketKind, method: "GET", query: "accelerate", op: "GetBucketAccelerateConfiguration", handle: (*Server).getAccelerate},
	{kind: bucketKind, method: "GET", query: "policy", op: "GetBucketPolicy", handle: notSet(s3err.NoSuchBucketPolicy)},
	{kind: bucketKind, method: "GET", query: "policyStatus", op: "GetBucketPolicyStatus", handle: notSet(s3err.NoSuchBucketPolicy)},
	{kind: bucketKind, method: "GET", query: "tagging", op: "GetBucketTagging", handle: notSet(s3err.NoSuchTagSet)},
	{kind: bucketKind, method: "GET", query: "cors", op: "GetBucketCors", handle: notSet(s3err.NoSuchCORSConfiguration)},
	{kind: bucketKind, method: "GET", query: "lifecycle", op: "GetBucketLifecycleConfiguration", handle: notSet(s3err.NoSuchLifecycleConfiguration)},
	{kind: bucketKind, method: "GET", query: "website", op: "GetBucketWebsite", handle: notSet(s3err.NoSuchWebsiteConfiguration)},
	{kind: bucketKind, method: "GET", query: "replication", op: "GetBucketReplication", handle: notSet(s3err.ReplicationConfigurationNotFoundError)},
	{kind: bucketKind, method: "GET", query: "object-lock", op: "GetObjectLockConfiguration", handle: notSet(s3err.ObjectLockConfigurationNotFoundError)},
	{kind: bucketKind, method: "GET", query: "ownershipControls", op: "GetBucketOwnershipControls", handle: notSet(s3err.OwnershipControlsNotFoundError)},
	{kind: bucketKind, method: "GET", query: "publicAccessBlock", op: "GetPublicAccessBlock", handle: notSet(s3err.NoSuchPublicAccessBlockConfiguration)},
	{kind: bucketKind, method: "GET", query: "list-type", op: "ListObjectsV2", handle: (*Server).listObjectsV2,
		params: listParams},
	{kind: bucketKind, method: "GET", op: "ListObjects", handle: (*Server).listObjects,
		params: listParams},

	{kind: objectKind, method: "PUT", query: "acl", op: "PutObjectAcl", handle: (*Server).putObjectACL, body: true,
		params: []string{"versionId"}},
	{kind: objectKind, method: "PUT", query: "uploadId", header: "x-amz-copy-source", op: "UploadPartCopy", handle: (*Server).uploadPartCopy,
		params: []string{"partNumber"}, transfers: true, sse: sseCustomer | sseSource},
	{kind: objectKind, method: "PUT", query: "uploadId", op: "UploadPart", handle: (*Server).uploadPart,
		params: []string{"partNumber"}, body: true, transfers: true, sse: sseCustomer},
	{kind: objectKind, method: "PUT", header: "x-amz-copy-source", op: "CopyObject", handle: (*Server).copyObject, transfers: true,
		sse: sseManaged | sseCustomer | sseSource},
	{kind: objectKind, method: "PUT", op: "PutObject", handle: (*Server).putObject, body: true, transfers: true,
		sse: sseManaged | sseCustomer},
	{kind: objectKind, method: "POST", query: "uploads", op: "CreateMultipartUpload", handle: (*Server).createUpload,
		sse: sseManaged | sseCustomer},
	{kind: objectKind, method: "POST", query: "uploadId", op: "CompleteMultipartUpload", handle: (*Server).completeUpload,
		body: true, transfers: true, sse: sseManaged | sseCustomer}, // minio-go repeats what the upload was begun with
	{kind: objectKind, method: "DELETE", query: "uploadId", op: "AbortMultipartUpload", handle: (*Server).abortUpload},
	{kind: objectKind, method: "DELETE", op: "DeleteObject", handle: (*Server).deleteObject, params: []string{"versionId"}},
	{kind: objectKind, method: "HEAD", op: "HeadObject", handle: (*Server).headObject, params: readParams, sse: sseCustomer},
	{kind: objectKind, method: "GET", query: "uploadId", op: "ListParts", handle: (*Server).listParts,
		params: []string{"max-parts", "part-number-marker", "encoding-type"}, sse: sseCustomer},
	{kind: objectKind, method: "GET", query: "attributes", op: "GetObjectAttributes", handle: (*Server).getAttributes, params: []string{"versionId"},
		sse: sseCustomer},
	{kind: objectKind, method: "GET", query: "acl", op: "GetObjectAcl", handle: (*Server).getObjectACL, params: []string{"versionId"}},
	{kind: objectKind, method: "GET", query: "tagging", op: "GetObjectTagging", handle: (*Server).getObjectTagging, params: []string{"versionId"}},
	{kind: objectKind, method: "GET", query: "legal-hold", op: "GetObjectLegalHold", handle: notSetOnObject(s3err.NoSuchObjectLockConfiguration), params: []string{"versionId"}},
	{kind: objectKind, method: "GET", query: "retention", op: "GetObjectRetention", handle: notSetOnObject(s3err.NoSuchObjectLockConfiguration), params: []string{"versionId"}},
	{kind: objectKind, method: "GET", op: "GetObject", handle: (*Server).getObject, params: readParams, transfers: true, sse: sseCustomer},
}

// subResources are the parameters that S3 knows as sub-resources or that change what an operation does. Where an
// operation does not have one, it is not built.
var subResources = []string{
	"abac", "accelerate", "acl", "analytics", "annotation", "append", "attributes", "cors", "delete", "encryption", "events",
	"intelligent-tiering", "inventory", "legal-hold", "lifecycle", "list-type", "location", "logging", "metadataConfiguration",
	"metadataInventoryTable", "metadataJournalTable", "metadataTable", "metrics", "notification", "object-lock",
	"ownershipControls", "partNumber", "policy", "policyStatus", "position", "publicAccessBlock", "renameObject", "replication",
	"requestPayment", "restore", "retention", "select", "select-type", "session", "tagging", "torrent", "uploadId", "uploads",
	"versionId", "versioning", "versions", "website",
}

// findRoute gives the row that serves a request. It always gives one: what is not served is served by a refusal, which
// only an authentic request gets to see.
func findRoute(c *call) *route {
	if r := healthRoute(c); r != nil {
		return r
	}
	if r := adminRoute(c); r != nil {
		return r
	}
	found := false
	for i := range routes {
		r := &routes[i]
		if r.kind != c.kind || r.method != c.method {
			continue
		}
		found = true
		if (r.query == "" || c.query.Has(r.query)) && (r.header == "" || c.has(r.header)) {
			if stray(r, c) {
				return refusal(s3err.NotImplemented)
			}
			return r
		}
	}
	if found { // a sub-resource is missing; the browser's form upload to a bucket is one of these
		return refusal(s3err.NotImplemented)
	}
	return refusal(s3err.MethodNotAllowed)
}

// stray reports whether a request has a parameter that its operation does not know and that may mean another one.
func stray(r *route, c *call) bool {
	for _, p := range c.query {
		switch {
		case p.Name == r.query, p.Name == "x-id", slices.Contains(r.params, p.Name), strings.HasPrefix(strings.ToLower(p.Name), "x-amz-"):
		case r.method != "GET" && r.method != "HEAD", p.Value == "", slices.Contains(subResources, p.Name):
			return true
		}
	}
	return false
}

func refusal(code s3err.Code) *route {
	return &route{op: "none", handle: func(*Server, context.Context, *call) error { return s3err.New(code) }}
}

// reservedName reports whether a bucket's name is a prefix under which this server, or one of its kind, serves
// something else.
func reservedName(bucket string) bool {
	switch bucket {
	case "minio", "rustfs", "health", "metrics":
		return true
	default:
		return false
	}
}
