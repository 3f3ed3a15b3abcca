package consensus_test

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/consensus"
	"github.com/gxbus/gxbus/pkg/directory"
	"github.com/gxbus/gxbus/pkg/directory/command"
	"github.com/gxbus/gxbus/pkg/directory/state"
	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/raft"
)

// A whole province: one leader, two more voters and 143 nodes that follow. The
// followers keep their logs in memory and run in a process of their own, so that
// what the leader spends can be told from what they spend.
const (
	crowdVariable = "GXBUS_CROWD" // set: this process plays that many followers
	provinceNodes = 143
	lonely        = 2 // the other voters alone
	idleTime      = 10 * time.Second
	paced         = 100 // writes, one after another
)

// BenchmarkProvince measures what following costs the leader: latency of a write,
// processor time and bytes of an idle minute, and how long an entry takes to show at
// the slowest hundredth of the followers. Baselines are a group of three voters.
func BenchmarkProvince(b *testing.B) {
	for _, heartbeat := range []time.Duration{time.Second, 5 * time.Second} {
		b.Run(fmt.Sprint(heartbeat), func(b *testing.B) {
			for b.Loop() {
				alone, whole := follow(b, lonely, heartbeat), follow(b, lonely+provinceNodes, heartbeat)
				for _, m := range []struct {
					name        string
					value, base float64
					unit        string
				}{
					{"write-latency", whole.write.Seconds() * 1e3, alone.write.Seconds() * 1e3, "ms"},
					{"idle-cpu", whole.cpu.Seconds(), alone.cpu.Seconds(), "s/min"},
					{"idle-bytes", whole.bytes / 1e6, alone.bytes / 1e6, "MB/min"},
					{"lag-p99", whole.lag.Seconds() * 1e3, alone.lag.Seconds() * 1e3, "ms"},
				} {
					b.Run(m.name, func(b *testing.B) {
						for b.Loop() {
							b.ReportMetric(m.value, m.unit)
							b.ReportMetric(m.base, "baseline")
							b.ReportMetric(m.value/m.base, "ratio")
						}
					})
				}
			}
		})
	}
}

// spent is what a group of one size costs.
type spent struct {
	write time.Duration // median latency
	cpu   time.Duration // of the leader's process in an idle minute
	bytes float64       // to and from the leader in an idle minute
	lag   time.Duration // 99th percentile from proposal to a follower's state machine
}

func follow(b *testing.B, followers int, heartbeat time.Duration) spent {
	b.Helper()
	crowd := startCrowd(b, followers)
	dir := b.TempDir()
	store, err := state.Open(filepath.Join(dir, "directory.db"))
	if err != nil {
		b.Fatal(err)
	}
	inner, err := crowd.wires.listen("gz")
	if err != nil {
		b.Fatal(err)
	}
	counting := &countingLayer{layer: inner}
	halt := func(err error) { b.Error(err) }
	group, err := consensus.Open(consensus.Config{
		ID: "gz", Dir: filepath.Join(dir, "raft"), Streams: counting, FSM: directory.NewFSM(store, halt),
		Heartbeat: heartbeat, Logger: slog.New(slog.DiscardHandler), Halt: halt,
	})
	if err != nil {
		b.Fatal(err)
	}
	defer func() {
		if err := errors.Join(group.Close(), store.Close(), crowd.stop()); err != nil {
			b.Error(err)
		}
	}()
	if err := group.Bootstrap(); err != nil {
		b.Fatal(err)
	}
	until(b, "no leader", func() bool { return group.Leader() == "gz" })
	d := directory.New("gz", store, group, nil, time.Now)
	write := func(e command.Entry) {
		if _, err := d.Write(b.Context(), e); err != nil {
			b.Fatal(err)
		}
	}
	for i, id := range crowd.ids {
		err := group.AddNonvoter(b.Context(), id)
		if i < lonely {
			err = errors.Join(err, group.Promote(b.Context(), id))
		}
		if err != nil {
			b.Fatal(err)
		}
	}
	furnish(b, write)
	crowd.reach(b, group.CommitIndex())

	var out spent
	latencies := make([]time.Duration, paced)
	for i := range latencies {
		begun := time.Now()
		write(systemPut(b))
		latencies[i] = time.Since(begun)
	}
	slices.Sort(latencies)
	out.write = latencies[paced/2]
	crowd.reach(b, group.CommitIndex())
	out.lag = crowd.lag(b)

	used, moved := processorTime(), counting.bytes.Load()
	<-time.After(idleTime)
	minutes := idleTime.Minutes()
	out.cpu = time.Duration(float64(processorTime()-used) / minutes)
	out.bytes = float64(counting.bytes.Load()-moved) / minutes
	return out
}

func processorTime() time.Duration {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		return 0
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

// countingLayer counts what goes over the connections of a layer.
type countingLayer struct {
	*layer
	bytes atomic.Int64
}

func (l *countingLayer) Dial(to raft.ServerAddress, timeout time.Duration) (net.Conn, error) {
	conn, err := l.layer.Dial(to, timeout)
	return countingConn{conn, &l.bytes}, err
}

type countingConn struct {
	net.Conn
	bytes *atomic.Int64
}

func (c countingConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.bytes.Add(int64(n))
	return n, err
}

func (c countingConn) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	c.bytes.Add(int64(n))
	return n, err
}

// crowd is the process that plays the followers.
type crowd struct {
	wires *wires
	ids   []bus.NodeID

	process *exec.Cmd
	in      io.WriteCloser
	out     *json.Decoder
}

// asked is a line to the crowd, answered its answer.
type (
	asked    struct{ Reach uint64 }
	answered struct {
		Addresses map[bus.NodeID]string
		LagP99    time.Duration
		Err       string
	}
)

func startCrowd(b *testing.B, followers int) *crowd {
	b.Helper()
	c := &crowd{wires: newWires(), process: exec.Command(os.Args[0])}
	c.process.Env = append(os.Environ(), crowdVariable+"="+strconv.Itoa(followers))
	c.process.Stderr = os.Stderr
	in, err := c.process.StdinPipe()
	out, outErr := c.process.StdoutPipe()
	if err := errors.Join(err, outErr); err != nil {
		b.Fatal(err)
	}
	c.in, c.out = in, json.NewDecoder(out)
	if err := c.process.Start(); err != nil {
		b.Fatal(err)
	}
	var first answered
	if err := c.out.Decode(&first); err != nil {
		b.Fatal(err)
	}
	c.wires.ids = first.Addresses
	for id := range first.Addresses {
		c.ids = append(c.ids, id)
	}
	slices.Sort(c.ids)
	return c
}

func (c *crowd) ask(b *testing.B, question asked) answered {
	b.Helper()
	var a answered
	if err := errors.Join(json.NewEncoder(c.in).Encode(question), c.out.Decode(&a)); err != nil || a.Err != "" {
		b.Fatal(err, a.Err)
	}
	return a
}

// reach waits until every follower has applied index, and begins to measure lags
// anew.
func (c *crowd) reach(b *testing.B, index uint64) { c.ask(b, asked{Reach: index}) }

// lag is that of the entries between the last two calls of reach.
func (c *crowd) lag(b *testing.B) time.Duration { return c.ask(b, asked{}).LagP99 }

func (c *crowd) stop() error { return errors.Join(c.in.Close(), c.process.Wait()) }

// runCrowd plays followers until the standard input ends.
func runCrowd(number string) int {
	if err := playCrowd(number); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

func playCrowd(number string) error {
	n, err := strconv.Atoi(number)
	if err != nil {
		return err
	}
	out := json.NewEncoder(os.Stdout)
	wires := newWires()
	lags := &lags{}
	members := make([]*raft.Raft, n)
	for i := range members {
		id := bus.NodeID(fmt.Sprintf("node-%03d", i))
		layer, err := wires.listen(id)
		if err != nil {
			return err
		}
		if members[i], err = follower(id, layer, lags); err != nil {
			return err
		}
	}
	if err := out.Encode(answered{Addresses: wires.ids}); err != nil {
		return err
	}
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		var question asked
		if err := json.Unmarshal(lines.Bytes(), &question); err != nil {
			return err
		}
		if err := out.Encode(answer(question, members, lags)); err != nil {
			return err
		}
	}
	return lines.Err()
}

func answer(question asked, members []*raft.Raft, lags *lags) answered {
	if question.Reach == 0 {
		return answered{LagP99: lags.p99()}
	}
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	deadline := time.Now().Add(patience)
	for _, m := range members {
		for m.AppliedIndex() < question.Reach {
			if <-tick.C; time.Now().After(deadline) {
				return answered{Err: "a follower does not come to the index"}
			}
		}
	}
	return answered{LagP99: lags.next()}
}

// follower starts a server with its log in memory.
func follower(id bus.NodeID, layer raft.StreamLayer, lags *lags) (*raft.Raft, error) {
	quiet := hclog.NewNullLogger()
	config := raft.DefaultConfig()
	config.LocalID, config.Logger = raft.ServerID(id), quiet
	config.HeartbeatTimeout, config.ElectionTimeout = time.Hour, time.Hour // it never stands for election
	config.LeaderLeaseTimeout = time.Hour
	log := raft.NewInmemStore()
	transport := raft.NewNetworkTransportWithConfig(&raft.NetworkTransportConfig{Stream: layer, MaxPool: 3, Timeout: patience, Logger: quiet})
	return raft.NewRaft(config, measuring{lags: lags}, log, log, raft.NewInmemSnapshotStore(), transport)
}

// measuring is a state machine that only looks how old an entry is.
type measuring struct {
	idle
	lags *lags
}

func (m measuring) Apply(log *raft.Log) any { return m.ApplyBatch([]*raft.Log{log})[0] }

func (m measuring) ApplyBatch(logs []*raft.Log) []any {
	for _, log := range logs {
		if log.Type != raft.LogCommand {
			continue
		}
		if e, err := command.Decode(log.Data); err == nil {
			m.lags.add(time.Since(e.At))
		}
	}
	return make([]any, len(logs))
}

type lags struct {
	mu        sync.Mutex
	now, last []time.Duration
}

func (l *lags) add(d time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.now = append(l.now, d)
}

// next closes a stretch and begins another.
func (l *lags) next() time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.last, l.now = l.now, nil
	return 0
}

func (l *lags) p99() time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.last) == 0 {
		return 0
	}
	slices.Sort(l.last)
	return l.last[len(l.last)*99/100]
}
