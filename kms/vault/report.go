package vault

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"coffer/kms"
)

// Report implements kms.Reporter.
func (b *Backend) Report() kms.Report {
	expires, missing, fault := b.session.report()
	r := kms.Report{
		Circuit: b.breaker.state(), InFlight: len(b.slots), CredentialExpires: expires, NoCredential: missing, KeyState: b.states.where(),
	}
	if version := b.version.Load(); version != nil {
		r.Version = *version
	}
	note := func(is bool, format string, args ...any) {
		if is {
			r.Notes = append(r.Notes, fmt.Sprintf(format, args...))
		}
	}
	note(fault != nil, "%v", fault)
	note(b.options.TLS.DangerSkipVerify, "Vault's certificate is not verified")
	note(strings.HasPrefix(b.options.Address, "http:"), "Vault is reached by plain HTTP")
	unbound := b.unbound.list()
	note(len(unbound) > 0, "keys that are not derived, so that Vault ignores contexts: %q", unbound)
	return r
}

// Capabilities implements kms.Capable: where there is no place for the state of
// keys, they have none.
func (b *Backend) Capabilities() kms.Capabilities {
	kept := b.states.kept()
	return kms.Capabilities{Create: true, Lifecycle: kept, Describe: kept, Encrypt: true, Batch: true}
}

// maxNames bounds names.
const maxNames = 100

// names remembers some key ids.
type names struct {
	mu    sync.Mutex
	known map[string]bool
}

// note adds an id or takes it away.
func (n *names) note(id string, in bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if !in {
		delete(n.known, id)
	} else if len(n.known) < maxNames {
		n.known[id] = true
	}
}

func (n *names) list() []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.Sorted(maps.Keys(n.known))
}
