package peer

import (
	"io"
	"net"
	"sync/atomic"
	"testing"

	"github.com/hashicorp/yamux"
)

// counting counts what is written to a connection, and frames that are announced alone.
type counting struct {
	net.Conn
	writes, alone atomic.Int64
}

func (c *counting) Write(p []byte) (int, error) {
	c.writes.Add(1)
	if announces(p) {
		c.alone.Add(1)
	}
	return c.Conn.Write(p)
}

func TestAFrameIsWrittenAsOne(t *testing.T) {
	here, there := net.Pipe()
	below := &counting{Conn: here}
	near, err := yamux.Client(&carrier{Conn: below, session: &session{}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer near.Close()
	far, err := yamux.Server(there, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer far.Close()
	out, err := near.Open()
	if err != nil {
		t.Fatal(err)
	}
	in, err := far.Accept()
	if err != nil {
		t.Fatal(err)
	}
	for _, size := range []int{1, 12, 100_000} {
		sent := make([]byte, size)
		for i := range sent {
			sent[i] = byte(i * size)
		}
		before := below.writes.Load()
		if n, err := out.Write(sent); n != size || err != nil {
			t.Fatalf("wrote %d of %d: %v", n, size, err)
		}
		got := make([]byte, size)
		if _, err := io.ReadFull(in, got); err != nil || string(got) != string(sent) {
			t.Fatalf("%d bytes came otherwise: %v", size, err)
		}
		if size < 100_000 && below.writes.Load()-before != 1 {
			t.Errorf("%d bytes in %d writes", size, below.writes.Load()-before)
		}
	}
	if below.alone.Load() > 0 {
		t.Errorf("%d headers went alone", below.alone.Load())
	}
}
