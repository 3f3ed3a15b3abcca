package directory_test

import (
	"context"
	"encoding/json"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/directory"
	"github.com/gxbus/gxbus/pkg/directory/command"
	"github.com/gxbus/gxbus/pkg/directory/state"
)

// group is a log in memory with real replicas; a test tells it how to fail.
type group struct {
	t      *testing.T
	fail   []error // what comes back instead of an entry being logged, one by one
	lose   []error // then: what comes back although the entry was logged
	doubt  []error // what comes back from barriers, one by one
	during func()  // runs while a barrier is under way; nil: nothing

	mu       sync.Mutex
	leader   bus.NodeID
	log      []state.Log
	asked    []string
	nodes    map[bus.NodeID]*directory.Directory
	replicas map[bus.NodeID]*state.Store
	behind   map[bus.NodeID]bool
	barriers int
}

func newGroup(t *testing.T, leader bus.NodeID) *group {
	return &group{
		t: t, leader: leader, nodes: map[bus.NodeID]*directory.Directory{},
		replicas: map[bus.NodeID]*state.Store{}, behind: map[bus.NodeID]bool{},
	}
}

// member is one node's view of the group.
type member struct {
	*group
	self bus.NodeID
}

func (g *group) join(id bus.NodeID) *directory.Directory {
	g.replicas[id] = openStore(g.t)
	g.nodes[id] = directory.New(id, g.replicas[id], member{g, id}, g, time.Now)
	return g.nodes[id]
}

func (m member) Apply(_ context.Context, data []byte) (any, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	e, err := command.Decode(data)
	if err != nil {
		return nil, err
	}
	m.asked = append(m.asked, e.Request)
	if m.leader != m.self {
		return nil, bus.E(bus.CodeNoLeader)
	}
	if err := next(&m.fail); err != nil {
		return nil, err
	}
	m.log = append(m.log, state.Log{Index: uint64(len(m.log)) + 1, Data: data})
	results := m.deliver()
	if err := next(&m.lose); err != nil {
		return nil, err
	}
	return []state.Result{results[m.self]}, nil
}

func (m member) Barrier(context.Context) error {
	if m.during != nil {
		m.during()
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.leader != m.self {
		return bus.E(bus.CodeNoLeader)
	}
	m.barriers++
	return next(&m.doubt)
}

// deliver brings every replica that is not behind up to date and returns what
// each answered to the last entry.
func (g *group) deliver() map[bus.NodeID]state.Result {
	results := map[bus.NodeID]state.Result{}
	for id, store := range g.replicas {
		if g.behind[id] {
			continue
		}
		applied, _ := store.Applied()
		for _, log := range g.log[applied:] {
			answers, err := store.Apply([]state.Log{log})
			if err != nil {
				g.t.Error(err)
				continue
			}
			results[id] = answers[0]
		}
	}
	return results
}

func next(errs *[]error) error {
	if len(*errs) == 0 {
		return nil
	}
	err := (*errs)[0]
	*errs = (*errs)[1:]
	return err
}

func (g *group) Leader() bus.NodeID {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.leader
}

func (g *group) LastContact() time.Duration { return 0 }

func (g *group) Forward(ctx context.Context, leader bus.NodeID, entry []byte) (state.Result, error) {
	return g.nodes[leader].Accept(ctx, "sz", entry)
}

func (g *group) ReadIndex(ctx context.Context, leader bus.NodeID) (bus.Revision, error) {
	return g.nodes[leader].ReadIndex(ctx)
}

func (g *group) elect(id bus.NodeID) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.leader = id
}

func (g *group) lag(id bus.NodeID, behind bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.behind[id] = behind
	g.deliver()
}

func (g *group) must(result state.Result, err error) state.Result {
	g.t.Helper()
	if err != nil {
		g.t.Fatal(err)
	}
	return result
}

// requests are the request ids that were proposed, in order.
func (g *group) requests() []string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return append([]string(nil), g.asked...)
}

func (g *group) entries() []command.Entry {
	g.mu.Lock()
	defer g.mu.Unlock()
	var entries []command.Entry
	for _, log := range g.log {
		e, err := command.Decode(log.Data)
		if err != nil {
			g.t.Error(err)
		}
		entries = append(entries, e)
	}
	return entries
}

// written lists where entries of a type are in the log.
func (g *group) written(typ command.Type) []bus.Revision {
	var at []bus.Revision
	for i, e := range g.entries() {
		if e.Type == typ {
			at = append(at, bus.Revision(i+1))
		}
	}
	return at
}

func encode(t *testing.T, e command.Entry) []byte {
	t.Helper()
	data, err := e.Encode()
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// mustMarshal encodes without a cap, as a hostile node would.
func mustMarshal(t *testing.T, e command.Entry) []byte {
	t.Helper()
	head, err := json.Marshal(e)
	if err != nil {
		t.Fatal(err)
	}
	return slices.Concat(head, []byte{'\t'}, e.Body)
}

// fixed always says the same.
type fixed struct {
	answer  any
	err     error
	contact time.Duration
}

func (f fixed) Apply(context.Context, []byte) (any, error) { return f.answer, f.err }
func (f fixed) Barrier(context.Context) error              { return f.err }
func (f fixed) Leader() bus.NodeID                         { return "gz" }
func (f fixed) LastContact() time.Duration                 { return f.contact }
