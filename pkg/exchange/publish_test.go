package exchange_test

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	cloudevent "github.com/cloudevents/sdk-go/v2/event"

	"github.com/gxbus/gxbus/pkg/audit"
	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/policy"
	"github.com/gxbus/gxbus/pkg/raced"
)

func TestReceiptsComeInTheOrderOfTheEvents(t *testing.T) {
	w, _ := fake(t)
	for round := range 3 {
		receipts, err := w.provider().Publish(t.Context(), publisher, "r", firms, run(10*round, 10*round+9))
		must(t, err)
		for i, r := range receipts {
			if want := uint64(10*round + i + 1); r.Sequence != want || r.ID != fmt.Sprint(10*round+i) || r.Duplicate || r.Source != sample(0).Source() {
				t.Errorf("receipt %d: %+v, want number %d", i, r, want)
			}
		}
	}
	accepted := w.provider().records(audit.KindAccepted)
	if len(accepted) != 3 || accepted[1].First != 11 || accepted[1].Last != 20 || accepted[1].Events != 10 {
		t.Errorf("%+v", accepted)
	}
	w.provider().verify()
}

func TestRepeatedEventIsAnsweredWithItsFirstReceipt(t *testing.T) { // S02
	w, _ := fake(t)
	w.publish(1, 5)
	leaves := len(w.provider().records())
	before := w.provider().contents()
	receipts, err := w.provider().Publish(t.Context(), publisher, "", firms, run(2, 4))
	must(t, err)
	for i, r := range receipts {
		if !r.Duplicate || r.Sequence != uint64(i+2) {
			t.Errorf("receipt %d: %+v", i, r)
		}
	}
	if w.provider().contents() != before || len(w.provider().records()) != leaves {
		t.Error("a repeat changed something")
	}
	receipts, err = w.provider().Publish(t.Context(), publisher, "", firms, run(5, 6))
	must(t, err)
	if !receipts[0].Duplicate || receipts[0].Sequence != 5 || receipts[1].Duplicate || receipts[1].Sequence != 6 {
		t.Errorf("old and new together: %+v", receipts)
	}
}

func TestSameEventTwiceInOneRequestIsKeptOnce(t *testing.T) {
	w, _ := fake(t)
	receipts, err := w.provider().Publish(t.Context(), publisher, "", firms, []cloudevent.Event{sample(1), sample(1), sample(2)})
	must(t, err)
	if receipts[0].Sequence != 1 || receipts[1].Sequence != 1 || !receipts[1].Duplicate || receipts[2].Sequence != 2 {
		t.Errorf("%+v", receipts)
	}
}

func TestConflictingContentWritesNothingOfTheRequest(t *testing.T) { // S02
	for name, events := range map[string][]cloudevent.Event{
		"with an accepted event":   {sample(7), sample(1, "other"), sample(8)},
		"within the request":       {sample(7), sample(8), sample(7, "other")},
		"after a faithful repeat":  {sample(1), sample(7), sample(1, "other")},
		"first, before new events": {sample(1, "other"), sample(7)},
	} {
		t.Run(name, func(t *testing.T) {
			w, _ := fake(t)
			w.publish(1, 3)
			refusal(t, w, bus.CodeEventConflict, func() error {
				_, err := w.provider().Publish(t.Context(), publisher, "r", firms, events)
				return err
			})
			receipts, err := w.provider().Publish(t.Context(), publisher, "", firms, []cloudevent.Event{sample(7)})
			must(t, err)
			if receipts[0].Duplicate || receipts[0].Sequence != 4 {
				t.Errorf("an event of the refused request was kept: %+v", receipts[0])
			}
		})
	}
}

// refusal demands that do is refused with a code, leaves one leaf, and changes
// nothing else.
func refusal(t *testing.T, w *world, code bus.Code, do func() error) audit.Record {
	t.Helper()
	before, leaves := w.provider().contents(), len(w.provider().records())
	wantCode(t, do(), code)
	if w.provider().contents() != before {
		t.Error("the refused request changed something")
	}
	added := w.provider().records()[leaves:]
	if len(added) != 1 {
		t.Fatalf("%d leaves: %+v", len(added), added)
	}
	w.provider().verify()
	return added[0]
}

func TestRefusedPublicationLeavesOneLeafAndNothingElse(t *testing.T) {
	foreign, deeper := sample(9), sample(9)
	foreign.SetSource("/systems/th-approval")
	deeper.SetSource("/systems/sz-register-2")
	for _, tt := range []struct {
		name     string
		by       bus.Principal
		resource bus.ResourceID
		event    cloudevent.Event
		code     bus.Code
	}{
		{"source of another system", publisher, firms, foreign, bus.CodeSourceMismatch}, // S01
		{"source that begins alike", publisher, firms, deeper, bus.CodeSourceMismatch},
		{"unknown resource", publisher, "absent", sample(9), bus.CodeNotFound},
		{"unknown system", bus.Principal{System: "ghost", Department: market}, firms, sample(9), bus.CodeSourceMismatch},
		{"unknown department", bus.Principal{System: publisher.System, Department: "nobody"}, firms, sample(9), bus.CodeForbidden},
		{"resource served elsewhere", puller, "th-list", foreign, bus.CodeWrongNode},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w, _ := fake(t)
			elsewhere := resource()
			elsewhere.ID, elsewhere.Codes, elsewhere.Provider = "th-list", []bus.ResourceCode{"305001/2"}, services
			w.catalogue(puller, elsewhere)
			w.publish(1, 2)
			leaf := refusal(t, w, tt.code, func() error {
				_, err := w.provider().Publish(t.Context(), tt.by, "r-1", tt.resource, []cloudevent.Event{sample(3), tt.event})
				return err
			})
			if leaf.Kind != audit.KindRefused || leaf.Code != tt.code || leaf.Principal != tt.by || leaf.Request != "r-1" {
				t.Errorf("%+v", leaf)
			}
		})
	}
}

func TestDeniedPublicationLeavesItsDecision(t *testing.T) {
	for reason, code := range map[string]bus.Code{"publisher-not-owner": bus.CodeDenied, policy.CodeTimeout: bus.CodeUndecided} {
		w, d := fake(t)
		d.follow(always(refuse(reason)))
		leaf := refusal(t, w, code, func() error {
			_, err := w.provider().Publish(t.Context(), publisher, "r", firms, run(1, 1))
			return err
		})
		if leaf.Kind != audit.KindDecision || leaf.Decision.Allow || leaf.Decision.Reasons[0].Code != reason {
			t.Errorf("%+v", leaf)
		}
	}
}

func TestRealPolicyLetsOnlyTheOwnerPublish(t *testing.T) {
	w := newWorld(t, engine(t))
	w.publish(1, 1)
	foreign := sample(1)
	foreign.SetSource("/systems/" + string(stranger.System))
	leaf := refusal(t, w, bus.CodeDenied, func() error {
		_, err := w.provider().Publish(t.Context(), stranger, "", firms, []cloudevent.Event{foreign})
		return err
	})
	if leaf.Kind != audit.KindDecision || leaf.Decision.Reasons[0].Code != "publisher-not-owner" {
		t.Errorf("%+v", leaf)
	}
}

func TestHangingUpDoesNotEscapeTheRecord(t *testing.T) {
	for range 20 { // a select between a gone caller and a free queue is a coin toss
		w, d := fake(t)
		d.follow(always(refuse("publisher-not-owner")))
		gone, cancel := context.WithCancel(t.Context())
		cancel()
		foreign := sample(1)
		foreign.SetSource("/systems/other")
		for code, event := range map[bus.Code]cloudevent.Event{bus.CodeSourceMismatch: foreign, bus.CodeDenied: sample(1)} {
			refusal(t, w, code, func() error {
				_, err := w.provider().Publish(gone, publisher, "", firms, []cloudevent.Event{event})
				return err
			})
		}
	}
}

func TestDuplicateIsFoundAcrossBlocksAndAfterReopening(t *testing.T) {
	raced.Later(t)
	w, _ := fake(t)
	const block = 1 << 16
	w.publish(1, block+2000)
	check := func(when string) {
		for _, n := range []int{1, 2, block - 1, block, block + 1, block + 2000} {
			receipts, err := w.provider().Publish(t.Context(), publisher, "", firms, run(n, n))
			must(t, err)
			if !receipts[0].Duplicate || receipts[0].Sequence != uint64(n) {
				t.Errorf("%s, event %d: %+v", when, n, receipts[0])
			}
			_, err = w.provider().Publish(t.Context(), publisher, "", firms, []cloudevent.Event{sample(n, "other")})
			wantCode(t, err, bus.CodeEventConflict)
		}
	}
	check("as written")
	w.provider().reopen()
	check("after reopening")
	receipts, err := w.provider().Publish(t.Context(), publisher, "", firms, []cloudevent.Event{sample(block + 2001), sample(block), sample(3)})
	must(t, err)
	if receipts[0].Sequence != block+2001 || receipts[1].Sequence != block || receipts[2].Sequence != 3 {
		t.Errorf("new and old of both blocks: %+v", receipts)
	}
	w.clock.advance(kept + time.Hour)
	must(t, w.provider().Trim(t.Context()))
	for _, again := range []string{"", " after reopening"} {
		receipts, err = w.provider().Publish(t.Context(), publisher, "", firms, []cloudevent.Event{sample(block + 2000), sample(2)})
		must(t, err)
		if !receipts[0].Duplicate || receipts[1].Sequence != block+2002 {
			t.Errorf("once the first block is forgotten%s: %+v", again, receipts)
		}
		w.provider().reopen()
	}
	w.provider().verify()
}

func TestSameIDOfAnotherSourceOrResourceIsAnotherEvent(t *testing.T) {
	w, _ := fake(t)
	second := resource()
	second.ID, second.Codes = "sz-more", []bus.ResourceCode{"305001/2"}
	w.catalogue(publisher, second)
	below := sample(1)
	below.SetSource(sample(1).Source() + "/branch")
	for i, tt := range []struct {
		resource bus.ResourceID
		event    cloudevent.Event
		sequence uint64
	}{{firms, sample(1), 1}, {firms, below, 2}, {"sz-more", sample(1), 1}} {
		receipts, err := w.provider().Publish(t.Context(), publisher, "", tt.resource, []cloudevent.Event{tt.event})
		must(t, err)
		if receipts[0].Duplicate || receipts[0].Sequence != tt.sequence {
			t.Errorf("%d: %+v", i, receipts[0])
		}
	}
	found, err := w.provider().Occurrences("1")
	must(t, err)
	if len(found) != 3 {
		t.Errorf("found by id alone: %+v", found)
	}
}

func TestManyPublishersOfTheSameEventsKeepEachOnce(t *testing.T) {
	w, _ := fake(t)
	const publishers, events = 8, 50
	var wg sync.WaitGroup
	sequences := make([][]uint64, publishers)
	for p := range publishers {
		wg.Go(func() {
			for n := range events {
				receipts, err := w.provider().Publish(t.Context(), publisher, "", firms, run(n, n))
				if err != nil {
					t.Error(err)
					return
				}
				sequences[p] = append(sequences[p], receipts[0].Sequence)
			}
		})
	}
	wg.Wait()
	for p := range publishers {
		if !slices.Equal(sequences[p], sequences[0]) {
			t.Fatalf("publishers hold different receipts for the same events:\n%v\n%v", sequences[p], sequences[0])
		}
	}
	seen := slices.Clone(sequences[0])
	slices.Sort(seen)
	if seen = slices.Compact(seen); len(seen) != events || seen[events-1] != events {
		t.Errorf("%d numbers up to %d", len(seen), seen[len(seen)-1])
	}
	w.provider().verify()
}

// engine is the real policy decision point with the layers of the release.
func engine(tb testing.TB) *policy.Engine {
	tb.Helper()
	e := unloaded(tb)
	e.Load(nil)
	return e
}

// unloaded is the policy decision point as a node begins with it.
func unloaded(tb testing.TB) *policy.Engine {
	tb.Helper()
	e, err := policy.New(policy.Options{Deadline: patience, CompileLimit: patience})
	must(tb, err)
	return e
}
