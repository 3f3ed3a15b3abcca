package peer_test

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hashicorp/yamux"

	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/peer"
)

// rawPeer is a member's session without a Plane: it opens and takes streams as
// it likes.
func rawPeer(t *testing.T, w *world, id bus.NodeID, address string) *yamux.Session {
	t.Helper()
	conn, err := rawDial(address, rawClient(w, w.certificate(id, time.Now(), time.Hour)))
	ok(t, err)
	_ = conn.SetDeadline(time.Time{})
	mux, err := yamux.Client(conn, rawMux())
	ok(t, err)
	t.Cleanup(func() { mux.Close() })
	knock, err := mux.Open()
	ok(t, err)
	_, err = knock.Write([]byte("\x05knock"))
	ok(t, err)
	_, err = io.ReadAll(knock) // closed, for nobody listens: the session is served
	ok(t, err)
	return mux
}

func rawMux() *yamux.Config {
	config := yamux.DefaultConfig()
	config.LogOutput = io.Discard
	return config
}

// request is what asks for a way to target.
func request(target bus.NodeID, hops byte, budget time.Duration) []byte {
	wire := append([]byte("\x05relay"), hops)
	wire = binary.BigEndian.AppendUint32(wire, uint32(budget/time.Millisecond))
	return append(append(wire, byte(len(target))), target...)
}

// ask opens a stream, asks, and returns the first byte of the answer; 0 where
// the stream was closed instead.
func ask(t *testing.T, mux *yamux.Session, request []byte) (net.Conn, byte) {
	t.Helper()
	stream, err := mux.Open()
	ok(t, err)
	t.Cleanup(func() { stream.Close() })
	_, err = stream.Write(request)
	ok(t, err)
	_ = stream.SetReadDeadline(time.Now().Add(patience))
	var answer [1]byte
	if _, err := io.ReadFull(stream, answer[:]); err != nil {
		if errors.Is(err, yamux.ErrTimeout) {
			t.Fatal("no answer")
		}
		return stream, 0
	}
	return stream, answer[0]
}

const connected, tooMany, targetUnreachable, notAdmitted = 1, 4, 5, 6

// taker is a raw member that says yes to every relayed stream.
func taker(t *testing.T, w *world, id bus.NodeID, address string) <-chan net.Conn {
	t.Helper()
	mux := rawPeer(t, w, id, address)
	streams := make(chan net.Conn, 1024)
	go func() {
		for {
			stream, err := mux.Accept()
			if err != nil {
				return
			}
			if _, err := io.ReadFull(stream, make([]byte, len(request(id, 0, 0)))); err != nil {
				continue
			}
			_, _ = stream.Write([]byte{connected})
			streams <- stream
		}
	}()
	return streams
}

func TestARelayPassesOnTheEndOfOneDirectionOnly(t *testing.T) {
	w := newWorld(t)
	relay := w.open(city)
	taken := taker(t, w, county, relay.Address())
	near, answer := ask(t, rawPeer(t, w, province, relay.Address()), request(county, 7, patience))
	if answer != connected {
		t.Fatalf("answer %d", answer)
	}
	far := receive(t, taken)
	_, err := near.Write([]byte("question"))
	ok(t, err)
	ok(t, near.Close()) // which with this multiplexer ends writing only
	got, err := io.ReadAll(far)
	ok(t, err)
	_, err = far.Write(append([]byte("answer to "), got...))
	ok(t, err)
	ok(t, far.Close())
	got, err = io.ReadAll(near)
	ok(t, err)
	if string(got) != "answer to question" {
		t.Errorf("got %q", got)
	}
	eventually(t, "nothing is relayed", func() bool { return relay.Relaying().Streams == 0 })
	if n := relay.Relaying(); n.Total != 1 || n.Bytes != uint64(len("question")+len("answer to question")) {
		t.Errorf("counted %+v", n)
	}
}

func TestOneNeighbourCannotUseARelayUp(t *testing.T) {
	w := newWorld(t)
	relay := w.open(city)
	taken := taker(t, w, county, relay.Address())
	greedy := rawPeer(t, w, province, relay.Address())
	refused := 0
	for range 300 {
		if _, answer := ask(t, greedy, request(county, 7, patience)); answer == tooMany {
			refused++
		} else if answer != connected {
			t.Fatalf("answer %d", answer)
		}
	}
	if refused != 300-256 || len(taken) != 256 {
		t.Errorf("%d refused, %d relayed", refused, len(taken))
	}
	if _, answer := ask(t, rawPeer(t, w, otherCity, relay.Address()), request(county, 7, patience)); answer != connected {
		t.Errorf("another neighbour is answered %d", answer)
	}
	ok(t, greedy.Close())
	eventually(t, "the greedy one's are gone", func() bool { return relay.Relaying().Streams == 1 })
}

func TestSilentRelayedConnectionsAreCut(t *testing.T) {
	w := newWorld(t)
	relay := w.open(city, func(c *peer.Config) { c.KeepAlive = 50 * time.Millisecond })
	taken := taker(t, w, county, relay.Address())
	near, answer := ask(t, rawPeer(t, w, province, relay.Address()), request(county, 7, patience))
	if answer != connected {
		t.Fatalf("answer %d", answer)
	}
	far := receive(t, taken)
	for _, conn := range []net.Conn{near, far} {
		_ = conn.SetReadDeadline(time.Now().Add(patience))
		if _, err := conn.Read(make([]byte, 1)); err != io.EOF {
			t.Errorf("read: %v", err)
		}
	}
}

func TestARelayIsNoMorePatientThanTheDialler(t *testing.T) {
	w := newWorld(t)
	relay := w.open(city)
	mute := rawPeer(t, w, county, relay.Address()) // takes streams, answers nothing
	asking := rawPeer(t, w, province, relay.Address())
	begun := time.Now()
	if _, answer := ask(t, asking, request(county, 7, 300*time.Millisecond)); answer != targetUnreachable {
		t.Errorf("answer %d", answer)
	}
	if took := time.Since(begun); took > 5*time.Second {
		t.Errorf("the relay waited %v", took)
	}
	ok(t, mute.Close())
}

func TestS58_WhatIsNoRequestToRelayIsClosed(t *testing.T) {
	w := newWorld(t)
	log := newJournal()
	relay := w.open(city, func(c *peer.Config) { c.Logger, c.HandshakeTimeout = log.logger(), 500*time.Millisecond })
	hostile := rawPeer(t, w, county, relay.Address())
	for name, bytes := range map[string][]byte{
		"no id":           request("", 1, time.Second),
		"not an id":       request("../440000", 1, time.Second),
		"a line break":    request("a\nlevel=ERROR", 1, time.Second),
		"an id too long":  request(bus.NodeID(strings.Repeat("a", 64)), 1, time.Second),
		"half a request":  request(county, 1, time.Second)[:9],
		"nothing further": request("", 0, 0)[:6],
	} {
		if _, answer := ask(t, hostile, bytes); answer != 0 {
			t.Errorf("%s: answer %d", name, answer)
		}
		log.wait(t, "stream refused")
	}
}

// S21, S22: a relay that leads the dialler to somebody else.
func TestS21_S22_TheDiallerRefusesAWrongCertificateAtTheEnd(t *testing.T) {
	w := newWorld(t)
	w.parents = map[bus.NodeID]bus.NodeID{province: "", city: province, county: city}
	all := strangers(t, w)
	all["S22 the relay's own"] = w.certificate(city, time.Now(), time.Hour)
	for name, certificate := range all {
		t.Run(name, func(t *testing.T) {
			from := w.open(province)
			w.setAddress(city, lyingRelay(t, w, certificate))
			_, err := from.Dial(t.Context(), county, peer.HTTP)
			unreachable(t, err, "certificate")
			ok(t, from.Close())
		})
	}
	w.setAddress(city, lyingRelay(t, w, w.certificate(county, time.Now(), time.Hour)))
	conn, err := w.open(province).Dial(t.Context(), county, peer.HTTP)
	ok(t, err) // the same liar with the right certificate is believed
	ok(t, conn.Close())
}

// lyingRelay is a city that answers every relayed stream itself, with the given
// certificate.
func lyingRelay(t *testing.T, w *world, certificate tls.Certificate) (address string) {
	t.Helper()
	l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{
		Certificates: []tls.Certificate{w.certificate(city, time.Now(), time.Hour)}, NextProtos: []string{"gxbus-peer/1"}, ClientAuth: tls.RequestClientCert,
	})
	ok(t, err)
	var all sync.WaitGroup
	all.Go(func() {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		_, _ = conn.Write([]byte{1})
		mux, err := yamux.Server(conn, rawMux())
		if err != nil {
			return
		}
		defer mux.Close()
		for {
			stream, err := mux.Accept()
			if err != nil {
				return
			}
			all.Go(func() { lie(stream, certificate) })
		}
	})
	t.Cleanup(func() {
		l.Close()
		all.Wait()
	})
	return l.Addr().String()
}

func lie(stream net.Conn, certificate tls.Certificate) {
	defer stream.Close()
	if _, err := io.ReadFull(stream, make([]byte, len(request(county, 0, 0)))); err != nil {
		return
	}
	_, _ = stream.Write([]byte{connected})
	conn := tls.Server(stream, &tls.Config{
		Certificates: []tls.Certificate{certificate}, NextProtos: []string{"gxbus-peer/1"}, ClientAuth: tls.RequestClientCert,
	})
	if _, err := conn.Write([]byte{1}); err == nil {
		_, _ = io.Copy(io.Discard, conn)
	}
}

// S21, S22, S23: what comes through a relay is let in no more than what comes
// directly, though the relay is a member in good standing.
func TestS21_S22_S23_NobodyGetsInThroughARelay(t *testing.T) {
	tr := grow(t)
	callers := echo(t, tr.planes[otherCounty], peer.HTTP)
	inside := rawPeer(t, tr.world, city, tr.planes[province].Address())
	for name, certificate := range strangers(t, tr.world) {
		t.Run(name, func(t *testing.T) {
			stream, answer := ask(t, inside, request(otherCounty, 7, patience))
			if answer != connected {
				t.Fatalf("answer %d", answer)
			}
			conn := tls.Client(stream, rawClient(tr.world, certificate))
			_ = conn.SetDeadline(time.Now().Add(patience))
			if _, err := io.ReadFull(conn, make([]byte, 1)); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("welcomed, or left hanging: %v", err)
			}
		})
	}
	t.Run("S23 garbage", func(t *testing.T) {
		stream, _ := ask(t, inside, request(otherCounty, 7, patience))
		_, _ = stream.Write([]byte("GET / HTTP/1.1\r\nHost: x\r\n\r\n"))
		if _, err := io.Copy(io.Discard, stream); errors.Is(err, yamux.ErrTimeout) {
			t.Error("left open")
		}
	})
	if len(callers) != 0 {
		t.Error("a stranger's stream was handed out")
	}
	ok(t, say(dial(t, tr.planes[county], otherCounty, peer.HTTP), "a member gets through"))
}

func TestS25_ARemovedNodeIsRefusedByRelays(t *testing.T) {
	tr := grow(t, func(c *peer.Config) { c.HandshakeTimeout = 3 * time.Second })
	echo(t, tr.planes[otherCounty], peer.HTTP)
	echo(t, tr.planes[city], peer.HTTP)
	conn := dial(t, tr.planes[county], otherCounty, peer.HTTP)
	ok(t, say(conn, "hello"))

	tr.remove(county)
	// Its neighbour is the first to hear of it: what runs through it ends.
	tr.planes[city].Disconnect(county)
	_ = conn.SetReadDeadline(time.Now().Add(patience))
	if _, err := conn.Read(make([]byte, 1)); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("read: %v", err)
	}
	for _, to := range []bus.NodeID{otherCounty, province, city} {
		_, err := tr.planes[county].Dial(t.Context(), to, peer.HTTP)
		unreachable(t, err, "did not admit")
	}
	_, err := tr.planes[province].Dial(t.Context(), county, peer.HTTP)
	unreachable(t, err, "it cannot reach the node")
}

// A node that is removed, but whose session a relay has not closed yet.
func TestS25_ARelayAsksAgainForEveryStream(t *testing.T) {
	w := newWorld(t)
	relay := w.open(city)
	taker(t, w, county, relay.Address())
	mux := rawPeer(t, w, province, relay.Address())
	if _, answer := ask(t, mux, request(county, 7, patience)); answer != connected {
		t.Fatalf("a member is answered %d", answer)
	}
	w.remove(province)
	if _, answer := ask(t, mux, request(county, 7, patience)); answer != notAdmitted {
		t.Errorf("a removed node is answered %d", answer)
	}
}

// The relays have not heard of the removal, the dialled node has.
func TestS25_ARemovedNodeIsRefusedAtTheEndOfTheWay(t *testing.T) {
	tr := grow(t)
	late := tr.open("440310", dialOnly, func(c *peer.Config) { c.Admission = knowsOfRemoval{tr.world} })
	tr.mu.Lock()
	tr.parents["440310"] = otherCity
	tr.planes["440310"] = late
	tr.mu.Unlock()
	tr.keep("440310")
	callers := echo(t, late, peer.HTTP)
	_, err := tr.planes[county].Dial(t.Context(), "440310", peer.HTTP)
	unreachable(t, err, "did not admit")
	if len(callers) != 0 {
		t.Error("a stream was handed out")
	}
}

type knowsOfRemoval struct{ *world }

func (k knowsOfRemoval) Admit(id bus.NodeID, c *x509.Certificate) error {
	if id == county {
		return errors.New("removed")
	}
	return k.world.Admit(id, c)
}

// What relays handle, seen on the wire and where they splice it, holds nothing
// of what is said.
func TestRelaysCannotReadWhatTheyRelay(t *testing.T) {
	const canary = "CANARY-广东样例-440106"
	var tap recorder
	logs := &recorder{}
	tr := grow(t, func(c *peer.Config) {
		c.Tap = tap.record
		c.Logger = slog.New(slog.NewTextHandler(logs, &slog.HandlerOptions{Level: slog.LevelDebug}))
	})
	seen := make(chan string, 2)
	serve(t, tr.planes[otherCounty], http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		seen <- r.Header.Get("Ce-Subject") + string(body)
		_, _ = w.Write(body)
	}))
	ask, err := http.NewRequest(http.MethodPost, "http://440305/"+canary, strings.NewReader(strings.Repeat(canary, 100)))
	ok(t, err)
	ask.Header.Set("Ce-Subject", canary)
	response, err := client(tr.planes[county]).Do(ask)
	ok(t, err)
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	ok(t, err)
	if got := receive(t, seen); strings.Count(got, canary) != 101 || strings.Count(string(body), canary) != 100 {
		t.Fatalf("the canary did not arrive whole: %d, %d", strings.Count(got, canary), strings.Count(string(body), canary))
	}
	relayed := tap.bytes()
	if least := 3 * 200 * len(canary); len(relayed) < least { // three relays, there and back
		t.Fatalf("the tap saw %d bytes, fewer than the %d that went through", len(relayed), least)
	}
	for what, bytesOf := range map[string][]byte{"a relay handled": relayed, "a log holds": logs.bytes()} {
		for _, secret := range []string{canary, canary[:12], "Ce-Subject", "HTTP/1.1"} {
			if bytes.Contains(bytesOf, []byte(secret)) {
				t.Errorf("%s %q", what, secret)
			}
		}
	}
}

// recorder keeps what is written to it.
type recorder struct {
	mu   sync.Mutex
	kept []byte
}

func (r *recorder) record(b []byte) { _, _ = r.Write(b) }

func (r *recorder) Write(b []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.kept = append(r.kept, b...)
	return len(b), nil
}

func (r *recorder) bytes() []byte {
	r.mu.Lock()
	defer r.mu.Unlock()
	return bytes.Clone(r.kept)
}
