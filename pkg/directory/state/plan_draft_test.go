package state_test

import (
	"testing"

	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/directory/command"
	"github.com/gxbus/gxbus/pkg/directory/state"
)

func content(r bus.Resource) bus.DraftContent {
	return bus.DraftContent{Resource: r, Clearance: bus.Clearance{SecrecyReview: "样例保密审查 1 号", Consent: "样例负责人"}}
}

// outcomes gives the outcome, state and code of rows, a word each.
func outcomes(rows []bus.ImportRow) []string {
	var words []string
	for _, r := range rows {
		words = append(words, string(r.Outcome)+" "+string(r.State)+" "+string(r.Code))
	}
	return words
}

func wantRows(t *testing.T, what string, rows []bus.ImportRow, want ...string) {
	t.Helper()
	got := outcomes(rows)
	if len(got) != len(want) {
		t.Fatalf("%s: %q, want %q", what, got, want)
	}
	for i := range got {
		if got[i] != want[i] {
			t.Errorf("%s: row %d is %q, want %q: %+v", what, i, got[i], want[i], rows[i])
		}
	}
}

func TestAnImportAnswersEachRowForItself(t *testing.T) {
	w := newWorld(t)
	unnamed := resource("", "307051/1")
	lacking := with(resource("", "307052/1"), func(r *bus.Resource) { r.Abstract, r.Items[0].Grade = "", 0 })
	asked := ask{by: byMarket, typ: command.DraftImport, request: "import-1", body: command.Import{Submit: true, Drafts: []bus.DraftContent{
		content(unnamed),
		content(lacking),
		content(with(resource("theirs", "307053/1"), func(r *bus.Resource) { r.Provider = housing })),
		content(with(resource("secret", "307054/1"), func(r *bus.Resource) { r.Secrecy = "秘密" })),
		content(resource("again", "307051/1")), // the code of the first row
		content(resource("")),
	}}}
	result := w.ask(asked)
	wantRows(t, "first", result.Rows, "created in-review ", "created draft ", "refused  forbidden", "refused  secrecy-marked",
		"refused  invalid-argument", "refused  invalid-argument")
	if id := result.Rows[0].ID; id != bus.ResourceIDOf("307051/1") {
		t.Errorf("the first is called %q", id)
	}
	wantRows(t, "the same request", w.ask(asked).Rows, outcomes(result.Rows)...)
	asked.request = "import-2"
	before := w.contents()
	wantRows(t, "the same content", w.ask(asked).Rows, "unchanged in-review ", "unchanged draft ", "refused  forbidden", "refused  secrecy-marked",
		"refused  invalid-argument", "refused  invalid-argument")
	after := w.contents()
	for key := range after {
		if before[key] != after[key] {
			t.Errorf("%s changed", key)
		}
	}
	w.view(func(tx *state.Tx) {
		if _, ok := tx.Draft("again"); ok {
			t.Error("a refused row left a draft")
		}
	})
}
