package server_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/gxbus/gxbus/node/fleet"
	"github.com/gxbus/gxbus/node/nodetest"
	"github.com/gxbus/gxbus/node/sample"
	"github.com/gxbus/gxbus/node/server"
	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/client"
	"github.com/gxbus/gxbus/pkg/peer"
)

// firewall lets a node connect to the addresses of some nodes only; what goes to
// others is dropped. It sees every byte that passes it, and every byte that
// relays handle.
type firewall struct {
	mu      sync.Mutex
	only    map[bus.NodeID]bus.NodeID // who is let out, and whereto; others may go anywhere
	listens map[bus.NodeID]string
	wire    bytes.Buffer // what went over TCP
	relayed bytes.Buffer // what relays spliced
}

func (f *firewall) guard(id bus.NodeID, c *peer.Config) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.listens[id] = c.Listen
	c.Tap = func(b []byte) {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.relayed.Write(b)
	}
	c.Connect = func(ctx context.Context, address string) (net.Conn, error) {
		if !f.passes(id, address) {
			<-ctx.Done()
			return nil, context.Cause(ctx)
		}
		conn, err := new(net.Dialer).DialContext(ctx, "tcp", address)
		if err != nil {
			return nil, err
		}
		return watched{conn, f}, nil
	}
}

func (f *firewall) passes(id bus.NodeID, address string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	only, bound := f.only[id]
	return !bound || f.listens[only] == address
}

type watched struct {
	net.Conn
	by *firewall
}

func (w watched) Read(b []byte) (int, error) {
	n, err := w.Conn.Read(b)
	w.by.see(b[:n])
	return n, err
}

func (w watched) Write(b []byte) (int, error) {
	w.by.see(b)
	return w.Conn.Write(b)
}

func (f *firewall) see(b []byte) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.wire.Write(b)
}

// behind is the province whose counties are let out to their cities only, and
// take no connections.
func behind(t *testing.T) (*story, *firewall) {
	t.Helper()
	f := &firewall{only: map[bus.NodeID]bus.NodeID{"tianhe": "guangzhou", "nanshan": "shenzhen"}, listens: map[bus.NodeID]string{}}
	specs := fleet.Province()
	for i := range specs {
		if city, ok := f.only[specs[i].ID]; ok {
			specs[i].Relayed, specs[i].Through = true, city
		}
	}
	return tellWith(t, nodetest.Options{Peer: f.guard}, specs...), f
}

func TestAProvinceWhoseCountiesAreBehindFirewalls(t *testing.T) {
	s, wall := behind(t)
	for _, part := range []struct {
		name string
		run  func(*story, *testing.T)
	}{
		{"the counties listen for nothing and are seen", relayedAreSeen},
		{"every node knows the way to every other", waysAreKnown},
		{"a write through any node is shown there at once", writesThroughAnyNode},
		{"all nodes hold the same state at the same index", sameStateEverywhere},
		{"a grant is usable at once at every node", usableAtOnce},
		{"a trace shows every step across nodes", traced},
		{"events cross from county to county, unreadable between", func(s *story, t *testing.T) { crosses(s, wall, t) }},
		{"a node restarts while the others go on", oneRestarts},
		{"a killed city leaves its county working inside", cityGone},
		{"the leader goes and another is elected", leaderGone},
		{"the province's node goes and the cities go around it", provinceGone},
		{"a city's layer narrows, a province's denies", layersChangeOutcomes},
		{"S37 nothing is delivered after a revocation", revocationStops},
		{"the evidence of every node verifies", evidenceVerifies},
	} {
		if !t.Run(part.name, func(t *testing.T) { part.run(s, t) }) {
			return
		}
	}
}

func relayedAreSeen(s *story, t *testing.T) {
	status, err := s.Client("auditor").Status(context.Background(), false)
	check(t, err)
	for _, m := range status.Members {
		county := m.ID == "tianhe" || m.ID == "nanshan"
		if m.Relayed != county || !m.Reachable {
			t.Errorf("%s: relayed %v, reachable %v", m.ID, m.Relayed, m.Reachable)
		}
		if city := m.ID == "guangzhou" || m.ID == "shenzhen"; city && (m.Relaying.Total == 0 || m.Relaying.Bytes == 0) {
			t.Errorf("%s says it relayed %+v", m.ID, m.Relaying)
		}
		if county && (s.Nodes[m.ID].Server.PeerAddress() != "" || answersAt(s.Nodes[m.ID].Config.PeerListen)) {
			t.Errorf("%s listens on %q", m.ID, s.Nodes[m.ID].Server.PeerAddress())
		}
	}
}

func waysAreKnown(s *story, t *testing.T) {
	for _, way := range []struct {
		from, to bus.NodeID
		want     []bus.NodeID
	}{
		{"tianhe", "nanshan", []bus.NodeID{"guangzhou", "shenzhen"}},
		{"shenzhen", "tianhe", []bus.NodeID{"guangdong", "guangzhou"}}, // around the province, should it be down
		{"guangdong", "tianhe", []bus.NodeID{"guangzhou"}},
		{"guangzhou", "tianhe", []bus.NodeID{"tianhe"}},
	} {
		if got, err := s.Nodes[way.from].Server.Next(way.to); err != nil || !slices.Equal(got, way.want) {
			t.Errorf("from %s to %s: %v, %v; want %v", way.from, way.to, got, err, way.want)
		}
	}
	if _, err := s.Nodes["tianhe"].Server.Next("foshan"); bus.CodeOf(err) != bus.CodeNotFound {
		t.Errorf("to a node that is none: %v", err)
	}
}

func answersAt(address string) bool {
	conn, err := net.Dial("tcp", address)
	if err == nil {
		conn.Close()
	}
	return err == nil
}

// crosses publishes at a county under one city what a county under another
// subscribes to. The path between has no byte of it in the clear.
func crosses(s *story, wall *firewall, t *testing.T) {
	const canary = "CANARY-2f1c9d"
	ctx := context.Background()
	provider := bus.Department{ID: sample.USCC("440305", 700), Name: "南山区市场监管局（样例）", Division: "440305"}
	admin := s.Client("sysadmin")
	_, err := admin.Departments().Put(ctx, provider)
	check(t, err)
	credential, err := admin.Systems().Put(ctx, sample.SystemOf(provider))
	check(t, err)
	atNanshan := s.Nodes["nanshan"].Client(credential.Bearer)
	resource := sample.EnterpriseRegistration()
	resource.ID, resource.Codes, resource.Provider = "nanshan-registration", []bus.ResourceCode{"3010010001/000902"}, provider.ID
	s.Publish(resource)
	nodetest.Eventually(t, "the county knows the credential and the resource", func() error {
		_, err := atNanshan.Resources().Read(ctx, resource.ID)
		return err
	})
	_, err = s.Client("secadmin").Grants().Put(ctx, sample.Grant("grant-nanshan", resource, sample.TianheServices))
	check(t, err)
	_, err = s.consumer.Subscriptions().Put(ctx, bus.Subscription{
		ID: "sub-nanshan", Resource: resource.ID, Grant: "grant-nanshan", Purpose: bus.PurposeAdministrativeBasis,
	})
	check(t, err)
	before := wall.size()
	e := sample.Event(sample.SystemOf(provider), 1)
	e.SetSubject(canary)
	var data map[string]any
	check(t, json.Unmarshal(e.Data(), &data))
	data["enterprise_name"] = canary
	check(t, e.SetData("application/json", data))
	_, err = atNanshan.Publish(ctx, resource.ID, e)
	check(t, err)
	nodetest.Eventually(t, "the event arrives", func() error {
		events, last, err := s.consumer.Pull(ctx, "sub-nanshan", 10)
		if err != nil || len(events) == 0 {
			return errors.Join(err, errors.New("nothing yet"))
		}
		if events[0].Subject() != canary || !strings.Contains(string(events[0].Data()), canary) {
			t.Fatalf("arrived as %v", events[0])
		}
		return s.consumer.Ack(ctx, "sub-nanshan", last)
	})
	after := wall.size()
	if after.relayed-before.relayed < 3*len(e.Data()) || after.wire-before.wire < 4*len(e.Data()) {
		t.Errorf("the taps saw too little: %+v, then %+v", before, after)
	}
	wall.mu.Lock()
	defer wall.mu.Unlock()
	for where, seen := range map[string][]byte{"relays handled": wall.relayed.Bytes(), "the wire carried": wall.wire.Bytes()} {
		if bytes.Contains(seen, []byte(canary)) {
			t.Errorf("%s the canary", where)
		}
	}
}

type sizes struct{ relayed, wire int }

func (f *firewall) size() sizes {
	f.mu.Lock()
	defer f.mu.Unlock()
	return sizes{f.relayed.Len(), f.wire.Len()}
}

// cityGone: the county goes on reading, and exchanging inside its node.
func cityGone(s *story, t *testing.T) {
	ctx := context.Background()
	own := sample.EnterpriseRegistration()
	own.ID, own.Codes, own.Provider = "tianhe-own", []bus.ResourceCode{"3010010001/000903"}, sample.TianheServices.ID
	s.Publish(own)
	nodetest.Eventually(t, "the county knows the resource", func() error {
		_, err := s.consumer.Resources().Read(ctx, own.ID)
		return err
	})
	_, err := s.Client("secadmin").Grants().Put(ctx, sample.Grant("grant-own", own, sample.TianheServices))
	check(t, err)
	_, err = s.consumer.Subscriptions().Put(ctx, bus.Subscription{ID: "sub-own", Resource: own.ID, Grant: "grant-own", Purpose: bus.PurposeAdministrativeBasis})
	check(t, err)
	s.Nodes["guangzhou"].Stop()
	nodetest.Eventually(t, "the county is out of reach", func() error {
		status, err := s.Client("auditor").Status(ctx, false)
		for _, m := range status.Members {
			if m.ID == "tianhe" && m.Reachable {
				err = errors.New("reachable still")
			}
		}
		return err
	})
	_, err = s.consumer.Publish(ctx, own.ID, sample.Event(sample.SystemOf(sample.TianheServices), 1))
	check(t, err)
	nodetest.Eventually(t, "the county's own event arrives", func() error {
		events, last, err := s.consumer.Pull(ctx, "sub-own", 10)
		if err != nil || len(events) == 0 {
			return errors.Join(err, errors.New("nothing yet"))
		}
		return s.consumer.Ack(ctx, "sub-own", last)
	})
	_, err = s.consumer.Resources().Read(ctx, own.ID)
	check(t, err)
	s.publish(t, 600, 3) // for the county, which is to come back
	s.Nodes["guangzhou"].Start()
	if got := s.receive(t, 3); got[0].ID() != "registration-000600" {
		t.Errorf("the first event after the city is back: %s", got[0].ID())
	}
	sameStateEverywhere(s, t)
}

// provinceGone stops the top of the hierarchy, the leader or not. The cities go
// around it, and so do their counties.
func provinceGone(s *story, t *testing.T) {
	ctx := context.Background()
	s.Nodes["guangdong"].Stop()
	number := 610
	for id, d := range map[bus.NodeID]bus.Department{"tianhe": sample.TianheServices, "nanshan": sample.NanshanTax} {
		number++
		api := s.Nodes[id].Client(s.bearers[d.ID])
		own := s.resource
		own.ID, own.Codes, own.Provider = bus.ResourceID("via-"+id), []bus.ResourceCode{bus.ResourceCode(fmt.Sprintf("3010010001/%06d", number))}, d.ID
		nodetest.Eventually(t, "a write goes through "+string(id), func() error {
			_, err := api.Drafts().Put(ctx, bus.Draft{Resource: own})
			if client.IsCode(err, bus.CodeExists) { // an answer was lost
				err = nil
			}
			return err
		})
	}
	s.publish(t, 700, 2)
	s.receive(t, 2)
	s.Nodes["guangdong"].Start()
	sameStateEverywhere(s, t)
}

// leaderGone stops whoever leads. A county under it waits for its city; the
// other one knows the new leader.
func leaderGone(s *story, t *testing.T) {
	ctx := context.Background()
	leader := func(at bus.NodeID) (bus.NodeID, error) {
		status, err := s.ClientAt(s.Nodes[at], "auditor").Status(ctx, false)
		return status.Leader, err
	}
	old, err := leader("tianhe")
	check(t, err)
	witness := bus.NodeID("tianhe")
	if old == "guangzhou" {
		witness = "nanshan"
	}
	s.Nodes[old].Stop()
	nodetest.Eventually(t, string(witness)+" knows another leader", func() error {
		now, err := leader(witness)
		if err == nil && (now == old || now == "") {
			err = fmt.Errorf("the leader is %q", now)
		}
		return err
	})
	s.Nodes[old].Start()
	s.publish(t, 750, 2)
	s.receive(t, 2)
	sameStateEverywhere(s, t)
}

func evidenceVerifies(s *story, t *testing.T) {
	for id, n := range s.Nodes {
		n.Stop()
		report, err := server.VerifyEvidence(server.DataDir(n.Config.DataDir))
		check(t, err)
		if report.Leaves == 0 {
			t.Errorf("%s has no evidence", id)
		}
	}
}

func TestS24ARelayedNodeDoesNotVote(t *testing.T) {
	ctx := context.Background()
	c := nodetest.Start(t, fleet.Province()[0])
	made, err := c.Client("sysadmin").CreateToken(ctx, client.TokenRequest{Node: "guangzhou", Division: "440100", Voter: true})
	check(t, err)
	n := nodetest.NewNode(t, nodetest.Options{}, fleet.Spec{ID: "guangzhou", Division: "440100", Relayed: true})
	refused(t, server.Join(ctx, n.Founding(), c.First.Config.APIListen, made.Token), bus.CodeInvalid, "peer_address")
	f := nodetest.NewNode(t, nodetest.Options{}, fleet.Spec{ID: "first", Division: "440000", Relayed: true}).Founding()
	_, err = server.Init(ctx, f)
	refused(t, err, bus.CodeInvalid, "peer_address")
}
