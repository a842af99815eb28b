// Package caller says who asks for something, in the context of what is done for
// them.
//
// # Duty
//
// A front door puts a Caller into the context of a request (With), once its
// signature is proven and its pairs are checked (CheckPairs); the audit log takes
// it from there (From). So nothing between them passes the principal along.
//
// # What it does not do
//
// It proves nothing and permits nothing: what stands in a Caller is as true as the
// front door made sure. It writes no log.
//
// # Concurrency and ownership
//
// A Caller in a context is shared and is not changed afterwards, nor are its Pairs.
package caller
