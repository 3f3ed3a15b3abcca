package peer_test

import (
	"crypto/tls"
	"crypto/x509"
	"testing"
	"time"

	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/identity"
	"github.com/gxbus/gxbus/pkg/peer"
)

// S21: sessions that are open go on when a certificate ends or is renewed; a
// handshake is judged by the certificates of its moment.
func TestS21ARenewedCertificateTakesEffectAtTheNextHandshake(t *testing.T) {
	w := newWorld(t)
	clock := newClock()
	timed := func(c *peer.Config) { c.Now = clock.now }
	a, b := w.open(city, timed), w.open(county, timed)
	callers := echo(t, a, peer.HTTP)
	open := dial(t, b, city, peer.HTTP)
	ok(t, say(open, "before"))
	receive(t, callers)

	clock.advance(2 * time.Hour) // both certificates have ended
	ok(t, say(open, "after"))
	late := w.open(province, timed, func(c *peer.Config) { c.Certificate = w.certificate(province, clock.now(), time.Hour) })
	_, err := late.Dial(t.Context(), city, peer.HTTP)
	unreachable(t, err, "expired")
	ok(t, a.Renew(w.certificate(city, clock.now(), time.Hour), w.roots()))
	ok(t, say(dial(t, late, city, peer.HTTP), "renewed"))
	receive(t, callers)
	ok(t, say(open, "still the same"))

	a.Disconnect(county)
	_, err = b.Dial(t.Context(), city, peer.HTTP)
	unreachable(t, err, "did not admit")
	if err := b.Renew(w.certificate(city, clock.now(), time.Hour), w.roots()); bus.CodeOf(err) != bus.CodeInvalid {
		t.Errorf("it took another's certificate: %v", err)
	}
	ok(t, b.Renew(w.certificate(county, clock.now(), time.Hour), w.roots()))
	ok(t, say(dial(t, b, city, peer.HTTP), "back"))
}

// While a root is replaced, a node that knows only the old one believes in a
// certificate under the new one, in both roles; afterwards the old one is nothing.
func TestS21ARootIsReplacedWithOverlap(t *testing.T) {
	w := newWorld(t)
	fresh, err := identity.NewCA(cluster, time.Now())
	ok(t, err)
	cross, err := w.ca.Cross(fresh.Certificate())
	ok(t, err)
	under := func(id bus.NodeID, more ...*x509.Certificate) tls.Certificate {
		key, err := identity.NewKey()
		ok(t, err)
		request, err := identity.NewRequest(key)
		ok(t, err)
		leaf, err := fresh.Issue(request, id, nil, time.Now(), time.Hour)
		ok(t, err)
		return identity.NodeCertificate(leaf, fresh.Certificate(), key, more...)
	}
	both := w.roots()
	both.AddCert(fresh.Certificate())
	a, b := w.open(city), w.open(county) // b knows the old root alone
	echo(t, a, peer.HTTP)
	echo(t, b, peer.HTTP)

	ok(t, a.Renew(under(city), both))
	_, err = b.Dial(t.Context(), city, peer.HTTP)
	unreachable(t, err, "unknown authority") // not signed by the old root
	ok(t, a.Renew(under(city, cross), both))
	ok(t, say(dial(t, b, city, peer.HTTP), "up"))
	b.Disconnect(city)
	a.Disconnect(county)
	ok(t, say(dial(t, a, county, peer.HTTP), "down"))

	onlyNew := x509.NewCertPool()
	onlyNew.AddCert(fresh.Certificate())
	ok(t, a.Renew(under(city, cross), onlyNew))
	a.Disconnect(county)
	_, err = b.Dial(t.Context(), city, peer.HTTP)
	unreachable(t, err, "did not admit")
	ok(t, b.Renew(under(county), onlyNew))
	ok(t, say(dial(t, b, city, peer.HTTP), "over"))
}

// S25: a removed node is told so, and says it once a minute.
func TestS25ARemovedNodeIsTold(t *testing.T) {
	w := newWorld(t)
	log, clock := newJournal(), newClock()
	a := w.open(city, func(c *peer.Config) { c.Admission = refusing{w, county} })
	callers := echo(t, a, peer.HTTP)
	b := w.open(county, func(c *peer.Config) { c.Logger, c.Now = log.logger(), clock.now })
	for range 3 {
		_, err := b.Dial(t.Context(), city, peer.HTTP)
		unreachable(t, err, "this node was removed from the bus")
	}
	log.wait(t, "ERROR peer: this node was removed", string(city))
	if _, err := a.Dial(t.Context(), county, peer.HTTP); err == nil {
		t.Error("a removed node was dialled")
	}
	if len(callers) != 0 {
		t.Error("a removed node's stream was handed out")
	}
}

// refusing says of one node that it was removed.
type refusing struct {
	*world
	id bus.NodeID
}

func (r refusing) Admit(id bus.NodeID, _ *x509.Certificate) error {
	if id == r.id {
		return bus.E(bus.CodeNodeRemoved)
	}
	return nil
}
