package fs

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"coffer/object"
)

func TestParseTarget(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		text string
		want Target
		bad  bool
	}{
		{text: "/mnt", want: Target{Dir: "/mnt"}},
		{text: "/mnt=photos", want: Target{Dir: "/mnt", Bucket: "photos"}},
		{text: "/mnt=photos/", want: Target{Dir: "/mnt", Bucket: "photos"}},
		{text: "/mnt=photos/2026", want: Target{Dir: "/mnt", Bucket: "photos", Prefix: "2026/"}},
		{text: "/mnt=photos/2026/a=b/", want: Target{Dir: "/mnt", Bucket: "photos", Prefix: "2026/a=b/"}},
		{text: "relative=photos", want: Target{Dir: "relative", Bucket: "photos"}},
		{text: "", bad: true},
		{text: "=photos", bad: true},
		{text: "/mnt=P", bad: true},
		{text: "/mnt=photos/" + strings.Repeat("x", object.MaxKeyBytes), bad: true},
	} {
		t.Run(c.text, func(t *testing.T) {
			t.Parallel()
			got, err := ParseTarget(c.text)
			if (err != nil) != c.bad {
				t.Fatalf("error %v, want one: %v", err, c.bad)
			}
			if c.bad {
				return
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("target (-want +got):\n%s", diff)
			}
			if again, err := ParseTarget(got.String()); err != nil || again != got {
				t.Errorf("%q reads as %+v, %v", got, again, err)
			}
		})
	}
}

func TestOptionsNameEveryFault(t *testing.T) {
	t.Parallel()
	o := Options{Settings: Settings{Umask: 0o1000, EntryTimeout: -1, MemoryMiB: 1}}
	err := o.validate()
	for _, word := range []string{"store", "directory", "umask", "time-out", "memory"} {
		if err == nil || !strings.Contains(err.Error(), word) {
			t.Errorf("%v does not name the %s", err, word)
		}
	}
}

func TestMounts(t *testing.T) {
	t.Parallel()
	const table = `21 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
40 21 0:45 / /mnt/a\040b rw,nosuid,nodev shared:9 - fuse.coffer coffer rw,user_id=0
garbage
41 21 0:46 / /mnt/c rw - tmpfs
`
	got, err := mounts(strings.NewReader(table))
	if err != nil {
		t.Fatal(err)
	}
	want := []mountInfo{{"8:1", "/", "ext4"}, {"0:45", "/mnt/a b", "fuse.coffer"}, {"0:46", "/mnt/c", "tmpfs"}}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(mountInfo{})); diff != "" {
		t.Errorf("mounts (-want +got):\n%s", diff)
	}
}
