// Package arch holds the layer test: which package may import which, where
// outside libraries may appear, and what no package does. The rules are text in
// rules_test.go; to allow an import, change them there and say why in the commit.
//
// The test reads the source of the module as it lies on disk, under every build
// tag, and not that of modules nested in it. There is no code to call.
package arch
