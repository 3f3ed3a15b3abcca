package peer

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"

	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/identity"
)

const (
	alpn = "gxbus-peer/1"
	// welcome is the byte the accepting side sends once it has admitted the
	// dialling side. In TLS 1.3 the dialler's handshake ends before its
	// certificate is judged; without this byte a refusal would look like a
	// connection that broke.
	welcome = 1
)

// receive shakes hands with whoever connected and makes a session of it.
func (p *Plane) receive(raw net.Conn) {
	id, conn, err := p.admitInbound(raw)
	p.pending.leave(raw.RemoteAddr())
	if err == nil {
		_, err = p.adopt(id, conn, false)
	}
	if err != nil {
		raw.Close()
		p.config.Logger.Warn("peer: connection refused", "remote", raw.RemoteAddr(), "error", err)
	}
}

func (p *Plane) admitInbound(raw net.Conn) (bus.NodeID, *tls.Conn, error) {
	ctx, cancel := context.WithTimeout(p.ctx, p.config.HandshakeTimeout)
	defer cancel()
	conn := tls.Server(raw, p.inboundTLS())
	err := within(ctx, raw, func() error {
		if err := conn.HandshakeContext(ctx); err != nil {
			return err
		}
		_, err := conn.Write([]byte{welcome})
		return err
	})
	if err != nil {
		return "", nil, err
	}
	id, err := identity.NodeFromCertificate(conn.ConnectionState().PeerCertificates[0], p.config.Cluster)
	return id, conn, err
}

// admitOutbound shakes hands over raw, which is believed to lead to id.
func (p *Plane) admitOutbound(ctx context.Context, raw net.Conn, id bus.NodeID) (*tls.Conn, error) {
	conn := tls.Client(raw, p.outboundTLS(id))
	err := within(ctx, raw, func() error {
		if err := conn.HandshakeContext(ctx); err != nil {
			return err
		}
		var answer [1]byte
		if _, err := io.ReadFull(conn, answer[:]); err != nil {
			return fmt.Errorf("the peer did not admit this node: %w", err)
		}
		if answer[0] != welcome {
			return fmt.Errorf("the peer answered %#x", answer[0])
		}
		return nil
	})
	return conn, err
}

// within runs f and closes raw if ctx ends before f does.
func within(ctx context.Context, raw net.Conn, f func() error) error {
	stop := context.AfterFunc(ctx, func() { raw.Close() })
	err := f()
	if !stop() {
		return errors.Join(context.Cause(ctx), err)
	}
	return err
}

// inboundTLS and outboundTLS have no session tickets: a resumed handshake would
// skip the certificates, and with them what has changed since.
func (p *Plane) inboundTLS() *tls.Config {
	return &tls.Config{
		MinVersion:             tls.VersionTLS13,
		Certificates:           []tls.Certificate{p.config.Certificate},
		ClientAuth:             tls.RequireAndVerifyClientCert,
		ClientCAs:              p.config.Roots,
		NextProtos:             []string{alpn},
		SessionTicketsDisabled: true,
		Time:                   p.config.Now,
		VerifyConnection: func(state tls.ConnectionState) error {
			_, err := p.identify(state)
			return err
		},
	}
}

func (p *Plane) outboundTLS(want bus.NodeID) *tls.Config {
	return &tls.Config{
		MinVersion:             tls.VersionTLS13,
		Certificates:           []tls.Certificate{p.config.Certificate},
		NextProtos:             []string{alpn},
		SessionTicketsDisabled: true,
		Time:                   p.config.Now,
		// The library would look for a host name. A node's name is its id,
		// which VerifyConnection checks along with the chain.
		InsecureSkipVerify: true,
		VerifyConnection: func(state tls.ConnectionState) error {
			if err := p.verifyServer(state.PeerCertificates); err != nil {
				return err
			}
			id, err := p.identify(state)
			if err == nil && id != want {
				err = fmt.Errorf("dialled %s, but the certificate is %s's", want, id)
			}
			return err
		},
	}
}

// verifyServer checks the chain of a server's certificate. The roots sign node
// certificates directly, so that there are no intermediates to consider.
func (p *Plane) verifyServer(chain []*x509.Certificate) error {
	if len(chain) == 0 {
		return errors.New("no certificate")
	}
	_, err := chain[0].Verify(x509.VerifyOptions{
		Roots:       p.config.Roots,
		CurrentTime: p.config.Now(),
		KeyUsages:   []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	})
	return err
}

// identify returns which member a connection with a verified chain comes from.
func (p *Plane) identify(state tls.ConnectionState) (bus.NodeID, error) {
	if state.NegotiatedProtocol != alpn || len(state.PeerCertificates) == 0 {
		return "", errors.New("not a peer connection: " + alpn + " was not negotiated")
	}
	certificate := state.PeerCertificates[0]
	id, err := identity.NodeFromCertificate(certificate, p.config.Cluster)
	if err != nil {
		return "", err
	}
	return id, p.admit(id, certificate)
}

// admit asks whether id may be connected now.
func (p *Plane) admit(id bus.NodeID, certificate *x509.Certificate) error {
	if p.quarantined(id) {
		return fmt.Errorf("node %s is quarantined", id)
	}
	if err := p.config.Admission.Admit(id, certificate); err != nil {
		return fmt.Errorf("node %s is not admitted: %w", id, err)
	}
	return nil
}
