// Package pgxv4 stands in for the database driver of this name.
package pgxv4

import (
	"errors"

	"cloud.google.com/go/cloudsqlconn"
)

// RegisterDriver refuses.
func RegisterDriver(string, ...cloudsqlconn.Option) (cleanup func() error, err error) {
	return nil, errors.New("cloudsqlconn: not built into vaultd")
}
