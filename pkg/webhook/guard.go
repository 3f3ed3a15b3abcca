package webhook

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strings"
	"syscall"

	"github.com/gxbus/gxbus/pkg/bus"
)

// Guard says where a node dials. Public addresses may be dialled over HTTPS. Private
// ones, those of the machine among them, only where a network is listed, and those in
// plain HTTP too: government networks are private, and so is whatever else a node can
// reach. Link-local addresses (where clouds have their metadata) and the node's own
// ports are never dialled.
type Guard struct {
	Networks []netip.Prefix // listed by the node's configuration
	OwnPorts []uint16       // that the node listens at
	Own      func(netip.Addr) bool
}

var (
	never = prefixes("0.0.0.0/8", "169.254.0.0/16", "100.100.100.200/32", "224.0.0.0/4", "240.0.0.0/4",
		"::/128", "fe80::/10", "fec0::/10", "ff00::/8", "fd00:ec2::254/128")
	listed = prefixes("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "127.0.0.0/8", "192.0.0.0/24", "198.18.0.0/15",
		"::1/128", "fc00::/7", "64:ff9b::/96", "64:ff9b:1::/48", "2002::/16", "2001::/32")
)

func prefixes(texts ...string) []netip.Prefix {
	all := make([]netip.Prefix, len(texts))
	for i, text := range texts {
		all[i] = netip.MustParsePrefix(text)
	}
	return all
}

func within(at netip.Addr, networks []netip.Prefix) bool {
	for _, n := range networks {
		if n.Contains(at) {
			return true
		}
	}
	return false
}

var errAddress = errors.New("an address that is not dialled from here")

// check refuses an address that is not to be dialled, with or without TLS.
func (g Guard) check(at netip.AddrPort, plain bool) error {
	ip := at.Addr().Unmap()
	known := within(ip, g.Networks)
	switch {
	case at.Addr().Zone() != "", within(ip, never):
	case (ip.IsLoopback() || g.Own != nil && g.Own(ip)) && containsPort(g.OwnPorts, at.Port()):
	case !known && (plain || within(ip, listed) || !ip.IsGlobalUnicast()):
	default:
		return nil
	}
	return errAddress
}

func containsPort(ports []uint16, port uint16) bool {
	for _, p := range ports {
		if p == port {
			return true
		}
	}
	return false
}

// Check refuses an address that is not to be dialled.
func (g Guard) Check(at netip.AddrPort) error { return g.check(at, false) }

// control is the check of what a dialler really connects to.
func (g Guard) control(plain bool) func(network, address string, _ syscall.RawConn) error {
	return func(_, address string, _ syscall.RawConn) error {
		at, err := netip.ParseAddrPort(address)
		if err != nil {
			return errAddress
		}
		return g.check(at, plain)
	}
}

// target is where a URL leads.
type target struct {
	host  string
	port  uint16
	plain bool
}

const maxURL = 2048

// parse reads the URL of an endpoint. A host is a name or an address in its usual
// form: others, which some resolvers take for an address, are none here.
func parse(text string) (t target, err error) {
	bad := func(zh, en string) (target, error) {
		return target{}, bus.E(bus.CodeInvalid, bus.Defect{Field: "url", Problem: bus.Text{ZH: zh, EN: en}, Allowed: "https://host[:port]/path, without user, password and fragment"})
	}
	u, err := url.Parse(text)
	if err != nil || len(text) > maxURL || u.Opaque != "" || u.Host == "" || u.User != nil || u.Fragment != "" || u.Scheme != "https" && u.Scheme != "http" {
		return bad("不是可用的地址", "is not a URL that can be delivered to")
	}
	t = target{host: strings.ToLower(u.Hostname()), port: 443, plain: u.Scheme == "http"}
	if t.plain {
		t.port = 80
	}
	if text := u.Port(); text != "" {
		port, err := netip.ParseAddrPort("0.0.0.0:" + text)
		if err != nil || port.Port() == 0 {
			return bad("端口不正确", "has no port that can be dialled")
		}
		t.port = port.Port()
	}
	if _, err := netip.ParseAddr(t.host); err != nil && !named(t.host) {
		return bad("主机名不正确", "has a host that is neither a name nor an address in its usual form")
	}
	return t, nil
}

// named reports whether a host is a name: letters, digits and hyphens, the last label
// not a number in any of the ways in which addresses are written.
func named(host string) bool {
	if host == "" || len(host) > 253 {
		return false
	}
	labels := strings.Split(strings.TrimSuffix(host, "."), ".")
	for _, label := range labels {
		if label == "" || len(label) > 63 || strings.Trim(label, "abcdefghijklmnopqrstuvwxyz0123456789-_") != "" {
			return false
		}
	}
	last := labels[len(labels)-1]
	return strings.Trim(last, "0123456789") != "" && !strings.HasPrefix(last, "0x")
}

// resolve gives the addresses of a host, each of which may be dialled.
func (c *Client) resolve(ctx context.Context, t target) ([]netip.Addr, error) {
	ips := []netip.Addr{}
	if ip, err := netip.ParseAddr(t.host); err == nil {
		ips = append(ips, ip)
	} else if ips, err = c.lookup(ctx, t.host); err != nil || len(ips) == 0 {
		return nil, fmt.Errorf("the host cannot be resolved: %w", errors.Join(err, ctx.Err()))
	}
	for _, ip := range ips {
		if err := c.guard.check(netip.AddrPortFrom(ip, t.port), t.plain); err != nil {
			return nil, err
		}
	}
	return ips, nil
}

// Interfaces tells the addresses of this machine.
func Interfaces(at netip.Addr) bool {
	addresses, err := net.InterfaceAddrs()
	if err != nil {
		return true // whose it is cannot be said
	}
	for _, a := range addresses {
		if prefix, err := netip.ParsePrefix(a.String()); err == nil && prefix.Addr().Unmap() == at {
			return true
		}
	}
	return false
}
