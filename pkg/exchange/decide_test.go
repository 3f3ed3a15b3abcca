package exchange_test

import (
	"fmt"
	"slices"
	"testing"

	cloudevent "github.com/cloudevents/sdk-go/v2/event"

	"github.com/gxbus/gxbus/pkg/audit"
	"github.com/gxbus/gxbus/pkg/bus"
)

// lookingWorld has a layer of the provider's city that looks at events.
func lookingWorld(t *testing.T, rules string) *world {
	t.Helper()
	e := engine(t)
	e.Load([]bus.Layer{{ID: "division/440300", Revision: 1, Modules: map[string]string{"rules.rego": "package gxbus.division.d440300\n" + rules}}})
	w := newWorld(t, e)
	w.subscribe(sub, puller)
	return w
}

// looking is a rule for the events of a type.
func looking(rule, action, eventType string) string {
	return fmt.Sprintf("%s contains {\"code\": \"of-a-type\", \"zh\": \"示例\", \"en\": \"a sample\"} if {\n\tinput.action == %q\n\tinput.event.type == %q\n}\n", rule, action, eventType)
}

// typed makes events of these types, numbered from 1.
func typed(types ...string) (events []cloudevent.Event) {
	for i, kind := range types {
		e := sample(i + 1)
		e.SetType(kind)
		events = append(events, e)
	}
	return events
}

// ranges are the first and last sequence numbers of records, and how many events.
func ranges(records []audit.Record) (all [][3]uint64) {
	for _, r := range records {
		all = append(all, [3]uint64{r.First, r.Last, uint64(r.Events)})
	}
	return all
}

func TestOfABatchOnlyTheEventsThatAreDeniedStay(t *testing.T) {
	w := lookingWorld(t, looking("deny", "forward", "b"))
	w.publishAll(typed("a", "a", "b", "b", "a", "b", "c")...)
	w.settled(sub, 7)
	if got := ids(w.pullAll()); !slices.Equal(got, []int{1, 2, 5, 7}) {
		t.Errorf("came: %v", got)
	}
	if got, want := ranges(w.provider().records(audit.KindWithheld)), [][3]uint64{{3, 4, 2}, {6, 6, 1}}; !slices.Equal(got, want) {
		t.Errorf("withheld: %v, want %v", got, want)
	}
	for _, r := range w.provider().records(audit.KindDecision) {
		if d := r.Decision; d.Action == "forward" && d.Allow == (r.First == 3 || r.First == 6) {
			t.Errorf("of events %d to %d: %+v", r.First, r.Last, d)
		}
	}
	w.provider().verify()
}

func TestAnEventThatIsHeldHoldsWhatComesAfterIt(t *testing.T) {
	w := lookingWorld(t, looking("hold", "forward", "b"))
	w.publishAll(typed("a", "b", "a")...)
	w.settled(sub, 1)
	eventually(t, "the second is held", func() error {
		for _, r := range w.provider().records(audit.KindDecision) {
			if r.Decision.Action == "forward" && !r.Decision.Allow && r.First == 2 && r.Last == 2 {
				return nil
			}
		}
		return fmt.Errorf("not on record")
	})
	if at := w.provider().cursor(sub); at != 2 {
		t.Errorf("the cursor is at %d", at)
	}
	if got := ids(w.received(1)); !slices.Equal(got, []int{1}) {
		t.Errorf("came: %v", got)
	}
}

func TestAtHandOutADeniedEventDropsAlone(t *testing.T) {
	w := lookingWorld(t, looking("deny", "deliver", "b"))
	w.publishAll(typed("b", "b", "a", "b", "a", "b")...)
	w.settled(sub, 6)
	if got := ids(w.pullAll()); !slices.Equal(got, []int{3, 5}) {
		t.Errorf("came: %v", got)
	}
	if got, want := ranges(w.consumer().records(audit.KindWithheld)), [][3]uint64{{1, 2, 2}, {4, 4, 1}, {6, 6, 1}}; !slices.Equal(got, want) {
		t.Errorf("withheld: %v, want %v", got, want)
	}
	w.consumer().verify()
}

func TestAPublicationIsDeniedForOneEvent(t *testing.T) {
	w := lookingWorld(t, looking("deny", "publish", "b")+looking("masks[\"phone\"] := {\"method\": \"null\"} if false\n\ndeny", "publish", "never"))
	_, err := w.provider().Publish(t.Context(), publisher, "", firms, typed("a", "a", "b", "a"))
	wantCode(t, err, bus.CodeDenied)
	if e := err.(*bus.Error); !slices.ContainsFunc(e.Defects, func(d bus.Defect) bool { return d.Field == "[2]" }) {
		t.Errorf("defects %+v; want the event named", e.Defects)
	}
	w.publishAll(typed("a", "c")...)
	w.publishAll(typed("a", "c", "a")...) // one of them is new
	if got, want := ranges(w.provider().records(audit.KindAccepted)), [][3]uint64{{1, 2, 2}, {3, 3, 1}}; !slices.Equal(got, want) {
		t.Errorf("accepted: %v, want %v", got, want)
	}
	w.provider().verify()
}

// Where events come out otherwise but pass, each run has its decision.
func TestAPublicationOfTwoKindsHasTwoDecisions(t *testing.T) {
	w := lookingWorld(t, "limits contains {\"limit\": 9, \"per\": \"minute\", \"key\": \"consumer\"} if input.event.type == \"b\"\n")
	w.publishAll(typed("a", "b", "b", "a")...)
	accepted := w.provider().records(audit.KindAccepted)
	if got, want := ranges(accepted), [][3]uint64{{1, 1, 1}, {2, 3, 2}, {4, 4, 1}}; !slices.Equal(got, want) {
		t.Errorf("accepted: %v, want %v", got, want)
	}
	seen := map[string]bool{}
	for _, r := range accepted {
		seen[r.DecisionID] = true
	}
	if len(seen) != 3 {
		t.Errorf("decisions %v", seen)
	}
}
