package object

import (
	"crypto/sha256"
	"encoding/binary"
	"maps"
	"math"
	"strings"
	"time"

	"coffer/cipher"
)

// Attributes are what a mount keeps of a file beside its bytes and the time of their modification.
type Attributes struct {
	Mode       uint32 // st_mode: type and permissions
	UID, GID   uint32
	AccessTime time.Time
	ChangeTime time.Time
	BirthTime  time.Time
	Device     uint64
	Extended   map[string][]byte
}

// Node is one thing in a directory: an object, or a directory.
type Node struct {
	Info      ObjectInfo      // of an implicit directory only Bucket, Key and ModTime
	Object    cipher.ObjectID // names the object through renames; another one says that S3 replaced it. Zero: no marker
	Inode     uint64
	Attr      *Attributes // nil: no mount has touched it yet
	Links     uint32      // names of it; 1 unless there are hard links
	Directory bool        // Info.Key ends in "/", or is "", the root of the bucket
	Implicit  bool        // a directory without a marker
	Open      bool        // it has changes that are not committed yet: Info and Attr include them
}

// AttributeChange changes attributes; what is nil stays as it is. The change time becomes now.
type AttributeChange struct {
	Base                    Attributes // what an object without attributes starts from; zero times are the object's own
	Mode, UID, GID          *uint32    // of Mode only the permissions count
	AccessTime, ModTime     *time.Time
	Extended                map[string][]byte  // extended attributes to set; nil removes, KindNoAttribute where there is none
	MustCreate, MustReplace bool               // of those in Extended: KindAttributeExists, KindNoAttribute
	ContentType             *string            // to set
	UserMeta                map[string]*string // user metadata to set; nil removes, KindNoAttribute where there is none
}

// permissionBits are the bits of st_mode that are not its type.
const permissionBits = 0o7777

// apply changes a record. It leaves maps alone that others may share.
func (c *AttributeChange) apply(r *record, now int64) error {
	a := r.Attributes.clone()
	if a == nil {
		a = c.Base.stored(r.ModTime)
	}
	if c.Mode != nil {
		a.Mode = a.Mode&^permissionBits | *c.Mode&permissionBits
	}
	if c.UID != nil {
		a.UID = *c.UID
	}
	if c.GID != nil {
		a.GID = *c.GID
	}
	if c.AccessTime != nil {
		a.AccessTime = nanos(*c.AccessTime)
	}
	if err := c.applyExtended(a); err != nil {
		return err
	}
	if err := c.applyMeta(r); err != nil {
		return err
	}
	if c.ModTime != nil {
		r.ModTime = nanos(*c.ModTime)
	}
	a.ChangeTime = now
	r.Attributes = a
	return nil
}

func (c *AttributeChange) applyExtended(a *attributes) error {
	for name, value := range c.Extended {
		_, there := a.Extended[name]
		switch {
		case there && c.MustCreate:
			return errKind(KindAttributeExists)
		case !there && (c.MustReplace || value == nil):
			return errKind(KindNoAttribute)
		case value == nil:
			delete(a.Extended, name)
			continue
		}
		if a.Extended == nil {
			a.Extended = make(map[string][]byte)
		}
		a.Extended[name] = value
	}
	return nil
}

func (c *AttributeChange) applyMeta(r *record) error {
	if c.ContentType != nil {
		r.Meta.ContentType = *c.ContentType
	}
	if len(c.UserMeta) == 0 {
		return nil
	}
	user := maps.Clone(r.Meta.User)
	if user == nil {
		user = make(map[string]string)
	}
	for name, value := range c.UserMeta {
		_, there := user[name]
		switch {
		case there && c.MustCreate:
			return errKind(KindAttributeExists)
		case !there && (c.MustReplace || value == nil):
			return errKind(KindNoAttribute)
		case value == nil:
			delete(user, name)
		default:
			user[name] = *value
		}
	}
	r.Meta.User = user
	return (&Metadata{User: user}).validate()
}

// stored returns the attributes as records have them; those times that are zero become otherwise.
func (a *Attributes) stored(otherwise int64) *attributes {
	at := func(t time.Time) int64 {
		if t.IsZero() {
			return otherwise
		}
		return nanos(t)
	}
	return &attributes{
		Mode: a.Mode, UID: a.UID, GID: a.GID, AccessTime: at(a.AccessTime), ChangeTime: at(a.ChangeTime), BirthTime: at(a.BirthTime),
		Device: a.Device, Extended: maps.Clone(a.Extended),
	}
}

func (a *attributes) public() *Attributes {
	if a == nil {
		return nil
	}
	return &Attributes{
		Mode: a.Mode, UID: a.UID, GID: a.GID, AccessTime: timeOf(a.AccessTime), ChangeTime: timeOf(a.ChangeTime),
		BirthTime: timeOf(a.BirthTime), Device: a.Device, Extended: maps.Clone(a.Extended),
	}
}

// clone returns a copy that shares nothing which a change could touch; nil of nil.
func (a *attributes) clone() *attributes {
	if a == nil {
		return nil
	}
	c := *a
	c.Extended = maps.Clone(a.Extended)
	return &c
}

// changedAt returns the attributes with another change time; nil of nil.
func (a *attributes) changedAt(now int64) *attributes {
	c := a.clone()
	if c != nil {
		c.ChangeTime = now
	}
	return c
}

func timeOf(ns int64) time.Time { return time.Unix(0, ns).UTC() }

// nanos is the time as records have it. Times before 1677 and after 2262 become the first and the last that fit.
func nanos(t time.Time) int64 {
	switch s := t.Unix(); {
	case s <= math.MinInt64/int64(time.Second):
		return math.MinInt64
	case s >= math.MaxInt64/int64(time.Second):
		return math.MaxInt64
	}
	return t.UnixNano()
}

// isDirectory reports whether a key names a directory: "" is the root of its bucket.
func isDirectory(key string) bool { return key == "" || strings.HasSuffix(key, "/") }

// parentOf is the directory that a key, or another directory, lies in. The root lies in itself.
func parentOf(key string) string {
	return key[:strings.LastIndexByte(strings.TrimSuffix(key, "/"), '/')+1]
}

// implicitInodes is the bit that inode numbers of directories have which none has been handed out for.
const implicitInodes = 1 << 63

// directoryInode is the number of a directory that was never made: always the same one for the same directory.
func directoryInode(bucket cipher.BucketID, dir string) uint64 {
	h := sha256.New()
	h.Write(bucket[:])
	h.Write([]byte(dir))
	return binary.BigEndian.Uint64(h.Sum(nil)) | implicitInodes
}

// fileNode is the node of a key that does not end in "/".
func fileNode(bucket, key string, r *record) *Node {
	return &Node{
		Info: r.info(bucket, key), Object: r.Object, Inode: r.Inode, Attr: r.Attributes.public(), Links: max(r.Links, 1),
	}
}

// directoryNode is the node of a directory, whose marker is nil where it has none. times are zero where no mount has
// changed it.
func directoryNode(bucket string, b *bucketRecord, dir string, marker *record, times *timesRecord) *Node {
	n := &Node{Directory: true, Links: 1}
	switch {
	case dir == "":
		n.Info = ObjectInfo{Bucket: bucket, ModTime: timeOf(b.Created)}
		n.Attr = b.Root.public()
		n.Inode = directoryInode(b.ID, dir)
	case marker == nil:
		n.Info = ObjectInfo{Bucket: bucket, Key: dir, ModTime: timeOf(b.Created)}
		n.Inode = directoryInode(b.ID, dir)
		n.Implicit = true
	default:
		n.Info = marker.info(bucket, dir)
		n.Object, n.Inode, n.Attr = marker.Object, marker.Inode, marker.Attributes.public()
	}
	if times.Format != 0 {
		n.Info.ModTime = timeOf(times.ModTime)
		if changed := timeOf(times.ChangeTime); n.Attr != nil && changed.After(n.Attr.ChangeTime) {
			n.Attr.ChangeTime = changed
		}
	}
	return n
}
