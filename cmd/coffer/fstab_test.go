package main

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestFstabArgs(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		args []string
		want []string
		done bool
		err  bool
	}{
		{"all buckets", []string{"coffer", "/srv"}, []string{"mount", "--background", "--", "/srv"}, false, false},
		{"a bucket", []string{"photos/2026", "/srv", "-o", "rw,uid=1000,gid=100,umask=077,allow_other"},
			[]string{"mount", "--background", "--mount-uid=1000", "--mount-gid=100", "--mount-umask=077", "--mount-allow-other", "--", "/srv=photos/2026"}, false, false},
		{"what mount(8) adds", []string{"photos", "/srv", "-s", "-v", "-n", "-t", "coffer", "-o", "ro,noauto,_netdev,nofail,x-systemd.automount,nosuid,nodev"},
			[]string{"mount", "--background", "--mount-read-only", "--", "/srv=photos"}, false, false},
		{"places", []string{"coffer", "/srv", "-o", "config_dir=/etc/coffer,data=/var/lib/coffer,no_default_permissions"},
			[]string{"mount", "--background", "--config-dir=/etc/coffer", "--data=/var/lib/coffer", "--mount-default-permissions=false", "--", "/srv"}, false, false},
		{"fake", []string{"coffer", "/srv", "-f"}, []string{"mount", "--background", "--", "/srv"}, true, false},
		{"no directory", []string{"coffer"}, nil, false, true},
		{"an unknown option", []string{"coffer", "/srv", "-o", "foo"}, nil, false, true},
		{"an option without its value", []string{"coffer", "/srv", "-o", "uid"}, nil, false, true},
		{"nothing behind -o", []string{"coffer", "/srv", "-o"}, nil, false, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			got, done, err := fstabArgs(c.args)
			if (err != nil) != c.err {
				t.Fatalf("error %v, want one: %v", err, c.err)
			}
			if c.err {
				return
			}
			if diff := cmp.Diff(c.want, got); diff != "" || done != c.done {
				t.Errorf("done %v, want %v; arguments (-want +got):\n%s", done, c.done, diff)
			}
		})
	}
}

func TestForegroundArgs(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		args []string
		want []string
	}{
		{"coffer mount", []string{"/bin/coffer", "mount", "--background", "/srv"}, []string{"mount", "/srv"}},
		{"a directory of that name", []string{"coffer", "mount", "--", "--background"}, []string{"mount", "--", "--background"}},
		{"mount.coffer", []string{"/sbin/mount.coffer", "coffer", "/srv", "-o", "ro"}, []string{"mount", "--mount-read-only", "--", "/srv"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(c.want, foregroundArgs(c.args)); diff != "" {
				t.Errorf("arguments (-want +got):\n%s", diff)
			}
		})
	}
}
