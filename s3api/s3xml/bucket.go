package s3xml

// LocationConstraint answers GetBucketLocation; "" is us-east-1.
type LocationConstraint struct {
	Region string
}

// AppendXML implements Document.
func (d *LocationConstraint) AppendXML(dst []byte) []byte {
	e := root(dst, "LocationConstraint")
	e.b = appendText(e.b, d.Region)
	e.end("LocationConstraint")
	return e.b
}

// VersioningConfiguration answers GetBucketVersioning; Status "" says never set.
type VersioningConfiguration struct {
	Status string // "", "Enabled" or "Suspended"
}

// AppendXML implements Document.
func (d *VersioningConfiguration) AppendXML(dst []byte) []byte {
	e := root(dst, "VersioningConfiguration")
	e.optional("Status", d.Status)
	e.end("VersioningConfiguration")
	return e.b
}

// EncryptionRule is the default encryption of a bucket. In a request SSEAlgorithm
// "" says that the rule names none.
type EncryptionRule struct {
	SSEAlgorithm           string // "AES256", "aws:kms" or "aws:kms:dsse"
	KMSMasterKeyID         string
	BucketKeyEnabled       bool
	BlockedEncryptionTypes []string // "SSE-C" or "NONE"
}

// ServerSideEncryptionConfiguration answers GetBucketEncryption, and is the body
// of PutBucketEncryption. S3 has one rule in it.
type ServerSideEncryptionConfiguration struct {
	Rule EncryptionRule
}

// AppendXML implements Document.
func (d *ServerSideEncryptionConfiguration) AppendXML(dst []byte) []byte {
	e := root(dst, "ServerSideEncryptionConfiguration")
	e.open("Rule")
	e.open("ApplyServerSideEncryptionByDefault")
	e.text("SSEAlgorithm", d.Rule.SSEAlgorithm)
	e.optional("KMSMasterKeyID", d.Rule.KMSMasterKeyID)
	e.end("ApplyServerSideEncryptionByDefault")
	e.bool("BucketKeyEnabled", d.Rule.BucketKeyEnabled)
	if len(d.Rule.BlockedEncryptionTypes) > 0 {
		e.open("BlockedEncryptionTypes")
		for _, t := range d.Rule.BlockedEncryptionTypes {
			e.text("EncryptionType", t)
		}
		e.end("BlockedEncryptionTypes")
	}
	e.end("Rule")
	e.end("ServerSideEncryptionConfiguration")
	return e.b
}

// Tag is a tag of an object or bucket.
type Tag struct {
	Key, Value string
}

// Tagging answers GetObjectTagging and GetBucketTagging.
type Tagging struct {
	Tags []Tag
}

// AppendXML implements Document.
func (d *Tagging) AppendXML(dst []byte) []byte {
	e := root(dst, "Tagging")
	e.open("TagSet")
	for _, t := range d.Tags {
		e.open("Tag")
		e.text("Key", t.Key)
		e.text("Value", t.Value)
		e.end("Tag")
	}
	e.end("TagSet")
	e.end("Tagging")
	return e.b
}

// AccessControlPolicy answers GetBucketAcl and GetObjectAcl: the owner alone has
// FULL_CONTROL.
type AccessControlPolicy struct {
	Owner Owner
}

// AppendXML implements Document.
func (d *AccessControlPolicy) AppendXML(dst []byte) []byte {
	e := root(dst, "AccessControlPolicy")
	e.owner("Owner", &d.Owner)
	e.open("AccessControlList")
	e.open("Grant")
	e.open(`Grantee xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:type="CanonicalUser"`)
	e.text("ID", d.Owner.ID)
	e.optional("DisplayName", d.Owner.DisplayName)
	e.end("Grantee")
	e.text("Permission", "FULL_CONTROL")
	e.end("Grant")
	e.end("AccessControlList")
	e.end("AccessControlPolicy")
	return e.b
}

// OwnershipControls answers GetBucketOwnershipControls.
type OwnershipControls struct {
	ObjectOwnership string // "BucketOwnerEnforced"
}

// AppendXML implements Document.
func (d *OwnershipControls) AppendXML(dst []byte) []byte {
	e := root(dst, "OwnershipControls")
	e.open("Rule")
	e.text("ObjectOwnership", d.ObjectOwnership)
	e.end("Rule")
	e.end("OwnershipControls")
	return e.b
}

// PolicyStatus answers GetBucketPolicyStatus.
type PolicyStatus struct {
	IsPublic bool
}

// AppendXML implements Document.
func (d *PolicyStatus) AppendXML(dst []byte) []byte {
	e := root(dst, "PolicyStatus")
	e.bool("IsPublic", d.IsPublic)
	e.end("PolicyStatus")
	return e.b
}

// RequestPaymentConfiguration answers GetBucketRequestPayment.
type RequestPaymentConfiguration struct {
	Payer string // "BucketOwner"
}

// AppendXML implements Document.
func (d *RequestPaymentConfiguration) AppendXML(dst []byte) []byte {
	e := root(dst, "RequestPaymentConfiguration")
	e.text("Payer", d.Payer)
	e.end("RequestPaymentConfiguration")
	return e.b
}

// Unset is a document without content: S3's answer for a setting that was never
// made. Its text is the name of the root, one of the constants.
type Unset string

// Settings that S3 answers with an empty document.
const (
	BucketLoggingStatus       Unset = "BucketLoggingStatus"
	NotificationConfiguration Unset = "NotificationConfiguration"
	AccelerateConfiguration   Unset = "AccelerateConfiguration"
)

// AppendXML implements Document.
func (d Unset) AppendXML(dst []byte) []byte {
	e := root(dst, string(d))
	e.end(string(d))
	return e.b
}
