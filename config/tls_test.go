package config

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
	"os"
	"slices"
	"strings"
	"testing"
	"time"
)

// newPair makes a certificate, valid for an hour from then on, and its key.
func newPair(t *testing.T, name string, from time.Time) (cert, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name},
		NotBefore: from, NotAfter: from.Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return block("CERTIFICATE", der), block("PRIVATE KEY", pkcs8)
}

func block(kind string, data []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: data}))
}

// tlsSource is a source with these two texts in the files of [tls]. The second
// result makes their names short.
func tlsSource(t *testing.T, cert, key string) (Source, *strings.Replacer) {
	t.Helper()
	c, k := write(t, "cert.pem", cert), write(t, "key.pem", key)
	file := write(t, "s.toml", "[tls]\ncert = "+quote(c)+"\nkey = "+quote(k)+"\n")
	return Source{File: file, Command: []string{"a"}}, strings.NewReplacer(file, "FILE", c, "CERT", k, "KEY")
}

func TestTLSPEM(t *testing.T) {
	now := time.Now()
	cert, key := newPair(t, "a", now)
	authority, other := newPair(t, "b", now)
	params := block("EC PARAMETERS", []byte{1})
	tests := map[string][2]string{
		"plain":              {cert + authority, key},
		"no last newline":    {strings.TrimSpace(cert + authority), strings.TrimSpace(key)},
		"text between":       {"Issuer: x\n" + cert + "Issuer: y\n" + authority, "# mine\n" + params + key},
		"all in both":        {key + cert + authority, key + cert + authority},
		"foreign key beside": {other + cert + authority, key},
	}
	for name, files := range tests {
		t.Run(name, func(t *testing.T) {
			source, _ := tlsSource(t, files[0], files[1])
			c, warnings := mustLoad(t, source)
			text := c.TLSPEM()
			if string(text) != cert+authority+key || len(warnings) > 0 {
				t.Errorf("got\n%s\nwarnings %q", text, warnings)
			}
			if pair, err := tls.X509KeyPair(text, text); err != nil || len(pair.Certificate) != 2 {
				t.Errorf("a worker cannot use it: %v", err)
			}
		})
	}
	if c, _ := mustLoad(t, Source{Command: []string{"a"}}); c.TLSPEM() != nil {
		t.Error("there is something without TLS")
	}
}

func TestMistakesInTLS(t *testing.T) {
	now := time.Now()
	cert, key := newPair(t, "a", now)
	_, other := newPair(t, "b", now)
	tests := []struct{ name, cert, key, want string }{
		{"not a pair", cert, other, `FILE:3: tls.key: cert (CERT) and key (KEY) are not a pair: private key does not match public key`},
		{"swapped", key, cert, "2 errors in the configuration\n" +
			"  FILE:2: tls.cert: CERT has no certificate in PEM (it has a private key: are cert and key swapped?)\n" +
			"  FILE:3: tls.key: KEY has no private key in PEM (it has a certificate: are cert and key swapped?)"},
		{"empty", "", "\n", "2 errors in the configuration\n" +
			"  FILE:2: tls.cert: CERT has no certificate in PEM\n" +
			"  FILE:3: tls.key: KEY has no private key in PEM"},
		{"a request", block("CERTIFICATE REQUEST", []byte("x")), key, `FILE:2: tls.cert: CERT has no certificate in PEM (it has a CERTIFICATE REQUEST)`},
		{"a broken certificate", cert + block("CERTIFICATE", []byte("x")), key, `FILE:2: tls.cert: CERT has a broken certificate: malformed certificate`},
		{"a broken key", cert, block("PRIVATE KEY", []byte("x")), `FILE:3: tls.key: cert (CERT) and key (KEY) are not a pair: failed to parse private key`},
		{"a password", cert, block("ENCRYPTED PRIVATE KEY", []byte("x")), `FILE:3: tls.key: KEY has a private key with a password (openssl pkey writes it without)`},
		{"an old password", cert, string(pem.EncodeToMemory(&pem.Block{
			Type: "EC PRIVATE KEY", Headers: map[string]string{"Proc-Type": "4,ENCRYPTED", "DEK-Info": "AES-256-CBC,00"}, Bytes: []byte("x"),
		})), `FILE:3: tls.key: KEY has a private key with a password (openssl pkey writes it without)`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			source, short := tlsSource(t, test.cert, test.key)
			if got := short.Replace(loadError(source).Error()); got != test.want {
				t.Errorf("got  %s\nwant %s", got, test.want)
			}
		})
	}
}

func TestTLSNeedsBoth(t *testing.T) {
	cert, _ := newPair(t, "a", time.Now())
	source := Source{Command: []string{"a"}, File: write(t, "s.toml", "tls.key = \"/nonexistent/key\"\n")}
	if got, want := loadError(source).Error(), source.File+":1: tls.key: is nothing without tls.cert"; got != want {
		t.Errorf("got %s", got)
	}
	file := write(t, "cert.pem", cert)
	source.Environ = []string{"GOSUPER_TLS_CERT=" + file}
	if got, want := loadError(source).Error(), source.File+":1: tls.key: /nonexistent/key: cannot read it: no such file"; got != want {
		t.Errorf("got %s", got)
	}
	source.File = ""
	if got, want := loadError(source).Error(), "GOSUPER_TLS_CERT: is nothing without tls.key"; got != want {
		t.Errorf("got %s", got)
	}
}

func TestCertificateOutOfItsTime(t *testing.T) {
	for _, test := range []struct {
		from time.Duration
		want string
	}{
		{-2 * time.Hour, "tls.cert: CERT expired on "},
		{time.Hour, "tls.cert: CERT is not valid before "},
	} {
		cert, key := newPair(t, "a", time.Now().Add(test.from))
		source, short := tlsSource(t, cert, key)
		_, warnings := mustLoad(t, source)
		if len(warnings) != 1 || !strings.HasPrefix(short.Replace(warnings[0]), test.want) {
			t.Errorf("got %q, not %q", warnings, test.want)
		}
	}
}

func TestRenewedCertificate(t *testing.T) {
	cert, key := newPair(t, "a", time.Now())
	source, _ := tlsSource(t, cert, key)
	before, _ := mustLoad(t, source)
	if err := os.WriteFile(before.TLS.Cert, []byte("# the same\n"+cert), 0o600); err != nil {
		t.Fatal(err)
	}
	same, _ := mustLoad(t, source)
	if diff := Diff(before, same); diff != nil {
		t.Errorf("a comment changes %v", diff)
	}
	cert, key = newPair(t, "a", time.Now())
	if err := os.WriteFile(before.TLS.Cert, []byte(cert), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(before.TLS.Key, []byte(key), 0o600); err != nil {
		t.Fatal(err)
	}
	after, _ := mustLoad(t, source)
	if diff := Diff(before, after); !slices.Equal(diff, []string{"tls.cert", "tls.key"}) {
		t.Errorf("the difference is %v", diff)
	}
	if bytes.Equal(before.TLSPEM(), after.TLSPEM()) {
		t.Error("the old certificate is still there")
	}
}
