package peer

import (
	"context"
	"math/rand/v2"
	"net"
	"net/netip"
	"time"

	"github.com/gxbus/gxbus/pkg/bus"
)

// reach returns a byte stream that leads to id: a TCP connection to its
// address. It is the one place that chooses a route. TLS runs over whatever it
// returns and is verified against id, so that a stream through the parent, hop
// by hop along the hierarchy, can take the place of the TCP connection without
// anything above or below noticing, and without a relay being trusted.
func (p *Plane) reach(ctx context.Context, id bus.NodeID) (net.Conn, error) {
	address, err := p.config.Resolver.Address(id)
	if err != nil {
		return nil, err
	}
	dialer := net.Dialer{LocalAddr: p.source()}
	return dialer.DialContext(ctx, "tcp", address)
}

// source is the address that connections leave from: the one this node listens
// on, where that is one address, so that a firewall between sites needs one rule
// a node. nil leaves the choice to the system.
func (p *Plane) source() net.Addr {
	host, _, err := net.SplitHostPort(p.config.Listen)
	if err != nil {
		return nil
	}
	ip, err := netip.ParseAddr(host)
	if err != nil || ip.IsUnspecified() {
		return nil
	}
	return &net.TCPAddr{IP: ip.AsSlice(), Zone: ip.Zone()}
}

// jitter spreads waiting between half of d and d, so that nodes that lost the
// same peer do not all come back at once.
func jitter(d time.Duration) time.Duration { return d/2 + rand.N(d/2+1) }
