package evaluation_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/gxbus/gxbus/pkg/audit"
	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/calendar"
	"github.com/gxbus/gxbus/pkg/evaluation"
)

// instant reads "2026-03-04 23:59:59" in Shanghai.
func instant(text string) time.Time {
	at, err := time.ParseInLocation("2006-01-02 15:04:05", text, calendar.Shanghai)
	if err != nil {
		panic(err)
	}
	return at
}

// begun is evidence that says when its exchange began, and is on record at a time.
func begun(began, recorded string, records ...audit.Record) []audit.Record {
	for i := range records {
		if records[i].Began = instant(began).UTC(); began == "0001-01-01 00:00:00" { // of a release that did not say
			records[i].Began = time.Time{}
		}
		records[i].At = instant(recorded)
	}
	return records
}

const unsaid = "0001-01-01 00:00:00"

// across evaluates 03-02 by itself and with 03-03, from what two nodes have on record,
// with the exchanges behind differences named.
func across(t *testing.T, provider, consumer []audit.Record) (one, two evaluation.Report) {
	t.Helper()
	slices.SortStableFunc(provider, func(a, b audit.Record) int { return a.At.Compare(b.At) })
	slices.SortStableFunc(consumer, func(a, b audit.Record) int { return a.At.Compare(b.At) })
	logs := map[bus.NodeID][]audit.Record{"gz": provider, "th": consumer}
	report := func(w evaluation.Window) evaluation.Report {
		var rollups []evaluation.Rollup
		for _, day := range w.Days() {
			rollups = append(rollups, rollup(t, "gz", day.String(), provider...), rollup(t, "th", day.String(), consumer...))
		}
		m := provincial(rollups...)
		r := evaluate(t, m, w)
		m.NameDifferences(&r, func(node bus.NodeID, about evaluation.About, days []calendar.Date) ([]evaluation.Exchange, error) {
			all, err := evaluation.Exchanges(leaves(logs[node]...), days...)
			return slices.DeleteFunc(all, func(x evaluation.Exchange) bool { return !about.Matches(x) }), err
		})
		return r
	}
	return report(oneDay), report(evaluation.Window{From: oneDay.From, To: day("2026-03-04")})
}

// named lists the differences of a report with the exchanges behind them.
func named(r evaluation.Report) string {
	var list []string
	for _, d := range r.Reconciliation.Differences {
		for _, x := range d.Exchanges {
			list = append(list, fmt.Sprintf("%s %s %s", x.Exchange, x.Has, x.Against()))
		}
		if len(d.Exchanges) == 0 {
			list = append(list, "not named")
		}
	}
	slices.Sort(list)
	return strings.Join(list, "; ")
}

// A call of 23:59:59 comes to the provider's node at 00:00:01. Both have on record that
// it began on 03-02, and there it counts. A node that has another begin on record, or
// none, or makes the call up, is told from it.
func TestACallAcrossMidnightCountsOnOneDayAtBothNodes(t *testing.T) {
	const before, after, began = "2026-03-02 23:59:59", "2026-03-03 00:00:01", "2026-03-02 23:59:59"
	query := func(side evaluation.Side, id, began, recorded string) []audit.Record {
		return begun(began, recorded, call(side, id, "2026-03-02 09:00", nil)...)
	}
	for _, c := range []struct {
		name               string
		provider, consumer []audit.Record
		one, two           int64 // matched on 03-02, and on both days
		differs, later     string
	}{
		{"honest", query(evaluation.ProviderSide, "q", began, after), query(evaluation.ConsumerSide, "q", began, before), 1, 1, "", ""},
		{"the provider's clock is behind", query(evaluation.ProviderSide, "q", "2026-03-03 00:00:01", before), query(evaluation.ConsumerSide, "q", "2026-03-03 00:00:01", after), 0, 1, "", ""},
		{"nobody says when it began: each has it on a day of its own", query(evaluation.ProviderSide, "q", unsaid, after), query(evaluation.ConsumerSide, "q", unsaid, before), 0, 1, "request/q th gz 2026-03-03", ""},
		{"the provider says that it began later", query(evaluation.ProviderSide, "q", after, after), query(evaluation.ConsumerSide, "q", began, before), 0, 1, "request/q th gz 2026-03-03", ""},
		{"the provider says that it began tomorrow: nobody believes it", query(evaluation.ProviderSide, "q", "2026-03-03 09:00:00", before), query(evaluation.ConsumerSide, "q", began, before), 1, 1, "", ""},
		{"the provider says that it began on a day that is closed", query(evaluation.ProviderSide, "q", "2026-03-01 12:00:00", before), query(evaluation.ConsumerSide, "q", began, before), 1, 1, "", ""},
		{"the provider made it up", query(evaluation.ProviderSide, "q", began, after), nil, 0, 0, "request/q gz th", "request/q gz th"},
		{"the provider's evidence lacks it", nil, query(evaluation.ConsumerSide, "q", began, before), 0, 0, "request/q th gz", "request/q th gz"},
		{"of an honest one and one made up the second is named", slices.Concat(query(evaluation.ProviderSide, "q", began, after), query(evaluation.ProviderSide, "z", began, after)),
			query(evaluation.ConsumerSide, "q", began, before), 0, 0, "request/z gz th", "request/z gz th"},
	} {
		one, two := across(t, c.provider, c.consumer)
		if got := named(one); got != c.differs || one.Reconciliation.Matched != c.one {
			t.Errorf("%s: on the day %q, %d matched; want %q, %d", c.name, got, one.Reconciliation.Matched, c.differs, c.one)
		}
		if got := named(two); got != c.later || two.Reconciliation.Matched != c.two {
			t.Errorf("%s: on both days %q, %d matched; want %q, %d", c.name, got, two.Reconciliation.Matched, c.later, c.two)
		}
		if strings.HasSuffix(c.differs, "2026-03-03") && !strings.Contains(one.Reconciliation.Differences[0].Problem.EN, "disagree about the day") {
			t.Errorf("%s: %s", c.name, one.Reconciliation.Differences[0].Problem.EN)
		}
	}
}

// A batch is decided on at 23:59:59 and received at 00:00:01; one is tried over night.
func TestABatchAcrossMidnightCountsOnOneDayAtBothNodes(t *testing.T) {
	const began = "2026-03-02 23:59:59"
	step := func(kind audit.Kind, id, began, recorded string) []audit.Record {
		return begun(began, recorded, batch(kind, id, 1, 10, "2026-03-02 09:00"))
	}
	for _, c := range []struct {
		name               string
		provider, consumer []audit.Record
		one, two           [2]int64 // D2 of 03-02, and of both days
		differs            string   // on 03-02; on both days nothing may
	}{
		{"honest", slices.Concat(step(audit.KindDecision, "d", began, began), step(audit.KindForwarded, "d", began, "2026-03-03 00:00:02")),
			step(audit.KindReceived, "d", began, "2026-03-03 00:00:01"), [2]int64{1, 1}, [2]int64{1, 1}, ""},
		{"tried until 00:50 as what it began as", slices.Concat(step(audit.KindDecision, "d", began, began), step(audit.KindForwarded, "d", began, "2026-03-03 00:50:01")),
			step(audit.KindReceived, "d", began, "2026-03-03 00:50:00"), [2]int64{1, 1}, [2]int64{1, 1}, ""},
		{"tried until 01:00, when it begins anew before its first day is closed: one attempt, on 03-03",
			slices.Concat(step(audit.KindDecision, "d", began, began), step(audit.KindDecision, "e", "2026-03-03 01:00:00", "2026-03-03 01:00:00"), step(audit.KindForwarded, "e", "2026-03-03 01:00:00", "2026-03-03 01:00:01")),
			step(audit.KindReceived, "e", "2026-03-03 01:00:00", "2026-03-03 01:00:00"), [2]int64{0, 0}, [2]int64{1, 1}, ""},
		{"tried the next morning: an attempt that failed on 03-02, and one that arrived on 03-03",
			slices.Concat(step(audit.KindDecision, "d", began, began), step(audit.KindDecision, "e", "2026-03-03 08:00:00", "2026-03-03 08:00:00"), step(audit.KindForwarded, "e", "2026-03-03 08:00:00", "2026-03-03 08:00:01")),
			step(audit.KindReceived, "e", "2026-03-03 08:00:00", "2026-03-03 08:00:00"), [2]int64{0, 1}, [2]int64{1, 2}, ""},
		{"the other side never had it", slices.Concat(step(audit.KindDecision, "d", began, began), step(audit.KindForwarded, "d", began, "2026-03-03 00:00:02")),
			nil, [2]int64{0, 1}, [2]int64{0, 1}, "batch/s/1-10 gz th"},
		{"the consumer's node says that it began the day after", slices.Concat(step(audit.KindDecision, "d", began, began), step(audit.KindForwarded, "d", began, "2026-03-03 00:00:02")),
			step(audit.KindReceived, "d", "2026-03-03 00:00:01", "2026-03-03 00:00:01"), [2]int64{0, 1}, [2]int64{1, 1}, "batch/s/1-10 gz th 2026-03-03"},
	} {
		one, two := across(t, c.provider, c.consumer)
		for _, x := range []struct {
			r    evaluation.Report
			want [2]int64
		}{{one, c.one}, {two, c.two}} {
			if f := figure(t, x.r, market, "D2"); f.Numerator != x.want[0] || f.Denominator != x.want[1] {
				t.Errorf("%s, until %s: %d/%d, want %v", c.name, x.r.Window.To, f.Numerator, f.Denominator, x.want)
			}
		}
		if got := named(one); got != c.differs {
			t.Errorf("%s: %q, want %q", c.name, got, c.differs)
		}
	}
}

// A request id of 03-02, 10:00, that failed is tried again. Until 01:00 the consumer's
// node says that it began on 03-02, then that it begins anew; after 02:00 the first day
// is closed, and what is tried then is another call. D1 of 03-02 and of both days.
func TestARequestIDThatIsTriedAgainAfterItsDaysClose(t *testing.T) {
	failed := func(r *audit.Record) { r.Status, r.Code = 0, bus.CodePeerUnreachable }
	const first = "2026-03-02 10:00:00"
	for _, c := range []struct {
		name, began, again string
		consumer, provider [2]int64 // D1 counted at the consumer's node: 03-02, both days
	}{
		{name: "at 00:30, as what it began as", began: first, again: "2026-03-03 00:30:00", consumer: [2]int64{1, 1}, provider: [2]int64{1, 1}},
		{name: "at 01:30, anew: of 03-03 alone", began: "2026-03-03 01:30:00", again: "2026-03-03 01:30:00", consumer: [2]int64{0, 0}, provider: [2]int64{1, 1}},
		{name: "at 03:00: another call", began: "2026-03-03 03:00:00", again: "2026-03-03 03:00:00", consumer: [2]int64{0, 1}, provider: [2]int64{1, 2}},
		{name: "at 03:00, in leaves that do not say when it began", began: unsaid, again: "2026-03-03 03:00:00", consumer: [2]int64{0, 1}, provider: [2]int64{1, 2}},
	} {
		consumer := slices.Concat(
			begun(first, first, call(evaluation.ConsumerSide, "q", "2026-03-02 10:00", failed)...),
			begun(c.began, c.again, call(evaluation.ConsumerSide, "q", "2026-03-02 10:00", nil)...),
		)
		provider := begun(c.began, c.again, call(evaluation.ProviderSide, "q", "2026-03-02 10:00", nil)...) // the first try never came there
		one, two := across(t, provider, consumer)
		for _, x := range []struct {
			r    evaluation.Report
			want [2]int64
		}{{one, c.consumer}, {two, c.provider}} {
			if f := figure(t, x.r, market, "D1"); f.Numerator != x.want[0] || f.Denominator != x.want[1] {
				t.Errorf("%s, until %s: %d/%d, want %v", c.name, x.r.Window.To, f.Numerator, f.Denominator, x.want)
			}
			if got := named(x.r); got != "" {
				t.Errorf("%s, until %s: an honest call differs: %s", c.name, x.r.Window.To, got)
			}
		}
	}
}

// A call of 23:50 is answered at both nodes; the client lost the answer and asks again at
// 01:30, when the provider's node cannot be reached. The first stays what it was: 1 of 1
// on 03-02; the second is of 03-03: 1 of 2 on both days.
func TestASuccessStaysWhereItIsWhenItIsTriedAgain(t *testing.T) {
	const first, again = "2026-03-02 23:50:00", "2026-03-03 01:30:00"
	provider := begun(first, first, call(evaluation.ProviderSide, "q", "2026-03-02 09:00", nil)...)
	consumer := slices.Concat(
		begun(first, first, call(evaluation.ConsumerSide, "q", "2026-03-02 09:00", nil)...),
		begun(again, again, call(evaluation.ConsumerSide, "q", "2026-03-02 09:00", func(r *audit.Record) { r.Status, r.Code = 0, bus.CodePeerUnreachable })...),
	)
	one, two := across(t, provider, consumer)
	for _, x := range []struct {
		r    evaluation.Report
		want [2]int64
	}{{one, [2]int64{1, 1}}, {two, [2]int64{1, 2}}} {
		if f := figure(t, x.r, market, "D1"); f.Numerator != x.want[0] || f.Denominator != x.want[1] || named(x.r) != "" {
			t.Errorf("until %s: %d/%d, %s", x.r.Window.To, f.Numerator, f.Denominator, named(x.r))
		}
	}
}

// A consumer has its subscription replayed: the same events go again, and both sides
// have them twice.
func TestAReplayedBatchCountsAgainOnBothSides(t *testing.T) {
	provider := []audit.Record{
		batch(audit.KindDecision, "d1", 1, 10, "2026-03-02 09:00"), batch(audit.KindForwarded, "d1", 1, 10, "2026-03-02 09:01"),
		batch(audit.KindDecision, "d2", 1, 10, "2026-03-02 11:00"), batch(audit.KindForwarded, "d2", 1, 10, "2026-03-02 11:01"),
		batch(audit.KindDecision, "d3", 1, 10, "2026-03-02 12:00"), // a forwarder that was stopped looked once more
	}
	consumer := []audit.Record{batch(audit.KindReceived, "d1", 1, 10, "2026-03-02 09:01"), batch(audit.KindReceived, "d2", 1, 10, "2026-03-02 11:01")}
	one, _ := across(t, provider, consumer)
	if f := figure(t, one, market, "D2"); f.Numerator != 2 || f.Denominator != 2 || named(one) != "" {
		t.Errorf("%d/%d, %s", f.Numerator, f.Denominator, named(one))
	}
}

// Calls at any times around midnight, tried up to three times as the consumer's node
// stamps them, arriving with some delay at a provider's node whose clock is off: no
// window has a difference, and each call counts once a day at most.
func TestHonestCallsAroundMidnightNeverDiffer(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		var provider, consumer []audit.Record
		off := time.Duration(rapid.IntRange(-120, 120).Draw(rt, "clock")) * time.Second
		midnight := day("2026-03-03")
		for i := range rapid.IntRange(1, 6).Draw(rt, "calls") {
			at := midnight.Add(time.Duration(rapid.IntRange(-7200, 7200).Draw(rt, "first")) * time.Second)
			began := at
			for range rapid.IntRange(1, 3).Draw(rt, "tries") {
				if !at.Before(calendar.DateOf(began).End().Add(time.Hour)) { // as pkg/exchange does
					began = at
				}
				arrived, reached := time.Duration(rapid.IntRange(0, 30).Draw(rt, "way"))*time.Second, rapid.Bool().Draw(rt, "reached")
				for _, r := range call(evaluation.ConsumerSide, fmt.Sprint("q", i), "2026-03-02 09:00", func(r *audit.Record) {
					if !reached {
						r.Status, r.Code = 0, bus.CodePeerUnreachable
					}
				}) {
					r.At, r.Began = at, began.UTC()
					if r.Kind == audit.KindAnswered {
						r.At = at.Add(2 * arrived)
					}
					consumer = append(consumer, r)
				}
				if reached {
					for _, r := range call(evaluation.ProviderSide, fmt.Sprint("q", i), "2026-03-02 09:00", nil) {
						r.At, r.Began = at.Add(arrived+off), began.UTC()
						provider = append(provider, r)
					}
					break // it has its answer
				}
				at = at.Add(time.Duration(rapid.IntRange(60, 7200).Draw(rt, "again")) * time.Second)
			}
		}
		one, two := across(t, provider, consumer)
		if named(one) != "" || named(two) != "" {
			rt.Errorf("%s; %s", named(one), named(two))
		}
	})
}
