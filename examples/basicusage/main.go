package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"coffer/cipher"
	"coffer/kms"
	"coffer/kms/local"
)

func main() {
	dir := flag.String("dir", "", "directory of the keys")
	secret := flag.String("master-key-file", "", "file of the secret over that directory")
	flag.Parse()
	if err := start(*dir, *secret); err != nil {
		fmt.Fprintln(os.Stderr, "basicusage:", err)
		os.Exit(1)
	}
}

func start(dir, secretFile string) error {
	path, err := filepath.Abs(dir)
	if err != nil {
		return err
	}
	secret, err := os.ReadFile(secretFile)
	if err != nil {
		return err
	}
	defer clear(secret)
	return run(context.Background(), os.Stdout, path, bytes.TrimSpace(secret))
}

// masterKey is the key of this application, and keyContext what its values belong
// to: they open under the same bytes alone.
const masterKey = "my-master-key"

var keyContext = []byte(`{"service":"file-encryption","tenant":"t1"}`)

func run(ctx context.Context, out io.Writer, dir string, secret []byte) error {
	keys, err := local.OpenDirectory(ctx, local.DirectoryOptions{Path: dir, MasterKey: secret})
	if err != nil {
		return err
	}
	defer keys.Close()
	if err := keys.Health(ctx); err != nil {
		return err
	}

	info, err := keys.CreateKeyWith(ctx, kms.KeySpec{KeyID: masterKey, Description: "of my files", Tags: map[string]string{"team": "files"}})
	if errors.Is(err, kms.AlreadyExists) {
		info, err = keys.DescribeKey(ctx, masterKey)
	}
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "key %s: %s, %s, version %d\n", info.ID, info.State, info.Algorithm, info.Newest().Number)

	note, err := encryptSmall(ctx, out, keys)
	if err != nil {
		return err
	}
	file, err := encryptLarge(ctx, out, keys)
	if err != nil {
		return err
	}
	if err := rotateWhenDue(ctx, out, keys); err != nil {
		return err
	}
	if err := rewrap(ctx, out, keys, note, file); err != nil {
		return err
	}
	return disable(ctx, out, keys, note)
}

// encryptSmall encrypts what fits into a call. The blob is all there is to keep.
func encryptSmall(ctx context.Context, out io.Writer, keys *local.Directory) (blob []byte, err error) {
	w, err := keys.Encrypt(ctx, masterKey, []byte("sensitive data"), keyContext)
	if err != nil {
		return nil, err
	}
	plaintext, err := kms.DecryptBlob(ctx, keys, w.Blob(), keyContext)
	if err != nil {
		return nil, err
	}
	fmt.Fprintf(out, "decrypted: %s\n", plaintext)
	_, err = kms.DecryptBlob(ctx, keys, w.Blob(), []byte(`{"tenant":"t2"}`))
	fmt.Fprintf(out, "under another context: %v\n", kms.KindOf(err))
	return w.Blob(), nil
}

// encryptLarge makes a data key for bytes that never go to the key service, and
// keeps the wrapped data key beside them.
func encryptLarge(ctx context.Context, out io.Writer, keys kms.Backend) (kms.Wrapped, error) {
	key, wrapped, err := keys.GenerateKEK(ctx, masterKey, keyContext)
	if err != nil {
		return kms.Wrapped{}, err
	}
	defer key.Wipe()
	file := bytes.Repeat([]byte("a large file. "), 100_000)
	sealed := cipher.NewBox(key).Seal(nil, file, nil)

	again, err := keys.Unwrap(ctx, wrapped, keyContext)
	if err != nil {
		return kms.Wrapped{}, err
	}
	defer again.Wipe()
	opened, err := cipher.NewBox(again).Open(nil, sealed, nil)
	if err != nil {
		return kms.Wrapped{}, err
	}
	fmt.Fprintf(out, "file of %d bytes came back: %v\n", len(file), bytes.Equal(file, opened))
	return wrapped, nil
}

// rotateWhenDue gives every key a new version that is older than its maximum age.
func rotateWhenDue(ctx context.Context, out io.Writer, keys *local.Directory) error {
	if _, err := keys.SetMaxAge(ctx, masterKey, 90*24*time.Hour); err != nil {
		return err
	}
	page, err := keys.ListKeys(ctx, "", 0)
	if err != nil {
		return err
	}
	afterAQuarter := time.Now().Add(91 * 24 * time.Hour)
	for _, info := range page.Keys {
		if !info.RotationDue(afterAQuarter) {
			continue
		}
		if info, err = keys.RotateKey(ctx, info.ID); err != nil {
			return err
		}
		fmt.Fprintf(out, "rotated %s to version %d\n", info.ID, info.Newest().Number)
	}
	return nil
}

// rewrap brings the data key to the newest version; the file stays as it is. What
// the old version has encrypted can be read in any case.
func rewrap(ctx context.Context, out io.Writer, keys *local.Directory, note []byte, file kms.Wrapped) error {
	for _, result := range kms.RewrapBatch(ctx, keys, []kms.RewrapItem{{Wrapped: file, Context: keyContext}}) {
		if result.Err != nil {
			return result.Err
		}
		fmt.Fprintf(out, "data key: version %d is now version %d\n", file.Version, result.Wrapped.Version)
	}
	_, err := kms.DecryptBlob(ctx, keys, note, keyContext)
	return err
}

// disable shows what a disabled key does: it decrypts, and encrypts no more.
func disable(ctx context.Context, out io.Writer, keys *local.Directory, note []byte) error {
	if _, err := keys.DisableKey(ctx, masterKey); err != nil {
		return err
	}
	if _, err := kms.DecryptBlob(ctx, keys, note, keyContext); err != nil {
		return err
	}
	_, err := keys.Encrypt(ctx, masterKey, []byte("x"), keyContext)
	fmt.Fprintf(out, "disabled: it decrypts, and to encrypt is %q\n", kms.KindOf(err).Error())
	_, err = keys.EnableKey(ctx, masterKey)
	return err
}
