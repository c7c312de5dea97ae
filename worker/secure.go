//go:build unix

package worker

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"
)

const (
	// readHeaderTimeout is what a client gets to send the header of a request, or a
	// TLS handshake: the slowest of networks manage in less, and those who send
	// a byte now and then hold a connection no longer than this.
	readHeaderTimeout = 10 * time.Second
	// maxHeaderBytes bounds the header of a request. The largest that are known to be
	// meant are Kerberos tickets of 64 KiB, in base64.
	maxHeaderBytes = 128 << 10
	// maxPairBytes bounds what is read as certificate and key.
	maxPairBytes = 1 << 20
)

// harden fills in what net/http leaves unlimited.
func harden(srv *http.Server) {
	if srv.ReadHeaderTimeout == 0 && srv.ReadTimeout == 0 {
		srv.ReadHeaderTimeout = readHeaderTimeout
	}
	if srv.MaxHeaderBytes == 0 {
		srv.MaxHeaderBytes = maxHeaderBytes
	}
}

// secure gives the server the inherited certificate, if there is one, unless it has
// its own.
func (p *process) secure(srv *http.Server) {
	if p.certificate == nil {
		return
	}
	config := &tls.Config{}
	if srv.TLSConfig != nil {
		config = srv.TLSConfig.Clone()
	}
	if len(config.Certificates) == 0 && config.GetCertificate == nil && config.GetConfigForClient == nil {
		config.Certificates = []tls.Certificate{*p.certificate}
	}
	srv.TLSConfig = config
}

// serveListener serves one listener until it is closed: TCP with TLS, if there is a
// certificate, and with it HTTP/2.
func (p *process) serveListener(srv *http.Server, l *listener) error {
	if l.Addr().Network() == "tcp" && p.certificate != nil {
		return srv.ServeTLS(l, "", "")
	}
	return srv.Serve(l)
}

// readPair reads a certificate chain and its key from the descriptor, which it
// closes.
func readPair(fd int) (*tls.Certificate, error) {
	file := os.NewFile(uintptr(fd), "certificate")
	if file == nil {
		return nil, errors.New("not a descriptor")
	}
	defer file.Close()
	// The descriptor's position is shared with every other worker.
	content, err := io.ReadAll(io.NewSectionReader(file, 0, maxPairBytes))
	if err != nil {
		return nil, err
	}
	cert, err := tls.X509KeyPair(content, content)
	if err != nil {
		return nil, fmt.Errorf("not a certificate and its key: %w", err)
	}
	return &cert, nil
}
