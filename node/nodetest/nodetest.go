// Package nodetest runs whole nodes inside a test: real sockets on loopback,
// real raft, real bbolt files in the test's directory, real policies.
//
// It is for tests of how nodes work together. A test of one package needs that
// package's parts only.
package nodetest

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/gxbus/gxbus/node/fleet"
	"github.com/gxbus/gxbus/node/sample"
	"github.com/gxbus/gxbus/node/server"
	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/client"
	"github.com/gxbus/gxbus/pkg/peer"
	"github.com/gxbus/gxbus/pkg/policy"
)

// Options are what nodes run with beside their place.
type Options struct {
	Now         func() time.Time // nil: the system's clock
	Log         io.Writer        // nil: no log, or the error stream where TEST_LOG is set
	Checkpoints time.Duration    // between published evidence checkpoints; 0: a second
	Dir         string           // data directories are made below; "": the test's own
	Reserve     int64            // bytes of disk kept free; 0: the default
	Wait        time.Duration    // patience with slow clients; 0: the default
	Policy      policy.Options   // limits of the policy engine; zero: as long as a machine out of breath may take

	Peer   func(bus.NodeID, *peer.Config) // changes a node's peer plane; nil: leaves it
	Config func(*server.Config)           // changes a node's configuration; nil: leaves it
}

// Cluster is a set of running nodes.
type Cluster struct {
	Nodes     map[bus.NodeID]*Node
	First     *Node
	Passwords map[string]string // of the administrators' accounts
	options   Options
	tb        testing.TB
}

// Node is one node of a cluster.
type Node struct {
	Spec   fleet.Spec
	Config server.Config
	Server *server.Server // nil while it is stopped

	options Options
	tb      testing.TB
}

const patience = 60 * time.Second

// Start starts a cluster of the given nodes, the first one founding it, and
// stops it when the test ends. It returns when every node is ready and votes as
// it is meant to.
func Start(tb testing.TB, specs ...fleet.Spec) *Cluster {
	tb.Helper()
	return StartWith(tb, Options{}, specs...)
}

// StartWith is Start with options.
func StartWith(tb testing.TB, o Options, specs ...fleet.Spec) *Cluster {
	tb.Helper()
	c := &Cluster{Nodes: map[bus.NodeID]*Node{}, Passwords: map[string]string{}, options: o, tb: tb}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for i, spec := range specs {
		n := c.Add(spec)
		f := n.Founding()
		if i == 0 {
			c.First = n
			passwords, err := server.Init(ctx, f)
			must(tb, err)
			n.Start()
			c.replacePasswords(ctx, n, passwords)
			continue
		}
		token, err := c.Client("sysadmin").CreateToken(ctx, client.TokenRequest{Node: spec.ID, Division: spec.Division, Voter: spec.Voter})
		must(tb, err)
		through := c.First
		if spec.Through != "" {
			through = c.Nodes[spec.Through]
		}
		must(tb, server.Join(ctx, f, through.Config.APIListen, token.Token))
		n.Start()
	}
	c.WaitPlaces()
	return c
}

// Add makes a node that is to be a member; it has not joined.
func (c *Cluster) Add(spec fleet.Spec) *Node {
	c.tb.Helper()
	n := NewNode(c.tb, c.options, spec)
	c.Nodes[spec.ID] = n
	return n
}

// NewNode gives a node its directory and addresses, which are still empty.
func NewNode(tb testing.TB, o Options, spec fleet.Spec) *Node {
	tb.Helper()
	if o.Now == nil {
		o.Now = time.Now
	}
	config := server.DefaultConfig()
	if o.Dir == "" {
		o.Dir = tb.TempDir()
	}
	config.DataDir = filepath.Join(o.Dir, string(spec.ID))
	config.DiskReserve = cmp.Or(o.Reserve, config.DiskReserve)
	config.PeerListen, config.APIListen = FreeAddress(tb), FreeAddress(tb)
	config.CheckpointInterval = cmp.Or(o.Checkpoints, time.Second)
	config.SystemRate, config.SystemEventRate = 1_000_000, 1_000_000 // a test that is in a hurry is no flood
	config.LoopbackBindings = true
	config.ProbeInterval = time.Hour // a test's service is asked by the test
	if o.Config != nil {
		o.Config(&config)
	}
	return &Node{Spec: spec, Config: config, options: o, tb: tb}
}

// Founding is what Init or Join makes of the node.
func (n *Node) Founding() server.Founding {
	f := server.Founding{
		Dir: server.DataDir(n.Config.DataDir), Node: n.Spec.ID, Division: n.Spec.Division,
		PeerAddress: n.Config.PeerListen, APIAddress: n.Config.APIListen, Now: n.options.Now(),
	}
	if n.Spec.Relayed {
		f.PeerAddress = ""
	}
	return f
}

// FreeAddress returns a loopback address that nobody listened on just now.
func FreeAddress(tb testing.TB) string {
	tb.Helper()
	address, err := fleet.FreeAddress("127.0.0.1")
	must(tb, err)
	return address
}

// Start starts the node on its data directory and stops it when the test ends.
func (n *Node) Start() {
	n.tb.Helper()
	s, err := n.Open()
	must(n.tb, err)
	n.Server = s
	n.tb.Cleanup(n.Stop)
	Eventually(n.tb, "node "+string(n.Spec.ID)+" is ready", s.Ready)
}

// Open opens the node's server, which is then the caller's to close.
func (n *Node) Open() (*server.Server, error) {
	o := server.Options{Version: "test", Logger: n.options.logger(), Now: n.options.Now, Wait: n.options.Wait, Policy: n.options.Policy}
	o.Policy.Deadline, o.Policy.CompileLimit = cmp.Or(o.Policy.Deadline, patience), cmp.Or(o.Policy.CompileLimit, patience)
	if n.options.Peer != nil {
		o.Peer = func(c *peer.Config) { n.options.Peer(n.Spec.ID, c) }
	}
	return server.Open(context.Background(), n.Config, o)
}

// Stop stops the node in good order; it can be started again.
func (n *Node) Stop() {
	if n.Server == nil {
		return
	}
	if err := n.Server.Close(); err != nil {
		n.tb.Errorf("stop node %s: %v", n.Spec.ID, err)
	}
	n.Server = nil
}

func (o Options) logger() *slog.Logger {
	w := o.Log
	if w == nil && os.Getenv("TEST_LOG") != "" {
		w = os.Stderr
	}
	if w == nil {
		return slog.New(slog.DiscardHandler)
	}
	return slog.New(slog.NewTextHandler(w, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

// CA is the file of the cluster's root certificate.
func (n *Node) CA() string { return filepath.Join(n.Config.DataDir, "ca.crt") }

// TLS trusts the cluster and nobody else.
func (n *Node) TLS() *tls.Config {
	n.tb.Helper()
	pem, err := os.ReadFile(n.CA())
	must(n.tb, err)
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)
	return &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS13}
}

// Client speaks to the node with a bearer.
func (n *Node) Client(bearer string) *client.Client {
	n.tb.Helper()
	api, err := client.New(client.Config{Server: n.Config.APIListen, CAFile: n.CA(), Token: bearer})
	must(n.tb, err)
	n.tb.Cleanup(api.Close)
	return api
}

// replacePasswords has each account choose a password, at a node that vouches for
// it.
func (c *Cluster) replacePasswords(ctx context.Context, at *Node, oneTime []server.OneTime) {
	c.tb.Helper()
	for _, o := range oneTime {
		password := rand.Text()
		Eventually(c.tb, "account "+o.Account+" chooses a password", func() error {
			_, err := at.Client("").SignIn(ctx, client.SignIn{Account: o.Account, Password: o.Password, NewPassword: password})
			return err
		})
		c.Passwords[o.Account] = password
	}
}

// home is the node that serves a department, and vouches for its accounts; the first
// one where that is not in the cluster.
func (c *Cluster) home(ctx context.Context, department bus.USCC) *Node {
	c.tb.Helper()
	if department == "" {
		return c.First
	}
	move, err := c.Client("sysadmin").Move(ctx, department)
	must(c.tb, err)
	if n, ok := c.Nodes[move.Home]; ok {
		return n
	}
	return c.First
}

// Client signs in at the first node.
func (c *Cluster) Client(account string) *client.Client { return c.ClientAt(c.First, account) }

// ClientAt signs in at a node.
func (c *Cluster) ClientAt(n *Node, account string) *client.Client {
	c.tb.Helper()
	return n.Client(c.SignIn(n, account))
}

// SignIn opens a session at a node and returns its bearer.
func (c *Cluster) SignIn(n *Node, account string) string {
	c.tb.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	session, err := n.Client("").SignIn(ctx, client.SignIn{Account: account, Password: c.Passwords[account]})
	must(c.tb, err)
	return session.Token
}

// Publish publishes resources, with a data authority of the province and its
// reviewer if there is none yet.
func (c *Cluster) Publish(resources ...bus.Resource) {
	c.tb.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	admin := c.Client("sysadmin")
	if c.Passwords[sample.Reviewer] == "" {
		if _, err := admin.Departments().Put(ctx, sample.ProvinceData); !client.IsCode(err, bus.CodeExists) {
			must(c.tb, err)
		}
		reviewer, err := sample.Review(ctx, admin, c.Client("secadmin"))
		must(c.tb, err)
		c.replacePasswords(ctx, c.First, []server.OneTime{{Account: sample.Reviewer, Password: reviewer.Password}})
	}
	must(c.tb, sample.Publish(ctx, admin, c.Client(sample.Reviewer), resources...))
}

// Enact puts a policy layer in force: one security administrator pushes it, a second
// one, made if there is none yet, activates it.
func (c *Cluster) Enact(layer bus.Layer) bus.Layer {
	c.tb.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if c.Passwords[sample.Second] == "" {
		c.AddAccount(bus.Account{Name: sample.Second, Role: bus.RoleSecurityAdministrator})
	}
	made, err := sample.Enact(ctx, c.Client("secadmin"), c.Client(sample.Second), layer)
	must(c.tb, err)
	return made
}

// AddAccount creates an account, with a password of its own, and signs it in at the
// node that serves its department; an administrator at the first node.
func (c *Cluster) AddAccount(account bus.Account) (bearer string) {
	c.tb.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	made, err := c.Client("secadmin").Accounts().Put(ctx, account)
	must(c.tb, err)
	at := c.home(ctx, account.Department)
	c.replacePasswords(ctx, at, []server.OneTime{{Account: account.Name, Password: made.Password}})
	return c.SignIn(at, account.Name)
}

// WaitPlaces waits until the nodes that are meant to vote do, and the others are
// members.
func (c *Cluster) WaitPlaces() {
	c.tb.Helper()
	api := c.Client("sysadmin")
	Eventually(c.tb, "every node has its place", func() error {
		status, err := api.Status(context.Background(), false)
		if err != nil {
			return err
		}
		if len(status.Members) != len(c.Nodes) {
			return fmt.Errorf("%d members of %d", len(status.Members), len(c.Nodes))
		}
		for _, m := range status.Members {
			want := map[bool]string{true: "voter", false: "non-voter"}[c.Nodes[m.ID].Spec.Voter || c.Nodes[m.ID] == c.First]
			if m.Suffrage != want || !m.Reachable || m.AppliedIndex == 0 {
				return fmt.Errorf("node %s: %s, reachable %v, index %d", m.ID, m.Suffrage, m.Reachable, m.AppliedIndex)
			}
		}
		return nil
	})
}

// Eventually waits until check returns nil.
func Eventually(tb testing.TB, what string, check func() error) {
	tb.Helper()
	deadline := time.NewTimer(patience)
	defer deadline.Stop()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		err := check()
		if err == nil {
			return
		}
		select {
		case <-tick.C:
		case <-deadline.C:
			tb.Fatalf("waited %v until %s: %v", patience, what, err)
		}
	}
}

// SampleLayer is the sample policy layer of a division.
func SampleLayer(tb testing.TB, division bus.DivisionCode) bus.Layer {
	tb.Helper()
	layers, err := policy.Samples()
	must(tb, err)
	for _, l := range layers {
		if l.ID == bus.DivisionLayer(division) {
			return l
		}
	}
	tb.Fatalf("no sample layer of division %s", division)
	return bus.Layer{}
}

func must(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}
