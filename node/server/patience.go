package server

import (
	"net"
	"sync"
	"time"
)

// patient is a listener whose connections end when who reads takes longer than wait
// for the next piece that is written, however long the whole answer may take. It
// lies below TLS, whose records are such pieces: 16 KiB at most.
type patient struct {
	net.Listener
	wait time.Duration
}

// Accept returns the next connection.
func (p patient) Accept() (net.Conn, error) {
	c, err := p.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &patientConn{Conn: c, wait: p.wait}, nil
}

type patientConn struct {
	net.Conn
	wait time.Duration

	mu    sync.Mutex
	until time.Time // deadline of the whole answer; zero: none
}

// SetDeadline sets both deadlines.
func (c *patientConn) SetDeadline(t time.Time) error {
	if err := c.SetReadDeadline(t); err != nil {
		return err
	}
	return c.SetWriteDeadline(t)
}

// SetWriteDeadline sets the deadline of the whole answer.
func (c *patientConn) SetWriteDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.until = t
	return c.Conn.SetWriteDeadline(t)
}

// Write writes one piece, by the earlier of the two deadlines.
func (c *patientConn) Write(p []byte) (int, error) {
	c.mu.Lock()
	soon := time.Now().Add(c.wait)
	if !c.until.IsZero() && c.until.Before(soon) {
		soon = c.until
	}
	err := c.Conn.SetWriteDeadline(soon)
	c.mu.Unlock()
	if err != nil {
		return 0, err
	}
	return c.Conn.Write(p)
}
