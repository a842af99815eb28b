// Package chunktest holds the suite that every chunk.Store passes. A driver's
// test calls Run with a function that opens an empty store:
//
//	func TestSuite(t *testing.T) {
//		chunktest.Run(t, func(t *testing.T) chunk.Store { return open(t) })
//	}
//
// RunCrash adds what can be seen only where the power can be cut. The tests run
// in parallel, each on a store of its own, which the suite closes. Goroutines
// left behind are the driver's test to find, with goleak in its TestMain.
package chunktest
