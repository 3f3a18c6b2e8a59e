package nginx_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tutti/deploy/nginx"
)

// TestRenewedCertificate: nginx shows a new certificate soon after it is there, and the old one for as long as the two files do
// not belong together.
func TestRenewedCertificate(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	certificate, key := selfSigned(t, dir)
	s := newStand(t, 1, func(c *nginx.Config) { c.TLSCert, c.TLSKey = certificate, key })
	shown := func() []byte {
		conn, err := tls.Dial("tcp", strings.TrimPrefix(s.url, "https://"), &tls.Config{InsecureSkipVerify: true})
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = conn.Close() }()
		return conn.ConnectionState().PeerCertificates[0].Raw
	}
	before := shown()
	nextCertificate, nextKey := selfSigned(t, t.TempDir())
	if err := os.Rename(nextCertificate, certificate); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it is said that the key is for another one", func() bool { return strings.Contains(s.log.String(), "key values mismatch") })
	if !bytes.Equal(shown(), before) {
		t.Error("another certificate is shown before its key is there")
	}
	if err := os.Rename(nextKey, key); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the new certificate is shown", func() bool { return !bytes.Equal(shown(), before) })
	if n := strings.Count(s.log.String(), "nginx reads its certificates anew"); n != 1 {
		t.Errorf("it was said %d times", n)
	}
}

// selfSigned makes a certificate for loopback that is its own authority.
func selfSigned(t *testing.T, dir string) (certificate, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "tutti test"}, DNSNames: []string{"localhost"},
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	certificate, key = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	for file, block := range map[string]*pem.Block{certificate: {Type: "CERTIFICATE", Bytes: der}, key: {Type: "PRIVATE KEY", Bytes: keyDER}} {
		if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return certificate, key
}
