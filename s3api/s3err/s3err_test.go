package s3err_test

import (
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"coffer/s3api/s3err"
)

// declared gives every constant of type Code in codes.go: name to value.
func declared(t *testing.T) map[string]s3err.Code {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), "codes.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	codes := map[string]s3err.Code{}
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok {
			return true
		}
		if id, ok := spec.Type.(*ast.Ident); ok && id.Name == "Code" {
			value, err := strconv.Unquote(spec.Values[0].(*ast.BasicLit).Value)
			if err != nil {
				t.Fatal(err)
			}
			codes[spec.Names[0].Name] = s3err.Code(value)
		}
		return true
	})
	return codes
}

func TestEveryCodeHasAnEntry(t *testing.T) {
	t.Parallel()
	codes := declared(t)
	seen := map[s3err.Code]string{}
	for name, code := range codes {
		if other, ok := seen[code]; ok {
			t.Errorf("%s and %s are the same code", name, other)
		}
		seen[code] = name
		if !code.Known() {
			t.Errorf("%s is not in the table", name)
			continue
		}
		if http.StatusText(code.Status()) == "" || code.Status() < 300 {
			t.Errorf("%s has status %d", name, code.Status())
		}
		if m := code.Message(); m == "" || m != strings.TrimSpace(m) {
			t.Errorf("%s has message %q", name, m)
		}
		if !strings.HasPrefix(name, "KMS") && name != string(code) {
			t.Errorf("%s is called %s", code, name)
		}
	}
	if n := s3err.TableSize(); n != len(codes) {
		t.Errorf("%d codes, %d entries", len(codes), n)
	}
}

// TestStatuses holds the codes that clients meet most against the list of the API
// reference.
func TestStatuses(t *testing.T) {
	t.Parallel()
	want := map[int][]s3err.Code{
		304: {s3err.NotModified},
		400: {
			s3err.AuthorizationHeaderMalformed, s3err.AuthorizationQueryParametersError, s3err.BadDigest, s3err.EntityTooLarge,
			s3err.EntityTooSmall, s3err.IncompleteBody, s3err.InvalidArgument, s3err.InvalidBucketName, s3err.InvalidDigest,
			s3err.InvalidPart, s3err.InvalidPartOrder, s3err.InvalidRequest, s3err.InvalidTag, s3err.InvalidToken, s3err.InvalidURI,
			s3err.KeyTooLongError, s3err.MalformedTrailerError, s3err.MalformedXML, s3err.MaxMessageLengthExceeded,
			s3err.MetadataTooLarge, s3err.MissingRequestBodyError, s3err.RequestTimeout, s3err.XAmzContentSHA256Mismatch,
		},
		403: {
			s3err.AccessDenied, s3err.InvalidAccessKeyId, s3err.InvalidChunkSizeError, s3err.InvalidObjectState,
			s3err.RequestTimeTooSkewed, s3err.SignatureDoesNotMatch,
		},
		404: {
			s3err.NoSuchBucket, s3err.NoSuchBucketPolicy, s3err.NoSuchCORSConfiguration, s3err.NoSuchKey,
			s3err.NoSuchLifecycleConfiguration, s3err.NoSuchTagSet, s3err.NoSuchUpload, s3err.NoSuchVersion,
			s3err.ObjectLockConfigurationNotFoundError, s3err.OwnershipControlsNotFoundError,
			s3err.ServerSideEncryptionConfigurationNotFoundError,
		},
		405: {s3err.MethodNotAllowed},
		409: {
			s3err.BucketAlreadyExists, s3err.BucketAlreadyOwnedByYou, s3err.BucketNotEmpty,
			s3err.ConditionalRequestConflict, s3err.OperationAborted,
		},
		411: {s3err.MissingContentLength},
		412: {s3err.PreconditionFailed},
		416: {s3err.InvalidPartNumber, s3err.InvalidRange},
		500: {s3err.InternalError},
		501: {s3err.NotImplemented},
		503: {s3err.KMSUnavailable, s3err.ServiceUnavailable, s3err.SlowDown},
		507: {s3err.InsufficientStorage},
	}
	for status, codes := range want {
		for _, code := range codes {
			if got := code.Status(); got != status {
				t.Errorf("%s: status %d, want %d", code, got, status)
			}
		}
	}
}

func TestError(t *testing.T) {
	t.Parallel()
	wrapped := s3err.Wrap(s3err.InternalError, io.ErrUnexpectedEOF)
	tests := []struct {
		name   string
		err    error
		code   s3err.Code
		text   string
		log    string
		status int
	}{
		{"default message", s3err.New(s3err.NoSuchKey), s3err.NoSuchKey, "The specified key does not exist.", "NoSuchKey: The specified key does not exist.", 404},
		{"own message", s3err.Newf(s3err.InvalidArgument, "max-keys %d", -1), s3err.InvalidArgument, "max-keys -1", "InvalidArgument: max-keys -1", 400},
		{"with a cause", wrapped, s3err.InternalError, "We encountered an internal error. Please try again.", "InternalError: We encountered an internal error. Please try again.: unexpected EOF", 500},
		{"wrapped again", fmt.Errorf("put: %w", s3err.New(s3err.NoSuchBucket)), s3err.NoSuchBucket, "The specified bucket does not exist", "NoSuchBucket: The specified bucket does not exist", 404},
		{"bare code", s3err.SlowDown, s3err.SlowDown, "Please reduce your request rate.", "SlowDown: Please reduce your request rate.: SlowDown", 503},
		{"foreign error", io.EOF, s3err.InternalError, "We encountered an internal error. Please try again.", "InternalError: We encountered an internal error. Please try again.: EOF", 500},
		{"unknown code", s3err.New("Nonsense"), "Nonsense", "We encountered an internal error. Please try again.", "Nonsense: We encountered an internal error. Please try again.", 500},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			e := s3err.From(tt.err)
			got := []any{s3err.CodeOf(tt.err), e.Code, e.Text(), e.Error(), e.Status()}
			if diff := cmp.Diff([]any{tt.code, tt.code, tt.text, tt.log, tt.status}, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if tt.code.Known() && tt.name != "foreign error" && !errors.Is(tt.err, tt.code) {
				t.Error("errors.Is does not find the code")
			}
			if errors.Is(tt.err, s3err.AccessDenied) {
				t.Error("errors.Is finds another code")
			}
		})
	}
	if !errors.Is(wrapped, io.ErrUnexpectedEOF) {
		t.Error("the cause is lost")
	}
	if s3err.From(nil) != nil || s3err.CodeOf(nil) != "" {
		t.Error("nil is an error")
	}
}

func TestDetails(t *testing.T) {
	t.Parallel()
	e := s3err.New(s3err.InvalidArgument).With("ArgumentName", "a").With("ArgumentValue", "b")
	want := []s3err.Detail{{Name: "ArgumentName", Value: "a"}, {Name: "ArgumentValue", Value: "b"}}
	if diff := cmp.Diff(want, e.Details); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if strings.Contains(e.Error(), "ArgumentName") {
		t.Error("details are in the log form")
	}
}
