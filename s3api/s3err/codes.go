package s3err

// The codes of Amazon S3, and of AWS KMS where S3 passes them on.
const (
	AccessControlListNotSupported                  Code = "AccessControlListNotSupported"
	AccessDenied                                   Code = "AccessDenied"
	AccountProblem                                 Code = "AccountProblem"
	AuthorizationHeaderMalformed                   Code = "AuthorizationHeaderMalformed"
	AuthorizationQueryParametersError              Code = "AuthorizationQueryParametersError"
	BadDigest                                      Code = "BadDigest"
	BadRequest                                     Code = "BadRequest"
	BucketAlreadyExists                            Code = "BucketAlreadyExists"
	BucketAlreadyOwnedByYou                        Code = "BucketAlreadyOwnedByYou"
	BucketNotEmpty                                 Code = "BucketNotEmpty"
	ConditionalRequestConflict                     Code = "ConditionalRequestConflict"
	EntityTooLarge                                 Code = "EntityTooLarge"
	EntityTooSmall                                 Code = "EntityTooSmall"
	ExpiredToken                                   Code = "ExpiredToken"
	IllegalLocationConstraintException             Code = "IllegalLocationConstraintException"
	IncompleteBody                                 Code = "IncompleteBody"
	InternalError                                  Code = "InternalError"
	InvalidAccessKeyId                             Code = "InvalidAccessKeyId"
	InvalidArgument                                Code = "InvalidArgument"
	InvalidBucketName                              Code = "InvalidBucketName"
	InvalidBucketState                             Code = "InvalidBucketState"
	InvalidChunkSizeError                          Code = "InvalidChunkSizeError"
	InvalidDigest                                  Code = "InvalidDigest"
	InvalidEncryptionAlgorithmError                Code = "InvalidEncryptionAlgorithmError"
	InvalidLocationConstraint                      Code = "InvalidLocationConstraint"
	InvalidObjectState                             Code = "InvalidObjectState"
	InvalidPart                                    Code = "InvalidPart"
	InvalidPartNumber                              Code = "InvalidPartNumber"
	InvalidPartOrder                               Code = "InvalidPartOrder"
	InvalidRange                                   Code = "InvalidRange"
	InvalidRequest                                 Code = "InvalidRequest"
	InvalidSecurity                                Code = "InvalidSecurity"
	InvalidStorageClass                            Code = "InvalidStorageClass"
	InvalidTag                                     Code = "InvalidTag"
	InvalidToken                                   Code = "InvalidToken"
	InvalidURI                                     Code = "InvalidURI"
	KeyTooLongError                                Code = "KeyTooLongError"
	MalformedACLError                              Code = "MalformedACLError"
	MalformedPOSTRequest                           Code = "MalformedPOSTRequest"
	MalformedPolicy                                Code = "MalformedPolicy"
	MalformedTrailerError                          Code = "MalformedTrailerError"
	MalformedXML                                   Code = "MalformedXML"
	MaxMessageLengthExceeded                       Code = "MaxMessageLengthExceeded"
	MetadataTooLarge                               Code = "MetadataTooLarge"
	MethodNotAllowed                               Code = "MethodNotAllowed"
	MissingContentLength                           Code = "MissingContentLength"
	MissingRequestBodyError                        Code = "MissingRequestBodyError"
	MissingSecurityHeader                          Code = "MissingSecurityHeader"
	NoSuchBucket                                   Code = "NoSuchBucket"
	NoSuchBucketPolicy                             Code = "NoSuchBucketPolicy"
	NoSuchCORSConfiguration                        Code = "NoSuchCORSConfiguration"
	NoSuchKey                                      Code = "NoSuchKey"
	NoSuchLifecycleConfiguration                   Code = "NoSuchLifecycleConfiguration"
	NoSuchObjectLockConfiguration                  Code = "NoSuchObjectLockConfiguration"
	NoSuchPublicAccessBlockConfiguration           Code = "NoSuchPublicAccessBlockConfiguration"
	NoSuchTagSet                                   Code = "NoSuchTagSet"
	NoSuchUpload                                   Code = "NoSuchUpload"
	NoSuchVersion                                  Code = "NoSuchVersion"
	NoSuchWebsiteConfiguration                     Code = "NoSuchWebsiteConfiguration"
	NotImplemented                                 Code = "NotImplemented"
	NotModified                                    Code = "NotModified"
	NotSignedUp                                    Code = "NotSignedUp"
	ObjectLockConfigurationNotFoundError           Code = "ObjectLockConfigurationNotFoundError"
	OperationAborted                               Code = "OperationAborted"
	OwnershipControlsNotFoundError                 Code = "OwnershipControlsNotFoundError"
	PermanentRedirect                              Code = "PermanentRedirect"
	PreconditionFailed                             Code = "PreconditionFailed"
	ReplicationConfigurationNotFoundError          Code = "ReplicationConfigurationNotFoundError"
	RequestHeaderSectionTooLarge                   Code = "RequestHeaderSectionTooLarge"
	RequestTimeTooSkewed                           Code = "RequestTimeTooSkewed"
	RequestTimeout                                 Code = "RequestTimeout"
	ServerSideEncryptionConfigurationNotFoundError Code = "ServerSideEncryptionConfigurationNotFoundError"
	ServiceUnavailable                             Code = "ServiceUnavailable"
	SignatureDoesNotMatch                          Code = "SignatureDoesNotMatch"
	SlowDown                                       Code = "SlowDown"
	TooManyBuckets                                 Code = "TooManyBuckets"
	TooManyParts                                   Code = "TooManyParts"
	UnexpectedContent                              Code = "UnexpectedContent"
	UnsupportedMediaType                           Code = "UnsupportedMediaType"
	XAmzContentSHA256Mismatch                      Code = "XAmzContentSHA256Mismatch"
	KMSDisabled                                    Code = "KMS.DisabledException"
	KMSInvalidKeyUsage                             Code = "KMS.InvalidKeyUsageException"
	KMSInvalidState                                Code = "KMS.KMSInvalidStateException"
	KMSNotFound                                    Code = "KMS.NotFoundException"
)

// Codes of our own, for what Amazon S3 has no code for.
const (
	InsufficientStorage Code = "InsufficientStorage"
	KMSUnavailable      Code = "KMS.Unavailable"
	KMSNotConfigured    Code = "KMS.NotConfigured"
)

type entry struct {
	status  int
	message string
}

// table is read only: it is filled here and never written again.
var table = map[Code]entry{
	AccessControlListNotSupported:         {400, "The bucket does not allow ACLs"},
	AccessDenied:                          {403, "Access Denied"},
	AccountProblem:                        {403, "There is a problem with your account that prevents the operation from completing successfully."},
	AuthorizationHeaderMalformed:          {400, "The authorization header that you provided is not valid."},
	AuthorizationQueryParametersError:     {400, "The authorization query parameters that you provided are not valid."},
	BadDigest:                             {400, "The Content-MD5 or checksum value that you specified did not match what the server received."},
	BadRequest:                            {400, "Bad Request"},
	BucketAlreadyExists:                   {409, "The requested bucket name is not available. The bucket namespace is shared by all users of the system. Please select a different name and try again."},
	BucketAlreadyOwnedByYou:               {409, "Your previous request to create the named bucket succeeded and you already own it."},
	BucketNotEmpty:                        {409, "The bucket you tried to delete is not empty"},
	ConditionalRequestConflict:            {409, "The conditional request cannot succeed due to a conflicting operation against this resource."},
	EntityTooLarge:                        {400, "Your proposed upload exceeds the maximum allowed size"},
	EntityTooSmall:                        {400, "Your proposed upload is smaller than the minimum allowed size"},
	ExpiredToken:                          {400, "The provided token has expired."},
	IllegalLocationConstraintException:    {400, "The unspecified location constraint is incompatible for the region specific endpoint this request was sent to."},
	IncompleteBody:                        {400, "You did not provide the number of bytes specified by the Content-Length HTTP header"},
	InternalError:                         {500, "We encountered an internal error. Please try again."},
	InvalidAccessKeyId:                    {403, "The AWS Access Key Id you provided does not exist in our records."},
	InvalidArgument:                       {400, "Invalid Argument"},
	InvalidBucketName:                     {400, "The specified bucket is not valid."},
	InvalidBucketState:                    {409, "The request is not valid with the current state of the bucket."},
	InvalidChunkSizeError:                 {403, "Only the last chunk is allowed to have a size less than 8192 bytes"},
	InvalidDigest:                         {400, "The Content-MD5 you specified was invalid."},
	InvalidEncryptionAlgorithmError:       {400, "The encryption request you specified is not valid. The valid value is AES256."},
	InvalidLocationConstraint:             {400, "The specified location-constraint is not valid"},
	InvalidObjectState:                    {403, "The operation is not valid for the current state of the object."},
	InvalidPart:                           {400, "One or more of the specified parts could not be found. The part may not have been uploaded, or the specified entity tag may not match the part's entity tag."},
	InvalidPartNumber:                     {416, "The requested partnumber is not satisfiable"},
	InvalidPartOrder:                      {400, "The list of parts was not in ascending order. Parts must be ordered by part number."},
	InvalidRange:                          {416, "The requested range is not satisfiable"},
	InvalidRequest:                        {400, "Invalid Request"},
	InvalidSecurity:                       {403, "The provided security credentials are not valid."},
	InvalidStorageClass:                   {400, "The storage class you specified is not valid"},
	InvalidTag:                            {400, "The tag provided was not a valid tag."},
	InvalidToken:                          {400, "The provided token is malformed or otherwise invalid."},
	InvalidURI:                            {400, "Couldn't parse the specified URI."},
	KeyTooLongError:                       {400, "Your key is too long"},
	MalformedACLError:                     {400, "The XML you provided was not well-formed or did not validate against our published schema"},
	MalformedPOSTRequest:                  {400, "The body of your POST request is not well-formed multipart/form-data."},
	MalformedPolicy:                       {400, "Policy has invalid resource."},
	MalformedTrailerError:                 {400, "The request contained trailing data that was not well-formed or did not conform to our published schema."},
	MalformedXML:                          {400, "The XML you provided was not well-formed or did not validate against our published schema"},
	MaxMessageLengthExceeded:              {400, "Your request was too big."},
	MetadataTooLarge:                      {400, "Your metadata headers exceed the maximum allowed metadata size"},
	MethodNotAllowed:                      {405, "The specified method is not allowed against this resource."},
	MissingContentLength:                  {411, "You must provide the Content-Length HTTP header."},
	MissingRequestBodyError:               {400, "Request Body is empty"},
	MissingSecurityHeader:                 {400, "Your request was missing a required header"},
	NoSuchBucket:                          {404, "The specified bucket does not exist"},
	NoSuchBucketPolicy:                    {404, "The bucket policy does not exist"},
	NoSuchCORSConfiguration:               {404, "The CORS configuration does not exist"},
	NoSuchKey:                             {404, "The specified key does not exist."},
	NoSuchLifecycleConfiguration:          {404, "The lifecycle configuration does not exist"},
	NoSuchObjectLockConfiguration:         {404, "The specified object does not have a ObjectLock configuration"},
	NoSuchPublicAccessBlockConfiguration:  {404, "The public access block configuration was not found"},
	NoSuchTagSet:                          {404, "The TagSet does not exist"},
	NoSuchUpload:                          {404, "The specified upload does not exist. The upload ID may be invalid, or the upload may have been aborted or completed."},
	NoSuchVersion:                         {404, "The specified version does not exist."},
	NoSuchWebsiteConfiguration:            {404, "The specified bucket does not have a website configuration"},
	NotImplemented:                        {501, "A header you provided implies functionality that is not implemented"},
	NotModified:                           {304, "Not Modified"},
	NotSignedUp:                           {403, "Your account is not signed up for the Amazon S3 service."},
	ObjectLockConfigurationNotFoundError:  {404, "Object Lock configuration does not exist for this bucket"},
	OperationAborted:                      {409, "A conflicting conditional operation is currently in progress against this resource. Please try again."},
	OwnershipControlsNotFoundError:        {404, "The bucket ownership controls were not found"},
	PermanentRedirect:                     {301, "The bucket you are attempting to access must be addressed using the specified endpoint. Please send all future requests to this endpoint."},
	PreconditionFailed:                    {412, "At least one of the pre-conditions you specified did not hold"},
	ReplicationConfigurationNotFoundError: {404, "The replication configuration was not found"},
	RequestHeaderSectionTooLarge:          {400, "Your request header section exceeds the maximum allowed size."},
	RequestTimeTooSkewed:                  {403, "The difference between the request time and the current time is too large."},
	RequestTimeout:                        {400, "Your socket connection to the server was not read from or written to within the timeout period."},
	ServerSideEncryptionConfigurationNotFoundError: {404, "The server side encryption configuration was not found"},
	ServiceUnavailable:        {503, "Service is unable to handle request."},
	SignatureDoesNotMatch:     {403, "The request signature we calculated does not match the signature you provided. Check your key and signing method."},
	SlowDown:                  {503, "Please reduce your request rate."},
	TooManyBuckets:            {400, "You have attempted to create more buckets than allowed"},
	TooManyParts:              {400, "You have attempted to create more parts than allowed."},
	UnexpectedContent:         {400, "This request does not support content"},
	UnsupportedMediaType:      {415, "The media type of the request body is not supported."},
	XAmzContentSHA256Mismatch: {400, "The provided 'x-amz-content-sha256' header does not match what was computed."},
	KMSDisabled:               {400, "The request was rejected because the specified KMS key is not enabled."},
	KMSInvalidKeyUsage:        {400, "The request was rejected because the KMS key cannot be used for this operation."},
	KMSInvalidState:           {400, "The request was rejected because the state of the specified KMS key is not valid for this request."},
	KMSNotFound:               {400, "The specified KMS key does not exist."},
	InsufficientStorage:       {507, "The store has no room for this write."},
	KMSUnavailable:            {503, "The key service cannot be reached. Please try again."},
	KMSNotConfigured:          {400, "Server side encryption with a KMS key was asked for, but no key service is configured."},
}
