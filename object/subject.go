package object

import "context"

// Subject is what a key is used for. The engine puts it into the contexts of its calls to the KeyService, so that who
// keeps a record of uses can say in it what was read and written.
type Subject struct {
	Bucket string
	Key    string // "" where the KEK is made for the bucket, not for one object
	Seals  bool   // a DataKey is sealed, or a KEK is made to seal some; else one is opened
}

// subjectsKey is the key of the Subjects in a context.
type subjectsKey struct{}

func withSubjects(ctx context.Context, subjects ...Subject) context.Context {
	return context.WithValue(ctx, subjectsKey{}, subjects)
}

// Subjects returns what the keys of a call to the KeyService are used for: one Subject, and of Rewrap one for each item.
// It is empty where the call is about nothing that is stored. The caller does not change it.
func Subjects(ctx context.Context) []Subject {
	subjects, _ := ctx.Value(subjectsKey{}).([]Subject)
	return subjects
}
