package peer_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/identity"
	"github.com/gxbus/gxbus/pkg/peer"
)

const (
	cluster  = "gx-sample"
	province = bus.NodeID("440000")
	city     = bus.NodeID("440100")
	county   = bus.NodeID("440106")

	// patience bounds every wait; nothing ever waits that long unless broken.
	patience = 15 * time.Second
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// world is a cluster's authority and directory as the planes of a test see it.
type world struct {
	t  testing.TB
	ca *identity.CA

	mu        sync.Mutex
	addresses map[bus.NodeID]string
	parents   map[bus.NodeID]bus.NodeID
	removed   map[bus.NodeID]bool
	resolved  int                           // times an address was asked for
	admitting func(bus.NodeID, *world) bool // replaces the member check
}

func newWorld(t testing.TB) *world {
	t.Helper()
	ca, err := identity.NewCA(cluster, time.Now())
	ok(t, err)
	return &world{t: t, ca: ca, addresses: map[bus.NodeID]string{}, parents: map[bus.NodeID]bus.NodeID{}, removed: map[bus.NodeID]bool{}}
}

func (w *world) Address(id bus.NodeID) (string, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.resolved++
	if address := w.addresses[id]; address != "" {
		return address, nil
	}
	return "", fmt.Errorf("no address of %s", id)
}

// place is the hierarchy as one node sees it.
type place struct {
	*world
	self bus.NodeID
}

func (p place) Next(id bus.NodeID) ([]bus.NodeID, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if _, known := p.parents[id]; !known {
		return nil, bus.NotFound("node", string(id))
	}
	for at := id; at != ""; at = p.parents[at] {
		if p.parents[at] == p.self {
			return []bus.NodeID{at, p.parents[id]}, nil
		}
	}
	if parent := p.parents[p.self]; parent != "" {
		return []bus.NodeID{parent, p.parents[id]}, nil
	}
	return nil, errors.New("the top of the hierarchy")
}

func (w *world) Admit(id bus.NodeID, _ *x509.Certificate) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.admitting != nil && !w.admitting(id, w) || w.removed[id] {
		return errors.New("not a member")
	}
	return nil
}

func (w *world) setAddress(id bus.NodeID, address string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.addresses[id] = address
}

func (w *world) remove(id bus.NodeID) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.removed[id] = true
}

func (w *world) resolvedTimes() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.resolved
}

// roots is the pool of the cluster's own root.
func (w *world) roots() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(w.ca.Certificate())
	return pool
}

// certificate issues a node certificate that began at start and lasts ttl.
func (w *world) certificate(id bus.NodeID, start time.Time, ttl time.Duration) tls.Certificate {
	w.t.Helper()
	key, err := identity.NewKey()
	ok(w.t, err)
	request, err := identity.NewRequest(key)
	ok(w.t, err)
	leaf, err := w.ca.Issue(request, id, nil, start, ttl)
	ok(w.t, err)
	return identity.NodeCertificate(leaf, w.ca.Certificate(), key)
}

// config is a node's configuration on a free port of loopback.
func (w *world) config(id bus.NodeID) peer.Config {
	return peer.Config{
		Self: id, Cluster: cluster, Certificate: w.certificate(id, time.Now(), time.Hour), Roots: w.roots(),
		Listen: "127.0.0.1:0", Resolver: place{w, id}, Admission: w,
	}
}

// open opens a node's plane, closes it with the test and publishes its address.
func (w *world) open(id bus.NodeID, change ...func(*peer.Config)) *peer.Plane {
	w.t.Helper()
	config := w.config(id)
	for _, c := range change {
		c(&config)
	}
	p, err := peer.Open(config)
	ok(w.t, err)
	w.t.Cleanup(func() { ok(w.t, p.Close()) })
	w.setAddress(id, p.Address())
	return p
}

func dialOnly(c *peer.Config) { c.Listen = "" }

// echo serves a protocol by sending back whatever comes, and tells who came.
func echo(t testing.TB, p *peer.Plane, proto peer.Protocol) <-chan bus.NodeID {
	t.Helper()
	l, err := p.Listen(proto)
	ok(t, err)
	callers := make(chan bus.NodeID, 1024)
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			select {
			case callers <- conn.(*peer.Conn).PeerID():
			default: // a benchmark, which does not ask
			}
			go func() {
				defer conn.Close()
				_, _ = io.Copy(conn, conn)
			}()
		}
	}()
	return callers
}

func dial(t testing.TB, p *peer.Plane, id bus.NodeID, proto peer.Protocol) net.Conn {
	t.Helper()
	conn, err := p.Dial(t.Context(), id, proto)
	ok(t, err)
	t.Cleanup(func() { conn.Close() })
	return conn
}

// say sends a line over an echoing stream and checks that it comes back.
func say(conn net.Conn, text string) error {
	_ = conn.SetDeadline(time.Now().Add(patience))
	if _, err := io.WriteString(conn, text); err != nil {
		return err
	}
	answer := make([]byte, len(text))
	if _, err := io.ReadFull(conn, answer); err != nil {
		return err
	}
	if string(answer) != text {
		return fmt.Errorf("said %q, heard %q", text, answer)
	}
	return nil
}

// unreachable checks that a dial failed for a stated reason, with the code that
// callers act on.
func unreachable(t testing.TB, err error, reason string) {
	t.Helper()
	if bus.CodeOf(err) != bus.CodeUnavailable || !strings.Contains(err.Error(), reason) {
		t.Errorf("error = %v, want %s for %q", err, bus.CodeUnavailable, reason)
	}
}

// journal is a slog handler that lets a test wait for a line.
type journal struct{ lines chan string }

func newJournal() journal { return journal{make(chan string, 4096)} }

func (j journal) logger() *slog.Logger                     { return slog.New(j) }
func (j journal) Enabled(context.Context, slog.Level) bool { return true }
func (j journal) WithAttrs([]slog.Attr) slog.Handler       { return j }
func (j journal) WithGroup(string) slog.Handler            { return j }

func (j journal) Handle(_ context.Context, r slog.Record) error {
	line := r.Level.String() + " " + r.Message
	r.Attrs(func(a slog.Attr) bool { line += " " + a.String(); return true })
	select {
	case j.lines <- line:
	default:
	}
	return nil
}

// wait returns the next line that holds all of the words.
func (j journal) wait(t testing.TB, words ...string) string {
	t.Helper()
	timeout := time.After(patience)
	for {
		select {
		case line := <-j.lines:
			found := true
			for _, word := range words {
				found = found && strings.Contains(line, word)
			}
			if found {
				return line
			}
		case <-timeout:
			t.Fatalf("no log line with %q", words)
		}
	}
}

func receive[T any](t testing.TB, c <-chan T) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(patience):
		t.Fatal("waited in vain")
		panic("unreachable")
	}
}

func ok(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
