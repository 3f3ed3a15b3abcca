package peer_test

import (
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/gxbus/gxbus/pkg/peer"
)

// Each benchmark has a twin over bare TCP on loopback to be compared with.

func BenchmarkRoundTrip(b *testing.B) {
	b.Run("peer", func(b *testing.B) { roundTrips(b, benchStream(b)) })
	b.Run("tcp", func(b *testing.B) { roundTrips(b, tcpEcho(b)) })
}

func roundTrips(b *testing.B, conn net.Conn) {
	buffer := make([]byte, 64)
	for b.Loop() {
		if _, err := conn.Write(buffer); err != nil {
			b.Fatal(err)
		}
		if _, err := io.ReadFull(conn, buffer); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkThroughput(b *testing.B) {
	b.Run("peer", func(b *testing.B) { throughput(b, benchStream(b), b.N) })
	b.Run("tcp", func(b *testing.B) { throughput(b, tcpEcho(b), b.N) })
}

// throughput sends n blocks of 64 KiB to an echo and counts what comes back.
func throughput(b *testing.B, conn net.Conn, n int) {
	block := make([]byte, 64<<10)
	b.SetBytes(int64(len(block)))
	done := make(chan error, 1)
	go func() {
		buffer := make([]byte, len(block))
		for range n {
			if _, err := io.ReadFull(conn, buffer); err != nil {
				done <- err
				return
			}
		}
		done <- nil
	}()
	for range n {
		if _, err := conn.Write(block); err != nil {
			b.Fatal(err)
		}
	}
	if err := <-done; err != nil {
		b.Fatal(err)
	}
}

func BenchmarkDialStream(b *testing.B) {
	w := newWorld(b)
	echo(b, w.open(city), peer.Raft)
	from := w.open(county)
	dialAndSay(b, from)
	for b.Loop() {
		dialAndSay(b, from)
	}
}

func BenchmarkDialWithHandshake(b *testing.B) {
	w := newWorld(b)
	echo(b, w.open(city), peer.Raft)
	from := w.open(county)
	for b.Loop() {
		dialAndSay(b, from)
		from.Disconnect(city)
	}
}

func BenchmarkHTTPRequest(b *testing.B) {
	w := newWorld(b)
	a, from := w.open(city), w.open(county)
	serve(b, a, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.Copy(w, r.Body) }))
	body := strings.Repeat("x", 1024)
	for b.Loop() {
		response, err := client(from).Post("http://440100/", "text/plain", strings.NewReader(body))
		if err != nil {
			b.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, response.Body)
		response.Body.Close()
	}
}

func dialAndSay(b *testing.B, from *peer.Plane) {
	b.Helper()
	conn, err := from.Dial(b.Context(), city, peer.Raft)
	ok(b, err)
	ok(b, say(conn, "hello"))
	ok(b, conn.Close())
}

func benchStream(b *testing.B) net.Conn {
	b.Helper()
	w := newWorld(b)
	echo(b, w.open(city), peer.Raft)
	return dial(b, w.open(county), city, peer.Raft)
}

func tcpEcho(b *testing.B) net.Conn {
	b.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	ok(b, err)
	go func() {
		conn, err := l.Accept()
		if err == nil {
			_, _ = io.Copy(struct{ io.Writer }{conn}, struct{ io.Reader }{conn})
			conn.Close()
		}
	}()
	conn, err := net.Dial("tcp", l.Addr().String())
	ok(b, err)
	b.Cleanup(func() {
		conn.Close()
		l.Close()
	})
	return conn
}
