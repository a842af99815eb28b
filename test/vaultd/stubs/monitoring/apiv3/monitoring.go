// Package monitoring stands in for Google's client of this name, to which Vault
// can send its metrics.
package monitoring

import (
	"context"
	"errors"
)

// MetricClient sends nothing.
type MetricClient struct{}

// NewMetricClient refuses.
func NewMetricClient(context.Context, ...any) (*MetricClient, error) {
	return nil, errors.New("monitoring: not built into vaultd")
}
