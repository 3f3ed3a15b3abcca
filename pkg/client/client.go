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
	"github.com/gxbus/gxbus/pkg/identity"
)

// Config says which node a Client speaks to, and how. Only Server is needed.
type Config struct {
	Server string // https URL or host:port of the node's API
	CAFile string // PEM file of the cluster CA; the system's roots where CAPEM is empty too
	CAPEM  []byte // PEM of the cluster CA, in place of CAFile
	Token  string // bearer: a session (gxa_…) or a system's credential (gxs_…)

	SigningKey      string // of a system (gxk_…): every request is signed, and Token is not sent
	CertificateFile string // PEM file of a system's client certificate, its intermediates after it
	KeyFile         string // PEM file of that certificate's key

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
	key  *identity.SigningKey // nil: requests are not signed

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
	key, err := cfg.signingKey()
	if err != nil {
		return nil, err
	}
	return &Client{cfg: cfg, base: base, key: key, written: new(atomic.Uint64), http: &http.Client{
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
	other.cfg.Token, other.key = token, nil
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
	certificates, err := cfg.certificates()
	if err != nil {
		return nil, err
	}
	return &http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		DialContext:           (&net.Dialer{Timeout: cfg.ConnectTimeout}).DialContext,
		TLSClientConfig:       &tls.Config{MinVersion: tls.VersionTLS13, RootCAs: roots, Certificates: certificates},
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

// signingKey reads the key that requests are signed with, nil where there is none.
func (cfg Config) signingKey() (*identity.SigningKey, error) {
	if cfg.SigningKey == "" {
		return nil, nil
	}
	key, err := identity.ParseSigningKey(cfg.SigningKey)
	return &key, err
}

// certificates returns the client certificate to show, if there is one.
func (cfg Config) certificates() ([]tls.Certificate, error) {
	if cfg.CertificateFile == "" && cfg.KeyFile == "" {
		return nil, nil
	}
	certificate, err := tls.LoadX509KeyPair(cfg.CertificateFile, cfg.KeyFile)
	if err != nil {
		return nil, bus.E(bus.CodeInvalid, bus.Defect{
			Field: "certificate", Problem: bus.Text{ZH: "客户端证书与私钥不可用", EN: "not a client certificate with its key"}, Allowed: "two PEM files that belong together",
		}).Because(err)
	}
	return []tls.Certificate{certificate}, nil
}
