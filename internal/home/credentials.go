package home

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"coffer/internal/disk"
	"coffer/internal/secret"
)

// Credentials are the root identity's access key and secret key.
type Credentials struct {
	User     string
	Password secret.Value
}

// IsZero reports whether nothing is given.
func (c Credentials) IsZero() bool { return c.User == "" && c.Password.IsZero() }

// CredentialsFrom says where the root credentials of a start came from.
type CredentialsFrom uint8

// The ways to root credentials.
const (
	CredentialsGiven CredentialsFrom = iota // with the configuration
	CredentialsKept                         // read from the file of an earlier start
	CredentialsMade                         // made now, and kept in the file
)

const (
	credentialsProfile = "[default]"
	userKey            = "aws_access_key_id"
	passwordKey        = "aws_secret_access_key"
	maxCredentialsSize = 4096
	passwordBytes      = 30 // 40 characters of base64
)

// credentials gives the root credentials: those that were given, or those in
// the file, which is made where it is missing.
func credentials(config disk.FS, given Credentials) (Credentials, CredentialsFrom, error) {
	if !given.IsZero() {
		return given, CredentialsGiven, nil
	}
	c, err := readCredentials(config)
	if !errors.Is(err, fs.ErrNotExist) {
		return c, CredentialsKept, err
	}
	c = newCredentials()
	text := c.file()
	defer clear(text)
	return c, CredentialsMade, disk.WriteFileAtomic(config, ".", CredentialsFile, text)
}

// ReadCredentials gives a client of the server the root credentials: those that
// were given, or those in the file. It makes none: where the file is missing the
// error is fs.ErrNotExist.
func ReadCredentials(p Places, given Credentials) (Credentials, error) {
	if !given.IsZero() {
		return given, nil
	}
	return readCredentials(disk.NewOS(p.Config))
}

func readCredentials(config disk.FS) (Credentials, error) {
	text, err := disk.ReadFile(config, CredentialsFile, maxCredentialsSize)
	if err != nil {
		return Credentials{}, err
	}
	defer clear(text)
	return parseCredentials(text)
}

func newCredentials() Credentials {
	raw := make([]byte, passwordBytes)
	defer clear(raw)
	rand.Read(raw) // never fails
	text := make([]byte, base64.RawURLEncoding.EncodedLen(len(raw)))
	defer clear(text)
	base64.RawURLEncoding.Encode(text, raw)
	return Credentials{User: "CF" + rand.Text()[:18], Password: secret.New(text)}
}

// file gives the text of the credentials file.
func (c Credentials) file() []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "# Root credentials of this store, made by coffer. AWS clients read this file:\n# AWS_SHARED_CREDENTIALS_FILE=<this file>\n%s\n%s = %s\n%s = ",
		credentialsProfile, userKey, c.User, passwordKey)
	b.Write(c.Password.Expose())
	b.WriteByte('\n')
	return b.Bytes()
}

// parseCredentials reads the text of the credentials file. Its errors quote
// nothing of it.
func parseCredentials(text []byte) (Credentials, error) {
	values := map[string]string{}
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' || line == credentialsProfile {
			continue
		}
		name, value, _ := strings.Cut(line, "=")
		name, value = strings.TrimSpace(name), strings.TrimSpace(value)
		if name != userKey && name != passwordKey || value == "" {
			return Credentials{}, &DamagedError{File: CredentialsFile, Reason: "a line is neither " + userKey + " nor " + passwordKey + " with a value"}
		}
		values[name] = value
	}
	if len(values) != 2 {
		return Credentials{}, &DamagedError{File: CredentialsFile, Reason: userKey + " or " + passwordKey + " is missing"}
	}
	return Credentials{User: values[userKey], Password: secret.New([]byte(values[passwordKey]))}, nil
}
