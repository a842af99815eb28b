package arch

// graph lists every package of the module and the packages of the module that
// its code may import. Imports go down only; a package that is not listed has no
// place in the house. "*" stands for every package that is not a test helper.
// Tests, and what lies below test/, may import what they need.
const graph = `
cmd/coffer               *
internal/config          internal/home internal/secret internal/disk object s3api s3api/admin fs
                         kms kms/audit kms/local kms/storekey kms/vault kms/static chunk/localdisk metastore/badgerdb
internal/home            internal/secret internal/disk chunk/localdisk metastore/badgerdb kms/local kms/storekey cipher
internal/secret
internal/metrics         s3api s3api/s3err object chunk kms kms/audit kms/manager kms/vault cipher
internal/metrics/metricstest
internal/keystate        metastore kms kms/vault cipher
internal/adminclient     internal/caller internal/secret
internal/arch
internal/caller

s3api                    object object/checksum internal/caller s3api/admin s3api/sigv4 s3api/awschunk s3api/s3xml s3api/s3err
s3api/admin              object kms kms/manager kms/audit cipher internal/secret
s3api/sigv4              s3api/s3err
s3api/awschunk           s3api/s3err
s3api/s3xml              s3api/s3err
s3api/s3err

fs                       object internal/caller
internal/control         fs

object                   object/checksum chunk metastore kms cipher internal/strictcbor
object/checksum
object/objecttest        object chunk chunk/localdisk chunk/memchunk metastore metastore/badgerdb metastore/memdb
                         kms kms/local kms/kmstest cipher internal/disk internal/disk/disktest

chunk                    cipher internal/disk
chunk/localdisk          chunk cipher internal/disk
chunk/memchunk           chunk cipher internal/disk
chunk/chunktest          chunk cipher internal/disk

metastore                cipher
metastore/badgerdb       metastore cipher internal/disk
metastore/memdb          metastore cipher
metastore/metastoretest  metastore cipher

kms                      cipher
kms/local                kms cipher internal/disk internal/strictcbor
kms/storekey             cipher internal/disk internal/strictcbor
kms/vault                kms cipher internal/secret
kms/vault/vaulttest
kms/audit                kms cipher internal/disk internal/caller
kms/static               kms cipher
kms/base                 kms cipher
kms/manager              kms cipher internal/disk internal/secret
kms/kmstest              kms cipher internal/disk

cipher
internal/strictcbor
internal/disk
internal/disk/disktest   internal/disk

examples/backend         kms kms/base cipher
examples/basicusage      kms kms/local cipher
examples/adminapi

bench
bench/s3load             bench
bench/files              bench
bench/record             bench bench/files test/e2e/daemon
test/e2e/daemon
`

// confined lists imports from outside the module that have one place, in tests
// too. What lies below an import counts as the import.
const confined = `
crypto/aes                   cipher
crypto/cipher                cipher
github.com/dgraph-io/badger  metastore/badgerdb
github.com/valyala/fasthttp  s3api s3api/admin bench
github.com/prometheus        internal/metrics internal/metrics/metricstest
github.com/hashicorp/vault   kms/vault kms/vault/vaulttest
github.com/hanwen/go-fuse    fs
`

// apart lists what the code of a room, that is, a package and those below it,
// never sees. "outside" is everything that is not in the standard library.
const apart = `
cipher     outside net/http encoding/xml
chunk      net/http encoding/xml
metastore  net/http encoding/xml
object     net/http encoding/xml
fs         net/http encoding/xml
`

// environment is the package that may read the environment.
const environment = "internal/config"
