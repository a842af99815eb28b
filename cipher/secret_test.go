package cipher

import (
	"bytes"
	"encoding/base64"
	"encoding/gob"
	"encoding/hex"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
)

// testKeyBytes are 32 bytes whose every form is easy to search for.
func testKeyBytes() []byte {
	b := make([]byte, KeySize)
	for i := range b {
		b[i] = byte(0xC1 + i)
	}
	return b
}

func must[T any](tb testing.TB) func(T, error) T {
	tb.Helper()
	return func(v T, err error) T {
		tb.Helper()
		if err != nil {
			tb.Fatal(err)
		}
		return v
	}
}

// leaks returns the form in which the beginning of secret stands in text, or nothing.
func leaks(text string, secret []byte) string {
	head := secret[:6]
	decimal := strings.Trim(fmt.Sprint(head), "[]")
	forms := map[string]string{
		"raw":           string(head),
		"hex":           hex.EncodeToString(head),
		"decimal":       decimal,
		"decimal list":  strings.ReplaceAll(decimal, " ", ","),
		"Go syntax":     strings.Trim(fmt.Sprintf("%#v", head), "[]byte{}"),
		"quoted":        strings.Trim(fmt.Sprintf("%q", head), `"`),
		"spaced hex":    fmt.Sprintf("% x", head),
		"base64":        base64.RawStdEncoding.EncodeToString(head),
		"base64 of URL": base64.RawURLEncoding.EncodeToString(head),
	}
	for name, form := range forms {
		if strings.Contains(strings.ToLower(text), strings.ToLower(form)) {
			return name
		}
	}
	return ""
}

type secretHolder struct {
	Exported any
	hidden   any
}

type dataKeyHolder struct {
	Value   DataKey
	Pointer *DataKey
	value   DataKey
	pointer *DataKey
}

func secretsOfEveryType(t *testing.T, b []byte) map[string]any {
	t.Helper()
	dk := must[*DataKey](t)(DataKeyFromBytes(b))
	kek := must[*KEK](t)(KEKFromBytes(b))
	sk := must[*StoreKey](t)(StoreKeyFromBytes(b))
	mk := must[*MasterKey](t)(MasterKeyFromBytes(b))
	sub := must[*Subkey](t)(SubkeyFromBytes(b))
	return map[string]any{
		"DataKey": dk, "KEK": kek, "StoreKey": sk, "MasterKey": mk, "Subkey": sub,
		"DataKey value": *dk, "KEK value": *kek, "StoreKey value": *sk, "MasterKey value": *mk, "Subkey value": *sub,
		"slice": []*DataKey{dk}, "slice of values": []DataKey{*dk}, "map": map[string]*KEK{"k": kek},
		"holder": secretHolder{dk, dk}, "holder of values": &secretHolder{*dk, *dk},
		"typed holder": dataKeyHolder{*dk, dk, *dk, dk}, "pointer to typed holder": &dataKeyHolder{*dk, dk, *dk, dk},
		"box": NewBox(sub), "pointer to pointer": &dk,
	}
}

func TestSecretsAreNeverPrinted(t *testing.T) {
	t.Parallel()
	b := testKeyBytes()
	if leaks(fmt.Sprintf("%v", b), b) == "" || leaks(fmt.Sprintf("%#v", b), b) == "" || leaks(hex.EncodeToString(b), b) == "" {
		t.Fatal("the search finds nothing")
	}
	for name, v := range secretsOfEveryType(t, b) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "% x", "%d", "%o", "%b", "%c", "%U", "%T", "%p", "%t", "%e"} {
				if form := leaks(fmt.Sprintf(verb, v), b); form != "" {
					t.Errorf("%s prints the key (%s)", verb, form)
				}
			}
			if form := leaks(fmt.Errorf("x: %v", v).Error(), b); form != "" {
				t.Errorf("an error prints the key (%s)", form)
			}
			var log bytes.Buffer
			slog.New(slog.NewTextHandler(&log, nil)).Info("m", "k", v, slog.Group("g", "k", v))
			slog.New(slog.NewJSONHandler(&log, nil)).Info("m", "k", v, slog.Group("g", "k", v))
			if form := leaks(log.String(), b); form != "" {
				t.Errorf("slog prints the key (%s)", form)
			}
			var encoded bytes.Buffer
			_ = json.NewEncoder(&encoded).Encode(v)
			_ = xml.NewEncoder(&encoded).Encode(v)
			_ = gob.NewEncoder(&encoded).Encode(v)
			if form := leaks(encoded.String(), b); form != "" {
				t.Errorf("an encoder writes the key (%s)", form)
			}
		})
	}
}

func TestSecretsSayRedacted(t *testing.T) {
	t.Parallel()
	k := NewDataKey()
	for _, got := range []string{fmt.Sprint(k), fmt.Sprintf("%#v", k), fmt.Sprintf("%x", *k), k.String(), k.LogValue().String()} {
		if got != redacted {
			t.Errorf("got %q", got)
		}
	}
	if _, err := json.Marshal(map[string]any{"k": k}); !errors.Is(err, ErrSecret) {
		t.Errorf("JSON: %v", err)
	}
	if _, err := k.MarshalText(); !errors.Is(err, ErrSecret) {
		t.Errorf("text: %v", err)
	}
	if _, err := k.MarshalBinary(); !errors.Is(err, ErrSecret) {
		t.Errorf("binary: %v", err)
	}
}

func TestKeyFromBytes(t *testing.T) {
	t.Parallel()
	constructors := map[string]func([]byte) (Secret, error){
		"DataKey":   func(b []byte) (Secret, error) { return DataKeyFromBytes(b) },
		"KEK":       func(b []byte) (Secret, error) { return KEKFromBytes(b) },
		"StoreKey":  func(b []byte) (Secret, error) { return StoreKeyFromBytes(b) },
		"MasterKey": func(b []byte) (Secret, error) { return MasterKeyFromBytes(b) },
		"Subkey":    func(b []byte) (Secret, error) { return SubkeyFromBytes(b) },
	}
	for name, fromBytes := range constructors {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, size := range []int{0, 1, 16, 31, 33, 64} {
				if _, err := fromBytes(make([]byte, size)); !errors.Is(err, ErrKey) {
					t.Errorf("%d bytes: %v", size, err)
				}
			}
			b := testKeyBytes()
			k := must[Secret](t)(fromBytes(b))
			clear(b)
			if !bytes.Equal(k.Expose(), testKeyBytes()) {
				t.Error("the key changed with the slice it was made from")
			}
			if cap(k.Expose()) != KeySize {
				t.Error("room behind the exposed bytes")
			}
			zero := must[Secret](t)(fromBytes(make([]byte, KeySize)))
			if zero.Fingerprint().IsZero() || len(zero.Expose()) != KeySize {
				t.Error("a key of zeros is taken for no key")
			}
		})
	}
}

func TestWipe(t *testing.T) {
	t.Parallel()
	k := must[*KEK](t)(KEKFromBytes(testKeyBytes()))
	copied, exposed := *k, k.Expose()
	k.Wipe()
	k.Wipe()
	if !bytes.Equal(exposed, make([]byte, KeySize)) {
		t.Error("bytes are left")
	}
	for name, w := range map[string]*KEK{"wiped": k, "copy of it": &copied, "never set": new(KEK)} {
		if w.Expose() != nil || !w.Fingerprint().IsZero() || w.Equal(w) {
			t.Errorf("%s: still a key", name)
		}
	}
	new(KEK).Wipe()
}

func TestKeyEqual(t *testing.T) {
	t.Parallel()
	b := testKeyBytes()
	other := testKeyBytes()
	other[31] ^= 1
	a, same, different := must[*KEK](t)(KEKFromBytes(b)), must[*KEK](t)(KEKFromBytes(b)), must[*KEK](t)(KEKFromBytes(other))
	if !a.Equal(same) || a.Equal(different) || a.Equal(nil) || (*KEK)(nil).Equal(a) || a.Equal(new(KEK)) {
		t.Error("KEK.Equal")
	}
	if dk := NewDataKey(); !dk.Equal(dk) || dk.Equal(NewDataKey()) || dk.Equal(nil) {
		t.Error("DataKey.Equal")
	}
	if k := NewStoreKey(); !k.Equal(k) || k.Equal(NewStoreKey()) || k.Equal(nil) {
		t.Error("StoreKey.Equal")
	}
	if k := NewMasterKey(); !k.Equal(k) || k.Equal(NewMasterKey()) || k.Equal(nil) {
		t.Error("MasterKey.Equal")
	}
	if k := NewStoreKey().Derive(LabelValues); !k.Equal(k) || k.Equal(NewStoreKey().Derive(LabelValues)) || k.Equal(nil) {
		t.Error("Subkey.Equal")
	}
	if a.Fingerprint() != same.Fingerprint() || a.Fingerprint() == different.Fingerprint() {
		t.Error("Fingerprint")
	}
}

func TestDerive(t *testing.T) {
	t.Parallel()
	k, other := NewStoreKey(), NewStoreKey()
	seen := map[string]Label{string(k.Expose()): "the store key itself"}
	for _, label := range []Label{LabelBadger, LabelValues, LabelKeyring, LabelConfig, LabelAudit, LabelNames} {
		sub := k.Derive(label)
		if before, ok := seen[string(sub.Expose())]; ok {
			t.Errorf("%s and %s are the same key", label, before)
		}
		seen[string(sub.Expose())] = label
		if !sub.Equal(k.Derive(label)) {
			t.Errorf("%s: another key the second time", label)
		}
		if sub.Equal(other.Derive(label)) {
			t.Errorf("%s: the same under two store keys", label)
		}
	}
	k.Wipe()
	if sub := k.Derive(LabelValues); sub.Expose() != nil {
		t.Error("a wiped store key derives")
	}
}

// TestUnusableKeys shows that the zero key of a forgotten or wiped secret never seals anything.
func TestUnusableKeys(t *testing.T) {
	t.Parallel()
	wipedDK, wipedKEK, wipedSub := NewDataKey(), NewKEK(), NewStoreKey().Derive(LabelValues)
	wipedDK.Wipe()
	wipedKEK.Wipe()
	wipedSub.Wipe()
	id := NewChunkID()
	sealed := must[[]byte](t)(SealChunk(nil, NewDataKey(), id, MinFrameSize, nil))
	for name, dk := range map[string]*DataKey{"nil": nil, "never set": new(DataKey), "wiped": wipedDK} {
		_, errSeal := SealChunk(nil, dk, id, MinFrameSize, nil)
		_, errOpen := OpenChunk(nil, dk, id, sealed)
		_, errWriter := NewChunkWriter(nil, dk, id, MinFrameSize)
		_, errReader := NewChunkReader(bytes.NewReader(sealed), int64(len(sealed)), dk, id)
		errKey := (&SealedKey{Mode: ModeSSEC}).Seal(NewKEK(), dk, Binding{})
		for i, err := range []error{errSeal, errOpen, errWriter, errReader, errKey} {
			if !errors.Is(err, ErrKey) {
				t.Errorf("%s data key, call %d: %v", name, i, err)
			}
		}
	}
	for name, kek := range map[string]*KEK{"nil": nil, "never set": new(KEK), "wiped": wipedKEK} {
		s := &SealedKey{Mode: ModeSSEC}
		if err := s.Seal(kek, NewDataKey(), Binding{}); !errors.Is(err, ErrKey) {
			t.Errorf("%s kek, seal: %v", name, err)
		}
		if _, err := s.Open(kek, Binding{}); !errors.Is(err, ErrKey) {
			t.Errorf("%s kek, open: %v", name, err)
		}
	}
	for name, sub := range map[string]*Subkey{"never set": new(Subkey), "wiped": wipedSub} {
		if _, err := NewBox(sub).Open(nil, make([]byte, BoxOverhead), nil); !errors.Is(err, ErrKey) {
			t.Errorf("%s subkey: %v", name, err)
		}
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s subkey: sealed", name)
				}
			}()
			NewBox(sub).Seal(nil, nil, nil)
		}()
	}
}
