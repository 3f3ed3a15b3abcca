package exchange_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/directory/command"
	"github.com/gxbus/gxbus/pkg/exchange"
	"github.com/gxbus/gxbus/pkg/webhook"
)

// S58: the node that a department moves from lists what it has of it. Were it to list
// what is another's, the new node would delete that first, and take what it is sent.
func TestS58AHostileOldNodeTouchesNothingOfOthers(t *testing.T) {
	w, _ := movable(t)
	w.subscribe(sub, puller)
	w.subscribe("sub-2", stranger) // a department at guangzhou, that stays there
	own := resource()
	own.ID, own.Codes, own.Provider = "gz-services", []bus.ResourceCode{"305001/2"}, services
	w.catalogue(puller, own)
	w.write(publisher, command.SubscriptionPut, 0, bus.Subscription{ID: "sub-3", Resource: own.ID, Consumer: market, System: publisher.System, Purpose: bus.PurposeReference})
	w.publish(1, 5)
	w.settled(sub, 5)
	w.move(services, zhuhai)
	w.moved(services, guangzhou, zhuhai)
	here := w.nodes[zhuhai]
	before := here.contents()
	for name, lie := range map[string]func(*exchange.Parcel){
		"another's ledger":       func(p *exchange.Parcel) { p.Contents.Department = services },
		"no ledger":              func(p *exchange.Parcel) { p.Contents.Department = "" },
		"another's resource":     func(p *exchange.Parcel) { p.Contents.Resources = append(p.Contents.Resources, own.ID) },
		"a resource twice":       func(p *exchange.Parcel) { p.Contents.Resources = append(p.Contents.Resources, "a") },
		"a resource to come":     func(p *exchange.Parcel) { p.Contents.Resources = append(p.Contents.Resources, "zz-next") },
		"another's cursor":       func(p *exchange.Parcel) { p.Contents.Cursors = append(p.Contents.Cursors, "sub-3") },
		"a subscription to come": func(p *exchange.Parcel) { p.Contents.Cursors = append(p.Contents.Cursors, "sub-9") },
		"another's inbox": func(p *exchange.Parcel) {
			p.Contents.Inboxes = slices.Clone(p.Contents.Inboxes)
			p.Contents.Inboxes[0].Subscription = sub
		},
		"an inbox of another name": func(p *exchange.Parcel) {
			p.Contents.Inboxes = slices.Clone(p.Contents.Inboxes)
			p.Contents.Inboxes[0].Resource = firms
		},
	} {
		told := make(chan struct{}, 1000)
		w.line.onHandover(func(ask exchange.Handover, p exchange.Parcel) (exchange.Parcel, error) {
			if ask.At != nil {
				t.Errorf("%s: rows are fetched", name)
				return exchange.Parcel{}, errLine
			}
			lie(&p)
			told <- struct{}{}
			return p, nil
		})
		w.move(market, zhuhai)
		for range 3 { // it is asked again and again
			within(t, name, told)
		}
		w.abort(market)
		eventually(t, "it is served as before", func() error { return w.provider().holds(market, "kept") })
		if here.contents() != before {
			t.Errorf("%s: what the new node has is changed", name)
		}
	}
	w.line.onHandover(nil)
	w.move(market, zhuhai)
	w.moved(market, shenzhen, zhuhai)
	if got := here.inbox(sub); len(got) != 5 {
		t.Errorf("%v wait", got)
	}
}

// S42, S58: that an endpoint allowed the new node, the old one cannot say.
func TestS42AnOldNodeCannotSayThatTheNewOneIsAllowed(t *testing.T) {
	w, _ := movable(t)
	w.subscribe(sub, puller)
	w.put(nil)
	w.line.onHandover(func(_ exchange.Handover, p exchange.Parcel) (exchange.Parcel, error) {
		p.Rows = slices.Clone(p.Rows)
		for i, r := range p.Rows {
			if text := string(r.Value); len(r.Key) == 0 && len(text) > 0 && text[0] == '{' {
				p.Rows[i].Value = []byte(strings.Replace(text, `"asked":"guangzhou.test"`, `"asked":"zhuhai.test"`, 1))
			}
		}
		p.Sign()
		return p, nil
	})
	w.sinks.mu.Lock()
	w.sinks.refusal = webhook.ErrNotPermitted
	w.sinks.mu.Unlock()
	w.move(services, zhuhai)
	w.moved(services, guangzhou, zhuhai)
	w.publish(1, 2)
	eventually(t, "it is inactive", func() error {
		if state, err := w.nodes[zhuhai].Sink(puller, sub); err != nil || state.Active {
			return fmt.Errorf("%+v, %w", state, err)
		}
		return nil
	})
	w.sinks.mu.Lock()
	defer w.sinks.mu.Unlock()
	if w.sinks.tried > 0 || !slices.Contains(w.sinks.origins, "zhuhai.test") {
		t.Errorf("sent to %d times, asked by %v", w.sinks.tried, w.sinks.origins)
	}
}

// S54: rows of a department that comes fill no disk to its end, and come when there is
// room.
func TestS54AMoveLeavesRoomForEvidence(t *testing.T) {
	w, _ := movable(t)
	w.publish(1, 20)
	here := w.nodes[zhuhai]
	here.full.Store(true)
	asked := make(chan struct{}, 1000)
	w.line.onHandover(func(ask exchange.Handover, p exchange.Parcel) (exchange.Parcel, error) {
		if ask.At != nil {
			asked <- struct{}{}
		}
		return p, nil
	})
	w.move(market, zhuhai)
	eventually(t, "it looks for room again and again", func() error {
		if n := here.lacked.Load(); n < 3 {
			return fmt.Errorf("%d times", n)
		}
		return here.holds(market, "importing")
	})
	if len(asked) > 0 || here.rows("events") > 0 {
		t.Errorf("%d parcels and %d events came without room", len(asked), here.rows("events"))
	}
	here.full.Store(false)
	w.moved(market, shenzhen, zhuhai)
	if got := here.rows("events"); got != 20 {
		t.Errorf("%d events came", got)
	}
}
