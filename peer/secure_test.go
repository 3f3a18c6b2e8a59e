package peer_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"log"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"tutti"
	"tutti/clock"
	"tutti/delivery"
	"tutti/peer"
)

// authority signs certificates for tests.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	file string
}

func newAuthority(t testing.TB) *authority {
	t.Helper()
	a := &authority{file: filepath.Join(t.TempDir(), "ca.pem")}
	var der []byte
	a.key, der = sign(t, &x509.Certificate{
		Subject: pkix.Name{CommonName: "the fleet"}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}, nil)
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	a.cert = cert
	write(t, a.file, "CERTIFICATE", der)
	return a
}

func sign(t testing.TB, template *x509.Certificate, by *authority) (*ecdsa.PrivateKey, []byte) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template.SerialNumber = big.NewInt(1)
	template.NotBefore, template.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	parent, signer := template, key
	if by != nil {
		parent, signer = by.cert, by.key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, signer)
	if err != nil {
		t.Fatal(err)
	}
	return key, der
}

func write(t testing.TB, path, kind string, der []byte) {
	t.Helper()
	if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
}

// member makes a certificate with the names and returns its files.
func (a *authority) member(t testing.TB, names ...string) (certFile, keyFile string) {
	t.Helper()
	key, der := sign(t, &x509.Certificate{
		DNSNames: names, KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth},
	}, a)
	dir := t.TempDir()
	certFile, keyFile = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	write(t, certFile, "CERTIFICATE", der)
	raw, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	write(t, keyFile, "PRIVATE KEY", raw)
	return certFile, keyFile
}

func TestMutualTLS(t *testing.T) {
	ours, theirs := newAuthority(t), newAuthority(t)
	read := func(a *authority, names ...string) (server, client *tls.Config) {
		cert, key := a.member(t, names...)
		server, client, err := peer.ReadTLS(a.file, cert, key)
		if err != nil {
			t.Fatal(err)
		}
		return server, client
	}
	server, _ := read(ours, peer.FleetName)
	_, good := read(ours, peer.FleetName, "c1.example")
	_, stranger := read(theirs, peer.FleetName)
	k := keys(t)
	dir := t.TempDir()
	want, ref := music(t, dir, "a.flac", 1<<20)
	s := httptest.NewUnstartedServer(peer.Handler(peer.HandlerConfig{TrackCache: newCache(t, dir), Keys: k, Clock: clock.System, Logger: quiet}))
	s.TLS = server
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.StartTLS()
	defer s.Close()
	far := (&fleet{}).add(tutti.ServiceTrackCache, s.Listener.Addr().String())
	cache := client(t, peer.ClientConfig{Fleet: far, Keys: k, TLS: good}).TrackCache()
	if _, err := cache.Prepare(t.Context(), ref); err != nil {
		t.Error(err)
	}
	obj, err := cache.Open(t.Context(), ref)
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	if _, err := obj.CopyRange(t.Context(), &b, 0, -1); err != nil || !bytes.Equal(b.Bytes(), want) {
		t.Errorf("%d bytes, %v", b.Len(), err)
	}

	// A member of another fleet, and one who has no certificate.
	bare := good.Clone()
	bare.Certificates = nil
	// A certificate of our authority for something else: its holder is no member.
	web := good.Clone()
	certFile, keyFile := ours.member(t, "www.example")
	pair, err := tls.LoadX509KeyPair(certFile, keyFile)
	if err != nil {
		t.Fatal(err)
	}
	web.Certificates = []tls.Certificate{pair}
	old := good.Clone()
	old.MinVersion, old.MaxVersion = tls.VersionTLS12, tls.VersionTLS12
	for what, c := range map[string]*tls.Config{"another fleet's": stranger, "none": bare, "one for a web site": web, "an old protocol": old, "none, in the clear": nil} {
		_, err := client(t, peer.ClientConfig{Fleet: far, Keys: k, TLS: c}).TrackCache().Prepare(t.Context(), ref)
		if !tutti.IsKind(err, tutti.KindUnavailable) {
			t.Errorf("with the certificate %s: %v", what, err)
		}
	}
	// Nor does a client speak to a server that is no member.
	impostor := httptest.NewUnstartedServer(http.NotFoundHandler())
	impostor.Config.ErrorLog = log.New(io.Discard, "", 0)
	impostor.TLS = &tls.Config{Certificates: []tls.Certificate{pair}}
	impostor.StartTLS()
	defer impostor.Close()
	far = (&fleet{}).add(tutti.ServiceTrackCache, impostor.Listener.Addr().String())
	_, err = client(t, peer.ClientConfig{Fleet: far, Keys: k, TLS: good}).TrackCache().Prepare(t.Context(), ref)
	if !tutti.IsKind(err, tutti.KindUnavailable) || !containsText(err, "certificate") {
		t.Errorf("a server that is no member: %v", err)
	}

	for what, files := range map[string][3]string{
		"no authority":               {filepath.Join(dir, "none"), certFile, keyFile},
		"an authority that is music": {filepath.Join(dir, "a.flac"), certFile, keyFile},
		"a certificate for no fleet": {ours.file, certFile, keyFile},
		"another's key":              {ours.file, certFile, theirKey(t, ours)},
	} {
		_, _, err := peer.ReadTLS(files[0], files[1], files[2])
		wantKind(t, err, tutti.KindInvalid, what)
	}
}

func theirKey(t testing.TB, a *authority) string {
	_, key := a.member(t, peer.FleetName)
	return key
}

// TestWithinTheServer mounts a handler where the program does, and reads through it.
func TestWithinTheServer(t *testing.T) {
	dir := t.TempDir()
	want, ref := music(t, dir, "a.flac", 3<<20+11)
	k := keys(t)
	handler := peer.Handler(peer.HandlerConfig{
		TrackCache: newCache(t, dir), Catalog: newCatalog(t, 100, nil), Keys: k, Clock: clock.System, Logger: quiet,
	})
	registry := prometheus.NewRegistry()
	registry.MustRegister(handler)
	var mounts []delivery.Mount
	for _, path := range peer.Paths() {
		mounts = append(mounts, delivery.Mount{Path: path, Name: "peer", Handler: handler, MaxBody: peer.MaxBody, Deadline: -1})
	}
	s, err := delivery.NewServer(delivery.ServerConfig{
		Listen: []string{"127.0.0.1:0"}, Mounts: mounts, Clock: clock.System, Logger: quiet, Metrics: delivery.NewMetrics(registry), Registry: registry,
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Listen(t.Context()); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ran := make(chan error, 1)
	go func() { ran <- s.Run(ctx) }()
	at := strings.TrimSuffix(strings.TrimPrefix(s.URLs()[0], "http://"), "/")
	c := client(t, peer.ClientConfig{Fleet: (&fleet{}).add(tutti.ServiceTrackCache, at).add(tutti.ServiceCatalog, at), Keys: k})
	obj, err := c.TrackCache().Open(t.Context(), ref)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 { // the connection stays good
		var b bytes.Buffer
		if _, err := obj.CopyRange(t.Context(), &b, 0, -1); err != nil || !bytes.Equal(b.Bytes(), want) {
			t.Errorf("%d bytes, %v", b.Len(), err)
		}
	}
	if n, err := c.Catalog().Counts(t.Context(), she); err != nil || n.Tracks != 100 {
		t.Errorf("%+v, %v", n, err)
	}
	if got := counted(t, handler, "tutti_peer_sent_bytes_total"); got != float64(2*len(want)) {
		t.Errorf("%v bytes were counted", got)
	}
	c.Close()
	stop()
	if err := <-ran; err != nil {
		t.Error(err)
	}
}
