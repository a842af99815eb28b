package badgerdb_test

import (
	"context"
	"path/filepath"
	"testing"

	"go.uber.org/goleak"

	"coffer/cipher"
	"coffer/metastore"
	"coffer/metastore/badgerdb"
	"coffer/metastore/metastoretest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestConformance(t *testing.T) {
	t.Parallel()
	metastoretest.Run(t, func(t *testing.T) metastoretest.Open {
		o := options(t, filepath.Join(t.TempDir(), "meta"))
		return func(ctx context.Context) (metastore.Driver, error) { return badgerdb.Open(ctx, o) }
	})
}

func options(tb testing.TB, dir string) badgerdb.Options {
	tb.Helper()
	return badgerdb.Options{Dir: dir, EncryptionKey: cipher.NewStoreKey().Derive(cipher.LabelBadger)}
}

func open(tb testing.TB, o badgerdb.Options) *badgerdb.DB {
	tb.Helper()
	db, err := badgerdb.Open(tb.Context(), o)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := db.Close(); err != nil {
			tb.Error(err)
		}
	})
	return db
}
