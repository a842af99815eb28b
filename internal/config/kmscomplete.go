package config

import (
	"slices"
	"strings"

	"coffer/internal/disk"
)

// devToken is what examples give Vault in its development mode.
const devToken = "dev-token"

// defaultVault is where Vault is when only the type is said.
const defaultVault = "http://localhost:8200"

// completeKMS finds out which backend is meant, and whether it has what it
// needs.
func (l *loader) completeKMS() {
	k := &l.config.KMS
	l.heedOthers()
	if k.ReadyCheck && k.ProbeInterval < 0 {
		l.faults.addf(l.winner["kms-ready-check"].origin, "needs probes, which kms-probe-interval-secs turns off")
	}
	origin, named := l.chooseKMS()
	if enable, said := l.winner["kms-enable"]; !said {
		k.Enabled = named
	} else if !named {
		origin = enable.origin
	}
	if !k.Enabled {
		return
	}
	switch k.Type {
	case KMSStatic:
		if _, ok := l.given("kms-static-secret-key", "kms-static-secret-key-file"); !ok {
			l.faults.addf(origin, "the key is missing: set %s or %s", Variable("kms-static-secret-key"), Variable("kms-static-secret-key-file"))
		}
	case KMSLocal:
		l.completeLocal()
	case KMSVault:
		l.completeVault(origin)
	}
}

// given finds the strongest value among settings.
func (l *loader) given(names ...string) (given, bool) {
	var best given
	found := false
	for _, name := range names {
		if g, ok := l.winner[name]; ok && (!found || g.origin.Source > best.origin.Source) {
			best, found = g, true
		}
	}
	return best, found
}

// chooseKMS settles the type: the one that was said, else the one whose place
// or key was given. It reports whether anything was, and what.
func (l *loader) chooseKMS() (Origin, bool) {
	k := &l.config.KMS
	said, isSaid := l.winner["kms-type"]
	places := []struct {
		kind  string
		names []string
	}{
		{KMSStatic, []string{"kms-static-secret-key", "kms-static-secret-key-file"}},
		{KMSVault, []string{"kms-vault-address"}},
		{KMSLocal, []string{"kms-local-key-dir"}},
	}
	var first given
	var found string
	for _, p := range places {
		g, ok := l.given(p.names...)
		switch {
		case !ok:
		case isSaid && k.Type != "" && k.Type != p.kind:
			k.Notices = append(k.Notices, g.origin.String()+" has no effect: the type is "+k.Type)
		case !isSaid && found != "":
			l.faults.addf(g.origin, "%s is given as well; say which is meant with %s", first.origin, Variable("kms-type"))
		case !isSaid:
			first, found = g, p.kind
		}
	}
	switch {
	case isSaid:
		return said.origin, true
	case found == "":
		k.Type = KMSLocal
	default:
		k.Type = found
		l.config.Settings = append(l.config.Settings, Effective{Name: "kms-type", Value: found, Origin: first.origin})
	}
	return first.origin, found != ""
}

// heedOthers looks at variables of other servers that have no setting here.
func (l *loader) heedOthers() {
	elsewhere := kmsElsewhere()
	for _, variable := range sortedKeys(elsewhere) {
		if l.src.lookup(variable) != "" {
			l.faults.addf(Origin{Source: FromCompatible, Variable: variable}, "%s", elsewhere[variable])
		}
	}
	for _, idle := range kmsIdle() {
		if l.src.lookup(idle[0]) != "" {
			l.config.KMS.Notices = append(l.config.KMS.Notices, idle[0]+" has no effect: "+idle[1])
		}
	}
}

func sortedKeys(m map[string]string) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

func (l *loader) completeLocal() {
	k := &l.config.KMS
	dir, isDir := l.winner["kms-local-key-dir"]
	key, isKey := l.given("kms-local-master-key", "kms-local-master-key-file")
	switch {
	case isKey && !isDir:
		l.faults.addf(key.origin, "the directory is missing: set %s; without both, the type local is the built-in keyring", Variable("kms-local-key-dir"))
	case isDir && !isKey:
		l.faults.addf(dir.origin, "the master key is missing: set %s or %s", Variable("kms-local-master-key"), Variable("kms-local-master-key-file"))
	}
	if k.LocalKeyDir == "" {
		return
	}
	l.refuseInside(dir.origin, l.config.Home.Places.Data, "the data directory: whoever copies the data would copy the keys")
	if temporary := l.temporaryDir(); !k.Insecure {
		l.refuseInside(dir.origin, temporary, "a directory for temporary files, whose loss makes objects unreadable; choose another one, or set "+
			Variable("kms-allow-insecure-dev-defaults"))
	}
}

// refuseInside faults a key directory that lies in another.
func (l *loader) refuseInside(origin Origin, where, what string) {
	if where == "" {
		return
	}
	inside, err := disk.Inside(l.config.KMS.LocalKeyDir, where)
	switch {
	case err != nil:
		l.faults.add(origin, err)
	case inside:
		l.faults.addf(origin, "%s lies in %s, %s", l.config.KMS.LocalKeyDir, where, what)
	}
}

func (l *loader) temporaryDir() string {
	if dir := l.src.lookup("TMPDIR"); dir != "" {
		return dir
	}
	return "/tmp"
}

func (l *loader) completeVault(origin Origin) {
	k, v := &l.config.KMS, &l.config.KMS.Vault
	address, isAddress := l.winner["kms-vault-address"]
	if !isAddress {
		v.Address = defaultVault
	}
	if isPlain(v.Address) && !k.Insecure {
		l.faults.addf(address.origin, "over plain HTTP others can read tokens and keys; use https, or set %s", Variable("kms-allow-insecure-dev-defaults"))
	}
	if v.SkipVerify && !k.Insecure {
		l.faults.addf(l.winner["kms-vault-skip-tls-verify"].origin, "needs %s: anybody on the way could read and replace tokens and keys",
			Variable("kms-allow-insecure-dev-defaults"))
	}
	cert, isCert := l.winner["kms-vault-client-cert"]
	key, isKey := l.winner["kms-vault-client-key"]
	switch {
	case isCert && !isKey:
		l.faults.addf(cert.origin, "kms-vault-client-key is missing; a certificate needs its key")
	case isKey && !isCert:
		l.faults.addf(key.origin, "kms-vault-client-cert is missing; a key needs its certificate")
	}
	l.completeVaultAuth(origin)
}

// completeVaultAuth wants one way to get a token. A plain token beside AppRole
// or Kubernetes is an old one, and not used.
func (l *loader) completeVaultAuth(origin Origin) {
	file, isFile := l.winner["kms-vault-token-file"]
	token, isToken := l.winner["kms-vault-token"]
	kubernetes, isKubernetes := l.winner["kms-vault-kubernetes-role"]
	role, isRole := l.winner["kms-vault-approle-role-id"]
	secretID, isSecretID := l.given("kms-vault-approle-secret-id", "kms-vault-approle-secret-id-file")
	switch {
	case isFile && (isToken || isKubernetes || isRole):
		var others []string
		for _, g := range []given{token, kubernetes, role} {
			if g.values != nil {
				others = append(others, g.origin.String())
			}
		}
		l.faults.addf(file.origin, "%s is given as well; keep one way to get a token", strings.Join(others, ", "))
	case isFile:
	case isKubernetes && isRole:
		l.faults.addf(kubernetes.origin, "%s is given as well; keep one way to get a token", role.origin)
	case isKubernetes:
	case isRole && !isSecretID:
		l.faults.addf(role.origin, "the secret id is missing: set %s or %s",
			Variable("kms-vault-approle-secret-id"), Variable("kms-vault-approle-secret-id-file"))
	case isRole:
	case isSecretID:
		l.faults.addf(secretID.origin, "the role id is missing: set %s", Variable("kms-vault-approle-role-id"))
	case !isToken:
		l.faults.addf(origin, "a way to get a token of Vault is missing: set %s, %s, %s or %s",
			Variable("kms-vault-token"), Variable("kms-vault-token-file"), Variable("kms-vault-approle-role-id"), Variable("kms-vault-kubernetes-role"))
	case string(l.config.KMS.Vault.Token.Expose()) == devToken && !l.config.KMS.Insecure:
		l.faults.addf(token.origin, "is the token of examples; everybody knows it")
	}
}
