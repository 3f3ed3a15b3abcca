package server

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/gxbus/gxbus/node/mesh"
	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/directory/command"
	"github.com/gxbus/gxbus/pkg/directory/state"
	"github.com/gxbus/gxbus/pkg/identity"
)

// A node renews its certificate by itself, with the key that it joined with: that
// key is what the directory knows it by, and one file, replaced in one step, is
// all that changes on the disk.

const (
	certificatePause    = time.Second // between two looks at the certificate
	maxCertificatePause = time.Minute // after failures
	renewAt             = 3           // renewed when a third of its life is left
	crossPatience       = time.Minute // for the old root's holder to sign the new root
)

// credentials are what this node proves itself with and whom it believes.
type credentials struct {
	leaf  *x509.Certificate
	tls   tls.Certificate
	roots []*x509.Certificate // oldest first
	trust []bus.Root          // what of them the directory says; empty where it has none yet
}

// root returns which of the trusted roots vouches for the certificate, "" if none.
func (c *credentials) root() string {
	for _, r := range c.roots {
		if c.leaf.CheckSignatureFrom(r) == nil {
			return identity.FingerprintOf(r).String()
		}
	}
	return ""
}

func pool(roots []*x509.Certificate) *x509.CertPool {
	p := x509.NewCertPool()
	for _, r := range roots {
		p.AddCert(r)
	}
	return p
}

func encode(certificates []*x509.Certificate) (pem []byte) {
	for _, c := range certificates {
		pem = append(pem, identity.EncodeCertificate(c)...)
	}
	return pem
}

// prove takes up a certificate, and the roots as the directory has them now. It
// takes effect at the next handshake.
func (s *Server) prove(leaf *x509.Certificate) error {
	next := &credentials{leaf: leaf, roots: s.self.roots}
	trust, err := s.directoryRoots()
	if err != nil {
		return err
	}
	next.trust = trust
	var crossed []*x509.Certificate
	if len(next.trust) > 0 {
		next.roots = nil
	}
	for _, r := range next.trust {
		root, err := x509.ParseCertificate(r.Certificate)
		if err != nil {
			return fmt.Errorf("root %s of the directory: %w", r.Fingerprint, err)
		}
		next.roots = append(next.roots, root)
		if cross, err := x509.ParseCertificate(r.Cross); err == nil {
			crossed = append(crossed, cross)
		}
	}
	newest := next.roots[len(next.roots)-1]
	next.tls = identity.NodeCertificate(leaf, newest, s.self.key, append(crossed, next.roots[:len(next.roots)-1]...)...)
	if s.peers != nil {
		if err := s.peers.Renew(next.tls, pool(next.roots)); err != nil {
			return err
		}
	}
	s.proof.Store(next)
	return nil
}

// directoryRoots returns the roots as the directory has them. There are none while
// the replica is empty, and while it has yet to come to where it was: after a power
// cut it may lack its last second, in which the roots changed. What ca.crt says then
// holds.
func (s *Server) directoryRoots() (roots []bus.Root, err error) {
	err = s.state.View(func(tx *state.Tx) error {
		for _, file := range s.self.roots {
			if fingerprint := identity.FingerprintOf(file).String(); !tx.KnowsRoot(fingerprint) {
				return nil
			}
		}
		roots = tx.Roots()
		return nil
	})
	return roots, err
}

// apiCertificate is the API's for the next handshake.
func (s *Server) apiCertificate(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	return &s.proof.Load().tls, nil
}

// Fingerprint is what a join token recognises the cluster by: the root that every
// node's chain leads to. While the root is replaced that is the older one, if it
// has signed its successor, else the one that this node is certified under.
func (s *Server) Fingerprint() identity.Fingerprint {
	proof := s.proof.Load()
	for _, r := range proof.roots {
		if identity.FingerprintOf(r).String() == proof.root() || len(proof.trust) == 2 && proof.trust[1].Cross != nil {
			return identity.FingerprintOf(r)
		}
	}
	return identity.FingerprintOf(proof.roots[len(proof.roots)-1])
}

// keepCertificate follows the roots of the directory and renews the node's
// certificate in time.
func (s *Server) keepCertificate(ctx context.Context) {
	wait := certificatePause
	for {
		if err := s.certify(ctx); err == nil {
			wait = certificatePause
		} else if ctx.Err() == nil {
			s.logger.Warn("keep the node's certificate", "error", err, "again_in", wait)
			wait = min(2*wait, maxCertificatePause)
		}
		if !pause(ctx, wait) {
			return
		}
	}
}

func (s *Server) certify(ctx context.Context) error {
	if err := s.followRoots(); err != nil {
		return err
	}
	if err := s.crossSign(ctx); err != nil {
		return err
	}
	if err := s.renew(ctx); err != nil {
		return err
	}
	return s.tellCertificate(ctx)
}

// followRoots trusts what the directory says, on disk first: a node that starts
// again must believe in the root that its own certificate may be under by then.
func (s *Server) followRoots() error {
	before := s.proof.Load()
	roots, err := s.directoryRoots()
	if err != nil || len(roots) == 0 || slices.EqualFunc(roots, before.trust, sameRoot) {
		return err
	}
	if err := s.prove(before.leaf); err != nil {
		return err
	}
	after := s.proof.Load()
	if err := identity.WriteFile(s.dir.path("ca.crt"), encode(after.roots)); err != nil {
		return err
	}
	if len(before.trust) == 0 {
		return nil // the first look at the directory
	}
	s.logger.Info("the trusted roots have changed", "roots", len(after.roots), "signs", after.trust[len(after.trust)-1].Holder)
	if len(after.roots) >= len(before.roots) {
		return nil
	}
	s.endSessions() // what was proved under the old root is proved anew
	s.making.Lock()
	defer s.making.Unlock()
	return s.adoptKey()
}

func sameRoot(a, b bus.Root) bool {
	return a.Fingerprint == b.Fingerprint && slices.Equal(a.Cross, b.Cross)
}

// endSessions has every other node shake hands again.
func (s *Server) endSessions() {
	_, peers, err := s.caHolder()
	if err != nil {
		s.logger.Error("end sessions", "error", err)
	}
	for id := range peers {
		s.peers.Disconnect(id)
	}
}

// renew gets a new certificate where it is time: a third of its life is left, or
// a new root has taken over.
func (s *Server) renew(ctx context.Context) error {
	proof := s.proof.Load()
	if len(proof.trust) == 0 {
		return nil
	}
	newest := proof.trust[len(proof.trust)-1]
	life := proof.leaf.NotAfter.Sub(proof.leaf.NotBefore)
	if proof.leaf.NotAfter.Sub(s.now()) > life/renewAt && proof.root() == newest.Fingerprint {
		return nil
	}
	if len(proof.trust) > 1 && newest.Cross == nil && s.now().Sub(newest.Added) < crossPatience {
		return nil // a chain to the old root is about to be there for those who know only that
	}
	request, err := identity.NewRequest(s.self.key)
	if err != nil {
		return err
	}
	renewal := mesh.Renewal{CSR: request, Certificate: proof.leaf.Raw}
	var answer mesh.Certificate
	if newest.Holder == s.self.Node {
		answer, err = s.Renew(ctx, s.self.Node, renewal)
	} else {
		answer, err = s.mesh.Renew(ctx, newest.Holder, renewal)
	}
	if err != nil {
		return fmt.Errorf("renew the certificate at node %s: %w", newest.Holder, err)
	}
	leaf, err := s.believe(answer.Certificate, proof)
	if err != nil {
		return err
	}
	if err := identity.WriteFile(s.dir.path("node.crt"), identity.EncodeCertificate(leaf)); err != nil {
		return err
	}
	s.logger.Info("the node's certificate was renewed", "until", leaf.NotAfter, "root", newest.Fingerprint[:16])
	return s.prove(leaf)
}

// believe checks that a certificate is what was asked for: this node's, with its
// key, under a root that it trusts.
func (s *Server) believe(der []byte, proof *credentials) (*x509.Certificate, error) {
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("the new certificate: %w", err)
	}
	next := s.self
	next.leaf, next.roots = leaf, proof.roots
	return leaf, next.verify(s.now())
}

// tellCertificate has the directory know which certificate this node has, so that
// an old root is not given up too early.
func (s *Server) tellCertificate(ctx context.Context) error {
	proof := s.proof.Load()
	var node bus.Node
	err := s.state.View(func(tx *state.Tx) error {
		node, _ = tx.Node(s.self.Node)
		return nil
	})
	root := proof.root()
	if err != nil || node.ID == "" || node.Root == root && node.Expires.Equal(proof.leaf.NotAfter) {
		return err
	}
	if root == "" {
		return errors.New("the node's certificate is under a root that is trusted no more: remove this node, and let it join under a new id")
	}
	revision := node.Revision
	node.Root, node.Expires = root, proof.leaf.NotAfter.UTC()
	entry, err := command.New(command.NodePut, bus.Principal{Node: s.self.Node}, "", revision, node)
	if err != nil {
		return err
	}
	_, err = s.directory.Write(ctx, entry)
	return err
}
