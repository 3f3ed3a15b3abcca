package peer_test

import (
	"io"
	"net"
	"testing"
	"time"

	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/peer"
)

// What three relays cost: county → city → province → city → county, against the
// same between two nodes that reach each other directly, taken in one run.

func BenchmarkPeerRelayRoundTrip(b *testing.B) {
	relayed, direct := relayedStream(b), benchStream(b)
	mine, theirs := inTurn(b, 64, func(n int) { trips(b, relayed, n) }, func(n int) { trips(b, direct, n) })
	report(b, "µs", micros(mine)/float64(b.N), micros(theirs)/float64(b.N))
}

func BenchmarkPeerRelayThroughput(b *testing.B) {
	relayed, direct := relayedStream(b), benchStream(b)
	mine, theirs := inTurn(b, 64, func(n int) { throughput(b, relayed, n) }, func(n int) { throughput(b, direct, n) })
	megabytes := float64(b.N) * (64 << 10) / 1e6
	report(b, "MB/s", megabytes/mine.Seconds(), megabytes/theirs.Seconds())
}

func BenchmarkPeerRelayNewSession(b *testing.B) {
	w := newWorld(b)
	echo(b, w.open(city), peer.Raft)
	near := w.open(county)
	tr := grow(b)
	echo(b, tr.planes[otherCounty], peer.Raft)
	fresh := func(from *peer.Plane, to bus.NodeID) func(int) {
		return func(n int) {
			for range n {
				conn, err := from.Dial(b.Context(), to, peer.Raft)
				ok(b, err)
				ok(b, say(conn, "hello"))
				from.Disconnect(to)
			}
		}
	}
	mine, theirs := inTurn(b, 1, fresh(tr.planes[county], otherCounty), fresh(near, city))
	report(b, "µs", micros(mine)/float64(b.N), micros(theirs)/float64(b.N))
}

// inTurn does a and c b.N times each, some at a time, so that what else the
// machine does befalls both, and returns how long each took.
func inTurn(b *testing.B, some int, a, c func(n int)) (first, second time.Duration) {
	b.Helper()
	b.ResetTimer()
	for left := b.N; left > 0; left -= some {
		n := min(some, left)
		begun := time.Now()
		a(n)
		half := time.Now()
		c(n)
		first, second = first+half.Sub(begun), second+time.Since(half)
	}
	return first, second
}

func relayedStream(b *testing.B) net.Conn {
	b.Helper()
	tr := grow(b)
	echo(b, tr.planes[otherCounty], peer.Raft)
	return dial(b, tr.planes[county], otherCounty, peer.Raft)
}

func trips(b *testing.B, conn net.Conn, n int) {
	b.Helper()
	buffer := make([]byte, 64)
	for range n {
		if _, err := conn.Write(buffer); err != nil {
			b.Fatal(err)
		}
		if _, err := io.ReadFull(conn, buffer); err != nil {
			b.Fatal(err)
		}
	}
}

func micros(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }

func report(b *testing.B, unit string, value, baseline float64) {
	b.Helper()
	b.ReportMetric(value, unit)
	b.ReportMetric(baseline, "baseline")
	b.ReportMetric(value/baseline, "ratio")
}
