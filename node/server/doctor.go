package server

import (
	"bytes"
	"context"
	"errors"
	"net"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/gxbus/gxbus/node/doctor"
	"github.com/gxbus/gxbus/node/mesh"
	"github.com/gxbus/gxbus/pkg/audit"
	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/client"
	"github.com/gxbus/gxbus/pkg/consensus"
	"github.com/gxbus/gxbus/pkg/directory/search"
	"github.com/gxbus/gxbus/pkg/directory/state"
	"github.com/gxbus/gxbus/pkg/storage"
	"go.etcd.io/bbolt"
	"golang.org/x/mod/sumdb/tlog"
)

// needed are the files that every node has.
var needed = []string{"node.json", "ca.crt", "node.crt", "node.key", "evidence.key", partReplica, partExchange, raftLog}

// Doctor examines this running node. Where full is set the evidence is recomputed
// leaf by leaf. What only a stopped node can be asked is skipped.
func (s *Server) Doctor(ctx context.Context, full bool) ([]client.Check, error) {
	free, total, err := storage.Free(string(s.dir))
	checks := []client.Check{
		doctor.Files(string(s.dir), needed...),
		doctor.Certificate(s.proof.Load().leaf, s.now()), doctor.Root(s.proof.Load().roots, s.now()),
		doctor.Disk(free, total, s.config.DiskReserve, err),
		doctor.Skipped("integrity", "节点运行时不检查；停止后用 --data-dir", "not while the node runs; stop it and use --data-dir"),
	}
	var nodes []bus.Node
	err = s.state.View(func(tx *state.Tx) error {
		nodes = slices.Collect(tx.Nodes())
		checks = append(checks, doctor.Tables(tx.Faults()), suspended(tx))
		return nil
	})
	if err != nil {
		return nil, err
	}
	applied, _ := s.directory.Applied()
	first, last, snapshot := s.group.Range()
	checks = append(checks, doctor.Indexes(applied, first, last, snapshot), s.evidence(full))
	err = s.store.View(func(tx *bbolt.Tx) error {
		checks = append(checks, archived(tx, s.log, s.segments))
		return nil
	})
	if err != nil {
		return nil, err
	}
	checks = append(checks, doctor.Witness(s.witnessed()), doctor.Contradictions(s.contradictions()))
	checks = append(checks, doctor.Inboxes(s.exchange.Inboxes()), s.searchIndex(ctx))
	checks = append(checks, sizeOf(partReplica, s.state), sizeOf(partExchange, s.store))
	peers := askPeers(ctx, nodes, s.self.Node, s.now, s.mesh.Status)
	checks = append(checks, doctor.Peers(peers), doctor.Clock(peers))
	return append(checks,
		doctor.Port("peer address", s.self.PeerAddress, dial(ctx, s.self.PeerAddress)),
		doctor.Port("api address", s.self.APIAddress, dial(ctx, s.self.APIAddress))), nil
}

// searchIndex judges the index of the catalogue; what is a moment behind catches up.
func (s *Server) searchIndex(ctx context.Context) client.Check {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	return doctor.Search(s.search.Current(ctx))
}

func sizeOf(name string, file measured) client.Check {
	u, err := file.Usage()
	return doctor.Size(name, u, err)
}

func suspended(tx *state.Tx) client.Check { return doctor.Suspended(tx.Epoch(), tx.Suspended()) }

// evidence verifies the whole log, or only that it extends what the directory knows
// of it and what was signed last.
func (s *Server) evidence(full bool) client.Check {
	var report audit.Report
	err := s.store.View(func(tx *bbolt.Tx) (err error) {
		var known []bus.Checkpoint
		err = s.state.View(func(tx *state.Tx) error {
			if c, ok := tx.Checkpoint(s.self.Node); ok {
				known = append(known, c)
			}
			return nil
		})
		if err != nil {
			return err
		}
		if full {
			report, err = s.log.Verify(tx, known, s.self.verifier)
			return err
		}
		report, err = quick(tx, s.log, known)
		return err
	})
	return doctor.Evidence(report, err)
}

// quick compares the stored tree with the known heads; it reads a few hashes only.
func quick(tx *bbolt.Tx, log *audit.Log, known []bus.Checkpoint) (r audit.Report, err error) {
	if r.Leaves, err = log.Size(tx); err != nil {
		return r, err
	}
	hashes, err := log.Hashes(tx)
	if err != nil {
		return r, err
	}
	for _, c := range known {
		if c.Size == 0 {
			continue
		}
		root, err := tlog.TreeHash(c.Size, hashes)
		if c.Size > r.Leaves || err != nil || !bytes.Equal(root[:], c.Root) {
			r.Problem = bus.Text{ZH: "与目录登记的检查点不符", EN: "not the log that the directory has a checkpoint of"}
			return r, nil
		}
	}
	r.Verified = true
	return r, nil
}

// askPeers asks every other node, and how its clock compares: by the middle of the
// question and the answer.
func askPeers(ctx context.Context, nodes []bus.Node, self bus.NodeID, now func() time.Time, ask func(context.Context, bus.NodeID) (mesh.Status, error)) []doctor.Peer {
	var ids []bus.NodeID
	for _, n := range nodes {
		if n.ID != self {
			ids = append(ids, n.ID)
		}
	}
	var mu sync.Mutex
	skews := map[bus.NodeID]time.Duration{}
	answers := askAll(ctx, ids, func(ctx context.Context, id bus.NodeID) (mesh.Status, error) {
		asked := now()
		status, err := ask(ctx, id)
		answered := now()
		mu.Lock()
		defer mu.Unlock()
		skews[id] = status.Time.Sub(asked.Add(answered.Sub(asked) / 2))
		return status, err
	})
	var peers []doctor.Peer
	for _, n := range nodes {
		if n.ID == self {
			continue
		}
		_, ok := answers[n.ID]
		peers = append(peers, doctor.Peer{ID: n.ID, Voter: n.Voter, Reached: ok, Skew: skews[n.ID]})
	}
	return peers
}

func dial(ctx context.Context, address string) error {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", address)
	if err != nil {
		return err
	}
	return conn.Close()
}

// free reports whether this machine could listen on the port of an address.
func freePort(address string) error {
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		return err
	}
	l, err := net.Listen("tcp", net.JoinHostPort("", port))
	if err != nil {
		return err
	}
	return l.Close()
}

// Examine examines the data directory of a node that is not running. It writes
// nothing. reserve is the configured disk reserve in bytes, 0 where not known.
func Examine(ctx context.Context, dir DataDir, full bool, reserve int64, now func() time.Time) ([]client.Check, error) {
	if _, err := dir.self(); err != nil {
		return nil, err
	}
	free, total, err := storage.Free(string(dir))
	checks := []client.Check{doctor.Files(string(dir), needed...), doctor.Disk(free, total, reserve, err)}
	if err := dir.whole(); err != nil {
		checks = append(checks, doctor.Fail("unfinished", err.Error(), err.Error(), bus.Text{ZH: "重复该操作", EN: "repeat it"}))
	}
	sound, whole := true, true
	for _, name := range databases {
		if trusted, err := state.Trusted(dir.path(partReplica)); name == partReplica && (err != nil || !trusted) {
			whole = false
			checks = append(checks, doctor.Rebuilt(err))
			continue
		}
		faults, err := storage.Check(dir.path(name))
		if errors.Is(err, os.ErrNotExist) {
			continue // told under files
		}
		if err := running(err); bus.CodeOf(err) == bus.CodeInUse {
			return nil, err
		}
		sound = sound && err == nil && len(faults) == 0
		checks = append(checks, doctor.Integrity(name, faults, err))
	}
	self, err := dir.open(now())
	if err != nil {
		checks = append(checks, doctor.Fail("identity", err.Error(), err.Error(), bus.Text{ZH: "用本节点自己的文件", EN: "use this node's own files"}))
	} else {
		checks = append(checks, doctor.OK("identity", string(self.Node)+"，集群 "+self.Cluster, string(self.Node)+" of cluster "+self.Cluster), doctor.Certificate(self.leaf, now()), doctor.Root(self.roots, now()))
	}
	checks = append(checks, doctor.SearchFiles(search.Check(dir.path(searchDir))))
	if !sound || err != nil {
		return append(checks, doctor.Skipped("contents", "文件损坏或身份不符，未检查内容", "not looked at: a file is damaged, or not this node's")), nil
	}
	for _, name := range databases {
		u, err := storage.UsageOf(dir.path(name))
		checks = append(checks, doctor.Size(name, u, err))
	}
	checks = append(checks, doctor.Port("peer port", self.PeerAddress, freePort(self.PeerAddress)), doctor.Port("api port", self.APIAddress, freePort(self.APIAddress)))
	if !whole {
		return append(checks, doctor.Skipped("contents", "目录重建后再检查", "to be looked at once the directory is built again")), nil
	}
	more, err := examineContents(ctx, dir, full, now)
	return append(checks, more...), err
}

// examineContents reads what sound files hold, and asks the other nodes.
func examineContents(ctx context.Context, dir DataDir, full bool, now func() time.Time) (checks []client.Check, err error) {
	if full {
		report, err := VerifyEvidence(dir)
		checks = append(checks, doctor.Evidence(report, err))
	}
	standing, err := consensus.Inspect(dir.path("raft"))
	if err != nil {
		return append(checks, doctor.Fail("applied index", err.Error(), err.Error(),
			bus.Text{ZH: "移走 raft/ 与 directory.db*，由主节点重建", EN: "move raft/ and directory.db* away, the leader rebuilds them"})), nil
	}
	s, err := viewStopped(dir, now)
	if err != nil {
		return checks, err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	var nodes []bus.Node
	err = s.state.View(func(tx *state.Tx) error {
		nodes = slices.Collect(tx.Nodes())
		checks = append(checks, doctor.Tables(tx.Faults()), suspended(tx), doctor.Indexes(tx.Index(), standing.First, standing.Last, standing.Snapshot))
		return nil
	})
	if err != nil {
		return checks, err
	}
	checks = append(checks, s.evidence(full)...)
	peers := askPeers(ctx, nodes, s.self.Node, now, s.mesh.Status)
	return append(checks, doctor.Peers(peers), doctor.Clock(peers)), nil
}

// evidence judges the archive of the evidence, and where full is not set, for then it
// was verified whole, the log.
func (s *stopped) evidence(full bool) (checks []client.Check) {
	var report audit.Report
	db, err := bbolt.Open(s.dir.ExchangeFile(), 0o600, &bbolt.Options{ReadOnly: true, Timeout: time.Second})
	if err != nil {
		return []client.Check{doctor.Evidence(report, err)}
	}
	err = db.View(func(tx *bbolt.Tx) error {
		log, err := audit.OpenExisting(tx)
		if err != nil {
			return err
		}
		archive, err := s.dir.attach(log)
		if err != nil {
			return err
		}
		checks = append(checks, archived(tx, log, archive))
		var known []bus.Checkpoint
		err = s.state.View(func(tx *state.Tx) error {
			if c, ok := tx.Checkpoint(s.self.Node); ok {
				known = append(known, c)
			}
			return nil
		})
		if err == nil {
			report, err = quick(tx, log, known)
		}
		return err
	})
	if err = errors.Join(err, db.Close()); full && err == nil {
		return checks
	}
	return append(checks, doctor.Evidence(report, err))
}
