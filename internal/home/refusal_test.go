package home

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"coffer/internal/secret"
	"coffer/kms/storekey"
)

// refusal is a store that must not be opened.
type refusal struct {
	name  string
	setup func(t *testing.T, o *Options)
	want  string // in the error
	is    func(error) bool
}

// dataRefusals are about the data directory.
func dataRefusals() []refusal {
	return []refusal{
		{
			name: "data without store.key",
			setup: func(t *testing.T, o *Options) {
				serve(t, *o)
				remove(t, o.Places.storeKey())
			},
			want: "nothing was made in its place", is: is[*KeyMissingError],
		}, {
			name: "marked data directory without store.key",
			setup: func(t *testing.T, o *Options) {
				start(t, *o)
				remove(t, o.Places.storeKey())
			},
			want: "store.key is missing", is: is[*KeyMissingError],
		}, {
			name: "unmarked data without store.key",
			setup: func(t *testing.T, o *Options) {
				put(t, filepath.Join(o.Places.Data, chunkDir, "00", "chunk"), "x")
			},
			want: "the data directory", is: is[*KeyMissingError],
		}, {
			name: "keyring without store.key",
			setup: func(t *testing.T, o *Options) {
				put(t, filepath.Join(o.Places.keyring(), "keyring"), "x")
			},
			want: "the keyring", is: is[*KeyMissingError],
		}, {
			name: "audit log without store.key",
			setup: func(t *testing.T, o *Options) {
				o.Places.Audit = filepath.Join(filepath.Dir(o.Places.Data), "log")
				put(t, filepath.Join(o.Places.Audit, "state"), "x")
			},
			want: "/log needs it", is: is[*KeyMissingError],
		}, {
			name: "audit log in the data directory",
			setup: func(t *testing.T, o *Options) {
				o.Places.Audit = filepath.Join(o.Places.Data, "audit")
			},
			want: "no name is in the clear", is: is[*AuditInsideDataError],
		}, {
			name: "audit log linked into the data directory",
			setup: func(t *testing.T, o *Options) {
				serve(t, *o)
				o.KeysBesideData = true // which is about keys
				o.Places.Audit = filepath.Join(filepath.Dir(o.Places.Data), "log")
				if err := os.Symlink(filepath.Join(o.Places.Data, metaDir), o.Places.Audit); err != nil {
					t.Fatal(err)
				}
			},
			want: "/log would lie inside", is: is[*AuditInsideDataError],
		}, {
			name: "files of an audit log in an empty data directory",
			setup: func(t *testing.T, o *Options) {
				put(t, filepath.Join(o.Places.Data, "audit", "state"), "x")
			},
			want: "it holds audit", is: is[*ForeignError],
		}, {
			name: "data of another store",
			setup: func(t *testing.T, o *Options) {
				other := options(t)
				serve(t, other)
				serve(t, *o)
				remove(t, o.Places.Data)
				if err := os.Rename(other.Places.Data, o.Places.Data); err != nil {
					t.Fatal(err)
				}
			},
			want: "belongs to store", is: is[*OtherStoreError],
		}, {
			name: "empty data directory",
			setup: func(t *testing.T, o *Options) {
				serve(t, *o)
				remove(t, o.Places.Data)
				if err := os.MkdirAll(filepath.Join(o.Places.Data, "lost+found"), 0o700); err != nil {
					t.Fatal(err)
				}
			},
			want: "is a disk not mounted?", is: is[*DataMissingError],
		}, {
			name: "missing data directory",
			setup: func(t *testing.T, o *Options) {
				serve(t, *o)
				remove(t, o.Places.Data)
			},
			want: "--accept-empty-data", is: is[*DataMissingError],
		}, {
			name: "data that lost its marker",
			setup: func(t *testing.T, o *Options) {
				serve(t, *o)
				remove(t, filepath.Join(o.Places.Data, markerFile))
			},
			want: "names the store", is: is[*UnmarkedError],
		}, {
			name: "marker that is no marker",
			setup: func(t *testing.T, o *Options) {
				put(t, filepath.Join(o.Places.Data, markerFile), "coffer store 2 x\n")
			},
			want: "newer version", is: is[*DamagedError],
		}, {
			name: "somebody's files",
			setup: func(t *testing.T, o *Options) {
				put(t, filepath.Join(o.Places.Data, "holiday.jpg"), "x")
			},
			want: "holiday.jpg", is: is[*ForeignError],
		},
	}
}

// keyRefusals are about keys and secrets.
func keyRefusals() []refusal {
	return []refusal{
		{
			name: "damaged store.key",
			setup: func(t *testing.T, o *Options) {
				serve(t, *o)
				put(t, o.Places.storeKey(), "x")
			},
			want: "restore it from a backup", is: func(err error) bool { return errors.Is(err, storekey.ErrDamaged) },
		}, {
			name: "another key file",
			setup: func(t *testing.T, o *Options) {
				serve(t, *o)
				put(t, o.Places.UnlockKey, string(storekey.NewKeyFile()))
			},
			want: "expected store key fingerprint", is: func(err error) bool { return errors.Is(err, storekey.ErrWrongSecret) },
		}, {
			name: "passphrase that is none",
			setup: func(t *testing.T, o *Options) {
				serve(t, *o)
				o.Unlock.Passphrase = secret.New([]byte("guess"))
			},
			want: "no slot is opened by passphrase", is: func(err error) bool { return errors.Is(err, storekey.ErrWrongSecret) },
		}, {
			name: "no secret at all",
			setup: func(t *testing.T, o *Options) {
				serve(t, *o)
				remove(t, o.Places.UnlockKey)
			},
			want: "unlock.key", is: func(err error) bool { return errors.Is(err, ErrNoSecret) },
		}, {
			name: "damaged credentials",
			setup: func(t *testing.T, o *Options) {
				serve(t, *o)
				put(t, o.Places.Credentials(), "[default]\nhunter2hunter2\n")
			},
			want: CredentialsFile + " is damaged", is: is[*DamagedError],
		}, {
			name: "configuration inside the data",
			setup: func(t *testing.T, o *Options) {
				o.Places.Config = filepath.Join(o.Places.Data, "etc")
			},
			want: "inside the data directory", is: is[*KeysBesideDataError],
		},
	}
}

// TestRefusals: each is told apart, and nothing is changed by it.
func TestRefusals(t *testing.T) {
	t.Parallel()
	for _, tc := range append(dataRefusals(), keyRefusals()...) {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			o := options(t)
			tc.setup(t, &o)
			before := tree(t, o)
			h, err := Open(o)
			if err == nil {
				t.Fatalf("opened: %+v", h)
			}
			if !tc.is(err) || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("error %T %v, want one with %q", err, err, tc.want)
			}
			if strings.Contains(err.Error(), "hunter2") || strings.Contains(err.Error(), "guess") {
				t.Errorf("the error shows a secret: %v", err)
			}
			if diff := cmp.Diff(before, tree(t, o)); diff != "" {
				t.Errorf("a refused start changes files (-before +after):\n%s", diff)
			}
		})
	}
}
