//go:build sealtrace

package cipher

import "testing"

// TestTraceSeesARepeatedNonce seals the same chunk twice, which nothing but this test may do.
func TestTraceSeesARepeatedNonce(t *testing.T) {
	key, id := NewDataKey(), NewChunkID()
	before, twiceBefore := SealTrace.Count()
	for range 2 {
		if _, err := SealChunk(nil, key, id, MinFrameSize, make([]byte, 3*MinFrameSize)); err != nil {
			t.Fatal(err)
		}
	}
	sealed, twice := SealTrace.Count()
	if sealed-before != 6 || twice-twiceBefore != 3 {
		t.Errorf("%d seals, %d of them again; want 6 and 3", sealed-before, twice-twiceBefore)
	}
}
