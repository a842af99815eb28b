// Package metastoretest is the conformance suite of metastore drivers, and
// their benchmarks.
//
// A driver's test calls Run with a function that makes an empty store and
// returns how to open it. What a driver promises is what these tests hold it
// to; where a promise is deliberately not made (phantoms of a Scan) a test
// holds the documentation to that.
package metastoretest
