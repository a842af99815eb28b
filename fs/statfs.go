package fs

import "github.com/hanwen/go-fuse/v2/fuse"

// statBlock is the unit of what statfs(2) says, in bytes.
const statBlock = 4096

// maxFiles is what statfs(2) says of how many files there can be: nothing but the disk bounds them.
const maxFiles = 1 << 32

// StatFs implements statfs(2), by the disk that the sealed bytes lie on.
func (f *filesystem) StatFs(_ <-chan struct{}, _ *fuse.InHeader, out *fuse.StatfsOut) fuse.Status {
	free, total, err := f.store.Space(f.base)
	if err != nil {
		return f.status(err)
	}
	*out = fuse.StatfsOut{
		Blocks: total / statBlock, Bfree: free / statBlock, Bavail: free / statBlock,
		Files: maxFiles, Ffree: maxFiles, Bsize: statBlock, Frsize: statBlock, NameLen: maxName,
	}
	return fuse.OK
}
