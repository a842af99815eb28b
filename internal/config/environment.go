package config

import "strings"

// variables lists the names of a setting's variables: those of Coffer, and those
// of other servers.
func (s setting) variables() (own, foreign []string) {
	for _, name := range append([]string{s.name}, s.also...) {
		own = append(own, Variable(name))
		if s.isKMS() {
			foreign = append(foreign, variable(rustfsPrefix, name))
		}
	}
	return own, append(foreign, s.foreign...)
}

// readEnvironment takes the variables of the table, and finds the misspelt
// ones.
func (l *loader) readEnvironment() {
	known := map[string]bool{}
	for _, idle := range kmsIdle() {
		known[idle[0]] = true
	}
	for _, s := range l.table {
		own, foreign := s.variables()
		l.readVariables(s, FromEnvironment, own)
		l.readVariables(s, FromCompatible, foreign)
		for _, name := range append(own, foreign...) {
			known[name] = true
		}
	}
	for _, entry := range l.src.Environ {
		if name, _, _ := strings.Cut(entry, "="); !known[name] {
			l.checkSpelling(name)
		}
	}
}

// readVariables takes the first variable that is set. Another one that says
// otherwise is a fault: nobody could tell which is meant.
func (l *loader) readVariables(s setting, source Source, variables []string) {
	for _, name := range variables {
		value := l.src.lookup(name)
		if value == "" {
			continue
		}
		values := []string{value}
		if s.list {
			values = strings.Split(value, ",")
		}
		origin := Origin{Source: source, Name: s.name, Variable: name}
		first, ok := l.layers[source][s.name]
		switch {
		case !ok:
			l.layers[source][s.name] = given{values: values, origin: origin}
		case strings.Join(first.values, ",") != value:
			l.faults.addf(origin, "%s means the same and says otherwise; keep one of them", first.origin)
		}
	}
}

// checkSpelling finds a variable that was probably meant for a setting. Other
// variables with the prefix are nobody's business: a container's surroundings
// set some of their own, such as COFFER_SERVICE_HOST.
func (l *loader) checkSpelling(name string) {
	prefix, source := variablePrefix, FromEnvironment
	rest, ours := strings.CutPrefix(name, prefix)
	if !ours {
		prefix, source = rustfsPrefix, FromCompatible
		rest, ours = strings.CutPrefix(name, prefix)
		ours = ours && strings.HasPrefix(rest, "KMS_")
	}
	if !ours {
		return
	}
	near := nearest(strings.ToLower(strings.ReplaceAll(rest, "_", "-")), l.known)
	if near == "" || prefix == rustfsPrefix && !l.known[near].isKMS() {
		return
	}
	l.faults.addf(Origin{Source: source, Variable: name}, "no such variable; did you mean %s?", variable(prefix, near))
}
