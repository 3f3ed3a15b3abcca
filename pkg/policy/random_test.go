package policy_test

import (
	"time"

	"pgregory.net/rapid"

	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/policy"
)

// anyInput draws an input: like one that the bus makes, with whatever a policy may
// look at differing in ways that matter to the shipped ones.
func anyInput(t *rapid.T) policy.Input {
	in := policy.Input{
		Version:   policy.InputVersion,
		Action:    one(t, "action", policy.ActionForward, policy.ActionDeliver, policy.ActionSubscribe, policy.ActionPublish, policy.ActionDiscover, policy.ActionQuery),
		Stage:     one(t, "stage", policy.StageProvider, policy.StageConsumer),
		Time:      anyInstant(t, "time"),
		Consumer:  one(t, "consumer", anyConsumers...),
		Provider:  one(t, "provider", anyProviders...),
		Resource:  anyResource(t),
		Purpose:   one(t, "purpose", append(bus.Purposes(), "")...),
		Matter:    one(t, "matter", "", "440106001000", "440106009000"),
		Case:      one(t, "case", "", "20260304-0001", "20260304-0002"),
		Basis:     one(t, "basis", "", "示例办法第一条"),
		Operator:  one(t, "operator", "", "op-7"),
		Directory: policy.DirectoryState{Index: bus.Revision(rapid.Uint32().Draw(t, "index")), AgeSeconds: rapid.IntRange(0, 600).Draw(t, "age")},
	}
	if rapid.Bool().Draw(t, "owned") {
		in.Resource.Provider = in.Provider.Department
	}
	in.Items = some(t, "items", itemIDs...)
	if rapid.Bool().Draw(t, "granted") {
		in.Grant = anyGrant(t, in)
	}
	switch in.Action {
	case policy.ActionPublish, policy.ActionForward, policy.ActionDeliver:
		in.Event = policy.Event{"id": "e-1", "type": one(t, "event type", "a", "cn.gov.sample.firm.registered.v1"), "subject": one(t, "subject", "440106", "x")}
	}
	return in
}

var itemIDs = []bus.ItemID{"name", "id_number", "birth_date", "registered_address", "division", "score", "phone"}

func anyInstant(t *rapid.T, label string) policy.Instant {
	seconds := rapid.Int64Range(0, 2*365*24*3600).Draw(t, label)
	return policy.Instant{Time: time.Date(2025, 7, 1, 0, 0, 0, 0, time.UTC).Add(time.Duration(seconds) * time.Second)}
}

// The parties that the shipped policies tell apart, by what they mostly are.
var (
	shenzhenChain = []bus.DivisionCode{"440300", "440000"}
	tianheChain   = []bus.DivisionCode{"440106", "440100", "440000"}

	anyProviders = []policy.Party{
		{Department: shenzhenDepartment, Division: "440300", Divisions: shenzhenChain},
		{Department: "11440300999900011J", Division: "440300", Divisions: shenzhenChain},
		{Department: "11440000999900062B", Division: "440000", Divisions: tianheChain[2:]},
		{},
	}
	anyConsumers = []policy.Party{
		{Department: tianheDepartment, Division: "440106", Divisions: tianheChain, System: "c-1"},
		{Department: "1144010699990002XN", Division: "440106", Divisions: tianheChain, System: "sample-44010699990002x"},
		{Department: "1144010699990002XN", Division: "440106", Divisions: tianheChain, System: "c-2"},
		{Department: "11440100999900046T", Division: "440100", Divisions: tianheChain[1:]},
		{Department: shenzhenDepartment, Division: "440300", Divisions: shenzhenChain, System: "s-1"},
		{Role: bus.RoleAuditor},
	}
)

func anyResource(t *rapid.T) policy.Resource {
	r := policy.Resource{
		ID: one(t, "resource", bus.ResourceID("enterprise-registration"), "marriage-register", "school-enrolment",
			"provincial-permits", "quarterly-statistics", "infectious-diseases", "event-types", "event-types"),
		Provider: one(t, "owner", shenzhenDepartment, tianheDepartment), Name: "样例", Codes: []bus.ResourceCode{one(t, "code", bus.ResourceCode("301001/0001"), "104001/0001")},
		Sharing:  policy.Sharing{Type: one(t, "sharing", bus.Conditional, bus.Unconditional, bus.NotShared), Purposes: some(t, "shared for", bus.Purposes()...)},
		Network:  one(t, "network", "", "government", "internet", "departmental"),
		Revision: 7,
	}
	for _, id := range some(t, "has", itemIDs...) {
		it := bus.Item{
			Semantic: one(t, "semantic", "", bus.SemanticIDNumber, bus.SemanticName, bus.SemanticPhone, bus.SemanticAddress, bus.SemanticBankCard, bus.SemanticUSCC, bus.SemanticDivision),
			Personal: rapid.Bool().Draw(t, "personal"),
		}
		r.Items = append(r.Items, policy.Item{
			ID: id, Type: one(t, "type", "C", "D", "N"), Grade: rapid.IntRange(1, 4).Draw(t, "grade"),
			Sharing: one(t, "item sharing", "", bus.Conditional, bus.NotShared), Semantic: it.Semantic, Personal: it.IsPersonal(),
		})
	}
	return r
}

func anyGrant(t *rapid.T, in policy.Input) *policy.Grant {
	g := &policy.Grant{
		ID: one(t, "grant", bus.GrantID("g-1"), "credit-1"), Resource: in.Resource.ID, Consumer: in.Consumer.Department, Purposes: some(t, "granted for", bus.Purposes()...),
		Items: some(t, "granted", itemIDs...), Matters: some(t, "matters", "440106001000", "440106009000"),
		Division: one(t, "range", bus.DivisionCode(""), "440106"), Mode: one(t, "mode", "", "batch"), Application: one(t, "application", bus.ApplicationID(""), "a-1"),
		NotBefore: policy.Instant{Time: in.Time.AddDate(0, 0, -rapid.IntRange(0, 60).Draw(t, "age"))}, NotAfter: policy.Instant{Time: in.Time.AddDate(0, 1, 0)},
		Suspended: one(t, "suspended", false, false, true), Revoked: one(t, "revoked", false, false, true),
	}
	if rapid.IntRange(0, 3).Draw(t, "odd dates") == 0 {
		g.NotBefore, g.NotAfter = anyInstant(t, "begins"), anyInstant(t, "ends")
	}
	return g
}

func one[T any](t *rapid.T, label string, values ...T) T {
	return rapid.SampledFrom(values).Draw(t, label)
}

// some draws a part of values, in order, each once.
func some[T any](t *rapid.T, label string, values ...T) (part []T) {
	chosen := rapid.Uint32().Draw(t, label)
	for i, v := range values {
		if chosen&(1<<i) != 0 {
			part = append(part, v)
		}
	}
	return part
}
