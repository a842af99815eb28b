package audit

import (
	"context"
	"errors"

	"coffer/kms"
)

// Outcome is Success, or the class of what went wrong. It is never the message of
// an error.
type Outcome string

// The outcomes of kms-sse-reference.md, section 6.
const (
	Success                Outcome = "success"
	Configuration          Outcome = "configuration"
	KeyNotFound            Outcome = "key_not_found"
	InvalidKey             Outcome = "invalid_key"
	Cryptographic          Outcome = "cryptographic"
	Backend                Outcome = "backend"
	AccessDenied           Outcome = "access_denied"
	KeyAlreadyExists       Outcome = "key_already_exists"
	InvalidOperation       Outcome = "invalid_operation"
	Internal               Outcome = "internal"
	Serialization          Outcome = "serialization"
	IO                     Outcome = "io"
	Cache                  Outcome = "cache"
	Validation             Outcome = "validation"
	UnsupportedAlgorithm   Outcome = "unsupported_algorithm"
	InvalidKeySize         Outcome = "invalid_key_size"
	ContextMismatch        Outcome = "context_mismatch"
	Timeout                Outcome = "timeout"
	Cancelled              Outcome = "cancelled"
	MaterialMissing        Outcome = "material_missing"
	MaterialCorrupt        Outcome = "material_corrupt"
	MaterialAuthentication Outcome = "material_authentication_failed"
	UnsupportedFormat      Outcome = "unsupported_format_version"
	KeyVersionNotFound     Outcome = "key_version_not_found"
	Backup                 Outcome = "backup"
	UnsupportedCapability  Outcome = "unsupported_capability"
	CredentialsUnavailable Outcome = "credentials_unavailable"
	BaselineVersionLost    Outcome = "baseline_version_lost"
	KeyStillReferenced     Outcome = "key_still_referenced"
	RewrapExposesPlaintext Outcome = "rewrap_would_expose_plaintext"
	ServiceUnavailable     Outcome = "service_unavailable"
	OperationFailed        Outcome = "operation_failed"
)

// OutcomeOf returns the class of an error of a key service: Success for nil, the
// end of a context before the kind that it was given on the way, Internal for an
// error without a kind. A caller that knows a narrower word uses that.
func OutcomeOf(err error) Outcome {
	switch {
	case err == nil:
		return Success
	case errors.Is(err, context.DeadlineExceeded):
		return Timeout
	case errors.Is(err, context.Canceled):
		return Cancelled
	}
	switch kms.KindOf(err) {
	case kms.Invalid:
		return Validation
	case kms.NotFound:
		return KeyNotFound
	case kms.AlreadyExists:
		return KeyAlreadyExists
	case kms.Disabled, kms.InvalidState:
		return InvalidOperation
	case kms.InUse:
		return KeyStillReferenced
	case kms.Denied:
		return AccessDenied
	case kms.Throttled, kms.Unavailable, kms.BackendFailure:
		return Backend
	case kms.Unsupported:
		return UnsupportedCapability
	case kms.Crypto:
		return Cryptographic
	case kms.Configuration:
		return Configuration
	case kms.NotConfigured:
		return ServiceUnavailable
	case kms.CacheFailure:
		return Cache
	default:
		return Internal
	}
}

// Operation is what was asked for.
type Operation string

// The operations of key administration, by the names of kms-sse-reference.md,
// section 6, and the uses of a KEK.
const (
	CreateKey            Operation = "CreateKey"
	DescribeKey          Operation = "DescribeKey"
	ListKeys             Operation = "ListKeys"
	ScheduleKeyDeletion  Operation = "ScheduleKeyDeletion"
	CancelKeyDeletion    Operation = "CancelKeyDeletion"
	EnableKey            Operation = "EnableKey"
	DisableKey           Operation = "DisableKey"
	RotateKey            Operation = "RotateKey"
	DeleteKey            Operation = "DeleteKey" // physical
	UpdateKeyDescription Operation = "UpdateKeyDescription"
	TagResource          Operation = "TagResource"
	UntagResource        Operation = "UntagResource"
	Configure            Operation = "Configure"
	Reconfigure          Operation = "Reconfigure"
	Start                Operation = "Start"
	Stop                 Operation = "Stop"
	ClearCache           Operation = "ClearCache"
	GenerateDataKey      Operation = "GenerateDataKey" // a fresh KEK, wrapped
	Encrypt              Operation = "Encrypt"         // something wrapped, or sealed by a KEK that is there
	Decrypt              Operation = "Decrypt"         // something opened by a KEK that was unwrapped, or kept in memory
	ReEncrypt            Operation = "ReEncrypt"       // a KEK rewrapped
	ProbeKey             Operation = "ProbeKey"        // a KEK made, unwrapped and compared, for nobody's use
	Unknown              Operation = "Unknown"         // a request for what there is not
	LinesLost            Operation = "LinesLost"       // lines that could not be written, and how many (a Guard's)
)
