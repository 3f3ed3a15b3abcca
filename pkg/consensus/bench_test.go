package consensus_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/directory"
	"github.com/gxbus/gxbus/pkg/directory/command"
	"github.com/gxbus/gxbus/pkg/directory/state"
	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/raft"
	boltstore "github.com/hashicorp/raft-boltdb/v2"
	"go.etcd.io/bbolt"
)

const department bus.USCC = "114400000069401674"

var trio = []bus.NodeID{"gz", "sz", "th"}

// BenchmarkDirectoryWrites measures single writes of the directory on three
// voters: strict decoding, rules, tables and the applied index included, each
// waited for by its client. The baseline is hashicorp/raft alone with the same
// stores, the same bytes and a state machine that does nothing.
func BenchmarkDirectoryWrites(b *testing.B) {
	ours, bare := directoryTrio(b), bareTrio(b)
	for _, clients := range []int{1, 64, 256} {
		b.Run(fmt.Sprint(clients), func(b *testing.B) {
			for b.Loop() {
				number := 200 * min(clients, 20)
				with := rate(b, clients, number, ours)
				without := rate(b, clients, number, bare)
				b.ReportMetric(with, "writes/s")
				b.ReportMetric(without, "baseline")
				b.ReportMetric(with/without, "ratio")
			}
		})
	}
}

// rate has clients share number writes, each waiting for its answers, and gives
// writes a second.
func rate(b *testing.B, clients, number int, write func(context.Context, command.Entry) error) float64 {
	b.Helper()
	left := atomic.Int64{}
	left.Store(int64(number))
	failed := make(chan error, clients)
	var working sync.WaitGroup
	begun := time.Now()
	for range clients {
		working.Go(func() {
			for left.Add(-1) >= 0 {
				if err := write(b.Context(), systemPut(b)); err != nil {
					failed <- err
					return
				}
			}
		})
	}
	working.Wait()
	took := time.Since(begun)
	select {
	case err := <-failed:
		b.Fatal(err)
	default:
	}
	return float64(number) / took.Seconds()
}

var written atomic.Int64 // numbers the systems, so that each write is another

func systemPut(t testing.TB) command.Entry {
	t.Helper()
	s := bus.System{
		ID: bus.SystemID(fmt.Sprint("sample-", written.Add(1))), Department: department, Name: "样例系统",
		SecretHash: make([]byte, 32),
	}
	e, err := command.New(command.SystemPut, bus.Principal{Account: "sysadmin", Role: bus.RoleSystemAdministrator}, "", 0, s)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// directoryTrio runs three voters with the directory and returns its Write.
func directoryTrio(b *testing.B) func(context.Context, command.Entry) error {
	b.Helper()
	wires := newWires()
	members := make([]*member, len(trio))
	for i, id := range trio {
		members[i] = newMember(b, id, wires)
		members[i].start()
	}
	leader := members[0]
	if err := leader.group.Bootstrap(); err != nil {
		b.Fatal(err)
	}
	leader.lead()
	for _, m := range members[1:] {
		if err := errors.Join(leader.group.AddNonvoter(b.Context(), m.id), leader.group.Promote(b.Context(), m.id)); err != nil {
			b.Fatal(err)
		}
	}
	d := directory.New(leader.id, leader.store, leader.group, nil, time.Now)
	write := func(ctx context.Context, e command.Entry) error {
		_, err := d.Write(ctx, e)
		return err
	}
	furnish(b, func(e command.Entry) {
		if err := write(b.Context(), e); err != nil {
			b.Fatal(err)
		}
	})
	return write
}

// furnish writes what a system needs to be in the directory.
func furnish(t testing.TB, write func(command.Entry)) {
	t.Helper()
	administrator := bus.Account{Name: "sysadmin", Role: bus.RoleSystemAdministrator}
	first := entry(t, command.ClusterInit, command.Init{
		Cluster: "gd", Node: bus.Node{ID: "gz"}, Divisions: bus.Guangdong(), Accounts: []bus.Account{administrator},
	})
	second, err := command.New(command.DepartmentPut, bus.Principal{Account: "sysadmin", Role: administrator.Role}, "", 0,
		bus.Department{ID: department, Name: "样例部门", Division: "440000"})
	if err != nil {
		t.Fatal(err)
	}
	write(first)
	write(second)
}

// bareTrio runs three voters of hashicorp/raft as they are.
func bareTrio(b *testing.B) func(context.Context, command.Entry) error {
	b.Helper()
	wires := newWires()
	var servers []raft.Server
	var group []*raft.Raft
	for _, id := range trio {
		servers = append(servers, raft.Server{Suffrage: raft.Voter, ID: raft.ServerID(id), Address: raft.ServerAddress(id)})
		layer, err := wires.listen(id)
		if err != nil {
			b.Fatal(err)
		}
		group = append(group, bareRaft(b, id, layer, idle{}))
	}
	if err := group[0].BootstrapCluster(raft.Configuration{Servers: servers}).Error(); err != nil {
		b.Fatal(err)
	}
	var leader *raft.Raft
	until(b, "no leader", func() bool {
		for _, r := range group {
			if r.State() == raft.Leader {
				leader = r
			}
		}
		return leader != nil
	})
	return func(_ context.Context, e command.Entry) error {
		data, err := e.Encode()
		if err != nil {
			return err
		}
		return leader.Apply(data, patience).Error()
	}
}

// bareRaft starts one server with the stores that package consensus uses.
func bareRaft(b *testing.B, id bus.NodeID, layer raft.StreamLayer, fsm raft.FSM) *raft.Raft {
	b.Helper()
	dir := b.TempDir()
	quiet := hclog.NewNullLogger()
	log, err := boltstore.New(boltstore.Options{
		Path:        filepath.Join(dir, "log.db"),
		BoltOptions: &bbolt.Options{Timeout: time.Second, FreelistType: bbolt.FreelistMapType, NoFreelistSync: true},
	})
	if err != nil {
		b.Fatal(err)
	}
	cached, cacheErr := raft.NewLogCache(512, log)
	snapshots, err := raft.NewFileSnapshotStoreWithLogger(dir, 2, quiet)
	if err := errors.Join(cacheErr, err); err != nil {
		b.Fatal(err)
	}
	transport := raft.NewNetworkTransportWithConfig(&raft.NetworkTransportConfig{Stream: layer, MaxPool: 3, Timeout: 10 * time.Second, Logger: quiet})
	config := raft.DefaultConfig()
	config.LocalID, config.Logger = raft.ServerID(id), quiet
	r, err := raft.NewRaft(config, fsm, cached, log, snapshots, transport)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := errors.Join(r.Shutdown().Error(), transport.Close(), log.Close()); err != nil {
			b.Error(err)
		}
	})
	return r
}

// idle is a state machine that does nothing.
type idle struct{ raft.FSM }

func (idle) Apply(*raft.Log) any                 { return state.Result{} }
func (idle) ApplyBatch(logs []*raft.Log) []any   { return make([]any, len(logs)) }
func (idle) Snapshot() (raft.FSMSnapshot, error) { return nil, errors.New("no snapshots here") }
