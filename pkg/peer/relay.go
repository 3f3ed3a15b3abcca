package peer

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gxbus/gxbus/pkg/bus"
)

const (
	// relaying is the protocol of a stream that carries a whole connection with a
	// node further on: a request, an answer byte, then the connection's bytes.
	relaying Protocol = "relay"

	// maxHops is how many relays a connection may pass. Two counties of one
	// province have three between them; towns and second nodes make it seven.
	maxHops = 8
	// maxRelayed is how many streams are relayed for one neighbour at a time, so
	// that it leaves room on the sessions of others.
	maxRelayed  = maxStreams / 2
	relayBuffer = 32 << 10
	// relaySilence, in keep-alive intervals, is how long a relayed connection may
	// say nothing. The sessions in it ping each other at every interval.
	relaySilence = 12
)

// relayRequest asks a neighbour for a way to a node. On the wire it is the hops,
// a byte; the budget in milliseconds, four bytes; the id with a byte of length.
type relayRequest struct {
	target bus.NodeID
	hops   byte          // relays that may follow the neighbour
	budget time.Duration // what is left of the dialler's patience
}

func (r relayRequest) encode() []byte {
	wire := []byte{r.hops}
	wire = binary.BigEndian.AppendUint32(wire, uint32(max(r.budget, 0)/time.Millisecond))
	return append(append(wire, byte(len(r.target))), r.target...)
}

var errRelayRequest = errors.New("not a request to relay")

// readRelayRequest reads a request and not one byte more.
func readRelayRequest(r io.Reader) (relayRequest, error) {
	var head [6]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return relayRequest{}, err
	}
	target := make([]byte, head[5])
	if _, err := io.ReadFull(r, target); err != nil {
		return relayRequest{}, err
	}
	if bus.CheckID("target", bus.NodeID(target)) != nil {
		return relayRequest{}, errRelayRequest
	}
	return relayRequest{
		target: bus.NodeID(target),
		hops:   min(head[0], maxHops),
		budget: time.Duration(binary.BigEndian.Uint32(head[1:])) * time.Millisecond,
	}, nil
}

// answer is what the asking side hears: connected, or why not.
type answer byte

const (
	connected answer = iota + 1
	unknownTarget
	noWayOn
	tooManyRelayed
	targetUnreachable
	notAdmitted
)

var answers = map[answer]string{
	unknownTarget:     "it knows no such node",
	noWayOn:           "it has no way on: the hierarchy ends there, or too many nodes lie between",
	tooManyRelayed:    "it relays as much as it may already",
	targetUnreachable: "it cannot reach the node",
	notAdmitted:       "it relays for members only",
}

func (a answer) Error() string {
	if text, ok := answers[a]; ok {
		return text
	}
	return fmt.Sprintf("it answered %#x", byte(a))
}

// through asks a neighbour, over a direct session with it, for a byte stream to
// the request's target. The target may be the neighbour itself only where the
// request has come from elsewhere.
func (p *Plane) through(ctx context.Context, neighbour bus.NodeID, r relayRequest) (*Conn, error) {
	deadline, _ := ctx.Deadline()
	r.budget = time.Until(deadline)
	header, err := relaying.header()
	if err != nil {
		return nil, err
	}
	conn, err := p.open(ctx, want{id: neighbour, direct: true}, append(header, r.encode()...))
	if err != nil {
		return nil, fmt.Errorf("through %s: %w", neighbour, err)
	}
	err = within(ctx, conn, func() error {
		var a [1]byte
		if _, err := io.ReadFull(conn, a[:]); err != nil {
			return err
		}
		if answer(a[0]) != connected {
			return answer(a[0])
		}
		return nil
	})
	if err != nil {
		_ = conn.Close()
		return nil, fmt.Errorf("through %s: %w", neighbour, err)
	}
	return conn, nil
}

// relay serves a stream of the relaying protocol: it is a connection with this
// node, or one to be passed on.
func (p *Plane) relay(from *Conn) {
	_ = from.SetReadDeadline(time.Now().Add(p.config.HandshakeTimeout))
	r, err := readRelayRequest(from)
	if err != nil {
		p.config.Logger.Warn("peer: stream refused", "peer", from.PeerID(), "error", err)
		_ = from.Close()
		return
	}
	_ = from.SetReadDeadline(noDeadline)
	if r.target == p.config.Self && p.pending.enter(from.RemoteAddr()) {
		from.answer(connected)
		p.receive(from) // which hands the stream to a session, or closes it
		return
	}
	defer from.Close()
	switch {
	case r.target == p.config.Self:
		p.refuse(from, r, tooManyRelayed)
	case p.admit(from.PeerID(), from.session.certificate) != nil:
		p.refuse(from, r, notAdmitted)
	case !p.relays.enter(from.PeerID()):
		p.refuse(from, r, tooManyRelayed)
	default:
		defer p.relays.leave(from.PeerID())
		p.passOn(from, r)
	}
}

func (c *Conn) answer(a answer) { _, _ = c.Write([]byte{byte(a)}) } // who does not hear it finds the stream closed

func (p *Plane) refuse(from *Conn, r relayRequest, cause error) {
	p.relays.refused.Add(1)
	p.config.Logger.Info("peer: not relayed", "from", from.PeerID(), "to", r.target, "cause", cause)
	reason := targetUnreachable
	if own, ok := errors.AsType[answer](cause); ok {
		reason = own
	}
	from.answer(reason)
}

// passOn finds the way on and joins the two streams until both have ended.
func (p *Plane) passOn(from *Conn, r relayRequest) {
	to, err := p.onward(from.PeerID(), r)
	if err != nil {
		p.refuse(from, r, err)
		return
	}
	defer to.Close()
	from.answer(connected)
	begun := time.Now()
	moved := p.splice(from, to)
	p.config.Logger.Info("peer: relayed", "from", from.PeerID(), "to", r.target, "via", to.PeerID(), "bytes", moved, "took", time.Since(begun))
}

// onward opens the next stretch of the way to the request's target: over a
// session with the target itself where there is one, else to the next node along
// the hierarchy, else around it.
func (p *Plane) onward(from bus.NodeID, r relayRequest) (*Conn, error) {
	ctx, cancel := context.WithTimeout(p.ctx, min(r.budget, p.config.HandshakeTimeout))
	defer cancel()
	p.mu.Lock()
	direct := p.live(want{id: r.target, direct: true})
	p.mu.Unlock()
	if direct != nil {
		return p.through(ctx, r.target, r)
	}
	nodes, err := p.config.Resolver.Next(r.target)
	if bus.CodeOf(err) == bus.CodeNotFound {
		return nil, unknownTarget
	}
	if _, err := p.config.Resolver.Address(r.target); err == nil && !slices.Contains(nodes, r.target) {
		nodes = append(slices.Clone(nodes), r.target)
	}
	nodes = slices.DeleteFunc(nodes, func(n bus.NodeID) bool { return n == from })
	return p.towards(ctx, nodes, r)
}

// towards asks the first of some nodes for a way to the request's target, and
// the others where that one cannot be asked. What a node answers is the answer:
// it has tried what it knows.
func (p *Plane) towards(ctx context.Context, nodes []bus.NodeID, r relayRequest) (*Conn, error) {
	type reply struct {
		conn    *Conn
		refusal error
	}
	var attempts []func(context.Context) (reply, error)
	for _, node := range nodes {
		on := r
		if node != r.target {
			if r.hops == 0 {
				continue
			}
			on.hops--
		}
		attempts = append(attempts, func(ctx context.Context) (reply, error) {
			conn, err := p.through(ctx, node, on)
			if _, refused := errors.AsType[answer](err); refused {
				return reply{refusal: err}, nil
			}
			return reply{conn: conn}, err
		})
	}
	if len(attempts) == 0 {
		return nil, noWayOn
	}
	got, err := race(ctx, p, attempts, func(late reply) {
		if late.conn != nil {
			_ = late.conn.Close()
		}
	})
	return got.conn, errors.Join(err, got.refusal)
}

// splice carries bytes both ways until each side has ended its direction, one of
// them fails, or nothing has been said for too long. Once one direction has
// ended the other has streamLinger left, which is the multiplexer's rule for
// every stream. It returns how many bytes went on.
func (p *Plane) splice(a, b *Conn) uint64 {
	var moved atomic.Uint64
	ended := make(chan struct{})
	var others sync.WaitGroup
	others.Go(func() { p.pass(b, a, &moved) })
	p.running.Go(func() {
		for seen := uint64(0); p.pause(ended, relaySilence*p.config.KeepAlive); seen = moved.Load() {
			if moved.Load() == seen {
				_, _ = a.Close(), b.Close()
				return
			}
		}
	})
	p.pass(a, b, &moved)
	others.Wait()
	close(ended)
	return moved.Load()
}

// pass carries one direction. The end of it is passed on as what it is: an end
// that was meant closes that direction only, anything else both streams. Whether
// the end was really meant, TLS tells the two nodes.
func (p *Plane) pass(from, to *Conn, moved *atomic.Uint64) {
	buffer := make([]byte, relayBuffer)
	for {
		n, err := from.Read(buffer)
		if n > 0 {
			if p.config.Tap != nil {
				p.config.Tap(buffer[:n])
			}
			if _, writeErr := to.Write(buffer[:n]); writeErr != nil {
				err = writeErr
			}
			moved.Add(uint64(n))
			p.relays.bytes.Add(uint64(n))
		}
		switch {
		case err == nil:
		case errors.Is(err, io.EOF):
			_ = to.stream.Close()
			return
		default:
			_, _ = from.Close(), to.Close()
			return
		}
	}
}

// Relaying is what a node has done as a relay since it started.
type Relaying struct {
	Streams int    // relayed now
	Total   uint64 // streams that were taken on
	Refused uint64 // streams that were not, or not by the node further on
	Bytes   uint64 // both ways together
}

// Relaying tells what this node relays.
func (p *Plane) Relaying() Relaying {
	p.relays.mu.Lock()
	defer p.relays.mu.Unlock()
	now := 0
	for _, n := range p.relays.from {
		now += n
	}
	return Relaying{Streams: now, Total: p.relays.total, Refused: p.relays.refused.Load(), Bytes: p.relays.bytes.Load()}
}

// relays counts what is relayed, and for whom.
type relays struct {
	refused, bytes atomic.Uint64

	mu    sync.Mutex
	total uint64
	from  map[bus.NodeID]int
}

func (r *relays) enter(from bus.NodeID) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.from[from] >= maxRelayed {
		return false
	}
	r.from[from]++
	r.total++
	return true
}

func (r *relays) leave(from bus.NodeID) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.from[from]--; r.from[from] == 0 {
		delete(r.from, from)
	}
}
