package replay_test

import (
	"bytes"
	"encoding/json"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"github.com/gxbus/gxbus/pkg/audit"
	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/decision"
	"github.com/gxbus/gxbus/pkg/decision/replay"
	"github.com/gxbus/gxbus/pkg/policy"
	"github.com/gxbus/gxbus/pkg/raced"
)

// What a replay says of a draft is what activating it
// then does, call by call.
func TestAReplayReportsExactlyTheFlipsThatActivationProduces(t *testing.T) {
	many, few := 10_000, 1_000
	if raced.Enabled {
		many, few = 800, 800
	}
	before := []bus.Layer{
		layer(city, 5, deny("city-office-hours", `time.clock(time.parse_rfc3339_ns(input.time))[0] >= 3`)+`masks := {"address": {"method": "null"}}`),
		layer(province, 6, deny("no-note-for-reference", `input.purpose == "reference"; input.resource.items[_].grade == 4`)),
	}
	for name, c := range map[string]struct {
		calls int
		draft bus.Layer
	}{
		"a draft that forbids a purpose in place of another text": {many, layer(city, 9, deny("no-collaboration", `input.purpose == "collaboration"`)+`masks := {"address": {"method": "null"}}`)},
		"a draft of a layer that was not there":                   {few, layer("division/440106", 9, deny("no-verification", `input.purpose == "verification"`))},
		"the removal of a layer":                                  {few, bus.Layer{ID: city}},
		"a draft that allows more, and masks otherwise":           {few, layer(province, 9, `masks := {"name": {"method": "null"}} if input.matter == "440100001"`)},
	} {
		t.Run(name, func(t *testing.T) {
			w, inputs, draft := newWorld(t, before...), calls(c.calls), c.draft
			var old []bus.Decision
			for batch := range slices.Chunk(inputs, 500) {
				old = append(old, w.decide(batch...)...)
			}
			part := w.replay(&replay.Replayer{Draft: w.candidate(draft)})

			then := slices.DeleteFunc(slices.Clone(before), func(l bus.Layer) bool { return l.ID == draft.ID })
			if len(draft.Modules) > 0 {
				then = append(then, draft)
			}
			w.engine.Load(then)
			want, queries := map[string]decision.Change{}, 0
			for i, in := range inputs {
				now := w.engine.Decide(t.Context(), in)
				change, _, _ := decision.Compare(outcomeOf(old[i]), outcomeOf(now))
				if change != "" {
					want[old[i].ID] = change
					if in.Action == policy.ActionQuery {
						queries++
					}
				}
			}
			got := map[string]decision.Change{}
			for _, f := range part.Flips {
				got[f.DecisionID] = f.Change
			}
			if !maps.Equal(got, want) || len(got) != len(part.Flips) || len(want) < 10 || queries == 0 || part.Undecided != 0 {
				t.Fatalf("the replay reports %d flips in %+v, activation gives %d, of queries %d", len(got), part.Counts, len(want), queries)
			}
			if part.Decisions != len(inputs) || part.Apart+part.Same+part.Reworded+part.Flipped() != part.Decisions {
				t.Errorf("the counts do not add up: %+v", part.Counts)
			}
			t.Logf("%d decisions: %+v", part.Decisions, part.Counts)
			if offline := replayExport(t, w.export(), &replay.Replayer{Draft: w.candidate(draft)}); !reflect.DeepEqual(offline, part) {
				t.Errorf("on the export: %+v, on the log: %+v", offline.Counts, part.Counts)
			}
		})
	}
}

func outcomeOf(d bus.Decision) decision.Outcome {
	return decision.Outcome{Allow: d.Allow, Reasons: d.Reasons, Obligations: d.Obligations}
}

func TestWhatAReplayCannotTellIsNeverCountedAsUnchanged(t *testing.T) {
	strict := layer(city, 9, deny("no-collaboration", `input.purpose == "collaboration"`))
	base := func(change func(*policy.Input)) policy.Input {
		in := calls(1)[0]
		in.Consumer, in.Purpose, in.Case = consumers[0], bus.PurposeCollaboration, "440106-2026-000001"
		change(&in)
		return in
	}
	for name, c := range map[string]struct {
		draft  bus.Layer
		record func(*audit.Record)
		why    decision.Why
	}{
		"a record of before grounds were kept": {strict, func(r *audit.Record) { r.Decision.Grounds = nil }, decision.NoGrounds},
		"a layer was not heard":                {strict, func(r *audit.Record) { drop(r, province) }, decision.Incomplete},
		"a layer gave no answer in time": {strict, func(r *audit.Record) {
			r.Decision.Grounds.Verdicts[1].Reasons = []bus.Reason{{Layer: r.Decision.Grounds.Verdicts[1].Layer, Code: policy.CodeTimeout}}
		}, decision.Incomplete},
		"a verdict was edited": {strict, func(r *audit.Record) {
			r.Decision.Grounds.Verdicts[0].Reasons = []bus.Reason{{Layer: bus.BaseLayer, Code: "invented"}}
		}, decision.Otherwise},
		"more than policy decided": {strict, func(r *audit.Record) {
			r.Decision.Allow, r.Decision.Reasons = false, []bus.Reason{{Layer: bus.BaseLayer, Code: "quota"}}
		}, decision.Otherwise},
		"the draft reads what is masked":      {layer(city, 9, deny("x", `startswith(input.case, "440106")`)), nil, decision.MaskedRead},
		"it reads it out of the whole input":  {layer(city, 9, deny("x", `object.get(input, "case", "") == "440106-2026-000001"`)), nil, decision.MaskedRead},
		"it reads it by a name it works out":  {layer(city, 9, deny("x", `some k in ["case"]; input[k] == "440106-2026-000001"`)), nil, decision.MaskedRead},
		"it reads another value: it can tell": {layer(city, 9, deny("x", `input.matter == "none"`)), nil, ""},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, layer(province, 6, deny("never", `input.purpose == "none"`)))
			in := base(func(*policy.Input) {})
			d := w.engine.Decide(t.Context(), in)
			record := audit.Record{Kind: audit.KindDecision, At: start, Decision: &d}
			if c.record != nil {
				c.record(&record)
			}
			w.record(record)
			part := w.replay(&replay.Replayer{Draft: w.candidate(c.draft)})
			if c.why == "" {
				if part.Undecided != 0 || part.Same+part.Reworded+part.Flipped() != 1 {
					t.Errorf("%+v", part)
				}
				return
			}
			if part.Undecided != 1 || len(part.Unclear) != 1 || part.Unclear[0].Why != c.why || part.Same+part.Reworded+part.Flipped() != 0 {
				t.Errorf("%+v, want undecided: %s", part, c.why)
			}
		})
	}
}

func drop(r *audit.Record, id bus.LayerID) {
	r.Decision.Grounds.Verdicts = slices.DeleteFunc(r.Decision.Grounds.Verdicts, func(v bus.Verdict) bool { return v.Layer == id })
}

func TestAReplayKeepsToItsWindow(t *testing.T) {
	w := newWorld(t)
	w.decide(calls(100)...)
	draft := w.candidate(layer(city, 9, deny("stop", "true")))
	part := w.replay(&replay.Replayer{Draft: draft, Since: start.Add(20 * time.Second), Until: start.Add(50 * time.Second)})
	if part.Decisions != 30 {
		t.Errorf("%d decisions from second 20 to 50, want 30", part.Decisions)
	}
}

func TestMaskedValuesAreInNoRecord(t *testing.T) {
	const canary = "CANARY-4f1d"
	w := newWorld(t)
	in := calls(1)[0]
	in.Case = canary + "case"
	in.Event = policy.Event{"subject": canary + "subject", "id": canary + "id", "operator": canary + "operator", "type": "cn.gov.sample", "source": "urn:sample"}
	d := w.decide(in)[0]
	file := w.export()
	for line := range bytes.Lines(file) {
		var data struct{ Data, Text []byte }
		check(t, json.Unmarshal(line, &data))
		if bytes.Contains(line, []byte(canary)) || bytes.Contains(data.Data, []byte(canary)) || bytes.Contains(data.Text, []byte(canary)) {
			t.Errorf("a masked value is in the evidence: %s %s %s", line, data.Data, data.Text)
		}
	}
	e := w.event(d.ID)
	if want := []string{"/input/case", "/input/event/id", "/input/event/operator", "/input/event/subject"}; !slices.Equal(e.Masked, want) {
		t.Errorf("masked %q, want %q", e.Masked, want)
	}
	if !strings.Contains(string(e.Input), `"source":"urn:sample"`) || !strings.Contains(string(e.Input), policy.MaskedValue) || strings.Contains(string(e.Input), canary) {
		t.Errorf("input %s", e.Input)
	}
}

func (w *world) event(id string) (e decision.Event) {
	w.t.Helper()
	check(w.t, w.db.View(func(tx *bbolt.Tx) error {
		reader, err := w.log.Reader(tx)
		if err != nil {
			return err
		}
		leaf, err := reader.Decision(id)
		e = replay.Event(leaf, reader)
		return err
	}))
	return e
}

func TestADecisionHasTheFormOfADecisionLog(t *testing.T) {
	w := newWorld(t, layer(city, 9, deny("no-collaboration", `input.purpose == "collaboration"`)))
	in := calls(1)[0]
	in.Consumer, in.Purpose = consumers[0], bus.PurposeCollaboration
	d := w.decide(in)[0]
	data, err := json.Marshal(w.event(d.ID))
	check(t, err)
	var e struct {
		Labels     map[string]string
		DecisionID string `json:"decision_id"`
		Bundles    map[string]struct{ Revision string }
		Path       string
		Input      policy.Input
		Result     struct {
			Allow    bool
			Verdicts []bus.Verdict
		}
		RequestedBy string `json:"requested_by"`
		Timestamp   time.Time
		Metrics     map[string]int64
	}
	check(t, json.Unmarshal(data, &e))
	if e.Labels["node"] != "guangzhou" || e.DecisionID != d.ID || e.Path != "gxbus" || e.RequestedBy == "" || !e.Timestamp.Equal(d.At) ||
		e.Metrics["timer_rego_query_eval_ns"] <= 0 || e.Bundles[string(city)].Revision != "9" || !strings.HasPrefix(e.Bundles["base"].Revision, "sha256:") {
		t.Errorf("%s", data)
	}
	if e.Input.Purpose != in.Purpose || e.Input.Resource.ID != in.Resource.ID || e.Input.Directory.Index != in.Directory.Index || e.Result.Allow {
		t.Errorf("%s", data)
	}
	i := slices.IndexFunc(e.Result.Verdicts, func(v bus.Verdict) bool { return v.Layer == city })
	if i < 0 || !slices.Equal(e.Result.Verdicts[i].Fired, []bus.Rule{{Name: "deny", Code: "no-collaboration", File: "rules.rego", Row: 3}}) {
		t.Errorf("verdicts %+v", e.Result.Verdicts)
	}
}

// Whatever a record's grounds hold, a replay ends, and does not call it unchanged.
func FuzzGrounds(f *testing.F) {
	w := newWorld(f, layer(province, 6, deny("never", `input.purpose == "none"`)))
	d := w.engine.Decide(f.Context(), calls(1)[0])
	call, facts, _, err := d.Grounds.Input.Split()
	check(f, err)
	verdicts, err := json.Marshal(audit.Verdicts{Base: d.Grounds.Base, Verdicts: d.Grounds.Verdicts})
	check(f, err)
	f.Add(call, facts, verdicts)
	f.Add([]byte(`{"version":1}`), []byte(`{}`), []byte(`{"verdicts":[{"layer":"base","allow":true}]}`))
	f.Add([]byte(`{"version":1,"consumer":{}}`), []byte(`{"grant":null}`), []byte(`null`))
	draft := w.candidate(layer(city, 9, deny("stop", "true")))
	f.Fuzz(func(t *testing.T, call, facts, verdicts []byte) {
		made := d
		made.Grounds = nil
		record := audit.Record{Kind: audit.KindDecision, At: start, Decision: &made, Grounds: &audit.Grounds{
			Call: call, Facts: audit.PartDigest(facts), Verdicts: audit.PartDigest(verdicts),
		}}
		parts := held{record.Grounds.Facts: facts, record.Grounds.Verdicts: verdicts}
		var p decision.Replayed
		check(t, (&replay.Replayer{Draft: draft}).Add(t.Context(), &p, audit.Leaf{Record: record}, parts))
		if p.Decisions != 1 || p.Apart+p.Same+p.Reworded+p.Flipped()+p.Undecided != 1 {
			t.Errorf("%+v", p)
		}
		if _, err := json.Marshal(replay.Event(audit.Leaf{Record: record}, parts)); err != nil {
			t.Error(err)
		}
	})
}

// held are parts by their digests.
type held map[string][]byte

func (h held) Part(digest string) ([]byte, error) {
	if text, ok := h[digest]; ok {
		return text, nil
	}
	return nil, bus.NotFound("part", digest)
}

// BenchmarkPolicyReplay measures the replay of recorded decisions; ratio is to asking the
// draft alone, with the inputs at hand.
func BenchmarkPolicyReplay(b *testing.B) {
	w := newWorld(b, layer(city, 5, deny("never", `input.purpose == "none"`)), layer(province, 6, deny("never", `input.purpose == "none"`)))
	inputs := calls(2_000)
	w.decide(inputs...)
	draft := w.candidate(layer(city, 9, deny("no-collaboration", `input.purpose == "collaboration"`)))
	n := 0
	for b.Loop() {
		n += w.replay(&replay.Replayer{Draft: draft}).Decisions
	}
	mine := b.Elapsed() / time.Duration(n)
	b.StopTimer()
	begin, asked := time.Now(), 0
	for range b.N {
		for _, in := range inputs {
			if draft.Applies(in) {
				draft.Ask(b.Context(), in)
			}
			asked++
		}
	}
	bare := time.Since(begin) / time.Duration(asked)
	b.ReportMetric(float64(time.Second)/float64(mine), "decisions/s")
	b.ReportMetric(float64(time.Second)/float64(bare), "baseline")
	b.ReportMetric(float64(bare)/float64(mine), "ratio")
}
