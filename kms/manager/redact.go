package manager

import (
	"errors"
	"net/url"
	"strings"

	"coffer/kms"
)

// withoutUser returns an address without what may stand before its host.
func withoutUser(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return ""
	}
	u.User, u.RawQuery, u.Fragment = nil, "", ""
	return u.String()
}

// errWithheld stands for an error whose text repeats a secret.
var errWithheld = errors.New("the cause is withheld, because its text repeats a secret of the configuration")

// safe returns err, or, where its text repeats a secret of c, an error of the
// same kind without the text.
func (c Config) safe(op string, err error) error {
	if err == nil {
		return nil
	}
	text := err.Error()
	for _, s := range c.secrets() {
		if len(s) > 0 && strings.Contains(text, string(s)) {
			return &kms.Error{Op: op, Kind: kms.KindOf(err), Err: errWithheld}
		}
	}
	if u, parseErr := url.Parse(c.Vault.Address); parseErr == nil && u.User != nil {
		if password, _ := u.User.Password(); password != "" && strings.Contains(text, password) {
			return &kms.Error{Op: op, Kind: kms.KindOf(err), Err: errWithheld}
		}
	}
	return kms.NewError(op, "", err)
}
