// Package memchunk keeps chunks in memory, for tests of whatever stands on a
// chunk.Store. It behaves as chunk/localdisk does, and can lose its power:
// Crash returns what a machine would find after a power cut.
//
// It is no place for real data, and not tuned.
package memchunk
