// Package metricstest reads metrics as Prometheus does, for tests.
//
// Get asks a server; what it returns sums up samples by name and labels. It does
// not judge what it reads. A Families is not changed once it is returned.
package metricstest
