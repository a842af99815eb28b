package adminclient

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
)

// Error is a refusal of the server.
type Error struct {
	Status      int
	Code        string
	Message     string
	Description string
	Use         *Use // what depends on a key or backend that cannot be removed for it
}

// Error names the code, and says what the server said, but not twice.
func (e *Error) Error() string {
	message, description := strings.TrimSuffix(e.Message, "."), strings.TrimSuffix(e.Description, ".")
	switch {
	case description == "":
		return e.Code + ": " + message
	case strings.Contains(description, message):
		return e.Code + ": " + description
	default:
		return e.Code + ": " + message + ": " + description
	}
}

// newError reads the document of a refusal. What is none comes from something between here and the server.
func newError(resp *http.Response, body []byte) error {
	var doc struct {
		Code        string `json:"code"`
		Message     string `json:"message"`
		Description string `json:"description"`
		Use         *Use   `json:"in_use"`
	}
	if err := json.Unmarshal(body, &doc); err != nil || doc.Code == "" {
		return fmt.Errorf("whatever answers at %s is no Coffer server: %s", resp.Request.URL.Host, resp.Status)
	}
	return &Error{Status: resp.StatusCode, Code: doc.Code, Message: doc.Message, Description: doc.Description, Use: doc.Use}
}

// UnreachableError says that no server answered.
type UnreachableError struct {
	Endpoint string
	Err      error
}

// Error names the endpoint.
func (e *UnreachableError) Error() string {
	return fmt.Sprintf("no server answers at %s: %v", e.Endpoint, e.Err)
}

// Unwrap returns the cause.
func (e *UnreachableError) Unwrap() error { return e.Err }

// unreachable tells a request that was given up from one that nobody answered.
func (c *Client) unreachable(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if e, ok := errors.AsType[*url.Error](err); ok {
		err = e.Err // the URL stands beside it
	}
	return &UnreachableError{Endpoint: c.o.Endpoint, Err: err}
}
