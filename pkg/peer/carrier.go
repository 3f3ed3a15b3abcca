package peer

import (
	"encoding/binary"
	"net"
)

// carrier is the connection below a session.
//
// The multiplexer lets whoever waits for a stream of a session that ends spin, until the
// connection is closed: that is its processor time, and with many streams all of the
// machine's. So they are woken first.
//
// It writes a frame's header by itself and then what the frame carries, each of which would
// be a TLS record, a system call, and at the other node a goroutine to wake. So a
// header waits for what it announces.
type carrier struct {
	net.Conn // TLS
	session  *session
	frame    []byte // a header whose data has not come, and then the whole
}

// A header of the multiplexer: version, type, flags(2), stream(4), length(4).
const (
	frameHeader = 12
	frameData   = 0 // the type that length bytes follow
)

// Close closes the connection.
func (c *carrier) Close() error {
	c.session.wake()
	return c.Conn.Close()
}

// Write is called by one goroutine of the multiplexer.
func (c *carrier) Write(p []byte) (int, error) {
	if len(c.frame) == 0 && announces(p) {
		c.frame = append(c.frame, p...)
		return len(p), nil
	}
	if len(c.frame) == 0 {
		return c.Conn.Write(p)
	}
	held := len(c.frame)
	c.frame = append(c.frame, p...)
	n, err := c.Conn.Write(c.frame)
	c.frame = c.frame[:0]
	return max(0, n-held), err
}

// announces reports whether p is a header that data follows.
func announces(p []byte) bool {
	return len(p) == frameHeader && p[1] == frameData && binary.BigEndian.Uint32(p[frameHeader-4:]) > 0
}
