//go:build linux

package worker

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"net/http"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// pair is a certificate for 127.0.0.1 and its key, as PEM, the one after the other.
var pair = sync.OnceValue(func() []byte {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	template := &x509.Certificate{
		SerialNumber:          big.NewInt(1),
		Subject:               pkix.Name{CommonName: "gosuper test"},
		NotBefore:             time.Now().Add(-time.Hour),
		NotAfter:              time.Now().Add(time.Hour),
		IPAddresses:           []net.IP{net.IPv4(127, 0, 0, 1)},
		BasicConstraintsValid: true,
		IsCA:                  true,
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
	}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		panic(err)
	}
	keyBytes, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		panic(err)
	}
	return append(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert}),
		pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyBytes})...)
})

// pairFile returns a descriptor of memory that holds the pair, as the master passes
// it.
func pairFile(t testing.TB) int {
	t.Helper()
	fd, err := unix.MemfdCreate("pair", unix.MFD_CLOEXEC)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := unix.Write(fd, pair()); err != nil {
		t.Fatal(err)
	}
	return fd
}

// trusting is a client's configuration that knows the certificate.
func trusting(protocols ...string) *tls.Config {
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(pair())
	return &tls.Config{RootCAs: pool, ServerName: "127.0.0.1", NextProtos: protocols}
}

// startMaybeTLS serves with limits, over TLS if secure.
func startMaybeTLS(t testing.TB, secure bool, h http.HandlerFunc, limits timeouts) *fixture {
	t.Helper()
	return startAs(t, quiet(h), maybeTLS(t, inheritance{keepAlive: forever, limits: limits}, secure), hold(t))
}

// maybeTLS has a worker inherit a certificate too.
func maybeTLS(t testing.TB, in inheritance, secure bool) inheritance {
	t.Helper()
	if secure {
		var err error
		if in.certificate, err = readPair(pairFile(t)); err != nil {
			t.Fatal(err)
		}
	}
	return in
}

// dial connects to the fixture, over TLS if it has a certificate.
func (f *fixture) dial(t testing.TB) *client {
	t.Helper()
	c := dial(t, f.addr)
	if f.certificate != nil {
		c.Conn = tls.Client(c.Conn, trusting("http/1.1"))
		c.r.Reset(c.Conn)
	}
	return c
}
