package policy_test

import (
	"encoding/json"
	"slices"
	"testing"
	"time"

	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/policy"
)

const (
	shenzhenDepartment  bus.USCC = "114400000069401674" // sample provider
	tianheDepartment    bus.USCC = "11440000006939561H" // sample consumer
	guangzhouDepartment bus.USCC = "11441400007208381Y"
)

var noon = time.Date(2026, 3, 4, 4, 0, 0, 0, time.UTC)

// patient is a deadline for tests that are not about it.
const patient = time.Minute

func newEngine(t testing.TB, layers ...bus.Layer) *policy.Engine {
	t.Helper()
	e, err := policy.New(policy.Options{Deadline: patient, CompileLimit: patient})
	if err != nil {
		t.Fatal(err)
	}
	e.Load(layers)
	return e
}

// forward is a forward of enterprise registrations from Shenzhen to Tianhe
// under a live grant.
func forward() policy.Input {
	resource := bus.Resource{
		ID: "enterprise-registration", Provider: shenzhenDepartment, Codes: []bus.ResourceCode{"301001/0001"}, Name: "企业登记（样例）",
		Sharing: bus.Sharing{Type: bus.Conditional, Range: "全省", Purposes: []bus.Purpose{bus.PurposeCollaboration, bus.PurposeReference}},
		Items: []bus.Item{
			{ID: "name", Type: "C", Grade: 1},
			{ID: "id_number", Type: "C", Grade: 3, Semantic: bus.SemanticIDNumber},
			{ID: "registered_address", Type: "C", Grade: 2, Semantic: bus.SemanticAddress},
		},
		Revision: 7,
	}
	grant := bus.Grant{ID: "g-1", Resource: resource.ID, Consumer: tianheDepartment, Purposes: resource.Sharing.Purposes,
		Items: []bus.ItemID{"name", "id_number", "registered_address"}, NotBefore: noon.AddDate(0, -1, 0), NotAfter: noon.AddDate(0, 1, 0)}
	return policy.Input{
		Version: policy.InputVersion, Action: policy.ActionForward, Stage: policy.StageProvider, Time: policy.Instant{Time: noon},
		Provider: policy.Party{Department: shenzhenDepartment, Division: "440300", Divisions: []bus.DivisionCode{"440300", "440000"}},
		Consumer: policy.Party{Department: tianheDepartment, Division: "440106", Divisions: []bus.DivisionCode{"440106", "440100", "440000"}},
		Resource: policy.ResourceOf(resource), Grant: policy.GrantOf(grant), Purpose: bus.PurposeCollaboration,
		Directory: policy.DirectoryState{Index: 42, AgeSeconds: 1},
	}
}

func with(change func(*policy.Input)) policy.Input {
	in := forward()
	change(&in)
	return in
}

// codes gives a decision's reasons as layer and code.
func codes(d bus.Decision) []string {
	var all []string
	for _, r := range d.Reasons {
		all = append(all, string(r.Layer)+" "+r.Code)
	}
	return all
}

func wantDenied(t *testing.T, d bus.Decision, reasons ...string) {
	t.Helper()
	if d.Allow || !slices.Equal(codes(d), reasons) || d.Obligations.Items != nil || d.Obligations.Masks != nil {
		t.Errorf("decision = allow %v, reasons %q, obligations %+v; want denied for %q", d.Allow, codes(d), d.Obligations, reasons)
	}
	for _, r := range d.Reasons {
		if r.Message.ZH == "" || r.Message.EN == "" {
			t.Errorf("reason %s %s lacks a language", r.Layer, r.Code)
		}
	}
}

func wantItems(t *testing.T, d bus.Decision, items ...bus.ItemID) {
	t.Helper()
	if !d.Allow || !slices.Equal(d.Obligations.Items, items) {
		t.Errorf("decision = allow %v, reasons %q, items %q; want items %q", d.Allow, codes(d), d.Obligations.Items, items)
	}
}

// layerOf makes a layer of one module with the layer's package line before it.
func layerOf(t testing.TB, id bus.LayerID, revision bus.Revision, rules string) bus.Layer {
	t.Helper()
	pkg, ok := policy.LayerPackage(id)
	if !ok {
		t.Fatalf("%q is not a layer id", id)
	}
	return bus.Layer{ID: id, Revision: revision, Modules: map[string]string{"rules.rego": "package " + pkg + "\n" + rules}}
}

const city = bus.LayerID("division/440100")

// deny is a module's rule that denies with code if body holds.
func deny(code, body string) string {
	return `deny contains {"code": "` + code + `", "zh": "测试", "en": "test"} if { ` + body + " }\n"
}

func decode(t testing.TB, text string) (in policy.Input, err error) {
	t.Helper()
	err = json.Unmarshal([]byte(text), &in)
	return in, err
}
