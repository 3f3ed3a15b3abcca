package peer_test

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"os"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/peer"
)

func TestStreamCarriesBytesAndIdentities(t *testing.T) {
	w := newWorld(t)
	a, b := w.open(city), w.open(county)
	callers := echo(t, a, peer.HTTP)

	conn := dial(t, b, city, peer.HTTP)
	ok(t, say(conn, "你好"))
	if caller := receive(t, callers); caller != county {
		t.Errorf("the caller is %s", caller)
	}
	if id := conn.(*peer.Conn).PeerID(); id != city {
		t.Errorf("the peer is %s", id)
	}
	if conn.LocalAddr().String() != string(county) || conn.RemoteAddr().String() != string(city) || conn.RemoteAddr().Network() != "gxbus" {
		t.Errorf("addresses = %s, %s", conn.LocalAddr(), conn.RemoteAddr())
	}
}

// Both sides are told of a connection, once for as long as it lasts.
func TestBothSidesAreToldOfAConnection(t *testing.T) {
	w := newWorld(t)
	told := make(chan string, 10)
	telling := func(c *peer.Config) { c.Connected = func(id bus.NodeID) { told <- string(c.Self + " " + id) } }
	a, b := w.open(city, telling), w.open(county, telling)
	callers := echo(t, a, peer.HTTP)
	for range 2 {
		ok(t, say(dial(t, b, city, peer.HTTP), "你好"))
		receive(t, callers)
	}
	got := []string{receive(t, told), receive(t, told)}
	slices.Sort(got)
	want := []string{string(city + " " + county), string(county + " " + city)}
	slices.Sort(want)
	if !slices.Equal(got, want) || len(told) > 0 {
		t.Errorf("told %v and %d more, want %v", got, len(told), want)
	}
}

func TestParentReachesAChildThatTakesNoConnections(t *testing.T) {
	w := newWorld(t)
	parent := w.open(city)
	child := w.open(county, dialOnly)
	if child.Address() != "" {
		t.Fatalf("the child listens on %s", child.Address())
	}
	echo(t, parent, peer.HTTP)
	callers := echo(t, child, peer.HTTP)

	_, err := parent.Dial(t.Context(), county, peer.HTTP)
	unreachable(t, err, "no address")
	ok(t, say(dial(t, child, city, peer.HTTP), "up"))
	before := w.resolvedTimes()
	ok(t, say(dial(t, parent, county, peer.HTTP), "down"))
	ok(t, say(dial(t, child, city, peer.HTTP), "up again"))
	if receive(t, callers) != city || w.resolvedTimes() != before {
		t.Error("the session was not reused in both directions")
	}
}

func TestConnectionsLeaveFromTheAddressANodeListensOn(t *testing.T) {
	w := newWorld(t)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	ok(t, err)
	defer listener.Close()
	w.setAddress(city, listener.Addr().String())
	b := w.open(county, func(c *peer.Config) { c.Listen = "127.0.0.7:0" })
	go func() { _, _ = b.Dial(t.Context(), city, peer.HTTP) }()
	conn, err := listener.Accept()
	ok(t, err)
	defer conn.Close()
	if host, _, _ := net.SplitHostPort(conn.RemoteAddr().String()); host != "127.0.0.7" {
		t.Errorf("the connection came from %s", host)
	}
}

func TestConcurrentDialsShareOneHandshake(t *testing.T) {
	w := newWorld(t)
	a, b := w.open(city), w.open(county)
	echo(t, a, peer.HTTP)
	at(t, 50, func(int) error {
		conn, err := b.Dial(t.Context(), city, peer.HTTP)
		if err != nil {
			return err
		}
		defer conn.Close()
		return say(conn, "hello")
	})
	if n := w.resolvedTimes(); n != 1 {
		t.Errorf("%d handshakes, want 1", n)
	}
}

func TestNodesThatDialEachOtherAtOnceBothGetThrough(t *testing.T) {
	for range 20 {
		w := newWorld(t)
		planes := map[bus.NodeID]*peer.Plane{city: w.open(city), county: w.open(county)}
		echo(t, planes[city], peer.HTTP)
		echo(t, planes[county], peer.HTTP)
		at(t, 8, func(i int) error {
			from, to := city, county
			if i%2 == 0 {
				from, to = county, city
			}
			for range 3 {
				conn, err := planes[from].Dial(t.Context(), to, peer.HTTP)
				if err != nil {
					return err
				}
				defer conn.Close()
				if err := say(conn, "hello "+string(to)); err != nil {
					return err
				}
			}
			return nil
		})
	}
}

func TestNodeReachesItself(t *testing.T) {
	w := newWorld(t)
	p := w.open(city)
	callers := echo(t, p, peer.HTTP)
	for range 4 {
		ok(t, say(dial(t, p, city, peer.HTTP), "me"))
		if receive(t, callers) != city {
			t.Error("I am somebody else")
		}
	}
}

func TestStreamOfAProtocolNobodyListensForIsClosed(t *testing.T) {
	w := newWorld(t)
	log := newJournal()
	a := w.open(city, func(c *peer.Config) { c.Logger = log.logger() })
	b := w.open(county)
	echo(t, a, peer.HTTP)

	conn := dial(t, b, city, "gossip")
	_ = conn.SetReadDeadline(time.Now().Add(patience))
	if _, err := conn.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("read: %v", err)
	}
	log.wait(t, "nobody listens", "gossip")
	for _, name := range []peer.Protocol{"", "HTTP", "a b", "longer-than-sixteen"} {
		if _, err := b.Dial(t.Context(), city, name); bus.CodeOf(err) != bus.CodeInvalid {
			t.Errorf("dial %q: %v", name, err)
		}
		if _, err := b.Listen(name); bus.CodeOf(err) != bus.CodeInvalid {
			t.Errorf("listen %q: %v", name, err)
		}
	}
	ok(t, say(dial(t, b, city, peer.HTTP), "others go on"))
}

func TestOneListenerAProtocolAtATime(t *testing.T) {
	p := newWorld(t).open(city)
	first, err := p.Listen(peer.Raft)
	ok(t, err)
	if _, err := p.Listen(peer.Raft); bus.CodeOf(err) != bus.CodeInUse {
		t.Errorf("second listener: %v", err)
	}
	ok(t, first.Close())
	ok(t, first.Close())
	if _, err := first.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("accept after close: %v", err)
	}
	again, err := p.Listen(peer.Raft)
	ok(t, err)
	ok(t, first.Close())
	if _, err := p.Listen(peer.Raft); bus.CodeOf(err) != bus.CodeInUse {
		t.Error("closing the first listener again closed the second")
	}
	ok(t, again.Close())
}

func TestS25_RemovedNodeIsCutOffAndKeptOut(t *testing.T) {
	w := newWorld(t)
	a, b := w.open(city), w.open(county)
	echo(t, a, peer.HTTP)
	conn := dial(t, b, city, peer.HTTP)
	ok(t, say(conn, "hello"))

	w.remove(county)
	a.Disconnect(county)
	_ = conn.SetReadDeadline(time.Now().Add(patience))
	if _, err := conn.Read(make([]byte, 1)); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("read: %v", err)
	}
	_, err := b.Dial(t.Context(), city, peer.HTTP)
	unreachable(t, err, "did not admit")
	_, err = a.Dial(t.Context(), county, peer.HTTP)
	unreachable(t, err, "not admitted")
}

func TestNodeRemovedDuringItsHandshakeDoesNotStay(t *testing.T) {
	w := newWorld(t)
	asked := 0
	w.admitting = func(id bus.NodeID, _ *world) bool {
		if id == county {
			asked++
		}
		return id != county || asked == 1 // by the city, in the handshake
	}
	log := newJournal()
	a := w.open(city, func(c *peer.Config) { c.Logger = log.logger() })
	b := w.open(county)
	callers := echo(t, a, peer.HTTP)
	if conn, err := b.Dial(t.Context(), city, peer.HTTP); err == nil {
		_ = conn.SetReadDeadline(time.Now().Add(patience))
		if _, err := conn.Read(make([]byte, 1)); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("read: %v", err)
		}
	}
	log.wait(t, "connection refused", "not admitted")
	if len(callers) != 0 {
		t.Error("a stream of a removed node was handed out")
	}
}

func TestDialGivesUpWithItsContext(t *testing.T) {
	w := newWorld(t)
	mute, err := net.Listen("tcp", "127.0.0.1:0") // never answers
	ok(t, err)
	defer mute.Close()
	w.setAddress(city, mute.Addr().String())
	b := w.open(county, func(c *peer.Config) { c.HandshakeTimeout = time.Second })

	ctx, cancel := context.WithCancel(t.Context())
	patient := make(chan error, 1)
	go func() {
		_, err := b.Dial(t.Context(), city, peer.HTTP)
		patient <- err
	}()
	conn, err := mute.Accept()
	ok(t, err)
	defer conn.Close()
	cancel()
	_, err = b.Dial(ctx, city, peer.HTTP)
	unreachable(t, err, context.Canceled.Error())
	unreachable(t, receive(t, patient), context.DeadlineExceeded.Error())
}

func TestCloseInterruptsAHandshakeAndEndsEverything(t *testing.T) {
	w := newWorld(t)
	mute, err := net.Listen("tcp", "127.0.0.1:0")
	ok(t, err)
	defer mute.Close()
	w.setAddress(city, mute.Addr().String())
	other := w.open(province)
	echo(t, other, peer.HTTP)
	b := w.open(county)
	conn := dial(t, b, province, peer.HTTP)
	ok(t, say(conn, "hello"))
	l, err := b.Listen(peer.Raft)
	ok(t, err)

	result := make(chan error, 1)
	go func() {
		_, err := b.Dial(t.Context(), city, peer.HTTP)
		result <- err
	}()
	raw, err := mute.Accept()
	ok(t, err)
	defer raw.Close()
	silent, err := net.Dial("tcp", b.Address())
	ok(t, err)
	defer silent.Close()

	start := time.Now()
	ok(t, b.Close())
	ok(t, b.Close())
	if took := time.Since(start); took > 5*time.Second {
		t.Errorf("closing took %v", took)
	}
	unreachable(t, receive(t, result), "")
	if _, err := l.Accept(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("accept: %v", err)
	}
	if _, err := conn.Read(make([]byte, 1)); err == nil {
		t.Error("the stream is still open")
	}
	_, err = b.Dial(t.Context(), province, peer.HTTP)
	unreachable(t, err, "closed")
}

func TestSilentPeerIsGivenUp(t *testing.T) {
	w := newWorld(t)
	a := w.open(city)
	echo(t, a, peer.HTTP)
	relay := newRelay(t, a.Address())
	w.setAddress(city, relay.address)
	b := w.open(county, func(c *peer.Config) { c.KeepAlive = 200 * time.Millisecond })
	conn := dial(t, b, city, peer.HTTP)
	ok(t, say(conn, "hello"))

	relay.mute()
	_ = conn.SetReadDeadline(time.Now().Add(patience))
	if _, err := conn.Read(make([]byte, 1)); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("read: %v", err)
	}
	w.setAddress(city, a.Address())
	ok(t, say(dial(t, b, city, peer.HTTP), "a new session"))
}

func TestChildKeepsConnectedAcrossARestartOfItsParent(t *testing.T) {
	w := newWorld(t)
	log, parentLog := newJournal(), newJournal()
	logged := func(c *peer.Config) { c.Logger = parentLog.logger() }
	config := w.config(city)
	logged(&config)
	parent, err := peer.Open(config)
	ok(t, err)
	w.setAddress(city, parent.Address())
	child := w.open(county, dialOnly, func(c *peer.Config) { c.Logger = log.logger() })
	echo(t, child, peer.HTTP)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		child.KeepConnected(ctx, city)
	}()
	parentLog.wait(t, "peer: connected", string(county))
	ok(t, say(dial(t, parent, county, peer.HTTP), "before"))
	ok(t, parent.Close())
	log.wait(t, "cannot connect", "again_in")

	parent = w.open(city, logged)
	parentLog.wait(t, "peer: connected", string(county))
	ok(t, say(dial(t, parent, county, peer.HTTP), "after"))
	cancel()
	receive(t, done)
}

func TestNoSessionTicketIsHandedOut(t *testing.T) {
	w := newWorld(t)
	config := rawClient(w, w.certificate(county, time.Now(), time.Hour))
	config.ClientSessionCache = noTickets{t}
	conn, err := rawDial(w.open(city).Address(), config)
	ok(t, err)
	conn.Close()
}

// noTickets fails its test when it is given something to resume with.
type noTickets struct{ t *testing.T }

func (noTickets) Get(string) (*tls.ClientSessionState, bool) { return nil, false }

func (n noTickets) Put(string, *tls.ClientSessionState) {
	n.t.Error("a session ticket: a later handshake could leave the certificates out")
}

func TestOpenRefusesABadConfiguration(t *testing.T) {
	w := newWorld(t)
	taken := w.open(city).Address()
	for name, c := range map[string]struct {
		change func(*peer.Config)
		code   bus.Code
		field  string
	}{
		"no self":              {func(c *peer.Config) { c.Self = "" }, bus.CodeInvalid, "self"},
		"no roots":             {func(c *peer.Config) { c.Roots = nil }, bus.CodeInvalid, "roots"},
		"no resolver":          {func(c *peer.Config) { c.Resolver = nil }, bus.CodeInvalid, "resolver"},
		"no admission":         {func(c *peer.Config) { c.Admission = nil }, bus.CodeInvalid, "admission"},
		"no certificate":       {func(c *peer.Config) { c.Certificate = tls.Certificate{} }, bus.CodeInvalid, "certificate"},
		"another node's":       {func(c *peer.Config) { c.Self = city }, bus.CodeInvalid, "certificate"},
		"another cluster's":    {func(c *peer.Config) { c.Cluster = "gx-other" }, bus.CodeInvalid, "certificate"},
		"port in use":          {func(c *peer.Config) { c.Listen = taken }, bus.CodeUnavailable, "listen"},
		"not a listen address": {func(c *peer.Config) { c.Listen = "nonsense" }, bus.CodeUnavailable, "listen"},
	} {
		t.Run(name, func(t *testing.T) {
			config := w.config(county)
			c.change(&config)
			_, err := peer.Open(config)
			e, isBus := errors.AsType[*bus.Error](err)
			if !isBus || e.Code != c.code || e.Defects[0].Field != c.field || e.Defects[0].Problem.ZH == "" {
				t.Errorf("error = %v", err)
			}
		})
	}
}

// at runs f n times at once and reports every error.
func at(t *testing.T, n int, f func(i int) error) {
	t.Helper()
	var all sync.WaitGroup
	start := make(chan struct{})
	for i := range n {
		all.Go(func() {
			<-start
			if err := f(i); err != nil {
				t.Error(err)
			}
		})
	}
	close(start)
	all.Wait()
}

// relay is a TCP hop that can stop passing anything on without closing.
type relay struct {
	address string
	quiet   chan struct{}
}

func newRelay(t *testing.T, target string) *relay {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	ok(t, err)
	r := &relay{address: l.Addr().String(), quiet: make(chan struct{})}
	var all sync.WaitGroup
	var open []net.Conn
	all.Go(func() {
		for {
			in, err := l.Accept()
			if err != nil {
				return
			}
			out, err := net.Dial("tcp", target)
			if err != nil {
				in.Close()
				continue
			}
			open = append(open, in, out)
			all.Go(func() { r.pass(in, out) })
			all.Go(func() { r.pass(out, in) })
		}
	})
	t.Cleanup(func() {
		l.Close()
		for _, c := range open {
			c.Close()
		}
		all.Wait()
	})
	return r
}

func (r *relay) mute() { close(r.quiet) }

func (r *relay) pass(from, to net.Conn) {
	buffer := make([]byte, 32<<10)
	for {
		n, err := from.Read(buffer)
		if err != nil {
			return
		}
		select {
		case <-r.quiet:
		default:
			_, _ = to.Write(buffer[:n])
		}
	}
}
