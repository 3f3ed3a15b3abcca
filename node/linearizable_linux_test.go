package main_test

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
	"github.com/gxbus/gxbus/node/fleet"
	"github.com/gxbus/gxbus/node/sample"
	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/client"
	"github.com/gxbus/gxbus/pkg/tcpproxy"
)

// The directory's writes and consistent reads are linearizable: clients of
// different nodes change a few entries with the revision that they expect, and
// read them, while nodes are killed, paused and cut off from each other. Every
// run's history is checked by porcupine.
//
// GXBUS_LINEAR_RUNS sets the runs, GXBUS_LINEAR_SEED repeats their faults.
func TestLinearizable(t *testing.T) {
	runs, seed := number(t, "GXBUS_LINEAR_RUNS", 2), number(t, "GXBUS_LINEAR_SEED", int(time.Now().UnixNano()%1_000_000))
	t.Logf("%d runs, GXBUS_LINEAR_SEED=%d", runs, seed)
	l := newLinear(t, buildProgram(t))
	for run := range runs {
		h := l.run(run, rand.New(rand.NewPCG(uint64(seed), uint64(run))))
		t.Logf("run %d: %s", run, h)
		if result := h.check(t); result != porcupine.Ok {
			t.Fatalf("run %d: the history of reads and writes is %s, want one that is linearizable", run, result)
		}
	}
}

// The test above would see a node that serves its own replica as a consistent
// read: here is a program that does.
func TestLinearizableCatchesAStaleRead(t *testing.T) {
	seed := number(t, "GXBUS_LINEAR_SEED", int(time.Now().UnixNano()%1_000_000))
	l := newLinear(t, buildStale(t))
	const tries = 10
	for run := range tries {
		h := l.run(run, rand.New(rand.NewPCG(uint64(seed), uint64(run))))
		t.Logf("run %d: %s", run, h)
		if h.check(t) == porcupine.Illegal {
			return
		}
	}
	t.Errorf("%d runs of a program with stale reads passed, GXBUS_LINEAR_SEED=%d", tries, seed)
}

// buildStale builds a program whose consistent reads skip the question to the
// leader.
func buildStale(t *testing.T) string {
	t.Helper()
	const asking = "index, err := d.askIndex(ctx)"
	original, err := filepath.Abs("../pkg/directory/consistent.go")
	must(t, err)
	source, err := os.ReadFile(original)
	must(t, err)
	if strings.Count(string(source), asking) != 1 {
		t.Fatalf("consistent.go has no longer one %q", asking)
	}
	dir := t.TempDir()
	broken, overlay := filepath.Join(dir, "consistent.go"), filepath.Join(dir, "overlay.json")
	must(t, os.WriteFile(broken, []byte(strings.Replace(string(source), asking, "index, err := bus.Revision(0), error(nil)", 1)), 0o600))
	replace, err := json.Marshal(map[string]map[string]string{"Replace": {original: broken}})
	must(t, err)
	must(t, os.WriteFile(overlay, replace, 0o600))
	program := filepath.Join(dir, "gxbus")
	build(t, program, ".", "-overlay", overlay)
	return program
}

const (
	linearKeys    = 3
	linearClients = 12
	linearTime    = 8 * time.Second // of faults, in a run
	linearPatient = 2 * time.Second // how long a client waits; then it does not know
)

// linear is a fleet whose links can be cut, and a session at each node.
type linear struct {
	*fleet.Fleet
	t     *testing.T
	ctx   context.Context
	links *tcpproxy.Network
	sites []*site
	start time.Time
}

// site is a node as the clients know it.
type site struct {
	fleet *fleet.Fleet
	node  *fleet.Node
	host  string // of its peer address

	mu    sync.Mutex
	admin *client.Client // nil: sign in first
}

func newLinear(t *testing.T, program string) *linear {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(cancel)
	f, err := fleet.New(program, t.TempDir(), fleet.Province()[:4]...) // three voters and one that follows
	must(t, err)
	l := &linear{Fleet: f, t: t, ctx: ctx, links: tcpproxy.New(), start: time.Now()}
	t.Cleanup(func() { must(t, l.links.Close()) })
	for i, n := range f.Nodes() {
		host := fmt.Sprintf("127.0.41.%d", i+1)
		n.Peer, err = fleet.FreeAddress(host)
		must(t, err)
		n.Told, err = l.links.Listen(fmt.Sprintf("127.0.42.%d:0", i+1), n.Peer)
		must(t, err)
		l.sites = append(l.sites, &site{fleet: f, node: n, host: host})
	}
	t.Cleanup(func() { must(t, f.Stop()) })
	must(t, f.Start(ctx))
	return l
}

// client returns the system administrator's session at the node.
func (s *site) client(ctx context.Context) (*client.Client, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.admin != nil {
		return s.admin, nil
	}
	anonymous, err := client.New(client.Config{Server: s.node.API, CAFile: s.node.CA(), Timeout: linearPatient, Attempts: 1})
	if err != nil {
		return nil, err
	}
	session, err := anonymous.SignIn(ctx, client.SignIn{Account: "sysadmin", Password: s.fleet.Password("sysadmin")})
	if err != nil {
		return nil, err
	}
	s.admin = anonymous.WithToken(session.Token)
	return s.admin, nil
}

// lost forgets the session where err says that the node has.
func (s *site) lost(err error) bool {
	if !client.IsCode(err, bus.CodeUnauthenticated) {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.admin = nil
	return true
}

// run has clients at work while faults come and go, and returns what they saw.
func (l *linear) run(run int, choice *rand.Rand) *history {
	l.t.Helper()
	h := &history{names: map[string]string{}}
	keys := l.create(run)
	ctx, stop := context.WithCancel(l.ctx)
	var working sync.WaitGroup
	for i := range linearClients {
		w := worker{linear: l, history: h, id: i, keys: keys, name: fmt.Sprintf("r%d-c%d", run, i), choice: rand.New(rand.NewPCG(choice.Uint64(), 0))}
		working.Go(func() { w.work(ctx) })
	}
	begun := time.Now()
	for time.Since(begun) < linearTime {
		l.fault(h, choice)
	}
	stop()
	working.Wait()
	h.took = time.Since(begun)
	return h
}

// create makes the entries of a run, known at every node.
func (l *linear) create(run int) []bus.USCC {
	l.t.Helper()
	keys := make([]bus.USCC, linearKeys)
	for i := range keys {
		keys[i] = sample.USCC("440100", 1000+run*linearKeys+i)
		l.eventually("a department to be made", func(ctx context.Context, c *client.Client) error {
			_, err := c.Departments().Put(ctx, bus.Department{ID: keys[i], Name: "initial", Division: "440100"})
			if client.IsCode(err, bus.CodeExists) {
				return nil // by a try that was not answered
			}
			return err
		}, l.sites[0])
	}
	l.eventually("every node to read consistently", func(ctx context.Context, c *client.Client) error {
		_, err := c.Consistent().Departments().Read(ctx, keys[linearKeys-1])
		return err
	}, l.sites...)
	return keys
}

func (l *linear) eventually(what string, do func(context.Context, *client.Client) error, at ...*site) {
	l.t.Helper()
	for _, s := range at {
		must(l.t, fleet.Until(l.ctx, what+" at "+string(s.node.ID()), func(ctx context.Context) error {
			c, err := s.client(ctx)
			if err == nil {
				err = do(ctx, c)
			}
			s.lost(err)
			return err
		}))
	}
}

// fault does one bad thing, undoes it, and gives the nodes a moment.
func (l *linear) fault(h *history, choice *rand.Rand) {
	l.t.Helper()
	victim := l.sites[choice.IntN(len(l.sites))]
	if choice.IntN(2) == 0 {
		victim = l.leader(victim)
	}
	other := l.sites[(slices.Index(l.sites, victim)+1+choice.IntN(len(l.sites)-1))%len(l.sites)]
	between := func(low, high time.Duration) { l.rest(low + time.Duration(choice.Int64N(int64(high-low)))) }
	switch choice.IntN(4) {
	case 0:
		h.note("kill", victim)
		must(l.t, victim.node.Kill())
		between(200*time.Millisecond, 2*time.Second)
		must(l.t, victim.node.Start())
	case 1:
		h.note("pause", victim)
		must(l.t, victim.node.Pause())
		between(time.Second, 3500*time.Millisecond)
		must(l.t, victim.node.Resume())
	case 2:
		h.note("isolate", victim)
		for _, s := range l.sites {
			l.links.Cut(victim.host, s.host)
		}
		between(time.Second, 3500*time.Millisecond)
		l.links.HealAll()
	case 3:
		h.note("cut from "+string(other.node.ID()), victim)
		l.links.Cut(victim.host, other.host)
		l.links.Delay(victim.host, l.sites[0].host, 20*time.Millisecond)
		between(time.Second, 2500*time.Millisecond)
		l.links.Delay(victim.host, l.sites[0].host, 0)
		l.links.HealAll()
	}
	between(200*time.Millisecond, 1200*time.Millisecond)
}

// leader is who leads, as far as the nodes can tell, else otherwise.
func (l *linear) leader(otherwise *site) *site {
	for _, s := range l.sites {
		c, err := s.client(l.ctx)
		if err != nil {
			continue
		}
		status, err := c.Status(l.ctx, false)
		if s.lost(err); err != nil {
			continue
		}
		for _, leader := range l.sites {
			if leader.node.ID() == status.Leader {
				return leader
			}
		}
	}
	return otherwise
}

func (l *linear) rest(d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-l.ctx.Done():
	}
}

// worker is a client that reads and writes through one node after another. Each
// name it writes is new, so that a name stands for a revision.
type worker struct {
	*linear
	history *history
	id      int
	keys    []bus.USCC
	name    string
	choice  *rand.Rand
}

func (w *worker) work(ctx context.Context) {
	known := map[bus.USCC]bus.Department{}
	for n := 0; ctx.Err() == nil; n++ {
		s, key := w.sites[w.choice.IntN(len(w.sites))], w.keys[w.choice.IntN(len(w.keys))]
		c, err := s.client(ctx)
		if err != nil {
			w.rest(50 * time.Millisecond)
			continue
		}
		have, ok := known[key]
		delete(known, key)
		if !ok || w.choice.IntN(3) == 0 || !s.node.Spec.Voter { // an administrator writes through a voter
			err = w.read(ctx, c, key, known)
		} else {
			err = w.write(ctx, c, have, fmt.Sprint(w.name, "-", n), known)
		}
		s.lost(err)
	}
}

func (w *worker) read(ctx context.Context, c *client.Client, key bus.USCC, known map[bus.USCC]bus.Department) error {
	called := time.Since(w.start)
	d, err := c.Consistent().Departments().Read(ctx, key)
	if err != nil {
		return err // nothing was seen
	}
	known[key] = d
	w.history.see(d)
	w.history.add(w.id, called, time.Since(w.start), asked{key: key}, answered{name: d.Name})
	return nil
}

func (w *worker) write(ctx context.Context, c *client.Client, have bus.Department, name string, known map[bus.USCC]bus.Department) error {
	in := asked{key: have.ID, old: have.Name, new: name}
	next := have
	next.Name = name
	called := time.Since(w.start)
	d, err := c.Departments().Put(context.WithoutCancel(ctx), next)
	returned := time.Since(w.start)
	switch {
	case err == nil:
		w.history.add(w.id, called, returned, in, answered{outcome: done})
		if d.Name == name { // else somebody has changed it since
			w.history.see(d)
			known[d.ID] = d
		}
	case client.IsCode(err, bus.CodeRevision):
		w.history.add(w.id, called, returned, in, answered{outcome: refused})
	case client.IsCode(err, bus.CodeUnauthenticated):
		// turned away before anything was done
	default:
		w.history.add(w.id, called, math.MaxInt64, in, answered{outcome: unknown})
	}
	return err
}

// asked is what a client did, answered what came of it.
type asked struct {
	key      bus.USCC
	old, new string // of a write: the name it expects and the one it sets
}

type answered struct {
	name    string // of a read
	outcome outcome
}

type outcome int

const (
	done outcome = iota
	refused
	unknown // no answer: it may take effect at any time from its call on, or never
)

// history is what the clients of one run saw.
type history struct {
	mu         sync.Mutex
	operations []porcupine.Operation
	names      map[string]string // key and revision → name
	torn       []string          // revisions that were seen with two names
	faults     []string
	took       time.Duration
}

func (h *history) add(id int, called, returned time.Duration, in asked, out answered) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.operations = append(h.operations, porcupine.Operation{
		ClientId: id, Input: in, Call: int64(called), Output: out, Return: int64(returned),
	})
}

// see holds a revision to one name.
func (h *history) see(d bus.Department) {
	h.mu.Lock()
	defer h.mu.Unlock()
	at := fmt.Sprint(d.ID, " at ", d.Revision)
	if before, ok := h.names[at]; ok && before != d.Name {
		h.torn = append(h.torn, fmt.Sprintf("%s is %s and %s", at, before, d.Name))
	}
	h.names[at] = d.Name
}

func (h *history) note(fault string, at *site) {
	h.faults = append(h.faults, fault+" "+string(at.node.ID()))
}

// String sums a run up.
func (h *history) String() string {
	reads, open := 0, 0
	for _, o := range h.operations {
		if o.Input.(asked).new == "" {
			reads++
		}
		if o.Return == math.MaxInt64 {
			open++
		}
	}
	return fmt.Sprintf("%.1f s, %d reads, %d writes of which %d without an answer; %s", h.took.Seconds(), reads, len(h.operations)-reads, open, strings.Join(h.faults, ", "))
}

// check asks porcupine whether some order of the operations explains the answers.
func (h *history) check(t *testing.T) porcupine.CheckResult {
	t.Helper()
	for _, torn := range h.torn {
		t.Error(torn)
	}
	if len(h.operations) < 100 {
		t.Errorf("only %d operations: nothing was tested", len(h.operations))
	}
	result, info := porcupine.CheckOperationsVerbose(register, h.operations, time.Minute)
	if result != porcupine.Ok {
		file := filepath.Join(t.ArtifactDir(), "history.html") // kept with go test -artifacts
		must(t, porcupine.VisualizePath(register, info, file))
	}
	return result
}

// register is a name that is changed where it is as expected.
var register = porcupine.Model{
	Partition: func(all []porcupine.Operation) [][]porcupine.Operation {
		byKey := map[bus.USCC][]porcupine.Operation{}
		for _, o := range all {
			key := o.Input.(asked).key
			byKey[key] = append(byKey[key], o)
		}
		var parts [][]porcupine.Operation
		for _, part := range byKey {
			parts = append(parts, part)
		}
		return parts
	},
	Init: func() any { return "initial" },
	Step: func(state, input, output any) (bool, any) {
		name, in, out := state.(string), input.(asked), output.(answered)
		switch {
		case in.new == "":
			return name == out.name, name
		case out.outcome == refused:
			return name != in.old, name
		case name == in.old:
			return true, in.new
		default:
			return out.outcome == unknown, name
		}
	},
	DescribeOperation: func(input, output any) string {
		in, out := input.(asked), output.(answered)
		if in.new == "" {
			return "read " + out.name
		}
		return fmt.Sprintf("%s → %s: %s", in.old, in.new, [...]string{"done", "refused", "unknown"}[out.outcome])
	},
}
