package server

import (
	"context"
	"encoding/json"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/calendar"
	"github.com/gxbus/gxbus/pkg/client"
	"github.com/gxbus/gxbus/pkg/directory/command"
	"github.com/gxbus/gxbus/pkg/identity"
)

const certificateLife = 365 * 24 * time.Hour

// Founding says what node to make.
type Founding struct {
	Dir         DataDir
	Node        bus.NodeID
	Division    bus.DivisionCode
	PeerAddress string // empty: the node takes no connections and is relayed
	APIAddress  string
	Hosts       []string // more names and addresses of the API
	Now         time.Time
}

// OneTime is an administrator's account with its one-time password.
type OneTime struct {
	Account  string   `json:"account"`
	Role     bus.Role `json:"role"`
	Password string   `json:"password"`
}

func (f Founding) check(voter bool) error {
	defects := bus.Node{ID: f.Node, Division: f.Division, PeerAddress: f.PeerAddress, APIAddress: f.APIAddress, Voter: voter}.Check()
	known := false
	for _, d := range bus.Guangdong() {
		known = known || d.Code == f.Division
	}
	if f.Division != "" && !known {
		defects = append(defects, bus.Defect{
			Field: "division", Problem: bus.Text{ZH: "行政区划不存在：" + string(f.Division), EN: "no such division: " + string(f.Division)}, Allowed: "a GB/T 2260 code, e.g. 440000",
		})
	}
	return bus.Invalid(defects)
}

// hosts are the names that the node's certificate carries for its API.
func (f Founding) hosts() []string {
	hosts := append([]string{"localhost", "127.0.0.1", "::1"}, f.Hosts...)
	if host, _, err := net.SplitHostPort(f.APIAddress); err == nil {
		hosts = append(hosts, host)
	}
	return hosts
}

// Init makes the first node of a new cluster: CA, node and evidence keys, and
// the three separated administrators, whose passwords are returned and kept
// nowhere. Serving the directory then starts the cluster.
func Init(ctx context.Context, f Founding) ([]OneTime, error) {
	if err := f.check(true); err != nil {
		return nil, err
	}
	cluster := identity.NewClusterID()
	ca, err := identity.NewCA(cluster, f.Now)
	if err != nil {
		return nil, err
	}
	k, err := f.Dir.keys(cluster, f.Node)
	if err != nil {
		return nil, err
	}
	request, err := identity.NewRequest(k.node)
	if err != nil {
		return nil, err
	}
	certificate, err := ca.Issue(request, f.Node, f.hosts(), f.Now, certificateLife)
	if err != nil {
		return nil, err
	}
	passwords, accounts, err := administrators()
	if err != nil {
		return nil, err
	}
	first, err := json.Marshal(command.Init{
		Cluster: cluster, CA: string(identity.EncodeCertificate(ca.Certificate())), Divisions: bus.Guangdong(), Accounts: accounts,
		Calendar: calendar.BuiltIn(), Libraries: bus.BaseLibraries(),
		Node: bus.Node{
			ID: f.Node, Division: f.Division, PeerAddress: f.PeerAddress, APIAddress: f.APIAddress,
			Voter: true, CA: true, EvidenceKey: k.verifier, Key: identity.KeyHash(certificate.RawSubjectPublicKeyInfo),
		},
	})
	if err != nil {
		return nil, err
	}
	if err := ca.Save(f.Dir.path("ca.crt"), f.Dir.path("ca.key")); err != nil {
		return nil, err
	}
	if err := identity.WriteFile(f.Dir.path("first.json"), first); err != nil {
		return nil, err
	}
	self := Self{Cluster: cluster, Node: f.Node, Division: f.Division, PeerAddress: f.PeerAddress, APIAddress: f.APIAddress}
	return passwords, f.Dir.settle(self, string(identity.EncodeCertificate(certificate)), string(identity.EncodeCertificate(ca.Certificate())))
}

// hostOf gives the host of an API address, with or without https://.
func hostOf(server string) string {
	address := strings.TrimSuffix(strings.TrimPrefix(server, "https://"), "/")
	if host, _, err := net.SplitHostPort(address); err == nil {
		return host
	}
	return address
}

// administrators makes one account for each separated role.
func administrators() (passwords []OneTime, accounts []bus.Account, err error) {
	for _, a := range []struct {
		name string
		role bus.Role
	}{
		{"sysadmin", bus.RoleSystemAdministrator},
		{"secadmin", bus.RoleSecurityAdministrator},
		{"auditor", bus.RoleAuditor},
	} {
		password := identity.NewOneTimePassword()
		hash, err := identity.HashPassword(password)
		if err != nil {
			return nil, nil, err
		}
		passwords = append(passwords, OneTime{a.name, a.role, password})
		accounts = append(accounts, bus.Account{Name: a.name, Role: a.role, PasswordHash: hash, MustChange: true})
	}
	return passwords, accounts, nil
}

// Join makes a node of an existing cluster: its keys, then a certificate and a
// place in the group in exchange for a join token. server is the API of any
// member; the token says how to recognise it.
func Join(ctx context.Context, f Founding, server, text string) error {
	if err := f.check(false); err != nil {
		return err
	}
	token, err := identity.ParseToken(text)
	if err != nil {
		return err
	}
	k, err := f.Dir.keys(token.Cluster, f.Node)
	if err != nil {
		return err
	}
	request, err := identity.NewRequest(k.node)
	if err != nil {
		return err
	}
	api, err := client.New(client.Config{Server: server, Transport: &http.Transport{
		TLSClientConfig: identity.PinnedClientConfig(token.CA, hostOf(server), func() time.Time { return f.Now }),
	}})
	if err != nil {
		return err
	}
	answer, err := api.Join(ctx, client.JoinRequest{
		Token: text, CSR: request, Node: f.Node, Division: f.Division,
		PeerAddress: f.PeerAddress, APIAddress: f.APIAddress, EvidenceKey: k.verifier,
	})
	if err != nil {
		return err
	}
	if answer.Cluster != token.Cluster {
		return bus.E(bus.CodeForeignCluster)
	}
	self := Self{
		Cluster: answer.Cluster, Node: f.Node, Division: f.Division,
		PeerAddress: f.PeerAddress, APIAddress: f.APIAddress, Peers: answer.Peers, Parent: answer.Parent,
	}
	return f.Dir.settle(self, answer.Certificate, answer.CA)
}
