package consensus_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/consensus"
	"github.com/gxbus/gxbus/pkg/directory"
	"github.com/gxbus/gxbus/pkg/directory/command"
	"github.com/gxbus/gxbus/pkg/directory/state"
	"github.com/hashicorp/raft"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	if crowd := os.Getenv(crowdVariable); crowd != "" {
		os.Exit(runCrowd(crowd)) // this process plays the followers of a benchmark
	}
	goleak.VerifyTestMain(m)
}

const patience = 3 * time.Minute // elections take seconds; a machine whose disk stalls, more

// member is a node of a group: its files, and its parts while it runs.
type member struct {
	t     testing.TB
	id    bus.NodeID
	dir   string
	wires *wires

	trusts   func(bus.NodeID) bool // nil: everybody's word counts
	fence    *consensus.Fence
	store    *state.Store
	fsm      *directory.FSM
	group    *consensus.Group
	halted   chan error
	kept     bus.Revision // what the directory file had when it was opened
	restored int          // how often the state was replaced by a snapshot
}

func newMember(t testing.TB, id bus.NodeID, w *wires) *member {
	m := &member{t: t, id: id, dir: t.TempDir(), wires: w, halted: make(chan error, 1)}
	t.Cleanup(m.stop)
	return m
}

func (m *member) generation() string { return filepath.Join(m.dir, "generation.json") }

func (m *member) databasePath() string { return filepath.Join(m.dir, "directory.db") }

func (m *member) start() {
	m.t.Helper()
	if err := m.tryStart(); err != nil {
		m.t.Fatal(err)
	}
}

func (m *member) tryStart() error {
	m.t.Helper()
	store, err := state.Open(m.databasePath())
	if err != nil {
		return err
	}
	layer, err := m.wires.listen(m.id)
	if err != nil {
		return errors.Join(err, store.Close())
	}
	halt := func(err error) {
		select {
		case m.halted <- err:
		default:
		}
	}
	applied, _ := store.Applied()
	m.kept = applied
	m.fsm = directory.NewFSM(store, halt)
	trusted := func(id bus.NodeID) bool { return m.trusts == nil || m.trusts(id) }
	if m.fence, err = consensus.NewFence(m.generation(), trusted, halt); err != nil {
		return errors.Join(err, layer.Close(), store.Close())
	}
	group, err := consensus.Open(consensus.Config{
		ID: m.id, Dir: filepath.Join(m.dir, "raft"), Streams: layer, FSM: counted{m.fsm, m}, Fence: m.fence,
		Applied: applied, Committed: store.Committed(), Logger: slog.New(slog.DiscardHandler), Halt: halt,
	})
	if err != nil {
		return errors.Join(err, layer.Close(), store.Close())
	}
	m.store, m.group = store, group
	return nil
}

// stop ends a member that runs.
func (m *member) stop() {
	m.t.Helper()
	if m.group == nil {
		return
	}
	m.fsm.Close()
	if err := errors.Join(m.group.Close(), m.store.Close()); err != nil {
		m.t.Error(err)
	}
	m.group = nil
}

func (m *member) loseFile(name string) {
	m.t.Helper()
	if err := os.RemoveAll(filepath.Join(m.dir, name)); err != nil {
		m.t.Fatal(err)
	}
}

// marked waits until the directory's mark knows what is applied.
func (m *member) marked() {
	m.t.Helper()
	applied, _ := m.store.Applied()
	until(m.t, "the mark does not follow", func() bool { return m.mark().Applied >= applied })
}

// mark is what stands beside the directory file.
type mark struct {
	Boot    string       `json:"boot"`
	Closed  bool         `json:"closed"`
	Applied bus.Revision `json:"applied"`
}

func (m *member) mark() (found mark) {
	m.t.Helper()
	data, err := os.ReadFile(m.databasePath() + ".mark")
	if err := errors.Join(err, json.Unmarshal(data, &found)); err != nil {
		m.t.Fatal(err)
	}
	return found
}

// anotherBoot makes it look as if the machine had been started since.
func (m *member) anotherBoot() {
	m.t.Helper()
	found := m.mark()
	found.Boot = "an earlier one"
	data, err := json.Marshal(found)
	if err := errors.Join(err, os.WriteFile(m.databasePath()+".mark", data, 0o600)); err != nil {
		m.t.Fatal(err)
	}
}

// copyFiles keeps files as they are now, and returns what puts them back.
func (m *member) copyFiles(names ...string) (restore func()) {
	m.t.Helper()
	kept := map[string][]byte{}
	for _, name := range names {
		data, err := os.ReadFile(filepath.Join(m.dir, name))
		if err != nil {
			m.t.Fatal(err)
		}
		kept[name] = data
	}
	return func() {
		m.t.Helper()
		for name, data := range kept {
			if err := os.WriteFile(filepath.Join(m.dir, name), data, 0o600); err != nil {
				m.t.Fatal(err)
			}
		}
	}
}

// lead waits until the member leads.
func (m *member) lead() {
	m.t.Helper()
	until(m.t, "no leader", func() bool { return m.group.Leader() == m.id })
}

// apply proposes an entry and returns where it is in the log.
func (m *member) apply(e command.Entry) bus.Revision {
	m.t.Helper()
	answer, err := m.propose(m.t.Context(), e)
	if err != nil {
		m.t.Fatal(err)
	}
	results, ok := answer.([]state.Result)
	if !ok || len(results) != 1 || results[0].Err() != nil || results[0].Index == 0 {
		m.t.Fatalf("answered %+v", answer)
	}
	return results[0].Index
}

func (m *member) propose(ctx context.Context, e command.Entry) (any, error) {
	m.t.Helper()
	data, err := e.Encode()
	if err != nil {
		m.t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	return m.group.Apply(ctx, data)
}

// reach waits until the member's replica has index.
func (m *member) reach(index bus.Revision) {
	m.t.Helper()
	ctx, cancel := context.WithTimeout(m.t.Context(), patience)
	defer cancel()
	if err := m.store.Wait(ctx, index); err != nil {
		m.t.Fatalf("%s does not reach %d: %v", m.id, index, err)
	}
}

func (m *member) hash() string {
	m.t.Helper()
	snapshot, err := m.store.Snapshot()
	if err != nil {
		m.t.Fatal(err)
	}
	defer snapshot.Close()
	hash, err := snapshot.Hash()
	if err != nil {
		m.t.Fatal(err)
	}
	return string(hash)
}

// voters counts who votes and who does not, as the member knows it.
func (m *member) voters() (voters, others int) {
	m.t.Helper()
	members, err := m.group.Members()
	if err != nil {
		m.t.Fatal(err)
	}
	for _, member := range members {
		if member.Voter {
			voters++
		} else {
			others++
		}
	}
	return voters, others
}

func until(t testing.TB, failure string, condition func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for end := time.After(patience); !condition(); {
		select {
		case <-tick.C:
		case <-end:
			t.Fatal(failure)
		}
	}
}

func founding(t testing.TB) command.Entry {
	return entry(t, command.ClusterInit, command.Init{Cluster: "gd", Node: bus.Node{ID: "gz"}})
}

// tick is an entry that can be told from others by its time.
func tick(t testing.TB, n int) command.Entry {
	e := entry(t, command.Tick, command.Empty{})
	e.At = time.Unix(int64(n), 0).UTC()
	return e
}

func entry(t testing.TB, typ command.Type, body any) command.Entry {
	t.Helper()
	e, err := command.New(typ, bus.Principal{Node: "gz"}, "", 0, body)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// counted counts a state machine's restores.
type counted struct {
	*directory.FSM
	m *member
}

func (c counted) Restore(r io.ReadCloser) error {
	c.m.restored++
	return c.FSM.Restore(r)
}

// wires join the members of a group by TCP; an address is a node id.
type wires struct {
	mu  sync.Mutex
	ids map[bus.NodeID]string
}

func newWires() *wires { return &wires{ids: map[bus.NodeID]string{}} }

func (w *wires) listen(id bus.NodeID) (*layer, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ids[id] = listener.Addr().String()
	return &layer{Listener: listener, wires: w, id: id}, nil
}

// layer is one member's end; it closes its connections with itself.
type layer struct {
	net.Listener
	wires *wires
	id    bus.NodeID

	mu     sync.Mutex
	open   []net.Conn
	closed bool
}

func (l *layer) Addr() net.Addr { return address(l.id) }

// Accept reads who calls; the caller's first act is to say so.
func (l *layer) Accept() (net.Conn, error) {
	conn, err := l.kept(l.Listener.Accept())
	if err != nil {
		return nil, err
	}
	var id [2]byte
	if _, err := io.ReadFull(conn, id[:]); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return named{conn, bus.NodeID(id[:])}, nil
}

// named is a connection with who is on the other side.
type named struct {
	net.Conn
	id bus.NodeID
}

func (n named) PeerID() bus.NodeID { return n.id }

func (l *layer) Dial(to raft.ServerAddress, timeout time.Duration) (net.Conn, error) {
	l.wires.mu.Lock()
	where := l.wires.ids[bus.NodeID(to)]
	l.wires.mu.Unlock()
	conn, err := l.kept(net.DialTimeout("tcp", where, timeout))
	if err != nil {
		return nil, err
	}
	if _, err := io.WriteString(conn, string(l.id)); err != nil { // ids here are of two letters
		return nil, errors.Join(err, conn.Close())
	}
	return conn, nil
}

func (l *layer) kept(conn net.Conn, err error) (net.Conn, error) {
	if err != nil {
		return nil, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return nil, errors.Join(net.ErrClosed, conn.Close())
	}
	l.open = append(l.open, conn)
	return conn, nil
}

func (l *layer) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	for _, conn := range l.open {
		_ = conn.Close() // some are closed already
	}
	l.open = nil
	return l.Listener.Close()
}

type address bus.NodeID

func (address) Network() string  { return "node" }
func (a address) String() string { return string(a) }
