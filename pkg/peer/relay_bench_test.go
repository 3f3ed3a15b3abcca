package peer_test

import (
	"io"
	"net"
	"testing"
	"time"

	"github.com/gxbus/gxbus/pkg/peer"
)

// What three relays cost: county → city → province → city → county, against the
// same between two nodes that reach each other directly, taken in one run.

func BenchmarkPeerRelayRoundTrip(b *testing.B) {
	relayed, direct := relayedStream(b), benchStream(b)
	b.ResetTimer()
	mine, theirs := took(func() { trips(b, relayed) }), took(func() { trips(b, direct) })
	report(b, "µs", micros(mine)/float64(b.N), micros(theirs)/float64(b.N))
}

func BenchmarkPeerRelayThroughput(b *testing.B) {
	relayed, direct := relayedStream(b), benchStream(b)
	b.ResetTimer()
	mine, theirs := took(func() { throughput(b, relayed) }), took(func() { throughput(b, direct) })
	megabytes := float64(b.N) * (64 << 10) / 1e6
	report(b, "MB/s", megabytes/mine.Seconds(), megabytes/theirs.Seconds())
}

func BenchmarkPeerRelayNewSession(b *testing.B) {
	w := newWorld(b)
	echo(b, w.open(city), peer.Raft)
	near := w.open(county)
	tr := grow(b)
	echo(b, tr.planes[otherCounty], peer.Raft)
	from := tr.planes[county]
	b.ResetTimer()
	mine := took(func() {
		for range b.N {
			conn, err := from.Dial(b.Context(), otherCounty, peer.Raft)
			ok(b, err)
			ok(b, say(conn, "hello"))
			from.Disconnect(otherCounty)
		}
	})
	theirs := took(func() {
		for range b.N {
			dialAndSay(b, near)
			near.Disconnect(city)
		}
	})
	report(b, "µs", micros(mine)/float64(b.N), micros(theirs)/float64(b.N))
}

func relayedStream(b *testing.B) net.Conn {
	b.Helper()
	tr := grow(b)
	echo(b, tr.planes[otherCounty], peer.Raft)
	return dial(b, tr.planes[county], otherCounty, peer.Raft)
}

func trips(b *testing.B, conn net.Conn) {
	b.Helper()
	buffer := make([]byte, 64)
	for range b.N {
		if _, err := conn.Write(buffer); err != nil {
			b.Fatal(err)
		}
		if _, err := io.ReadFull(conn, buffer); err != nil {
			b.Fatal(err)
		}
	}
}

func took(f func()) time.Duration {
	begun := time.Now()
	f()
	return time.Since(begun)
}

func micros(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }

func report(b *testing.B, unit string, value, baseline float64) {
	b.Helper()
	b.ReportMetric(value, unit)
	b.ReportMetric(baseline, "baseline")
	b.ReportMetric(value/baseline, "ratio")
}
