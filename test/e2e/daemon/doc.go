// Package daemon runs the built binary as a child process: on a free port of the
// loopback address, with data and configuration in a directory of the caller's,
// until Stop.
//
// It knows the command line and the health route of the product, and none of its
// code. A Daemon belongs to one goroutine.
package daemon
