// Package fs mounts the buckets of a store as directories, with go-fuse.
//
// # Duty
//
// A Mount answers the kernel: what a name in a directory stands for, what a file's attributes are, its bytes at any
// offset. A node of the kernel is a key of a bucket and an inode number, a handle an object.File; what a call means for
// keys and records is the engine's affair, so most handlers find the key, call the engine once, and turn what it says
// into the kernel's terms. What lives here and nowhere else:
//
//   - aliases (alias.go): a name for every key, also for those that are no paths. docs/mount.md lists them.
//   - numbers of errors (errno.go), default attributes (attr.go), extended attributes (xattr.go).
//   - what the kernel may keep, and for how long (lookup.go, counters.go), and how it is told of changes (notify.go).
//   - the table of nodes (tree.go), and its bound (trim.go).
//   - mounting and unmounting, and what a killed server has left (mount.go, mounts.go). A Table holds several mounts.
//
// # What it does not do
//
// It knows no records, chunks and keys of encryption, decides nothing about them, and never sees S3. It checks no
// permissions: the kernel does (default_permissions), by the attributes that it is told. It keeps no locks: the kernel's
// own are right for the processes of one machine. It caches no bytes besides what the kernel keeps.
//
// # The kernel's caches
//
// The kernel keeps entries, attributes and pages for Settings.EntryTimeout, which is a backstop: whatever changes beside
// the mount is notified at once. A change first moves the counter of its directory, then reaches the kernel; a handler
// reads the counter before and after it asks the engine, and if it moved, the answer is valid for no time. An answer that
// was on its way while the notification overtook it is caught by sending the notification again after 50 ms. If changes
// are lost (object.Overflow), everything that the kernel keeps is taken back. The kernel's write-back cache stays off: a
// write has reached the engine when it returns. Pages stay from one opening to the next while time and size of the
// file are those of the last.
//
// What S3 puts over a file is a new file with a new inode. Who has the old one open keeps it whole; a removed file that
// the kernel still knows stays open until the kernel forgets it, so that a path that was just walked can be opened.
//
// # Why the raw protocol
//
// Handlers implement fuse.RawFileSystem and not the nodes of go-fuse's package fs. That package moves its own tree only
// after a handler has returned, so a key that is put together from it is wrong for a moment after a rename; here, tree and
// engine change under one lock that who finds nothing waits for. And it hides flags that this package needs: whether a
// write comes from a memory map (its offset counts, even in a file open for appending), whether the writer may keep
// set-user-id, and for how long the kernel may believe that a name is absent.
//
// # Concurrency and ownership
//
// Handlers run concurrently, one for each request. Lock order: tree.renaming, then dirStream.mu, then tree.mu or
// handles.mu, under which nothing is called. No handler sends a notification or waits for one. A Mount owns its
// goroutines: the server's, two of the notifier and the trimmer; Unmount or Wait ends them. An interrupted caller does not
// undo what the engine has begun; the engine bounds how long that takes.
package fs
