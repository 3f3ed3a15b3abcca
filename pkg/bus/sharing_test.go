package bus_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gxbus/gxbus/pkg/bus"
)

func TestGrantDefects(t *testing.T) {
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	complete := bus.Grant{
		ID: "g-1", Resource: "sz-firms", Consumer: realUSCCs[1], Purposes: []bus.Purpose{bus.PurposeVerification},
		Items: []bus.ItemID{"name"}, NotBefore: start, NotAfter: start.Add(time.Nanosecond),
	}
	for _, tc := range []struct {
		name  string
		spoil func(*bus.Grant)
		want  string
	}{
		{"complete", func(*bus.Grant) {}, ""},
		{"empty", func(g *bus.Grant) { *g = bus.Grant{} }, "id resource consumer purposes items not_after"},
		{"mistyped consumer", func(g *bus.Grant) { g.Consumer = "114400000069401675" }, "consumer"},
		{"unknown purpose", func(g *bus.Grant) { g.Purposes = append(g.Purposes, "marketing") }, "purposes[1]"},
		{"no time", func(g *bus.Grant) { g.NotAfter = start }, "not_after"},
		{"time that runs backwards", func(g *bus.Grant) { g.NotAfter = start.Add(-time.Hour) }, "not_after"},
	} {
		grant := complete
		tc.spoil(&grant)
		if got := fields(grant.Check()); got != tc.want {
			t.Errorf("%s: defects in %q, want %q", tc.name, got, tc.want)
		}
	}
}

func TestSubscriptionDefects(t *testing.T) {
	complete := bus.Subscription{ID: "s-1", Resource: "sz-firms", System: "th-approval", Purpose: bus.PurposeReference}
	if defects := complete.Check(); defects != nil {
		t.Errorf("%+v", defects)
	}
	if got := fields(bus.Subscription{}.Check()); got != "id resource system purpose" {
		t.Errorf("defects in %q", got)
	}
	for _, basis := range []string{strings.Repeat("x", 513), "示例办法\n第一条", "示例办法第一条，13800000000"} {
		complete.Basis = basis
		if got := fields(complete.Check()); got != "basis" {
			t.Errorf("%.20q: defects in %q", basis, got)
		}
	}
	complete.Basis = "示例办法第一条"
	if defects := complete.Check(); defects != nil {
		t.Errorf("%+v", defects)
	}
}

func TestARenewalKeepsTheModeOfItsGrant(t *testing.T) {
	at := time.Date(2026, 3, 4, 4, 0, 0, 0, time.UTC)
	consented := bus.Grant{NotAfter: at.AddDate(0, 1, 0), Consent: &bus.Consent{Mode: "batch"}}
	agreed := bus.Grant{NotAfter: at.AddDate(0, 1, 0)} // names none: any is less
	for _, c := range []struct {
		grant      bus.Grant
		mode, want string
	}{
		{consented, "batch", ""}, {consented, "interface", "mode"}, {consented, "file", "mode"}, {consented, "", ""}, // that it is missing is told elsewhere
		{agreed, "interface", ""},
	} {
		renewal := bus.ApplicationContent{Mode: c.mode, Until: at.AddDate(1, 0, 0)}
		if got := fields(renewal.GateRenewal(c.grant, at, nil)); got != c.want {
			t.Errorf("by %q of %+v: refused for %q, want %q", c.mode, c.grant.Consent, got, c.want)
		}
	}
}

// An entry may tell of files, which no node hands out: nobody applies for one in vain,
// and what was filed before is not consented to.
func TestAModeThatNothingServesIsNeitherAppliedForNorConsentedTo(t *testing.T) {
	at := time.Date(2026, 3, 4, 4, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		mode    string
		entry   []string
		allowed string // "-": it is given
	}{
		{"batch", []string{"file", "batch"}, "-"},
		{"interface", []string{"interface"}, "-"},
		{"file", []string{"file", "batch", "interface"}, "interface, batch"},
		{"file", []string{"file"}, "none: ask the provider to offer interface, batch"},
		{"file", []string{"batch"}, "batch"},
		{"interface", []string{"file", "batch"}, "batch"},
	} {
		r := bus.Resource{ID: "r1", Provider: "11440000006939561H", Version: 1, Modes: c.entry, Items: []bus.Item{{ID: "name"}}}
		a := bus.Application{Content: bus.ApplicationContent{
			Department: "1144010699990002XN", Resource: "r1", Version: 1, Basis: "示例", Scenario: "示例", Items: []bus.ItemID{"name"},
			Division: "440106", Mode: c.mode, Purposes: []bus.Purpose{bus.PurposeReference}, Until: at.AddDate(1, 0, 0),
		}}
		_, refused := a.Granted(bus.Terms{}, r, at, func(code, root bus.DivisionCode) bool { return code == root })
		for told, defects := range map[string][]bus.Defect{"submitted": a.Content.Gate(r, at), "consented to": refused} {
			switch {
			case c.allowed == "-" && defects == nil:
			case len(defects) != 1 || defects[0].Field != "mode" || defects[0].Allowed != c.allowed:
				t.Errorf("%s of %q, %s: %+v", c.mode, c.entry, told, defects)
			}
		}
	}
	if d := (bus.ApplicationContent{}).Gate(bus.Resource{}, at); !slices.ContainsFunc(d, func(d bus.Defect) bool { return d.Field == "mode" && d.Allowed == "interface, batch" }) {
		t.Errorf("none is named: %+v", d)
	}
}
