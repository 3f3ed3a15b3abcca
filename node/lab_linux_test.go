package main_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/gxbus/gxbus/node/fleet"
	"github.com/gxbus/gxbus/pkg/bus"
)

// lab is a network of hosts on one machine: a namespace a node, joined by a
// bridge, with a firewall and a line of its own each. The test runs in a namespace
// that it was given (make test-net), so that nothing of it is seen outside.
type lab struct {
	t     *testing.T
	hosts map[bus.NodeID]*host
}

type host struct {
	t         *testing.T
	namespace string
	address   string
	outer     string // the bridge's end of its line
}

const (
	labVariable = "GXBUS_NET" // set by make test-net, which runs the test in a namespace
	labBridge   = "gx0"
	peerPort    = "8441"
	apiPort     = "8440"
)

// newLab gives every node of a fleet a host.
func newLab(t *testing.T, f *fleet.Fleet) *lab {
	t.Helper()
	if os.Getenv(labVariable) == "" {
		t.Skip("no network of namespaces: run make test-net as root")
	}
	l := &lab{t: t, hosts: map[bus.NodeID]*host{}}
	run(t, "ip", "link", "set", "lo", "up")
	run(t, "ip", "link", "add", labBridge, "type", "bridge")
	run(t, "ip", "addr", "add", "10.77.0.254/24", "dev", labBridge)
	run(t, "ip", "link", "set", labBridge, "up")
	for i, n := range f.Nodes() {
		h := &host{t: t, namespace: fmt.Sprintf("gx-%d-%s", os.Getpid(), n.ID()), address: fmt.Sprintf("10.77.0.%d", i+1), outer: fmt.Sprintf("veth%d", i+1)}
		run(t, "ip", "netns", "add", h.namespace)
		t.Cleanup(func() { run(t, "ip", "netns", "del", h.namespace) })
		run(t, "ip", "link", "add", h.outer, "type", "veth", "peer", "name", "eth0", "netns", h.namespace)
		run(t, "ip", "link", "set", h.outer, "master", labBridge, "up")
		h.ip("addr", "add", h.address+"/24", "dev", "eth0")
		h.ip("link", "set", "eth0", "up")
		h.ip("link", "set", "lo", "up")
		n.Peer, n.API = h.address+":"+peerPort, h.address+":"+apiPort
		n.Within = []string{"ip", "netns", "exec", h.namespace}
		l.hosts[n.ID()] = h
	}
	return l
}

func run(t *testing.T, name string, args ...string) {
	t.Helper()
	cmd := exec.CommandContext(context.Background(), name, args...)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s %s: %v: %s", name, strings.Join(args, " "), err, bytes.TrimSpace(out))
	}
}

func (h *host) ip(args ...string) {
	h.t.Helper()
	run(h.t, "ip", append([]string{"-n", h.namespace}, args...)...)
}

// firewall replaces the host's rules; each is one line of nft in a chain that
// sees what comes in and what goes out.
func (h *host) firewall(rules ...string) {
	h.t.Helper()
	script := "table inet gx\ndelete table inet gx\n"
	if len(rules) > 0 {
		script += "table inet gx {\n"
		for _, hook := range []string{"input", "output"} {
			script += "chain " + hook + " { type filter hook " + hook + " priority 0; policy accept;\n" + strings.Join(rules, "\n") + "\n}\n"
		}
		script += "}\n"
	}
	cmd := exec.CommandContext(context.Background(), "ip", "netns", "exec", h.namespace, "nft", "-f", "-")
	cmd.Stdin = strings.NewReader(script)
	if out, err := cmd.CombinedOutput(); err != nil {
		h.t.Fatalf("nft in %s: %v: %s", h.namespace, err, bytes.TrimSpace(out))
	}
}

// cut drops all that goes between this host and other nodes. Agencies still
// reach it.
func (h *host) cut() {
	h.t.Helper()
	h.firewall("tcp dport "+peerPort+" drop", "tcp sport "+peerPort+" drop")
}

// behind lets nothing in but agencies and lets nothing out but to one other host.
func (h *host) behind(other *host) {
	h.t.Helper()
	h.firewall(
		"ip daddr "+h.address+" tcp dport "+apiPort+" accept", "ip saddr "+h.address+" tcp sport "+apiPort+" accept",
		"ip daddr "+other.address+" accept", "ip saddr "+other.address+" tcp sport { "+peerPort+", "+apiPort+" } accept",
		"oif lo accept", "iif lo accept",
		"meta l4proto tcp drop",
	)
}

func (h *host) heal() { h.firewall() }

// slow gives the host a line of so many kilobits a second, both ways; 0 makes it
// fast again.
func (h *host) slow(kilobits int) {
	h.t.Helper()
	for _, end := range [][]string{{"tc", "-n", h.namespace, "qdisc", "DO", "dev", "eth0", "root"}, {"tc", "qdisc", "DO", "dev", h.outer, "root"}} {
		line := slices.Clone(end)
		line[slices.Index(line, "DO")] = "del"
		if kilobits > 0 {
			line[slices.Index(line, "del")] = "add"
			line = append(line, "tbf", "rate", fmt.Sprint(kilobits, "kbit"), "burst", "8kb", "latency", "2s")
		}
		run(h.t, line[0], line[1:]...)
	}
}
