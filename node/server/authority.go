package server

import (
	"context"
	"crypto/ecdsa"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/gxbus/gxbus/node/mesh"
	"github.com/gxbus/gxbus/pkg/audit"
	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/client"
	"github.com/gxbus/gxbus/pkg/directory/command"
	"github.com/gxbus/gxbus/pkg/directory/state"
	"github.com/gxbus/gxbus/pkg/identity"
)

// authority returns the CA of a root whose key this node has in ca.key or, where
// the root is a new one, in ca-next.key.
func (s *Server) authority(root bus.Root) (*identity.CA, error) {
	certificate, err := x509.ParseCertificate(root.Certificate)
	if err != nil {
		return nil, fmt.Errorf("root %s: %w", root.Fingerprint, err)
	}
	ca, err := identity.OpenCA(certificate, s.dir.path("ca.key"))
	if err == nil {
		return ca, nil
	}
	next, nextErr := identity.OpenCA(certificate, s.dir.path("ca-next.key"))
	if nextErr == nil {
		return next, nil
	}
	return nil, errors.Join(err, nextErr)
}

// signer returns the CA that signs new certificates. A root that its predecessor
// has not signed is used only once every node has it: a node that had not would be
// shut out by the first certificate under it.
func (s *Server) signer(ctx context.Context) (*identity.CA, error) {
	var roots []bus.Root
	var nodes []bus.NodeID
	err := s.state.View(func(tx *state.Tx) error {
		roots = tx.Roots()
		for n := range tx.Nodes() {
			nodes = append(nodes, n.ID)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	if len(roots) == 0 || roots[len(roots)-1].Holder != s.self.Node {
		return nil, bus.E(bus.CodeUnavailable, bus.Defect{Field: "ca", Problem: bus.Text{ZH: "本节点不持有签发密钥", EN: "this node does not hold the signing key"}})
	}
	newest := roots[len(roots)-1]
	if len(roots) > 1 && newest.Cross == nil {
		if err := s.everyoneHas(ctx, nodes, newest); err != nil {
			return nil, err
		}
	}
	return s.authority(newest)
}

func (s *Server) everyoneHas(ctx context.Context, nodes []bus.NodeID, root bus.Root) error {
	answers := everyNode(ctx, s, nodes, s.Describe, s.mesh.Status)
	var behind []string
	for _, id := range nodes {
		if answers[id].AppliedIndex < root.Revision {
			behind = append(behind, string(id))
		}
	}
	if len(behind) == 0 {
		return nil
	}
	names := strings.Join(behind, ", ")
	return bus.E(bus.CodeUnavailable, bus.Defect{
		Field:   "ca",
		Problem: bus.Text{ZH: "以下节点尚未确认新根证书：" + names, EN: "these nodes have not confirmed the new root: " + names},
		Allowed: "wait for them, or remove those that are lost",
	})
}

// Renew certifies a member again, on the node that holds the CA: the key that it
// joined with, under the names that its present certificate has.
func (s *Server) Renew(ctx context.Context, from bus.NodeID, r mesh.Renewal) (mesh.Certificate, error) {
	var none mesh.Certificate
	var node bus.Node
	err := s.state.View(func(tx *state.Tx) error {
		node, _ = tx.Node(from)
		return nil
	})
	if err != nil {
		return none, err
	}
	hash, err := identity.RequestKey(r.CSR)
	if err != nil {
		return none, err
	}
	if node.ID == "" || len(node.Key) > 0 && !slices.Equal(hash, node.Key) {
		return none, bus.E(bus.CodeForbidden, bus.Defect{
			Field: "csr", Problem: bus.Text{ZH: "不是节点加入时的密钥", EN: "not the key that the node joined with"},
		})
	}
	hosts, err := s.hostsOf(from, r.Certificate)
	if err != nil {
		return none, err
	}
	ca, err := s.signer(ctx)
	if err != nil {
		return none, err
	}
	f := Founding{APIAddress: node.APIAddress, Hosts: hosts}
	certificate, err := ca.Issue(r.CSR, from, f.hosts(), s.now(), certificateLife)
	if err != nil {
		return none, err
	}
	return mesh.Certificate{Certificate: certificate.Raw}, s.exchange.Record(ctx, audit.Record{
		Kind: audit.KindAdministered, Principal: bus.Principal{Node: from}, Detail: "certificate renewed until " + certificate.NotAfter.Format("2006-01-02"),
	})
}

// hostsOf returns the names that a node's present certificate has: the cluster
// granted them when it joined.
func (s *Server) hostsOf(id bus.NodeID, der []byte) ([]string, error) {
	present, err := x509.ParseCertificate(der)
	if err == nil {
		var named bus.NodeID
		_, verifyErr := present.Verify(x509.VerifyOptions{
			Roots: pool(s.proof.Load().roots), CurrentTime: s.now(), KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
		})
		named, err = identity.NodeFromCertificate(present, s.self.Cluster)
		if err = errors.Join(verifyErr, err); err == nil && named != id {
			err = errors.New("it is node " + string(named) + "'s")
		}
	}
	if err != nil {
		return nil, bus.E(bus.CodeForbidden, bus.Defect{
			Field: "certificate", Problem: bus.Text{ZH: "不是该节点现用的证书", EN: "not the node's present certificate"},
		}).Because(err)
	}
	hosts := slices.Clone(present.DNSNames)
	for _, ip := range present.IPAddresses {
		hosts = append(hosts, ip.String())
	}
	return hosts, nil
}

// RootHere is makeRoot for nodes through which administrators replace a root.
func (s *Server) RootHere(ctx context.Context, from bus.NodeID) (mesh.Certificate, error) {
	voter := func(tx *state.Tx) error { return tx.Votes(from) }
	if err := s.tells(ctx, from, "the key of a new root", voter); err != nil {
		return mesh.Certificate{}, err
	}
	return s.makeRoot()
}

// makeRoot makes the key of a root to come and returns the root. It is none until
// a system administrator has put it into the directory, and who asks again gets
// one with the same key.
func (s *Server) makeRoot() (mesh.Certificate, error) {
	s.making.Lock()
	defer s.making.Unlock()
	if err := s.adoptKey(); err != nil {
		return mesh.Certificate{}, err
	}
	key, err := identity.LoadKey(s.dir.path("ca-next.key"))
	if errors.Is(err, os.ErrNotExist) {
		if key, err = identity.NewKey(); err == nil {
			err = identity.SaveKey(s.dir.path("ca-next.key"), key)
		}
	}
	if err != nil {
		return mesh.Certificate{}, err
	}
	ca, err := identity.NewRoot(s.self.Cluster, key, s.now())
	if err != nil {
		return mesh.Certificate{}, err
	}
	return mesh.Certificate{Certificate: ca.Certificate().Raw}, nil
}

// adoptKey makes way for the key of a new root: that of the last rotation takes
// the place of the one before it, whose root is trusted no more.
func (s *Server) adoptKey() error {
	next, err := identity.LoadKey(s.dir.path("ca-next.key"))
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	trust := s.proof.Load().trust
	if len(trust) != 1 || trust[0].Holder != s.self.Node || !keyOf(trust[0], next) {
		return nil
	}
	return identity.Replace(s.dir.path("ca-next.key"), s.dir.path("ca.key"))
}

func keyOf(root bus.Root, key *ecdsa.PrivateKey) bool {
	certificate, err := x509.ParseCertificate(root.Certificate)
	return err == nil && key.PublicKey.Equal(certificate.PublicKey)
}

// crossSign has the older root vouch for the newer, on the node that holds the
// older one's key. It signs what the directory says, and nothing that it is asked.
func (s *Server) crossSign(ctx context.Context) error {
	trust := s.proof.Load().trust
	if len(trust) != 2 || trust[1].Cross != nil || trust[0].Holder != s.self.Node {
		return nil
	}
	ca, err := s.authority(trust[0])
	if err != nil {
		return fmt.Errorf("the key of the older root: %w", err)
	}
	root, err := x509.ParseCertificate(trust[1].Certificate)
	if err != nil {
		return err
	}
	cross, err := ca.Cross(root)
	if err != nil {
		return err
	}
	entry, err := command.New(command.RootCross, bus.Principal{Node: s.self.Node}, "", 0, command.Cross{Fingerprint: trust[1].Fingerprint, Certificate: cross.Raw})
	if err != nil {
		return err
	}
	if _, err := s.directory.Write(ctx, entry); err != nil {
		return err
	}
	return s.followRoots()
}

// NewRoot has a node, the present holder where holder is empty, make a root that
// is to take the present one's place, and returns it for the directory.
func (s *Server) NewRoot(ctx context.Context, holder bus.NodeID) (bus.Root, error) {
	if holder == "" {
		var err error
		if holder, _, err = s.caHolder(); err != nil {
			return bus.Root{}, err
		}
	}
	var made mesh.Certificate
	var err error
	if holder == s.self.Node {
		made, err = s.makeRoot()
	} else {
		made, err = s.mesh.NewRoot(ctx, holder)
	}
	if err != nil {
		return bus.Root{}, err
	}
	root, err := x509.ParseCertificate(made.Certificate)
	if err != nil || !root.IsCA || root.CheckSignatureFrom(root) != nil || !slices.Equal(root.Subject.Organization, []string{s.self.Cluster}) {
		return bus.Root{}, bus.E(bus.CodeUnavailable).Because(fmt.Errorf("node %s answered with what is no root: %w", holder, err))
	}
	return bus.Root{Certificate: root.Raw, Holder: holder, Fingerprint: identity.FingerprintOf(root).String()}, nil
}

// Authorities tells which roots are trusted, and which certificate each node has
// told of.
func (s *Server) Authorities() (client.Authority, error) {
	var out client.Authority
	err := s.state.View(func(tx *state.Tx) error {
		roots := tx.Roots()
		for i, r := range roots {
			certificate, err := x509.ParseCertificate(r.Certificate)
			if err != nil {
				return fmt.Errorf("root %s: %w", r.Fingerprint, err)
			}
			out.Roots = append(out.Roots, client.Root{
				Fingerprint: r.Fingerprint, Holder: r.Holder, Signs: i == len(roots)-1, Crossed: r.Cross != nil,
				Expires: certificate.NotAfter, Certificate: string(identity.EncodeCertificate(certificate)),
			})
		}
		for n := range tx.Nodes() {
			out.Nodes = append(out.Nodes, client.Certified{Node: n.ID, Root: n.Root, Expires: n.Expires})
		}
		return nil
	})
	return out, err
}
