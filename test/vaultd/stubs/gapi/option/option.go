// Package option stands in for the options of Google's clients.
package option

// WithUserAgent has no effect.
func WithUserAgent(string) any { return nil }
