package radio

import "net/netip"

// Networks whose addresses are not what they seem, or not public: IANA's registries of special-purpose addresses (RFC 6890
// and what has been added since), as far as netip.Addr does not know them.
var (
	nowhere = []netip.Prefix{
		netip.MustParsePrefix("0.0.0.0/8"),     // this network, RFC 791
		netip.MustParsePrefix("240.0.0.0/4"),   // reserved, and broadcast, RFC 1112 and 919
		netip.MustParsePrefix("100::/64"),      // discard, RFC 6666
		netip.MustParsePrefix("2001:db8::/32"), // documentation, RFC 3849
	}
	near = []netip.Prefix{
		netip.MustParsePrefix("100.64.0.0/10"), // behind a provider, RFC 6598
		netip.MustParsePrefix("192.0.0.0/24"),  // protocols, RFC 6890
		netip.MustParsePrefix("198.18.0.0/15"), // benchmarks, RFC 2544
		netip.MustParsePrefix("fec0::/10"),     // site-local, RFC 3879
	}
	nat64  = netip.MustParsePrefix("64:ff9b::/96")   // RFC 6052
	nat64s = netip.MustParsePrefix("64:ff9b:1::/48") // RFC 8215: what is behind it is anybody's guess
	sixTo4 = netip.MustParsePrefix("2002::/16")      // RFC 3056
	teredo = netip.MustParsePrefix("2001::/32")      // RFC 4380
)

// refused reports whether an address may not be dialled. private allows loopback and private networks.
func refused(host string, private bool) bool {
	a, err := netip.ParseAddr(host)
	if err != nil {
		return true
	}
	return refusedAddr(a.Unmap().WithZone(""), private)
}

func refusedAddr(a netip.Addr, private bool) bool {
	if a.Is6() { // an IPv4 address in disguise is judged as what it is
		b := a.As16()
		switch {
		case nat64.Contains(a):
			return refusedAddr(netip.AddrFrom4([4]byte(b[12:])), private)
		case sixTo4.Contains(a):
			return refusedAddr(netip.AddrFrom4([4]byte(b[2:6])), private)
		case nat64s.Contains(a), teredo.Contains(a):
			return true
		}
	}
	if a.IsUnspecified() || a.IsMulticast() || a.IsLinkLocalUnicast() || in(nowhere, a) {
		return true
	}
	return !private && (a.IsLoopback() || a.IsPrivate() || in(near, a))
}

func in(list []netip.Prefix, a netip.Addr) bool {
	for _, p := range list {
		if p.Contains(a) {
			return true
		}
	}
	return false
}
