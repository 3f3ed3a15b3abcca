package exchange_test

import (
	"context"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"

	cloudevent "github.com/cloudevents/sdk-go/v2/event"
	"go.etcd.io/bbolt"

	"github.com/gxbus/gxbus/pkg/audit"
	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/directory/command"
	"github.com/gxbus/gxbus/pkg/exchange"
	"github.com/gxbus/gxbus/pkg/policy"
)

const zhuhai = bus.NodeID("zhuhai") // a third node, to move to

// movable is a world with a third node.
func movable(tb testing.TB) (*world, *decider) {
	w, d := fake(tb)
	w.join(zhuhai, "440400", 3)
	w.nodes[zhuhai] = newNode(w, zhuhai)
	w.nodes[zhuhai].open()
	return w, d
}

func (w *world) department(id bus.USCC) (d bus.Department, home bus.NodeID) {
	w.tb.Helper()
	must(w.tb, w.directory.View(func(tx *directoryTx) error {
		d, _ = tx.Department(id)
		home, _ = tx.Home(d)
		return nil
	}))
	return d, home
}

func (w *world) move(id bus.USCC, to bus.NodeID) bus.Revision {
	w.tb.Helper()
	return w.write(sysadmin, command.DepartmentMove, 0, command.Move{Department: id, To: to})
}

func (w *world) abort(id bus.USCC) {
	w.tb.Helper()
	w.write(sysadmin, command.DepartmentAbort, 0, command.Key{ID: string(id)})
}

// moved waits until a department is served by a node and the old one has nothing
// left of it.
func (w *world) moved(id bus.USCC, from, to bus.NodeID) {
	w.tb.Helper()
	eventually(w.tb, fmt.Sprintf("%s has moved to %s", id, to), func() error {
		if d, home := w.department(id); home != to || d.Move != nil {
			return fmt.Errorf("it is at %s, %+v", home, d.Move)
		}
		return w.nodes[from].holds(id, "gone")
	})
}

// holds demands the state of a holding.
func (n *node) holds(id bus.USCC, state string) error {
	s, err := n.Survey(id)
	if err == nil && s.State != state {
		err = fmt.Errorf("%s: %s is %+v, want %s", n.id, id, s, state)
	}
	return err
}

// rows counts what a node's bucket has, those in it included.
func (n *node) rows(bucket string) (count int) {
	n.world.tb.Helper()
	must(n.world.tb, n.store.View(func(tx *bbolt.Tx) error {
		b := tx.Bucket([]byte(bucket))
		return b.ForEach(func(key, value []byte) error {
			if value != nil {
				count++
				return nil
			}
			return b.Bucket(key).ForEach(func(_, _ []byte) error {
				count++
				return nil
			})
		})
	}))
	return count
}

func (n *node) empty() error {
	for _, bucket := range []string{"events", "arrivals", "cursors", "inbox", "marks", "sinks", "tries", "bindings"} {
		if count := n.rows(bucket); count > 0 {
			return fmt.Errorf("node %s keeps %d rows of %s", n.id, count, bucket)
		}
	}
	return nil
}

func TestAProviderMovesWithAllThatItHas(t *testing.T) {
	w, _ := movable(t)
	w.subscribe(sub, puller)
	w.publish(1, 300)
	w.settled(sub, 300)
	w.line.hook(func(context.Context, exchange.Batch) error { return errLine }, nil)
	w.publish(301, 2500) // not forwarded yet
	w.move(market, zhuhai)
	w.moved(market, shenzhen, zhuhai)
	w.line.hook(nil, nil)
	here := w.nodes[zhuhai]

	// A repeat is answered as the first time, a conflict is seen, and numbers go on.
	receipts, err := here.Publish(t.Context(), publisher, "", firms, []cloudevent.Event{sample(7), sample(2400), sample(2501)})
	must(t, err)
	for i, want := range []exchange.Receipt{{Sequence: 7, Duplicate: true}, {Sequence: 2400, Duplicate: true}, {Sequence: 2501}} {
		if r := receipts[i]; r.Sequence != want.Sequence || r.Duplicate != want.Duplicate {
			t.Errorf("receipt %d: %+v", i, r)
		}
	}
	_, err = here.Publish(t.Context(), publisher, "", firms, []cloudevent.Event{sample(8, "another")})
	wantCode(t, err, bus.CodeEventConflict)
	_, err = w.provider().Publish(t.Context(), publisher, "", firms, run(2502, 2502))
	wantCode(t, err, bus.CodeWrongNode)

	var got []int
	for len(got) < 2501 {
		eventually(t, "more arrives", func() error {
			if len(w.consumer().inbox(sub)) == 0 {
				return fmt.Errorf("%d so far", len(got))
			}
			return nil
		})
		events, last, err := w.consumer().Pull(t.Context(), puller, sub, 1000)
		must(t, err)
		must(t, w.consumer().Acknowledge(t.Context(), puller, sub, last))
		got = append(got, ids(events)...)
	}
	if !slices.Equal(got, numbers(1, 2501)) {
		t.Errorf("%d events came, not 1 to 2501 in order", len(got))
	}
	must(t, w.provider().empty())
	w.sound()
	w.sameInEvidence(market, shenzhen, zhuhai)
}

// sound demands that the evidence of every node verifies.
func (w *world) sound() {
	w.tb.Helper()
	for _, n := range w.nodes {
		n.verify()
	}
}

// sameInEvidence demands that both nodes recorded the same coming and going.
func (w *world) sameInEvidence(id bus.USCC, from, to bus.NodeID) {
	w.tb.Helper()
	plain := func(records []audit.Record) (lines []string) {
		for _, r := range records {
			if r.HasRange() {
				lines = append(lines, fmt.Sprint(r.Resource, r.Subscription, r.First, r.Last, r.Events, r.Digest))
			} else {
				lines = append(lines, r.Digest)
			}
		}
		return lines
	}
	out, in := plain(w.nodes[from].records(audit.KindMovedOut)), plain(w.nodes[to].records(audit.KindMovedIn))
	if len(out) < 2 || !slices.Equal(out, in) {
		w.tb.Errorf("%s went out as %v and came in as %v", id, out, in)
	}
}

func TestAConsumerMovesWithItsInboxAndMarks(t *testing.T) {
	w, _ := movable(t)
	w.subscribe(sub, puller)
	w.subscribe("sub-2", colleague)
	w.publish(1, 40)
	w.settled(sub, 40)
	w.settled("sub-2", 40)
	events, _, err := w.consumer().Pull(t.Context(), puller, sub, 30)
	must(t, err)
	must(t, w.consumer().Acknowledge(t.Context(), puller, sub, 10))
	w.move(services, zhuhai)
	w.moved(services, guangzhou, zhuhai)
	w.publish(41, 50)
	w.settled(sub, 50)
	here := w.nodes[zhuhai]
	_, _, err = w.consumer().Pull(t.Context(), puller, sub, 10)
	wantCode(t, err, bus.CodeWrongNode)

	// What was handed out there may be acknowledged here, and no more than that.
	wantCode(t, here.Acknowledge(t.Context(), puller, sub, 31), bus.CodeInvalid)
	must(t, here.Acknowledge(t.Context(), puller, sub, uint64(len(events))))
	events, _, err = here.Pull(t.Context(), puller, sub, 100)
	must(t, err)
	if got := ids(events); !slices.Equal(got, numbers(31, 50)) {
		t.Errorf("pulled %v", got)
	}
	events, _, err = here.Pull(t.Context(), colleague, "sub-2", 100)
	must(t, err)
	if got := ids(events); !slices.Equal(got, numbers(1, 50)) {
		t.Errorf("the colleague pulled %v", got)
	}
	must(t, w.consumer().empty())
	w.sound()
	w.sameInEvidence(services, guangzhou, zhuhai)
}

// A publication that was decided on before the seal and reaches the disk after
// it would be in nobody's copy.
func TestAStepDecidedBeforeTheSealIsRefusedAfterIt(t *testing.T) {
	w, d := movable(t)
	w.subscribe(sub, puller)
	w.publish(1, 3)
	must(t, w.consumer().Receive(t.Context(), shenzhen, batchOf(1, 2, 3)))
	events, last, err := w.consumer().Pull(t.Context(), puller, sub, 10)
	must(t, err)
	if len(events) != 3 {
		t.Fatalf("pulled %v", ids(events))
	}
	hold, reached := make(chan struct{}), make(chan struct{}, 8)
	d.followOutside(func(in policy.Input) {
		if in.Action == policy.ActionPublish || in.Action == policy.ActionDeliver {
			reached <- struct{}{}
			<-hold
		}
	})
	w.line.onHandover(func(exchange.Handover, exchange.Parcel) (exchange.Parcel, error) { return exchange.Parcel{}, errLine })
	published, pulled := make(chan error, 1), make(chan error, 1)
	go func() {
		_, err := w.provider().Publish(context.Background(), publisher, "", firms, run(4, 4))
		published <- err
	}()
	go func() {
		_, _, err := w.consumer().Pull(context.Background(), puller, sub, 10)
		pulled <- err
	}()
	within(t, "the publication to be decided on", reached)
	within(t, "the pull to be decided on", reached)
	w.move(market, zhuhai)
	w.move(services, zhuhai)
	eventually(t, "both are sealed", func() error {
		if err := w.provider().holds(market, "sealed"); err != nil {
			return err
		}
		return w.consumer().holds(services, "sealed")
	})
	close(hold)
	wantCode(t, <-published, bus.CodeMoving)
	wantCode(t, <-pulled, bus.CodeMoving)
	wantCode(t, w.consumer().Acknowledge(t.Context(), puller, sub, last), bus.CodeMoving)
	wantCode(t, w.consumer().Receive(t.Context(), shenzhen, batchOf(4)), bus.CodeMoving)
	if n := w.provider().rows("events"); n != 3 {
		t.Errorf("the sealed node keeps %d events", n)
	}
	_, err = w.nodes[zhuhai].Publish(t.Context(), publisher, "", firms, run(4, 4))
	wantCode(t, err, bus.CodeWrongNode)
	if got := w.provider().records(audit.KindRefused); len(got) > 0 {
		t.Errorf("a step that is to be repeated was recorded as refused: %v", got)
	}
	w.line.onHandover(nil)
	w.moved(market, shenzhen, zhuhai)
	w.moved(services, guangzhou, zhuhai)
	receipts, err := w.nodes[zhuhai].Publish(t.Context(), publisher, "", firms, run(4, 4))
	must(t, err)
	if receipts[0].Sequence != 4 || receipts[0].Duplicate {
		t.Errorf("the repeat is answered %+v", receipts[0])
	}
}

// An abort, whenever it comes, leaves the department where it was and nothing of
// it at the node that it did not move to.
func TestAnAbortLeavesTheDepartmentWhereItWas(t *testing.T) {
	for name, until := range map[string]func(w *world) error{
		"at once":           func(*world) error { return nil },
		"once it is sealed": func(w *world) error { return w.provider().holds(market, "sealed") },
		"in the middle":     func(w *world) error { return w.nodes[zhuhai].holds(market, "importing") },
		"after all had come": func(w *world) error {
			d, _ := w.department(market)
			s, err := w.nodes[zhuhai].Survey(market)
			if err == nil && s.Epoch != d.Move.Epoch || s.State != "kept" {
				err = fmt.Errorf("%+v", s)
			}
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			w, _ := movable(t)
			w.subscribe(sub, puller)
			w.publish(1, 2000)
			w.settled(sub, 2000)
			asked := 0
			w.line.onHandover(func(ask exchange.Handover, p exchange.Parcel) (exchange.Parcel, error) {
				if asked++; name == "in the middle" && asked > 2 {
					return exchange.Parcel{}, errLine
				}
				return p, nil
			})
			w.holdArrival(name == "after all had come")
			w.move(market, zhuhai)
			eventually(t, name, func() error {
				if d, _ := w.department(market); d.Move == nil {
					t.Skip("the move was over before the abort")
				}
				return until(w)
			})
			w.abort(market)
			w.holdArrival(false)
			eventually(t, "all is as before", func() error {
				if err := w.provider().holds(market, "kept"); err != nil {
					return err
				}
				return w.nodes[zhuhai].empty()
			})
			var receipts []exchange.Receipt
			eventually(t, "it is served as before", func() (err error) { // a seal may have come a moment after the abort
				receipts, err = w.provider().Publish(t.Context(), publisher, "", firms, []cloudevent.Event{sample(5), sample(2001)})
				return err
			})
			if receipts[0].Sequence != 5 || !receipts[0].Duplicate || receipts[1].Sequence != 2001 {
				t.Errorf("%+v", receipts)
			}
			w.settled(sub, 2001)
			w.line.onHandover(nil)
			w.move(market, zhuhai) // and it can still move
			w.moved(market, shenzhen, zhuhai)
			w.sound()
		})
	}
}

// What a node keeps of a department that is another's goes also where it was down until
// the next move had ended: the directory tells nothing of the one before any more.
func TestWhatIsLeftOfAMoveGoesAfterTheNextMove(t *testing.T) {
	for name, aborted := range map[string]bool{"at the new node of one that was aborted": true, "at the old node": false} {
		t.Run(name, func(t *testing.T) {
			w, _ := movable(t)
			w.subscribe(sub, puller)
			w.publish(1, 30)
			w.settled(sub, 30)
			w.holdArrival(true)
			epoch := w.move(services, zhuhai)
			eventually(t, "all has come", func() error {
				s, err := w.nodes[zhuhai].Survey(services)
				if err == nil && (s.State != "kept" || s.Epoch != epoch) {
					err = fmt.Errorf("%+v", s)
				}
				return err
			})
			down, home := w.consumer(), zhuhai
			if aborted {
				down, home = w.nodes[zhuhai], guangzhou
			}
			down.close()
			w.holdArrival(false)
			if aborted {
				w.abort(services)
			}
			eventually(t, "the move is over", func() error {
				if d, at := w.department(services); at != home || d.Move != nil {
					return fmt.Errorf("at %s, %+v", at, d.Move)
				}
				return nil
			})
			w.move(services, shenzhen)
			w.moved(services, home, shenzhen)
			down.open()
			eventually(t, "nothing is left of it", down.empty)
			w.sound()
		})
	}
}

// There and back again, past what an earlier stay has left.
func TestADepartmentComesBack(t *testing.T) {
	w, _ := movable(t)
	w.subscribe(sub, puller)
	for lap := range 3 {
		from, to := shenzhen, zhuhai
		if lap%2 == 1 {
			from, to = to, from
		}
		receipts, err := w.nodes[from].Publish(t.Context(), publisher, "", firms, run(10*lap+1, 10*lap+10))
		must(t, err)
		if first := receipts[0].Sequence; first != uint64(10*lap+1) {
			t.Fatalf("lap %d begins with number %d", lap, first)
		}
		w.move(market, to)
		w.moved(market, from, to)
		w.nodes[to].reopen()
	}
	if got := ids(w.received(30)); !slices.Equal(got, numbers(1, 30)) {
		t.Errorf("pulled %v", got)
	}
	w.sound()
}

// What came is read from the disk and compared before anybody is told: a parcel
// altered on its way, even one that fits its own digest, does not pass.
func TestAlteredParcelsAreFetchedAgain(t *testing.T) {
	w, _ := movable(t)
	w.subscribe(sub, puller)
	w.publish(1, 20)
	w.settled(sub, 20)
	lies := []func(*exchange.Parcel){
		func(p *exchange.Parcel) { p.Digest = nil },
		func(p *exchange.Parcel) { p.Rows[len(p.Rows)-1].Value = []byte("altered") },
		func(p *exchange.Parcel) { p.Rows = p.Rows[1:]; p.Sign() },
		func(p *exchange.Parcel) {
			p.Rows = append(p.Rows, p.Rows[0])
			p.Rows[0], p.Rows[1] = p.Rows[1], p.Rows[0]
			p.Sign()
		},
	}
	told := 0
	w.line.onHandover(func(ask exchange.Handover, p exchange.Parcel) (exchange.Parcel, error) {
		if ask.At != nil && len(p.Rows) > 2 && told < len(lies) {
			p.Rows = slices.Clone(p.Rows)
			lies[told](&p)
			told++
		}
		return p, nil
	})
	w.move(market, zhuhai)
	w.moved(market, shenzhen, zhuhai)
	if told != len(lies) {
		t.Errorf("%d of %d lies were told", told, len(lies))
	}
	receipts, err := w.nodes[zhuhai].Publish(t.Context(), publisher, "", firms, append(run(1, 20), sample(21)))
	must(t, err)
	for i, r := range receipts {
		if r.Sequence != uint64(i+1) || r.Duplicate != (i < 20) {
			t.Errorf("event %d again: %+v", i+1, r)
		}
	}
	w.settledAt(zhuhai, sub, 21)
	w.sound()
}

func (w *world) settledAt(at bus.NodeID, id bus.SubscriptionID, last uint64) {
	w.tb.Helper()
	eventually(w.tb, fmt.Sprintf("the cursor of %s passes %d", id, last), func() error {
		if now := w.nodes[at].cursor(id); now <= last {
			return fmt.Errorf("it is at %d", now)
		}
		return nil
	})
}

func TestNobodyElseIsHandedADepartment(t *testing.T) {
	w, _ := movable(t)
	w.publish(1, 3)
	ask := func(from bus.NodeID, epoch bus.Revision) error {
		_, err := w.provider().Handover(t.Context(), from, exchange.Handover{Department: market, Epoch: epoch})
		return err
	}
	wantCode(t, ask(zhuhai, 5), bus.CodeForbidden)
	w.nodes[zhuhai].close() // so that it waits
	epoch := w.move(market, zhuhai)
	wantCode(t, ask(guangzhou, epoch), bus.CodeForbidden)
	wantCode(t, ask(zhuhai, epoch-1), bus.CodeForbidden)
	wantCode(t, ask(zhuhai, epoch+100), bus.CodeUnavailable)
	eventually(t, "it is ready", func() error { return ask(zhuhai, epoch) })
	if got := w.provider().records(audit.KindRefused); len(got) != 3 {
		t.Errorf("%d refusals on record", len(got))
	}
}

// The node that served it is lost for good: the department begins anew, above
// all numbers that were, and the lost node, should it return, serves nothing.
func TestAnAbandonedDepartmentBeginsAnew(t *testing.T) {
	w, _ := movable(t)
	w.subscribe(sub, puller)
	w.publish(1, 30)
	if got := ids(w.received(30)); len(got) != 30 {
		t.Fatalf("pulled %v", got)
	}
	must(t, w.consumer().Acknowledge(t.Context(), puller, sub, 20))
	w.line.hook(func(context.Context, exchange.Batch) error { return errLine }, nil)
	w.publish(31, 35) // never forwarded
	w.provider().close()
	w.write(sysadmin, command.DepartmentMove, 0, command.Move{Department: market, To: zhuhai, Abandon: true})
	eventually(t, "the third node serves it", func() error {
		if _, home := w.department(market); home != zhuhai {
			return fmt.Errorf("%s does", home)
		}
		return nil
	})
	w.line.hook(nil, nil)
	receipts, err := w.nodes[zhuhai].Publish(t.Context(), publisher, "", firms, run(36, 40))
	must(t, err)
	if first := receipts[0].Sequence; first != 1<<40+1 {
		t.Errorf("the new numbers begin at %d", first)
	}
	w.provider().open()
	_, err = w.provider().Publish(t.Context(), publisher, "", firms, run(41, 41))
	wantCode(t, err, bus.CodeWrongNode)
	wantCode(t, w.consumer().Receive(t.Context(), shenzhen, batchOf(31)), bus.CodeWrongNode)
	eventually(t, "the new events arrive behind the old ones", func() error {
		if n := len(w.consumer().inbox(sub)); n != 15 {
			return fmt.Errorf("%d wait", n)
		}
		return nil
	})
	events, last, err := w.consumer().Pull(t.Context(), puller, sub, 100)
	must(t, err)
	if got := ids(events); !slices.Equal(got, append(numbers(21, 30), numbers(36, 40)...)) || last != 1<<40+5 {
		t.Errorf("pulled %v, to be acknowledged by %d", got, last)
	}
	if n := w.provider().rows("events"); n != 35 {
		t.Errorf("the lost node keeps %d events of 35", n)
	}
	w.move(market, shenzhen) // back: what it had of before must not come to life
	eventually(t, "it is back", func() error {
		if d, home := w.department(market); home != shenzhen || d.Move != nil {
			return fmt.Errorf("at %s", home)
		}
		return nil
	})
	receipts, err = w.provider().Publish(t.Context(), publisher, "", firms, []cloudevent.Event{sample(36), sample(41)})
	must(t, err)
	if receipts[0].Sequence != 1<<40+1 || receipts[1].Sequence != 1<<40+6 || w.provider().rows("events") != 6 {
		t.Errorf("back again: %+v, %d events", receipts, w.provider().rows("events"))
	}
	w.sound()
}

// A trace asks both nodes: the event is known where it is, its steps where they
// were.
func TestTheWayOfAnEventLeadsOverBothNodes(t *testing.T) {
	w, _ := movable(t)
	w.subscribe(sub, puller)
	w.publish(1, 5)
	w.settled(sub, 5)
	w.move(market, zhuhai)
	w.moved(market, shenzhen, zhuhai)
	found, err := w.nodes[zhuhai].Occurrences("3")
	must(t, err)
	if len(found) != 1 {
		t.Fatalf("event 3 is at %v", found)
	}
	if left, err := w.provider().Occurrences("3"); err != nil || len(left) > 0 {
		t.Fatalf("and still at %v, %v", left, err)
	}
	kinds := func(n *node) (kinds []audit.Kind) {
		steps, err := n.Steps(found[0])
		must(t, err)
		for _, s := range steps {
			kinds = append(kinds, s.Record.Kind)
		}
		return kinds
	}
	if got := kinds(w.provider()); !slices.Contains(got, audit.KindAccepted) || !slices.Contains(got, audit.KindForwarded) || !slices.Contains(got, audit.KindMovedOut) {
		t.Errorf("the old node recorded %v", got)
	}
	if got := kinds(w.nodes[zhuhai]); !slices.Contains(got, audit.KindMovedIn) {
		t.Errorf("the new node recorded %v", got)
	}
}

// A move that begins stops the forwarder, and one that is given up lets another
// begin. The first may end its step late: what both sent is on record once. (Whether
// the step of a stopped forwarder is taken at all is left to chance.)
func TestAForwarderThatEndsLateRecordsNothingAgain(t *testing.T) {
	w, _ := movable(t)
	w.subscribe(sub, puller)
	w.settled(sub, 0)
	const rounds = 8
	for n := 1; n <= rounds; n++ {
		sent, stopped, late := make(chan struct{}), make(chan struct{}), make(chan struct{})
		var first atomic.Bool
		w.line.hook(nil, func(ctx context.Context, _ exchange.Batch) error {
			if first.CompareAndSwap(false, true) {
				close(sent)
				<-ctx.Done()
				close(stopped)
				<-late
			}
			return nil
		})
		w.publish(n, n)
		<-sent
		w.move(market, zhuhai)
		<-stopped
		w.abort(market)
		w.settled(sub, uint64(n)) // by the second one
		close(late)
	}
	w.line.hook(nil, nil)
	w.publish(rounds+1, rounds+1)
	w.settled(sub, rounds+1)
	count := map[uint64]int{}
	for _, r := range w.provider().records(audit.KindForwarded) {
		count[r.First]++
	}
	for n := uint64(1); n <= rounds+1; n++ {
		if count[n] != 1 {
			t.Errorf("event %d is %d times on record as forwarded", n, count[n])
		}
	}
}
