package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"tutti/deploy/capacity"
)

// benchTLS measures what TLS 1.3 costs nginx, a GB and a connection, next to the same without.
func benchTLS(ctx context.Context, o options, _, music string) (_ section, err error) {
	const source = "go run ./bench -only tls"
	s := section{
		title: "TLS at the edge",
		how:   "nginx static, whole files of 42 MB over 4 connections, and a byte over a connection each (ECDSA P-256, TLS 1.3, no resumption), with TLS and without, in turns, median of 5 rounds.",
	}
	scratch, err := fresh(o, "tls")
	if err != nil {
		return s, err
	}
	if err := os.MkdirAll(scratch, 0o755); err != nil {
		return s, err
	}
	if err := selfSigned(scratch); err != nil {
		return s, err
	}
	n, err := startNginx(ctx, music, scratch)
	if err != nil {
		return s, err
	}
	defer func() { err = errors.Join(err, n.stop()) }()
	client := func(connections int, keep bool) *http.Client {
		return &http.Client{Transport: &http.Transport{
			MaxConnsPerHost: connections, MaxIdleConnsPerHost: connections, DisableKeepAlives: !keep, DisableCompression: true, ReadBufferSize: 256 << 10,
			TLSClientConfig: &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS13}, // it is our own, made a moment ago
		}}
	}
	secure := &server{name: "nginx with TLS", url: "https://" + n.secure, pids: n.pids}
	get := func(c *http.Client, s *server, path, span string) (int64, error) {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.url+path, nil)
		if err != nil {
			return 0, err
		}
		if span != "" {
			req.Header.Set("Range", span)
		}
		resp, err := c.Do(req)
		if err != nil {
			return 0, err
		}
		bytes, err := io.Copy(io.Discard, resp.Body)
		return bytes, errors.Join(err, resp.Body.Close())
	}
	sides := []side{{s: secure}, {s: n}}
	names := baseNames(4)
	whole, err := turns(sides, 5, func(s side) (total int64, err error) {
		c := client(4, true)
		defer c.CloseIdleConnections()
		for i := range 8 {
			bytes, err := get(c, s.s, "/"+strings.ReplaceAll(names[i%4], " ", "%20"), "")
			if err != nil {
				return total, err
			}
			total += bytes
		}
		return total, nil
	})
	if err != nil {
		return s, err
	}
	const hellos = 400
	starts, err := turns(sides, 5, func(s side) (int64, error) {
		c := client(4, false)
		for range hellos {
			if _, err := get(c, s.s, "/noise%200.wav", "bytes=0-0"); err != nil {
				return 0, err
			}
		}
		return hellos * 1e6, nil // so that a GB is a thousand connections
	})
	if err != nil {
		return s, err
	}
	a, _ := whole[0].median()
	b, _ := whole[1].median()
	s.add("CPU a GB", ms(a), ms(b), ratio(a, b), "")
	c, _ := starts[0].median()
	d, _ := starts[1].median()
	s.add("CPU a connection with one request", ms(c/1000), ms(d/1000), ratio(c, d), "")
	o.ledger.set(capacity.NginxTLSPerGB, max(0, (a-b).Seconds()), source+": TLS 1.3 less plain")
	o.ledger.set(capacity.NginxPerHandshake, max(0, (c-d).Seconds()/1000), source+": TLS 1.3 with ECDSA P-256 less plain")
	return s, nil
}

// selfSigned writes cert.pem and key.pem for loopback into a folder.
func selfSigned(dir string) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(24 * time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return err
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	for name, block := range map[string]*pem.Block{"cert.pem": {Type: "CERTIFICATE", Bytes: cert}, "key.pem": {Type: "PRIVATE KEY", Bytes: private}} {
		if err := os.WriteFile(filepath.Join(dir, name), pem.EncodeToMemory(block), 0o600); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}
