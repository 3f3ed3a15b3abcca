package peer_test

import (
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/binary"
	"errors"
	"io"
	"math/big"
	"net"
	"net/url"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/gxbus/gxbus/pkg/identity"
	"github.com/gxbus/gxbus/pkg/peer"
)

// rawClient is the TLS of somebody who speaks without a Plane.
func rawClient(w *world, certificate tls.Certificate) *tls.Config {
	return &tls.Config{
		Certificates: []tls.Certificate{certificate}, NextProtos: []string{"gxbus-peer/1"},
		InsecureSkipVerify: true,
	}
}

// rawDial shakes hands and waits to be welcomed.
func rawDial(address string, config *tls.Config) (*tls.Conn, error) {
	conn, err := tls.Dial("tcp", address, config)
	if err != nil {
		return nil, err
	}
	_ = conn.SetDeadline(time.Now().Add(patience))
	if _, err := io.ReadFull(conn, make([]byte, 1)); err != nil {
		conn.Close()
		return nil, err
	}
	return conn, nil
}

// forge makes a certificate signed by the cluster's own key that the authority
// would never issue. The key is taken from where it is stored, as a test may.
func forge(t *testing.T, w *world, change func(*x509.Certificate)) tls.Certificate {
	t.Helper()
	dir := t.TempDir()
	ok(t, w.ca.Save(dir+"/ca.pem", dir+"/ca.key"))
	signer, err := identity.LoadKey(dir + "/ca.key")
	ok(t, err)
	key, err := identity.NewKey()
	ok(t, err)
	return signed(t, w.ca.Certificate(), signer, key, change)
}

func signed(t *testing.T, parent *x509.Certificate, signer, key *ecdsa.PrivateKey, change func(*x509.Certificate)) tls.Certificate {
	t.Helper()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: string(county)},
		URIs:      []*url.URL{identity.NodeURI(cluster, county)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		KeyUsage:              x509.KeyUsageDigitalSignature,
		ExtKeyUsage:           []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
		BasicConstraintsValid: true,
	}
	change(template)
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), signer)
	ok(t, err)
	leaf, err := x509.ParseCertificate(der)
	ok(t, err)
	return identity.NodeCertificate(leaf, parent, key)
}

// strangers are certificates that must open nothing, in either role.
func strangers(t *testing.T, w *world) map[string]tls.Certificate {
	t.Helper()
	other := newWorld(t)
	self, err := identity.NewKey()
	ok(t, err)
	selfSigned := signed(t, &x509.Certificate{Subject: pkix.Name{CommonName: "self"}}, self, self, func(*x509.Certificate) {})
	uris := func(texts ...string) func(*x509.Certificate) {
		return func(c *x509.Certificate) {
			c.URIs = nil
			for _, text := range texts {
				u, err := url.Parse(text)
				ok(t, err)
				c.URIs = append(c.URIs, u)
			}
		}
	}
	return map[string]tls.Certificate{
		"S21 another CA":         other.certificate(county, time.Now(), time.Hour),
		"S21 self-signed":        selfSigned,
		"S21 expired":            w.certificate(county, time.Now().Add(-2*time.Hour), time.Hour),
		"S21 not yet valid":      w.certificate(county, time.Now().Add(time.Hour), time.Hour),
		"S21 for signing code":   forge(t, w, func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageCodeSigning} }),
		"S22 two node names":     forge(t, w, uris("spiffe://gx-sample/node/440106", "spiffe://gx-sample/node/440100")),
		"S22 in the common name": forge(t, w, func(c *x509.Certificate) { c.URIs = nil; c.DNSNames = []string{string(county)} }),
		"S22 a path below":       forge(t, w, uris("spiffe://gx-sample/node/440106/440100")),
		"S22 another cluster":    forge(t, w, uris("spiffe://gx-other/node/440106")),
		"S23 an agency's":        forge(t, w, uris("spiffe://gx-sample/system/tianhe-licences")),
		"S23 a web server's":     forge(t, w, func(c *x509.Certificate) { c.URIs = nil; c.DNSNames = []string{"api.example.gov.cn"} }),
	}
}

func TestS21_S22_S23_StrangersCertificateOpensNoConnection(t *testing.T) {
	w := newWorld(t)
	a := w.open(city)
	callers := echo(t, a, peer.HTTP)
	all := strangers(t, w)
	all["S21 wrong EKU: server only"] = forge(t, w, func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth} })
	for name, certificate := range all {
		t.Run(name, func(t *testing.T) {
			if conn, err := rawDial(a.Address(), rawClient(w, certificate)); err == nil {
				conn.Close()
				t.Error("welcomed")
			} else if errors.Is(err, os.ErrDeadlineExceeded) {
				t.Error("left hanging")
			}
		})
	}
	t.Run("S23 no certificate", func(t *testing.T) {
		config := rawClient(w, tls.Certificate{})
		config.Certificates = nil
		if _, err := rawDial(a.Address(), config); err == nil {
			t.Error("welcomed")
		}
	})
	good, err := rawDial(a.Address(), rawClient(w, w.certificate(county, time.Now(), time.Hour)))
	ok(t, err) // the same way in is open to a member
	good.Close()
	if len(callers) != 0 {
		t.Error("a stranger's stream was handed out")
	}
}

func TestS21_S22_S23_StrangersCertificateIsNotTakenForTheNodeDialled(t *testing.T) {
	w := newWorld(t)
	b := w.open(city)
	all := strangers(t, w)
	all["S21 wrong EKU: client only"] = forge(t, w, func(c *x509.Certificate) { c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth} })
	all["S22 the province's own"] = w.certificate(province, time.Now(), time.Hour)
	for name, certificate := range all {
		t.Run(name, func(t *testing.T) {
			w.setAddress(county, impostor(t, &tls.Config{
				Certificates: []tls.Certificate{certificate}, NextProtos: []string{"gxbus-peer/1"}, ClientAuth: tls.RequestClientCert,
			}))
			_, err := b.Dial(t.Context(), county, peer.HTTP)
			unreachable(t, err, "certificate")
		})
	}
	w.setAddress(county, impostor(t, &tls.Config{
		Certificates: []tls.Certificate{w.certificate(county, time.Now(), time.Hour)}, NextProtos: []string{"gxbus-peer/1"},
	}))
	conn, err := b.Dial(t.Context(), county, peer.HTTP)
	ok(t, err) // the same impostor with the right certificate is believed
	ok(t, conn.Close())
	b.Disconnect(county)
}

// impostor accepts one connection with the given TLS, welcomes it and hangs on.
func impostor(t *testing.T, config *tls.Config) (address string) {
	t.Helper()
	l, err := tls.Listen("tcp", "127.0.0.1:0", config)
	ok(t, err)
	var all sync.WaitGroup
	all.Go(func() {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		if _, err := conn.Write([]byte{1}); err == nil {
			_, _ = io.Copy(io.Discard, conn)
		}
	})
	t.Cleanup(func() {
		l.Close()
		all.Wait()
	})
	return l.Addr().String()
}

func TestS22_DiallingACityThatACountyPosesAs(t *testing.T) {
	w := newWorld(t)
	posing := w.open(county)
	callers := echo(t, posing, peer.HTTP)
	w.setAddress(city, posing.Address())
	b := w.open(province)
	_, err := b.Dial(t.Context(), city, peer.HTTP)
	unreachable(t, err, "the certificate is 440106's")
	if len(callers) != 0 {
		t.Error("the county got a stream meant for the city")
	}
}

func TestS23_GarbageAndPlainTCPAreClosedWithoutEffect(t *testing.T) {
	w := newWorld(t)
	a := w.open(city, func(c *peer.Config) { c.HandshakeTimeout = time.Second })
	b := w.open(county)
	callers := echo(t, a, peer.Raft)
	bystander := dial(t, b, city, peer.Raft)
	ok(t, say(bystander, "before"))
	receive(t, callers)

	noise := make([]byte, 64<<10)
	_, _ = rand.Read(noise)
	for name, bytes := range map[string][]byte{
		"HTTP":                   []byte("GET / HTTP/1.1\r\nHost: x\r\n\r\n"),
		"noise":                  noise,
		"zeros":                  make([]byte, 64<<10),
		"raft in the clear":      {0, 0x8b, 0xa4, 'T', 'e', 'r', 'm', 0xff},
		"a TLS record of 64 KiB": {22, 3, 1, 0xff, 0xff, 1},
		"nothing":                nil,
		"half a record":          {22, 3, 1},
	} {
		t.Run(name, func(t *testing.T) {
			conn, err := net.Dial("tcp", a.Address())
			ok(t, err)
			defer conn.Close()
			_, _ = conn.Write(bytes)
			_ = conn.SetReadDeadline(time.Now().Add(patience))
			if _, err := io.Copy(io.Discard, conn); errors.Is(err, os.ErrDeadlineExceeded) {
				t.Error("left open")
			}
		})
	}
	for name, change := range map[string]func(*tls.Config){
		"no ALPN":      func(c *tls.Config) { c.NextProtos = nil },
		"another ALPN": func(c *tls.Config) { c.NextProtos = []string{"h2"} },
		"TLS 1.2":      func(c *tls.Config) { c.MaxVersion = tls.VersionTLS12 },
	} {
		t.Run(name, func(t *testing.T) {
			config := rawClient(w, w.certificate(county, time.Now(), time.Hour))
			change(config)
			if _, err := rawDial(a.Address(), config); err == nil {
				t.Error("welcomed")
			}
		})
	}
	ok(t, say(bystander, "after"))
	if len(callers) != 0 {
		t.Error("a stream was handed out")
	}
}

func TestS23_SilentConnectionsFromOneHostDoNotKeepOthersOut(t *testing.T) {
	w := newWorld(t)
	a := w.open(city)
	echo(t, a, peer.HTTP)
	flood := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 9)}}
	var refused bool
	for range 40 {
		conn, err := flood.Dial("tcp", a.Address())
		ok(t, err)
		defer conn.Close()
	}
	last, err := flood.Dial("tcp", a.Address())
	ok(t, err)
	defer last.Close()
	_ = last.SetReadDeadline(time.Now().Add(5 * time.Second)) // under the handshake's 10 s
	_, err = last.Read(make([]byte, 1))
	refused = err != nil && !errors.Is(err, os.ErrDeadlineExceeded)
	if !refused {
		t.Errorf("the 41st silent connection is still open: %v", err)
	}
	ok(t, say(dial(t, w.open(county), city, peer.HTTP), "from elsewhere"))
}

func TestS58_ProtocolViolationEndsTheSessionAndQuarantinesThePeer(t *testing.T) {
	const data, windowUpdate, syn = 0, 1, 1
	frame := func(version, kind byte, flags uint16, stream, length uint32) []byte {
		f := make([]byte, 12)
		f[0], f[1] = version, kind
		binary.BigEndian.PutUint16(f[2:], flags)
		binary.BigEndian.PutUint32(f[4:], stream)
		binary.BigEndian.PutUint32(f[8:], length)
		return f
	}
	for name, bytes := range map[string][]byte{
		"1 GiB frame":      frame(0, data, syn, 1, 1<<30),
		"one byte over":    frame(0, data, syn, 1, 256<<10+1),
		"wrong type":       frame(0, 9, 0, 1, 0),
		"wrong version":    frame(7, data, syn, 1, 0),
		"stream of before": append(frame(0, windowUpdate, syn, 1, 0), frame(0, windowUpdate, syn, 1, 0)...),
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			log := newJournal()
			clock := newClock()
			a := w.open(city, func(c *peer.Config) { c.Logger, c.Now = log.logger(), clock.now })
			callers := echo(t, a, peer.HTTP)
			hostile, err := rawDial(a.Address(), rawClient(w, w.certificate(county, time.Now(), time.Hour)))
			ok(t, err)
			defer hostile.Close()
			_, err = hostile.Write(bytes)
			ok(t, err)
			if _, err := io.Copy(io.Discard, hostile); errors.Is(err, os.ErrDeadlineExceeded) {
				t.Error("left open")
			}
			log.wait(t, "ERROR peer: quarantined", string(county))

			b := w.open(county)
			_, err = b.Dial(t.Context(), city, peer.HTTP)
			unreachable(t, err, "did not admit")
			_, err = a.Dial(t.Context(), county, peer.HTTP)
			unreachable(t, err, "quarantined")
			ok(t, say(dial(t, w.open(province), city, peer.HTTP), "others go on"))
			receive(t, callers)

			clock.advance(time.Minute)
			ok(t, say(dial(t, b, city, peer.HTTP), "let in again"))
		})
	}
}

func TestS58_StreamThatNamesNoProtocolIsClosed(t *testing.T) {
	w := newWorld(t)
	log := newJournal()
	a := w.open(city, func(c *peer.Config) { c.Logger, c.HandshakeTimeout = log.logger(), 300*time.Millisecond })
	hostile, err := rawDial(a.Address(), rawClient(w, w.certificate(county, time.Now(), time.Hour)))
	ok(t, err)
	defer hostile.Close()
	open := func(stream byte, header string) {
		_, err := hostile.Write(append([]byte{0, 0, 0, 1, 0, 0, 0, stream, 0, 0, 0, byte(len(header))}, header...))
		ok(t, err)
	}
	open(1, "\xffGET")
	log.wait(t, "stream refused", "does not begin")
	open(3, "\x04HTTP")
	log.wait(t, "stream refused", "does not begin")
	open(5, "\x00")
	log.wait(t, "stream refused", "does not begin")
	open(7, "\x04ht") // and no more
	log.wait(t, "stream refused", "deadline")
}

func TestS58_PeerCannotHoldStreamsWithoutEnd(t *testing.T) {
	w := newWorld(t)
	log := newJournal()
	a := w.open(city, func(c *peer.Config) { c.Logger = log.logger() })
	echo(t, a, peer.HTTP)
	b := w.open(county)
	var conns []net.Conn
	for range 600 {
		conn, err := b.Dial(t.Context(), city, peer.HTTP)
		ok(t, err)
		conns = append(conns, conn)
	}
	log.wait(t, "too many streams", string(county))
	for _, conn := range conns {
		ok(t, conn.Close())
	}
}

// clock is a clock that a test moves.
type clock struct {
	mu sync.Mutex
	at time.Time
}

func newClock() *clock { return &clock{at: time.Now()} }

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

var _ peer.Resolver = place{}
var _ peer.Admission = (*world)(nil)
