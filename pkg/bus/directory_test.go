package bus_test

import (
	"net"
	"net/netip"
	"strconv"
	"strings"
	"testing"

	"github.com/gxbus/gxbus/pkg/bus"
)

func TestAddresses(t *testing.T) {
	for _, good := range []string{
		"127.0.0.1:1", "10.1.2.3:65535", "[::1]:7400", "[2001:db8::1]:443", "0.0.0.0:7400",
		"localhost:7400", "gz.gxbus.example:443", "GZ.Gxbus.Example:443", "gz-node-1:80", "3node:80", "gxbus_gz:80", "gz.gxbus.example.:443",
	} {
		if defects := bus.CheckAddress("address", good); defects != nil {
			t.Errorf("%q: %+v", good, defects)
		}
	}
	for name, bad := range map[string]string{
		"empty": "", "no port": "localhost", "empty port": "localhost:", "no host": ":443", "port 0": "localhost:0",
		"IP with port 0": "127.0.0.1:0", "port too high": "localhost:65536", "negative port": "localhost:-1", "signed port": "localhost:+443",
		"named port": "localhost:https", "port with leading zeros": "localhost:00443", "full-width port": "localhost:４４３",
		"bare IPv6": "::1:443", "IPv6 without port": "[::1]", "zone": "[fe80::1%eth0]:443", "zone with a line feed": "[fe80::1%\n]:443",
		"URL": "https://localhost:443", "path": "localhost/x:443", "user": "root@localhost:443", "space": "local host:443",
		"line feed": "local\nhost:443", "carriage return at the end": "localhost\r:443", "NUL": "local\x00host:443", "ANSI": "\x1b[31mhost:443",
		"IP that is none": "999.1.1.1:443", "short IP": "127.1:443", "number as a host": "2130706433:443", "hexadecimal IP": "0x7f.0.0.1:443", "octal IP": "0177.0.0.1:443",
		"empty label": "a..b:443", "first dot": ".a:443", "only a dot": ".:443", "label with a last hyphen": "a-.b:443",
		"long label": strings.Repeat("a", 64) + ":443", "long name": strings.Repeat("a.", 127) + "aa:443", "query": "a?b:443", "name in brackets": "[localhost]:443", "IPv4 in brackets": "[127.0.0.1]:443", "escape": "a%2eb:443",
	} {
		defects := bus.CheckAddress("peer_address", bad)
		if len(defects) != 1 || defects[0].Field != "peer_address" || defects[0].Allowed == "" {
			t.Errorf("%s: %q: %+v", name, bad, defects)
		}
	}
}

func FuzzCheckAddress(f *testing.F) {
	for _, seed := range []string{"127.0.0.1:1", "[::1]:7400", "localhost:7400", "[fe80::1%eth0]:443", "a:+1", "999.1.1.1:1", "", ":", "]:["} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, address string) {
		if bus.CheckAddress("address", address) != nil {
			return
		}
		host, port, err := net.SplitHostPort(address)
		if err != nil {
			t.Fatalf("%q cannot be dialled: %v", address, err)
		}
		if n, err := strconv.Atoi(port); err != nil || n < 1 || n > 65535 || strconv.Itoa(n) != port {
			t.Errorf("%q has port %q", address, port)
		}
		if _, err := netip.ParseAddr(host); err == nil {
			return
		}
		for _, c := range []byte(host) {
			if c <= ' ' || c >= 0x7f || strings.ContainsRune(`:/?#[]@%\`, rune(c)) {
				t.Errorf("%q has %q in its host", address, c)
			}
		}
	})
}

func TestEntriesListEveryDefectAtOnce(t *testing.T) {
	type checked interface{ Check() []bus.Defect }
	for _, tc := range []struct {
		name  string
		entry checked
		want  string // fields
	}{
		{"whole node", bus.Node{ID: "gz", Division: "440100", PeerAddress: "gz:1", APIAddress: "gz:2"}, ""},
		{"empty node", bus.Node{}, "id division api_address"},
		{"relayed node", bus.Node{ID: "th", Division: "440106", APIAddress: "th:2"}, ""},
		{"voter that nobody can dial", bus.Node{ID: "gz", Division: "440100", APIAddress: "gz:2", Voter: true}, "peer_address"},
		{"whole department", bus.Department{ID: realUSCCs[0], Name: "示例部门", Division: "440100"}, ""},
		{"empty department", bus.Department{}, "id name division"},
		{"blank department", bus.Department{ID: "114400000069401675", Name: " \t", Division: "440100"}, "id name"},
		{"whole system", bus.System{ID: "reg", Department: realUSCCs[0], Name: "示例系统"}, ""},
		{"empty system", bus.System{}, "id name department"},
		{"system of a mistyped department", bus.System{ID: "reg", Department: "114400000069401675", Name: "示例系统"}, "department"},
	} {
		if got := fields(tc.entry.Check()); got != tc.want {
			t.Errorf("%s: defects in %q, want %q", tc.name, got, tc.want)
		}
	}
}

func TestSourcesBelongToTheirSystem(t *testing.T) {
	system := bus.System{ID: "sz-reg"}
	for _, own := range []string{"/systems/sz-reg", "/systems/sz-reg/enterprise", "/systems/sz-reg/a/b_c/d~1.x"} {
		if !system.OwnsSource(own) {
			t.Errorf("%q is refused", own)
		}
	}
	for _, foreign := range []string{
		"", "/", "/systems", "/systems/", "/systems/sz", "/systems/sz-reg2", "/systems/sz-reg-x/a", "systems/sz-reg", "//systems/sz-reg",
		"https://sz/systems/sz-reg", "/Systems/sz-reg", "/systems/sz-reg?x", "/systems/sz-reg#x", "/systems/sz-reg/",
		"/systems/sz-reg/../gz-reg", "/systems/sz-reg/a/../../gz-reg", "/systems/sz-reg/..", "/systems/sz-reg/./a",
		"/systems/sz-reg/%2e%2e/gz-reg", `/systems/sz-reg/..\gz-reg`, "/systems/sz-reg//gz", "/systems/sz-reg/a\r\nce-id: 1",
	} {
		if system.OwnsSource(foreign) {
			t.Errorf("%q is accepted", foreign)
		}
	}
	if !system.OwnsSource(system.Source()) {
		t.Errorf("%q is not its own", system.Source())
	}
}

func TestPrincipalIsOneWord(t *testing.T) {
	for want, p := range map[string]bus.Principal{
		"account:admin": {Account: "admin", Role: bus.RoleAuditor},
		"system:sz-reg": {System: "sz-reg", Department: realUSCCs[0]},
		"node:gz":       {Node: "gz"},
		"anonymous":     {},
	} {
		if got := p.String(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

// fields lists the fields of defects, in order, and is how the tests of this
// package compare them.
func fields(defects []bus.Defect) string {
	var names []string
	for _, d := range defects {
		names = append(names, d.Field)
	}
	return strings.Join(names, " ")
}
