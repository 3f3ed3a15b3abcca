package exchange_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"github.com/gxbus/gxbus/pkg/audit"
	"github.com/gxbus/gxbus/pkg/binding"
	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/exchange"
	"github.com/gxbus/gxbus/pkg/storage"
	"github.com/gxbus/gxbus/pkg/webhook"
)

const secretBinding = `{"resource":"sz-firms","http":{"url":"https://provider.test","headers":{"Authorization":"Bearer canary"}}}`

// bind keeps a binding as package store does.
func (n *node) bind(text string) {
	n.world.tb.Helper()
	must(n.world.tb, n.store.Commit(n.world.tb.Context(), func(tx *bbolt.Tx) error {
		return storage.Sealed{Bucket: []byte(binding.Bucket), AEAD: n.bound()}.Put(tx, []byte(firms), []byte(text))
	}))
}

// binding is what the node can read of the binding; "" where there is none.
func (n *node) binding() (text string) {
	n.world.tb.Helper()
	must(n.world.tb, n.store.View(func(tx *bbolt.Tx) error {
		data, err := storage.Sealed{Bucket: []byte(binding.Bucket), AEAD: n.bound()}.Get(tx, []byte(firms))
		text = string(data)
		return err
	}))
	return text
}

// hides demands that no byte of a node's file shows a secret: not its evidence, not
// the page of a row that is deleted. It closes the node.
func (n *node) hides(secrets ...string) {
	n.world.tb.Helper()
	n.close()
	data, err := os.ReadFile(n.path)
	must(n.world.tb, err)
	for _, s := range secrets {
		if bytes.Contains(data, []byte(s)) {
			n.world.tb.Errorf("the file of %s shows %q", n.id, s)
		}
	}
}

// S44, S55: what a consumer's sink needs moves along, and is nowhere in clear but
// between the two nodes.
func TestS44ASinkMovesWithItsAttemptsAndIsSealedAnew(t *testing.T) {
	w, _ := movable(t)
	w.sinks.follow(func(ids []int) (webhook.Answer, error) {
		if slices.Contains(ids, 3) {
			return webhook.Answer{Status: 503, RetryAfter: time.Hour}, nil
		}
		return webhook.Answer{Status: 204}, nil
	})
	w.subscribe(sub, puller)
	w.put(nil)
	w.publish(1, 5)
	attempts := func(n *node, want int) {
		t.Helper()
		eventually(t, fmt.Sprintf("%s has tried %d times", n.id, want), func() error {
			state, err := n.Sink(puller, sub)
			if err == nil && (len(state.Attempts) != want || state.Number != 3 || !state.Active || !state.Signed || !state.Authorized) {
				err = fmt.Errorf("%+v", state)
			}
			return err
		})
	}
	attempts(w.consumer(), 1)
	w.move(services, zhuhai)
	w.moved(services, guangzhou, zhuhai)
	here := w.nodes[zhuhai]
	attempts(here, 2)
	w.sinks.follow(nil)
	here.reopen() // the hour is not waited for
	w.sinks.has(t, numbers(1, 5))
	if want := []string{"guangzhou.test", "zhuhai.test"}; !slices.Equal(w.sinks.origins, want) {
		t.Errorf("the endpoint was asked by %v, want %v", w.sinks.origins, want)
	}
	must(t, w.consumer().empty())
	w.sameInEvidence(services, guangzhou, zhuhai)
	if in := here.records(audit.KindMovedIn); !strings.Contains(in[len(in)-1].Detail, "1 sinks") {
		t.Errorf("on record: %s", in[len(in)-1].Detail)
	}
	w.sound()
	for _, n := range w.nodes {
		n.hides("canary", "sink.test/in?")
	}
}

func TestS44ABindingMovesAndIsSealedAnew(t *testing.T) {
	w, _ := movable(t)
	w.provider().bind(secretBinding)
	w.publish(1, 3)
	var told [][]byte
	w.line.onHandover(func(ask exchange.Handover, p exchange.Parcel) (exchange.Parcel, error) {
		for _, r := range p.Rows {
			told = append(told, r.Value)
		}
		return p, nil
	})
	w.move(market, zhuhai)
	w.moved(market, shenzhen, zhuhai)
	if got := w.nodes[zhuhai].binding(); got != secretBinding {
		t.Errorf("it came as %q", got)
	}
	if !slices.ContainsFunc(told, func(v []byte) bool { return string(v) == secretBinding }) {
		t.Error("it did not come with the rows")
	}
	must(t, w.provider().empty())
	w.sameInEvidence(market, shenzhen, zhuhai)
	s, err := w.nodes[zhuhai].Survey(market)
	if err != nil || s.Tally.Bindings != 1 {
		t.Errorf("%+v, %v", s, err)
	}
	for _, n := range w.nodes {
		n.hides("canary", "provider.test")
	}
}

// What an altered or mistaken parcel says of a secret does not pass, also where it fits
// its own digest.
func TestASecretThatIsLostOnItsWayIsFetchedAgain(t *testing.T) {
	w, _ := movable(t)
	w.provider().bind(secretBinding)
	told := 0
	w.line.onHandover(func(ask exchange.Handover, p exchange.Parcel) (exchange.Parcel, error) {
		at := slices.IndexFunc(p.Rows, func(r exchange.Row) bool { return string(r.Value) == secretBinding })
		if at < 0 {
			return p, nil
		}
		p.Rows = slices.Clone(p.Rows)
		switch told++; told {
		case 1:
			p.Rows = slices.Delete(p.Rows, at, at+1)
			p.Sign()
		case 2:
			p.Rows[at].Value = []byte(strings.Replace(secretBinding, "canary", "forged", 1))
		}
		return p, nil
	})
	w.move(market, zhuhai)
	w.moved(market, shenzhen, zhuhai)
	if got := w.nodes[zhuhai].binding(); told != 3 || got != secretBinding {
		t.Errorf("after %d tellings it is %q", told, got)
	}
}

// A value that the node itself cannot open holds up no move: it was of no use.
func TestASecretOfAnotherKeyHoldsUpNoMove(t *testing.T) {
	w, _ := movable(t)
	w.nodes[guangzhou].bind(secretBinding) // by its key, and laid into another's bucket
	var foreign []byte
	must(t, w.consumer().store.View(func(tx *bbolt.Tx) error {
		foreign = bytes.Clone(tx.Bucket([]byte(binding.Bucket)).Get([]byte(firms)))
		return nil
	}))
	must(t, w.provider().store.Commit(t.Context(), func(tx *bbolt.Tx) error {
		return tx.Bucket([]byte(binding.Bucket)).Put([]byte(firms), foreign)
	}))
	w.move(market, zhuhai)
	w.moved(market, shenzhen, zhuhai)
	if got := w.nodes[zhuhai].binding(); got != "" {
		t.Errorf("it came as %q", got)
	}
	must(t, w.provider().empty())
}

// The endpoint allowed the old node. The new one asks for itself, as often as nobody
// answers, and keeps to what it is told.
func TestS42ANewNodeAsksTheEndpointItself(t *testing.T) {
	w, _ := movable(t)
	w.subscribe(sub, puller)
	w.put(nil)
	w.sinks.mu.Lock()
	w.sinks.refusal = errors.New("nobody answers")
	w.sinks.mu.Unlock()
	w.move(services, zhuhai)
	w.moved(services, guangzhou, zhuhai)
	here := w.nodes[zhuhai]
	w.publish(1, 2)
	eventually(t, "it is asked again", func() error {
		w.sinks.mu.Lock()
		defer w.sinks.mu.Unlock()
		if len(w.sinks.origins) < 4 {
			return fmt.Errorf("asked by %v", w.sinks.origins)
		}
		w.sinks.refusal = webhook.ErrNotPermitted
		return nil
	})
	eventually(t, "it is inactive", func() error {
		if state, err := here.Sink(puller, sub); err != nil || state.Active || state.Why == "" {
			return fmt.Errorf("%+v, %w", state, err)
		}
		return nil
	})
	w.sinks.mu.Lock()
	w.sinks.refusal = nil
	w.sinks.mu.Unlock()
	here.reopen()
	w.publish(3, 3)
	w.settled(sub, 3)
	if w.sinks.tried > 0 {
		t.Error("it was sent to, unasked")
	}
	_, err := here.PutSink(t.Context(), puller, "", sub, bus.Sink{URL: "https://sink.test/in"})
	must(t, err)
	w.sinks.has(t, numbers(1, 3))
}
