// Package control lets the command line ask a running server for what concerns this machine alone: its mounts.
//
// # Duty
//
// A Server listens on a Unix socket in the configuration directory. A Client connects to it. One connection carries one
// Request and one answer, each a JSON document on a line of its own, of at most 64 KiB.
//
// A socket, and no route of the administration: what is mounted are directories of the machine that the server runs on,
// so nobody else has any business here; the permissions of the file decide who may ask (the server's user and root),
// whatever address, certificate and credentials the S3 side has; and a socket that nobody listens on tells at once that
// no server runs.
//
// # What it does not do
//
// It mounts nothing itself. It does not find the directory, nor lock it: the server that holds the store may replace a
// socket that another has left.
//
// # Concurrency and ownership
//
// A Server serves each connection in a goroutine of its own; Close waits for them. A Client keeps nothing open.
package control
