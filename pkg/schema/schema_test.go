package schema_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/schema"
)

func TestItemsMakeASchemaThatTellsAllDefectsByPointer(t *testing.T) {
	items := []bus.Item{
		{ID: "name", Name: "名称", Type: "C", Length: 4}, {ID: "count", Name: "人数", Type: "I", Length: 3},
		{ID: "sum", Name: "金额", Type: "Y", Length: 5}, {ID: "day", Name: "日期", Type: "D"}, {ID: "at", Name: "时间", Type: "T"},
		{ID: "open", Name: "开放", Type: "L"}, {ID: "ratio", Name: "比率", Type: "F"}, {ID: "shape", Name: "图形", Type: "G"},
	}
	text, err := schema.Of(bus.Resource{Name: "示例", Items: items})
	check(t, err)
	checker, err := schema.Compile(text)
	check(t, err)
	for data, want := range map[string]string{
		`{"name":"深圳市局","count":999,"sum":99999.5,"day":"2026-01-05","at":"2026-01-05T09:00:00.5+08:00","open":true,"ratio":1e300,"shape":{"type":"Point"}}`: "",
		`{"sum":"-99999.50","day":"20260105","at":"2026-01-05 09:00:00"}`:                                                                                    "",
		`{"name":null,"count":null,"inner":"no item"}`:                                                                                                       "",
		`[]`:                          "",
		`[{"name":"一"},{"name":"二"}]`: "",
		`{"name":"深圳市分局"}`:            "data/name",
		`{"name":7,"count":1.5,"sum":"123456","day":"2026-13-05","at":"09:00","open":"是","ratio":"1"}`: "data/at data/count data/day data/name data/open data/ratio data/sum",
		`{"count":1000,"sum":100000.01}`: "data/count data/sum",
		`[{"name":"一"},{"name":2},3]`:    "data/1/name data/2",
		`"text"`:                         "data",
		`[[{"name":"一"}]]`:               "data/0",
	} {
		var fields []string
		for _, d := range checker.Check("data", []byte(data)) {
			fields = append(fields, d.Field)
			if d.Problem.ZH == "" || d.Problem.EN == "" || strings.Contains(fmt.Sprint(d), "深圳市分局") {
				t.Errorf("%s: %+v", data, d)
			}
		}
		slices.Sort(fields)
		if got := strings.Join(fields, " "); got != want {
			t.Errorf("%s: defects at %q, want %q", data, got, want)
		}
	}
}

func TestWhatAProviderMayNotSupply(t *testing.T) {
	bomb := `{"$ref":"#/$defs/x0","$defs":{`
	for i := range 40 {
		bomb += fmt.Sprintf(`"x%d":{"allOf":[{"$ref":"#/$defs/x%d"},{"$ref":"#/$defs/x%d"}]},`, i, i+1, i+1)
	}
	bomb += `"x40":true}}`
	for text, allowed := range map[string]string{
		`{"type":"objekt"}`: schema.Draft,
		`7`:                 schema.Draft,
		`{"pattern":"("}`:   schema.Draft,
		`{"$schema":"http://json-schema.org/draft-07/schema#"}`:                "2020-12",
		`{"$ref":"file:///etc/passwd"}`:                                        "#/",
		`{"$ref":"https://example.org/s"}`:                                     "#/",
		`{"$ref":"#/$defs/none"}`:                                              "#/",
		`{"properties":{"a":{"$ref":"#/properties/a"}}}`:                       "circle",
		`{"$id":"https://example.org/","properties":{"a":{"$ref":"#/$defs"}}}`: "$ref",
		`{"$dynamicRef":"#x"}`:                                                 "$ref",
		bomb:                                                                   "2000",
		`{"description":"` + strings.Repeat("x", 64<<10) + `"}`:                "65536",
	} {
		began := time.Now()
		err := schema.Supplied(json.RawMessage(text))
		e, ok := errors.AsType[*bus.Error](err)
		if !ok || e.Code != bus.CodeInvalid || e.Defects[0].Field != "schema" || !strings.Contains(e.Defects[0].Allowed, allowed) {
			t.Errorf("%.60s: %v, want what allows %q", text, err, allowed)
		}
		if took := time.Since(began); took > 5*time.Second {
			t.Errorf("%.60s: took %v", text, took)
		}
	}
	good := `{"$schema":"` + schema.Draft + `","type":"object","required":["id"],"properties":{"id":{"$ref":"#/$defs/id"},"$id":{"type":"string"}},
		"additionalProperties":false,"$defs":{"id":{"type":"string","pattern":"^[0-9]+$","format":"date"}}}`
	check(t, schema.Supplied(json.RawMessage(good)))
	check(t, schema.Supplied(nil))
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
