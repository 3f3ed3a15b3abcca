package peer_test

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"time"

	"github.com/gxbus/gxbus/pkg/peer"
)

// pair opens a stream from the county to the city and returns both ends.
func pair(t *testing.T) (near, far net.Conn, nearPlane *peer.Plane) {
	t.Helper()
	w := newWorld(t)
	a, b := w.open(city), w.open(county)
	l, err := a.Listen(peer.HTTP)
	ok(t, err)
	near = dial(t, b, city, peer.HTTP)
	far, err = l.Accept()
	ok(t, err)
	t.Cleanup(func() { far.Close() })
	return near, far, b
}

func TestCloseUnblocksARead(t *testing.T) {
	near, _, _ := pair(t)
	result := make(chan error, 1)
	reading := make(chan struct{})
	go func() {
		close(reading)
		_, err := near.Read(make([]byte, 1))
		result <- err
	}()
	<-reading
	ok(t, near.Close())
	ok(t, near.Close())
	if err := receive(t, result); !errors.Is(err, net.ErrClosed) {
		t.Errorf("read: %v", err)
	}
	if _, err := near.Read(make([]byte, 1)); !errors.Is(err, net.ErrClosed) {
		t.Errorf("read after close: %v", err)
	}
	if err := near.SetReadDeadline(time.Time{}); !errors.Is(err, net.ErrClosed) {
		t.Errorf("deadline after close: %v", err)
	}
	if _, err := near.Write([]byte("x")); err == nil {
		t.Error("wrote after close")
	}
}

func TestWhatWasWrittenBeforeCloseArrivesThenEOF(t *testing.T) {
	near, far, _ := pair(t)
	sent := bytes.Repeat([]byte("数据"), 20<<10)
	_, err := near.Write(sent)
	ok(t, err)
	ok(t, near.Close())
	got, err := io.ReadAll(far)
	ok(t, err)
	if !bytes.Equal(got, sent) {
		t.Errorf("%d bytes arrived of %d", len(got), len(sent))
	}
}

func TestLostSessionIsNotTakenForTheEndOfAMessage(t *testing.T) {
	near, far, plane := pair(t)
	_, err := near.Write([]byte("half a mess"))
	ok(t, err)
	half := make([]byte, 11)
	_, err = io.ReadFull(far, half)
	ok(t, err)
	plane.Disconnect(city)
	if rest, err := io.ReadAll(far); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("read %q, %v", rest, err)
	}
}

func TestDeadlines(t *testing.T) {
	near, far, _ := pair(t)
	ok(t, near.SetReadDeadline(time.Now().Add(10*time.Millisecond)))
	if _, err := near.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("read: %v", err)
	}
	ok(t, near.SetWriteDeadline(time.Now().Add(10*time.Millisecond)))
	if _, err := near.Write(make([]byte, 1<<20)); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("write to a peer that does not read: %v", err)
	}
	ok(t, near.SetDeadline(time.Time{}))
	_, err := far.Write([]byte("x"))
	ok(t, err)
	if _, err := near.Read(make([]byte, 1)); err != nil {
		t.Errorf("read once the deadline is lifted: %v", err)
	}
}
