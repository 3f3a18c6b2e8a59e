package carbon

import "net/netip"

// Link is the kind of network that a listener is on.
type Link string

// The links.
const (
	LAN    Link = "lan"    // the server's own: nothing beyond the house is used
	Fixed  Link = "fixed"  // a line to the listener's house
	Mobile Link = "mobile" // 4G
)

// Links lists the links.
var Links = []Link{LAN, Fixed, Mobile}

// The network is reckoned by what a stream adds to it, after the power model of J. Malmodin, "The power consumption of
// mobile and fixed network data services: the case of streaming video and downloading large files", Electronics Goes
// Green 2020+, and of Carbon Trust, "Carbon impact of video streaming", 2021, appendix: equipment draws a base power
// whether it is used or not, and little more for each Mbit/s.
const (
	// FixedLineWatts is what a fixed line draws in any case, router and access network together. It runs with and without
	// music, so no stream is charged with it.
	FixedLineWatts = 18
	// FixedWattsPerMbps is what a Mbit/s adds on a fixed line.
	FixedWattsPerMbps = 0.05
	// MobileWattsPerMbps is what a Mbit/s adds on 4G.
	MobileWattsPerMbps = 1.5
)

// WattsPerMbps is what a Mbit/s adds to the power of the network on a link. On the server's own it is below what anybody
// has measured of a switch or an access point that is on anyway, and taken for nothing.
func (l Link) WattsPerMbps() float64 {
	switch l {
	case Mobile:
		return MobileWattsPerMbps
	case Fixed:
		return FixedWattsPerMbps
	}
	return 0
}

// NetworkEnergy is what moving bytes adds to the energy of the network. The model is linear, so that it does not matter
// how fast they go: 1 W for a Mbit/s is 1 J for a Mbit.
func NetworkEnergy(l Link, bytes float64) Joules {
	return Joules(l.WattsPerMbps() * bytes * 8 / 1e6)
}

// LinkOf guesses the link of a listener from their address, and from whether their browser asks to save data, which is
// taken for a sign of a mobile network. An address that is not known is taken for one of a fixed line.
func LinkOf(from netip.Addr, saveData bool) Link {
	switch {
	case saveData:
		return Mobile
	case from.IsLoopback(), from.IsPrivate(), from.IsLinkLocalUnicast():
		return LAN
	}
	return Fixed
}
