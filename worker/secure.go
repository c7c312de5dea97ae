//go:build unix

package worker

import (
	"crypto/tls"
	"net/http"
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
