package store

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"syscall"

	"github.com/gxbus/gxbus/pkg/webhook"
)

// Guard says where a node dials for its departments. What an address resolves to is
// looked at when it is dialled. Government networks are private, so that private
// addresses are dialled; those of this very machine only where that is said, and the
// ports of the node itself never (threat S39).
type Guard struct {
	Loopback bool     // the node's own machine may be dialled
	OwnPorts []uint16 // that the node listens at
}

var (
	errAddress = errors.New("an address that is not dialled: link-local, multicast, of no machine, or the node's own")

	anywhere = []netip.Prefix{netip.MustParsePrefix("0.0.0.0/0"), netip.MustParsePrefix("::/0")}

	// An IPv6 address of these leads to an IPv4 address that is part of it.
	translated = []netip.Prefix{
		netip.MustParsePrefix("64:ff9b::/96"), netip.MustParsePrefix("64:ff9b:1::/48"), netip.MustParsePrefix("2002::/16"), netip.MustParsePrefix("2001::/32"),
	}
)

func (g Guard) check(_, address string, _ syscall.RawConn) error {
	at, err := netip.ParseAddrPort(address)
	if err != nil || (webhook.Guard{Networks: anywhere, OwnPorts: g.OwnPorts, Own: webhook.Interfaces}).Check(at) != nil {
		return errAddress
	}
	ip := at.Addr().Unmap()
	for _, n := range translated {
		if n.Contains(ip) {
			return errAddress
		}
	}
	if !g.Loopback && (ip.IsLoopback() || webhook.Interfaces(ip)) {
		return errAddress
	}
	return nil
}

func (g Guard) dial(ctx context.Context, network, address string) (net.Conn, error) {
	d := net.Dialer{Timeout: dialTimeout, Control: g.check}
	return d.DialContext(ctx, network, address)
}
