package peer

import (
	"errors"
	"io"
	"net"
	"os"
	"regexp"
	"sync"
	"time"

	"github.com/hashicorp/yamux"

	"github.com/gxbus/gxbus/pkg/bus"
)

// Protocol names what is spoken on a stream: 1–16 of a–z, 0–9 and hyphen.
type Protocol string

// The protocols of the bus.
const (
	Raft Protocol = "raft" // consensus, see StreamLayer
	HTTP Protocol = "http" // HTTP/1.1 between nodes, see RoundTripper
)

var protocolName = regexp.MustCompile(`^[a-z0-9-]{1,16}$`)

// header is what a stream begins with: a byte of length, then the name.
func (proto Protocol) header() ([]byte, error) {
	if !protocolName.MatchString(string(proto)) {
		return nil, bus.E(bus.CodeInvalid, bus.Defect{
			Field: "protocol", Problem: bus.Text{ZH: "协议名不正确", EN: "not a protocol name"}, Allowed: protocolName.String(),
		})
	}
	return append([]byte{byte(len(proto))}, proto...), nil
}

var errHeader = errors.New("the stream does not begin with a protocol name")

// readHeader reads a stream's protocol and not one byte more.
func readHeader(r io.Reader) (Protocol, error) {
	var buffer [1 + 16]byte
	if _, err := io.ReadFull(r, buffer[:1]); err != nil {
		return "", err
	}
	n := int(buffer[0])
	if n >= len(buffer) {
		return "", errHeader
	}
	if _, err := io.ReadFull(r, buffer[1:1+n]); err != nil {
		return "", err
	}
	proto := Protocol(buffer[1 : 1+n])
	if !protocolName.MatchString(string(proto)) {
		return "", errHeader
	}
	return proto, nil
}

// Addr is a node as a network address; its text is the node id.
type Addr bus.NodeID

// Network returns "gxbus".
func (Addr) Network() string { return "gxbus" }

// String returns the node id.
func (a Addr) String() string { return string(a) }

// Conn is a stream between this node and another whose identity is proved.
//
// It keeps the contract of net.Conn where the multiplexer does not: Close
// unblocks a Read under way, a deadline is os.ErrDeadlineExceeded, and only a
// stream that the other side closed ends in io.EOF. One cut off by the loss of
// its session ends in io.ErrUnexpectedEOF, so that half a message is never
// taken for a whole one.
type Conn struct {
	session *session
	stream  *yamux.Stream

	mu     sync.Mutex // orders Close against read deadlines
	closed bool
}

var (
	noDeadline time.Time
	longAgo    = time.Unix(1, 0)
)

func newConn(s *session, stream *yamux.Stream) *Conn {
	c := &Conn{session: s, stream: stream}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.conns[c] = struct{}{}
	return c
}

// PeerID returns the node on the other side, as its certificate names it.
func (c *Conn) PeerID() bus.NodeID { return c.session.peer }

// Read reads up to len(b) bytes.
func (c *Conn) Read(b []byte) (int, error) {
	if c.isClosed() {
		return 0, net.ErrClosed
	}
	n, err := c.stream.Read(b)
	switch {
	case err == nil:
	case c.isClosed():
		err = net.ErrClosed
	case (errors.Is(err, io.EOF) || errors.Is(err, yamux.ErrTimeout)) && c.session.mux.IsClosed():
		err = io.ErrUnexpectedEOF // the session is lost; a timeout is how it wakes us
	default:
		err = deadline(err)
	}
	return n, err
}

// Write writes all of b or returns an error.
func (c *Conn) Write(b []byte) (int, error) {
	n, err := c.stream.Write(b)
	if errors.Is(err, yamux.ErrTimeout) && c.session.mux.IsClosed() {
		err = io.ErrUnexpectedEOF // as in Read
	}
	return n, deadline(err)
}

func deadline(err error) error {
	if errors.Is(err, yamux.ErrTimeout) {
		return os.ErrDeadlineExceeded
	}
	return err
}

// Close ends the stream in both directions. What was written is still sent.
func (c *Conn) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return nil
	}
	c.closed = true
	c.session.mu.Lock()
	delete(c.session.conns, c)
	c.session.mu.Unlock()
	_ = c.stream.SetReadDeadline(longAgo)
	return c.stream.Close()
}

func (c *Conn) isClosed() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.closed
}

// LocalAddr is this node's [Addr].
func (c *Conn) LocalAddr() net.Addr { return Addr(c.session.self) }

// RemoteAddr is the other node's [Addr].
func (c *Conn) RemoteAddr() net.Addr { return Addr(c.session.peer) }

// SetDeadline sets the deadlines of reading and writing.
func (c *Conn) SetDeadline(t time.Time) error {
	return errors.Join(c.SetReadDeadline(t), c.SetWriteDeadline(t))
}

// SetReadDeadline sets when Read gives up; the zero time is never.
func (c *Conn) SetReadDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return net.ErrClosed
	}
	return c.stream.SetReadDeadline(t)
}

// SetWriteDeadline sets when Write gives up waiting for the other side to read;
// the zero time is never.
func (c *Conn) SetWriteDeadline(t time.Time) error { return c.stream.SetWriteDeadline(t) }
