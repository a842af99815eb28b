// Package limits tests the built server at its edges: on a full disk, and with many large streams at once.
//
// The short forms run with all tests. The long form of the memory test is the same code with a bigger number:
//
//	go test ./test/limits -run TestMemory -v -limits.size 268435456
package limits
