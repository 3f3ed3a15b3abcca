package server_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"

	"github.com/gxbus/gxbus/node/fleet"
	"github.com/gxbus/gxbus/node/nodetest"
	"github.com/gxbus/gxbus/node/sample"
	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/client"
)

// journal keeps what nodes log.
type journal struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (j *journal) Write(p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.Write(p)
}

// count counts the lines that have all words.
func (j *journal) count(words ...string) (n int) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for line := range strings.Lines(j.text.String()) {
		found := true
		for _, w := range words {
			found = found && strings.Contains(line, w)
		}
		if found {
			n++
		}
	}
	return n
}

// group is a province whose members change.
type group struct {
	*nodetest.Cluster
	t   *testing.T
	log *journal
}

func startGroup(t *testing.T, specs ...fleet.Spec) *group {
	t.Helper()
	log := &journal{}
	g := &group{nodetest.StartWith(t, nodetest.Options{Log: io.Writer(log)}, specs...), t, log}
	admin := g.Client("sysadmin")
	nodetest.Eventually(t, "each node has told of its certificate", func() error {
		nodes, err := admin.Nodes(context.Background())
		for _, n := range nodes {
			if n.Expires.IsZero() {
				err = errors.Join(err, fmt.Errorf("%s has not", n.ID))
			}
		}
		return err
	})
	return g
}

// admin speaks to a node that leads or follows, as its system administrator.
func (g *group) admin(id bus.NodeID) *client.Client { return g.ClientAt(g.Nodes[id], "sysadmin") }

// member waits until a node is seen as meant.
func (g *group) member(at, id bus.NodeID, what string, as func(client.Member) bool) {
	g.t.Helper()
	api := g.admin(at)
	nodetest.Eventually(g.t, fmt.Sprint(id, " is ", what), func() error {
		status, err := api.Status(context.Background(), false)
		if err != nil {
			return err
		}
		for _, m := range status.Members {
			if m.ID == id && as(m) {
				return nil
			}
		}
		return fmt.Errorf("members are %+v", status.Members)
	})
}

func suffrage(want string) func(client.Member) bool {
	return func(m client.Member) bool { return m.Suffrage == want && m.Reachable }
}

func (g *group) step(at bus.NodeID, step bus.Step, id bus.NodeID, in client.NodeChange) (client.NodeChanged, error) {
	return g.admin(at).ChangeNode(context.Background(), id, step, in)
}

func (g *group) must(at bus.NodeID, step bus.Step, id bus.NodeID) {
	g.t.Helper()
	var changed client.NodeChanged
	nodetest.Eventually(g.t, string(step)+" "+string(id), func() (err error) { // a node may just have written its own entry
		changed, err = g.step(at, step, id, client.NodeChange{})
		if !client.IsCode(err, bus.CodeRevision) {
			check(g.t, err)
		}
		return err
	})
	if !changed.Done {
		g.t.Errorf("%s %s is still under way", step, id)
	}
}

// The parts build on each other.
func TestAProvinceChangesItsMembers(t *testing.T) {
	p := fleet.Province()
	g := startGroup(t, p[0], p[1], p[2], p[3])
	for _, part := range []struct {
		name string
		run  func(*group, *testing.T)
	}{
		{"a dry run tells and changes nothing", dryRun},
		{"a node is promoted and demoted through any node", promoteAndDemote},
		{"the lead is handed over", handOver},
		{"a drained node gives up vote and lead until it resumes", drain},
		{"S24 no step without the role", withoutTheRole},
		{"no step that loses the quorum, whatever the force", keepsTheQuorum},
		{"a node that is needed is not removed", neededStays},
		{"a division without a node is assigned", assignDivision},
		{"S25 a removed node stops by itself", removedStops},
		{"S25 a removed node that returns with its old disk is refused and raises no term", removedReturns},
	} {
		if !t.Run(part.name, func(t *testing.T) { g.t = t; part.run(g, t) }) {
			return
		}
	}
}

func dryRun(g *group, t *testing.T) {
	changed, err := g.step("tianhe", bus.StepPromote, "tianhe", client.NodeChange{DryRun: true})
	check(t, err)
	if o := changed.Outlook; o.Voters != 4 || o.Needed != 3 || o.Ready != 4 || len(o.Problems) > 0 || len(o.Warnings) != 1 {
		t.Errorf("the outlook is %+v", o)
	}
	changed, err = g.step("guangdong", bus.StepRemove, "guangdong", client.NodeChange{DryRun: true})
	check(t, err)
	if o := changed.Outlook; len(o.Problems) != 1 || o.Problems[0].Field != "ca" || o.Forcible {
		t.Errorf("the outlook of removing the CA's holder is %+v", o)
	}
	g.member("guangdong", "tianhe", "as before", suffrage("non-voter"))
}

func promoteAndDemote(g *group, _ *testing.T) {
	g.must("shenzhen", bus.StepPromote, "tianhe")
	g.member("guangzhou", "tianhe", "a voter", suffrage("voter"))
	g.must("guangzhou", bus.StepDemote, "tianhe")
	g.member("guangdong", "tianhe", "a non-voter", suffrage("non-voter"))
}

func handOver(g *group, t *testing.T) {
	ctx := context.Background()
	for _, to := range []bus.NodeID{"guangzhou", "shenzhen", "guangdong"} {
		check(t, g.admin("guangzhou").TransferLeadership(ctx, to))
		g.member("tianhe", to, "the leader", func(m client.Member) bool { return m.Leader })
	}
	refused(t, g.admin("guangdong").TransferLeadership(ctx, "tianhe"), bus.CodeInvalid, "node")
	check(t, g.admin("guangdong").TransferLeadership(ctx, ""))
	g.member("tianhe", "guangdong", "no leader", func(m client.Member) bool { return !m.Leader })
	check(t, recorded(g.ClientAt(g.Nodes["guangzhou"], "auditor"), "leadership.transfer shenzhen"))
	refused(t, g.admin("tianhe").TransferLeadership(ctx, "shenzhen"), bus.CodeWrongNode, "node") // S31: it does not vote
	check(t, g.admin("guangdong").TransferLeadership(ctx, "guangdong"))
}

// recorded wants a line of evidence.
func recorded(auditor *client.Client, detail string) error {
	export, err := auditor.AuditExport(context.Background())
	if err != nil {
		return err
	}
	defer export.Close()
	lines := bufio.NewScanner(export)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var leaf struct{ Data []byte }
		if err := json.Unmarshal(lines.Bytes(), &leaf); err == nil && bytes.Contains(leaf.Data, []byte(detail)) {
			return nil
		}
	}
	return errors.Join(lines.Err(), fmt.Errorf("%q is not in the evidence", detail))
}

func drain(g *group, t *testing.T) {
	g.must("guangdong", bus.StepDrain, "guangdong") // it leads
	g.member("tianhe", "guangdong", "drained", func(m client.Member) bool {
		return m.Suffrage == "non-voter" && m.Draining && m.Voter && !m.Leader
	})
	_, err := g.admin("guangdong").Departments().Put(context.Background(), bus.Department{ID: sample.USCC("440000", 700), Name: "新部门", Division: "440000"})
	refused(t, err, bus.CodeInvalid, "node")
	g.must("guangdong", bus.StepResume, "guangdong")
	g.member("tianhe", "guangdong", "a voter again", func(m client.Member) bool { return m.Suffrage == "voter" && !m.Draining })
}

func withoutTheRole(g *group, t *testing.T) {
	ctx := context.Background()
	before, err := g.admin("guangdong").Nodes(ctx)
	check(t, err)
	for _, account := range []string{"secadmin", "auditor"} {
		api := g.ClientAt(g.Nodes["guangzhou"], account)
		for _, step := range []bus.Step{bus.StepPromote, bus.StepDemote, bus.StepDrain, bus.StepResume, bus.StepRemove} {
			if _, err := api.ChangeNode(ctx, "tianhe", step, client.NodeChange{}); !client.IsCode(err, bus.CodeForbidden) {
				t.Errorf("%s by %s: %v", step, account, err)
			}
		}
		if err := api.TransferLeadership(ctx, ""); !client.IsCode(err, bus.CodeForbidden) {
			t.Errorf("transfer by %s: %v", account, err)
		}
	}
	by := bus.Principal{Account: "auditor", Role: bus.RoleSystemAdministrator} // a node that vouches for what is not so
	if err := g.Nodes["guangzhou"].Server.Lead(ctx, by, "shenzhen"); bus.CodeOf(err) != bus.CodeForbidden {
		t.Errorf("transfer in a wrong name: %v", err)
	}
	by.Account = "sysadmin" // S31: a node that does not vote speaks for no administrator
	if err := g.Nodes["tianhe"].Server.Lead(ctx, by, "shenzhen"); bus.CodeOf(err) != bus.CodeWrongNode {
		t.Errorf("transfer through a node that does not vote: %v", err)
	}
	after, err := g.admin("guangdong").Nodes(ctx)
	check(t, err)
	if fmt.Sprint(before) != fmt.Sprint(after) {
		t.Errorf("the members were %v and are %v", before, after)
	}
}

func keepsTheQuorum(g *group, t *testing.T) {
	g.Nodes["guangzhou"].Stop()
	g.member("guangdong", "guangzhou", "not reachable", func(m client.Member) bool { return !m.Reachable })
	for _, step := range []bus.Step{bus.StepDemote, bus.StepRemove} {
		_, err := g.step("guangdong", step, "shenzhen", client.NodeChange{Force: true})
		refused(t, err, bus.CodeQuorum, "quorum")
		if !strings.Contains(err.Error(), "missing: guangzhou") {
			t.Errorf("it does not name who is missing: %v", err)
		}
	}
	api := g.admin("guangdong")
	nodetest.Eventually(t, "the leader tells how long it has not heard the node", func() error {
		status, err := api.Status(context.Background(), false)
		if err != nil {
			return err
		}
		for _, m := range status.Members {
			if m.ID == "guangzhou" && m.LastHeard.Before(status.Members[0].LastHeard) && !m.LastHeard.IsZero() {
				return nil
			}
		}
		return fmt.Errorf("members are %+v", status.Members)
	})
	changed, err := g.step("guangdong", bus.StepDrain, "shenzhen", client.NodeChange{})
	check(t, err)
	if changed.Done || len(changed.Outlook.Warnings) == 0 {
		t.Errorf("a vote that is needed was given up: %+v", changed)
	}
	g.member("guangdong", "shenzhen", "a voter for now", suffrage("voter"))
	g.Nodes["guangzhou"].Start()
	g.member("guangdong", "shenzhen", "without a vote once it can be spared", suffrage("non-voter"))
	g.must("guangdong", bus.StepResume, "shenzhen")
	g.member("guangdong", "guangzhou", "back", func(m client.Member) bool { return m.Reachable && m.Lag == 0 })
}

func neededStays(g *group, t *testing.T) {
	_, err := g.step("guangdong", bus.StepRemove, "guangdong", client.NodeChange{})
	refused(t, err, bus.CodeInUse, "ca")
	d := bus.Department{ID: sample.USCC("440300", 701), Name: "深圳部门", Division: "440300"}
	d, err = g.admin("guangdong").Departments().Put(context.Background(), d)
	check(t, err)
	_, err = g.step("guangdong", bus.StepRemove, "shenzhen", client.NodeChange{})
	refused(t, err, bus.CodeInUse, "departments")
	g.member("guangdong", "shenzhen", "still a voter", suffrage("voter"))
	check(t, g.admin("guangdong").Departments().Delete(context.Background(), d.ID, d.Revision))
}

func assignDivision(g *group, t *testing.T) {
	check(t, g.admin("guangdong").AssignDivision(context.Background(), "guangzhou", "440104"))
	g.member("guangdong", "guangzhou", "the node of two divisions", func(m client.Member) bool { return len(m.Serves) == 2 })
	refused(t, g.admin("guangdong").AssignDivision(context.Background(), "shenzhen", "440104"), bus.CodeExists, "division")
}

func removedStops(g *group, t *testing.T) {
	tianhe := g.Nodes["tianhe"]
	g.must("guangdong", bus.StepRemove, "tianhe")
	if err := <-tianhe.Server.Failed(); bus.CodeOf(err) != bus.CodeNodeRemoved {
		t.Errorf("it stopped because of %v", err)
	}
	tianhe.Stop()
	s, err := tianhe.Open()
	if err == nil {
		check(t, s.Close())
	}
	refused(t, err, bus.CodeNodeRemoved, "node")
	delete(g.Nodes, "tianhe")
	g.WaitPlaces()
	_, err = g.admin("guangdong").CreateToken(context.Background(), client.TokenRequest{Node: "tianhe", Division: "440106"})
	refused(t, err, bus.CodeInvalid, "node")
}

func removedReturns(g *group, t *testing.T) {
	ctx := context.Background()
	shenzhen := g.Nodes["shenzhen"]
	shenzhen.Stop()
	g.must("guangdong", bus.StepRemove, "shenzhen")
	delete(g.Nodes, "shenzhen")
	term := func() uint64 {
		status, err := g.admin("guangzhou").Status(ctx, false)
		check(t, err)
		return status.Term
	}
	before := term()
	back, err := shenzhen.Open() // it believes itself a voter
	check(t, err)
	defer func() { check(t, back.Close()) }()
	nodetest.Eventually(t, "it has called for several elections", func() error {
		if n := g.log.count("connection refused", "node shenzhen was removed"); n < 6 {
			return fmt.Errorf("%d connections were refused", n)
		}
		return nil
	})
	if n := g.log.count("level=ERROR", "this node was removed from the bus", "node=shenzhen"); n != 1 {
		t.Errorf("it said %d times that it was removed", n)
	}
	_, err = g.admin("guangdong").Departments().Put(ctx, bus.Department{ID: sample.USCC("440100", 702), Name: "继续", Division: "440100"})
	check(t, err)
	if back.Ready() == nil {
		t.Error("it believes that it has a leader")
	}
	if now := term(); now != before {
		t.Errorf("the term went from %d to %d", before, now)
	}
}
