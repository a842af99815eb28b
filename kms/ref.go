package kms

import "coffer/cipher"

// KeyRef names a MasterKey of a backend instance at its newest version.
type KeyRef struct {
	Instance cipher.InstanceID
	KeyID    string
	Version  uint32 // 0: not known without asking the backend
}
