package peer

import (
	"net"
	"sync"
)

const (
	maxPending           = 64 // connections that have not proved themselves yet
	maxPendingFromSource = 16 // of them from one address, so that one host cannot keep the others out
)

// pending counts the connections that are still shaking hands.
type pending struct {
	mu     sync.Mutex
	total  int
	source map[string]int
}

func newPending() *pending { return &pending{source: map[string]int{}} }

func (p *pending) enter(remote net.Addr) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	source := host(remote)
	if p.total >= maxPending || p.source[source] >= maxPendingFromSource {
		return false
	}
	p.total++
	p.source[source]++
	return true
}

func (p *pending) leave(remote net.Addr) {
	p.mu.Lock()
	defer p.mu.Unlock()
	source := host(remote)
	p.total--
	if p.source[source]--; p.source[source] == 0 {
		delete(p.source, source)
	}
}

func host(remote net.Addr) string {
	if tcp, ok := remote.(*net.TCPAddr); ok {
		return tcp.IP.String()
	}
	return remote.String()
}
