package local

import (
	"testing"
	"time"

	"coffer/cipher"
	"coffer/kms"
)

const goldenInstance = "4659572af94de443876cd3886080cc63"

func goldenFiles() []string {
	return []string{
		"instance",
		"0dbd6907393e2a711d1ba9f4424c2ee6.key", // plain
		"366c1c95b43c9f9b313e1f4e0f4ce627.key", // off
		"973caa20cd3e2d26f367bf60c57763ab.key", // tenant/äλ 1
	}
}

func goldenKeys(t *testing.T) []kms.KeyInfo {
	t.Helper()
	at := func(second int64) time.Time { return time.Unix(1_760_000_000+second, 123456789) }
	version := func(number uint32, fingerprint string, second int64) kms.KeyVersion {
		f, err := cipher.ParseFingerprint(fingerprint)
		if err != nil {
			t.Fatal(err)
		}
		return kms.KeyVersion{Number: number, Fingerprint: f, Created: at(second)}
	}
	keys := []kms.KeyInfo{
		{
			ID: "off", State: kms.StateDisabled, Created: at(4), Origin: "COFFER_LOCAL",
			Versions: []kms.KeyVersion{version(1, "73543aa547b5a8b74b983130f6629b70", 4)},
		},
		{
			ID: "plain", State: kms.StateEnabled, Created: at(2), Origin: "COFFER_LOCAL",
			Versions: []kms.KeyVersion{version(1, "eb2ce538b771a05c636135e0e80b024c", 2)},
		},
		{
			ID: "tenant/äλ 1", State: kms.StatePendingDeletion, Created: at(3), Origin: "COFFER_LOCAL",
			DeleteAfter: time.Unix(1_770_000_000, 0), Description: "a description",
			Tags: map[string]string{"team": "x", "äλ": ""}, MaxAge: 24 * time.Hour,
			Versions: []kms.KeyVersion{
				version(1, "77aa1226740f49bdc25fcbddec25b154", 3),
				version(2, "54c4ff5dcf6db8ddf45868f04f23d716", 5),
				version(3, "130549e123b9f52c77481379e06d29a0", 6),
			},
		},
	}
	for i := range keys {
		keys[i].Algorithm, keys[i].Usage = kms.AlgorithmAES256, kms.UsageEncryptDecrypt
	}
	return keys
}
