package home

import (
	"errors"
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestCheckApart(t *testing.T) {
	t.Parallel()
	cases := []struct {
		name    string
		prepare func(root string) error
		places  func(root string) Places
		inside  string // the key that is reported, "" for none
	}{
		{name: "side by side", places: func(r string) Places { return Places{Config: r + "/c", Data: r + "/d"} }},
		{name: "one name begins with the other", places: func(r string) Places { return Places{Config: r + "/data-keys", Data: r + "/data"} }},
		{name: "the same", places: func(r string) Places { return Places{Config: r + "/d", Data: r + "/d"} }, inside: "/d/store.key"},
		{name: "configuration below data", places: func(r string) Places { return Places{Config: r + "/d/e/c", Data: r + "/d"} }, inside: "/d/e/c/store.key"},
		{name: "data below configuration", places: func(r string) Places { return Places{Config: r + "/c", Data: r + "/c/data"} }},
		{name: "data is the keyring", places: func(r string) Places { return Places{Config: r + "/c", Data: r + "/c/keyring"} }, inside: "/c/keyring"},
		{name: "key file in data", places: func(r string) Places { return Places{Config: r + "/c", Data: r + "/d", UnlockKey: r + "/d/u"} }, inside: "/d/u"},
		{name: "passphrase in data", places: func(r string) Places { return Places{Config: r + "/c", Data: r + "/d", Passphrase: r + "/d/p"} }, inside: "/d/p"},
		{
			name: "configuration is a link into data",
			prepare: func(r string) error {
				return errors.Join(os.MkdirAll(r+"/d/c", 0o700), os.Symlink(r+"/d/c", r+"/c"))
			},
			places: func(r string) Places { return Places{Config: r + "/c", Data: r + "/d"} }, inside: "/c/store.key",
		}, {
			name:    "data is a link above the configuration",
			prepare: func(r string) error { return errors.Join(os.MkdirAll(r+"/x/c", 0o700), os.Symlink(r+"/x", r+"/d")) },
			places:  func(r string) Places { return Places{Config: r + "/x/c", Data: r + "/d"} }, inside: "/x/c/store.key",
		}, {
			name: "the keyring is a link into data",
			prepare: func(r string) error {
				return errors.Join(os.MkdirAll(r+"/d/k", 0o700), os.MkdirAll(r+"/c", 0o700), os.Symlink(r+"/d/k", r+"/c/keyring"))
			},
			places: func(r string) Places { return Places{Config: r + "/c", Data: r + "/d"} }, inside: "/c/keyring",
		},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			root := t.TempDir()
			if tc.prepare != nil {
				if err := tc.prepare(root); err != nil {
					t.Fatal(err)
				}
			}
			err := tc.places(root).CheckApart()
			beside, _ := errors.AsType[*KeysBesideDataError](err)
			switch {
			case tc.inside == "" && err != nil:
				t.Errorf("refused: %v", err)
			case tc.inside != "" && (beside == nil || beside.Key != root+tc.inside):
				t.Errorf("got %v, want %s reported", err, tc.inside)
			}
		})
	}
}

func TestExposed(t *testing.T) {
	t.Parallel()
	o := options(t)
	start(t, o)
	if list := o.Places.Exposed(); len(list) > 0 {
		t.Errorf("after a first start: %v", list)
	}
	if err := errors.Join(os.Chmod(o.Places.UnlockKey, 0o640), os.Chmod(o.Places.Credentials(), 0o604)); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{o.Places.Credentials(), o.Places.UnlockKey}, o.Places.Exposed()); diff != "" {
		t.Errorf("readable by others (-want +got):\n%s", diff)
	}
}
