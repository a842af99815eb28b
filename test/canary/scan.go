package canary

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"unicode/utf16"
)

// Finding is a place where a string lies in the clear, or encoded.
type Finding struct {
	File     string
	Offset   int
	Needle   string
	Encoding string
}

// Scan searches the contents and the names of all files below root for the needles: as they are, as hex in either case,
// as base64 wherever in its groups they begin, both escaped for a URL, as lists of decimal numbers, and as UTF-16 of either
// byte order. Needles are of 12 bytes or more.
func Scan(root string, needles []string) ([]Finding, error) {
	var found []Finding
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		found = append(found, search(path, []byte(path), needles)...)
		if !entry.Type().IsRegular() {
			return nil // a socket has no content
		}
		content, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		found = append(found, search(path, content, needles)...)
		return nil
	})
	return found, err
}

func search(file string, content []byte, needles []string) []Finding {
	var found []Finding
	for _, needle := range needles {
		for encoding, form := range forms(needle) {
			if i := bytes.Index(content, form); i >= 0 {
				found = append(found, Finding{File: file, Offset: i, Needle: needle, Encoding: encoding})
			}
		}
	}
	return found
}

// forms returns what a string looks like in the encodings that Scan knows.
func forms(needle string) map[string][]byte {
	lower := hex.EncodeToString([]byte(needle))
	out := map[string][]byte{
		"plain": []byte(needle), "hex": []byte(lower), "HEX": []byte(strings.ToUpper(lower)),
		"UTF-16LE": wide(needle, 0), "UTF-16BE": wide(needle, 1),
		"escaped": []byte(url.QueryEscape(needle)), "path, escaped": []byte(url.PathEscape(needle)),
		"numbers":       []byte(strings.Trim(fmt.Sprint([]byte(needle)), "[]")), // as fmt prints bytes
		"JSON, numbers": []byte(strings.ReplaceAll(strings.Trim(fmt.Sprint([]byte(needle)), "[]"), " ", ",")),
		"Go, quoted":    []byte(strings.Trim(strconv.Quote(needle), `"`)),
	}
	for shift, name := range []string{"base64", "base64, second byte", "base64, third byte"} {
		// The characters at both ends depend on what is beside the needle.
		coded := base64.RawStdEncoding.EncodeToString(append(make([]byte, shift), needle...))
		from, to := (shift*8+5)/6, (shift+len(needle))*8/6
		out[name] = []byte(coded[from:to])
		out[name+", escaped"] = []byte(url.QueryEscape(coded[from:to]))
		out[name+", URL form"] = []byte(strings.NewReplacer("+", "-", "/", "_").Replace(coded[from:to]))
	}
	return out
}

// wide encodes as UTF-16; low is the place of the low byte in each unit: 0 for little-endian, 1 for big-endian.
func wide(s string, low int) []byte {
	var out []byte
	for _, unit := range utf16.Encode([]rune(s)) {
		pair := [2]byte{byte(unit), byte(unit >> 8)}
		if low == 1 {
			pair[0], pair[1] = pair[1], pair[0]
		}
		out = append(out, pair[:]...)
	}
	return out
}
