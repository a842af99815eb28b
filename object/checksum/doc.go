// Package checksum has the additional checksums of S3: CRC32, CRC32C, CRC64NVME, SHA1 and SHA256, and the rule by
// which the CRC of a whole follows from the CRCs of its parts.
//
// Pure functions, safe for concurrent use.
package checksum
