package s3err

import (
	"errors"
	"fmt"
)

// Code is an S3 error code exactly as the <Code> element carries it. It is an
// error itself so that errors.Is(err, s3err.NoSuchKey) reads as it should.
type Code string

// Error makes a bare Code usable as a target of errors.Is.
func (c Code) Error() string { return string(c) }

// Status is the HTTP status of the code; 500 for a code not in the table.
func (c Code) Status() int {
	if e, ok := table[c]; ok {
		return e.status
	}
	return 500
}

// Message is the default text of the code.
func (c Code) Message() string {
	if e, ok := table[c]; ok {
		return e.message
	}
	return table[InternalError].message
}

// Known reports whether the code is in the table.
func (c Code) Known() bool {
	_, ok := table[c]
	return ok
}

// Detail is one extra element of the <Error> document, such as
// <ArgumentName>uploadId</ArgumentName>. Name must be an XML name.
type Detail struct {
	Name, Value string
}

// Error is an answer to the client. Message "" stands for the code's default
// message, Resource "" for the path of the request, which the server fills in.
// Err is the cause: it is logged and never sent.
type Error struct {
	Code     Code
	Message  string
	Resource string
	Details  []Detail
	Err      error
}

// New returns an error with the code's default message.
func New(code Code) *Error { return &Error{Code: code} }

// Newf returns an error with a message of its own, which the client will see.
func Newf(code Code, format string, args ...any) *Error {
	return &Error{Code: code, Message: fmt.Sprintf(format, args...)}
}

// Wrap returns an error with the code's default message and a cause for logs.
func Wrap(code Code, cause error) *Error { return &Error{Code: code, Err: cause} }

// With appends a detail and returns e.
func (e *Error) With(name, value string) *Error {
	e.Details = append(e.Details, Detail{Name: name, Value: value})
	return e
}

// Status is the HTTP status of the answer.
func (e *Error) Status() int { return e.Code.Status() }

// Text is the message for the client: Message, or the code's default.
func (e *Error) Text() string {
	if e.Message != "" {
		return e.Message
	}
	return e.Code.Message()
}

// Error is the form for logs: code, message and cause. Details are left out
// because they repeat what the client sent.
func (e *Error) Error() string {
	if e.Err != nil {
		return string(e.Code) + ": " + e.Text() + ": " + e.Err.Error()
	}
	return string(e.Code) + ": " + e.Text()
}

// Unwrap gives the cause.
func (e *Error) Unwrap() error { return e.Err }

// Is matches a Code, so that errors.Is(err, s3err.NoSuchKey) holds.
func (e *Error) Is(target error) bool {
	c, ok := target.(Code)
	return ok && c == e.Code
}

// CodeOf gives the code of the first *Error in err's chain, or InternalError
// when there is none. It is "" for a nil error.
func CodeOf(err error) Code {
	if err == nil {
		return ""
	}
	return From(err).Code
}

// From gives the first *Error in err's chain; an error that has none, and a
// bare Code, is wrapped. It is nil for a nil error.
func From(err error) *Error {
	if err == nil {
		return nil
	}
	var e *Error
	if errors.As(err, &e) {
		return e
	}
	var c Code
	if errors.As(err, &c) {
		return &Error{Code: c, Err: err}
	}
	return Wrap(InternalError, err)
}
