package admin

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strconv"
)

// decode reads a JSON body. strict refuses fields that into does not have.
func (c *call) decode(into any, strict bool) error {
	d := json.NewDecoder(bytes.NewReader(c.Body))
	if strict {
		d.DisallowUnknownFields()
	}
	err := d.Decode(into)
	if err == nil {
		if _, end := d.Token(); !errors.Is(end, io.EOF) {
			err = errors.New("something follows the document")
		}
	}
	if err != nil {
		return refuse(http.StatusBadRequest, "InvalidRequest", "The body is not valid JSON of this request.", "Invalid JSON: %s.", decodeFault(err))
	}
	return nil
}

// decodeFault tells what is wrong without repeating a value, which may be a secret.
func decodeFault(err error) string {
	if e, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		return "field " + strconv.Quote(e.Field) + " has a wrong type"
	}
	if e, ok := errors.AsType[*json.SyntaxError](err); ok {
		return "syntax error at byte " + strconv.FormatInt(e.Offset, 10)
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return "the body ends early"
	}
	return err.Error() // names a field that is unknown
}

// decodeOptional is decode for a body that may be absent.
func (c *call) decodeOptional(into any, strict bool) error {
	if len(bytes.TrimSpace(c.Body)) == 0 {
		return nil
	}
	return c.decode(into, strict)
}

// keyNames are the query parameters that name a key, whichever client sends them. It is never written to.
var keyNames = []string{"keyName", "key-id", "keyId", "key_id", "key"}

// queryKey gives the key that the query names; false when it names none.
func (c *call) queryKey() (string, bool) {
	for _, name := range keyNames {
		if c.Query.Has(name) {
			c.keyID = c.Query.Get(name)
			return c.keyID, true
		}
	}
	return "", false
}

// wantQueryKey is queryKey where there must be one.
func (c *call) wantQueryKey() (string, error) {
	id, _ := c.queryKey()
	if id == "" {
		return "", invalid("The query parameter keyName (or key-id, or keyId) is missing.")
	}
	return id, nil
}

// keyBody is the body of requests about one key.
type keyBody struct {
	KeyID string `json:"key_id"`
}

// wantKey takes the key from a JSON body, or from the query where there is no body.
func (c *call) wantKey() (string, error) {
	var body keyBody
	if err := c.decodeOptional(&body, true); err != nil {
		return "", err
	}
	if body.KeyID == "" {
		return c.wantQueryKey()
	}
	c.keyID = body.KeyID
	return body.KeyID, nil
}

// flag reads a boolean query parameter; "" and absence are false.
func (c *call) flag(name string) (bool, error) {
	v := c.Query.Get(name)
	if v == "" {
		return false, nil
	}
	b, err := strconv.ParseBool(v)
	if err != nil {
		return false, invalid("%s is neither true nor false.", name)
	}
	return b, nil
}
