// Package fleet runs nodes as processes on this machine, each with a data
// directory and ports of its own: for the demo, for tests that kill processes,
// and for benchmarks across processes.
//
// It speaks to the nodes as an administrator would: by commands and the API.
package fleet

import (
	"context"
	"crypto/rand"
	"fmt"
	"time"

	"github.com/gxbus/gxbus/node/sample"
	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/client"
)

const patience = 40 * time.Second

// Spec is a node to run.
type Spec struct {
	ID       bus.NodeID
	Division bus.DivisionCode
	Voter    bool
	Relayed  bool       // takes no connections of other nodes
	Through  bus.NodeID // joins by the API of this node; empty: the first
}

// Province is five nodes: a province, two cities, a county under each.
func Province() []Spec {
	return []Spec{
		{ID: "guangdong", Division: "440000", Voter: true},
		{ID: "guangzhou", Division: "440100", Voter: true}, {ID: "shenzhen", Division: "440300", Voter: true},
		{ID: "tianhe", Division: "440106"}, {ID: "nanshan", Division: "440305"},
	}
}

// Fleet is a cluster of processes. The first node founds it.
type Fleet struct {
	program  string
	dir      string
	nodes    []*Node
	password map[string]string // account → password
}

// New makes a fleet that runs program with its data below dir. Nothing runs yet.
func New(program, dir string, specs ...Spec) (*Fleet, error) {
	f := &Fleet{program: program, dir: dir, password: map[string]string{}}
	for _, spec := range specs {
		n, err := newNode(f, spec)
		if err != nil {
			return nil, err
		}
		f.nodes = append(f.nodes, n)
	}
	return f, nil
}

// Start makes and starts every node and returns when each has its place in the
// group. The administrators' one-time passwords are replaced.
func (f *Fleet) Start(ctx context.Context) error {
	oneTime, err := f.nodes[0].init(ctx)
	if err != nil {
		return err
	}
	if err := f.nodes[0].Start(); err != nil {
		return err
	}
	if err := f.replacePasswords(ctx, f.nodes[0], oneTime); err != nil {
		return err
	}
	admin, err := f.SignIn(ctx, f.nodes[0], "sysadmin")
	if err != nil {
		return err
	}
	for _, n := range f.nodes[1:] {
		if err := n.join(ctx, admin); err != nil {
			return err
		}
		if err := n.Start(); err != nil {
			return err
		}
	}
	return f.WaitPlaces(ctx, admin)
}

// Grow adds a node: it joins and starts, and has yet to catch up.
func (f *Fleet) Grow(ctx context.Context, admin *client.Client, spec Spec) (*Node, error) {
	n, err := newNode(f, spec)
	if err != nil {
		return nil, err
	}
	if err := n.join(ctx, admin); err != nil {
		return nil, err
	}
	f.nodes = append(f.nodes, n)
	return n, n.Start()
}

// Nodes lists the nodes, the first one first.
func (f *Fleet) Nodes() []*Node { return f.nodes }

// Node returns a node by id, the first where there is none of that id.
func (f *Fleet) Node(id bus.NodeID) *Node {
	for _, n := range f.nodes {
		if n.Spec.ID == id {
			return n
		}
	}
	return f.nodes[0]
}

// Password returns the password that an account has been given.
func (f *Fleet) Password(account string) string { return f.password[account] }

// Publish publishes resources, with a data authority of the province and its
// reviewer if there is none yet.
func (f *Fleet) Publish(ctx context.Context, resources ...bus.Resource) error {
	admin, err := f.SignIn(ctx, f.nodes[0], "sysadmin")
	if err != nil {
		return err
	}
	if f.password[sample.Reviewer] == "" {
		if err := f.review(ctx, admin); err != nil {
			return err
		}
	}
	reviewer, err := f.SignIn(ctx, f.nodes[0], sample.Reviewer)
	if err != nil {
		return err
	}
	return sample.Publish(ctx, admin, reviewer, resources...)
}

// review founds the sample province's data authority.
func (f *Fleet) review(ctx context.Context, admin *client.Client) error {
	security, err := f.SignIn(ctx, f.nodes[0], "secadmin")
	if err != nil {
		return err
	}
	if _, err := admin.Departments().Put(ctx, sample.ProvinceData); err != nil && !client.IsCode(err, bus.CodeExists) {
		return err
	}
	reviewer, err := sample.Review(ctx, admin, security)
	if err != nil {
		return err
	}
	return f.replacePasswords(ctx, f.nodes[0], []oneTime{{reviewer.Account.Name, reviewer.Password}})
}

// SignIn opens a session at a node.
func (f *Fleet) SignIn(ctx context.Context, n *Node, account string) (*client.Client, error) {
	anonymous, err := n.Client("")
	if err != nil {
		return nil, err
	}
	session, err := anonymous.SignIn(ctx, client.SignIn{Account: account, Password: f.password[account]})
	if err != nil {
		return nil, err
	}
	return anonymous.WithToken(session.Token), nil
}

// AddAccount creates an account of a department and signs it in at the department's
// node.
func (f *Fleet) AddAccount(ctx context.Context, at *Node, account bus.Account) (*client.Client, error) {
	security, err := f.SignIn(ctx, f.nodes[0], "secadmin")
	if err != nil {
		return nil, err
	}
	made, err := security.Accounts().Put(ctx, account)
	if err != nil {
		return nil, err
	}
	if err := f.replacePasswords(ctx, at, []oneTime{{account.Name, made.Password}}); err != nil {
		return nil, err
	}
	return f.SignIn(ctx, at, account.Name)
}

// replacePasswords has each account choose a password, at the node that vouches for
// it.
func (f *Fleet) replacePasswords(ctx context.Context, at *Node, oneTime []oneTime) error {
	anonymous, err := at.Client("")
	if err != nil {
		return err
	}
	for _, o := range oneTime {
		password := rand.Text()
		err := Until(ctx, "the node to serve the account", func(ctx context.Context) error {
			_, err := anonymous.SignIn(ctx, client.SignIn{Account: o.Account, Password: o.Password, NewPassword: password})
			return err
		})
		if err != nil {
			return err
		}
		f.password[o.Account] = password
	}
	return nil
}

// WaitPlaces waits until voters vote, the others follow, and all are reachable.
func (f *Fleet) WaitPlaces(ctx context.Context, admin *client.Client) error {
	return Until(ctx, "every node to take its place", func(ctx context.Context) error {
		status, err := admin.Status(ctx, false)
		if err != nil {
			return err
		}
		if len(status.Members) != len(f.nodes) {
			return fmt.Errorf("%d of %d nodes are members", len(status.Members), len(f.nodes))
		}
		for _, m := range status.Members {
			want := "non-voter"
			if f.Node(m.ID).Spec.Voter {
				want = "voter"
			}
			if m.Suffrage != want || !m.Reachable || m.AppliedIndex == 0 {
				return fmt.Errorf("node %s: %s, reachable %v, index %d", m.ID, m.Suffrage, m.Reachable, m.AppliedIndex)
			}
		}
		return nil
	})
}

// Until tries again and again until do succeeds, or fails after 40 seconds.
func Until(ctx context.Context, what string, do func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		err := do(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("waited for %s: %w", what, err)
		}
	}
}
