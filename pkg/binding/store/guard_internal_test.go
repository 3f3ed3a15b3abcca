package store

import (
	"net"
	"net/netip"
	"testing"
)

// S39: what a provider binds to is dialled, and nothing that is the node's own or an
// address of no service, however it is written.
func TestS39WhereABindingLeads(t *testing.T) {
	own := []uint16{8440}
	refused := []string{
		"169.254.169.254:80", "[::ffff:169.254.169.254]:80", "100.100.100.200:80", "[fd00:ec2::254]:80", "[64:ff9b::a9fe:a9fe]:80", "[2002:7f00:1::]:80",
		"0.0.0.0:80", "0.1.2.3:80", "[::]:80", "224.0.0.1:80", "255.255.255.255:80", "[fe80::1]:80", "[fe80::1%lo]:80", "[ff02::1]:80",
		"127.0.0.1:8440", "[::1]:8440", "[::ffff:127.0.0.1]:8440", "/var/run/postgresql/.s.PGSQL.5432", "",
	}
	local := []string{"127.0.0.1:80", "127.9.9.9:80", "[::1]:80", "[::ffff:127.0.0.1]:80"}
	addresses, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range addresses {
		prefix, err := netip.ParsePrefix(a.String())
		if err != nil || prefix.Addr().IsLinkLocalUnicast() {
			continue
		}
		refused = append(refused, netip.AddrPortFrom(prefix.Addr(), 8440).String())
		local = append(local, netip.AddrPortFrom(prefix.Addr(), 80).String())
	}
	for _, g := range []Guard{{OwnPorts: own}, {OwnPorts: own, Loopback: true}} {
		for _, at := range refused {
			if g.check("tcp", at, nil) == nil {
				t.Errorf("%+v lets %s be dialled", g, at)
			}
		}
		for _, at := range local {
			if let := g.check("tcp", at, nil) == nil; let != g.Loopback {
				t.Errorf("%+v lets %s be dialled: %t", g, at, let)
			}
		}
		for _, at := range []string{"198.51.100.7:443", "[2001:db8::7]:443"} {
			if err := g.check("tcp", at, nil); err != nil {
				t.Errorf("%+v does not let %s be dialled", g, at)
			}
		}
	}
}
