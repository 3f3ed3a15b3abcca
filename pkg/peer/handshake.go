package peer

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

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
	// removed is sent in its place to a node that is no member any more.
	removed = 2
)

// errRemoved means that the peer says this node was removed from the bus. It is
// one node's word: whoever hears it tells people, and does not stop by itself.
var errRemoved = errors.New("this node was removed from the bus; it cannot come back: stop it, and let a new node join under a new id")

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

func (p *Plane) admitInbound(raw net.Conn) (id bus.NodeID, _ *tls.Conn, _ error) {
	ctx, cancel := context.WithTimeout(p.ctx, p.config.HandshakeTimeout)
	defer cancel()
	conn := tls.Server(raw, p.inboundTLS())
	err := within(ctx, raw, func() error {
		if err := conn.HandshakeContext(ctx); err != nil {
			return err
		}
		answer, refused := byte(welcome), error(nil)
		if id, refused = p.identify(conn.ConnectionState()); refused != nil {
			if bus.CodeOf(refused) != bus.CodeNodeRemoved {
				return refused
			}
			answer = removed
		}
		_, err := conn.Write([]byte{answer})
		return errors.Join(refused, err)
	})
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
		switch answer[0] {
		case welcome:
			return nil
		case removed:
			p.tellRemoved(id)
			return errRemoved
		default:
			return fmt.Errorf("the peer answered %#x", answer[0])
		}
	})
	return conn, err
}

// tellRemoved logs what a peer says of this node, once a minute.
func (p *Plane) tellRemoved(by bus.NodeID) {
	now := p.config.Now()
	p.mu.Lock()
	due := now.Sub(p.told) >= time.Minute
	if due {
		p.told = now
	}
	p.mu.Unlock()
	if due {
		p.config.Logger.Error("peer: "+errRemoved.Error(), "node", p.config.Self, "says", by)
	}
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
// skip the certificates, and with them what has changed since. Whether the caller
// is a member is asked once its chain is proved, when it can be told.
func (p *Plane) inboundTLS() *tls.Config {
	proof := p.proof.Load()
	return &tls.Config{
		MinVersion:             tls.VersionTLS13,
		Certificates:           []tls.Certificate{proof.certificate},
		ClientAuth:             tls.RequireAndVerifyClientCert,
		ClientCAs:              proof.roots,
		NextProtos:             []string{alpn},
		SessionTicketsDisabled: true,
		Time:                   p.config.Now,
	}
}

func (p *Plane) outboundTLS(want bus.NodeID) *tls.Config {
	return &tls.Config{
		MinVersion:             tls.VersionTLS13,
		Certificates:           []tls.Certificate{p.proof.Load().certificate},
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

// verifyServer checks the chain of a server's certificate, as the library does
// that of a client's. What stands between it and a root is, while the root is
// replaced, the new one signed by the old.
func (p *Plane) verifyServer(chain []*x509.Certificate) error {
	if len(chain) == 0 {
		return errors.New("no certificate")
	}
	between := x509.NewCertPool()
	for _, certificate := range chain[1:] {
		between.AddCert(certificate)
	}
	_, err := chain[0].Verify(x509.VerifyOptions{
		Roots:         p.proof.Load().roots,
		Intermediates: between,
		CurrentTime:   p.config.Now(),
		KeyUsages:     []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
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
