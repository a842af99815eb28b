// Package objecttest opens engines for tests: over memory by default, or over the drivers that a test brings along, with
// restarts and power cuts.
package objecttest
