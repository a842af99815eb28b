package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/alecthomas/kong"

	"coffer/internal/adminclient"
)

type inspectCommand struct {
	clientFlags
	Object    string `arg:"" name:"bucket/key" help:"The object, with or without s3:// in front."`
	VersionID string `placeholder:"ID" help:"Version of the object (default: the current one)."`
}

// Validate wants a bucket and a key.
func (c inspectCommand) Validate() error {
	if bucket, key := c.names(); bucket == "" || key == "" {
		return errors.New("name an object as BUCKET/KEY")
	}
	return nil
}

func (c inspectCommand) names() (bucket, key string) {
	bucket, key, _ = strings.Cut(strings.TrimPrefix(c.Object, "s3://"), "/")
	return bucket, key
}

// Run tells how an object is sealed.
func (c inspectCommand) Run(kctx *kong.Context, std streams) error {
	bucket, key := c.names()
	return administer(c.clientFlags, kctx, std, func(ctx context.Context, r *remote) (adminclient.Answer[adminclient.Inspected], error) {
		return r.Inspect(ctx, bucket, key, c.VersionID)
	}, showInspected)
}

func showInspected(w io.Writer, in *adminclient.Inspected) {
	row := func(name string, value any) { fmt.Fprintf(w, "%s\t%v\n", name, value) }
	row("object", in.Bucket+"/"+in.Key)
	row("version id", in.VersionID)
	row("size", fmt.Sprintf("%d bytes", in.Size))
	row("etag", in.ETag)
	row("last modified", in.LastModified)
	if in.Parts > 0 {
		row("parts", in.Parts)
	}
	row("mode", in.Mode)
	row("object id", in.ObjectID)
	b := &in.Body
	row("body", fmt.Sprintf("%s in %s, %d of them in the metastore", plural(int64(b.Extents), "extent"), plural(int64(b.Chunks), "chunk"), b.Inline))
	if b.References > 1 {
		row("body shared by", fmt.Sprintf("%d objects", b.References))
	}
	for i := range in.Keys {
		fmt.Fprintln(w)
		showInspectedKey(w, in, &in.Keys[i])
	}
}

func showInspectedKey(w io.Writer, in *adminclient.Inspected, k *adminclient.InspectedKey) {
	row := func(name string, value any) { fmt.Fprintf(w, "%s\t%v\n", name, value) }
	row(fmt.Sprintf("key slot %d", k.Slot), fmt.Sprintf("%s, %s of %d bytes", k.Mode, plural(int64(k.Extents), "extent"), k.Bytes))
	if k.KeyID != "" {
		row("key", fmt.Sprintf("%s, version %d", k.KeyID, k.Version))
		row("fingerprint", k.Fingerprint)
		row("backend", fmt.Sprintf("%s, instance %s", backendWords(k.BackendType, k.Builtin), k.Instance))
	}
	if k.Generation > 0 {
		row("KEK", fmt.Sprintf("of the bucket, generation %d", k.Generation))
	}
	if k.SealedAs.Bucket != "" {
		row("sealed as", sealedAsWords(in, k))
	}
	for _, name := range slices.Sorted(maps.Keys(k.Metadata)) {
		row(name, k.Metadata[name])
	}
}

// sealedAsWords puts the names at sealing beside the present one. A bucket's KEK binds no key.
func sealedAsWords(in *adminclient.Inspected, k *adminclient.InspectedKey) string {
	name := k.SealedAs.Bucket
	if k.SealedAs.Key != "" {
		name += "/" + k.SealedAs.Key
	}
	if k.SealedAs.Bucket != in.Bucket || k.SealedAs.Key != "" && k.SealedAs.Key != in.Key {
		name += " (it has another name now)"
	}
	return name
}
