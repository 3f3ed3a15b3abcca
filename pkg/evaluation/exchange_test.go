package evaluation_test

import (
	"encoding/json"
	"iter"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/gxbus/gxbus/pkg/audit"
	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/calendar"
	"github.com/gxbus/gxbus/pkg/evaluation"
)

func leaves(records ...audit.Record) iter.Seq2[audit.Leaf, error] {
	return func(yield func(audit.Leaf, error) bool) {
		for i, r := range records {
			if !yield(audit.Leaf{Index: int64(i), Record: r}, nil) {
				return
			}
		}
	}
}

// call is the evidence of a query at one node: asked, and answered as told.
func call(side evaluation.Side, id, when string, change func(*audit.Record)) []audit.Record {
	r := audit.Record{
		At: clock(when), Correlation: id, Resource: "r", Provider: market, Consumer: housing, Purpose: bus.PurposeReference, Matter: "m", Case: "k",
	}
	if side == evaluation.ProviderSide {
		r.Principal.Node = "gz"
	}
	asked, answered := r, r
	asked.Kind, answered.Kind, answered.Status, answered.At = audit.KindAsked, audit.KindAnswered, 200, r.At.Add(40*time.Millisecond)
	if change != nil {
		change(&answered)
	}
	return []audit.Record{asked, answered}
}

// denied is the evidence of a query that a policy denied.
func denied(id, when string) audit.Record {
	return audit.Record{
		Kind: audit.KindDecision, At: clock(when), Correlation: id, Resource: "r", Provider: market, Consumer: housing,
		Decision: &bus.Decision{ID: id, Action: "query", Reasons: []bus.Reason{{Layer: "base", Code: "grant.none"}}},
	}
}

func rollup(t testing.TB, node bus.NodeID, text string, records ...audit.Record) evaluation.Rollup {
	t.Helper()
	date, err := calendar.ParseDate(text)
	if err != nil {
		t.Fatal(err)
	}
	rollups, err := evaluation.Derive(node, leaves(records...), []calendar.Date{date})
	if err != nil {
		t.Fatal(err)
	}
	return rollups[0]
}

// provincial is the material of a small province: market in 越秀, a tenant of the
// city's node gz; housing in 天河 with its own node th.
func provincial(rollups ...evaluation.Rollup) *evaluation.Material {
	m := &evaluation.Material{
		Format: evaluation.MaterialFormat, Cluster: "gd",
		Directory: evaluation.Directory{
			Days: calendar.BuiltIn(), Versions: published(nil),
			Departments: []bus.Department{{ID: market, Name: "样例提供部门", Division: "440104"}, {ID: housing, Name: "样例使用部门", Division: "440106"}},
			Divisions: []bus.Division{
				{Code: "440000", Level: bus.LevelProvince}, {Code: "440100", Level: bus.LevelCity, Parent: "440000", Authority: tax},
				{Code: "440104", Level: bus.LevelCounty, Parent: "440100"}, {Code: "440106", Level: bus.LevelCounty, Parent: "440100"},
			},
			Homes: map[bus.USCC]bus.NodeID{market: "gz", housing: "th"},
			Nodes: []bus.Node{{ID: "gz", Division: "440100"}, {ID: "th", Division: "440106"}},
		},
	}
	m.Rollups.Add(rollups...)
	return m
}

var oneDay = evaluation.Window{From: day("2026-03-02"), To: day("2026-03-03")}

func evaluate(t testing.TB, m *evaluation.Material, w evaluation.Window) evaluation.Report {
	t.Helper()
	scheme := evaluation.DefaultScheme()
	r, err := m.Evaluate(evaluation.Order{
		ID: "sample", Window: w, Scheme: evaluation.SchemeUsed{Digest: evaluation.SchemeDigest(scheme), Scheme: scheme}, At: w.To.Add(24 * time.Hour), Node: "gz",
	})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func figure(t testing.TB, r evaluation.Report, department bus.USCC, id string) evaluation.Figure {
	t.Helper()
	for _, s := range slices.Concat(r.Departments, r.Divisions) {
		if s.Department == department || string(s.Division) == string(department) && s.Department == "" {
			for _, f := range s.Figures {
				if f.Indicator == id {
					return f
				}
			}
		}
	}
	t.Fatalf("no %s of %s", id, department)
	return evaluation.Figure{}
}

// Of seven calls of 03-02: two answered, one of them at the second try under one
// request id; one failed, by a status of 503; one never answered; one denied; one the
// caller's fault; one without a case. D1: 3 of 5, the calls less the denial and the
// caller's fault. F2: of 7, those that passed and had matter, case and purpose: 5.
func TestD1F2Calls(t *testing.T) {
	consumer := slices.Concat(
		call(evaluation.ConsumerSide, "q1", "2026-03-02 09:00", nil),
		call(evaluation.ConsumerSide, "q2", "2026-03-02 09:01", func(r *audit.Record) { r.Status, r.Code = 0, bus.CodeUnavailable }),
		call(evaluation.ConsumerSide, "q2", "2026-03-02 09:02", nil),
		call(evaluation.ConsumerSide, "q3", "2026-03-02 09:03", func(r *audit.Record) { r.Status = 503 }),
		call(evaluation.ConsumerSide, "q4", "2026-03-02 09:04", nil)[:1],
		[]audit.Record{denied("q5", "2026-03-02 09:05")},
		call(evaluation.ConsumerSide, "q6", "2026-03-02 09:06", func(r *audit.Record) { r.Status = 400 }),
		call(evaluation.ConsumerSide, "q7", "2026-03-02 09:07", func(r *audit.Record) { r.Case = "" }),
	)
	provider := slices.Concat(
		call(evaluation.ProviderSide, "q1", "2026-03-02 09:00", nil), call(evaluation.ProviderSide, "q2", "2026-03-02 09:02", nil),
		call(evaluation.ProviderSide, "q7", "2026-03-02 09:07", nil),
	)
	r := evaluate(t, provincial(rollup(t, "th", "2026-03-02", consumer...), rollup(t, "gz", "2026-03-02", provider...)), oneDay)
	for _, c := range []struct {
		who  bus.USCC
		id   string
		want [2]int64
	}{{market, "D1", [2]int64{3, 5}}, {housing, "F2", [2]int64{5, 7}}, {"440104", "D1", [2]int64{3, 5}}, {"440100", "D1", [2]int64{3, 5}}, {"440100", "F2", [2]int64{5, 7}}} {
		if f := figure(t, r, c.who, c.id); f.Numerator != c.want[0] || f.Denominator != c.want[1] {
			t.Errorf("%s of %s: %d/%d, want %v", c.id, c.who, f.Numerator, f.Denominator, c.want)
		}
	}
	if len(r.Reconciliation.Differences) != 0 || r.Reconciliation.Matched != 3 {
		t.Errorf("%+v", r.Reconciliation)
	}
}

// A request id counts once, on the day of its first step; what is answered after
// midnight and before the close counts as answered.
func TestAnExchangeCountsOnceAcrossMidnight(t *testing.T) {
	records := slices.Concat(
		call(evaluation.ConsumerSide, "q1", "2026-03-02 23:59", func(r *audit.Record) { r.Code = bus.CodeUnavailable }),
		call(evaluation.ConsumerSide, "q1", "2026-03-03 00:01", nil),
	)
	for text, want := range map[string]int{"2026-03-02": 1, "2026-03-03": 0} {
		rows := rollup(t, "th", text, records...).Rows
		if len(rows) != want || want == 1 && (rows[0].Outcome != evaluation.Succeeded || rows[0].Count != 1) {
			t.Errorf("%s: %+v", text, rows)
		}
	}
}

// An answer that the provider's node did not confirm is on record twice, and was not
// handed out; one that is asked for again, and fails, was.
func TestAnAnswerThatIsWithdrawnHasFailed(t *testing.T) {
	of := func(decision string, code bus.Code) func(*audit.Record) {
		return func(r *audit.Record) { r.DecisionID, r.Code = decision, code }
	}
	answered := call(evaluation.ConsumerSide, "q1", "2026-03-02 09:00", of("d1", ""))
	for _, c := range []struct {
		decision string
		want     evaluation.Outcome
	}{{"d1", evaluation.Failed}, {"d2", evaluation.Succeeded}} {
		second := call(evaluation.ConsumerSide, "q1", "2026-03-02 09:01", of(c.decision, bus.CodeUnavailable))[1:]
		if rows := rollup(t, "th", "2026-03-02", slices.Concat(answered, second)...).Rows; len(rows) != 1 || rows[0].Outcome != c.want {
			t.Errorf("then %s: %+v", c.decision, rows)
		}
	}
}

func batch(kind audit.Kind, id string, first, last uint64, when string) audit.Record {
	r := audit.Record{
		Kind: kind, At: clock(when), Resource: "r", Subscription: "s", Provider: market, Consumer: housing, First: first, Last: last, Events: int(last - first + 1), DecisionID: id,
	}
	if kind == audit.KindDecision {
		r.Decision = &bus.Decision{ID: id, Action: "forward", Allow: true}
	}
	return r
}

// Three batches set out on 03-02. The first arrived; the second is tried again with
// another decision and arrives in two at the other side; the third is never answered.
// D2 is 2 of 3. B2: events came in on the one day: 1 of 1, 1440 a turn, and B1 1 of 1.
func TestD2B1B2Batches(t *testing.T) {
	provider := []audit.Record{
		{Kind: audit.KindAccepted, At: clock("2026-03-02 09:00"), Resource: "r", Principal: bus.Principal{Department: market}, First: 1, Last: 30, Events: 30},
		batch(audit.KindDecision, "d1", 1, 10, "2026-03-02 09:00"), batch(audit.KindForwarded, "d1", 1, 10, "2026-03-02 09:01"),
		batch(audit.KindDecision, "d2", 11, 15, "2026-03-02 09:02"),
		batch(audit.KindDecision, "d3", 11, 20, "2026-03-02 09:03"), batch(audit.KindForwarded, "d3", 11, 20, "2026-03-02 09:04"),
		batch(audit.KindDecision, "d4", 21, 30, "2026-03-02 09:05"),
	}
	consumer := []audit.Record{
		batch(audit.KindReceived, "d1", 1, 10, "2026-03-02 09:01"), batch(audit.KindReceived, "d2", 11, 15, "2026-03-02 09:02"), batch(audit.KindReceived, "d3", 16, 20, "2026-03-02 09:04"),
	}
	r := evaluate(t, provincial(rollup(t, "gz", "2026-03-02", provider...), rollup(t, "th", "2026-03-02", consumer...)), oneDay)
	for id, want := range map[string][2]int64{"D2": {2, 3}, "B1": {1, 1}, "B2": {1440, 1440}} {
		if f := figure(t, r, market, id); f.Numerator != want[0] || f.Denominator != want[1] {
			t.Errorf("%s: %d/%d, want %v", id, f.Numerator, f.Denominator, want)
		}
	}
	if len(r.Reconciliation.Differences) != 0 {
		t.Errorf("%+v", r.Reconciliation.Differences)
	}
	t.Run("the other side lacks one", func(t *testing.T) {
		r := evaluate(t, provincial(rollup(t, "gz", "2026-03-02", provider...), rollup(t, "th", "2026-03-02", consumer[:2]...)), oneDay)
		if f := figure(t, r, market, "D2"); f.Numerator != 0 || f.Denominator != 3 { // which one is for the evidence to tell: the day's are not reconciled
			t.Errorf("%d/%d", f.Numerator, f.Denominator)
		}
		d := r.Reconciliation.Differences
		if len(d) != 1 || d[0].ProviderCount != 20 || d[0].ConsumerCount != 15 {
			t.Fatalf("%+v", d)
		}
		date := calendar.DateOf(oneDay.From)
		gz, _ := evaluation.Exchanges(leaves(provider...), date)
		th, _ := evaluation.Exchanges(leaves(consumer[:2]...), date)
		d[0].Name(evaluation.Evidenced{Node: "gz", Exchanges: gz}, evaluation.Evidenced{Node: "th", Exchanges: th})
		if len(d[0].Exchanges) != 1 || d[0].Exchanges[0].Exchange != "batch/s/11-20" || d[0].Exchanges[0].Lacks != "th" {
			t.Errorf("%+v", d[0].Exchanges)
		}
	})
}

// Nothing flowed on 03-02, but a probe of the provider's node found its service there:
// since before the day ended, or at some time on it. One that was attached the day after,
// or last answered the day before, was not there.
func TestB1CountsAServiceThatAProbeFoundThere(t *testing.T) {
	for _, c := range []struct {
		name string
		a    bus.Attachment
		want int64
	}{
		{"attached before", bus.Attachment{State: bus.Attached, Since: clock("2026-02-01 09:00"), Heartbeat: clock("2026-03-20 09:00")}, 1},
		{"attached in the last minute", bus.Attachment{State: bus.Attached, Since: clock("2026-03-02 23:59")}, 1},
		{"attached the day after", bus.Attachment{State: bus.Attached, Since: clock("2026-03-03 00:00"), Heartbeat: clock("2026-03-03 00:00")}, 0},
		{"it failed later on the day", bus.Attachment{State: bus.Failing, Since: clock("2026-03-02 18:00"), Heartbeat: clock("2026-03-02 17:00")}, 1},
		{"failing since the day before", bus.Attachment{State: bus.Failing, Since: clock("2026-03-01 18:00"), Heartbeat: clock("2026-03-01 17:00")}, 0},
		{"detached", bus.Attachment{State: bus.Detached, Since: clock("2026-03-01 18:00")}, 0},
	} {
		m := provincial(rollup(t, "gz", "2026-03-02"), rollup(t, "th", "2026-03-02"))
		c.a.Resource = "r"
		m.Directory.Attachments = []bus.Attachment{c.a}
		if f := figure(t, evaluate(t, m, oneDay), market, "B1"); f.Numerator != c.want || f.Denominator != 1 {
			t.Errorf("%s: %d/%d, want %d/1", c.name, f.Numerator, f.Denominator, c.want)
		}
	}
}

// A batch that nobody took on 03-02 goes with the next decision on 03-03: the first day
// has an attempt that failed, the second one that arrived. D2 is 1 of 2, and both sides
// have the same events on record.
func TestABatchThatGoesTheNextDayCountsOnBothSidesThere(t *testing.T) {
	provider := []audit.Record{
		batch(audit.KindDecision, "d1", 1, 10, "2026-03-02 20:00"), batch(audit.KindDecision, "d2", 1, 10, "2026-03-02 21:00"),
		batch(audit.KindDecision, "d3", 1, 20, "2026-03-03 10:00"), batch(audit.KindForwarded, "d3", 1, 20, "2026-03-03 10:01"),
	}
	consumer := []audit.Record{batch(audit.KindReceived, "d3", 1, 20, "2026-03-03 10:01")}
	var rollups []evaluation.Rollup
	for _, text := range []string{"2026-03-02", "2026-03-03"} {
		rollups = append(rollups, rollup(t, "gz", text, provider...), rollup(t, "th", text, consumer...))
	}
	r := evaluate(t, provincial(rollups...), evaluation.Window{From: day("2026-03-02"), To: day("2026-03-04")})
	if f := figure(t, r, market, "D2"); f.Numerator != 1 || f.Denominator != 2 {
		t.Errorf("%d/%d, want 1/2", f.Numerator, f.Denominator)
	}
	if len(r.Reconciliation.Differences) != 0 {
		t.Errorf("%+v", r.Reconciliation.Differences)
	}
}

// In the quarter a daily entry has 90 turns, a weekly one 12 that end in it (the first
// whole week, and that which began on 2025-12-29, end on 01-04; the last ends on
// 03-29: 13 Sundays, 01-04 to 03-29), a monthly one 3, a quarterly one 1, a yearly none.
// Each weighs 1440, the minutes of a day.
func TestB2Turns(t *testing.T) {
	var rollups []evaluation.Rollup
	for d := calendar.DateOf(day("2025-12-29")); d < calendar.DateOf(quarter.To); d++ {
		rollups = append(rollups, rollup(t, "gz", d.String()), rollup(t, "th", d.String()))
	}
	for cycle, want := range map[string]int64{"daily": 90, "weekly": 13, "monthly": 3, "quarterly": 1, "half-yearly": 0, "yearly": 0, "irregular": 0, "realtime": 0} {
		m := provincial(slices.Clone(rollups)...)
		m.Directory.Versions = published(func(v *bus.Version) { v.Resource.UpdateCycle = cycle })
		if f := figure(t, evaluate(t, m, quarter), market, "B2"); f.Denominator != 1440*want || f.Numerator != 0 {
			t.Errorf("%s: %d/%d, want 0/%d", cycle, f.Numerator, f.Denominator, 1440*want)
		}
	}
}

// The provider's node says one success more than there was, or one less, in its
// rollup; or puts one into its evidence that the other side never had.
func TestAFalsifiedCountIsFoundAndItsExchangeNamed(t *testing.T) {
	consumer := slices.Concat(call(evaluation.ConsumerSide, "q1", "2026-03-02 09:00", nil), call(evaluation.ConsumerSide, "q2", "2026-03-02 09:01", nil))
	provider := slices.Concat(call(evaluation.ProviderSide, "q1", "2026-03-02 09:00", nil), call(evaluation.ProviderSide, "q2", "2026-03-02 09:01", nil))
	date := calendar.DateOf(oneDay.From)
	honest, err := evaluation.Exchanges(leaves(provider...), date)
	if err != nil {
		t.Fatal(err)
	}
	th := rollup(t, "th", "2026-03-02", consumer...)
	t.Run("a rollup leaves one out", func(t *testing.T) {
		false1 := rollup(t, "gz", "2026-03-02", provider[:2]...)
		r := evaluate(t, provincial(false1, th), oneDay)
		if d := r.Reconciliation.Differences; len(d) != 1 || d[0].ProviderCount != 1 || d[0].ConsumerCount != 2 || d[0].Resource != "r" {
			t.Fatalf("%+v", d)
		}
		found := evaluation.Deviations(false1, honest)
		if len(found) != 1 || !slices.Equal(found[0].Exchanges, []string{"request/q2"}) {
			t.Errorf("%+v", found)
		}
	})
	t.Run("the report names it, by the evidence of both nodes", func(t *testing.T) {
		m := provincial(rollup(t, "gz", "2026-03-02", provider[:2]...), th)
		r := evaluate(t, m, oneDay)
		logs := map[bus.NodeID][]audit.Record{"gz": provider, "th": consumer}
		m.NameDifferences(&r, func(node bus.NodeID, about evaluation.About, days []calendar.Date) ([]evaluation.Exchange, error) {
			all, err := evaluation.Exchanges(leaves(logs[node]...), days...)
			return slices.DeleteFunc(all, func(x evaluation.Exchange) bool { return !about.Matches(x) }), err
		})
		want := evaluation.Unmatched{Exchange: "request/q2", Has: "gz", Leaf: 3, Lacks: "gz"} // its evidence has it, its rollup does not
		if d := r.Reconciliation.Differences; len(d) != 1 || len(d[0].Exchanges) != 1 || d[0].Exchanges[0] != want {
			t.Errorf("%+v", d)
		}
	})
	t.Run("the same number, another exchange", func(t *testing.T) {
		other := slices.Concat(provider[:2], call(evaluation.ProviderSide, "q3", "2026-03-02 09:01", nil))
		r := evaluate(t, provincial(rollup(t, "gz", "2026-03-02", other...), th), oneDay)
		if d := r.Reconciliation.Differences; len(d) != 1 {
			t.Errorf("%+v", d)
		}
	})
	t.Run("evidence of a call that nobody made", func(t *testing.T) {
		forged := slices.Concat(provider, call(evaluation.ProviderSide, "q9", "2026-03-02 09:09", nil))
		r := evaluate(t, provincial(rollup(t, "gz", "2026-03-02", forged...), th), oneDay)
		d := r.Reconciliation.Differences
		if len(d) != 1 {
			t.Fatalf("%+v", d)
		}
		gz, _ := evaluation.Exchanges(leaves(forged...), date)
		own, _ := evaluation.Exchanges(leaves(consumer...), date)
		d[0].Name(evaluation.Evidenced{Node: "gz", Exchanges: gz}, evaluation.Evidenced{Node: "th", Exchanges: own})
		if len(d[0].Exchanges) != 1 || d[0].Exchanges[0].Exchange != "request/q9" || d[0].Exchanges[0].Has != "gz" || d[0].Exchanges[0].Leaf != 5 {
			t.Errorf("%+v", d[0].Exchanges)
		}
	})
}

// gz serves market, and says of housing, which th serves, that a hundred calls of it to
// market went well, on both sides; th says that there was one, and that it failed: D1 is 0
// of 1, and F2 1 of 1. Of what housing publishes, and its services, gz says nothing that
// counts either. Where housing has been at gz before, its word counts.
func TestANodeSaysNothingOfADepartmentThatItDoesNotServe(t *testing.T) {
	row := func(change func(*evaluation.About)) evaluation.Row {
		about := evaluation.About{Mode: evaluation.ModeInterface, Resource: "r", Provider: market, Consumer: housing, Outcome: evaluation.Succeeded, Within: true, Side: evaluation.ConsumerSide}
		change(&about)
		return evaluation.Row{About: about, Count: 100, Events: 100}
	}
	lying := rollup(t, "gz", "2026-03-02")
	lying.Rows = []evaluation.Row{
		row(func(*evaluation.About) {}),
		row(func(a *evaluation.About) {
			a.Mode, a.Resource, a.Provider, a.Side = evaluation.ModePublish, "h", housing, evaluation.ProviderSide
		}),
		row(func(a *evaluation.About) {
			a.Mode, a.Resource, a.Provider, a.Side = evaluation.ModeHeartbeat, "h", housing, evaluation.ProviderSide
		}),
		row(func(a *evaluation.About) {
			a.Mode, a.Resource, a.Provider, a.Side = evaluation.ModeBatch, "h", housing, evaluation.ProviderSide
		}),
	}
	th := rollup(t, "th", "2026-03-02", call(evaluation.ConsumerSide, "q", "2026-03-02 09:00", func(r *audit.Record) { r.Status = 503 })...)
	for epoch, want := range map[bus.Revision]map[string][2]int64{
		0: {"D1": {0, 1}, "F2": {1, 1}, "B1": {0, 1}, "B2": {0, 1440}, "D2": {0, 0}},
		7: {"D1": {100, 101}, "F2": {101, 101}, "B1": {1, 1}, "B2": {1440, 1440}, "D2": {0, 100}},
	} {
		m := provincial(lying, th)
		m.Directory.Departments[1].Epoch = epoch
		m.Directory.Versions["h"] = published(func(v *bus.Version) { v.Resource.ID, v.Resource.Provider = "h", housing })["r"]
		r := evaluate(t, m, oneDay)
		for id, ratio := range want {
			who := housing
			if id == "D1" {
				who = market
			}
			if f := figure(t, r, who, id); f.Numerator != ratio[0] || f.Denominator != ratio[1] {
				t.Errorf("moved %v, %s: %d/%d, want %v", epoch > 0, id, f.Numerator, f.Denominator, ratio)
			}
		}
		if differs := len(r.Reconciliation.Differences); (differs > 0) != (epoch > 0) {
			t.Errorf("moved %v: %+v", epoch > 0, r.Reconciliation.Differences)
		}
	}
}

// th has not reported: what it would have said is missing, and the provider's word
// counts for the calls; nothing of it is zero.
func TestANodeThatHasNotReportedIsMissingNeverZero(t *testing.T) {
	provider := call(evaluation.ProviderSide, "q1", "2026-03-02 09:00", nil)
	r := evaluate(t, provincial(rollup(t, "gz", "2026-03-02", provider...)), oneDay)
	if f := figure(t, r, housing, "F2"); f.State != evaluation.Missing || f.Missing[0] != "th" {
		t.Errorf("F2 %+v", f)
	}
	if f := figure(t, r, market, "D1"); f.State != evaluation.Counted || f.Numerator != 1 {
		t.Errorf("D1 %+v", f)
	}
	if m := r.Inputs.Missing; len(m) != 1 || m[0].Node != "th" || m[0].Days[0] != "2026-03-02" {
		t.Errorf("%+v", m)
	}
	if len(r.Reconciliation.Differences) != 0 {
		t.Errorf("half of an exchange is no difference while the other half is unknown: %+v", r.Reconciliation.Differences)
	}
	r = evaluate(t, provincial(rollup(t, "th", "2026-03-02")), oneDay)
	for _, id := range []string{"B1", "B2"} {
		if f := figure(t, r, market, id); f.State != evaluation.Missing || f.Denominator != 0 {
			t.Errorf("%s %+v", id, f)
		}
	}
	for _, s := range r.Departments {
		if s.Department == market && s.Unranked == nil {
			t.Error("a department is ranked without what its node would say")
		}
	}
}

func TestALogThatWasCutIsABrokenChain(t *testing.T) {
	first, second := rollup(t, "gz", "2026-03-01"), rollup(t, "gz", "2026-03-02")
	first.To, second.To = 100, 99
	m := provincial(first, second, rollup(t, "th", "2026-03-02"))
	m.Directory.Departments = append(m.Directory.Departments, bus.Department{ID: tax, Division: "440100"})
	for _, s := range evaluate(t, m, oneDay).Departments {
		if got := len(s.Deductions) == 1 && s.Deductions[0].Deduction == "K5"; got != (s.Department == tax) {
			t.Errorf("%s: %+v", s.Department, s.Deductions)
		}
	}
}

// Shuffled, split over nodes, replayed: the figures are the same.
func TestNoOrderSplitOrReplayChangesAFigure(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		outcomes := []func(*audit.Record){nil, func(r *audit.Record) { r.Status = 500 }, func(r *audit.Record) { r.Status = 400 }, func(r *audit.Record) { r.Case = "" }}
		var one, other [][]audit.Record // of two nodes of the consumer's side, and all of them at one
		n := rapid.IntRange(1, 12).Draw(rt, "calls")
		for i := range n {
			records := call(evaluation.ConsumerSide, string(rune('a'+i)), "2026-03-02 09:00", outcomes[rapid.IntRange(0, 3).Draw(rt, "outcome")])
			if rapid.Bool().Draw(rt, "node") {
				one = append(one, records)
			} else {
				other = append(other, records)
			}
		}
		standings := func(rollups ...evaluation.Rollup) string {
			m := provincial(rollups...)
			m.Directory.Nodes = append(m.Directory.Nodes, bus.Node{ID: "yx", Division: "440104"})
			m.Directory.Departments[1].Epoch = 7 // housing was served there before
			m.Directory.Versions = nil
			r := evaluate(t, m, oneDay)
			for i := range r.Departments {
				for k := range r.Departments[i].Figures {
					r.Departments[i].Figures[k].Evidence = nil // names the node that it came from
				}
			}
			text, err := json.Marshal([]any{r.Departments, r.Divisions})
			if err != nil {
				rt.Fatal(err)
			}
			return string(text)
		}
		const text = "2026-03-02"
		all := slices.Concat(one, other)
		shuffled := rapid.Permutation(all).Draw(rt, "order")
		gz := rollup(t, "gz", text)
		want := standings(gz, rollup(t, "yx", text), rollup(t, "th", text, slices.Concat(all...)...))
		if got := standings(rollup(t, "th", text, slices.Concat(shuffled...)...), rollup(t, "yx", text), gz); got != want {
			rt.Errorf("another order: %s\nwant %s", got, want)
		}
		split := []evaluation.Rollup{rollup(t, "th", text, slices.Concat(one...)...), rollup(t, "yx", text, slices.Concat(other...)...), gz}
		if got := standings(slices.Clone(split)...); got != want {
			rt.Errorf("split: %s\nwant %s", got, want)
		}
		if got := standings(slices.Concat(split, split)...); got != want {
			rt.Errorf("replayed: %s\nwant %s", got, want)
		}
	})
}
