package vault

import (
	"context"
	"fmt"
	"strconv"

	"coffer/kms"
)

// RewrapBatch implements kms.BatchRewrapper, with one call for each key among the
// items. A call that fails is the failure of all its items. It is bounded by
// AdminTimeout.
func (b *Backend) RewrapBatch(ctx context.Context, items []kms.RewrapItem) []kms.RewrapResult {
	results := make([]kms.RewrapResult, len(items))
	versions := make([]uint32, len(items))
	groups := map[string][]int{} // indices by key id
	for i, item := range items {
		var err error
		if i >= kms.MaxBatch {
			err = fmt.Errorf("%w: a batch of %d, more than %d", kms.Invalid, len(items), kms.MaxBatch)
		} else {
			versions[i], err = b.checkWrapped(item.Wrapped, item.Context)
		}
		if err != nil {
			results[i].Err = newError(rewrapOp, item.Wrapped.KeyID, err)
			continue
		}
		groups[item.Wrapped.KeyID] = append(groups[item.Wrapped.KeyID], i)
	}
	for keyID, indices := range groups {
		made, err := b.rewrapGroup(ctx, keyID, items, indices)
		for at, i := range indices {
			if err == nil {
				results[i] = b.result(items[i], versions[i], made[at])
			} else {
				results[i].Err = err
			}
		}
	}
	return results
}

const rewrapOp = "rewrap KEK"

// batchResult is what Transit answers for one item.
type batchResult struct {
	Ciphertext string `json:"ciphertext"`
	Reference  string `json:"reference"`
	Error      string `json:"error"`
}

// rewrapGroup rewraps the items at indices, which are all of one key.
func (b *Backend) rewrapGroup(ctx context.Context, keyID string, items []kms.RewrapItem, indices []int) (results []batchResult, err error) {
	input := make([]transitItem, len(indices))
	c := b.useCall("rewrap", keyID)
	c.admin = true
	for at, i := range indices {
		input[at] = transitItem{
			Ciphertext: string(items[i].Wrapped.Ciphertext), Context: encodeContext(items[i].Context),
			Reference: strconv.Itoa(i),
		}
		c.private = append(c.private, privateContext(items[i].Context)...)
	}
	c.body = struct {
		BatchInput []transitItem `json:"batch_input"`
	}{input}
	err = b.operate(ctx, rewrapOp, keyID, true, func(ctx context.Context) error {
		if err := b.states.checkEncrypt(ctx, keyID); err != nil {
			return err
		}
		var answer transitAnswer
		if err := b.do(ctx, c, &answer); err != nil {
			return err
		}
		results = answer.Data.BatchResults
		if len(results) != len(input) {
			return fmt.Errorf("%w: %d results of a batch of %d", kms.BackendFailure, len(results), len(input))
		}
		for at := range results {
			if results[at].Reference != input[at].Reference {
				return fmt.Errorf("%w: the results of a batch are not in its order", kms.BackendFailure)
			}
		}
		return nil
	})
	return results, err
}

// result turns what Transit says of one item into what Rewrap would return.
func (b *Backend) result(item kms.RewrapItem, version uint32, made batchResult) kms.RewrapResult {
	keyID := item.Wrapped.KeyID
	if made.Error == "" {
		next, err := b.rewrapped(item.Wrapped, version, made.Ciphertext)
		if err != nil {
			return kms.RewrapResult{Err: newError(rewrapOp, keyID, err)}
		}
		return kms.RewrapResult{Wrapped: next}
	}
	kind, ok := kindOfText(made.Error)
	if !ok {
		kind = kms.Invalid
	}
	c := b.useCall("rewrap", keyID)
	e := &CallError{Method: c.method, Path: c.path, Kind: kind, text: show(made.Error, privateContext(item.Context))}
	return kms.RewrapResult{Err: newError(rewrapOp, keyID, e)}
}
