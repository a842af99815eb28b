package vault

import (
	"encoding/hex"
	"fmt"
	"strings"

	"coffer/kms"
)

// escapedPrefix begins the Transit names of key ids that are no Transit names.
const escapedPrefix = "coffer.x."

// nameOf returns the Transit name of a key id that kms.CheckKeyID accepts. No
// two ids have one name.
func nameOf(keyID string) string {
	if isName(keyID) && !strings.HasPrefix(keyID, escapedPrefix) {
		return keyID
	}
	var b strings.Builder
	b.WriteString(escapedPrefix)
	for i := range len(keyID) {
		if c := keyID[i]; isWord(c) {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "-%02x", c)
		}
	}
	return b.String()
}

// idOf is the inverse of nameOf. It refuses names that nameOf does not give.
func idOf(name string) (string, error) {
	id := name
	if escaped, ok := strings.CutPrefix(name, escapedPrefix); ok {
		var b strings.Builder
		for i := 0; i < len(escaped); i++ {
			if escaped[i] != '-' {
				b.WriteByte(escaped[i])
				continue
			}
			c, err := hex.DecodeString(escaped[i+1 : min(i+3, len(escaped))])
			if err != nil || len(c) != 1 {
				return "", fmt.Errorf("%w: not a name that Coffer gives", kms.Unsupported)
			}
			b.WriteByte(c[0])
			i += 2
		}
		id = b.String()
	}
	if kms.CheckKeyID(id) != nil || nameOf(id) != name {
		return "", fmt.Errorf("%w: not a name that Coffer gives", kms.Unsupported)
	}
	return id, nil
}

// isName reports whether Transit accepts s as the name of a key: letters,
// digits, "_", "-" and ".", the first and the last one none of the latter two.
func isName(s string) bool {
	for i := range len(s) {
		if inner := i > 0 && i < len(s)-1; !isWord(s[i]) && (!inner || s[i] != '-' && s[i] != '.') {
			return false
		}
	}
	return s != ""
}

func isWord(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '_'
}
