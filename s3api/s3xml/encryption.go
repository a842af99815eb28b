package s3xml

import (
	"io"
	"slices"
)

// ReadServerSideEncryptionConfiguration reads the body of PutBucketEncryption: one
// rule, which says something.
func ReadServerSideEncryptionConfiguration(r io.Reader) (*ServerSideEncryptionConfiguration, error) {
	d := &ServerSideEncryptionConfiguration{}
	return readRequired(r, maxConfigBytes, "ServerSideEncryptionConfiguration", d, d.read)
}

func (d *ServerSideEncryptionConfiguration) read(s *scanner) error {
	rules := 0
	err := s.children(func(name string) error {
		if rules++; name != "Rule" || rules > 1 {
			return s.malformed("unexpected element %s", name)
		}
		return d.Rule.read(s)
	})
	if err == nil && rules == 0 {
		return s.malformed("no Rule")
	}
	return err
}

func (r *EncryptionRule) read(s *scanner) error {
	seen := map[string]bool{}
	err := s.children(func(name string) (err error) {
		if seen[name] {
			return s.malformed("second element %s", name)
		}
		seen[name] = true
		switch name {
		case "ApplyServerSideEncryptionByDefault":
			return r.readDefault(s)
		case "BucketKeyEnabled":
			r.BucketKeyEnabled, err = s.flag()
			return err
		case "BlockedEncryptionTypes":
			return r.readBlocked(s)
		}
		return s.malformed("unexpected element %s", name)
	})
	if err == nil && len(seen) == 0 {
		return s.malformed("empty Rule")
	}
	return err
}

func (r *EncryptionRule) readDefault(s *scanner) error {
	err := s.fields(func(name string) *string {
		switch name {
		case "SSEAlgorithm":
			return &r.SSEAlgorithm
		case "KMSMasterKeyID":
			return &r.KMSMasterKeyID
		}
		return nil
	})
	if err == nil && !slices.Contains([]string{"AES256", "aws:kms", "aws:kms:dsse"}, r.SSEAlgorithm) {
		return s.malformed("no SSEAlgorithm, or an unknown one")
	}
	return err
}

func (r *EncryptionRule) readBlocked(s *scanner) error {
	return s.children(func(name string) error {
		if name != "EncryptionType" {
			return s.malformed("unexpected element %s", name)
		}
		text, err := s.leaf()
		if err == nil && (text != "SSE-C" && text != "NONE" || len(r.BlockedEncryptionTypes) > 0) {
			return s.malformed("unknown EncryptionType, or a second one")
		}
		r.BlockedEncryptionTypes = append(r.BlockedEncryptionTypes, text)
		return err
	})
}
