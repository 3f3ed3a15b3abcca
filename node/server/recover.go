package server

import (
	"cmp"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/gxbus/gxbus/node/mesh"
	"github.com/gxbus/gxbus/pkg/audit"
	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/consensus"
	"github.com/gxbus/gxbus/pkg/directory"
	"github.com/gxbus/gxbus/pkg/directory/state"
	"github.com/gxbus/gxbus/pkg/identity"
	"github.com/gxbus/gxbus/pkg/peer"
	"go.etcd.io/bbolt"
)

const doingRecover = "gxbus recover"

// Survey is what a stopped node can tell of its group before it is recovered.
type Survey struct {
	Cluster    string       `json:"cluster"`
	Node       bus.NodeID   `json:"node"`
	Voters     []bus.NodeID `json:"voters"`    // this one too, where it votes
	Reachable  []bus.NodeID `json:"reachable"` // other voters that answer now
	Applied    bus.Revision `json:"applied"`
	Last       uint64       `json:"last"` // end of the log
	Generation uint64       `json:"generation"`
}

// Quorum reports whether a majority of the voters is there, this node counted.
func (s Survey) Quorum() bool { return 2*(len(s.Reachable)+1) > len(s.Voters) }

// stopped is a data directory whose node is not running: its directory replica is
// open and locked, and it can call others in the node's name.
type stopped struct {
	dir      DataDir
	self     opened
	state    *state.Store
	standing consensus.Standing
	own      consensus.Generation
	peers    *peer.Plane
	mesh     *mesh.Client
}

// openStopped opens the replica, and builds it again first where a power cut took it.
func openStopped(dir DataDir, now func() time.Time) (s *stopped, err error) {
	s = &stopped{dir: dir}
	if s.self, err = dir.open(now()); err != nil {
		return nil, err
	}
	if s.state, err = state.Open(dir.path(partReplica)); err != nil {
		return nil, running(err)
	}
	return s, s.connect(now, func() error {
		applied, _ := s.state.Applied()
		return consensus.Rebuild(consensus.Config{
			Dir: dir.path("raft"), FSM: directory.NewFSM(s.state, func(error) {}), Applied: applied, Committed: s.state.Committed(), Logger: slog.New(slog.DiscardHandler),
		})
	})
}

// viewStopped opens the replica to be looked at; it must be whole.
func viewStopped(dir DataDir, now func() time.Time) (s *stopped, err error) {
	s = &stopped{dir: dir}
	if s.self, err = dir.open(now()); err != nil {
		return nil, err
	}
	if s.state, err = state.OpenReadOnly(dir.path(partReplica)); err != nil {
		return nil, running(err)
	}
	return s, s.connect(now, func() error { return nil })
}

// connect reads the part of the group and makes it possible to call others. After an
// error nothing is open.
func (s *stopped) connect(now func() time.Time, prepare func() error) (err error) {
	defer func() {
		if err != nil {
			err = errors.Join(err, s.close())
		}
	}()
	if err := prepare(); err != nil {
		return fmt.Errorf("build the directory again from the log: %w", err)
	}
	if s.own, err = consensus.ReadGeneration(s.dir.path("generation.json")); err != nil {
		return err
	}
	if s.standing, err = consensus.Inspect(s.dir.path("raft")); err != nil {
		return fmt.Errorf("read this node's part of the group: %w", err)
	}
	s.peers, err = peer.Open(peer.Config{
		Self: s.self.Node, Cluster: s.self.Cluster, Certificate: identity.NodeCertificate(s.self.leaf, s.self.roots[len(s.self.roots)-1], s.self.key), Roots: pool(s.self.roots), Resolver: s, Admission: s, Now: now,
	})
	if err == nil {
		s.mesh = mesh.NewClient(s.peers.RoundTripper(), s.peers.Queries())
	}
	return err
}

func (s *stopped) close() error {
	var err error
	if s.peers != nil {
		err = s.peers.Close()
	}
	return errors.Join(err, s.state.Close())
}

// Address is where a node was last known to listen.
func (s *stopped) Address(id bus.NodeID) (address string, err error) {
	err = s.state.View(func(tx *state.Tx) error {
		n, _ := tx.Node(id)
		if address = cmp.Or(n.PeerAddress, s.self.Peers[id]); address == "" {
			return bus.NotFound("node", string(id))
		}
		return nil
	})
	return address, err
}

// Next is where relays to a node were last known.
func (s *stopped) Next(id bus.NodeID) ([]bus.NodeID, error) {
	return nextOnTheWay(s.state, s.self.Self, id)
}

// Admit lets nobody in: this node is not running.
func (s *stopped) Admit(bus.NodeID, *x509.Certificate) error { return nil }

// ask asks the other voters for their status, each for as long as any is waited for.
func (s *stopped) ask(ctx context.Context) map[bus.NodeID]mesh.Status {
	var others []bus.NodeID
	for _, m := range s.standing.Members {
		if m.Voter && m.ID != s.self.Node {
			others = append(others, m.ID)
		}
	}
	return askAll(ctx, others, s.mesh.Status)
}

func (s *stopped) survey(ctx context.Context) Survey {
	var applied bus.Revision
	_ = s.state.View(func(tx *state.Tx) error { // nothing in it fails
		applied = tx.Index()
		return nil
	})
	out := Survey{
		Cluster: s.self.Cluster, Node: s.self.Node, Applied: applied, Last: s.standing.End(), Generation: s.own.Number,
		Voters: []bus.NodeID{}, Reachable: []bus.NodeID{},
	}
	for _, m := range s.standing.Members {
		if m.Voter {
			out.Voters = append(out.Voters, m.ID)
		}
	}
	for id := range s.ask(ctx) {
		out.Reachable = append(out.Reachable, id)
	}
	slices.Sort(out.Reachable)
	return out
}

// Look tells of the group of a stopped node, and changes nothing of it.
func Look(ctx context.Context, dir DataDir, now func() time.Time) (out Survey, err error) {
	s, err := openStopped(dir, now)
	if err != nil {
		return out, err
	}
	return s.survey(ctx), s.close()
}

// Recovered is what became of a group whose quorum was lost.
type Recovered struct {
	Survey
	Lost  []bus.NodeID `json:"lost"`  // voters that were given up
	Index bus.Revision `json:"index"` // where the directory goes on
}

// Recover makes a stopped node the only voter of its group, in a later generation,
// after the other voters are lost for good. It refuses while a majority answers,
// and unless confirmed is the cluster's id. It is on record before it is done. One
// that was cut off is repeated; the node does not start before.
func Recover(ctx context.Context, dir DataDir, confirmed string, now func() time.Time) (out Recovered, err error) {
	s, err := openStopped(dir, now)
	if err != nil {
		return out, err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	out.Survey = s.survey(ctx)
	if err := out.permitted(confirmed); err != nil {
		return out, err
	}
	for _, id := range out.Voters {
		if id != out.Node {
			out.Lost = append(out.Lost, id)
		}
	}
	next := s.own.Next()
	detail := fmt.Sprintf("recover from a lost quorum: generation %d, only voter, given up %v, log end %d", next.Number, out.Lost, out.Last)
	if err := s.record(detail, now()); err != nil {
		return out, err
	}
	if err := identity.WriteFile(dir.path(unfinished), []byte(doingRecover)); err != nil {
		return out, err
	}
	// The generation first: from here on nobody of the old one is spoken with.
	if err := consensus.WriteGeneration(dir.path("generation.json"), next); err != nil {
		return out, err
	}
	if out.Index, err = s.alone(); err != nil {
		return out, err
	}
	out.Generation = next.Number
	return out, os.Remove(dir.path(unfinished))
}

func (s Survey) permitted(confirmed string) error {
	switch {
	case !slices.Contains(s.Voters, s.Node):
		return bus.E(bus.CodeForbidden, bus.Defect{
			Field: "node", Problem: bus.Text{ZH: "本节点不是表决成员", EN: "this node is no voter"}, Allowed: fmt.Sprintf("recover one of %v", s.Voters),
		})
	case len(s.Voters) > 1 && s.Quorum():
		return bus.E(bus.CodeQuorumStands, bus.Defect{
			Field: "voters", Problem: bus.Text{ZH: fmt.Sprintf("可达：%v", s.Reachable), EN: fmt.Sprintf("these answer: %v", s.Reachable)}, Allowed: "start this node again",
		})
	case confirmed != s.Cluster:
		return bus.E(bus.CodeInvalid, bus.Defect{
			Field: "cluster", Problem: bus.Text{ZH: "须输入集群标识以确认", EN: "type the cluster's id to confirm"}, Allowed: s.Cluster,
		})
	}
	return nil
}

// record writes one leaf into the evidence of the stopped node.
func (s *stopped) record(detail string, at time.Time) (err error) {
	db, err := bbolt.Open(s.dir.ExchangeFile(), 0o600, &bbolt.Options{Timeout: time.Second, FreelistType: bbolt.FreelistMapType, NoFreelistSync: true})
	if err != nil {
		return running(err)
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	return db.Update(func(tx *bbolt.Tx) error {
		log, err := audit.OpenExisting(tx)
		if err != nil {
			return err
		}
		_, err = log.Append(tx, audit.Record{Kind: audit.KindAdministered, At: at, Principal: bus.Principal{Node: s.self.Node}, Detail: detail})
		return err
	})
}

// alone makes the node the only voter and leaps beyond what others may have.
func (s *stopped) alone() (at bus.Revision, err error) {
	var failed error
	err = consensus.Recover(consensus.Recovery{
		ID: s.self.Node, Dir: s.dir.path("raft"), Logger: slog.New(slog.DiscardHandler),
		FSM: directory.NewFSM(s.state, func(err error) { failed = err }),
		Leap: func() (bus.Revision, func(io.Writer) error, error) {
			if at, err = s.state.Leap(); err != nil {
				return 0, nil, err
			}
			return at, func(w io.Writer) error {
				snapshot, err := s.state.Snapshot()
				if err != nil {
					return err
				}
				_, err = snapshot.WriteTo(w)
				return errors.Join(err, snapshot.Close())
			}, nil
		},
	})
	return at, errors.Join(err, failed)
}

// Rejoin has a stopped node that was cut off by a recovery give up its part of the
// old group, and come back to the new one as who follows: its keys, events, inboxes
// and evidence stay, its directory comes from the leader. A voter of the later
// generation must answer. What is given up is kept aside, under the name returned.
func Rejoin(ctx context.Context, dir DataDir, now func() time.Time) (aside string, err error) {
	if what, err := os.ReadFile(dir.path(unfinished)); err == nil && strings.HasPrefix(string(what), doingRejoin) {
		return dir.leave(strings.TrimPrefix(string(what), doingRejoin))
	}
	s, err := openStopped(dir, now)
	if err != nil {
		return "", err
	}
	later := s.own
	for _, status := range s.ask(ctx) {
		if status.Generation > later.Number {
			later = consensus.Generation{Number: status.Generation, Lineage: status.Lineage}
		}
	}
	if later == s.own {
		err = bus.E(bus.CodeUnavailable, bus.Defect{
			Field: "voters", Problem: bus.Text{ZH: "没有更新世代的表决成员应答", EN: "no voter of a later generation answers"}, Allowed: "start the recovered node first",
		})
	} else {
		err = s.record(fmt.Sprintf("give up the directory of generation %d, rejoin generation %d", s.own.Number, later.Number), now())
	}
	if err = errors.Join(err, s.close()); err != nil {
		return "", err
	}
	aside = "abandoned-" + now().UTC().Format("20060102T150405Z")
	if err := identity.WriteFile(dir.path(unfinished), []byte(doingRejoin+aside)); err != nil {
		return "", err
	}
	// The generation before the votes are forgotten: who asks for one in the old
	// generation must not find a node that knows nothing.
	if err := consensus.WriteGeneration(dir.path("generation.json"), later); err != nil {
		return "", err
	}
	return dir.leave(aside)
}

const doingRejoin = "gxbus recover --rejoin "

// leave moves a node's part of the group aside.
func (d DataDir) leave(aside string) (string, error) {
	if err := os.MkdirAll(d.path(aside), 0o700); err != nil {
		return "", err
	}
	// The index is of the directory that is given up: by its place in the log it
	// could not tell the later one from it.
	if err := os.RemoveAll(d.path(searchDir)); err != nil {
		return "", err
	}
	for _, name := range []string{"raft", partReplica, partReplica + ".mark"} {
		err := os.Rename(d.path(name), DataDir(d.path(aside)).path(name))
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return "", err
		}
	}
	return aside, os.Remove(d.path(unfinished))
}
