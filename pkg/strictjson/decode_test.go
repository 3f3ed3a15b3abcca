package strictjson_test

import (
	"errors"
	"reflect"
	"testing"
	"time"

	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/strictjson"
)

type inner struct {
	Deep int `json:"deep"`
}

type target struct {
	inner
	Name    string            `json:"name"`
	Count   int8              `json:"count,omitempty"`
	When    time.Time         `json:"when,omitzero"`
	List    []*inner          `json:"list,omitempty"`
	Map     map[string]inner  `json:"map,omitempty"`
	Any     any               `json:"any,omitempty"`
	Mask    map[string]string `json:"-"`
	Untaged bool
}

func TestDecodeFillsTheValue(t *testing.T) {
	var got target
	err := strictjson.Decode([]byte(`{"name":"\u738b","count":-3,"deep":1,"when":"2026-01-04T08:00:00Z",
		"list":[{"deep":2},null],"map":{"Deep":{"deep":3}},"any":{"X":1},"Untaged":true}`), strictjson.Limits{}, &got)
	want := target{
		inner: inner{1}, Name: "王", Count: -3, When: time.Date(2026, 1, 4, 8, 0, 0, 0, time.UTC),
		List: []*inner{{2}, nil}, Map: map[string]inner{"Deep": {3}}, Any: map[string]any{"X": 1.0}, Untaged: true,
	}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, %v", got, err)
	}
}

func TestDecodeRefusesWhatDoesNotFit(t *testing.T) {
	for _, tt := range []struct {
		text  string
		code  bus.Code
		field string
	}{
		{`{"Name":"x"}`, bus.CodeInvalid, "Name"},
		{`{"name":"x","NAME":"y"}`, bus.CodeInvalid, "NAME"},
		{`{"name":"x","name":"y"}`, bus.CodeMalformedJSON, "name"},
		{`{"unknown":1}`, bus.CodeInvalid, "unknown"},
		{`{"list":[{"deep":1},{"Deep":1}]}`, bus.CodeInvalid, "list[1].Deep"},
		{`{"map":{"a":{"x":1}}}`, bus.CodeInvalid, "map.a.x"},
		{`{"Mask":{}}`, bus.CodeInvalid, "Mask"},
		{`{"untaged":true}`, bus.CodeInvalid, "untaged"},
		{`{"inner":{"deep":1}}`, bus.CodeInvalid, "inner"},
		{`{"when":"yesterday"}`, bus.CodeInvalid, "when"},
		{`{"count":1.5}`, bus.CodeInvalid, "count"},
		{`{"count":300}`, bus.CodeInvalid, "count"},
		{`{"name":5}`, bus.CodeInvalid, "name"},
		{`{"name":"x"} 1`, bus.CodeMalformedJSON, ""},
		{`[]`, bus.CodeInvalid, ""},
	} {
		var got target
		err := strictjson.Decode([]byte(tt.text), strictjson.Limits{}, &got)
		e, ok := errors.AsType[*bus.Error](err)
		if !ok || e.Code != tt.code || e.Defects[0].Field != tt.field {
			t.Errorf("%s: %v", tt.text, err)
		}
	}
}

func TestDecodeIntoNothingIsOurFault(t *testing.T) {
	if err := strictjson.Decode([]byte(`{}`), strictjson.Limits{}, nil); bus.CodeOf(err) != bus.CodeInternal {
		t.Errorf("got %v", err)
	}
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte(`{"name":"x","list":[{"deep":2}],"when":"2026-01-04T08:00:00Z"}`))
	f.Add([]byte(`{"Name":1,"any":[[]],"map":{"a":null}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		var got target
		if strictjson.Decode(data, strictjson.Limits{}, &got) == nil && strictjson.Check(data, strictjson.Limits{}) != nil {
			t.Fatalf("decoded what Check refuses: %q", data)
		}
	})
}
