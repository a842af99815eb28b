package admin

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"coffer/kms"
	"coffer/object"
)

// Error is an answer that is no success.
type Error struct {
	Status      int
	Code        string
	Message     string
	Description string
	Use         *Use // KeyInUse: by what
}

// Error names the code and the message.
func (e *Error) Error() string { return e.Code + ": " + e.Message }

func refuse(status int, code, message, format string, args ...any) error {
	return &Error{Status: status, Code: code, Message: message, Description: fmt.Sprintf(format, args...)}
}

func invalid(format string, args ...any) error {
	return refuse(http.StatusBadRequest, "InvalidRequest", "The request is not valid.", format, args...)
}

// errorDoc is the form of errors.
type errorDoc struct {
	Code        string `json:"code"`
	Message     string `json:"message"`
	Description string `json:"description"`
	Use         *Use   `json:"in_use,omitempty"`
}

// raw is a document that is answered as it is.
type raw struct {
	contentType string
	body        []byte
}

// render makes the answer, and gives the code of a refusal.
func (a *API) render(c *call, doc any, err error) (Response, string) {
	if err != nil {
		e := a.errorOf(c, err)
		return Refusal(e), e.Code
	}
	switch doc := doc.(type) {
	case nil:
		return Response{Status: http.StatusOK}, ""
	case raw:
		return Response{Status: http.StatusOK, ContentType: doc.contentType, Body: doc.body}, ""
	default:
		return Response{Status: http.StatusOK, ContentType: "application/json", Body: document(doc)}, ""
	}
}

// Refusal is the answer that tells an error, also to a request that did not get as far as an API.
func Refusal(e *Error) Response {
	r := Response{Status: e.Status, ContentType: "application/json", Body: document(errorDoc{e.Code, e.Message, e.Description, e.Use})}
	if e.Status == http.StatusServiceUnavailable {
		r.RetryAfter = 1
	}
	return r
}

// document encodes what has an encoding: the documents of this package.
func document(doc any) []byte {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(doc); err != nil {
		panic(fmt.Sprintf("admin: document: %v", err))
	}
	return b.Bytes()
}

// errorOf finds the answer for an error.
func (a *API) errorOf(c *call, err error) *Error {
	if e, ok := errors.AsType[*Error](err); ok {
		return e
	}
	e := &Error{Status: http.StatusInternalServerError, Code: "InternalError", Message: "internal", Description: "The server's log tells more."}
	kind, of := kms.KindOf(err), object.KindOf(err)
	_, engine := errors.AsType[*object.Error](err)
	switch {
	case kind != kms.Other:
		codes := kind.Codes()
		code := codes.Admin
		if c.door == doorKMS {
			code = codes.MC
		}
		e = &Error{Status: code.Status, Code: code.Name, Message: kind.Error(), Description: err.Error()}
	case engine && engineCodes[of].Status != 0:
		code := engineCodes[of]
		e = &Error{Status: code.Status, Code: code.Name, Message: of.String(), Description: err.Error()}
	}
	if e.Status == http.StatusInternalServerError {
		a.o.Logger.Error("administration failed", "request_id", c.Caller.RequestID, "error", err)
	}
	return e
}

// engineCodes are the answers to errors of the engine that are not the key service's. It is never written to.
var engineCodes = map[object.Kind]kms.Code{
	object.KindNoSuchBucket:      {Name: "NoSuchBucket", Status: 400},
	object.KindNoSuchKey:         {Name: "NoSuchKey", Status: 404},
	object.KindNoSuchJob:         {Name: "NotFound", Status: 404},
	object.KindNoSuchVersion:     {Name: "NoSuchVersion", Status: 404},
	object.KindKeyTooLong:        {Name: "InvalidRequest", Status: 400},
	object.KindInvalidBucketName: {Name: "InvalidBucketName", Status: 400},
	object.KindInvalidArgument:   {Name: "InvalidRequest", Status: 400},
	object.KindInvalidRequest:    {Name: "InvalidRequest", Status: 400},
	object.KindOperationAborted:  {Name: "OperationAborted", Status: 409},
	object.KindNoSpace:           {Name: "InsufficientStorage", Status: 507},
	object.KindUnavailable:       {Name: "ServiceUnavailable", Status: 503},
	object.KindKeyDenied:         {Name: "AccessDenied", Status: 403},
	object.KindKeyNotFound:       {Name: "NotFound", Status: 404},
	object.KindKeyDisabled:       {Name: "KeyDisabled", Status: 400},
	object.KindNoKeyService:      {Name: "KMSNotConfigured", Status: 501},
}
