package exchange_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	cloudevent "github.com/cloudevents/sdk-go/v2/event"

	"github.com/gxbus/gxbus/pkg/audit"
	"github.com/gxbus/gxbus/pkg/binding"
	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/directory/command"
	"github.com/gxbus/gxbus/pkg/directory/state"
	"github.com/gxbus/gxbus/pkg/exchange"
	"github.com/gxbus/gxbus/pkg/policy"
)

// answering makes the provider's system answer JSON.
func answering(status int, body string) func(context.Context, binding.Call) (*binding.Answer, error) {
	return func(context.Context, binding.Call) (*binding.Answer, error) {
		return &binding.Answer{
			Status: status, Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(strings.NewReader(body)), MaxRows: 3, MaxBytes: 1 << 20,
		}, nil
	}
}

func inquiry(parameters string) exchange.Query {
	return exchange.Query{
		Resource: firms, Grant: grant, Purpose: bus.PurposeReference, Matter: "m", Case: "case-1", Basis: "示例办法第一条", Operator: "op-7",
		Call: binding.Call{Parameters: json.RawMessage(parameters)},
	}
}

// travelling is a query as it goes to the provider's node.
func travelling(tb testing.TB, q exchange.Query) cloudevent.Event {
	tb.Helper()
	e := cloudevent.New()
	e.SetID("x")
	e.SetType("cn.gxbus.query.v1")
	e.SetSource("/systems/" + string(puller.System))
	must(tb, e.SetData("application/json", q))
	return e
}

// onRecord is what a node says that has its query on record.
func onRecord() (time.Time, error) { return time.Now(), nil }

// ask asks, reads the answer to its end and closes it.
func (w *world) ask(by bus.Principal, request string, q exchange.Query) (string, exchange.Outcome, error) {
	w.tb.Helper()
	reply, err := w.consumer().Query(w.tb.Context(), by, request, q)
	if err != nil {
		return "", exchange.Outcome{}, err
	}
	body, err := io.ReadAll(reply.Body)
	err = errors.Join(err, reply.Body.Close())
	outcome, _ := reply.Outcome()
	return string(body), outcome, err
}

const threeFirms = `[{"name":"甲","legal_id":"440306198512301230","phone":"13800138000","inner":1},{"name":"乙","phone":"1"},{"name":"丙"}]`

func TestAQueryIsDecidedObligedAndRecordedAtBothNodes(t *testing.T) {
	w, d := fake(t)
	w.bound = answering(200, threeFirms)
	d.follow(func(in policy.Input) bus.Decision {
		ob := bus.Obligations{Masks: map[bus.ItemID]bus.Mask{"phone": {Method: bus.MaskVerify}}, Watermark: true}
		if in.Stage == policy.StageProvider {
			ob.Rows = []bus.RowCondition{{Item: "name", Equals: []string{"甲", "丙"}}}
			ob.Masks["legal_id"] = bus.Mask{Method: bus.MaskKeep, Head: 6}
		}
		return with(ob)(in)
	})
	body, outcome, err := w.ask(puller, "r-1", inquiry(`{"q":1}`))
	must(t, err)
	if want := `[{"name":"甲","legal_id":"440306************","phone":true},{"name":"丙","phone":false}]`; body != want || outcome.Rows != 2 || outcome.Cut {
		t.Errorf("got %s, %+v\nwant %s", body, outcome, want)
	}
	for _, in := range d.asked {
		if in.Action != policy.ActionQuery || in.Case != "case-1" || in.Basis != "示例办法第一条" || in.Operator != "op-7" || in.Matter != "m" || in.Consumer.System != puller.System || in.Consumer.Department != services || in.Grant == nil {
			t.Errorf("%s decided on %+v", in.Stage, in)
		}
	}
	var ends []audit.Record
	for _, n := range []*node{w.consumer(), w.provider()} {
		all := n.records()
		var kinds []audit.Kind
		for _, r := range all {
			kinds = append(kinds, r.Kind)
			if r.Correlation != all[0].Correlation || r.Correlation == "" || r.Case != "case-1" || r.Basis != "示例办法第一条" || r.Operator != "op-7" || r.Principal.System != puller.System || r.Principal.Department != services {
				t.Errorf("%s recorded %+v", n.id, r)
			}
		}
		if want := []audit.Kind{audit.KindDecision, audit.KindAsked, audit.KindAnswered}; !slices.Equal(kinds, want) {
			t.Fatalf("%s recorded %v", n.id, kinds)
		}
		leaf, first, err := n.Watermark(all[0].Watermark)
		if must(t, err); leaf.Record.Decision.ID != all[1].DecisionID || first != (exchange.Occurrence{Resource: firms}) {
			t.Errorf("the mark of %s leads to %+v, %v", n.id, leaf.Record, first)
		}
		uses, _, err := n.Uses(exchange.Inspection{Resource: firms, Span: exchange.Span{After: -1, Limit: 10}})
		must(t, err)
		for _, u := range uses {
			if u.Case != "case-1" || u.Basis != "示例办法第一条" || u.Operator != "op-7" {
				t.Errorf("%s lists the use %+v", n.id, u)
			}
		}
		if len(uses) != 2 { // decided, answered
			t.Errorf("%s lists %d uses", n.id, len(uses))
		}
		ends = append(ends, all[2])
		n.verify()
	}
	if ends[0].Digest != ends[1].Digest || ends[0].Digest != outcome.Digest || ends[1].Rows != 1 || ends[0].Events != 2 {
		t.Errorf("the nodes recorded %+v\nand %+v", ends[0], ends[1])
	}
}

// A query that its provider's node lets through and that has no answer has one end on
// record at each node, and is one exchange.
func TestAQueryWithoutAnAnswerEndsOnce(t *testing.T) {
	w, _ := fake(t)
	w.bound = func(context.Context, binding.Call) (*binding.Answer, error) {
		return nil, binding.BadParameter("q", "another")
	}
	_, _, err := w.ask(puller, "r-1", inquiry(`{"q":1}`))
	wantCode(t, err, bus.CodeInvalid)
	for _, n := range []*node{w.provider(), w.consumer()} {
		var kinds []audit.Kind
		for _, r := range n.records() {
			kinds = append(kinds, r.Kind)
		}
		if want := []audit.Kind{audit.KindDecision, audit.KindAsked, audit.KindAnswered}; !slices.Equal(kinds, want) {
			t.Errorf("%s recorded %v", n.id, kinds)
		}
	}
}

func TestARepeatedQueryCountsOnceAndAnotherUnderItsIDIsRefused(t *testing.T) {
	w, d := fake(t)
	w.bound = answering(200, `[]`)
	d.follow(only(policy.ActionQuery, with(limit(2, bus.PerCase, bus.KeyConsumer))))
	for _, request := range []string{"r-1", "r-1", "r-2", "r-1", "r-2"} {
		if _, _, err := w.ask(puller, request, inquiry(`{"q":1}`)); err != nil {
			t.Fatalf("%s: %v", request, err)
		}
		w.provider().reopen() // what was counted is on the disk
	}
	_, _, err := w.ask(puller, "r-3", inquiry(`{"q":1}`))
	wantCode(t, err, bus.CodeRateLimited)
	_, _, err = w.ask(puller, "r-2", inquiry(`{"q":2}`))
	wantCode(t, err, bus.CodeRequestConflict)
	other := inquiry(`{"q":1}`)
	other.Case = "case-2"
	_, _, err = w.ask(puller, "r-4", other) // another case has its own
	must(t, err)
	w.clock.advance(25 * time.Hour)
	_, _, err = w.ask(puller, "r-1", inquiry(`{"q":1}`)) // forgotten: it would count anew
	wantCode(t, err, bus.CodeRateLimited)
}

// The provider's node does nothing about a query that is not on record at the node that
// asks, and what it decided while it waited for that is not what counts later.
func TestAQueryWaitsForTheRecordOfWhoAsks(t *testing.T) {
	w, d := fake(t)
	calls := 0
	w.bound = func(ctx context.Context, call binding.Call) (*binding.Answer, error) {
		calls++
		return answering(200, threeFirms)(ctx, call)
	}
	e := travelling(t, inquiry(`{}`))
	broke := errors.New("no record")
	began := w.clock.now().Add(-time.Hour)
	for _, c := range []struct {
		name     string
		recorded exchange.Recorded
		code     bus.Code
	}{
		{"none came", func() (time.Time, error) { return began, broke }, ""},
		{"it took its time, and meanwhile it is denied", func() (time.Time, error) {
			w.clock.advance(2 * time.Second)
			d.follow(func(policy.Input) bus.Decision { return bus.Decision{} })
			return began, nil
		}, bus.CodeDenied},
	} {
		before := len(w.provider().records())
		_, err := w.provider().Answer(t.Context(), guangzhou, e, c.recorded)
		if c.code == "" {
			if !errors.Is(err, broke) || len(w.provider().records()) != before {
				t.Errorf("%s: %v, %d records", c.name, err, len(w.provider().records())-before)
			}
			continue
		}
		if wantCode(t, err, c.code); !w.provider().records(audit.KindDecision)[0].Began.Equal(began) {
			t.Errorf("%s: began %v", c.name, w.provider().records(audit.KindDecision)[0].Began)
		}
	}
	if calls != 0 {
		t.Errorf("the provider's system was asked %d times", calls)
	}
}

// A replica that may not know of a revocation lets no query through: not that of a system
// of its own node, and not one that another node, which has heard of nothing, let through.
func TestNoQueryIsLetThroughOnAStaleReplica(t *testing.T) {
	w, asked := newWorld(t, engine(t)), 0
	w.bound = func(ctx context.Context, call binding.Call) (*binding.Answer, error) {
		asked++
		return answering(200, threeFirms)(ctx, call)
	}
	w.directory.setAge(time.Hour)
	_, _, err := w.ask(puller, "r-1", inquiry(`{}`))
	wantCode(t, err, bus.CodeUndecided)
	_, err = w.provider().Answer(t.Context(), guangzhou, travelling(t, inquiry(`{}`)), onRecord)
	wantCode(t, err, bus.CodeUndecided)
	for _, n := range []*node{w.consumer(), w.provider()} {
		got := n.records()
		if len(got) != 1 || got[0].Kind != audit.KindDecision || got[0].Decision.Allow || got[0].Decision.Reasons[0].Code != "directory-stale" {
			t.Errorf("%s recorded %+v", n.id, got)
		}
	}
	w.directory.setAge(0)
	if _, _, err := w.ask(puller, "r-1", inquiry(`{}`)); err != nil || asked != 1 {
		t.Errorf("in touch again: %v, the provider's system was asked %d times", err, asked)
	}
}

// S31: a node may speak for the systems it serves, and for no other.
func TestS31ANodeAsksForItsOwnSystemsOnly(t *testing.T) {
	w, _ := fake(t)
	w.bound = func(context.Context, binding.Call) (*binding.Answer, error) {
		t.Error("the provider's system was asked")
		return nil, errLine
	}
	e := travelling(t, inquiry(`{}`))
	for source, from := range map[string]bus.NodeID{
		"/systems/" + string(puller.System): shenzhen, "/systems/" + string(publisher.System): guangzhou, "/systems/nobody": guangzhou, "": guangzhou,
	} {
		e.SetSource(source)
		if _, err := w.provider().Answer(t.Context(), from, e, onRecord); bus.CodeOf(err) != bus.CodeWrongNode && bus.CodeOf(err) != bus.CodeForbidden {
			t.Errorf("%s for %q: %v", from, source, err)
		}
	}
	if got := w.provider().records(audit.KindRefused); len(got) != 4 || got[0].Principal.Node == "" {
		t.Errorf("on record: %+v", got)
	}
}

// S54, S58: what a hostile node names its query by fills no evidence, neither when it is
// answered nor when it is refused.
func TestS58AQueryNamesNothingAtLength(t *testing.T) {
	w, _ := fake(t)
	w.bound = func(context.Context, binding.Call) (*binding.Answer, error) {
		t.Error("the provider's system was asked")
		return nil, errLine
	}
	long := strings.Repeat("x", 60<<10)
	cases := map[string]func(*exchange.Query, *cloudevent.Event){
		"case":     func(q *exchange.Query, _ *cloudevent.Event) { q.Case = long },
		"basis":    func(q *exchange.Query, _ *cloudevent.Event) { q.Basis = long },
		"operator": func(q *exchange.Query, _ *cloudevent.Event) { q.Operator = "张三" },
		"matter":   func(q *exchange.Query, _ *cloudevent.Event) { q.Matter = "m\u001b[31m" },
		"grant":    func(q *exchange.Query, _ *cloudevent.Event) { q.Grant = bus.GrantID(long) },
		"resource": func(q *exchange.Query, _ *cloudevent.Event) { q.Resource = bus.ResourceID(long) },
		"purpose":  func(q *exchange.Query, _ *cloudevent.Event) { q.Purpose = bus.Purpose(long) },
		"source":   func(_ *exchange.Query, e *cloudevent.Event) { e.SetSource("/systems/" + long) },
		"request":  func(_ *exchange.Query, e *cloudevent.Event) { e.SetExtension("gxbusrequest", long) },
	}
	for name, change := range cases {
		q := inquiry(`{}`)
		e := travelling(t, q)
		change(&q, &e)
		must(t, e.SetData("application/json", q))
		if _, err := w.provider().Answer(t.Context(), guangzhou, e, onRecord); bus.CodeOf(err) != bus.CodeInvalid {
			t.Errorf("%s: %v", name, err)
		}
	}
	got := w.provider().records()
	for _, r := range got {
		if r.Kind != audit.KindRefused || r.Principal.Node != guangzhou || len(r.Principal.System)+len(r.Case)+len(r.Basis)+len(r.Operator)+len(r.Grant)+len(r.Request) > 0 {
			t.Errorf("on record: %.200v", r)
		}
	}
	if len(got) != len(cases) {
		t.Errorf("%d refusals on record", len(got))
	}
}

// S15, S54: of a system whose own node lets it flood, another node answers so many
// queries, of others all; what it refuses is one number.
func TestS15QueriesOfASystemHaveARateAtTheProvidersNode(t *testing.T) {
	w, _ := fake(t)
	w.provider().close()
	w.provider().queries = 5
	w.provider().open()
	answered := 0
	w.bound = func(ctx context.Context, call binding.Call) (*binding.Answer, error) {
		answered++
		return answering(200, threeFirms)(ctx, call)
	}
	for i := range 30 {
		_, _, err := w.ask(puller, fmt.Sprint("r-", i), inquiry(`{}`))
		if i < 10 {
			must(t, err)
			continue
		}
		wantCode(t, err, bus.CodeRateLimited)
		if e, ok := errors.AsType[*bus.Error](err); !ok || e.RetryAfter <= 0 {
			t.Errorf("no word of how long to wait: %v", err)
		}
	}
	told := w.provider().records(audit.KindRefused)
	if answered != 10 || len(told) != 1 || told[0].Code != bus.CodeRateLimited || told[0].Principal.System != puller.System || told[0].Principal.Node != guangzhou {
		t.Errorf("%d answered, on record %+v", answered, told)
	}
	if got := w.provider().records(audit.KindDecision); len(got) != 10 {
		t.Errorf("%d decisions on record", len(got))
	}
	w.clock.advance(11 * time.Second)
	_, _, err := w.ask(puller, "later", inquiry(`{}`))
	must(t, err)
	if rest := w.provider().records(audit.KindRefused)[1:]; len(rest) != 1 || rest[0].Detail != "queries refused: 19" {
		t.Errorf("and then %+v", rest)
	}
	w.provider().verify()
}

// S15, S54: a node that is refused without end fills no disk: the rest is one number.
func TestS54RefusalsOfANodeAreCountedBeyondARate(t *testing.T) {
	w, _ := fake(t)
	batch := exchange.Batch{Heading: exchange.Heading{From: zhuhai, Subscription: sub}}
	w.subscribe(sub, puller)
	flood := func(count int) {
		for range count {
			wantCode(t, w.consumer().Receive(t.Context(), zhuhai, batch), bus.CodeWrongNode)
		}
	}
	flood(500)
	told := w.consumer().records(audit.KindRefused)
	if len(told) != 41 || told[40].Code != bus.CodeRateLimited || told[40].Principal.Node != zhuhai {
		t.Errorf("%d refusals on record, the last %+v", len(told), told[len(told)-1])
	}
	batch.From = shenzhen // another is heard one by one
	wantCode(t, w.consumer().Receive(t.Context(), guangzhou, batch), bus.CodeWrongNode)
	w.clock.advance(11 * time.Second)
	batch.From = zhuhai
	flood(1)
	rest := w.consumer().records(audit.KindRefused)[41:]
	if len(rest) != 3 || !strings.HasSuffix(rest[1].Detail, ": 459") || rest[2].Code != bus.CodeWrongNode {
		t.Errorf("and then %+v", rest)
	}
	w.consumer().verify()
}

func TestAnAnswerIsCutAtTheCapAndSaysSo(t *testing.T) {
	w, _ := fake(t)
	closed := false
	w.bound = func(context.Context, binding.Call) (*binding.Answer, error) {
		endless := &endless{text: `{"name":"甲"},`}
		return &binding.Answer{
			Status: 200, Header: http.Header{"Content-Type": {"application/json"}}, MaxRows: 20_000, MaxBytes: 1 << 30,
			Body: closing{io.MultiReader(strings.NewReader("["), endless), &closed},
		}, nil
	}
	body, outcome, err := w.ask(puller, "r-1", inquiry(`{}`))
	must(t, err)
	if outcome.Rows != 20_000 || !outcome.Cut || !json.Valid([]byte(body)) || strings.Count(body, "甲") != 20_000 || !closed {
		t.Errorf("%d bytes, %+v, closed %v", len(body), outcome, closed)
	}
	if got := w.consumer().records(audit.KindAnswered); got[0].Events != 20_000 || got[0].Detail == "" {
		t.Errorf("on record: %+v", got)
	}
}

// endless reads a text over and over.
type endless struct {
	text string
	at   int
}

func (e *endless) Read(p []byte) (int, error) {
	n := copy(p, e.text[e.at:])
	e.at = (e.at + n) % len(e.text)
	return n, nil
}

type closing struct {
	io.Reader
	closed *bool
}

func (c closing) Close() error {
	*c.closed = true
	return nil
}

// A long answer ends once the grant does: what was sent by then does not look whole.
func TestAnAnswerThatGoesOnEndsWithItsGrant(t *testing.T) {
	w, d := fake(t)
	from, pieces := io.Pipe()
	w.bound = func(context.Context, binding.Call) (*binding.Answer, error) {
		return &binding.Answer{Status: 200, Header: http.Header{"Content-Type": {"application/json"}}, MaxRows: 1 << 30, MaxBytes: 1 << 30, Body: from}, nil
	}
	d.follow(func(in policy.Input) bus.Decision {
		if in.Grant.Revoked {
			return refuse("grant-revoked")
		}
		return allow(in)
	})
	reply, err := w.consumer().Query(t.Context(), puller, "r-1", inquiry(`{}`))
	must(t, err)
	done := make(chan error)
	go func() {
		_, err := io.Copy(io.Discard, reply.Body)
		done <- err
	}()
	_, err = io.WriteString(pieces, `[`+strings.Repeat(`{"name":"`+strings.Repeat("甲", 1000)+`"},`, 200))
	must(t, err)
	w.revoke()
	w.clock.advance(time.Second)
	go func() { _, _ = io.WriteString(pieces, `{"name":"乙"},`) }() // it may have ended by then: Close lets go of this
	wantCode(t, <-done, bus.CodeDenied)
	must(t, reply.Body.Close())
	for _, n := range []*node{w.consumer(), w.provider()} {
		if got := n.records(audit.KindAnswered); len(got) != 1 || got[0].Code == "" {
			t.Errorf("%s recorded %+v", n.id, got)
		}
	}
}

func TestWhatObligationsCannotBeAppliedToIsNotPassedOn(t *testing.T) {
	w, _ := fake(t)
	for body, code := range map[string]bus.Code{
		`"text"`: bus.CodeDenied, `[1]`: bus.CodeDenied, `[{"name":"甲"},["phone"]]`: bus.CodeDenied, `[{"name":"甲","Name":"乙"}]`: bus.CodeDenied,
		`{"name":"甲"`: bus.CodeProviderUnreachable, `[{"name":甲}]`: bus.CodeProviderAnswer, `[]x`: bus.CodeProviderAnswer, `[{"name":"甲","name":"乙"}]`: bus.CodeProviderAnswer,
		`[{"name":"` + strings.Repeat("x", 2<<20) + `"}]`: bus.CodeProviderAnswer,
	} {
		w.bound = answering(200, body)
		if _, _, err := w.ask(puller, "", inquiry(`{}`)); bus.CodeOf(err) != code {
			t.Errorf("%.40s: %v, want %s", body, err, code)
		}
	}
	// A refusal of the provider's system says what it says of itself, and no data.
	w.bound = answering(404, `{"title":"没有","phone":"13800138000","detail":{"phone":1},"rows":[{"phone":"1"}]}`)
	body, _, err := w.ask(puller, "", inquiry(`{}`))
	if must(t, err); body != `{"title":"没有"}` {
		t.Errorf("a refusal came as %s", body)
	}
}

// S54 for queries: what cannot be put on record is not asked, and not handed out.
func TestS54NoAnswerWithoutEvidence(t *testing.T) {
	for name, c := range map[string]struct {
		at    func(*world) *node
		early bool
		asked int
	}{
		"the consumer's node before": {(*world).consumer, true, 0}, "the provider's node before": {(*world).provider, true, 0},
		"the consumer's node after": {(*world).consumer, false, 1}, "the provider's node after": {(*world).provider, false, 1},
	} {
		t.Run(name, func(t *testing.T) {
			w, _ := fake(t)
			n, asked := c.at(w), 0
			w.bound = func(ctx context.Context, call binding.Call) (*binding.Answer, error) {
				if asked++; !c.early {
					must(t, n.store.Close()) // it takes no record any more
				}
				return answering(200, threeFirms)(ctx, call)
			}
			if c.early {
				must(t, n.store.Close())
			}
			if body, _, err := w.ask(puller, "r-1", inquiry(`{}`)); err == nil || body != "" || asked != c.asked {
				t.Errorf("answered %q, %v; asked %d times", body, err, asked)
			}
			if n == w.provider() && !c.early {
				if ends := w.consumer().records(audit.KindAnswered); ends[len(ends)-1].Code != bus.CodeUnavailable {
					t.Errorf("the consumer's node recorded %+v", ends)
				}
			}
			n.Exchange.Close()
			n.Exchange = nil
		})
	}
}

// An answer is put on record at both nodes at once, and handed out when it is so at both.
func TestAnAnswerIsHandedOutOnceItIsOnRecordAtBothNodes(t *testing.T) {
	broke := errors.New("the line broke")
	for name, fails := range map[string]error{"it is": nil, "the provider's node does not say so": broke} {
		t.Run(name, func(t *testing.T) {
			w, _ := fake(t)
			w.bound = answering(200, threeFirms)
			waited := 0
			w.line.reply = func(reply *exchange.Reply) {
				kept := reply.Kept
				reply.Kept = func() error {
					waited++
					if len(w.consumer().records(audit.KindAnswered)) != 1 {
						t.Error("the consumer's node has waited to write its record")
					}
					return errors.Join(kept(), fails)
				}
			}
			body, _, err := w.ask(puller, "r-1", inquiry(`{}`))
			var codes []bus.Code
			for _, r := range w.consumer().records(audit.KindAnswered) {
				codes = append(codes, r.Code)
			}
			if waited != 1 || len(w.provider().records(audit.KindAnswered)) != 1 {
				t.Errorf("asked %d times whether it is on record", waited)
			}
			switch {
			case fails == nil && (err != nil || body == "" || !slices.Equal(codes, []bus.Code{""})):
				t.Errorf("answered %q, %v, on record as %q", body, err, codes)
			case fails != nil && (!errors.Is(err, broke) || body != "" || !slices.Equal(codes, []bus.Code{"", bus.CodeUnavailable})):
				t.Errorf("answered %q, %v, on record as %q", body, err, codes)
			}
		})
	}
}

func TestADisabledSystemAsksNothing(t *testing.T) {
	w, _ := fake(t)
	w.bound = answering(200, threeFirms)
	revision := bus.Revision(0)
	must(t, w.directory.View(func(tx *state.Tx) error {
		s, _ := tx.System(puller.System)
		revision = s.Revision
		return nil
	}))
	w.write(sysadmin, command.SystemPut, revision, bus.System{ID: puller.System, Department: services, Name: "示例系统", Disabled: true})
	_, _, err := w.ask(puller, "r-1", inquiry(`{}`))
	wantCode(t, err, bus.CodeForbidden)
}
