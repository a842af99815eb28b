package audit

import (
	"bytes"
	"cmp"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"coffer/cipher"
	"coffer/internal/caller"
)

// errLine says that bytes are not a line of the log, whatever their MAC.
var errLine = errors.New("not a line of the log")

// splitLine takes the body and the MAC from a line without its line feed.
func splitLine(raw []byte) (body []byte, mac sum, err error) {
	cut := len(raw) - lineTail
	if cut <= 0 || len(raw) >= maxLine {
		return nil, sum{}, fmt.Errorf("%w: %d bytes", errLine, len(raw))
	}
	body, tail := raw[:cut], raw[cut:]
	rest, begins := bytes.CutPrefix(tail, []byte(macField))
	digits, ends := bytes.CutSuffix(rest, []byte(lineEnd))
	if !begins || !ends || len(digits) != macDigits {
		return nil, sum{}, fmt.Errorf("%w: no MAC at its end", errLine)
	}
	if err := fromHex(mac[:], string(digits)); err != nil {
		return nil, sum{}, fmt.Errorf("%w: its MAC is not hexadecimal", errLine)
	}
	return body, mac, nil
}

// wire has the fields of all types of lines.
type wire struct {
	Seq  uint64 `json:"seq"`
	Time string `json:"time"`
	Type kind   `json:"type"`

	Format uint32 `json:"format"`
	Log    string `json:"log"`
	File   uint64 `json:"file"`
	Prev   string `json:"prev"`
	Last   uint64 `json:"last"`

	Clean    bool   `json:"clean"`
	Tail     uint64 `json:"tail"`
	CutLines uint64 `json:"cutLines"`
	CutBytes uint64 `json:"cutBytes"`

	Op         string            `json:"op"`
	Outcome    string            `json:"outcome"`
	Principal  string            `json:"principal"`
	Source     string            `json:"source"`
	Agent      string            `json:"agent"`
	Request    string            `json:"request"`
	UID        *uint32           `json:"uid"`
	KeyID      string            `json:"keyId"`
	KeyVersion uint32            `json:"keyVersion"`
	Instance   string            `json:"instance"`
	Cached     bool              `json:"cached"`
	Bucket     string            `json:"bucket"`
	Object     string            `json:"object"`
	Pairs      map[string]string `json:"pairs"`
	Clipped    bool              `json:"clipped"`
}

// parseBody reads the body of a line. It accepts exactly what appendBody writes:
// what it read is written again and compared.
func parseBody(body []byte) (line, error) {
	object := append(slices.Clip(slices.Clone(body)), '}')
	d := json.NewDecoder(bytes.NewReader(object))
	d.DisallowUnknownFields()
	var w wire
	if err := d.Decode(&w); err != nil {
		return line{}, fmt.Errorf("%w: %w", errLine, err)
	}
	l, err := w.line()
	if err != nil {
		return line{}, fmt.Errorf("%w: %w", errLine, err)
	}
	if !bytes.Equal(bodyOf(&l), body) {
		return line{}, fmt.Errorf("%w: not in the form that the log writes", errLine)
	}
	return l, nil
}

// line turns the fields into their types. Fields that do not belong to the type
// of the line get lost, which parseBody notices.
func (w *wire) line() (l line, err error) {
	l = line{
		Seq: w.Seq, Kind: w.Type, Format: w.Format, File: w.File, Last: w.Last,
		Clean: w.Clean, Tail: w.Tail, CutLines: w.CutLines, CutBytes: w.CutBytes,
	}
	if l.Time, err = time.Parse(timeForm, w.Time); err != nil {
		return line{}, errors.New("its time is none")
	}
	switch l.Kind {
	case kindBegin:
		return l, errors.Join(fromHex(l.Log[:], w.Log), fromHex(l.Prev[:], w.Prev))
	case kindEvent:
		l.Event, err = w.entry()
		return l, err
	case kindStart, kindPrune, kindStop:
		return l, nil
	default:
		return line{}, errors.New("its type is unknown")
	}
}

func (w *wire) entry() (e Entry, err error) {
	e = Entry{
		Operation: w.Op, Outcome: w.Outcome, Principal: w.Principal, Source: w.Source, UserAgent: w.Agent,
		RequestID: w.Request, UID: w.UID, KeyID: w.KeyID, KeyVersion: w.KeyVersion, Cached: w.Cached,
		Bucket: w.Bucket, Object: w.Object, Clipped: w.Clipped,
	}
	if w.Instance != "" {
		if e.Instance, err = cipher.ParseInstanceID(w.Instance); err != nil {
			return Entry{}, err
		}
	}
	if len(w.Pairs) > caller.MaxPairs {
		return Entry{}, fmt.Errorf("%w: %d", caller.ErrPairs, len(w.Pairs))
	}
	for name, value := range w.Pairs {
		e.Pairs = append(e.Pairs, caller.Pair{Name: name, Value: value})
	}
	slices.SortFunc(e.Pairs, func(a, b caller.Pair) int { return cmp.Compare(a.Name, b.Name) })
	return e, nil
}

// fromHex fills dst from lower-case digits.
func fromHex(dst []byte, digits string) error {
	if len(digits) != 2*len(dst) {
		return fmt.Errorf("%d digits, want %d", len(digits), 2*len(dst))
	}
	if strings.ContainsAny(digits, "ABCDEF") {
		return errors.New("digits in upper case")
	}
	_, err := hex.Decode(dst, []byte(digits))
	return err
}
