// Package conformance holds the tests that compare Coffer with the five documents that it was built to, S0 to S4.
//
// # Duty
//
// TestPage reads docs/conformance.md: every requirement of the documents is a row there, and names a test that exists.
//
// TestDocumentedLines runs what the documents show. Each of testdata/S0.yaml to S3.yaml is a document; each row of it is a line that
// the document shows, what becomes of the line on a machine of tests and why (testdata/adaptations.yaml names the reasons), and
// the answer that the document gives. The built server runs alone (Local) and beside a real Vault; a row says what is to be seen
// in both worlds. The lines of docs/admin-api.md are run by test/docs.
//
// # Tags
//
// What runs lines is behind the build tag e2e: it needs the binary, curl, awscurl, the AWS CLI and mc, which make e2e builds and
// installs.
//
// # What it does not do
//
// It proves no depth: that a backend keeps its promises is shown by the tests of its package, which the page names.
package conformance
