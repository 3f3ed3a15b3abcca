package server

import (
	"cmp"
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/gxbus/gxbus/node/api"
	"github.com/gxbus/gxbus/node/mesh"
	"github.com/gxbus/gxbus/node/metrics"
	"github.com/gxbus/gxbus/pkg/audit"
	"github.com/gxbus/gxbus/pkg/binding/store"
	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/consensus"
	"github.com/gxbus/gxbus/pkg/directory"
	"github.com/gxbus/gxbus/pkg/directory/command"
	"github.com/gxbus/gxbus/pkg/directory/search"
	"github.com/gxbus/gxbus/pkg/directory/state"
	"github.com/gxbus/gxbus/pkg/exchange"
	"github.com/gxbus/gxbus/pkg/peer"
	"github.com/gxbus/gxbus/pkg/policy"
	"github.com/gxbus/gxbus/pkg/reminder"
	"go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"
)

const (
	passwordChecks  = 2                // at once; each takes 19 MiB
	patience        = 10 * time.Second // with who sends its head or body, or takes the next piece of an answer, slowly
	idleTimeout     = 2 * time.Minute
	writeTimeout    = time.Minute
	maxHeaderBytes  = 80 << 10 // 64 KiB of event attributes and the rest
	shutdownTimeout = 5 * time.Second
)

// Server is a running node.
type Server struct {
	config  Config
	dir     DataDir
	self    opened
	version string
	logger  *slog.Logger
	now     func() time.Time
	peer    func(*peer.Config)
	wait    time.Duration // how long with slow clients
	limits  policy.Options

	proof     atomic.Pointer[credentials]
	making    sync.Mutex // of a new root
	state     *state.Store
	store     *exchange.Store
	log       *audit.Log
	policy    *policy.Engine
	peers     *peer.Plane
	group     *consensus.Group
	directory *directory.Directory
	exchange  *exchange.Exchange
	bindings  *store.Store
	reminders *reminder.Reminders
	search    *search.Index
	layers    layers
	mesh      *mesh.Client
	connected chan bus.NodeID // a connection was made with it
	signIn    api.SignIn
	listener  net.Listener // of the API
	api       *http.Server
	metrics   *metrics.Metrics // nil where they are not shown
	metricsAt string

	cosigner  *audit.Cosigner
	segments  *audit.Archive
	archiving sync.Mutex // held while segments are made or deleted
	witness   witnessState
	signing   sync.Mutex // held while a head is signed and cosigned
	reporting reporting
	room      *room
	fence     *consensus.Fence
	backingUp sync.Mutex // held while a backup is written

	close   []func() error // in the order of opening; run in reverse
	cancel  context.CancelFunc
	workers sync.WaitGroup // end when cancel is called
	serving sync.WaitGroup // end when their server is closed
	failure chan error     // first reason to stop
}

// Options are what a server takes beside its configuration.
type Options struct {
	Version string
	Logger  *slog.Logger
	Now     func() time.Time   // nil: the system's clock
	Peer    func(*peer.Config) // nil, or what changes the peer plane, for tests
	Wait    time.Duration      // patience with slow clients, for tests; 0: 10 s
	Policy  policy.Options     // limits of the policy engine, for tests; zero: its own
}

// Open starts the node whose data is in c.DataDir. It serves when it returns,
// though a leader may yet have to be found: see Ready.
func Open(ctx context.Context, c Config, o Options) (s *Server, err error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	s = &Server{config: c, dir: DataDir(c.DataDir), version: o.Version, logger: o.Logger, now: o.Now, peer: o.Peer, wait: cmp.Or(o.Wait, patience), limits: o.Policy, failure: make(chan error, 1), connected: make(chan bus.NodeID, 64)}
	running, cancel := context.WithCancel(context.Background())
	s.cancel = cancel
	defer func() {
		if err != nil {
			err = errors.Join(err, s.Close())
			s = nil
		}
	}()
	if err = s.dir.whole(); err != nil {
		return s, err
	}
	if s.self, err = s.dir.open(s.now()); err != nil {
		return s, err
	}
	for _, open := range []func(context.Context) error{
		s.openStores, s.openSignIn, s.openListener, s.openPolicy, s.openPeers, s.openDirectory, s.openSearch, s.openBindings, s.openMetrics, s.openExchange, s.openMesh, s.openAPI, s.showMetrics,
	} {
		if err = open(running); err != nil {
			return s, err
		}
	}
	s.workers.Go(func() { s.directory.RunTicks(running) })
	s.workers.Go(func() { s.follow(running) })
	s.workers.Go(func() { s.keepParent(running) })
	s.workers.Go(func() { s.followMembers(running) })
	s.workers.Go(func() { s.placeMembers(running) })
	s.workers.Go(func() { s.keepCertificate(running) })
	s.workers.Go(func() { s.publishCheckpoints(running) })
	s.workers.Go(func() { s.collectRollups(running) })
	s.workers.Go(func() { s.keepArchive(running) })
	s.workers.Go(func() { s.probeBindings(running) })
	s.logger.Info("node is up", "node", s.self.Node, "division", s.self.Division, "cluster", s.self.Cluster, "api", s.APIAddress(), "peer", s.peers.Address())
	return s, nil
}

// Failed gives the first failure that the node cannot go on after: its data can
// no longer be written, or its log cannot be applied.
func (s *Server) Failed() <-chan error { return s.failure }

// halt is called by a part that cannot go on.
func (s *Server) halt(err error) {
	select {
	case s.failure <- err:
	default: // the first reason is the one that matters
	}
}

// Close stops the node: no new requests, then workers, then the parts in reverse
// order of opening.
func (s *Server) Close() error {
	var errs []error
	if s.api != nil {
		ctx, cancel := context.WithTimeout(context.Background(), shutdownTimeout)
		defer cancel()
		if err := s.api.Shutdown(ctx); err != nil {
			errs = append(errs, s.api.Close())
		}
	}
	s.cancel()
	s.workers.Wait()
	for i := len(s.close) - 1; i >= 0; i-- {
		errs = append(errs, s.close[i]())
	}
	s.close = nil
	s.serving.Wait()
	return errors.Join(errs...)
}

func (s *Server) onClose(fn func() error) { s.close = append(s.close, fn) }

// openListener takes the API's port before the node joins others, so that a port in
// use is told at once; who calls early waits until there is an API to answer.
func (s *Server) openListener(context.Context) (err error) {
	if s.listener, err = net.Listen("tcp", s.config.APIListen); err != nil {
		return portInUse("api_listen", s.config.APIListen, err)
	}
	s.onClose(func() error {
		if err := s.listener.Close(); !errors.Is(err, net.ErrClosed) {
			return err
		}
		return nil // the API's server has closed it
	})
	return nil
}

func (s *Server) openStores(context.Context) (err error) {
	s.room = &room{dir: string(s.dir), reserve: s.config.DiskReserve}
	s.state, err = slimmed(s, partReplica, func() (*state.Store, error) { return state.Open(s.dir.path(partReplica)) })
	if err != nil {
		return s.busy(err)
	}
	s.onClose(s.state.Close)
	if err := s.sameCluster(); err != nil {
		return err
	}
	if err := s.stillMember(); err != nil {
		return err
	}
	s.store, err = slimmed(s, partExchange, func() (*exchange.Store, error) { return exchange.OpenStore(s.dir.ExchangeFile(), s.halt) })
	if err != nil {
		return s.busy(err)
	}
	s.onClose(s.store.Close)
	if s.cosigner, err = audit.NewCosigner(s.self.signer, s.self.verifier); err != nil {
		return err
	}
	return s.store.Commit(context.Background(), func(tx *bbolt.Tx) error {
		if s.log, err = audit.Open(tx, audit.Origin(s.self.Cluster, s.self.Node)); err != nil {
			return err
		}
		s.segments, err = s.dir.attach(s.log)
		return err
	})
}

// sameCluster refuses a directory file of another cluster.
func (s *Server) sameCluster() error {
	return s.state.View(func(tx *state.Tx) error {
		if id, _ := tx.Cluster(); id != "" && id != s.self.Cluster {
			return bus.E(bus.CodeForeignCluster, bus.Defect{
				Field: "data_dir", Problem: bus.Text{ZH: "目录副本属于集群 " + id, EN: "the directory file is of cluster " + id}, Allowed: s.self.Cluster,
			})
		}
		return nil
	})
}

// busy explains a file lock that somebody else holds.
func (s *Server) busy(err error) error {
	if !errors.Is(err, bolterrors.ErrTimeout) {
		return err
	}
	return bus.E(bus.CodeInUse, bus.Defect{
		Field: "data_dir", Problem: bus.Text{ZH: "数据目录正被另一个进程使用", EN: "another process uses this data directory"}, Allowed: "one process a data directory",
	}).Because(err)
}

func (s *Server) openPolicy(context.Context) (err error) {
	s.policy, err = policy.New(s.limits)
	return err
}

func (s *Server) openPeers(context.Context) (err error) {
	if err := s.prove(s.self.leaf); err != nil {
		return err
	}
	proof := s.proof.Load()
	config := peer.Config{
		Self: s.self.Node, Cluster: s.self.Cluster, Certificate: proof.tls, Roots: pool(proof.roots),
		Listen: s.config.PeerListen, Resolver: s, Admission: s, Logger: s.logger, Now: s.now,
		Connected: s.connect,
	}
	if s.self.PeerAddress == "" { // a relayed node
		config.Listen = ""
	}
	if s.peer != nil {
		s.peer(&config)
	}
	if s.peers, err = peer.Open(config); err != nil {
		return portInUse("peer_listen", s.config.PeerListen, err)
	}
	s.onClose(s.peers.Close)
	s.mesh = mesh.NewClient(s.peers.RoundTripper(), s.peers.Queries())
	return nil
}

// connect tells the exchange of a connection with another node. Where it has not heard of
// so many yet, it will find out by itself.
func (s *Server) connect(id bus.NodeID) {
	select {
	case s.connected <- id:
	default:
	}
}

func portInUse(field, address string, err error) error {
	if !errors.Is(err, syscall.EADDRINUSE) {
		return err
	}
	return bus.E(bus.CodeInUse, bus.Defect{
		Field: field, Problem: bus.Text{ZH: "端口已被占用：" + address, EN: "the port is in use: " + address}, Allowed: "a free port",
	}).Because(err)
}

func (s *Server) openDirectory(ctx context.Context) error {
	streams, err := s.peers.StreamLayer()
	if err != nil {
		return err
	}
	if err := s.openFence(ctx); err != nil {
		return err
	}
	if err := s.compact(raftLog); err != nil {
		return s.busy(err)
	}
	fsm := directory.NewFSM(s.state, s.halt)
	applied, _ := s.state.Applied()
	s.group, err = consensus.Open(consensus.Config{
		ID: s.self.Node, Dir: s.dir.path("raft"), Streams: streams, FSM: fsm, Fence: s.fence,
		Applied: applied, Committed: s.state.Committed(), Heartbeat: s.config.RaftHeartbeat, Logger: s.logger, Halt: s.halt,
	})
	if err != nil {
		return err
	}
	s.onClose(s.group.Close)
	s.onClose(func() error { fsm.Close(); return nil })
	s.room.fsm = fsm
	s.directory = directory.New(s.self.Node, s.state, s.group, s.mesh, s.now)
	s.directory.Guard(s.room.check)
	return s.found()
}

// found begins a new cluster: this node is its only voter, and the first entry
// of the log is what Init prepared.
func (s *Server) found() error {
	data, err := os.ReadFile(s.dir.path("first.json"))
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read first.json: %w", err)
	}
	var first command.Init
	if err := json.Unmarshal(data, &first); err != nil {
		return fmt.Errorf("first.json is damaged: %w", err)
	}
	if err := s.group.Bootstrap(); err != nil {
		return fmt.Errorf("bootstrap raft: %w", err)
	}
	entry, err := command.New(command.ClusterInit, bus.Principal{Node: s.self.Node}, "cluster.init", 0, first)
	if err != nil {
		return err
	}
	if _, err := s.directory.Write(context.Background(), entry); err != nil {
		return fmt.Errorf("write the first entry: %w", err)
	}
	return os.Remove(s.dir.path("first.json"))
}

// searchDir is where the index of the catalogue is, in the data directory.
const searchDir = "search"

// openSearch starts the index of the catalogue, which makes itself anew where it
// has to: the node does not wait for it.
func (s *Server) openSearch(context.Context) error {
	s.search = search.Open(search.Config{Dir: s.dir.path(searchDir), Directory: s.directory, Logger: s.logger})
	s.onClose(s.search.Close)
	return nil
}

func (s *Server) openExchange(context.Context) (err error) {
	seal, err := sinkSeal(s.signIn.Root)
	if err != nil {
		return err
	}
	s.exchange, err = exchange.Open(exchange.Config{
		Webhooks: s.webhooks(), Origin: string(s.self.Node) + "." + s.self.Cluster, Seal: seal, Bound: s.bindings.Seal(),
		Self: s.self.Node, Store: s.store, Log: s.log, EvidenceKey: s.self.verifier, Signer: s.self.signer, Directory: s.directory, Decider: s.policy, Peers: s.mesh,
		Arrived: s.arrived, Delivered: s.delivered, Connected: s.connected, Bindings: s.bindings, Now: s.now, Logger: s.logger, Room: s.room.check, QueryRate: s.config.SystemRate,
		Retention: exchange.Retention{Kept: days(s.config.RetentionDays), Bytes: s.config.LogBytes, Inbox: s.config.InboxBytes},
	})
	if err != nil {
		return err
	}
	s.onClose(func() error { s.exchange.Close(); return nil })
	s.reminders, err = reminder.Open(reminder.Config{
		Self: s.self.Node, Store: s.store, Log: s.log, Directory: s.directory, Now: s.now, Logger: s.logger,
	})
	if err != nil {
		return err
	}
	s.onClose(func() error { s.reminders.Close(); return nil })
	return nil
}

func (s *Server) openMesh(context.Context) error {
	listener, err := s.peers.Listen(peer.HTTP)
	if err != nil {
		return err
	}
	server := &http.Server{
		Handler: mesh.Handler(s, s.logger), ConnContext: peer.ConnContext,
		ReadHeaderTimeout: patience, IdleTimeout: idleTimeout, ErrorLog: slog.NewLogLogger(s.logger.Handler(), slog.LevelDebug),
	}
	s.serve(server, listener)
	s.onClose(server.Close)
	return nil
}

func (s *Server) openAPI(context.Context) error {
	handler, err := api.New(api.Config{
		Version: s.version, Self: s.self.Node, Directory: s.directory, Exchange: s.exchange, Bindings: s.bindings, Reminders: s.reminders, Policy: s.policy, Search: s.search, Layers: &s.layers,
		Cluster: s, Members: s, Authority: s, Surveyor: s, Evaluator: s, SignIn: s.signIn, Ready: s.Ready, Deliveries: s.Deliveries, Now: s.now, Logger: s.logger, Wait: s.wait,
	})
	if err != nil {
		return err
	}
	s.api = &http.Server{
		Handler: handler, ReadHeaderTimeout: s.wait, ReadTimeout: writeTimeout, WriteTimeout: writeTimeout,
		IdleTimeout: idleTimeout, MaxHeaderBytes: maxHeaderBytes, ErrorLog: slog.NewLogLogger(s.logger.Handler(), slog.LevelDebug),
	}
	s.api.RegisterOnShutdown(handler.EndStreams)
	s.serve(s.api, tls.NewListener(patient{s.listener, s.wait}, s.apiTLS(handler)))
	return nil
}

func (s *Server) serve(server *http.Server, listener net.Listener) {
	s.serving.Go(func() {
		if err := server.Serve(listener); err != nil && !errors.Is(err, http.ErrServerClosed) {
			s.halt(fmt.Errorf("serve %s: %w", listener.Addr(), err))
		}
	})
}

// APIAddress is where the API listens.
func (s *Server) APIAddress() string { return s.listener.Addr().String() }

// PeerAddress is where other nodes connect; empty where they cannot.
func (s *Server) PeerAddress() string { return s.peers.Address() }

// Ready returns nil once the node knows a leader and its policies are loaded.
func (s *Server) Ready() error {
	if s.group.Leader() == "" {
		return bus.E(bus.CodeNoLeader)
	}
	if applied, _ := s.directory.Applied(); applied == 0 {
		return bus.E(bus.CodeUnavailable, bus.Defect{Problem: bus.Text{ZH: "目录副本尚为空", EN: "the directory replica is still empty"}})
	}
	return nil
}
