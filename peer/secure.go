package peer

import (
	"crypto/tls"
	"crypto/x509"
	"net"
	"net/http"
	"net/netip"
	"os"
	"slices"
	"strings"

	"tutti"
)

// Secured returns KindInvalid where the addresses ("127.0.0.1:4533", "unix:/run/tutti.sock") can be reached from other
// machines although there are no keys. A process that offers a Handler calls it before it listens.
func Secured(listen []string, k *Keys) error {
	const op = "peer.Secured"
	if k != nil {
		return nil
	}
	for _, addr := range listen {
		if strings.HasPrefix(addr, "unix:") {
			continue
		}
		host, _, err := net.SplitHostPort(addr)
		if err != nil {
			return tutti.Errorf(tutti.KindInvalid, op, "%q is no address to listen on", addr)
		}
		ip, err := netip.ParseAddr(host)
		if host == "localhost" || err == nil && ip.IsLoopback() {
			continue
		}
		return tutti.Errorf(tutti.KindInvalid, op, "%s can be reached from other machines, but the fleet has no keys; make a file of keys and give it to every member", addr)
	}
	return nil
}

// fromHere reports whether the request comes from this machine and means this machine. The second is for browsers: a
// page whose name was made to point to 127.0.0.1 comes from here as well, but under that name.
func fromHere(r *http.Request, address string) bool {
	if !fromLoopback(r) {
		return false
	}
	if address != "" && strings.EqualFold(r.Host, address) {
		return true
	}
	host := r.Host
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	ip, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return strings.EqualFold(host, "localhost") || err == nil && ip.IsLoopback()
}

// fromLoopback reports whether the request comes from this machine.
func fromLoopback(r *http.Request) bool {
	addr, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr == "" || r.RemoteAddr == "@" // a Unix socket
	}
	return addr.Addr().Unmap().IsLoopback()
}

// FleetName is the name (a DNS subject alternative name) that the certificates of all members of a fleet carry.
const FleetName = "tutti-fleet"

// ReadTLS returns the configurations with which members of a fleet authenticate one another and hide what they say:
// server for those that answer, client for those that ask. Both ends prove, with a certificate that the authority in
// caFile has signed and that carries FleetName, that they are members; no other authority is asked, and no host names
// are checked, because members come and go under addresses that no certificate can know. The authority must therefore
// be the fleet's own. TLS 1.3 only. The error is KindInvalid where the files do not fit together.
func ReadTLS(caFile, certFile, keyFile string) (server, client *tls.Config, err error) {
	const op = "peer.ReadTLS"
	ca, err := os.ReadFile(caFile)
	if err != nil {
		return nil, nil, tutti.Wrap(tutti.KindInvalid, op, err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(ca) {
		return nil, nil, tutti.Errorf(tutti.KindInvalid, op, "there is no certificate in %s", caFile)
	}
	cert, err := tls.LoadX509KeyPair(certFile, keyFile)
	if err != nil {
		return nil, nil, &tutti.Error{Kind: tutti.KindInvalid, Op: op, Message: "the certificate and its key cannot be used: " + err.Error()}
	}
	leaf, err := x509.ParseCertificate(cert.Certificate[0])
	if err != nil {
		return nil, nil, tutti.Wrap(tutti.KindInvalid, op, err)
	}
	if !slices.Contains(leaf.DNSNames, FleetName) {
		return nil, nil, tutti.Errorf(tutti.KindInvalid, op, "the certificate in %s is not for %q", certFile, FleetName)
	}
	base := &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS13, NextProtos: []string{"http/1.1"}}
	server = base.Clone()
	server.ClientAuth, server.ClientCAs = tls.RequireAndVerifyClientCert, roots
	server.VerifyConnection = func(s tls.ConnectionState) error {
		return s.PeerCertificates[0].VerifyHostname(FleetName)
	}
	client = base.Clone()
	client.RootCAs, client.ServerName = roots, FleetName
	return server, client, nil
}
