package s3api

import (
	"testing"

	"coffer/object"
	"coffer/s3api/s3err"
)

// TestEveryKindHasACode fails when the engine gets a kind that the switch does not know.
func TestEveryKindHasACode(t *testing.T) {
	t.Parallel()
	for _, k := range object.Kinds() {
		code, ok := codeOf(k)
		if !ok || !code.Known() {
			t.Errorf("%v: code %q, known %v", k, code, ok && code.Known())
		}
	}
	if code, ok := codeOf(object.Kind(255)); ok || code != s3err.InternalError {
		t.Errorf("unknown kind: %q %v", code, ok)
	}
}
