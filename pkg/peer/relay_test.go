package peer_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/raft"

	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/peer"
)

const (
	otherCity   = bus.NodeID("440300")
	otherCounty = bus.NodeID("440305")
)

// tree is a province with two cities and a county under each. The counties take
// no connections, and a packet filter lets them out to their city only.
type tree struct {
	*world
	planes map[bus.NodeID]*peer.Plane
	filter *filter
}

func grow(t testing.TB, change ...func(*peer.Config)) *tree {
	t.Helper()
	tr := &tree{world: newWorld(t), planes: map[bus.NodeID]*peer.Plane{}, filter: &filter{}}
	tr.parents = map[bus.NodeID]bus.NodeID{province: "", city: province, otherCity: province, county: city, otherCounty: otherCity}
	for _, id := range []bus.NodeID{province, city, otherCity} {
		tr.planes[id] = tr.open(id, change...)
	}
	for id, parent := range map[bus.NodeID]bus.NodeID{county: city, otherCounty: otherCity} {
		tr.filter.allow(id, tr.planes[parent].Address())
		tr.planes[id] = tr.open(id, append(change, dialOnly, tr.filter.of(id))...)
	}
	for _, id := range []bus.NodeID{city, otherCity, county, otherCounty} {
		tr.keep(id)
	}
	return tr
}

// keep holds a node's connection with its parent until the test ends.
func (tr *tree) keep(id bus.NodeID) {
	tr.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		tr.planes[id].KeepConnected(ctx, tr.parents[id])
	}()
	tr.t.Cleanup(func() {
		cancel()
		<-done
	})
	eventually(tr.t, string(id)+" is connected", func() bool {
		conn, err := tr.planes[tr.parents[id]].Dial(tr.t.Context(), id, "knock")
		if err == nil {
			conn.Close()
		}
		return err == nil
	})
}

// filter is a packet filter that drops what it does not allow: who connects
// waits in vain.
type filter struct {
	mu      sync.Mutex
	allowed map[bus.NodeID][]string
	tried   map[string]int // connections to an address
}

func (f *filter) allow(from bus.NodeID, address string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.allowed == nil {
		f.allowed, f.tried = map[bus.NodeID][]string{}, map[string]int{}
	}
	f.allowed[from] = append(f.allowed[from], address)
}

func (f *filter) times(address string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.tried[address]
}

func (f *filter) passes(from bus.NodeID, address string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.tried[address]++
	for _, a := range f.allowed[from] {
		if a == address {
			return true
		}
	}
	return false
}

func (f *filter) of(from bus.NodeID) func(*peer.Config) {
	return func(c *peer.Config) {
		c.Connect = func(ctx context.Context, address string) (net.Conn, error) {
			if !f.passes(from, address) {
				<-ctx.Done()
				return nil, context.Cause(ctx)
			}
			return new(net.Dialer).DialContext(ctx, "tcp", address)
		}
	}
}

func eventually(t testing.TB, what string, done func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	timeout := time.NewTimer(2 * patience)
	defer timeout.Stop()
	for !done() {
		select {
		case <-tick.C:
		case <-timeout.C:
			t.Fatalf("waited in vain until %s", what)
		}
	}
}

func TestEveryNodeReachesEveryOtherWhateverLiesBetween(t *testing.T) {
	tr := grow(t)
	callers := map[bus.NodeID]<-chan bus.NodeID{}
	for id, p := range tr.planes {
		callers[id] = echo(t, p, peer.HTTP)
	}
	for from, p := range tr.planes {
		for to := range tr.planes {
			if from == to {
				continue
			}
			conn := dial(t, p, to, peer.HTTP)
			ok(t, say(conn, string(from)+" to "+string(to)))
			if caller := receive(t, callers[to]); caller != from || conn.(*peer.Conn).PeerID() != to {
				t.Errorf("%s dialled %s: found %s, which saw %s", from, to, conn.(*peer.Conn).PeerID(), caller)
			}
		}
	}
	// One session serves both directions: only one county dialled the other.
	if n := tr.planes[province].Relaying(); n.Total == 0 || n.Bytes == 0 || n.Refused != 0 {
		t.Errorf("the province relayed %+v", n)
	}
}

func TestRelayedStreamsAreIndependentAndCarryMuch(t *testing.T) {
	tr := grow(t)
	echo(t, tr.planes[otherCounty], peer.HTTP)
	stuck := dial(t, tr.planes[county], otherCounty, peer.HTTP) // nobody reads its echo
	go func() { _, _ = stuck.Write(make([]byte, 4<<20)) }()
	at(t, 16, func(i int) error {
		conn, err := tr.planes[county].Dial(t.Context(), otherCounty, peer.HTTP)
		if err != nil {
			return err
		}
		defer conn.Close()
		return say(conn, strings.Repeat(string(rune('a'+i)), 100<<10))
	})
	big := bytes.Repeat([]byte("0123456789abcdef"), 1<<19) // 8 MiB
	conn := dial(t, tr.planes[county], otherCounty, peer.HTTP)
	go func() { _, _ = conn.Write(big) }()
	got := make([]byte, len(big))
	_ = conn.SetReadDeadline(time.Now().Add(2 * patience))
	_, err := io.ReadFull(conn, got)
	ok(t, err)
	if !bytes.Equal(got, big) {
		t.Error("what came back is not what was sent")
	}
	if moved := tr.planes[province].Relaying().Bytes; moved < 2*uint64(len(big)) {
		t.Errorf("the province counts %d bytes", moved)
	}
}

func TestCloseAndLossMeanTheSameThroughRelays(t *testing.T) {
	tr := grow(t)
	l, err := tr.planes[otherCounty].Listen(peer.HTTP)
	ok(t, err)
	near := dial(t, tr.planes[county], otherCounty, peer.HTTP)
	sent := bytes.Repeat([]byte("数据"), 50<<10)
	go func() {
		_, _ = near.Write(sent)
		_ = near.Close()
	}()
	far, err := l.Accept()
	ok(t, err)
	got, err := io.ReadAll(far)
	ok(t, err)
	if !bytes.Equal(got, sent) {
		t.Errorf("%d bytes arrived of %d", len(got), len(sent))
	}
	ok(t, far.Close())

	near = dial(t, tr.planes[county], otherCounty, peer.HTTP)
	_, err = near.Write([]byte("half a mess"))
	ok(t, err)
	far, err = l.Accept()
	ok(t, err)
	_, err = io.ReadFull(far, make([]byte, 11))
	ok(t, err)
	ok(t, tr.planes[province].Close()) // a relay dies
	for side, conn := range map[string]net.Conn{"dialler": near, "dialled": far} {
		_ = conn.SetReadDeadline(time.Now().Add(patience))
		if rest, err := io.ReadAll(conn); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("%s read %q, %v", side, rest, err)
		}
	}
	// The cities know each other: they go on without the province.
	l.Close()
	echo(t, tr.planes[otherCounty], peer.HTTP)
	ok(t, say(dial(t, tr.planes[county], otherCounty, peer.HTTP), "around the province"))
	ok(t, tr.planes[otherCity].Close())
	eventually(t, "the county is cut off", func() bool {
		_, err = tr.planes[county].Dial(t.Context(), otherCounty, peer.HTTP)
		return err != nil
	})
	unreachable(t, err, "through "+string(city)+": it cannot reach the node")
}

// A dead relay costs its streams; a dial afterwards takes another way.
func TestAfterTheLossOfARelayAnotherWayIsTaken(t *testing.T) {
	tr := grow(t)
	echo(t, tr.planes[otherCity], peer.HTTP)
	conn := dial(t, tr.planes[county], otherCity, peer.HTTP)
	ok(t, say(conn, "through the province"))
	tr.filter.allow(county, tr.planes[otherCity].Address())
	ok(t, tr.planes[city].Close())
	_ = conn.SetReadDeadline(time.Now().Add(patience))
	if _, err := conn.Read(make([]byte, 1)); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("read: %v", err)
	}
	ok(t, say(dial(t, tr.planes[county], otherCity, peer.HTTP), "directly"))
}

// The target's own parent is down; a relay further up knows its address.
func TestARelayGoesAroundADeadOneWhereItCan(t *testing.T) {
	tr := grow(t)
	lower := tr.open("440307")
	tr.mu.Lock()
	tr.parents["440307"] = otherCity
	tr.mu.Unlock()
	echo(t, lower, peer.HTTP)
	ok(t, tr.planes[otherCity].Close())
	ok(t, say(dial(t, tr.planes[county], "440307", peer.HTTP), "around it"))
}

func TestADroppedConnectionDoesNotCostTheWholePatience(t *testing.T) {
	tr := grow(t)
	echo(t, tr.planes[province], peer.HTTP)
	address := tr.planes[province].Address()
	begun := time.Now()
	ok(t, say(dial(t, tr.planes[county], province, peer.HTTP), "late"))
	if took := time.Since(begun); took > 7*time.Second {
		t.Errorf("the first dial took %v", took)
	}
	if tr.filter.times(address) != 1 {
		t.Errorf("tried %d times directly", tr.filter.times(address))
	}
	tr.planes[county].Disconnect(province)
	eventually(t, "the old session is gone", func() bool {
		conn, err := tr.planes[county].Dial(t.Context(), province, peer.HTTP)
		if err != nil {
			return false
		}
		defer conn.Close()
		return say(conn, "again") == nil
	})
	if tr.filter.times(address) != 1 {
		t.Error("an address that did not answer was tried again at once")
	}
}

func TestADirectSessionTakesTheRelayedOnesPlaceAndBreaksNoStream(t *testing.T) {
	log := newJournal()
	tr := grow(t, func(c *peer.Config) { c.RetryDirect = 200 * time.Millisecond })
	echo(t, tr.planes[province], peer.HTTP)
	county := tr.open("440111", dialOnly, tr.filter.of("440111"), func(c *peer.Config) {
		c.RetryDirect, c.Logger = 200*time.Millisecond, log.logger()
	})
	tr.mu.Lock()
	tr.parents["440111"] = city
	tr.mu.Unlock()
	tr.filter.allow("440111", tr.planes[city].Address())
	old := dial(t, county, province, peer.HTTP)
	ok(t, say(old, "relayed"))
	if n := tr.planes[city].Relaying().Streams; n != 1 {
		t.Fatalf("the city relays %d streams", n)
	}
	tr.filter.allow("440111", tr.planes[province].Address())
	log.wait(t, "peer: connected", "peer=440000", "relayed=false")
	ok(t, say(old, "still relayed"))
	young := dial(t, county, province, peer.HTTP)
	before := tr.planes[city].Relaying().Bytes
	ok(t, say(young, strings.Repeat("direct", 20<<10)))
	if grown := tr.planes[city].Relaying().Bytes - before; grown > 20<<10 {
		t.Errorf("%d bytes of a direct stream were relayed", grown)
	}
	ok(t, old.Close())
	eventually(t, "the relayed session is closed", func() bool { return tr.planes[city].Relaying().Streams == 0 })
	ok(t, say(young, "still there"))
}

func TestARelayedSessionThatNobodyUsesIsClosed(t *testing.T) {
	tr := grow(t, func(c *peer.Config) { c.RetryDirect = 100 * time.Millisecond })
	echo(t, tr.planes[otherCounty], peer.HTTP)
	conn := dial(t, tr.planes[county], otherCounty, peer.HTTP)
	ok(t, say(conn, "hello"))
	ok(t, conn.Close())
	eventually(t, "nothing is relayed", func() bool { return tr.planes[province].Relaying().Streams == 0 })
	ok(t, say(dial(t, tr.planes[county], otherCounty, peer.HTTP), "hello again"))
}

func TestUnknownNodesAreRefusedClearly(t *testing.T) {
	tr := grow(t)
	_, err := tr.planes[county].Dial(t.Context(), "440199", peer.HTTP)
	unreachable(t, err, "not-found")
	tr.mu.Lock()
	tr.parents["440199"] = otherCity // the relays' directory knows it, nobody has heard of it
	tr.mu.Unlock()
	_, err = tr.planes[county].Dial(t.Context(), "440199", peer.HTTP)
	unreachable(t, err, "it cannot reach the node")
}

func TestCirclesEnd(t *testing.T) {
	w := newWorld(t)
	ring := []bus.NodeID{province, city, county}
	for _, size := range []int{2, 3} { // back to the asker; round and round
		var planes []*peer.Plane
		for i := range size {
			planes = append(planes, w.open(ring[i], func(c *peer.Config) {
				c.Resolver = circular{w, ring[(i+1)%size]}
			}))
		}
		begun := time.Now()
		_, err := planes[0].Dial(t.Context(), otherCounty, peer.HTTP)
		unreachable(t, err, "it has no way on")
		if took := time.Since(begun); took > patience/2 {
			t.Errorf("a circle of %d took %v", size, took)
		}
		if n := planes[0].Relaying(); size == 2 && n.Total+n.Refused > 0 {
			t.Errorf("the asker was asked: %+v", n)
		}
	}
}

// circular sends everything to one neighbour.
type circular struct {
	*world
	next bus.NodeID
}

func (c circular) Next(bus.NodeID) ([]bus.NodeID, error) { return []bus.NodeID{c.next}, nil }

func TestAWayMayHaveEightRelays(t *testing.T) {
	w := newWorld(t)
	var planes []*peer.Plane
	id := func(i int) bus.NodeID { return bus.NodeID("n" + string(rune('0'+i))) }
	for i := range 10 {
		w.parents[id(i)] = ""
		if i > 0 {
			w.parents[id(i)] = id(i - 1)
		}
	}
	for i := range 10 {
		planes = append(planes, w.open(id(i), func(c *peer.Config) { c.Resolver = nearSighted{place{w, id(i)}} }))
	}
	echo(t, planes[0], peer.HTTP)
	ok(t, say(dial(t, planes[9], id(0), peer.HTTP), "eight between"))

	w.mu.Lock()
	w.parents["n99"] = id(9)
	w.mu.Unlock()
	far := w.open("n99", func(c *peer.Config) { c.Resolver = nearSighted{place{w, "n99"}} })
	_, err := far.Dial(t.Context(), id(0), peer.HTTP)
	unreachable(t, err, "too many nodes lie between")
}

// nearSighted knows the addresses of a node's neighbours in a row only.
type nearSighted struct{ place }

func (n nearSighted) Next(id bus.NodeID) ([]bus.NodeID, error) {
	next, err := n.place.Next(id)
	if err != nil {
		return nil, err
	}
	return next[:1], nil
}

func (n nearSighted) Address(id bus.NodeID) (string, error) {
	if next, err := n.Next(id); err != nil || next[0] != id {
		return "", errors.New("out of sight")
	}
	return n.place.Address(id)
}

func TestTheProtocolOfRelaysIsNobodyElses(t *testing.T) {
	p := newWorld(t).open(city)
	if _, err := p.Listen("relay"); bus.CodeOf(err) != bus.CodeInUse {
		t.Errorf("listen: %v", err)
	}
}

func TestRaftAndHTTPRunThroughRelays(t *testing.T) {
	tr := grow(t)
	leader, follower := newTransport(t, tr.planes[province]), newTransport(t, tr.planes[county])
	answers(t, leader, nil)
	snapshot := bytes.Repeat([]byte("directory"), 200<<10)
	answers(t, follower, snapshot)
	entries := []*raft.Log{{Index: 1, Term: 7, Type: raft.LogCommand, Data: []byte("grant")}}
	var appended raft.AppendEntriesResponse
	ok(t, leader.AppendEntries(raft.ServerID(county), raft.ServerAddress(county), &raft.AppendEntriesRequest{Term: 7, Entries: entries}, &appended))
	var installed raft.InstallSnapshotResponse
	ok(t, leader.InstallSnapshot(raft.ServerID(county), raft.ServerAddress(county),
		&raft.InstallSnapshotRequest{Term: 7, Size: int64(len(snapshot))}, &installed, bytes.NewReader(snapshot)))
	var vote raft.RequestVoteResponse
	ok(t, follower.RequestVote(raft.ServerID(province), raft.ServerAddress(province), &raft.RequestVoteRequest{Term: 7}, &vote))
	if !appended.Success || !installed.Success || !vote.Granted {
		t.Errorf("appended %v, installed %v, voted %v", appended.Success, installed.Success, vote.Granted)
	}
	serve(t, tr.planes[otherCounty], http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		from, _ := peer.FromContext(r.Context())
		_, _ = io.WriteString(w, string(from))
	}))
	response, err := client(tr.planes[county]).Get("http://440305/")
	ok(t, err)
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	ok(t, err)
	if string(body) != string(county) {
		t.Errorf("the handler saw %q", body)
	}
}
