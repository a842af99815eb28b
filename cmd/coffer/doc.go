// Command coffer is an encrypted object store that speaks S3.
//
//	coffer serve          serve the store; the first start makes it
//	coffer mount, umount  mount buckets as directories, by the running server or
//	                      without one; mount.coffer is the same for fstab(5)
//	coffer config check   say what is wrong with the configuration, or what is in force
//	coffer unlock …       manage the secrets that unlock the store
//	coffer audit …        check and read the audit log
//	coffer keys …         administer the keys of a running server
//	coffer kms …          administer its key backend
//	coffer rewrap         wrap the KEKs of a bucket by the newest versions of their keys
//	coffer census         count what depends on which version of which key
//	coffer inspect        tell how an object is sealed
//	coffer version
//
// Every setting is a flag, an environment variable and a line in the configuration
// file; package internal/config holds the table. The command itself parses, builds
// (build.go), runs and stops in order; it decides nothing about objects or keys.
// What talks to a server (client….go) goes through package internal/adminclient.
//
// # Streams and exit codes
//
// Standard output carries what was asked for: the banner of serve, lists, answers,
// the settings in force. Standard error carries the log, progress and errors. The exit code is
// 0 after a stop by SIGTERM or SIGINT, 1 after a failure or a second signal, 2
// when the command line or the configuration is at fault, 3 when the audit log is
// not as it was written.
package main
