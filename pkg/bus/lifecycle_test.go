package bus_test

import (
	"strings"
	"testing"

	"github.com/gxbus/gxbus/pkg/bus"
)

func TestTheLifeOfACatalogueEntry(t *testing.T) {
	states := []bus.EntryState{bus.StateNone, bus.StateDraft, bus.StateInReview, bus.StateReturned, bus.StatePublished, bus.StateWithdrawing, bus.StateWithdrawn}
	steps := []bus.EntryStep{bus.StepCompile, bus.StepDiscard, bus.StepSubmit, bus.StepWithdraw, bus.StepApprove, bus.StepReturn}
	allowed := map[string]bus.EntryState{
		"/compile": bus.StateDraft, "draft/compile": bus.StateDraft, "returned/compile": bus.StateDraft, "published/compile": bus.StateDraft,
		"draft/submit": bus.StateInReview, "returned/submit": bus.StateInReview,
		"in-review/approve": bus.StatePublished, "in-review/return": bus.StateReturned,
		"draft/discard": bus.StateNone, "returned/discard": bus.StateNone,
		"published/withdraw":           bus.StateWithdrawing,
		"withdrawal-in-review/approve": bus.StateWithdrawn, "withdrawal-in-review/return": bus.StatePublished,
	}
	for _, s := range states {
		for _, step := range steps {
			name := string(s) + "/" + string(step)
			want, ok := allowed[name]
			got, err := s.After(step)
			switch {
			case ok && (err != nil || got != want):
				t.Errorf("%s: %q, %v; want %q", name, got, err, want)
			case !ok && (bus.CodeOf(err) != bus.CodeWrongState || got != s):
				t.Errorf("%s: %q, %v; want a refusal", name, got, err)
			}
		}
	}
}

func TestIDsMadeFromCodes(t *testing.T) {
	for code, want := range map[bus.ResourceCode]bus.ResourceID{"307001/1": "307001-1", "3010010001/000001": "3010010001-000001"} {
		if got := bus.ResourceIDOf(code); got != want {
			t.Errorf("%s: %s, want %s", code, got, want)
		}
	}
	seen := map[bus.ResourceID]bus.ResourceCode{}
	for _, tail := range []string{"1", "01", "ab", "Ab", "aB", strings.Repeat("1", 60), strings.Repeat("1", 61), strings.Repeat("1", 100)} {
		code := bus.ResourceCode("307001/" + tail)
		id := bus.ResourceIDOf(code)
		if d := bus.CheckID("id", id); d != nil {
			t.Errorf("%s gives %q: %v", code, id, d)
		}
		if other, ok := seen[id]; ok {
			t.Errorf("%s and %s share %s", code, other, id)
		}
		seen[id] = code
	}
}
