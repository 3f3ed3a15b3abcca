package server

import (
	"context"
	"crypto/x509"

	"github.com/gxbus/gxbus/pkg/audit"
	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/client"
	"github.com/gxbus/gxbus/pkg/directory/command"
	"github.com/gxbus/gxbus/pkg/directory/state"
	"github.com/gxbus/gxbus/pkg/identity"
)

// Join takes a new node in. It is done by the node that holds the CA's key;
// others pass the request on.
func (s *Server) Join(ctx context.Context, request client.JoinRequest) (client.JoinAnswer, error) {
	holder, peers, err := s.caHolder()
	if err != nil {
		return client.JoinAnswer{}, err
	}
	if holder != s.self.Node {
		return s.mesh.Join(ctx, holder, request)
	}
	token, err := identity.ParseToken(request.Token)
	if err != nil {
		return client.JoinAnswer{}, err
	}
	if token.Cluster != s.self.Cluster {
		return client.JoinAnswer{}, bus.E(bus.CodeForeignCluster)
	}
	if err := s.made(ctx, token); err != nil {
		return client.JoinAnswer{}, err
	}
	ca, err := s.signer(ctx)
	if err != nil {
		return client.JoinAnswer{}, err
	}
	f := Founding{Node: request.Node, APIAddress: request.APIAddress}
	certificate, err := ca.Issue(request.CSR, request.Node, f.hosts(), s.now(), certificateLife)
	if err != nil {
		return client.JoinAnswer{}, err
	}
	if err := s.admit(ctx, token, request, certificate); err != nil {
		return client.JoinAnswer{}, err
	}
	answer := client.JoinAnswer{
		Cluster: s.self.Cluster, CA: string(encode(s.proof.Load().roots)),
		Certificate: string(identity.EncodeCertificate(certificate)), Peers: peers,
	}
	err = s.state.View(func(tx *state.Tx) error {
		answer.Parent, _ = tx.Parent(request.Node)
		return nil
	})
	return answer, err
}

// made refuses a token that nobody made, before anything is signed, written or put on
// record for it: who asks is known to nobody, and could go on for ever (threats S15,
// S24).
func (s *Server) made(ctx context.Context, token identity.JoinToken) error {
	for _, look := range []func(context.Context){func(context.Context) {}, s.CatchUp} { // it may be younger than this replica
		look(ctx)
		found := false
		err := s.state.View(func(tx *state.Tx) error {
			t, ok := tx.Token(token.ID)
			found = ok && token.Secret.Matches(t.SecretHash)
			return nil
		})
		if err != nil || found {
			return err
		}
	}
	return bus.E(bus.CodeTokenRefused)
}

// admit redeems the token, which writes the node into the directory. Whoever
// leads then takes it into the raft group.
func (s *Server) admit(ctx context.Context, token identity.JoinToken, request client.JoinRequest, certificate *x509.Certificate) error {
	entry, err := command.New(command.NodeJoin, bus.Principal{Node: s.self.Node}, "", 0, command.Join{
		Token: token.ID, SecretHash: token.Secret.Hash(), KeyHash: identity.KeyHash(certificate.RawSubjectPublicKeyInfo),
		Node: bus.Node{
			ID: request.Node, Division: request.Division, PeerAddress: request.PeerAddress,
			APIAddress: request.APIAddress, EvidenceKey: request.EvidenceKey,
		},
	})
	if err != nil {
		return err
	}
	_, err = s.directory.Write(ctx, entry)
	record := audit.Record{Kind: audit.KindAdministered, Principal: bus.Principal{Node: request.Node}, Detail: "join with token " + string(token.ID)}
	if err != nil {
		record.Kind, record.Code = audit.KindRefused, bus.CodeOf(err)
	}
	if recordErr := s.exchange.Record(ctx, record); recordErr != nil {
		return recordErr
	}
	return err
}

// caHolder returns the node with the CA's key, and all peer addresses.
func (s *Server) caHolder() (holder bus.NodeID, peers map[bus.NodeID]string, err error) {
	peers = map[bus.NodeID]string{}
	err = s.state.View(func(tx *state.Tx) error {
		for n := range tx.Nodes() {
			peers[n.ID] = n.PeerAddress
			if n.CA {
				holder = n.ID
			}
		}
		return nil
	})
	if err == nil && holder == "" {
		err = bus.E(bus.CodeUnavailable)
	}
	return holder, peers, err
}
