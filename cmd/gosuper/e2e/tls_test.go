//go:build linux

package e2e

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"io"
	"maps"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// pair makes a self-signed certificate with the serial number, and its key, as PEM.
func pair(t *testing.T, serial int64) (cert, key []byte) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: "e2e"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}),
		pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret})
}

// put writes a file as those who renew certificates do, at one stroke.
func put(t *testing.T, path string, content []byte) {
	t.Helper()
	if err := os.WriteFile(path+".new", content, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
}

// secureGet gets a path over a new TLS connection and returns the serial number of
// the certificate that was shown.
func (m *master) secureGet(path string, trusted ...[]byte) (serial int64, answer *http.Response, err error) {
	m.t.Helper()
	pool := x509.NewCertPool()
	for _, cert := range trusted {
		pool.AppendCertsFromPEM(cert)
	}
	transport := &http.Transport{ForceAttemptHTTP2: true, TLSClientConfig: &tls.Config{RootCAs: pool}}
	defer transport.CloseIdleConnections()
	client := http.Client{Timeout: testTimeout, Transport: transport}
	if answer, err = client.Get("https://" + m.addr() + path); err != nil {
		return 0, nil, err
	}
	defer answer.Body.Close()
	_, err = io.Copy(io.Discard, answer.Body)
	return answer.TLS.PeerCertificates[0].SerialNumber.Int64(), answer, err
}

// The certificate of the configuration is served with HTTP/2; a renewed one by the
// workers of a reload, and one that does not fit its key by nobody.
func TestTLS(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	certFile, keyFile := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	cert1, key1 := pair(t, 1)
	cert2, key2 := pair(t, 2)
	put(t, certFile, cert1)
	put(t, keyFile, key1)
	m := up(t, `timeout = "1s"`, "[tls]", fmt.Sprintf("cert = %q", certFile), fmt.Sprintf("key = %q", keyFile))
	shown := func(want int64) {
		t.Helper()
		for range 10 {
			serial, answer, err := m.secureGet("/", cert1, cert2)
			if err != nil || serial != want || answer.StatusCode != 200 || answer.ProtoMajor != 2 {
				t.Fatalf("certificate %d, want %d: %v, %v", serial, want, answer, err)
			}
		}
	}
	shown(1)
	begin := time.Now()
	if _, answer, err := m.secureGet("/nap?d=1500ms", cert1); err != nil || answer.StatusCode != 504 || answer.ProtoMajor != 2 {
		t.Errorf("want 504 over HTTP/2: %v, %v", answer, err)
	}
	if took := time.Since(begin); took < limit || took > 10*limit {
		t.Errorf("504 over HTTP/2 after %v", took)
	} else {
		t.Logf("504 over HTTP/2 after %v", took)
	}

	old := m.workers()
	put(t, certFile, cert2)
	put(t, keyFile, key2)
	m.reload()
	for slot := range old {
		m.wait(t, 0, "worker gone", match{"pid": old[slot]})
	}
	shown(2)

	kept := m.workers()
	put(t, keyFile, key1)
	from := m.mark()
	m.signal(syscall.SIGHUP)
	e := m.wait(t, from, "reload refused, nothing was changed", nil)
	if why := e.str("error"); !strings.Contains(why, "tls.") || !strings.Contains(why, "not a pair") {
		t.Errorf("it is not said why: %s", why)
	}
	shown(2)
	// One that is started now has what the workers before it have.
	if err := syscall.Kill(kept[0], syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	next := m.wait(t, from, "worker ready", match{"slot": 0}).num("pid")
	answeredBy := map[string]bool{}
	eventually(t, "the new worker answers", func() bool {
		serial, answer, err := m.secureGet("/", cert2)
		if err != nil || serial != 2 {
			t.Fatalf("certificate %d: %v", serial, err)
		}
		answeredBy[answer.Header.Get("X-Worker-Pid")] = true
		return answeredBy[fmt.Sprint(next)]
	})
	if now := m.workers(); !maps.Equal(now, map[int]int{0: next, 1: kept[1]}) {
		t.Errorf("workers %v, before %v", now, kept)
	}
	m.stopped(match{"timeouts": 1})
}
