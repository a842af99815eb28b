// Package canary proves that nothing lies in the clear in the data directory: distinctive strings go in through every
// way there is, and then every byte at rest is searched for them in several encodings.
package canary
