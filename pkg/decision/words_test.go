package decision_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/decision"
)

func denied() decision.Event {
	reason := bus.Reason{Layer: "division/440100", Code: "no-collaboration", Message: bus.Text{ZH: "不得用于业务协同", EN: "not for collaboration"}}
	return decision.Event{
		Labels: decision.Labels{Node: "guangzhou", Stage: "consumer"}, DecisionID: "d-1", Path: "gxbus", RequestedBy: "system:permits",
		Bundles:   map[bus.LayerID]decision.Bundle{"base": {Revision: "sha256:0123456789abcdef0123"}, "division/440100": {Revision: "42"}, "division/440000": {Revision: "7"}},
		Timestamp: time.Date(2026, 3, 4, 1, 2, 3, 0, time.UTC), Masked: []string{"/input/case"},
		Input: json.RawMessage(`{"consumer":{"department":"11440000006939561H","division":"440106","system":"permits"},
			"provider":{"department":"114400000069401674","division":"440300"},"resource":{"name":"企业登记","sharing":{"type":"conditional"}},
			"grant":{"id":"g-1","not_before":"2026-01-01T00:00:00Z","not_after":"2027-01-01T00:00:00Z"},"directory":{"age_seconds":2}}`),
		Result: decision.Result{Reasons: []bus.Reason{reason}, Verdicts: []bus.Verdict{
			{Layer: "base", Allow: true, Items: []bus.ItemID{"name", "phone"}, Masks: map[bus.ItemID]bus.Mask{"phone": {Method: bus.MaskKeep, Head: 3, Tail: 4}},
				Fired: []bus.Rule{{Name: "masks", File: "items.rego", Row: 30}}},
			{Layer: "division/440100", Revision: 42, Reasons: []bus.Reason{reason}, Fired: []bus.Rule{{Name: "deny", Code: "no-collaboration", File: "city.rego", Row: 12}}},
		}},
		Custom: decision.Custom{Action: "deliver", Index: 99, Leaf: 17, Provider: "114400000069401674", Consumer: "11440000006939561H",
			Resource: "registration", Grant: "g-1", Purpose: bus.PurposeCollaboration, Matter: "440100001", First: 5, Last: 9, Events: 5},
	}
}

func told(e decision.Event, lang bus.Lang) string {
	var b strings.Builder
	for _, line := range decision.Words(e) {
		fmt.Fprintf(&b, "%s: %s\n", line.Label.In(lang), line.Text.In(lang))
	}
	return b.String()
}

func TestADecisionInWords(t *testing.T) {
	for lang, want := range map[bus.Lang]string{
		bus.English: `outcome: deliver is denied
when and where: 2026-03-04 09:02:03.000 (UTC+8), node guangzhou, directory index 99
replica: 2 s since the leader was heard
who: 11440000006939561H · 440106 · permits (system:permits)
of whom: 114400000069401674 · 440300
what: registration 企业登记, events 5–9
purpose: collaboration
matter: 440100001
grant: g-1, 2026-01-01 to 2027-01-01
base @sha256:0123456789ab: allows; items name, phone; masked phone keep 3+4 (items.rego:30)
division/440100 @42: denies: no-collaboration (city.rego:12) not for collaboration
division/440000: was not heard
what to do: ask whoever wrote layer division/440100, or its security administrator (no-collaboration)
masked in the record: /input/case
evidence: leaf 17 of node guangzhou
`,
		bus.Chinese: `结论: 拒绝交付
时间与地点: 2026-03-04 09:02:03.000，节点 guangzhou，目录序号 99
副本: 2 秒前与主节点一致
谁: 11440000006939561H · 440106 · permits (system:permits)
向谁: 114400000069401674 · 440300
什么: registration 企业登记，事件 5–9
用途: 业务协同 collaboration
事项: 440100001
授权: g-1，2026-01-01 至 2027-01-01
base @sha256:0123456789ab: 允许；信息项 name, phone；脱敏 phone keep 3+4 (items.rego:30)
division/440100 @42: 拒绝 no-collaboration (city.rego:12) 不得用于业务协同
division/440000: 没有给出结论
怎么办: 联系制定策略层 division/440100 的部门或其安全管理员（no-collaboration）
已遮蔽: /input/case
存证: 节点 guangzhou 第 17 片叶子
`,
	} {
		if got := told(denied(), lang); got != want {
			t.Errorf("%s:\n%s\nwant:\n%s", lang, got, want)
		}
	}
}

func TestARecordWithoutGroundsIsExplainedAsFarAsItGoes(t *testing.T) {
	e := denied()
	e.Input, e.Result.Verdicts, e.Masked = nil, nil, nil
	got := told(e, bus.English)
	for _, part := range []string{"deliver is denied", "division/440100: no-collaboration not for collaboration", "what each layer said is not known"} {
		if !strings.Contains(got, part) {
			t.Errorf("lacks %q:\n%s", part, got)
		}
	}
}

func TestFlipsAreCountedByPartiesResourceAndReason(t *testing.T) {
	flip := func(id string, change decision.Change, consumer bus.USCC, codes ...string) decision.Flip {
		return decision.Flip{DecisionID: id, Change: change, Consumer: consumer, Resource: "r", Codes: codes}
	}
	var tally decision.Tally
	tally.Add(decision.Replayed{Counts: decision.Counts{Decisions: 3, ToDeny: 2, Same: 1}, Flips: []decision.Flip{
		flip("d-1", decision.ToDeny, "A", "l:x"), flip("d-2", decision.ToDeny, "A", "l:x", "l:y"),
	}})
	tally.Add(decision.Replayed{Counts: decision.Counts{Decisions: 2, ToAllow: 1, Undecided: 1}, Flips: []decision.Flip{flip("d-3", decision.ToAllow, "B", "l:x")},
		Unclear: []decision.Undecided{{DecisionID: "d-4", Why: decision.NoGrounds}}})
	s := tally.Summary()
	if s.Decisions != 5 || s.Flipped() != 3 || s.Undecided != 1 || len(s.Unknown) != 1 {
		t.Errorf("%+v", s.Counts)
	}
	var got []string
	for _, g := range s.Groups {
		got = append(got, fmt.Sprint(g.Change, " ", g.Consumer, " ", g.Reason, " ", g.Count, " ", g.Examples))
	}
	want := "deny A l:x 2 [d-1 d-2]|allow B l:x 1 [d-3]|deny A l:y 1 [d-2]"
	if strings.Join(got, "|") != want {
		t.Errorf("%s\nwant %s", strings.Join(got, "|"), want)
	}
}
