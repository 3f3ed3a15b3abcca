package client

import (
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"github.com/gxbus/gxbus/pkg/bus"
)

// Config says which node a Client speaks to, and how. Only Server is needed.
type Config struct {
	Server string // https URL or host:port of the node's API
	CAFile string // PEM file of the cluster CA; the system's roots where CAPEM is empty too
	CAPEM  []byte // PEM of the cluster CA, in place of CAFile
	Token  string // bearer: a session (gxa_…) or a system's credential (gxs_…)

	Language  bus.Lang // of problems; English where empty
	UserAgent string   // "gxbus-go" where empty

	ConnectTimeout time.Duration // of TCP and TLS, 10 s where 0
	Timeout        time.Duration // of one attempt, its answer included, 30 s where 0; streams have no limit
	Attempts       int           // of a call that may be repeated, 4 where 0
	Backoff        time.Duration // longest first wait before a repetition, 200 ms where 0; doubles each time

	RequestID func() string     // makes idempotency keys; 130 random bits where nil
	Transport http.RoundTripper // replaces the TLS transport made from the fields above
}

// Client speaks to one node. It is safe for concurrent use.
type Client struct {
	cfg  Config
	base *url.URL
	http *http.Client

	written    *atomic.Uint64 // newest index that an answer to a write told; of all copies
	atLeast    bus.Revision   // what reads must show
	consistent bool           // reads are linearizable
}

// New makes a Client. It does not connect. Errors are *bus.Error with
// CodeInvalid that name the field.
func New(cfg Config) (*Client, error) {
	base, err := parseServer(cfg.Server)
	if err != nil {
		return nil, err
	}
	cfg.applyDefaults()
	if cfg.Transport == nil {
		if cfg.Transport, err = newTransport(cfg); err != nil {
			return nil, err
		}
	}
	return &Client{cfg: cfg, base: base, written: new(atomic.Uint64), http: &http.Client{
		Transport: cfg.Transport,
		// A bearer must not travel to where a redirect points.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}, nil
}

// Server returns the node's URL: https, host and port.
func (c *Client) Server() string { return c.base.String() }

// WithToken returns a client of the same node and connections with another bearer.
func (c *Client) WithToken(token string) *Client {
	other := *c
	other.cfg.Token = token
	return &other
}

// WithRequestID returns a client of the same node and connections for one write:
// its idempotency key is id.
func (c *Client) WithRequestID(id string) *Client {
	other := *c
	other.cfg.RequestID = func() string { return id }
	return &other
}

// Close drops idle connections. A Client can be used again after it.
func (c *Client) Close() { c.http.CloseIdleConnections() }

func (cfg *Config) applyDefaults() {
	if cfg.Language == "" {
		cfg.Language = bus.English
	}
	if cfg.UserAgent == "" {
		cfg.UserAgent = "gxbus-go"
	}
	if cfg.ConnectTimeout == 0 {
		cfg.ConnectTimeout = 10 * time.Second
	}
	if cfg.Timeout == 0 {
		cfg.Timeout = 30 * time.Second
	}
	if cfg.Attempts == 0 {
		cfg.Attempts = 4
	}
	if cfg.Backoff == 0 {
		cfg.Backoff = 200 * time.Millisecond
	}
	if cfg.RequestID == nil {
		cfg.RequestID = rand.Text
	}
}

// parseServer accepts https://host[:port] or host:port and nothing more.
func parseServer(server string) (*url.URL, error) {
	refuse := bus.E(bus.CodeInvalid, bus.Defect{
		Field:   "server",
		Problem: bus.Text{ZH: "节点地址不正确", EN: "not the address of a node"},
		Allowed: "https://host:port, host:port",
	})
	text := server
	if !strings.Contains(text, "://") {
		if defects := bus.CheckAddress("server", text); defects != nil {
			return nil, refuse
		}
		text = "https://" + text
	}
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "https" || u.Hostname() == "" || u.User != nil ||
		strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "" {
		return nil, refuse
	}
	return &url.URL{Scheme: "https", Host: u.Host}, nil
}

func newTransport(cfg Config) (http.RoundTripper, error) {
	roots, err := cfg.roots()
	if err != nil {
		return nil, err
	}
	return &http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		DialContext:           (&net.Dialer{Timeout: cfg.ConnectTimeout}).DialContext,
		TLSClientConfig:       &tls.Config{MinVersion: tls.VersionTLS13, RootCAs: roots},
		TLSHandshakeTimeout:   cfg.ConnectTimeout,
		ResponseHeaderTimeout: cfg.Timeout,
		IdleConnTimeout:       90 * time.Second,
		MaxIdleConnsPerHost:   8,
		ForceAttemptHTTP2:     true,
	}, nil
}

// roots returns the certificates that vouch for the node, nil for the system's.
func (cfg Config) roots() (*x509.CertPool, error) {
	pem := cfg.CAPEM
	if len(pem) == 0 && cfg.CAFile == "" {
		return nil, nil
	}
	if len(pem) == 0 {
		var err error
		if pem, err = os.ReadFile(cfg.CAFile); err != nil {
			return nil, bus.E(bus.CodeInvalid, bus.Defect{
				Field: "ca", Problem: bus.Text{ZH: "无法读取 CA 证书文件", EN: "the CA file cannot be read"},
			}).Because(err)
		}
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, bus.E(bus.CodeInvalid, bus.Defect{
			Field: "ca", Problem: bus.Text{ZH: "不是 CA 证书", EN: "holds no certificate"}, Allowed: "PEM, -----BEGIN CERTIFICATE-----",
		})
	}
	return pool, nil
}
