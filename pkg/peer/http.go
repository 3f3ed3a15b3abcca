package peer

import (
	"context"
	"net"
	"net/http"
	"time"

	"github.com/gxbus/gxbus/pkg/bus"
)

const (
	maxHTTPStreams  = 64 // a peer, so that HTTP never takes all streams of a session
	idleHTTPStreams = 8
	idleHTTPTime    = time.Minute
	// headerTimeout covers a query that the other node passes on to a system
	// of its own before it answers.
	headerTimeout = time.Minute
)

func (p *Plane) newTransport(idle int) *http.Transport {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	return &http.Transport{
		DialContext: func(ctx context.Context, _, address string) (net.Conn, error) {
			id, _, err := net.SplitHostPort(address)
			if err != nil {
				return nil, err
			}
			return p.Dial(ctx, bus.NodeID(id), HTTP)
		},
		Protocols:              protocols,
		DisableCompression:     true, // inflating what a peer sends is a way to be bombed
		MaxConnsPerHost:        maxHTTPStreams,
		MaxIdleConnsPerHost:    idle,
		IdleConnTimeout:        idleHTTPTime,
		ResponseHeaderTimeout:  headerTimeout,
		MaxResponseHeaderBytes: 64 << 10,
	}
}

// roundTripper refuses what would not mean what it says: a scheme that asks for
// TLS inside TLS, a port where nodes have none.
type roundTripper struct{ transport *http.Transport }

// RoundTripper returns an HTTP client's transport to other nodes: the host of
// the URL is the node id, as in http://440100/path. There is no proxy, no
// redirect (an http.Client adds them unless told otherwise) and no compression.
func (p *Plane) RoundTripper() http.RoundTripper { return roundTripper{p.transport} }

// RoundTrip sends one request to the node that its URL names.
func (rt roundTripper) RoundTrip(request *http.Request) (*http.Response, error) {
	if u := request.URL; u.Scheme != "http" || u.User != nil || bus.CheckID("host", u.Host) != nil {
		if request.Body != nil {
			_ = request.Body.Close()
		}
		return nil, bus.E(bus.CodeInvalid, bus.Defect{
			Field: "url", Problem: bus.Text{ZH: "节点地址不正确", EN: "not a node's URL"}, Allowed: "http://<node id>/path",
		})
	}
	return rt.transport.RoundTrip(request)
}

// Queries is another RoundTripper, for what many ask at once and a system of the other
// node's may be slow to answer: nothing else waits behind that, nor does it behind
// anything else.
func (p *Plane) Queries() http.RoundTripper { return roundTripper{p.queries} }

type contextKey struct{}

// ConnContext makes the peer's identity known to handlers: it is for the field
// of the same name of an http.Server that serves a listener of [Plane.Listen].
func ConnContext(ctx context.Context, conn net.Conn) context.Context {
	if c, ok := conn.(*Conn); ok {
		return context.WithValue(ctx, contextKey{}, c.PeerID())
	}
	return ctx
}

// FromContext returns the node that a request came from; false where it did not
// come over a peer connection.
func FromContext(ctx context.Context) (bus.NodeID, bool) {
	id, ok := ctx.Value(contextKey{}).(bus.NodeID)
	return id, ok
}
