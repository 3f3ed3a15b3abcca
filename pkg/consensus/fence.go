package consensus

import (
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"time"

	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/identity"
	"github.com/hashicorp/raft"
)

// Generation counts how often a group went on after its quorum was lost for good.
// The zero generation is that of a group that never did. Two recoveries of one
// group that know nothing of each other have the same number and another lineage.
type Generation struct {
	Number  uint64 `json:"number"`
	Lineage string `json:"lineage,omitempty"` // 32 hex digits, random
}

// Next is a generation after g.
func (g Generation) Next() Generation {
	var lineage [lineageSize]byte
	_, _ = rand.Read(lineage[:]) // never fails
	return Generation{g.Number + 1, hex.EncodeToString(lineage[:])}
}

const lineageSize = 16

// ReadGeneration reads what WriteGeneration wrote; the zero one where there is no file.
func ReadGeneration(path string) (g Generation, err error) {
	data, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return g, nil
	}
	if err == nil {
		err = json.Unmarshal(data, &g)
	}
	if lineage, hexErr := hex.DecodeString(g.Lineage); err == nil && (hexErr != nil || g.Number > 0 && len(lineage) != lineageSize) {
		err = errors.New("not a lineage")
	}
	if err != nil {
		return g, fmt.Errorf("read generation: %w", err)
	}
	return g, nil
}

// WriteGeneration returns once the generation is on the disk.
func WriteGeneration(path string, g Generation) error {
	data, err := json.Marshal(g)
	if err != nil {
		return err
	}
	return identity.WriteFile(path, append(data, '\n'))
}

// ErrCutOff means that the group went on without this node while its quorum was
// thought lost: what this node would write or vote on now is of no use to anybody.
var ErrCutOff = errors.New("the group was recovered without this node")

// Fence keeps generations apart. A voter that was lost when the group was recovered
// and comes back, its old configuration in hand, could make a majority with others
// like it; so members tell each other their generation at the beginning of each
// raft stream:
//
//   - Of the same: they speak.
//   - Mine is later: the stream is refused, and the other told why.
//   - Theirs is later, and they are a voter by what this node knows: a node that
//     only follows takes the generation over, lets go of all who are behind, and is
//     brought forward by the new leader. A voter was cut off, and stops.
//   - The same number, another lineage: two recoveries. Nobody speaks.
//
// What no fence can see is a split in which neither side reaches the other.
type Fence struct {
	path    string
	trusted func(bus.NodeID) bool // whether a node's word of a later generation counts
	cutOff  func(error)

	mu    sync.Mutex
	own   Generation
	votes func() bool              // nil before the group runs
	open  map[*fencedConn]struct{} // streams whose other end is of own
}

// NewFence makes the fence of the node whose generation is kept at path. trusted
// says whose word of a later generation counts; cutOff must bring the node down.
func NewFence(path string, trusted func(bus.NodeID) bool, cutOff func(error)) (*Fence, error) {
	own, err := ReadGeneration(path)
	if err != nil {
		return nil, err
	}
	return &Fence{path: path, trusted: trusted, cutOff: cutOff, own: own, open: map[*fencedConn]struct{}{}}, nil
}

// Generation returns this node's.
func (f *Fence) Generation() Generation {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.own
}

func (f *Fence) watch(votes func() bool) {
	if f == nil {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.votes = votes
}

// judge decides on a stream with a node of another's generation. fatal is set where
// this node was cut off.
func (f *Fence) judge(c *fencedConn, theirs Generation) (err, fatal error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case theirs == f.own:
		f.open[c] = struct{}{}
		return nil, nil
	case theirs.Number < f.own.Number:
		return fmt.Errorf("node %s is of generation %d, this is %d", c.peer, theirs.Number, f.own.Number), nil
	case theirs.Number == f.own.Number:
		return fmt.Errorf("node %s is of another recovery of generation %d", c.peer, theirs.Number), nil
	case !f.trusted(c.peer):
		return fmt.Errorf("node %s speaks of generation %d and does not vote", c.peer, theirs.Number), nil
	case f.votes == nil:
		return errors.New("this node is not ready"), nil
	case f.votes():
		fatal = fmt.Errorf("%w: node %s is of generation %d, this is %d", ErrCutOff, c.peer, theirs.Number, f.own.Number)
		return fatal, fatal
	}
	if err := WriteGeneration(f.path, theirs); err != nil {
		return err, nil
	}
	f.own = theirs
	for behind := range f.open {
		_ = behind.Conn.Close() // that ends it, whatever it says
	}
	clear(f.open)
	f.open[c] = struct{}{}
	return nil, nil
}

func (f *Fence) around(inner raft.StreamLayer) raft.StreamLayer {
	if f == nil {
		return inner
	}
	return fencedLayer{inner, f}
}

// fencedLayer makes every stream begin with both ends' generations.
type fencedLayer struct {
	raft.StreamLayer
	fence *Fence
}

func (l fencedLayer) Accept() (net.Conn, error) {
	conn, err := l.StreamLayer.Accept()
	if err != nil {
		return nil, err
	}
	c := &fencedConn{Conn: conn, fence: l.fence}
	if named, ok := conn.(interface{ PeerID() bus.NodeID }); ok {
		c.peer = named.PeerID()
	}
	return c, nil
}

func (l fencedLayer) Dial(to raft.ServerAddress, timeout time.Duration) (net.Conn, error) {
	conn, err := l.StreamLayer.Dial(to, timeout)
	if err != nil {
		return nil, err
	}
	c := &fencedConn{Conn: conn, fence: l.fence, peer: bus.NodeID(to), dialled: true}
	if err := c.tell(); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return c, nil
}

// fencedConn settles generations before the first byte is read: the side that was
// called answers nothing before it knows who asks, and the caller, who may have
// asked already, reads no answer before. It costs no round trip.
type fencedConn struct {
	net.Conn
	fence   *Fence
	peer    bus.NodeID
	dialled bool

	once sync.Once
	err  error
}

// Read settles first.
func (c *fencedConn) Read(b []byte) (int, error) {
	c.once.Do(func() {
		if c.err = c.settle(); c.err != nil {
			_ = c.Conn.Close()
		}
	})
	if c.err != nil {
		return 0, c.err
	}
	return c.Conn.Read(b)
}

// Close forgets the stream.
func (c *fencedConn) Close() error {
	c.fence.mu.Lock()
	delete(c.fence.open, c)
	c.fence.mu.Unlock()
	return c.Conn.Close()
}

func (c *fencedConn) settle() error {
	var data [8 + lineageSize]byte
	if _, err := io.ReadFull(c.Conn, data[:]); err != nil {
		return err
	}
	theirs := Generation{Number: binary.BigEndian.Uint64(data[:8])}
	if theirs.Number > 0 {
		theirs.Lineage = hex.EncodeToString(data[8:])
	}
	refused, fatal := c.fence.judge(c, theirs)
	var err error
	if !c.dialled { // after the judgement, which may have moved this node on; before a refusal, which is explained so
		err = c.tell()
	}
	if fatal != nil {
		c.fence.cutOff(fatal)
	}
	return errors.Join(refused, err)
}

func (c *fencedConn) tell() error {
	own := c.fence.Generation()
	data := binary.BigEndian.AppendUint64(nil, own.Number)
	lineage := make([]byte, lineageSize)
	if _, err := hex.Decode(lineage, []byte(own.Lineage)); err != nil {
		return err
	}
	_, err := c.Conn.Write(append(data, lineage...))
	return err
}
