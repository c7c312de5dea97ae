package config

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"slices"
	"strings"
	"time"
)

// TLS is the table [tls]. Either both are set or none is.
type TLS struct {
	// Cert is the file of the certificate and those of the authorities between
	// it and the root, in PEM and in this order; absolute.
	Cert string
	// Key is the file of its private key, in PEM; absolute.
	Key string
}

// TLSPEM returns the certificates and the key of [TLS] as Load found them, as PEM
// blocks and nothing else, the key last; nil without TLS. Of several keys in one
// file, the first is in it.
func (c *Config) TLSPEM() []byte { return slices.Concat(c.certPEM, c.keyPEM) }

// readTLS reads the files of [tls] and checks that they belong together.
func (l *loader) readTLS() {
	t := l.config.TLS
	if !l.sound("tls.cert", "tls.key") {
		return
	}
	switch {
	case t == TLS{}:
		return
	case t.Key == "":
		l.fail("tls.cert", wrong("", "is nothing without tls.key"))
		return
	case t.Cert == "":
		l.fail("tls.key", wrong("", "is nothing without tls.cert"))
		return
	}
	chain, leaf, err := l.source.readChain(t.Cert)
	if err != nil {
		l.fail("tls.cert", err)
	}
	key, err := l.source.readKey(t.Key)
	if err != nil {
		l.fail("tls.key", err)
	}
	if !l.sound("tls.cert", "tls.key") {
		return
	}
	if _, err := tls.X509KeyPair(chain, key); err != nil {
		l.fail(l.stronger("tls.cert", "tls.key"),
			wrong("", "cert (%s) and key (%s) are not a pair: %s", t.Cert, t.Key, strings.TrimPrefix(err.Error(), "tls: ")))
		return
	}
	if now := time.Now(); now.After(leaf.NotAfter) {
		l.warn("tls.cert: %s expired on %s", t.Cert, leaf.NotAfter.Format(time.RFC3339))
	} else if now.Before(leaf.NotBefore) {
		l.warn("tls.cert: %s is not valid before %s", t.Cert, leaf.NotBefore.Format(time.RFC3339))
	}
	l.config.certPEM, l.config.keyPEM = chain, key
}

// readChain returns the certificates of a file, each of which can be parsed, and
// the first of them.
func (s Source) readChain(path string) (chain []byte, leaf *x509.Certificate, err error) {
	blocks, err := s.readPEM(path)
	if err != nil {
		return nil, nil, err
	}
	for _, b := range blocks {
		if b.Type != "CERTIFICATE" {
			continue
		}
		c, err := x509.ParseCertificate(b.Bytes)
		if err != nil {
			return nil, nil, wrong("", "%s has a broken certificate: %s", path, strings.TrimPrefix(err.Error(), "x509: "))
		}
		if leaf == nil {
			leaf = c
		}
		chain = append(chain, pem.EncodeToMemory(&pem.Block{Type: b.Type, Bytes: b.Bytes})...)
	}
	if leaf == nil {
		return nil, nil, wrong(whatInstead(blocks), "%s has no certificate in PEM", path)
	}
	return chain, leaf, nil
}

// readKey returns the first private key of a file. That it can be parsed shows
// only with its certificate.
func (s Source) readKey(path string) ([]byte, error) {
	blocks, err := s.readPEM(path)
	if err != nil {
		return nil, err
	}
	i := slices.IndexFunc(blocks, isKey)
	switch {
	case i < 0:
		return nil, wrong(whatInstead(blocks), "%s has no private key in PEM", path)
	case strings.HasPrefix(blocks[i].Type, "ENCRYPTED ") || blocks[i].Headers["DEK-Info"] != "":
		return nil, wrong("openssl pkey writes it without", "%s has a private key with a password", path)
	}
	return pem.EncodeToMemory(&pem.Block{Type: blocks[i].Type, Bytes: blocks[i].Bytes}), nil
}

// readPEM returns the PEM blocks of a file.
func (s Source) readPEM(path string) ([]*pem.Block, error) {
	data, err := s.readFile(path)
	if err != nil {
		return nil, wrong("", "%s: %s", path, whyNot("cannot read it", err))
	}
	var blocks []*pem.Block
	for {
		var b *pem.Block
		if b, data = pem.Decode(data); b == nil {
			return blocks, nil
		}
		blocks = append(blocks, b)
	}
}

// isKey reports whether a block is one that crypto/tls takes for a key.
func isKey(b *pem.Block) bool {
	return b.Type == "PRIVATE KEY" || strings.HasSuffix(b.Type, " PRIVATE KEY")
}

// whatInstead is a hint at what a file is in which something was missed.
func whatInstead(blocks []*pem.Block) string {
	switch {
	case len(blocks) == 0:
		return ""
	case slices.ContainsFunc(blocks, isKey):
		return "it has a private key: are cert and key swapped?"
	case slices.ContainsFunc(blocks, func(b *pem.Block) bool { return b.Type == "CERTIFICATE" }):
		return "it has a certificate: are cert and key swapped?"
	}
	return "it has a " + blocks[0].Type
}
