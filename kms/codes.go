package kms

// Code is how one front door answers an error: a code of its vocabulary and the
// HTTP status that goes with it.
type Code struct {
	Name   string
	Status int
}

// Codes is how all front doors answer an error of one Kind.
type Codes struct {
	S3    Code // XML of the S3 API
	Admin Code // JSON of the admin API
	MC    Code // JSON of the routes that mc and madmin call
}

// Codes returns how front doors answer errors of this kind. It is the one table
// of it. Only kinds for which trying again may help have the status 503, since
// clients repeat what was answered so.
// Nobody makes or removes keys by S3: what only that can meet is InternalError there.
func (k Kind) Codes() Codes {
	switch k {
	case Invalid:
		return Codes{Code{"InvalidArgument", 400}, Code{"InvalidRequest", 400}, Code{"kms:InvalidRequest", 400}}
	case NotFound:
		return Codes{Code{"KMS.NotFoundException", 400}, Code{"NotFound", 404}, Code{"kms:KeyNotFound", 404}}
	case AlreadyExists:
		return Codes{Code{"InternalError", 500}, Code{"KeyAlreadyExists", 409}, Code{"kms:KeyAlreadyExists", 409}}
	case Disabled:
		return Codes{Code{"KMS.DisabledException", 400}, Code{"KeyDisabled", 400}, Code{"kms:KeyDisabled", 400}}
	case InvalidState:
		return Codes{Code{"KMS.KMSInvalidStateException", 400}, Code{"InvalidKeyState", 400}, Code{"kms:InvalidKeyState", 400}}
	case InUse:
		return Codes{Code{"InternalError", 500}, Code{"KeyInUse", 409}, Code{"kms:KeyInUse", 409}}
	case Denied:
		return Codes{Code{"AccessDenied", 403}, Code{"AccessDenied", 403}, Code{"kms:NotAuthorized", 403}}
	case Throttled:
		return Codes{Code{"SlowDown", 503}, Code{"Throttled", 503}, Code{"SlowDown", 503}}
	case Unavailable:
		return Codes{Code{"KMS.Unavailable", 503}, Code{"ServiceUnavailable", 503}, Code{"ServiceUnavailable", 503}}
	case Unsupported:
		return Codes{Code{"NotImplemented", 501}, Code{"NotImplemented", 501}, Code{"kms:NotSupported", 501}}
	case NotConfigured:
		return Codes{Code{"NotImplemented", 501}, Code{"KMSNotConfigured", 501}, Code{"NotImplemented", 501}}
	case Crypto:
		return Codes{Code{"InternalError", 500}, Code{"CryptoError", 500}, Code{"kms:InvalidCiphertextException", 400}}
	case Configuration:
		return Codes{Code{"InternalError", 500}, Code{"InvalidConfiguration", 400}, Code{"kms:InvalidConfiguration", 500}}
	case BackendFailure:
		return Codes{Code{"InternalError", 500}, Code{"BackendError", 500}, Code{"kms:BackendError", 500}}
	case CacheFailure:
		return Codes{Code{"InternalError", 500}, Code{"CacheError", 500}, Code{"kms:CacheError", 500}}
	default:
		return Codes{Code{"InternalError", 500}, Code{"InternalError", 500}, Code{"kms:InternalError", 500}}
	}
}
