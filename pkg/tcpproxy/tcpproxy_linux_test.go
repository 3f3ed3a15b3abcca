package tcpproxy_test

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/gxbus/gxbus/pkg/tcpproxy"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// echo is a server on a loopback address of its own that sends back what it gets.
func echo(t *testing.T, host string) string {
	t.Helper()
	l, err := net.Listen("tcp", host+":0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				_, _ = io.Copy(conn, conn)
				_ = conn.Close()
			}()
		}
	}()
	return l.Addr().String()
}

func dial(t *testing.T, from, to string) net.Conn {
	t.Helper()
	conn, err := (&net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}).Dial("tcp", to)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

// said sends a word and returns how long its echo took.
func said(t *testing.T, conn net.Conn, patience time.Duration) (time.Duration, error) {
	t.Helper()
	start := time.Now()
	if _, err := conn.Write([]byte("word")); err != nil {
		return 0, err
	}
	return heard(conn, start, patience)
}

func heard(conn net.Conn, start time.Time, patience time.Duration) (time.Duration, error) {
	_ = conn.SetReadDeadline(start.Add(patience))
	_, err := io.ReadFull(conn, make([]byte, 4))
	return time.Since(start), err
}

const patience = 30 * time.Second

func network(t *testing.T, host string) (n *tcpproxy.Network, proxy string) {
	t.Helper()
	n = tcpproxy.New()
	t.Cleanup(func() {
		if err := n.Close(); err != nil {
			t.Error(err)
		}
	})
	proxy, err := n.Listen("127.0.9.2:0", echo(t, host))
	if err != nil {
		t.Fatal(err)
	}
	return n, proxy
}

func TestACutLinkIsSilentUntilItIsHealed(t *testing.T) {
	n, proxy := network(t, "127.0.9.1")
	conn, other := dial(t, "127.0.8.1", proxy), dial(t, "127.0.7.1", proxy)
	if _, err := said(t, conn, patience); err != nil {
		t.Fatal(err)
	}
	n.Cut("127.0.9.1", "127.0.8.1")
	start := time.Now()
	if took, err := said(t, conn, 200*time.Millisecond); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("over a cut link: %v after %v", err, took)
	}
	late := dial(t, "127.0.8.1", proxy)
	if _, err := said(t, late, 200*time.Millisecond); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Error("a new connection over a cut link: ", err)
	}
	if _, err := said(t, other, patience); err != nil {
		t.Error("another link: ", err)
	}
	n.HealAll()
	for name, c := range map[string]net.Conn{"that was open": conn, "made meanwhile": late} {
		if _, err := heard(c, start, patience); err != nil {
			t.Errorf("after healing, on a connection %s: %v", name, err)
		}
	}
}

func TestADelayIsOfOneDirectionAndKeepsTheOrder(t *testing.T) {
	const slow = 500 * time.Millisecond
	n, proxy := network(t, "127.0.9.1")
	conn := dial(t, "127.0.8.1", proxy)
	n.Delay("127.0.8.1", "127.0.9.1", slow)
	if took, err := said(t, conn, patience); err != nil || took < slow || took >= 2*slow {
		t.Errorf("%v after %v", err, took)
	}
	sent := make([]byte, 4<<20)
	for i := range sent {
		sent[i] = byte(i >> 8)
	}
	go func() {
		_, _ = conn.Write(sent)
		_ = conn.(*net.TCPConn).CloseWrite()
	}()
	_ = conn.SetReadDeadline(time.Now().Add(patience))
	got, err := io.ReadAll(conn)
	if err != nil || !bytes.Equal(got, sent) {
		t.Errorf("%d of %d bytes came back: %v", len(got), len(sent), err)
	}
}

func TestCloseEndsWhatIsStalled(t *testing.T) {
	n := tcpproxy.New()
	proxy, err := n.Listen("127.0.9.2:0", echo(t, "127.0.9.1"))
	if err != nil {
		t.Fatal(err)
	}
	conn := dial(t, "127.0.8.1", proxy)
	n.Cut("127.0.8.1", "127.0.9.1")
	if _, err := conn.Write([]byte("word")); err != nil {
		t.Fatal(err)
	}
	if err := n.Close(); err != nil {
		t.Error(err)
	}
	_ = conn.SetReadDeadline(time.Now().Add(patience))
	if _, err := conn.Read(make([]byte, 1)); errors.Is(err, os.ErrDeadlineExceeded) || err == nil {
		t.Error("the connection goes on: ", err)
	}
	if _, err := n.Listen("127.0.9.2:0", proxy); !errors.Is(err, net.ErrClosed) {
		t.Error("a closed network listens: ", err)
	}
}
