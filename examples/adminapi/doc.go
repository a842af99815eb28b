// Command adminapi is an example: it administers the keys of a running server over
// HTTP, as a program in any language does that can sign a request as AWS has it.
//
//	go run ./examples/adminapi -url http://127.0.0.1:9000 -access-key coffer -secret-key-file secret
//
// It asks how the key service is, lists keys, makes one, asks for its state, disables
// and enables it, rotates it, and shows what an error looks like. docs/admin-api.md
// has all routes. It needs nothing of Coffer's own packages.
package main
