package kms

import "coffer/cipher"

// InstanceID names a backend instance, for rooms that see nothing of cipher.
type InstanceID = cipher.InstanceID

// KeyRef names a MasterKey of a backend instance at its newest version.
type KeyRef struct {
	Instance cipher.InstanceID
	KeyID    string
	Version  uint32 // 0: not known without asking the backend
}
