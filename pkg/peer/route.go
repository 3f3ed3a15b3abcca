package peer

import (
	"context"
	"math/rand/v2"
	"net"
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
	var dialer net.Dialer
	return dialer.DialContext(ctx, "tcp", address)
}

// jitter spreads waiting between half of d and d, so that nodes that lost the
// same peer do not all come back at once.
func jitter(d time.Duration) time.Duration { return d/2 + rand.N(d/2+1) }
