package bus_test

import (
	"testing"

	"github.com/gxbus/gxbus/pkg/bus"
)

// completeDraft is a sample that passes the gate.
func completeDraft() bus.Draft {
	return bus.Draft{Resource: completeResource(), Clearance: bus.Clearance{SecrecyReview: "审查 1", Assessment: "评估 1", Consent: "签批 1"}}
}

func TestACompleteDraftPassesTheGate(t *testing.T) {
	if defects := completeDraft().Gate(); defects != nil {
		t.Errorf("%+v", defects)
	}
}

// Decree 809 art. 13–15, 19: each thing alone.
func TestTheGateNamesWhatIsMissing(t *testing.T) {
	sharing := func(s bus.Sharing) func(*bus.Draft) { return func(d *bus.Draft) { d.Resource.Sharing = s } }
	item := func(t bus.SharingType, of bus.Sharing) func(*bus.Draft) {
		return func(d *bus.Draft) { d.Resource.Items[1].Sharing, d.Resource.Sharing = t, of }
	}
	law := bus.Basis{Kind: "law", Citation: "示例法第一条"}
	impersonal := func(d *bus.Draft) { d.Resource.Items = d.Resource.Items[:1] }
	for _, tc := range []struct {
		name  string
		spoil func(*bus.Draft)
		want  string
	}{
		{"codes", func(d *bus.Draft) { d.Resource.Codes = nil }, "codes"},
		{"name", func(d *bus.Draft) { d.Resource.Name = " \u3000\t" }, "name"},
		{"abstract", func(d *bus.Draft) { d.Resource.Abstract = "" }, "abstract"},
		{"provider", func(d *bus.Draft) { d.Resource.Provider = "" }, "provider"},
		{"format", func(d *bus.Draft) { d.Resource.Format = "" }, "format"},
		{"items", func(d *bus.Draft) { d.Resource.Items = nil }, "items"},
		{"an item's name", func(d *bus.Draft) { d.Resource.Items[0].Name = " " }, "items[0].name"},
		{"an item's type", func(d *bus.Draft) { d.Resource.Items[1].Type = "" }, "items[1].type"},
		{"an item's grade", func(d *bus.Draft) { d.Resource.Items[1].Grade = 0 }, "items[1].grade"},
		{"modes", func(d *bus.Draft) { d.Resource.Modes = nil }, "modes"},
		{"open", func(d *bus.Draft) { d.Resource.Open = "" }, "open"},
		{"terms of opening", func(d *bus.Draft) { d.Resource.Open = "conditional" }, "open_terms"},
		{"classification", func(d *bus.Draft) { d.Resource.Class = "" }, "classification"},
		{"update cycle", func(d *bus.Draft) { d.Resource.UpdateCycle = "" }, "update_cycle"},
		{"sharing type", sharing(bus.Sharing{}), "sharing.type"},
		{"condition", sharing(bus.Sharing{Type: bus.Conditional}), "sharing.range sharing.purposes"},
		{"range", sharing(bus.Sharing{Type: bus.Conditional, Purposes: []bus.Purpose{bus.PurposeReference}}), "sharing.range"},
		{"purposes", sharing(bus.Sharing{Type: bus.Conditional, Range: "示例"}), "sharing.purposes"},
		{"unconditional", sharing(bus.Sharing{Type: bus.Unconditional}), ""},
		{"ground", sharing(bus.Sharing{Type: bus.NotShared}), "sharing.reason sharing.basis"},
		{"reason", sharing(bus.Sharing{Type: bus.NotShared, Basis: &law}), "sharing.reason"},
		{"basis", sharing(bus.Sharing{Type: bus.NotShared, Reason: "示例"}), "sharing.basis"},
		{"kind of basis", sharing(bus.Sharing{Type: bus.NotShared, Reason: "示例", Basis: &bus.Basis{Citation: "示例"}}), "sharing.basis.kind"},
		{"citation", sharing(bus.Sharing{Type: bus.NotShared, Reason: "示例", Basis: &bus.Basis{Kind: "law"}}), "sharing.basis.citation"},
		{"a departmental rule", sharing(bus.Sharing{Type: bus.NotShared, Reason: "示例", Basis: &bus.Basis{Kind: "departmental-rule"}}), "sharing.basis.kind sharing.basis.citation"},
		{"a local regulation", sharing(bus.Sharing{Type: bus.NotShared, Reason: "示例", Basis: &bus.Basis{Kind: "local-regulation", Citation: "示例"}}), "sharing.basis.kind"},
		{"by law", sharing(bus.Sharing{Type: bus.NotShared, Reason: "示例", Basis: &law}), ""},
		{"an item withheld without a ground", item(bus.NotShared, bus.Sharing{Type: bus.Unconditional}), "sharing.reason sharing.basis"},
		{"an item withheld of what is conditional", item(bus.NotShared, bus.Sharing{
			Type: bus.Conditional, Range: "示例", Purposes: bus.Purposes(), Reason: "示例", Basis: &bus.Basis{Kind: "law"},
		}), "sharing.basis.citation"},
		{"an item withheld by a departmental rule", item(bus.NotShared, bus.Sharing{
			Type: bus.Unconditional, Reason: "示例", Basis: &bus.Basis{Kind: "departmental-rule", Citation: "示例"},
		}), "sharing.basis.kind"},
		{"an item withheld by law", item(bus.NotShared, bus.Sharing{Type: bus.Unconditional, Reason: "示例", Basis: &law}), ""},
		{"an item under conditions that are not listed", item(bus.Conditional, bus.Sharing{Type: bus.Unconditional}), "sharing.range sharing.purposes"},
		{"an item under listed conditions", item(bus.Conditional, bus.Sharing{Type: bus.Unconditional, Range: "示例", Purposes: bus.Purposes()}), ""},
		{"an item shared more than the rest", item(bus.Unconditional, bus.Sharing{Type: bus.Conditional, Range: "示例", Purposes: bus.Purposes()}), ""},
		{"an item of what is not shared at all", item(bus.Conditional, bus.Sharing{Type: bus.NotShared, Reason: "示例", Basis: &law}), ""},
		{"secrecy mark", func(d *bus.Draft) { d.Resource.Secrecy = "秘密" }, "secrecy"},
		{"entity of a source", func(d *bus.Draft) { d.Resource.Items[0].Source = true }, "entity"},
		{"secrecy review", func(d *bus.Draft) { d.Clearance.SecrecyReview = "" }, "clearance.secrecy_review"},
		{"assessment", func(d *bus.Draft) { d.Clearance.Assessment = "" }, "clearance.assessment"},
		{"no assessment without personal items", func(d *bus.Draft) { impersonal(d); d.Clearance.Assessment = "" }, ""},
		{"assessment where the provider says so", func(d *bus.Draft) {
			impersonal(d)
			d.Resource.Items[0].Personal, d.Clearance.Assessment = true, ""
		}, "clearance.assessment"},
		{"consent", func(d *bus.Draft) { d.Clearance.Consent = " " }, "clearance.consent"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			d := completeDraft()
			tc.spoil(&d)
			defects := d.Gate()
			if got := fields(defects); got != tc.want {
				t.Errorf("defects in %q, want %q", got, tc.want)
			}
			for _, defect := range defects {
				if defect.Problem.ZH == "" || defect.Problem.EN == "" {
					t.Errorf("%s is not explained in both languages: %+v", defect.Field, defect.Problem)
				}
			}
		})
	}
}

// Decree 809 art. 13, 21: whoever submits hears of everything at once.
func TestTheGateListsEverythingAtOnce(t *testing.T) {
	const empty = "id provider codes name abstract format items sharing.type modes open classification update_cycle " +
		"clearance.secrecy_review clearance.consent"
	if got := fields(bus.Draft{}.Gate()); got != empty {
		t.Errorf("got  %s\nwant %s", got, empty)
	}
	d := bus.Draft{Resource: bus.Resource{
		ID: "X", Codes: []bus.ResourceCode{"9"}, Format: "tape", Open: "conditional", Secrecy: "机密",
		Items:   []bus.Item{{ID: "1", Grade: 7, Semantic: bus.SemanticPhone, Source: true}},
		Sharing: bus.Sharing{Type: bus.NotShared, Basis: &bus.Basis{Kind: "local-regulation"}},
	}}
	const wrong = "id codes[0] provider format items[0].id items[0].grade sharing.basis.kind secrecy name abstract items[0].name items[0].type " +
		"entity sharing.reason sharing.basis.citation modes open_terms classification update_cycle " +
		"clearance.secrecy_review clearance.assessment clearance.consent"
	if got := fields(d.Gate()); got != wrong {
		t.Errorf("got  %s\nwant %s", got, wrong)
	}
}
