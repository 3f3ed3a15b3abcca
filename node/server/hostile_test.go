package server_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/mod/sumdb/note"

	"github.com/gxbus/gxbus/node/fleet"
	"github.com/gxbus/gxbus/node/mesh"
	"github.com/gxbus/gxbus/node/nodetest"
	"github.com/gxbus/gxbus/node/sample"
	"github.com/gxbus/gxbus/pkg/audit"
	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/client"
	"github.com/gxbus/gxbus/pkg/exchange"
	"github.com/gxbus/gxbus/pkg/identity"
	"github.com/gxbus/gxbus/pkg/peer"
)

// thief is a place on the bus in the hands of somebody who has a node's keys.
type thief struct{ victim string }

func (s thief) Address(bus.NodeID) (string, error) { return s.victim, nil }

func (thief) Next(id bus.NodeID) ([]bus.NodeID, error) {
	return nil, bus.NotFound("node", string(id))
}

func (thief) Admit(bus.NodeID, *x509.Certificate) error { return nil }

// steal speaks to victim with the keys of a node that is stopped.
func steal(t *testing.T, n, victim *nodetest.Node, cluster string) *peer.Plane {
	t.Helper()
	file := func(name string) string { return filepath.Join(n.Config.DataDir, name) }
	root, err := identity.LoadCertificate(file("ca.crt"))
	check(t, err)
	leaf, err := identity.LoadCertificate(file("node.crt"))
	check(t, err)
	key, err := identity.LoadKey(file("node.key"))
	check(t, err)
	roots := x509.NewCertPool()
	roots.AddCert(root)
	s := thief{victim.Config.PeerListen}
	plane, err := peer.Open(peer.Config{Self: n.Spec.ID, Cluster: cluster, Certificate: identity.NodeCertificate(leaf, root, key), Roots: roots, Resolver: s, Admission: s})
	check(t, err)
	t.Cleanup(func() { check(t, plane.Close()) })
	return plane
}

// endless is a body without an end.
type endless struct{}

func (endless) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

// S58: whoever has the keys of a county's node sends the province what makes no sense,
// what does not end, what nobody signed and what is in another's name. None of it is
// taken, and nobody else notices. (What breaks the frames themselves ends the session
// and quarantines the peer: see package peer.)
func TestS58_WhatAHostileNodeSendsIsRefused(t *testing.T) {
	s := tell(t, fleet.Province()[0], fleet.Province()[3])
	ctx := context.Background()
	s.grant(t)
	s.subscribe(t)
	others := s.First.Client(s.bearers[sample.GuangzhouHealth.ID])
	_, err := s.Client("secadmin").Grants().Put(ctx, sample.Grant("grant-2", s.resource, sample.GuangzhouHealth))
	check(t, err)
	_, err = others.Subscriptions().Put(ctx, bus.Subscription{ID: "sub-2", Resource: s.resource.ID, Grant: "grant-2", Purpose: bus.PurposeAdministrativeBasis})
	check(t, err)
	auditor := s.Client("auditor")
	status, err := auditor.Status(ctx, false)
	check(t, err)
	s.Nodes["tianhe"].Stop()
	plane := steal(t, s.Nodes["tianhe"], s.First, status.Cluster)
	before := len(leavesOf(t, auditor))

	web := &http.Client{Transport: plane.RoundTripper(), Timeout: 20 * time.Second}
	post := func(path string, body io.Reader) int {
		response, err := web.Post("http://guangdong/peer/v1/"+path, "application/json", body)
		if err != nil {
			return 0 // closed
		}
		defer response.Body.Close()
		_, _ = io.Copy(io.Discard, response.Body)
		return response.StatusCode
	}
	garbage := make([]byte, 4<<10)
	_, _ = rand.Read(garbage) // never fails
	for _, path := range []string{"entries", "deliveries", "trace", "locations", "evidence", "receipts", "proofs", "rollups", "handovers", "surveys", "queries", "witness/add-checkpoint"} {
		for name, body := range map[string]string{"garbage": string(garbage), "another type": `[1,2]`, "cut off": `{"a":`, "nothing": ``, "deep": strings.Repeat("[", 100_000)} {
			if code := post(path, strings.NewReader(body)); code == http.StatusOK {
				t.Errorf("%s is taken at %s", name, path)
			}
		}
	}
	var had, has runtime.MemStats
	runtime.ReadMemStats(&had)
	for _, path := range []string{"entries", "deliveries", "receipts", "witness/add-checkpoint"} {
		if code := post(path, io.LimitReader(endless{}, 1<<30)); code == http.StatusOK {
			t.Errorf("a gigabyte is taken at %s", path)
		}
	}
	if runtime.ReadMemStats(&has); has.HeapSys > had.HeapSys+256<<20 {
		t.Errorf("for it the heap grew from %d to %d MiB", had.HeapSys>>20, has.HeapSys>>20)
	}

	api := mesh.NewClient(plane.RoundTripper(), plane.Queries())
	secret, err := identity.ReadPrivate(filepath.Join(s.Nodes["tianhe"].Config.DataDir, "evidence.key"))
	check(t, err)
	stolen, _, err := audit.OpenKey(string(secret))
	check(t, err)
	made, _, err := audit.GenerateKey(stolen.Name())
	check(t, err)
	another, _, err := audit.OpenKey(made)
	check(t, err)
	receipt := func(signer note.Signer, subscription, node string) error {
		text := fmt.Sprintf("gxbus-receipt/1\n{\"subscription\":%q,\"node\":%q,\"at\":\"2026-03-01T00:00:00Z\",\"from\":1,\"steps\":[]}\n", subscription, node)
		signed, err := note.Sign(&note.Note{Text: text}, signer)
		check(t, err)
		return api.Receipts(ctx, "guangdong", []string{string(signed)})
	}
	if err := receipt(stolen, "sub-1", "tianhe"); err != nil {
		t.Errorf("a receipt that the county may send: %v", err)
	}
	_, recall := api.Recall(ctx, "guangdong", exchange.Recall{Heading: exchange.Heading{From: "tianhe", Subscription: "sub-1", Attempt: 1}})
	for name, err := range map[string]error{
		"a recall of what it does not provide": recall,
		"a batch of what it does not provide":  api.Deliver(ctx, "guangdong", exchange.Batch{Heading: exchange.Heading{From: "tianhe", Subscription: "sub-1"}}),
		"a receipt signed with another key":    receipt(another, "sub-1", "tianhe"),
		"a receipt in another node's name":     receipt(stolen, "sub-1", "guangdong"),
		"a receipt of another's subscription":  receipt(stolen, "sub-2", "tianhe"),
		"a receipt of no subscription":         receipt(stolen, "sub-9", "tianhe"),
		"more receipts than there may be":      api.Receipts(ctx, "guangdong", make([]string, 1000)),
	} {
		if err == nil {
			t.Errorf("%s is taken", name)
		}
	}
	for name, by := range map[string]bus.Principal{
		"an auditor": {Account: "auditor", Role: bus.RoleAuditor}, "another department": {System: s.system.ID, Department: sample.ShenzhenMarket.ID}, "nobody": {},
	} {
		a, err := api.Evidence(ctx, "guangdong", mesh.EvidenceQuery{By: by, Search: &audit.Search{Department: sample.ShenzhenMarket.ID, After: -1, Limit: 10}})
		if err == nil || len(a.Steps) > 0 {
			t.Errorf("evidence in the name of %s: %d leaves, %v", name, len(a.Steps), err)
		}
	}
	for _, r := range leavesOf(t, auditor)[before:] { // of what was sent, refusals alone are on record
		if r.Kind != audit.KindRefused && r.Principal.Account != "auditor" {
			t.Errorf("on record: %+v", r)
		}
	}
	if _, err := s.provider.Publish(ctx, s.resource.ID, sample.Event(s.system, 1)); err != nil {
		t.Errorf("others: %v", err)
	}
}

// webOf speaks to the API of a node as any program may.
func webOf(t *testing.T, n *nodetest.Node) *http.Client {
	t.Helper()
	ca, err := os.ReadFile(n.CA())
	check(t, err)
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(ca)
	web := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}}}
	t.Cleanup(web.CloseIdleConnections)
	return web
}

// S50: what stands in an id cannot end a line of the log, nor begin another, nor speak
// to the terminal of whoever reads it.
func TestS50_AnIdIsOneEscapedLineOfTheLog(t *testing.T) {
	log := &journal{}
	s := tellWith(t, nodetest.Options{Log: log}, fleet.Province()[0])
	const evil = "evil\r\ntime=x level=ERROR msg=forged\x1b[31m\x1b]0;title\x07\u202e"
	web := webOf(t, s.First)
	ask := func(method, path string, body []byte) {
		t.Helper()
		r, err := http.NewRequest(method, "https://"+s.First.Config.APIListen+"/api/v1/"+path, bytes.NewReader(body))
		check(t, err)
		r.Header = http.Header{
			"Authorization": {"Bearer " + s.bearers[sample.ShenzhenMarket.ID]}, "Content-Type": {"application/cloudevents+json"}, client.HeaderRequest: {"r\u202e\u0085"},
		}
		response, err := web.Do(r)
		check(t, err)
		answer, _ := io.ReadAll(response.Body)
		_ = response.Body.Close()
		if response.StatusCode < 400 || bytes.ContainsAny(answer, "\x1b\x07\r") {
			t.Errorf("%s %s is answered %d %q", method, path, response.StatusCode, answer)
		}
	}
	for _, path := range []string{"resources/" + url.PathEscape(evil), "grants/" + url.PathEscape(evil), "events/" + url.PathEscape(evil) + "/deliveries", url.PathEscape(evil)} {
		ask(http.MethodGet, path, nil)
	}
	event, err := json.Marshal(map[string]any{"specversion": "1.0", "id": evil, "source": "/x" + evil, "type": evil, "subject": evil, "data": map[string]string{}})
	check(t, err)
	ask(http.MethodPost, "resources/"+string(s.resource.ID)+"/events", event)
	body, err := json.Marshal(client.SignIn{Account: evil, Password: evil})
	check(t, err)
	ask(http.MethodPost, "sessions", body)
	log.mu.Lock()
	defer log.mu.Unlock()
	lines := 0
	for line := range bytes.Lines(log.text.Bytes()) {
		lines++
		if !bytes.HasPrefix(line, []byte("time=2")) || bytes.ContainsAny(line, "\x1b\x07\r\u202e\u0085") {
			t.Errorf("a line of the log is %q", line)
		}
	}
	if lines == 0 {
		t.Error("nothing is logged")
	}
}
