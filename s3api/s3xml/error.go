package s3xml

import "coffer/s3api/s3err"

// Error is the answer to a request that failed. It has no namespace, as in S3.
type Error struct {
	Code, Message string
	Resource      string
	Key           string // left out when empty
	BucketName    string // left out when empty
	Details       []s3err.Detail
	RequestID     string
	HostID        string // left out when empty
}

// NewError fills the document from err. resource stands where err names none.
func NewError(err *s3err.Error, resource, requestID string) *Error {
	if err.Resource != "" {
		resource = err.Resource
	}
	return &Error{
		Code: string(err.Code), Message: err.Text(), Resource: resource,
		Details: err.Details, RequestID: requestID,
	}
}

// AppendXML implements Document.
func (d *Error) AppendXML(dst []byte) []byte {
	e := encoder{b: append(dst, declaration...)}
	e.open("Error")
	e.text("Code", d.Code)
	e.text("Message", d.Message)
	e.optional("Key", d.Key)
	e.optional("BucketName", d.BucketName)
	for _, x := range d.Details {
		e.text(x.Name, x.Value)
	}
	e.optional("Resource", d.Resource)
	e.text("RequestId", d.RequestID)
	e.optional("HostId", d.HostID)
	e.end("Error")
	return e.b
}
