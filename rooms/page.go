package rooms

import (
	"net/netip"
	"slices"
	"strings"
)

// LocalName reports whether a host's name is one that nobody on the Internet can have: an address, a name without a dot, or
// one below local (RFC 6762), internal, home.arpa (RFC 8375), lan or localhost (RFC 6761).
//
// A page that asks a server of its own name is not the server's own for that: whoever owns a name may have it point to
// somebody's machine a moment after the page was read (DNS rebinding), and the browser then sees one host.
func LocalName(host string) bool {
	if _, err := netip.ParseAddr(strings.Trim(host, "[]")); err == nil {
		return true
	}
	host = strings.TrimSuffix(strings.ToLower(host), ".")
	return host != "" && (!strings.Contains(host, ".") ||
		slices.ContainsFunc([]string{".local", ".internal", ".home.arpa", ".lan", ".localhost"}, func(end string) bool { return strings.HasSuffix(host, end) }))
}
