package s3api

import (
	"net/netip"
	"slices"
	"strings"

	"coffer/internal/caller"
	"coffer/s3api/s3err"
	"coffer/s3api/sigv4"
)

// callerOf says who asks, for the record of what is done for them. The principal of a request that only its body can prove
// is marked until then.
func (s *Server) callerOf(c *call) caller.Caller {
	who := caller.Caller{Source: s.clientAddress(c), UserAgent: c.get("user-agent"), RequestID: c.id, Pairs: c.pairs}
	switch {
	case c.ver == nil:
	case c.ver.Proven():
		who.Principal = c.ver.AccessKey
	default:
		who.Principal = caller.Unproven + c.ver.AccessKey
	}
	return who
}

// readPairs reads the fields by which a client adds to its lines of the audit log.
func (c *call) readPairs() error {
	pairs := pairsOf(c.header)
	if err := caller.CheckPairs(pairs); err != nil {
		return s3err.Newf(s3err.InvalidArgument, "The header fields %s* are not valid: %v.", caller.HeaderPrefix, err).
			With("ArgumentName", caller.HeaderPrefix+"*")
	}
	c.pairs = pairs
	return nil
}

func pairsOf(header sigv4.Header) (pairs []caller.Pair) {
	for _, f := range header {
		if len(f.Name) < len(caller.HeaderPrefix) || !strings.EqualFold(f.Name[:len(caller.HeaderPrefix)], caller.HeaderPrefix) {
			continue
		}
		name := strings.ToLower(f.Name[len(caller.HeaderPrefix):])
		pairs = append(pairs, caller.Pair{Name: name, Value: strings.Trim(f.Value, " \t")})
	}
	return pairs
}

// clientAddress is where a request came from: whoever opened the connection, or behind proxies that are trusted the last
// address of X-Forwarded-For that is no such proxy.
func (s *Server) clientAddress(c *call) string {
	forwarded := c.get("x-forwarded-for")
	if forwarded == "" || !s.isTrustedProxy(c.peer) {
		return c.remote
	}
	nearest := c.peer
	hops := strings.Split(forwarded, ",")
	for _, hop := range slices.Backward(hops) {
		addr, ok := parseHop(strings.TrimSpace(hop))
		if !ok {
			break
		}
		nearest = addr
		if !s.isTrustedProxy(addr) {
			break
		}
	}
	return nearest.String()
}

func (s *Server) isTrustedProxy(addr netip.Addr) bool {
	return slices.ContainsFunc(s.opts.TrustedProxies, func(p netip.Prefix) bool { return p.Contains(addr) })
}

// parseHop reads an address as proxies write it: with or without a port, IPv6 in brackets or not.
func parseHop(hop string) (netip.Addr, bool) {
	if withPort, err := netip.ParseAddrPort(hop); err == nil {
		return withPort.Addr().Unmap().WithZone(""), true
	}
	addr, err := netip.ParseAddr(strings.TrimSuffix(strings.TrimPrefix(hop, "["), "]"))
	return addr.Unmap().WithZone(""), err == nil
}
