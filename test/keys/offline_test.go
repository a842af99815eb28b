package keys

import (
	"encoding/base64"
	"path/filepath"
	"strings"
	"testing"

	"github.com/fxamacker/cbor/v2"

	"coffer/cipher"
	"coffer/internal/home"
	"coffer/internal/secret"
	"coffer/kms"
	"coffer/metastore"
	"coffer/metastore/badgerdb"
)

// insideKeys opens the store of a server that has ended, with its unlock secret,
// and gives the keys that never leave the process: the StoreKey and what is derived
// from it, and the DataKeys of objects, unsealed as the server would.
func (w *secretsWorld) insideKeys() (keys []string) {
	w.t.Helper()
	h, err := home.Open(home.Options{
		Places: home.Places{Data: filepath.Join(w.dir, "data"), Config: filepath.Join(w.dir, "config")},
		Unlock: home.Unlock{Key: secret.New([]byte(unlockSecret))},
		Root:   home.Credentials{User: w.start.AccessKey, Password: secret.New([]byte(w.start.SecretKey))},
	})
	if err != nil {
		w.t.Fatal(err)
	}
	defer h.Close()
	keys = append(keys, string(h.Key.Expose()))
	for _, label := range []cipher.Label{
		cipher.LabelBadger, cipher.LabelValues, cipher.LabelKeyring, cipher.LabelConfig, cipher.LabelAudit, cipher.LabelNames,
	} {
		keys = append(keys, string(h.Key.Derive(label).Expose()))
	}
	driver, err := badgerdb.Open(w.t.Context(), badgerdb.Options{Dir: h.Places.Meta(), EncryptionKey: h.Key.Derive(cipher.LabelBadger)})
	if err != nil {
		w.t.Fatal(err)
	}
	defer driver.Close()
	db := metastore.New(driver, cipher.NewBox(h.Key.Derive(cipher.LabelValues)))
	modes := map[cipher.Mode]int{}
	err = db.View(w.t.Context(), func(v *metastore.View) error {
		from, to := metastore.PrefixRange([]byte("n"))
		for kv, err := range v.Scan(from, to) {
			if err != nil {
				return err
			}
			for _, key := range w.dataKeys(h.StoreID, kv) {
				keys = append(keys, string(key.dk.Expose()))
				modes[key.mode]++
			}
		}
		return nil
	})
	if err != nil {
		w.t.Fatal(err)
	}
	if modes[cipher.ModeSSEKMS] == 0 || modes[cipher.ModeSSEC] == 0 {
		w.t.Errorf("unsealed %v", modes)
	}
	return keys
}

// unsealed is a DataKey.
type unsealed struct {
	mode cipher.Mode
	dk   *cipher.DataKey
}

// dataKeys unseals the DataKeys of a record (object/LAYOUT.md) that Vault or a
// client protects.
func (w *secretsWorld) dataKeys(store cipher.StoreID, kv metastore.KV) (found []unsealed) {
	w.t.Helper()
	var record struct {
		Object cipher.ObjectID `cbor:"3,keyasint"`
		Keys   [][]byte        `cbor:"10,keyasint"`
	}
	if err := cbor.Unmarshal(kv.Value, &record); err != nil {
		w.t.Fatal(err)
	}
	place := cipher.Binding{Store: store, Bucket: cipher.BucketID(kv.Key[1 : 1+cipher.IDSize]), Object: record.Object}
	for _, raw := range record.Keys {
		var sealed cipher.SealedKey
		if err := sealed.UnmarshalBinary(raw); err != nil {
			w.t.Fatal(err)
		}
		kek := w.kekOf(&sealed)
		if kek == nil {
			continue // under the keyring, or a backend that is gone
		}
		dk, err := sealed.Open(kek, place)
		if err != nil {
			w.t.Fatal(err)
		}
		found = append(found, unsealed{sealed.Mode, dk})
	}
	return found
}

func (w *secretsWorld) kekOf(sealed *cipher.SealedKey) *cipher.KEK {
	w.t.Helper()
	raw := []byte(customerKey)
	if sealed.Mode != cipher.ModeSSEC {
		keyID, ciphertext, err := kms.ParseBlob(sealed.Wrapped)
		if err != nil || !strings.HasPrefix(string(ciphertext), "vault:") {
			return nil
		}
		raw = vaultDecrypt(w.t, w.mount, keyID, string(ciphertext),
			base64.StdEncoding.EncodeToString(append([]byte("coffer/v1:"), sealed.Context...)))
	}
	kek, err := cipher.KEKFromBytes(raw)
	if err != nil {
		w.t.Fatal(err)
	}
	return kek
}

// vaultDecrypt is what only an operator with all rights does.
func vaultDecrypt(t *testing.T, mount, keyID, ciphertext, keyContext string) []byte {
	t.Helper()
	answer, err := vault.Root(t).Logical().WriteWithContext(t.Context(), mount+"/decrypt/"+keyID, map[string]any{
		"ciphertext": ciphertext, "context": keyContext,
	})
	if err != nil {
		t.Fatal(err)
	}
	raw, err := base64.StdEncoding.DecodeString(answer.Data["plaintext"].(string))
	if err != nil {
		t.Fatal(err)
	}
	return raw
}
