package object

import (
	"bytes"
	"encoding/binary"
	"fmt"

	"coffer/cipher"
)

// The first byte of every metastore key says what it holds. LAYOUT.md describes each, and the tags kept for versions
// ('v') and rename intents ('r').
const (
	tagStore  = 'm' // facts of the store: name → value
	tagBucket = 'B' // bucket name → bucketRecord
	tagKEK    = 'K' // bucket id, generation → kekRecord
	tagName   = 'n' // bucket id, key → record
	tagData   = 'd' // chunk id → sealed chunk
	tagPage   = 'e' // page id → page
	tagCount  = 'c' // body id → references of a shared body
	tagQueue  = 'q' // kind, id → removal to be carried out
	tagUpload = 'u' // bucket id, escaped key, upload id → uploadRecord
	tagPart   = 'p' // upload id, part number → partRecord
	tagIntent = 'i' // run id, writer id → intentRecord
	tagCensus = 's' // censusCount, dependency → countsRecord; censusTally, run id, number → tallyRecord
	tagJob    = 'j' // bucket id → jobRecord
	tagFloor  = 'f' // backend instance id, MasterKey id → floorRecord
	tagTimes  = 't' // bucket id, directory → timesRecord
	tagShared = 'o' // bucket id, object id → record with several names
	tagLink   = 'l' // bucket id, object id, key → linkRecord
	tagBody   = 'b' // body id → bodyRecord
	tagOwned  = 'x' // body id, chunk id → place: a chunk that an edit gave to a body
)

const (
	censusCount = 'c'
	censusTally = 'd'
)

var (
	keyFormat = []byte("mformat") // → storeRecord
	keyInodes = []byte("minodes") // → first inode number not yet handed out
	keyCensus = []byte("mcensus") // → censusRecord
)

func bucketKey(name string) []byte { return append([]byte{tagBucket}, name...) }

func kekKey(bucket cipher.BucketID, generation uint32) []byte {
	return binary.BigEndian.AppendUint32(kekPrefix(bucket), generation)
}

// parseKEKKey is the inverse of kekKey.
func parseKEKKey(metaKey []byte) (kekID, error) {
	if len(metaKey) != 1+cipher.IDSize+4 {
		return kekID{}, errKindf(KindCorrupt, "KEK key of %d bytes", len(metaKey))
	}
	return kekID{bucketOf(metaKey), binary.BigEndian.Uint32(metaKey[1+cipher.IDSize:])}, nil
}

// bucketOf is the bucket id in the keys of KEKs, names, uploads and jobs.
func bucketOf(metaKey []byte) cipher.BucketID { return cipher.BucketID(metaKey[1 : 1+cipher.IDSize]) }

func kekPrefix(bucket cipher.BucketID) []byte { return append([]byte{tagKEK}, bucket[:]...) }

func nameKey(bucket cipher.BucketID, key string) []byte { return keyIn(tagName, bucket, key) }

// timesKey is the key of a directory's times; "" is the root of the bucket.
func timesKey(bucket cipher.BucketID, dir string) []byte { return keyIn(tagTimes, bucket, dir) }

func sharedKey(bucket cipher.BucketID, object cipher.ObjectID) []byte {
	return append(keyIn(tagShared, bucket, ""), object[:]...)
}

// linkKey is there where key is one of several names of an object.
func linkKey(bucket cipher.BucketID, object cipher.ObjectID, key string) []byte {
	k := append(keyIn(tagLink, bucket, ""), object[:]...)
	return append(k, key...)
}

func keyIn(tag byte, bucket cipher.BucketID, key string) []byte {
	k := make([]byte, 0, 1+len(bucket)+len(key))
	k = append(k, tag)
	k = append(k, bucket[:]...)
	return append(k, key...)
}

// nameOf is the inverse of nameKey: the S3 key within its bucket.
func nameOf(metaKey []byte) string { return string(metaKey[1+len(cipher.BucketID{}):]) }

func dataKey(id cipher.ChunkID) []byte    { return append([]byte{tagData}, id[:]...) }
func pageKey(id cipher.PageID) []byte     { return append([]byte{tagPage}, id[:]...) }
func bodyKey(id cipher.BodyID) []byte     { return append([]byte{tagBody}, id[:]...) }
func ownedPrefix(b cipher.BodyID) []byte  { return append([]byte{tagOwned}, b[:]...) }
func countKey(id cipher.BodyID) []byte    { return append([]byte{tagCount}, id[:]...) }
func partPrefix(u cipher.UploadID) []byte { return append([]byte{tagPart}, u[:]...) }

func partKey(u cipher.UploadID, number int) []byte {
	return binary.BigEndian.AppendUint16(partPrefix(u), uint16(number))
}

// partNumber is the part number in a partKey.
func partNumber(metaKey []byte) (int, error) {
	if len(metaKey) != 1+cipher.IDSize+2 {
		return 0, errKindf(KindCorrupt, "part key of %d bytes", len(metaKey))
	}
	return int(binary.BigEndian.Uint16(metaKey[1+cipher.IDSize:])), nil
}

func ownedKey(b cipher.BodyID, id cipher.ChunkID) []byte { return append(ownedPrefix(b), id[:]...) }

// Kinds of entries in the removal queue; the id behind them is that of a record's object, a part's body, an upload or a bucket.
const (
	queueBody   = 'b'
	queueUpload = 'u'
	queueKEKs   = 'k'
)

func queueKey(kind byte, id [16]byte) []byte {
	return append([]byte{tagQueue, kind}, id[:]...)
}

func censusKey(d dependency) []byte { return append([]byte{tagCensus, censusCount}, d.bytes()...) }

func tallyKey(run cipher.RunID, number uint32) []byte {
	k := append([]byte{tagCensus, censusTally}, run[:]...)
	return binary.BigEndian.AppendUint32(k, number)
}

// parseFloorKey is the inverse of floorKey.
func parseFloorKey(metaKey []byte) (m masterKey, err error) {
	if len(metaKey) <= 1+len(m.instance) {
		return m, errKindf(KindCorrupt, "floor key of %d bytes", len(metaKey))
	}
	copy(m.instance[:], metaKey[1:])
	m.keyID = string(metaKey[1+len(m.instance):])
	return m, nil
}

func jobKeyOf(bucket cipher.BucketID) []byte { return append([]byte{tagJob}, bucket[:]...) }

func floorKey(m masterKey) []byte {
	k := append([]byte{tagFloor}, m.instance[:]...)
	return append(k, m.keyID...)
}

func intentKey(run cipher.RunID, writer cipher.WriterID) []byte {
	k := append([]byte{tagIntent}, run[:]...)
	return append(k, writer[:]...)
}

// Keys of uploads hold the S3 key in the middle, so it is escaped to keep the order of its bytes and to end where it
// ends: 00 becomes 00 FF, and 00 01 ends it.
const (
	escapeByte    = 0x00
	escapedZero   = 0xff
	escapedEnding = 0x01
)

func uploadKey(bucket cipher.BucketID, key string, id cipher.UploadID) []byte {
	k := uploadKeyPrefix(bucket, key)
	k = append(k, escapeByte, escapedEnding)
	return append(k, id[:]...)
}

// uploadKeyPrefix begins the keys of all uploads whose S3 key begins with prefix.
func uploadKeyPrefix(bucket cipher.BucketID, prefix string) []byte {
	k := append([]byte{tagUpload}, bucket[:]...)
	for i := range len(prefix) {
		k = append(k, prefix[i])
		if prefix[i] == escapeByte {
			k = append(k, escapedZero)
		}
	}
	return k
}

// parseUploadKey is the inverse of uploadKey.
func parseUploadKey(metaKey []byte) (string, cipher.UploadID, error) {
	rest := metaKey[1+len(cipher.BucketID{}):]
	var key []byte
	for {
		i := bytes.IndexByte(rest, escapeByte)
		if i < 0 || i+1 >= len(rest) {
			return "", cipher.UploadID{}, fmt.Errorf("upload key of %d bytes has no ending", len(metaKey))
		}
		key = append(key, rest[:i]...)
		ending := rest[i+1] == escapedEnding
		rest = rest[i+2:]
		if ending {
			break
		}
		key = append(key, escapeByte)
	}
	var id cipher.UploadID
	if len(rest) != len(id) {
		return "", id, fmt.Errorf("upload key ends in %d bytes, not an id", len(rest))
	}
	copy(id[:], rest)
	return string(key), id, nil
}
