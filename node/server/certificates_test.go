package server_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gxbus/gxbus/node/fleet"
	"github.com/gxbus/gxbus/node/mesh"
	"github.com/gxbus/gxbus/node/nodetest"
	"github.com/gxbus/gxbus/node/server"
	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/client"
	"github.com/gxbus/gxbus/pkg/identity"
	"github.com/gxbus/gxbus/pkg/peer"
)

const day = 24 * time.Hour

// presented is the certificate that a node's API shows.
func presented(t *testing.T, n *nodetest.Node) *x509.Certificate {
	t.Helper()
	conn, err := tls.Dial("tcp", n.Config.APIListen, &tls.Config{InsecureSkipVerify: true})
	check(t, err)
	defer conn.Close()
	return conn.ConnectionState().PeerCertificates[0]
}

func TestNodesRenewTheirCertificatesInTime(t *testing.T) {
	now := &clock{at: time.Now().Add(-360 * day)} // the clients of this test know the true time
	c := nodetest.StartWith(t, nodetest.Options{Now: now.Now, Checkpoints: 24 * time.Hour}, fleet.Province()[:2]...)
	old := map[bus.NodeID]*x509.Certificate{}
	for id, n := range c.Nodes {
		leaf, err := identity.LoadCertificate(filepath.Join(n.Config.DataDir, "node.crt"))
		check(t, err)
		old[id] = leaf
	}
	expiring := func(what string, right func(id bus.NodeID, at time.Time) bool) {
		api := c.Client("sysadmin")
		nodetest.Eventually(t, what, func() error {
			a, err := api.Authority(context.Background())
			check(t, err)
			for _, n := range a.Nodes {
				if !right(n.Node, n.Expires) {
					return fmt.Errorf("%+v", a.Nodes)
				}
			}
			return nil
		})
	}
	untouched := func(id bus.NodeID, at time.Time) bool { return at.Equal(old[id].NotAfter) }
	expiring("all nodes have told of their certificates", untouched)
	c.Nodes["guangzhou"].Stop() // this one finds its certificate due when it starts, the first while it runs
	now.advance(240 * day)      // a third of a year is left for three more days
	expiring("no certificate is renewed", untouched)
	now.advance(5 * day)
	c.Nodes["guangzhou"].Start()
	expiring("all nodes have new certificates", func(id bus.NodeID, at time.Time) bool { return at.After(now.Now().Add(364 * day)) })
	for id, n := range c.Nodes {
		path := filepath.Join(n.Config.DataDir, "node.crt")
		leaf, err := identity.LoadCertificate(path)
		check(t, err)
		info, err := os.Stat(path)
		check(t, err)
		if leaf.Equal(old[id]) || !slices.Equal(leaf.RawSubjectPublicKeyInfo, old[id].RawSubjectPublicKeyInfo) || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: on the disk is one until %v, mode %v", id, leaf.NotAfter, info.Mode())
		}
		if !presented(t, n).Equal(leaf) {
			t.Errorf("%s does not show its new certificate without a restart", id)
		}
		if !slices.Equal(leaf.DNSNames, old[id].DNSNames) || len(leaf.IPAddresses) != len(old[id].IPAddresses) {
			t.Errorf("%s was known as %v %v, is now %v %v", id, old[id].DNSNames, old[id].IPAddresses, leaf.DNSNames, leaf.IPAddresses)
		}
	}
	now.advance(130 * day) // the old ones have ended
	c.Nodes["guangzhou"].Stop()
	c.Nodes["guangzhou"].Start()
	c.WaitPlaces()
}

// S21, S22, S25: who may connect, and who may have a certificate renewed.
func TestTheDirectoryDecidesWhoIsAMember(t *testing.T) {
	ctx := context.Background()
	c := nodetest.Start(t, fleet.Province()[:2]...)
	here := c.First.Server
	ca, err := identity.LoadCA(c.First.CA(), filepath.Join(c.First.Config.DataDir, "ca.key"))
	check(t, err)
	keys := map[bus.NodeID]*ecdsa.PrivateKey{}
	issue := func(id bus.NodeID) (*x509.Certificate, []byte) {
		key, err := identity.NewKey()
		check(t, err)
		request, err := identity.NewRequest(key)
		check(t, err)
		leaf, err := ca.Issue(request, id, nil, time.Now(), time.Hour)
		check(t, err)
		keys[id] = key
		return leaf, request
	}
	present, err := identity.LoadCertificate(filepath.Join(c.Nodes["guangzhou"].Config.DataDir, "node.crt"))
	check(t, err)
	stolen, request := issue("guangzhou")
	stranger, _ := issue("foshan")

	check(t, here.Admit("guangzhou", present))
	check(t, here.Known("guangzhou"))
	if err := here.Admit("guangzhou", stolen); bus.CodeOf(err) != bus.CodeForbidden {
		t.Errorf("another key for a node's id: %v", err)
	}
	check(t, here.Admit("foshan", stranger)) // a member that this replica may not know yet: raft alone is spoken with it
	if err := here.Known("foshan"); bus.CodeOf(err) != bus.CodeUnavailable {
		t.Errorf("an id that is not in the directory: %v", err)
	}
	unknown, err := peer.Open(peer.Config{
		Self: "foshan", Cluster: here.ID(), Certificate: identity.NodeCertificate(stranger, ca.Certificate(), keys["foshan"]), Roots: poolOf(ca),
		Resolver: c.Nodes["guangzhou"].Server, Admission: c.Nodes["guangzhou"].Server,
	})
	check(t, err)
	defer func() { check(t, unknown.Close()) }()
	stream, err := unknown.Dial(ctx, "guangdong", peer.Raft)
	check(t, err)
	check(t, stream.Close())
	_, err = mesh.NewClient(unknown.RoundTripper(), unknown.Queries()).Status(ctx, "guangdong")
	refused(t, err, bus.CodeUnavailable, "node")
	if !strings.Contains(err.Error(), "does not know node foshan") {
		t.Errorf("it was refused because of %v", err)
	}

	_, err = here.Renew(ctx, "guangzhou", mesh.Renewal{CSR: request, Certificate: present.Raw})
	refused(t, err, bus.CodeForbidden, "csr")
	key, err := identity.LoadKey(filepath.Join(c.Nodes["guangzhou"].Config.DataDir, "node.key"))
	check(t, err)
	request, err = identity.NewRequest(key)
	check(t, err)
	_, err = here.Renew(ctx, "guangzhou", mesh.Renewal{CSR: request, Certificate: stranger.Raw})
	refused(t, err, bus.CodeForbidden, "certificate")
	_, err = here.Renew(ctx, "foshan", mesh.Renewal{CSR: request, Certificate: present.Raw})
	refused(t, err, bus.CodeForbidden, "csr")
	_, err = c.Nodes["guangzhou"].Server.Renew(ctx, "guangzhou", mesh.Renewal{CSR: request, Certificate: present.Raw})
	refused(t, err, bus.CodeUnavailable, "ca")

	nodetest.Eventually(t, "the node is removed, though it may be writing what it is just then", func() error {
		_, err := c.Client("sysadmin").ChangeNode(ctx, "guangzhou", bus.StepRemove, client.NodeChange{})
		return err
	})
	if err := here.Admit("guangzhou", present); bus.CodeOf(err) != bus.CodeNodeRemoved {
		t.Errorf("a removed node: %v", err)
	}
	if err := here.Known("guangzhou"); bus.CodeOf(err) != bus.CodeNodeRemoved {
		t.Errorf("a removed node is heard: %v", err)
	}
	_, err = here.Renew(ctx, "guangzhou", mesh.Renewal{CSR: request, Certificate: present.Raw})
	refused(t, err, bus.CodeForbidden, "csr")
}

func poolOf(ca *identity.CA) *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(ca.Certificate())
	return pool
}

// with speaks to a node as somebody who has this CA file.
func with(t *testing.T, n *nodetest.Node, ca []byte) error {
	t.Helper()
	api, err := client.New(client.Config{Server: n.Config.APIListen, CAPEM: ca, Attempts: 1})
	check(t, err)
	defer api.Close()
	_, err = api.Version(context.Background())
	return err
}

// certified waits until every node has told of a certificate under the newest root.
func certified(t *testing.T, api *client.Client) client.Authority {
	t.Helper()
	var a client.Authority
	nodetest.Eventually(t, "every node is certified under the new root", func() (err error) {
		if a, err = api.Authority(context.Background()); err != nil {
			return err
		}
		for _, n := range a.Nodes {
			if n.Root != a.Roots[len(a.Roots)-1].Fingerprint {
				return fmt.Errorf("%+v", a.Nodes)
			}
		}
		return nil
	})
	return a
}

func TestTheRootIsReplacedWhileEverythingGoesOn(t *testing.T) {
	ctx := context.Background()
	c := nodetest.Start(t, fleet.Province()[:3]...)
	admin := c.Client("sysadmin")
	old, err := os.ReadFile(c.First.CA())
	check(t, err)
	_, err = admin.RetireCA(ctx, true)
	if !client.IsCode(err, bus.CodeNotFound) {
		t.Errorf("the only root is retired: %v", err)
	}

	shenzhen := c.Nodes["shenzhen"]
	shenzhen.Stop()
	before := map[string]string{}
	for _, name := range []string{"directory.db", "directory.db.mark"} {
		path := filepath.Join(shenzhen.Config.DataDir, name)
		data, err := os.ReadFile(path)
		check(t, err)
		before[path] = string(data)
	}
	begun, err := admin.RotateCA(ctx, "")
	check(t, err)
	if len(begun.Roots) != 2 || begun.Roots[1].Holder != "guangdong" || !begun.Roots[1].Signs {
		t.Fatalf("the roots are %+v", begun.Roots)
	}
	_, err = admin.RotateCA(ctx, "")
	refused(t, err, bus.CodeInUse, "root")
	nodetest.Eventually(t, "a running node is certified under the new root", func() error {
		a, err := admin.Authority(ctx)
		check(t, err)
		for _, n := range a.Nodes {
			if (n.Root == a.Roots[1].Fingerprint) != (n.Node != "shenzhen") {
				return fmt.Errorf("%+v", a.Nodes)
			}
		}
		return nil
	})
	_, err = admin.RetireCA(ctx, false)
	refused(t, err, bus.CodeInUse, "root") // shenzhen

	for _, id := range []bus.NodeID{"guangdong", "guangzhou"} {
		if err := with(t, c.Nodes[id], old); err != nil {
			t.Errorf("an agency with the old ca.crt at %s: %v", id, err)
		}
	}
	token, err := admin.CreateToken(ctx, client.TokenRequest{Node: "tianhe", Division: "440106"})
	check(t, err)
	joining := c.Add(fleet.Province()[3])
	check(t, server.Join(ctx, joining.Founding(), c.Nodes["guangzhou"].Config.APIListen, token.Token))
	joining.Start()
	shenzhen.Start() // it knows the old root alone
	certified(t, admin)
	c.WaitPlaces()

	done, err := admin.RetireCA(ctx, false)
	check(t, err)
	if len(done.Roots) != 1 {
		t.Errorf("the roots are %+v", done.Roots)
	}
	fresh := []byte(done.Roots[0].Certificate)
	nodetest.Eventually(t, "the old root is believed in no more", func() error {
		for id, n := range c.Nodes {
			file, err := os.ReadFile(n.CA())
			check(t, err)
			if string(file) != string(fresh) {
				return fmt.Errorf("%s has in ca.crt\n%s", id, file)
			}
		}
		return nil
	})
	for id, n := range c.Nodes {
		if err := with(t, n, old); err == nil {
			t.Errorf("%s still shows a chain to the old root", id)
		}
		check(t, with(t, n, fresh))
	}
	if _, err := os.Stat(filepath.Join(c.First.Config.DataDir, "ca-next.key")); !os.IsNotExist(err) {
		t.Errorf("the new key did not take the old one's place: %v", err)
	}
	for _, id := range []bus.NodeID{"guangdong", "tianhe"} {
		c.Nodes[id].Stop()
		c.Nodes[id].Start()
	}
	shenzhen.Stop() // its replica forgets that the root was replaced, as after a power cut
	for path, data := range before {
		check(t, os.WriteFile(path, []byte(data), 0o600))
	}
	shenzhen.Start()
	c.WaitPlaces()
	_, err = c.Client("sysadmin").RotateCA(ctx, "guangzhou")
	check(t, err)
	if a := certified(t, c.Client("sysadmin")); !a.Roots[1].Crossed || a.Roots[1].Holder != "guangzhou" {
		t.Errorf("the roots are %+v", a.Roots)
	}
}

// The key of the root is lost with its node: another node makes a new one.
func TestALostSigningKeyIsReplaced(t *testing.T) {
	ctx := context.Background()
	now := &clock{at: time.Now()}
	c := nodetest.StartWith(t, nodetest.Options{Now: now.Now}, fleet.Province()[:4]...)
	admin := c.ClientAt(c.Nodes["guangzhou"], "sysadmin")
	c.First.Stop()
	c.Nodes["tianhe"].Stop()
	_, err := admin.ChangeNode(ctx, "guangdong", bus.StepRemove, client.NodeChange{})
	refused(t, err, bus.CodeInUse, "ca")
	begun, err := admin.RotateCA(ctx, "guangzhou")
	check(t, err)
	_, err = admin.ChangeNode(ctx, "guangdong", bus.StepRemove, client.NodeChange{})
	check(t, err)
	now.advance(time.Minute) // nobody will sign the new root

	// A certificate under it would shut out the node that does not know it yet.
	holder := c.Nodes["guangzhou"]
	present, err := identity.LoadCertificate(filepath.Join(holder.Config.DataDir, "node.crt"))
	check(t, err)
	key, err := identity.LoadKey(filepath.Join(holder.Config.DataDir, "node.key"))
	check(t, err)
	request, err := identity.NewRequest(key)
	check(t, err)
	_, err = holder.Server.Renew(ctx, "guangzhou", mesh.Renewal{CSR: request, Certificate: present.Raw})
	refused(t, err, bus.CodeUnavailable, "ca")
	if !strings.Contains(err.Error(), "tianhe") || strings.Contains(err.Error(), "shenzhen") {
		t.Errorf("it does not name who is missing: %v", err)
	}

	c.Nodes["tianhe"].Start()
	if a := certified(t, admin); a.Roots[1].Crossed || a.Roots[1].Fingerprint != begun.Roots[1].Fingerprint {
		t.Errorf("the roots are %+v", a.Roots)
	}
	_, err = admin.RetireCA(ctx, false)
	check(t, err)
	token, err := admin.CreateToken(ctx, client.TokenRequest{Node: "nanshan", Division: "440305"})
	check(t, err)
	joining := nodetest.NewNode(t, nodetest.Options{Now: now.Now}, fleet.Province()[4])
	nodetest.Eventually(t, "a node joins under the new root", func() error {
		return server.Join(ctx, joining.Founding(), holder.Config.APIListen, token.Token)
	})
	joining.Start()
}

// S21: a node whose certificate has ended opens no connection, in either direction.
func TestS21AnEndedCertificateIsRefused(t *testing.T) {
	now := &clock{at: time.Now()}
	c := nodetest.StartWith(t, nodetest.Options{Now: now.Now, Checkpoints: 24 * time.Hour}, fleet.Province()[:2]...)
	present, err := tls.LoadX509KeyPair(filepath.Join(c.Nodes["guangzhou"].Config.DataDir, "node.crt"), filepath.Join(c.Nodes["guangzhou"].Config.DataDir, "node.key"))
	check(t, err)
	dial := func() error {
		conn, err := tls.Dial("tcp", c.First.Config.PeerListen, &tls.Config{
			Certificates: []tls.Certificate{present}, NextProtos: []string{"gxbus-peer/1"}, InsecureSkipVerify: true,
		})
		if err != nil {
			return err
		}
		defer conn.Close()
		_ = conn.SetDeadline(time.Now().Add(time.Minute))
		answer := make([]byte, 1)
		if _, err := conn.Read(answer); err != nil || answer[0] != 1 {
			return fmt.Errorf("not welcome: %v, %w", answer, net.ErrClosed)
		}
		return nil
	}
	check(t, dial())
	now.advance(366 * day)
	if err := dial(); err == nil {
		t.Error("a certificate that has ended was welcome")
	}
}
