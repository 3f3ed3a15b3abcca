package exchange_test

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"github.com/gxbus/gxbus/pkg/audit"
	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/exchange"
	"github.com/gxbus/gxbus/pkg/raced"
)

const (
	arrivalBlock = 1 << 16 // arrivals that are forgotten at once
	year         = 365 * 24 * time.Hour
)

// attach gives a node an archive.
func (n *node) attach() {
	n.world.tb.Helper()
	archive, err := audit.OpenArchive(filepath.Join(filepath.Dir(n.path), "evidence"))
	must(n.world.tb, err)
	n.log.Attach(archive)
}

func (n *node) update(write func(*bbolt.Tx) error) {
	n.world.tb.Helper()
	must(n.world.tb, n.store.Commit(n.world.tb.Context(), write))
}

// head signs the log as it stands.
func (n *node) head() (c bus.Checkpoint) {
	n.world.tb.Helper()
	signer, _, err := audit.OpenKey(n.signer)
	must(n.world.tb, err)
	n.update(func(tx *bbolt.Tx) (err error) {
		c, err = n.log.Checkpoint(tx, signer)
		return err
	})
	return c
}

// seal moves what is on record by now out of the live file, as far as blocks go.
func (n *node) seal() {
	n.world.tb.Helper()
	n.head()
	now := n.world.clock.now()
	for {
		var first, end int64
		var sealed audit.Segment
		must(n.world.tb, n.store.View(func(tx *bbolt.Tx) (err error) {
			if first, end, err = n.log.Ripe(tx, now); err == nil && first < end {
				sealed, err = n.log.Seal(tx, n.key, first, end)
			}
			return err
		}))
		if first == end {
			return
		}
		n.update(func(tx *bbolt.Tx) error { return n.log.Archive(tx, sealed, now) })
		must(n.world.tb, n.store.View(n.log.Settle))
		for more := true; more; {
			n.update(func(tx *bbolt.Tx) (err error) {
				more, err = n.log.Thin(tx, 2048)
				return err
			})
		}
	}
}

// prune deletes what was sealed before now.
func (n *node) prune() (segments int) {
	n.world.tb.Helper()
	n.update(func(tx *bbolt.Tx) error {
		gone, err := n.log.Prune(tx, bus.Principal{Account: "auditor"}, "", n.world.clock.now(), n.world.clock.now())
		segments = len(gone)
		return err
	})
	must(n.world.tb, n.store.View(n.log.Settle))
	return segments
}

// proven checks the proof of an event, offline.
func (n *node) proven(id string) (audit.Proven, error) {
	n.world.tb.Helper()
	where, err := n.Occurrences(id)
	must(n.world.tb, err)
	log, ok, err := n.Prove(n.head(), where)
	must(n.world.tb, err)
	if !ok {
		return audit.Proven{}, bus.NotFound("event", id)
	}
	signer, _, err := audit.OpenKey(n.signer)
	must(n.world.tb, err)
	file, err := audit.Proof{Event: id, Made: n.world.clock.now(), Node: n.id, Logs: []audit.LogProof{log}}.Seal(signer)
	must(n.world.tb, err)
	return audit.CheckProof(file, n.key)
}

// told lists the kinds of what is on record of an event by its id.
func (n *node) told(id string) (kinds []audit.Kind) {
	n.world.tb.Helper()
	where, err := n.Occurrences(id)
	must(n.world.tb, err)
	for _, at := range where {
		leaves, err := n.Steps(at)
		must(n.world.tb, err)
		for _, leaf := range leaves {
			kinds = append(kinds, leaf.Record.Kind)
		}
	}
	return kinds
}

// fill appends leaves about nothing.
func (n *node) fill(count int) {
	n.world.tb.Helper()
	must(n.world.tb, n.Record(n.world.tb.Context(), slices.Repeat([]audit.Record{{Kind: audit.KindReminded, Principal: sysadmin, Detail: "示例"}}, count)...))
}

// An event's id leads to its trace, its proof and its deliveries long after the event,
// its husk and its arrival have gone, and as long as there is evidence of it.
func TestAnIDLeadsToItsEvidenceAsLongAsThereIsAny(t *testing.T) {
	raced.Later(t)
	w, _ := fake(t)
	n := w.provider()
	n.attach()
	w.subscribe(sub, puller)
	w.request("odd", func(s *bus.Subscription) { s.Filters = []bus.Filter{{SQL: "id IN ('1', '3')"}} })
	for i := range 3 {
		w.publish(i+1, i+1)
		w.settled(sub, uint64(i+1))
		w.settled("odd", uint64(i+1))
	}
	w.publish(4, arrivalBlock+5)
	w.settled("odd", arrivalBlock+5)
	w.settled(sub, arrivalBlock+5)

	leads := func(when string, wantDigest bool) {
		t.Helper()
		for id, at := range map[string]uint64{"2": 2, "3": 3, fmt.Sprint(arrivalBlock - 1): arrivalBlock - 1, fmt.Sprint(arrivalBlock + 1): arrivalBlock + 1} {
			where, err := n.Occurrences(id)
			must(t, err)
			if !slices.Equal(where, []exchange.Occurrence{{Resource: firms, Sequence: at}}) {
				t.Errorf("%s, event %s is at %+v", when, id, where)
			}
		}
		for _, kind := range []audit.Kind{audit.KindAccepted, audit.KindForwarded, audit.KindUnmatched} {
			if told := n.told("2"); !slices.Contains(told, kind) {
				t.Errorf("%s, event 2 was %v, and not %s", when, told, kind)
			}
		}
		proven, err := n.proven("2")
		must(t, err)
		if len(proven.Steps) != len(n.told("2")) || (proven.Digest != "") != wantDigest {
			t.Errorf("%s, of event 2 %d steps are proven, digest %q", when, len(proven.Steps), proven.Digest)
		}
		w.stands(sub, 2, bus.DeliveryReceived)
		w.stands("odd", 2, bus.DeliveryUnmatched)
		w.stands("odd", 3, bus.DeliveryReceived)
	}
	leads("before anything goes", true)
	w.clock.advance(kept - time.Hour)
	must(t, n.Trim(t.Context()))
	if n.rows("shelved") != 1 || n.rows("ids") != 4096 {
		t.Errorf("%d blocks are on %d shelves", n.rows("shelved"), n.rows("ids"))
	}
	leads("once its block is full", true)
	w.clock.advance(2 * time.Hour)
	must(t, n.Trim(t.Context()))
	if n.rows("arrivals") > 10 {
		t.Fatalf("%d arrivals are left", n.rows("arrivals"))
	}
	leads("once its arrival is forgotten", false)
	n.reopen()
	n.attach()
	leads("after reopening", false)
	w.clock.advance(year)
	n.seal()
	leads("out of a segment", false)

	w.clock.advance(3 * year)
	n.prune()
	must(t, n.Trim(t.Context()))
	if told := n.told("2"); !slices.Equal(told, []audit.Kind{audit.KindAdministered}) { // that it went: in no segment yet
		t.Errorf("while something is on record of it: %v", told)
	}
	n.fill(512)
	w.clock.advance(year)
	n.seal()
	w.clock.advance(3 * year)
	n.prune()
	if _, err := n.proven("2"); bus.CodeOf(err) != bus.CodeNotFound || len(n.told("2")) > 0 {
		t.Errorf("after its evidence: %v, %v", err, n.told("2"))
	}
	must(t, n.Trim(t.Context()))
	if where, err := n.Occurrences("2"); err != nil || len(where) > 0 {
		t.Errorf("with its evidence its id goes: %+v, %v", where, err)
	}
	if n.rows("shelved")+n.rows("ids") > 0 {
		t.Errorf("%d blocks are left, on %d shelves", n.rows("shelved"), n.rows("ids"))
	}
	_, _, err := n.Standings(exchange.Occurrence{Resource: firms, Sequence: 2}, "")
	wantCode(t, err, bus.CodeNotFound)
	n.verify()
}

// Of events that came with their department the evidence is where they came from. Their
// ids stay as long as what was recorded here up to then.
func TestIDsThatCameWithADepartmentStayAsLongAsEvidenceOfThen(t *testing.T) {
	w, _ := fake(t)
	n := w.provider()
	n.attach()
	n.update(func(tx *bbolt.Tx) error {
		arrivals := tx.Bucket([]byte("arrivals"))
		arrivals.FillPercent = 1
		for i := range uint64(arrivalBlock) {
			id := sha256.Sum256([]byte(fmt.Sprint(i + 1)))
			value := binary.BigEndian.AppendUint64(append(id[:12], make([]byte, 12)...), i+1)
			if err := arrivals.Put(binary.BigEndian.AppendUint64(nil, i), append(value, firms...)); err != nil {
				return err
			}
		}
		return arrivals.SetSequence(arrivalBlock)
	})
	n.reopen()
	n.attach()
	n.fill(300)
	must(t, n.Trim(t.Context()))
	if n.rows("arrivals") > 0 {
		t.Errorf("%d arrivals are left", n.rows("arrivals"))
	}
	for i, want := range []int{1, 0} { // of the 300 leaves, 256 go at first
		w.clock.advance(year)
		n.seal()
		w.clock.advance(year)
		n.prune()
		n.fill(256)
		must(t, n.Trim(t.Context()))
		where, err := n.Occurrences("777")
		must(t, err)
		if len(where) != want || want > 0 && where[0] != (exchange.Occurrence{Resource: firms, Sequence: 777}) {
			t.Errorf("after %d prunings: %+v", i+1, where)
		}
	}
}

// An event that has gone is proven with its digest by its husk. One that outlived its
// arrival, because a subscription was paused, leaves no husk, which nothing would let go.
func TestAHuskProvesItsEventAndGoesWithItsArrival(t *testing.T) {
	raced.Later(t)
	w, _ := fake(t)
	n := w.provider()
	n.attach()
	w.subscribe(sub, puller)
	w.publish(1, 3)
	w.settled(sub, 3)
	w.clock.advance(kept + time.Hour)
	must(t, n.Trim(t.Context()))
	if got := fmt.Sprint(n.stored()); got != "[3]" || n.rows("husks") != 2 {
		t.Fatalf("%s are kept, and %d husks", got, n.rows("husks"))
	}
	if proven, err := n.proven("2"); err != nil || proven.Digest == "" {
		t.Errorf("of an event that has gone %+v is proven, %v", proven, err)
	}

	w.step(bus.SubscriptionPause, "")
	w.publish(4, arrivalBlock+5)
	w.clock.advance(kept + time.Hour)
	must(t, n.Trim(t.Context()))
	if n.rows("arrivals") > 10 || len(n.stored()) < arrivalBlock {
		t.Fatalf("%d arrivals of %d events are left", n.rows("arrivals"), len(n.stored()))
	}
	w.step(bus.SubscriptionResume, "")
	w.settled(sub, arrivalBlock+5)
	must(t, n.Trim(t.Context()))
	if got := n.rows("husks"); got > n.rows("arrivals") {
		t.Errorf("%d husks are left, to which %d arrivals lead", got, n.rows("arrivals"))
	}
}
