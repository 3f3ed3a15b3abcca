package peer

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/identity"
)

const (
	defaultHandshakeTimeout = 10 * time.Second
	defaultKeepAlive        = 5 * time.Second
	defaultRetryDirect      = time.Minute
	acceptPause             = 100 * time.Millisecond // after an accept error such as too many open files
)

// Resolver knows where nodes listen, and their hierarchy.
type Resolver interface {
	// Address returns the host:port that other nodes dial to reach id. An error
	// means that it cannot be dialled; it may still connect to us, or be reached
	// through relays.
	Address(id bus.NodeID) (string, error)
	// Next returns the nodes that lie next on the way to id, the best first: the
	// child that id is or lies below, else this node's parent; then, lest that one
	// is down, the parent of id. It is CodeNotFound where id is not known, any
	// other error where the way ends here.
	Next(id bus.NodeID) ([]bus.NodeID, error)
}

// Admission knows who is a member.
type Admission interface {
	// Admit returns nil if id, which proved itself with certificate, is a member
	// now. It is asked twice for every connection, in both directions, from
	// several goroutines.
	Admit(id bus.NodeID, certificate *x509.Certificate) error
}

// Config is what a Plane needs. Fields without a default are required.
type Config struct {
	Self        bus.NodeID
	Cluster     string          // trust domain of the certificates
	Certificate tls.Certificate // names Self; see [Plane.Renew]
	Roots       *x509.CertPool  // the cluster's CA, nothing else
	Listen      string          // host:port; empty: the node takes no connections and only dials
	Resolver    Resolver
	Admission   Admission
	Logger      *slog.Logger     // default: discard
	Connected   func(bus.NodeID) // told of each new session, and does not wait; default: nobody is
	Now         func() time.Time // clock for certificates and quarantine; default: time.Now

	HandshakeTimeout time.Duration // for a connection to prove itself, a stream to name its protocol; default 10 s
	KeepAlive        time.Duration // between pings; a silent peer is given up after three; default 5 s
	RetryDirect      time.Duration // at most, until an address that did not answer is dialled again, where a relay can be had instead; default 1 min

	// Connect makes a TCP connection; default: from the address that this node
	// listens on. A test puts a firewall here.
	Connect func(ctx context.Context, address string) (net.Conn, error)
	// Tap, if set, is shown all bytes that this node relays, from several
	// goroutines, for the test that there is nothing in them to be read.
	Tap func([]byte)
}

func (c Config) withDefaults() Config {
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Connected == nil {
		c.Connected = func(bus.NodeID) {}
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.HandshakeTimeout <= 0 {
		c.HandshakeTimeout = defaultHandshakeTimeout
	}
	if c.KeepAlive <= 0 {
		c.KeepAlive = defaultKeepAlive
	}
	if c.RetryDirect <= 0 {
		c.RetryDirect = defaultRetryDirect
	}
	if c.Connect == nil {
		c.Connect = c.connect
	}
	return c
}

// Validate returns a CodeInvalid error that names every defect of c.
func (c Config) Validate() error {
	defects := bus.CheckID("self", c.Self)
	need := func(present bool, field string) {
		if !present {
			defects = append(defects, bus.Defect{Field: field, Problem: bus.Text{ZH: "必填", EN: "required"}})
		}
	}
	need(c.Roots != nil, "roots")
	need(c.Resolver != nil, "resolver")
	need(c.Admission != nil, "admission")
	need(c.Certificate.Leaf != nil && c.Certificate.PrivateKey != nil, "certificate")
	return bus.Invalid(append(defects, c.checkCertificate(c.Certificate)...))
}

func (c Config) checkCertificate(certificate tls.Certificate) []bus.Defect {
	if id, err := identity.NodeFromCertificate(certificate.Leaf, c.Cluster); err == nil && id == c.Self {
		return nil
	}
	return []bus.Defect{{
		Field:   "certificate",
		Problem: bus.Text{ZH: "证书与本节点不符", EN: "the certificate is not this node's"},
		Allowed: identity.NodeURI(c.Cluster, c.Self).String(),
	}}
}

// credentials are what a node proves itself with and whom it believes.
type credentials struct {
	certificate tls.Certificate
	roots       *x509.CertPool
}

// Plane is a node's end of all its connections with other nodes.
type Plane struct {
	config    Config
	proof     atomic.Pointer[credentials] // as of the next handshake
	listener  net.Listener                // nil where the node only dials
	transport *http.Transport
	queries   *http.Transport
	pending   *pending
	relays    relays

	ctx    context.Context // ends when Close begins
	cancel context.CancelFunc

	mu        sync.Mutex // guards what follows, and starting goroutines against Close
	sessions  map[bus.NodeID][]*session
	flights   map[want]*flight
	listeners map[Protocol]*listener
	shunned   map[bus.NodeID]time.Time // quarantined until
	told      time.Time                // when it was last said that this node was removed
	avoided   map[bus.NodeID]avoidance // not dialled directly for now
	running   sync.WaitGroup
}

var errPlaneClosed = errors.New("the peer plane is closed")

// Open starts listening, where the configuration says so, and returns a Plane
// that must be closed.
func Open(config Config) (*Plane, error) {
	config = config.withDefaults()
	if err := config.Validate(); err != nil {
		return nil, err
	}
	p := &Plane{
		config:    config,
		pending:   newPending(),
		sessions:  map[bus.NodeID][]*session{},
		relays:    relays{from: map[bus.NodeID]int{}},
		flights:   map[want]*flight{},
		listeners: map[Protocol]*listener{},
		shunned:   map[bus.NodeID]time.Time{},
		avoided:   map[bus.NodeID]avoidance{},
	}
	p.proof.Store(&credentials{config.Certificate, config.Roots})
	p.ctx, p.cancel = context.WithCancel(context.Background())
	p.transport, p.queries = p.newTransport(idleHTTPStreams), p.newTransport(maxHTTPStreams)
	if config.Listen == "" {
		return p, nil
	}
	var err error
	if p.listener, err = net.Listen("tcp", config.Listen); err != nil {
		p.cancel()
		return nil, bus.E(bus.CodeUnavailable, bus.Defect{
			Field:   "listen",
			Problem: bus.Text{ZH: "无法监听 " + config.Listen, EN: "cannot listen on " + config.Listen},
			Allowed: "a free host:port of this machine",
		}).Because(err)
	}
	p.running.Go(p.acceptAll)
	return p, nil
}

// Renew replaces the node's certificate and the roots that it believes in, from
// the next handshake on; sessions that are open go on. CodeInvalid for a
// certificate that is not this node's, and then nothing is changed.
func (p *Plane) Renew(certificate tls.Certificate, roots *x509.CertPool) error {
	if err := bus.Invalid(p.config.checkCertificate(certificate)); err != nil {
		return err
	}
	p.proof.Store(&credentials{certificate, roots})
	return nil
}

// Address returns the host:port the plane listens on, with the port the system
// chose where the configuration said 0; empty where it only dials.
func (p *Plane) Address() string {
	if p.listener == nil {
		return ""
	}
	return p.listener.Addr().String()
}

// Close ends every session and stream and waits until all goroutines of the
// plane are gone. Calling it again is harmless.
func (p *Plane) Close() error {
	p.mu.Lock()
	p.cancel() // under the lock: from here on nothing is started
	var open []*session
	for _, sessions := range p.sessions {
		open = append(open, sessions...)
	}
	p.mu.Unlock()

	var err error
	if p.listener != nil {
		if err = p.listener.Close(); errors.Is(err, net.ErrClosed) {
			err = nil
		}
	}
	for _, s := range open {
		s.close()
	}
	p.running.Wait()
	p.transport.CloseIdleConnections()
	p.queries.CloseIdleConnections()
	return err
}

// start runs f in a goroutine that Close waits for, unless Close has begun.
func (p *Plane) start(f func()) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ctx.Err() != nil {
		return false
	}
	p.running.Go(f)
	return true
}

// acceptAll takes connections until the listener is closed.
func (p *Plane) acceptAll() {
	for {
		raw, err := p.listener.Accept()
		switch {
		case errors.Is(err, net.ErrClosed):
			return
		case err != nil:
			p.config.Logger.Error("peer: accepting failed", "error", err)
			if !p.pause(nil, acceptPause) {
				return
			}
		case !p.pending.enter(raw.RemoteAddr()):
			p.config.Logger.Warn("peer: too many connections have not proved themselves yet", "remote", raw.RemoteAddr())
			raw.Close()
		case !p.start(func() { p.receive(raw) }):
			raw.Close()
		}
	}
}

// pause waits for d; false means that done was closed or the plane ended first.
func (p *Plane) pause(done <-chan struct{}, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-done:
		return false
	case <-p.ctx.Done():
		return false
	}
}
