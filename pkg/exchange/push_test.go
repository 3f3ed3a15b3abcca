package exchange_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"github.com/gxbus/gxbus/pkg/audit"
	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/directory/command"
	"github.com/gxbus/gxbus/pkg/directory/state"
	"github.com/gxbus/gxbus/pkg/event"
	"github.com/gxbus/gxbus/pkg/exchange"
	"github.com/gxbus/gxbus/pkg/policy"
	"github.com/gxbus/gxbus/pkg/webhook"
)

// endpoint is the other end of a sink; package webhook's tests have the network.
type endpoint struct {
	mu      sync.Mutex
	answer  func(ids []int) (webhook.Answer, error) // 204 where nil
	refusal error                                   // of the handshake
	rate    int
	taken   []int // ids, in order
	traces  []string
	tried   int
	origins []string // that asked it, in order
}

func (e *endpoint) Check(_ context.Context, url string) error {
	if strings.Contains(url, "127.0.0.1") {
		return bus.E(bus.CodeInvalid, bus.Defect{Field: "url"})
	}
	return nil
}

func (e *endpoint) Greet(_ context.Context, _, origin, _ string) (webhook.Permission, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.origins = append(e.origins, origin)
	return webhook.Permission{Rate: e.rate}, e.refusal
}

func (e *endpoint) Send(_ context.Context, d webhook.Delivery) (webhook.Answer, error) {
	events, err := event.UnmarshalBatch([]byte(d.Body))
	if d.MediaType == event.ContentTypeEvent {
		events, err = event.UnmarshalBatch([]byte("[" + d.Body + "]"))
	}
	if err != nil {
		return webhook.Answer{}, err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.tried++
	answer := webhook.Answer{Status: 204}
	if e.answer != nil {
		answer, err = e.answer(ids(events))
	}
	if err == nil && answer.Status/100 == 2 {
		e.taken, e.traces = append(e.taken, ids(events)...), append(e.traces, d.TraceParent+d.TraceState)
	}
	return answer, err
}

func (e *endpoint) follow(answer func(ids []int) (webhook.Answer, error)) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.answer = answer
}

func (e *endpoint) has(tb testing.TB, want []int) {
	tb.Helper()
	eventually(tb, fmt.Sprintf("the endpoint has %v", want), func() error {
		e.mu.Lock()
		defer e.mu.Unlock()
		if !slices.Equal(e.taken, want) {
			return fmt.Errorf("it has %v", e.taken)
		}
		return nil
	})
}

// put gives the subscription a sink.
func (w *world) put(change func(*bus.Sink)) bus.SinkState {
	w.tb.Helper()
	s := bus.Sink{URL: "https://sink.test/in?token=canary", Secret: "canary-canary-canary", Authorization: "Bearer canary"}
	if change != nil {
		change(&s)
	}
	state, err := w.consumer().PutSink(w.tb.Context(), puller, "", sub, s)
	must(w.tb, err)
	return state
}

func poison(number int) func([]int) (webhook.Answer, error) {
	return func(ids []int) (webhook.Answer, error) {
		if slices.Contains(ids, number) {
			return webhook.Answer{Status: 500}, nil
		}
		return webhook.Answer{Status: 204}, nil
	}
}

// The trace that a publisher began goes on at the consumer's endpoint, across both nodes.
func TestTheTraceOfAnEventGoesOnAtItsSink(t *testing.T) {
	const trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
	traced := sample(1)
	traced.SetExtension(event.ExtTraceParent, trace)
	traced.SetExtension(event.ExtTraceState, "a=b")
	for batch, want := range map[int][]string{1: {trace + "a=b", ""}, 2: {trace + "a=b"}} { // a batch goes on with its first event
		w, _ := fake(t)
		w.subscribe(sub, puller)
		w.publishAll(traced, sample(2))
		w.settled(sub, 2)
		w.put(func(s *bus.Sink) { s.Batch = batch })
		w.sinks.has(t, numbers(1, 2))
		w.sinks.mu.Lock()
		if !slices.Equal(w.sinks.traces, want) {
			t.Errorf("%d at once: the endpoint was told of traces %q, want %q", batch, w.sinks.traces, want)
		}
		w.sinks.mu.Unlock()
	}
}

func TestASinkGetsEverythingInOrderWhateverFails(t *testing.T) {
	for _, batch := range []int{1, 10} {
		w, _ := fake(t)
		failed := map[int]bool{}
		w.sinks.follow(func(ids []int) (webhook.Answer, error) { // each request fails once
			if !failed[ids[0]] {
				failed[ids[0]] = true
				return webhook.Answer{}, errors.New("cut")
			}
			return webhook.Answer{Status: 200}, nil
		})
		w.subscribe(sub, puller)
		w.put(func(s *bus.Sink) { s.Batch = batch })
		w.publish(1, 30)
		w.consumer().reopen()
		w.sinks.has(t, numbers(1, 30))
		w.acknowledged()
		w.consumer().verify()
	}
}

// acknowledged waits until nothing waits in the inbox: a node that is closed before sends
// the last batch again.
func (w *world) acknowledged() {
	w.tb.Helper()
	eventually(w.tb, "all is acknowledged", func() error { return count(w.consumer().inbox(sub), 0) })
}

func TestDeadLettersHavePages(t *testing.T) {
	w, _ := fake(t)
	w.sinks.follow(func([]int) (webhook.Answer, error) { return webhook.Answer{Status: 500}, nil })
	w.subscribe(sub, puller)
	w.subscribe("sub-2", colleague)
	w.put(func(s *bus.Sink) { s.MaxAttempts = 1 })
	w.publish(1, 5)
	eventually(t, "all are given up", func() error {
		letters, _, err := w.consumer().DeadLetters(puller, sub, 0, 10)
		if err == nil && len(letters) < 5 {
			err = fmt.Errorf("%d are", len(letters))
		}
		return err
	})
	var pages [][]uint64
	for after, more := uint64(0), true; more; {
		letters, others, err := w.consumer().DeadLetters(puller, sub, after, 2)
		must(t, err)
		var page []uint64
		for _, l := range letters {
			page = append(page, l.Number)
			after = l.Number
		}
		pages, more = append(pages, page), others
	}
	if got := fmt.Sprint(pages); got != "[[1 2] [3 4] [5]]" {
		t.Errorf("pages %s", got)
	}
}

func TestAnEventThatIsNeverTakenIsADeadLetterAndHoldsUpNobody(t *testing.T) {
	w, _ := fake(t)
	w.sinks.follow(poison(3))
	w.subscribe(sub, puller)
	w.put(func(s *bus.Sink) { s.Batch, s.MaxAttempts = 4, 3 })
	w.publish(1, 8)
	w.sinks.has(t, []int{1, 2, 4, 5, 6, 7, 8})
	letters, _, err := w.consumer().DeadLetters(puller, sub, 0, 10)
	must(t, err)
	if len(letters) != 1 || letters[0].Number != 3 || letters[0].ID != "3" || len(letters[0].Attempts) != 3 || letters[0].Attempts[2].Status != 500 {
		t.Fatalf("dead letters: %+v", letters)
	}
	w.acknowledged()
	w.consumer().reopen()
	w.sinks.follow(nil)
	must(t, w.consumer().Redrive(t.Context(), puller, sub, 3))
	w.sinks.has(t, []int{1, 2, 4, 5, 6, 7, 8, 3})
	wantCode(t, w.consumer().Redrive(t.Context(), puller, sub, 3), bus.CodeNotFound)

	w.sinks.follow(poison(9))
	w.publish(9, 10)
	w.sinks.has(t, []int{1, 2, 4, 5, 6, 7, 8, 3, 10})
	letter, err := w.consumer().DeadLetter(puller, sub, 9)
	must(t, err)
	if letter.ID != "9" || len(letter.Attempts) != 3 || letter.Attempts[0].Status != 500 {
		t.Errorf("dead letter %+v", letter)
	}
	_, err = w.consumer().DeadLetter(puller, sub, 3) // it was redriven
	wantCode(t, err, bus.CodeNotFound)
	_, err = w.consumer().DeadLetter(stranger, sub, 9) // S27
	wantCode(t, err, bus.CodeNotFound)
	_, _, err = w.consumer().DeadLetters(stranger, sub, 0, 10) // S27
	wantCode(t, err, bus.CodeNotFound)
	wantCode(t, w.consumer().Discard(t.Context(), stranger, sub, 9), bus.CodeNotFound)
	must(t, w.consumer().Discard(t.Context(), puller, sub, 9))
	for kind, want := range map[audit.Kind]int{audit.KindDeadLettered: 2, audit.KindRedriven: 1, audit.KindDiscarded: 1} {
		if got := w.consumer().records(kind); len(got) != want {
			t.Errorf("%s: %d records, want %d", kind, len(got), want)
		}
	}
	w.consumer().verify()
}

func TestS42ASinkThatDoesNotAllowGetsNothingAndARateIsKept(t *testing.T) {
	w, _ := fake(t)
	w.sinks.refusal = webhook.ErrNotPermitted
	w.subscribe(sub, puller)
	if state := w.put(nil); state.Active || state.Why == "" {
		t.Errorf("%+v", state)
	}
	w.publish(1, 3)
	w.received(3)
	if w.sinks.tried > 0 {
		t.Error("it was sent to")
	}
	w.sinks.refusal, w.sinks.rate = nil, 1
	if state := w.put(nil); !state.Active || state.Rate != 1 {
		t.Errorf("%+v", state)
	}
	w.sinks.has(t, numbers(1, 1)) // the next may be sent in a minute
	if state, err := w.consumer().Exchange.Sink(puller, sub); err != nil || !state.Active {
		t.Errorf("%+v, %v", state, err)
	}
	eventually(t, "the first is acknowledged, and the others wait", func() error {
		if got := w.consumer().inbox(sub); len(got) != 2 {
			return fmt.Errorf("%v wait", got)
		}
		return nil
	})
}

// S42: two subscriptions that have one endpoint share its rate, and a node that starts
// does not know when it sent last.
func TestS42ARateIsOneForAnEndpointAndOutlivesARestart(t *testing.T) {
	w, _ := fake(t)
	w.sinks.rate = 1
	w.subscribe(sub, puller)
	w.subscribe("sub-2", puller)
	w.put(nil)
	w.publish(1, 2)
	w.settled(sub, 2)
	w.settled("sub-2", 2)
	w.sinks.has(t, numbers(1, 1))
	second := bus.Sink{URL: "https://sink.test/in?token=another"}
	_, err := w.consumer().PutSink(t.Context(), puller, "", "sub-2", second)
	must(t, err)
	for n := 3; n < 5; n++ { // by the end of each, whoever would send has sent
		w.publish(n, n)
		w.settled(sub, uint64(n))
		w.settled("sub-2", uint64(n))
		w.clock.advance(59 * time.Second)
		w.consumer().reopen()
	}
	w.sinks.has(t, numbers(1, 1))

	w.clock.advance(time.Minute)
	w.subscribe("sub-3", puller)
	second.URL = "https://other.test/in"
	_, err = w.consumer().PutSink(t.Context(), puller, "", "sub-3", second) // it has nothing, and all look
	must(t, err)
	eventually(t, "one of the two has sent", func() error {
		w.sinks.mu.Lock()
		defer w.sinks.mu.Unlock()
		if w.sinks.tried != 2 {
			return fmt.Errorf("%d requests", w.sinks.tried)
		}
		return nil
	})
}

// A node that starts cannot decide for a moment: that costs a moment, and not what
// pauses grow to.
func TestTheFirstDeliveryAfterARestartIsSoon(t *testing.T) {
	w, d := fake(t)
	w.subscribe(sub, puller)
	w.publish(1, 1)
	w.received(1)
	var undecided atomic.Int64
	d.follow(only(policy.ActionDeliver, func(in policy.Input) bus.Decision {
		if undecided.Add(1) <= 3 {
			return refuse(policy.CodeTimeout)
		}
		return allow(in)
	}))
	w.consumer().most = time.Hour
	w.consumer().reopen()
	w.put(nil)
	w.sinks.has(t, numbers(1, 1))
}

func TestASinkThatIsGoneStopsAndOneAtARefusedAddressIsNotPut(t *testing.T) {
	w, _ := fake(t)
	w.subscribe(sub, puller)
	_, err := w.consumer().PutSink(t.Context(), puller, "", sub, bus.Sink{URL: "https://127.0.0.1/"})
	wantCode(t, err, bus.CodeInvalid)
	_, err = w.consumer().PutSink(t.Context(), stranger, "", sub, bus.Sink{URL: "https://a.test/"})
	wantCode(t, err, bus.CodeNotFound)
	w.sinks.follow(func([]int) (webhook.Answer, error) { return webhook.Answer{Status: 410}, nil })
	w.put(nil)
	w.publish(1, 1)
	eventually(t, "it has stopped", func() error {
		if state, err := w.consumer().Exchange.Sink(puller, sub); err != nil || state.Active {
			return fmt.Errorf("%+v, %w", state, err)
		}
		return nil
	})
	if letters, _, err := w.consumer().DeadLetters(puller, sub, 0, 10); err != nil || len(letters) > 0 || w.sinks.tried != 1 {
		t.Errorf("%v, %v after %d requests", letters, err, w.sinks.tried)
	}
}

// S44, S55.
func TestS44ASinksSecretsAreNeitherShownNorReadableOnTheDisk(t *testing.T) {
	w, _ := fake(t)
	w.subscribe(sub, puller)
	state := w.put(nil)
	again, err := w.consumer().Exchange.Sink(puller, sub)
	must(t, err)
	if shown := fmt.Sprintf("%+v %+v %+v", state, again, w.consumer().records()); strings.Contains(shown, "canary") || !strings.Contains(shown, "https://sink.test/in") {
		t.Errorf("shown: %s", shown)
	}
	must(t, w.consumer().store.View(func(tx *bbolt.Tx) error {
		if sealed := tx.Bucket([]byte("sinks")).Get([]byte(sub)); len(sealed) == 0 || strings.Contains(string(sealed), "sink.test") {
			t.Errorf("on the disk: %q", sealed)
		}
		return nil
	}))
}

// A system that may not fetch its events gets none brought; a colleague's go on.
func TestNothingIsTakenToASystemThatMayNotCall(t *testing.T) {
	w, _ := fake(t)
	w.subscribe(sub, puller)
	w.subscribe("sub-2", colleague)
	system := bus.System{ID: puller.System, Department: puller.Department, Name: "示例系统"}
	switched := func(disabled bool) {
		t.Helper()
		must(t, w.directory.View(func(tx *state.Tx) error {
			have, _ := tx.System(system.ID)
			system.Revision = have.Revision
			return nil
		}))
		system.Disabled = disabled
		w.write(sysadmin, command.SystemPut, system.Revision, system)
	}
	w.put(nil)
	switched(true)
	w.publish(1, 2)
	w.received(2)
	_, err := w.consumer().PutSink(t.Context(), colleague, "", "sub-2", bus.Sink{URL: "https://sink.test/in"})
	must(t, err)
	w.sinks.has(t, numbers(1, 2))
	w.consumer().reopen() // every pusher takes a step
	w.publish(3, 3)
	w.received(3)
	w.sinks.has(t, numbers(1, 3))
	w.sinks.mu.Lock()
	w.sinks.taken = nil
	w.sinks.mu.Unlock()
	switched(false)
	w.sinks.has(t, numbers(1, 3))
}

// A sink that is not this node's is as one that was stopped: it can be put again.
func TestASinkThatCannotBeReadIsPutAgain(t *testing.T) {
	w, _ := fake(t)
	w.subscribe(sub, puller)
	w.put(nil)
	must(t, w.consumer().store.Commit(t.Context(), func(tx *bbolt.Tx) error {
		return tx.Bucket([]byte(exchange.SinkBucket)).Put([]byte(sub), make([]byte, 64))
	}))
	state, err := w.consumer().Exchange.Sink(puller, sub)
	if must(t, err); state.Active || !strings.Contains(state.Why, "put again") {
		t.Errorf("%+v", state)
	}
	w.publish(1, 1)
	w.received(1)
	w.put(nil)
	w.sinks.has(t, numbers(1, 1))
}

// The receiver is paused with a thousand events queued when the grant is revoked.
func TestS37NothingIsDeliveredOnceARevocationIsApplied(t *testing.T) {
	w, d := fake(t)
	d.follow(func(in policy.Input) bus.Decision {
		if in.Grant != nil && in.Grant.Revoked {
			return refuse("grant-revoked")
		}
		return allow(in)
	})
	under, release := make(chan struct{}, 1), make(chan struct{})
	w.sinks.follow(func([]int) (webhook.Answer, error) {
		under <- struct{}{}
		<-release
		return webhook.Answer{Status: 204}, nil
	})
	w.subscribe(sub, puller)
	w.publish(1, 1000)
	w.settled(sub, 1000)
	w.put(nil)
	<-under // the first delivery has begun, and waits
	w.revoke()
	close(release)
	eventually(t, "the rest has ended as withheld", func() error {
		if left := w.consumer().inbox(sub); len(left) > 0 {
			return fmt.Errorf("%d wait", len(left))
		}
		return nil
	})
	w.publish(1001, 1002)
	w.settled(sub, 1002)
	withheld := 0
	for _, r := range w.consumer().records(audit.KindWithheld) {
		withheld += r.Events
	}
	w.sinks.mu.Lock()
	defer w.sinks.mu.Unlock()
	if w.sinks.tried != 1 || withheld != 999 {
		t.Errorf("%d deliveries, %d withheld", w.sinks.tried, withheld)
	}
}

// S38: a decision is taken afresh for what is tried again.
func TestS38ADeliveryThatIsTriedAgainIsDecidedAfresh(t *testing.T) {
	w, d := fake(t)
	w.sinks.follow(func([]int) (webhook.Answer, error) {
		d.follow(only(policy.ActionDeliver, always(refuse("purpose-withdrawn")))) // what it rested on has changed
		return webhook.Answer{Status: 503, RetryAfter: time.Millisecond}, nil
	})
	w.subscribe(sub, puller)
	w.put(nil)
	w.publish(1, 5)
	eventually(t, "the events are withheld", func() error {
		if got := w.consumer().records(audit.KindWithheld); len(got) == 0 {
			return errors.New("none is")
		}
		return nil
	})
	w.sinks.mu.Lock()
	defer w.sinks.mu.Unlock()
	if w.sinks.tried != 1 {
		t.Errorf("it was sent %d times", w.sinks.tried)
	}
}

func TestOneSlowSinkDelaysNobodyElse(t *testing.T) {
	w, _ := fake(t)
	stuck := make(chan struct{})
	defer close(stuck)
	w.sinks.follow(func([]int) (webhook.Answer, error) {
		<-stuck
		return webhook.Answer{Status: 204}, nil
	})
	w.subscribe(sub, puller)
	w.subscribe("sub-2", puller)
	w.put(nil)
	w.publish(1, 300)
	eventually(t, "the other subscription has all", func() error {
		got, _, err := w.consumer().Pull(t.Context(), puller, "sub-2", 1000)
		if err == nil && len(got) != 300 {
			err = fmt.Errorf("%d", len(got))
		}
		return err
	})
}
