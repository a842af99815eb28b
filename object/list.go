package object

import (
	"bytes"
	"context"
	"iter"
	"strings"

	"coffer/metastore"
)

// List returns one page of a bucket's current versions.
func (s *Store) List(ctx context.Context, req ListRequest) (ListResult, error) {
	var out ListResult
	if req.Max < 0 || req.Max > MaxListKeys {
		return out, s.wrap("list", req.Bucket, "", errKindf(KindInvalidArgument, "0 to %d keys a page", MaxListKeys))
	}
	err := s.opts.Meta.View(ctx, func(v *metastore.View) error {
		b, err := readBucket(v.Get, req.Bucket)
		if err != nil || req.Max == 0 {
			return err
		}
		f := folder{prefix: req.Prefix, delimiter: req.Delimiter, max: req.Max}
		names := namesOf(v, b)
		err = f.scan(names, names.after(req.After), func(key string, kv metastore.KV) error {
			r, err := decodeName(v.Get, b.ID, kv.Value)
			if err != nil {
				return err
			}
			r.Meta.User = nil
			out.Objects = append(out.Objects, r.info(req.Bucket, key))
			return nil
		})
		out.Prefixes, out.More, out.Next = f.prefixes, f.more, f.last
		return err
	})
	return out, s.wrap("list", req.Bucket, "", err)
}

// folder scans keys in order and folds those that share a common prefix, one page at a time.
type folder struct {
	prefix    string
	delimiter string
	max       int
	folded    func(prefix, key string, kv metastore.KV) error // called with the first key below each prefix; may be nil

	count    int // keys and prefixes on the page
	prefixes []string
	more     bool
	last     ListPosition // the last one on the page
}

// namespace is a run of the metastore whose keys hold S3 keys.
type namespace struct {
	join func(prefix string) []byte           // begins the metastore keys of all S3 keys with a prefix
	name func(metaKey []byte) (string, error) // the S3 key in a metastore key
	scan func(from, to []byte) iter.Seq2[metastore.KV, error]
}

// namesOf is the names of a bucket in a snapshot.
func namesOf(v *metastore.View, b *bucketRecord) namespace {
	return namespace{
		scan: func(from, to []byte) iter.Seq2[metastore.KV, error] { return scanNames(v, b, from, to) },
		join: func(prefix string) []byte { return nameKey(b.ID, prefix) },
		name: func(metaKey []byte) (string, error) { return nameOf(metaKey), nil },
	}
}

// after is where a scan of current versions goes on behind a position, nil at the beginning.
func (n namespace) after(p ListPosition) []byte {
	switch {
	case p.Key == "":
		return nil
	case p.Folded:
		return n.behind(p.Key)
	default:
		return append(n.join(p.Key), 0)
	}
}

// behind is the first metastore key whose S3 key does not begin with prefix any more.
func (n namespace) behind(prefix string) []byte {
	_, to := metastore.PrefixRange(n.join(prefix))
	return to
}

// scan visits the keys of a namespace from start on, nil being its beginning. visit is called for each that is not
// folded.
func (f *folder) scan(n namespace, start []byte, visit func(key string, kv metastore.KV) error) error {
	from, to := metastore.PrefixRange(n.join(f.prefix))
	if bytes.Compare(start, from) > 0 {
		from = start
	}
	for {
		skip, err := f.scanRun(n, from, to, visit)
		if err != nil || skip == "" {
			return err
		}
		from = n.behind(skip)
	}
}

// skipRun is how many keys below a common prefix are passed over one by one before it is cheaper to seek behind them.
const skipRun = 32

// scanRun scans until the end, the end of the page, or a common prefix that is worth seeking behind, which it returns.
func (f *folder) scanRun(n namespace, from, to []byte, visit func(string, metastore.KV) error) (string, error) {
	folded, skipped := "", 0
	for kv, err := range n.scan(from, to) {
		if err != nil {
			return "", err
		}
		key, err := n.name(kv.Key)
		if err != nil {
			return "", err
		}
		if folded != "" && strings.HasPrefix(key, folded) {
			if skipped++; skipped == skipRun {
				return folded, nil
			}
			continue
		}
		if f.count == f.max {
			f.more = true
			return "", nil
		}
		f.count++
		if folded = f.fold(key); folded != "" {
			skipped = 0
			if f.folded != nil {
				if err := f.folded(folded, key, kv); err != nil {
					return "", err
				}
			}
			f.prefixes = append(f.prefixes, folded)
			f.last = ListPosition{Key: folded, Folded: true}
			continue
		}
		f.last = ListPosition{Key: key}
		if err := visit(key, kv); err != nil {
			return "", err
		}
	}
	return "", nil
}

// fold returns the common prefix that a key belongs to, "" if none.
func (f *folder) fold(key string) string {
	if f.delimiter == "" {
		return ""
	}
	i := strings.Index(key[len(f.prefix):], f.delimiter)
	if i < 0 {
		return ""
	}
	return key[:len(f.prefix)+i+len(f.delimiter)]
}
