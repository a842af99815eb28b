// Package cloudsqlconn stands in for Google's connector, which only the
// database plugins of Vault use.
package cloudsqlconn

// Option and DialOption have no effect.
type (
	Option     func()
	DialOption func()
)

func WithIAMAuthN() Option                        { return nil }
func WithCredentialsJSON([]byte) Option           { return nil }
func WithDefaultDialOptions(...DialOption) Option { return nil }
func WithPrivateIP() DialOption                   { return nil }
func WithPSC() DialOption                         { return nil }
