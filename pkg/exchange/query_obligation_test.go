package exchange_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"testing"
	"time"

	"github.com/gxbus/gxbus/pkg/audit"
	"github.com/gxbus/gxbus/pkg/binding"
	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/directory/command"
	"github.com/gxbus/gxbus/pkg/policy"
)

// at is a rule for decisions of one stage, "" for all; others are allowed.
func at(stage policy.Stage, rule func(policy.Input) bus.Decision) func(policy.Input) bus.Decision {
	return func(in policy.Input) bus.Decision {
		if stage == "" || in.Stage == stage {
			return rule(in)
		}
		return allow(in)
	}
}

var stages = []policy.Stage{policy.StageProvider, policy.StageConsumer}

// One value, one mask: what comes of it is the same, whether it comes as an event or as
// an answer, and whichever node masks it, or both do.
func TestAMaskLeavesOfAnAnswerWhatItLeavesOfAnEvent(t *testing.T) {
	for _, c := range []struct {
		mask bus.Mask
		want string
	}{
		{bus.Mask{Method: bus.MaskDrop}, `{}`},
		{bus.Mask{Method: bus.MaskNull}, `{"name":null,"legal_id":null,"phone":null}`},
		{bus.Mask{Method: bus.MaskVerify}, `{"name":true,"legal_id":true,"phone":true}`},
		{bus.Mask{Method: bus.MaskSurname}, `{"name":"示******","legal_id":"4*****************","phone":"1**********"}`},
		{bus.Mask{Method: bus.MaskCounty}, `{"name":"*******","legal_id":"******************","phone":"***********"}`},
		{bus.Mask{Method: bus.MaskYear}, `{"name":null,"legal_id":"1985","phone":null}`},
		{bus.Mask{Method: bus.MaskKeep, Head: 1, Tail: 2}, `{"name":"示****[]","legal_id":"4***************30","phone":"1********00"}`},
		{bus.Mask{Method: bus.MaskPseudonym}, ""}, // of which see below
	} {
		for _, stage := range append(stages, "") {
			t.Run(string(c.mask.Method)+" at the "+string(stage), func(t *testing.T) {
				w, d := fake(t)
				d.follow(at(stage, with(bus.Obligations{Masks: map[bus.ItemID]bus.Mask{"name": c.mask, "legal_id": c.mask, "phone": c.mask}})))
				event, answer := w.bothWays()
				if event != answer || c.want != "" && answer != c.want {
					t.Errorf("of an event %s is left\nof an answer %s\nwant %s", event, answer, c.want)
				}
				if made := c.mask.Method == bus.MaskPseudonym && stage != policy.StageConsumer; made != (codeIn(t, answer) != "") {
					t.Errorf("answered %s", answer)
				}
			})
		}
	}
}

// bothWays has event number 1 come to the consumer as an event, and as the answer to a query.
func (w *world) bothWays() (event, answer string) {
	w.tb.Helper()
	w.bound = answering(200, string(sample(1).Data()))
	w.subscribe(sub, puller)
	w.publish(1, 1)
	w.settled(sub, 1)
	answer, _, err := w.ask(puller, "", inquiry(`{}`))
	must(w.tb, err)
	return string(w.received(1)[0].Data()), answer
}

// codeIn is the pseudonym of the identity number in a row, "" where there is none.
func codeIn(t *testing.T, row string) string {
	t.Helper()
	var data struct {
		ID any `json:"legal_id"`
	}
	must(t, json.Unmarshal([]byte(row), &data))
	if code, ok := data.ID.(string); ok && len(code) > 2 && code[:2] == "p:" {
		return code
	}
	return ""
}

func TestAPseudonymIsTheSameInEventsAndAnswersUnderOneGrantOnly(t *testing.T) {
	w, d := fake(t)
	d.follow(with(bus.Obligations{Masks: map[bus.ItemID]bus.Mask{"legal_id": {Method: bus.MaskPseudonym}}}))
	w.write(secadmin, command.GrantPut, 0, bus.Grant{
		ID: "grant-2", Agreement: "示例协议", Resource: firms, Consumer: services, Purposes: []bus.Purpose{bus.PurposeReference},
		Items: []bus.ItemID{"legal_id"}, NotBefore: w.clock.at.AddDate(0, -1, 0), NotAfter: w.clock.at.AddDate(1, 0, 0),
	})
	event, answer := w.bothWays()
	w.provider().reopen()
	again, _, err := w.ask(colleague, "", inquiry(`{}`))
	must(t, err)
	other := inquiry(`{}`)
	other.Grant = "grant-2"
	another, _, err := w.ask(puller, "", other)
	must(t, err)
	code := codeIn(t, event)
	if code == "" || codeIn(t, answer) != code || codeIn(t, again) != code {
		t.Errorf("one person is %q in an event, and in answers\n%s\n%s", code, answer, again)
	}
	if codeIn(t, another) == "" || codeIn(t, another) == code {
		t.Errorf("two grants can be linked: %s under the other", another)
	}
}

// What a layer holds is answered as that, asks nobody, and is asked again by the caller.
func TestAQueryThatALayerHoldsIsAnsweredLater(t *testing.T) {
	for _, stage := range stages {
		t.Run("at the "+string(stage), func(t *testing.T) {
			w, d := fake(t)
			asked := 0
			w.bound = func(ctx context.Context, call binding.Call) (*binding.Answer, error) {
				asked++
				return answering(200, threeFirms)(ctx, call)
			}
			d.follow(at(stage, always(later())))
			_, _, err := w.ask(puller, "r-1", inquiry(`{}`))
			wantCode(t, err, bus.CodeHeld)
			if e, _ := errors.AsType[*bus.Error](err); e.DecisionID == "" || asked != 0 {
				t.Errorf("held by %q; the provider's system was asked %d times", e.DecisionID, asked)
			}
			n := map[policy.Stage]*node{policy.StageProvider: w.provider(), policy.StageConsumer: w.consumer()}[stage]
			if got := n.records(audit.KindDecision); len(got) != 1 || got[0].Decision.Allow || len(n.records(audit.KindAsked)) > 0 {
				t.Errorf("on record: %+v", got)
			}
			d.follow(nil)
			if _, _, err = w.ask(puller, "r-1", inquiry(`{}`)); err != nil || asked != 1 {
				t.Errorf("later: %v, asked %d times", err, asked)
			}
		})
	}
}

// An answer carries the mark of the provider's node, or else of the consumer's; each
// answer its own, also where the query is asked again under its id.
func TestAnAnswerCarriesOneMark(t *testing.T) {
	marks := with(bus.Obligations{Watermark: true})
	for _, c := range []struct {
		name string
		rule func(policy.Input) bus.Decision
		by   func(*world) *node
	}{
		{"of both", marks, (*world).provider},
		{"of the provider", at(policy.StageProvider, marks), (*world).provider},
		{"of the consumer", at(policy.StageConsumer, marks), (*world).consumer},
	} {
		t.Run(c.name, func(t *testing.T) {
			w, d := fake(t)
			w.bound = answering(200, threeFirms)
			d.follow(c.rule)
			seen := map[string]bool{}
			for range 2 {
				reply, err := w.consumer().Query(t.Context(), puller, "r-1", inquiry(`{}`))
				must(t, err)
				_, err = io.Copy(io.Discard, reply.Body)
				must(t, errors.Join(err, reply.Body.Close()))
				leaf, _, err := c.by(w).Watermark(reply.Watermark)
				if must(t, err); leaf.Record.Correlation != reply.Correlation || leaf.Record.Principal.System != puller.System || seen[reply.Watermark] {
					t.Errorf("the mark %q leads to %+v", reply.Watermark, leaf.Record)
				}
				seen[reply.Watermark] = true
			}
		})
	}
}

func TestQueriesAreLimitedByTheClock(t *testing.T) {
	for per, wait := range map[bus.Window]time.Duration{bus.PerMinute: time.Minute, bus.PerHour: time.Hour, bus.PerDay: 7 * time.Hour} { // it is 17:00 in Shanghai
		for _, stage := range stages {
			t.Run(string(per)+" at the "+string(stage), func(t *testing.T) {
				w, d := fake(t)
				w.bound = answering(200, threeFirms)
				d.follow(at(stage, with(limit(2, per, bus.KeySystem))))
				ask := func(by bus.Principal) error {
					_, _, err := w.ask(by, "", inquiry(`{}`))
					return err
				}
				must(t, errors.Join(ask(puller), ask(puller)))
				for _, n := range w.nodes { // what was counted is on the disk
					n.reopen()
				}
				err := ask(puller)
				wantCode(t, err, bus.CodeRateLimited)
				if e, _ := errors.AsType[*bus.Error](err); e.RetryAfter != wait || e.DecisionID == "" {
					t.Errorf("to come back in %v, by decision %q", e.RetryAfter, e.DecisionID)
				}
				must(t, ask(colleague)) // another system has its own
				w.clock.advance(wait - time.Second)
				wantCode(t, ask(puller), bus.CodeRateLimited)
				w.clock.advance(time.Second)
				must(t, ask(puller))
			})
		}
	}
}
