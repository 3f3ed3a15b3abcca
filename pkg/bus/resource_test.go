package bus_test

import (
	"strings"
	"testing"

	"github.com/gxbus/gxbus/pkg/bus"
)

// completeResource is a sample in which nothing is missing.
func completeResource() bus.Resource {
	return bus.Resource{
		ID: "sz-firms", Codes: []bus.ResourceCode{"102001/1", "3070120001/000123"}, Name: "企业登记信息（示例）", Abstract: "示例摘要", Class: "示例分类", Provider: realUSCCs[0],
		Format: "database", Modes: []string{"batch", "interface"}, Open: "no", UpdateCycle: "daily",
		Network: "government", Scenario: "government-service",
		Items: []bus.Item{
			{ID: "name", Name: "企业名称", Type: "C", Length: 100, Grade: 1},
			{ID: "legal_id", Name: "法定代表人证件号码", Type: "C", Grade: 3, Semantic: bus.SemanticIDNumber},
		},
		Sharing: bus.Sharing{Type: bus.Conditional, Range: "本省各级部门", Purposes: []bus.Purpose{bus.PurposeVerification}},
	}
}

func TestCompleteResourceHasNoDefect(t *testing.T) {
	if defects := completeResource().Check(); defects != nil {
		t.Errorf("%+v", defects)
	}
}

func TestEachDefectOfAResourceIsNamed(t *testing.T) {
	for _, tc := range []struct {
		name  string
		spoil func(*bus.Resource)
		want  string // fields with a defect
	}{
		{"identifier", func(r *bus.Resource) { r.ID = "SZ Firms" }, "id"},
		{"second code", func(r *bus.Resource) { r.Codes[1] = "402001/1" }, "codes[1]"},
		{"no provider", func(r *bus.Resource) { r.Provider = "" }, "provider"},
		{"mistyped provider", func(r *bus.Resource) { r.Provider = "114400000069401675" }, "provider"},
		{"unknown format", func(r *bus.Resource) { r.Format = "DATABASE" }, "format"},
		{"unknown cycle", func(r *bus.Resource) { r.UpdateCycle = "hourly" }, "update_cycle"},
		{"unknown network", func(r *bus.Resource) { r.Network = "dark" }, "network"},
		{"unknown scenario", func(r *bus.Resource) { r.Scenario = "x" }, "scenario"},
		{"network and scenario may be unstated", func(r *bus.Resource) { r.Network, r.Scenario = "", "" }, ""},
		{"unknown mode", func(r *bus.Resource) { r.Modes = append(r.Modes, "fax") }, "modes[2]"},
		{"item identifier", func(r *bus.Resource) { r.Items[1].ID = "legal-id" }, "items[1].id"},
		{"item twice", func(r *bus.Resource) { r.Items[1].ID = "name" }, "items[1].id"},
		{"items that differ in case only", func(r *bus.Resource) { r.Items[1].ID = "NAME" }, "items[1].id"},
		{"item type", func(r *bus.Resource) { r.Items[0].Type = "c" }, "items[0].type"},
		{"grade 5", func(r *bus.Resource) { r.Items[0].Grade = 5 }, "items[0].grade"},
		{"negative length", func(r *bus.Resource) { r.Items[0].Length = -1 }, "items[0].length"},
		{"item sharing", func(r *bus.Resource) { r.Items[0].Sharing = "1" }, "items[0].sharing"},
		{"item semantic", func(r *bus.Resource) { r.Items[0].Semantic = "email" }, "items[0].semantic"},
		{"sharing type by number", func(r *bus.Resource) { r.Sharing.Type = "2" }, "sharing.type"},
		{"unknown purpose", func(r *bus.Resource) { r.Sharing.Purposes = []bus.Purpose{"reference", "marketing"} }, "sharing.purposes[1]"},
		{"unconditional", func(r *bus.Resource) { r.Sharing = bus.Sharing{Type: bus.Unconditional} }, ""},
		{"not shared by a local regulation", func(r *bus.Resource) {
			r.Sharing = bus.Sharing{Type: bus.NotShared, Reason: "示例", Basis: &bus.Basis{Kind: "local-regulation"}}
		}, "sharing.basis.kind"},
		{"not shared by a departmental rule", func(r *bus.Resource) {
			r.Sharing = bus.Sharing{Type: bus.NotShared, Reason: "示例", Basis: &bus.Basis{Kind: "departmental-rule", Citation: "示例规章第一条"}}
		}, "sharing.basis.kind"},
		{"an unknown basis", func(r *bus.Resource) { r.Sharing.Basis = &bus.Basis{Kind: "habit"} }, "sharing.basis.kind"},
		{"code twice", func(r *bus.Resource) { r.Codes[1] = r.Codes[0] }, "codes[1]"},
		{"a code without end", func(r *bus.Resource) { r.Codes[0] = "101001/" + bus.ResourceCode(strings.Repeat("1", 122)) }, "codes[0]"},
		{"entity", func(r *bus.Resource) { r.Entity = "自然人" }, "entity"},
		{"related code", func(r *bus.Resource) { r.Related = []bus.ResourceCode{"101001/1", "x"} }, "related[1]"},
		{"not shared by law", func(r *bus.Resource) {
			r.Sharing = bus.Sharing{Type: bus.NotShared, Reason: "示例", Basis: &bus.Basis{Kind: "law", Citation: "示例法第一条"}}
		}, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := completeResource()
			tc.spoil(&r)
			defects := r.Check()
			if got := fields(defects); got != tc.want {
				t.Errorf("defects in %q, want %q", got, tc.want)
			}
			for _, d := range defects {
				if d.Problem.ZH == "" || d.Problem.EN == "" {
					t.Errorf("%s is not explained in both languages: %+v", d.Field, d.Problem)
				}
			}
		})
	}
}

// A draft may lack all but what it is known by and who it belongs to.
func TestTheFormOfAnEmptyResource(t *testing.T) {
	if got := fields(bus.Resource{}.Check()); got != "id provider" {
		t.Errorf("defects in %q", got)
	}
	r := completeResource()
	r.Items = make([]bus.Item, 2)
	if got := fields(r.Check()); got != "items[0].id items[1].id items[1].id" {
		t.Errorf("defects in %q", got)
	}
}

// Decree 809 art. 3: whatever else is wrong, a mark is refused as such.
func TestASecrecyMarkIsRefusedAtOnce(t *testing.T) {
	for _, mark := range []string{"秘密", "工作秘密", " "} {
		err := bus.Resource{Secrecy: mark}.Form()
		if bus.CodeOf(err) != bus.CodeSecret {
			t.Errorf("%q: %v", mark, err)
		}
	}
	if err := completeResource().Form(); err != nil {
		t.Error(err)
	}
	if got := bus.CodeOf(bus.Resource{}.Form()); got != bus.CodeInvalid {
		t.Errorf("not well-formed: %s", got)
	}
}

func TestDirectoryCodes(t *testing.T) {
	for _, good := range []bus.ResourceCode{"101001/1", "202003/000001", "3070120001/000123", "301001aZ9/Ab1", "305999/X"} {
		if !good.Valid() {
			t.Errorf("%q is refused", good)
		}
	}
	for _, bad := range []bus.ResourceCode{
		"", "/", "101001", "101001/", "/1", "001001/1", "401001/1", "10100/1", "1O1001/1", "101-001/1", "101001//1", "101001/1/2",
		"101001/1\n", "\n101001/1", " 101001/1", "101001/1 ", "101001/-1", "101001/..", "101001%2f1", "１01001/1", "101001／1",
	} {
		if bad.Valid() {
			t.Errorf("%q is accepted", bad)
		}
	}
}

func TestItemOfAResource(t *testing.T) {
	r := completeResource()
	if item, ok := r.Item("legal_id"); !ok || item.Semantic != bus.SemanticIDNumber {
		t.Errorf("got %+v, %v", item, ok)
	}
	if item, ok := r.Item("LEGAL_ID"); ok {
		t.Errorf("got %+v", item)
	}
}

func FuzzResourceCode(f *testing.F) {
	f.Add("101001/1")
	f.Add("301001aZ9/Ab1")
	f.Fuzz(func(t *testing.T, code string) {
		if !bus.ResourceCode(code).Valid() {
			return
		}
		slashes := 0
		for _, c := range []byte(code) {
			switch {
			case c == '/':
				slashes++
			case c >= '0' && c <= '9', c >= 'A' && c <= 'Z', c >= 'a' && c <= 'z':
			default:
				t.Errorf("%q has %q", code, c)
			}
		}
		if slashes != 1 || len(code) < 8 || code[0] < '1' || code[0] > '3' {
			t.Errorf("%q is accepted", code)
		}
	})
}
