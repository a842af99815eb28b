package fs

import (
	"slices"
	"strings"
	"syscall"

	"github.com/hanwen/go-fuse/v2/fuse"
	"golang.org/x/sys/unix"

	"coffer/object"
)

// Names of extended attributes that show the side of S3. Those that can only be read are not listed: programs that
// copy what is listed would fail to write them.
const (
	xattrUser        = "user."
	xattrS3          = "user.s3."
	xattrContentType = "user.s3.content-type"
	xattrMeta        = "user.s3.meta."
)

// readOnly are the attributes of S3 that can only be read, by their names.
func readOnly(n *object.Node, name string) (value string, is bool) {
	switch name {
	case "user.s3.etag":
		return n.Info.ETag, true
	case "user.s3.version-id":
		return n.Info.VersionID, true
	case "user.s3.sse":
		return encryptionName(n.Info.Encryption.Mode), true
	case "user.s3.kms-key-id":
		return n.Info.Encryption.KeyID, true
	case "user.s3.storage-class":
		if n.Info.Meta.StorageClass == "" {
			return "STANDARD", true
		}
		return n.Info.Meta.StorageClass, true
	default:
		return "", false
	}
}

// encryptionName is the header value of S3 for a mode. SSE-C, whose header has the same value as that of SSE-S3, is
// told apart.
func encryptionName(mode object.Mode) string {
	switch mode {
	case object.ModeSSES3:
		return "AES256"
	case object.ModeSSEKMS:
		return "aws:kms"
	case object.ModeSSEC:
		return "customer"
	default:
		return ""
	}
}

// xattr is the value of an extended attribute of a node; ENODATA where it has none.
func xattr(n *object.Node, name string) ([]byte, error) {
	if meta, ok := strings.CutPrefix(name, xattrMeta); ok {
		if value, ok := n.Info.Meta.User[meta]; ok {
			return []byte(value), nil
		}
		return nil, syscall.ENODATA
	}
	value, ok := readOnly(n, name)
	switch {
	case name == xattrContentType:
		value = n.Info.Meta.ContentType
	case ok:
	case strings.HasPrefix(name, xattrS3):
	case n.Attr != nil:
		if value, ok := n.Attr.Extended[name]; ok {
			return value, nil
		}
	}
	if value == "" || n.Implicit {
		return nil, syscall.ENODATA
	}
	return []byte(value), nil
}

// xattrNames are the extended attributes that a node is listed with.
func xattrNames(n *object.Node) []string {
	var names []string
	if n.Info.Meta.ContentType != "" && !n.Directory {
		names = append(names, xattrContentType)
	}
	for name := range n.Info.Meta.User {
		names = append(names, xattrMeta+name)
	}
	if n.Attr != nil {
		for name := range n.Attr.Extended {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// described is the node of an id.
func (f *filesystem) described(id uint64) (*node, object.Node, error) {
	n := f.tree.get(id)
	switch {
	case n == nil:
		return nil, object.Node{}, errStale
	case f.isRoot(n):
		return nil, object.Node{}, syscall.ENODATA
	}
	what, _, err := f.stat(n, 0)
	return n, what, err
}

// GetXAttr implements getxattr(2).
func (f *filesystem) GetXAttr(_ <-chan struct{}, in *fuse.InHeader, name string, dest []byte) (uint32, fuse.Status) {
	if !strings.HasPrefix(name, xattrUser) {
		return 0, fuse.ENODATA
	}
	_, what, err := f.described(in.NodeId)
	if err != nil {
		return 0, f.status(err)
	}
	value, err := xattr(&what, name)
	if err != nil {
		return 0, f.status(err)
	}
	return fit(dest, value)
}

// ListXAttr implements listxattr(2).
func (f *filesystem) ListXAttr(_ <-chan struct{}, in *fuse.InHeader, dest []byte) (uint32, fuse.Status) {
	n, what, err := f.described(in.NodeId)
	if n == nil && err == error(syscall.ENODATA) {
		return 0, fuse.OK
	}
	if err != nil {
		return 0, f.status(err)
	}
	var list []byte
	for _, name := range xattrNames(&what) {
		list = append(append(list, name...), 0)
	}
	return fit(dest, list)
}

// fit copies a value where it fits, and tells its size.
func fit(dest, value []byte) (uint32, fuse.Status) {
	if len(dest) < len(value) {
		return uint32(len(value)), fuse.ERANGE
	}
	return uint32(copy(dest, value)), fuse.OK
}

// SetXAttr implements setxattr(2).
func (f *filesystem) SetXAttr(_ <-chan struct{}, in *fuse.SetXAttrIn, name string, data []byte) fuse.Status {
	c := object.AttributeChange{MustCreate: in.Flags&unix.XATTR_CREATE != 0, MustReplace: in.Flags&unix.XATTR_REPLACE != 0}
	return f.changeXAttr(in.NodeId, name, append([]byte{}, data...), c)
}

// RemoveXAttr implements removexattr(2).
func (f *filesystem) RemoveXAttr(_ <-chan struct{}, in *fuse.InHeader, name string) fuse.Status {
	return f.changeXAttr(in.NodeId, name, nil, object.AttributeChange{})
}

// changeXAttr sets an extended attribute, or removes it when data is nil.
func (f *filesystem) changeXAttr(id uint64, name string, data []byte, c object.AttributeChange) fuse.Status {
	n, what, err := f.described(id)
	if err != nil {
		if n == nil && err == error(syscall.ENODATA) {
			err = syscall.EPERM // the directory of all buckets
		}
		return f.status(err)
	}
	if err := changeOfXAttr(&what, name, data, &c); err != nil {
		return f.status(err)
	}
	_, err = f.setAttributes(n, f.openOf(n, 0), c)
	return f.status(err)
}

// changeOfXAttr says what is to be changed.
func changeOfXAttr(n *object.Node, name string, data []byte, c *object.AttributeChange) error {
	text := string(data)
	meta, isMeta := strings.CutPrefix(name, xattrMeta)
	_, isReadOnly := readOnly(n, name)
	switch {
	case !strings.HasPrefix(name, xattrUser):
		return syscall.EOPNOTSUPP
	case isReadOnly:
		return syscall.EPERM
	case name == xattrContentType:
		return changeOfContentType(n, text, data == nil, c)
	case isMeta:
		if !validMetaName(meta) || data != nil && !validHeader(text) {
			return syscall.EINVAL
		}
		c.UserMeta = map[string]*string{meta: &text}
		if data == nil {
			c.UserMeta[meta] = nil
		}
	case strings.HasPrefix(name, xattrS3):
		return syscall.EOPNOTSUPP
	default:
		c.Extended = map[string][]byte{name: data}
	}
	return nil
}

func changeOfContentType(n *object.Node, text string, remove bool, c *object.AttributeChange) error {
	has := n.Info.Meta.ContentType != ""
	switch {
	case has && c.MustCreate:
		return syscall.EEXIST
	case !has && (c.MustReplace || remove):
		return syscall.ENODATA
	case !validHeader(text):
		return syscall.EINVAL
	}
	c.MustCreate, c.MustReplace = false, false
	c.ContentType = &text
	return nil
}

// validMetaName reports whether a name can stand in the header of S3, in the lower case that S3 keeps.
func validMetaName(name string) bool {
	for i := range len(name) {
		c := name[i]
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && !strings.ContainsRune("!#$%&'*+-.^_`|~", rune(c)) {
			return false
		}
	}
	return name != ""
}

// validHeader reports whether a text can be the value of a header.
func validHeader(text string) bool {
	for i := range len(text) {
		if c := text[i]; c < ' ' && c != '\t' || c == 0x7f {
			return false
		}
	}
	return strings.TrimSpace(text) == text
}
