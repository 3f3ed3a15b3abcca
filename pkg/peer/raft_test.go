package peer_test

import (
	"bytes"
	"errors"
	"io"
	"testing"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/raft"

	"github.com/gxbus/gxbus/pkg/peer"
)

func newTransport(t *testing.T, p *peer.Plane) *raft.NetworkTransport {
	t.Helper()
	layer, err := p.StreamLayer()
	ok(t, err)
	transport := raft.NewNetworkTransportWithConfig(&raft.NetworkTransportConfig{
		Stream: layer, MaxPool: 3, Timeout: patience, Logger: hclog.NewNullLogger(),
	})
	t.Cleanup(func() {
		transport.CloseStreams()
		ok(t, transport.Close())
	})
	return transport
}

func TestRaftTransportRunsOverPeerConnections(t *testing.T) {
	w := newWorld(t)
	leader, follower := newTransport(t, w.open(province)), newTransport(t, w.open(city, dialOnly))
	// A voter that takes no connections has dialled in before.
	if follower.LocalAddr() != raft.ServerAddress(city) {
		t.Fatalf("address = %s", follower.LocalAddr())
	}
	answers(t, leader, nil)
	var vote raft.RequestVoteResponse
	ok(t, follower.RequestVote("440000", "440000", &raft.RequestVoteRequest{Term: 7}, &vote))

	snapshot := bytes.Repeat([]byte("directory"), 100<<10)
	answers(t, follower, snapshot)
	entries := []*raft.Log{{Index: 1, Term: 7, Type: raft.LogCommand, Data: []byte("grant")}}
	var appended raft.AppendEntriesResponse
	ok(t, leader.AppendEntries("440100", "440100", &raft.AppendEntriesRequest{Term: 7, Entries: entries}, &appended))
	if !appended.Success || appended.Term != 7 || appended.LastLog != 1 {
		t.Errorf("answer = %+v", appended)
	}

	pipeline, err := leader.AppendEntriesPipeline("440100", "440100")
	ok(t, err)
	go func() {
		for range 50 {
			if _, err := pipeline.AppendEntries(&raft.AppendEntriesRequest{Term: 7, Entries: entries}, new(raft.AppendEntriesResponse)); err != nil {
				t.Error(err)
			}
		}
	}()
	for range 50 {
		future := receive(t, pipeline.Consumer())
		ok(t, future.Error())
		if !future.Response().Success {
			t.Errorf("pipelined answer = %+v", future.Response())
		}
	}
	ok(t, pipeline.Close())

	var installed raft.InstallSnapshotResponse
	ok(t, leader.InstallSnapshot("440100", "440100",
		&raft.InstallSnapshotRequest{Term: 7, Size: int64(len(snapshot))}, &installed, bytes.NewReader(snapshot)))
	if !installed.Success {
		t.Error("the snapshot arrived changed")
	}

	err = leader.RequestVote("440999", "440999", &raft.RequestVoteRequest{}, &vote)
	unreachable(t, err, "no address")
}

// answers serves a transport's requests until the test ends.
func answers(t *testing.T, transport *raft.NetworkTransport, snapshot []byte) {
	t.Helper()
	done := make(chan struct{})
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		for {
			select {
			case <-done:
				return
			case rpc := <-transport.Consumer():
				answer(rpc, snapshot)
			}
		}
	}()
	t.Cleanup(func() {
		close(done)
		<-stopped
	})
}

func answer(rpc raft.RPC, snapshot []byte) {
	switch request := rpc.Command.(type) {
	case *raft.AppendEntriesRequest:
		rpc.Respond(&raft.AppendEntriesResponse{Term: request.Term, LastLog: request.Entries[0].Index, Success: string(request.Entries[0].Data) == "grant"}, nil)
	case *raft.RequestVoteRequest:
		rpc.Respond(&raft.RequestVoteResponse{Term: request.Term, Granted: true}, nil)
	case *raft.InstallSnapshotRequest:
		got, err := io.ReadAll(rpc.Reader)
		rpc.Respond(&raft.InstallSnapshotResponse{Success: bytes.Equal(got, snapshot)}, err)
	default:
		rpc.Respond(nil, errors.New("unexpected"))
	}
}
