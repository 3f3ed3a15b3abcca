package store

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"syscall"
)

// Guard says where a node dials for its departments. What an address resolves to is
// looked at when it is dialled.
type Guard struct {
	Loopback bool // the node's own machine may be dialled
}

var errAddress = errors.New("an address that is not dialled: link-local, multicast, of no machine, or the node's own")

func (g Guard) check(_, address string, _ syscall.RawConn) error {
	at, err := netip.ParseAddrPort(address)
	if err != nil {
		return errAddress
	}
	ip := at.Addr().Unmap()
	if ip.IsLinkLocalUnicast() || ip.IsMulticast() || ip.IsUnspecified() || ip.IsLoopback() && !g.Loopback {
		return errAddress
	}
	return nil
}

func (g Guard) dial(ctx context.Context, network, address string) (net.Conn, error) {
	d := net.Dialer{Timeout: dialTimeout, Control: g.check}
	return d.DialContext(ctx, network, address)
}
