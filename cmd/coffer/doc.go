// Command coffer is an encrypted object store that speaks S3.
//
//	coffer serve          serve the store; the first start makes it
//	coffer config check   say what is wrong with the configuration, or what is in force
//	coffer unlock …       manage the secrets that unlock the store
//	coffer audit …        check and read the audit log
//	coffer version
//
// Every flag has an environment variable and a line in the configuration file;
// package internal/config holds the table. The command itself parses, builds
// (build.go), runs and stops in order; it decides nothing about objects or keys.
//
// # Streams and exit codes
//
// Standard output carries what was asked for: the banner of serve, lists, the
// settings in force. Standard error carries the log and errors. The exit code is
// 0 after a stop by SIGTERM or SIGINT, 1 after a failure or a second signal, 2
// when the command line or the configuration is at fault, 3 when the audit log is
// not as it was written.
package main
