package strictjson_test

import (
	"encoding/json"
	"errors"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/strictjson"
)

var good = []string{
	`null`, `true`, `false`, `0`, `-0`, `-1.5e+3`, `""`, `[]`, `{}`, " \t\r\n1 \n",
	`"中文 \u4e2d \ud83d\ude00 \" \\ \/ \b\f\n\r\t"`,
	`[1,[2,[3]],{"a":{"a":{"a":1}}}]`,
	`{"a":1,"b":{"a":1},"c":[{"a":1},{"a":2}]}`,
	`{"统一社会信用代码":"x","名称":"y"}`,
	`1e308`, `{"":1}`, "\"\x7f\"", `"\uFEFF"`,
}

func TestCheckAcceptsStrictJSON(t *testing.T) {
	for _, text := range good {
		if err := strictjson.Check([]byte(text), strictjson.Limits{}); err != nil {
			t.Errorf("%s: %v", text, err)
		}
	}
}

var bad = []struct {
	id, text, field, says string
}{
	{"S10 depth", strings.Repeat("[", 65) + strings.Repeat("]", 65), strings.Repeat("[0]", 64), "too deep"},
	{"S10 number exponent", `{"a":1e999999}`, "a", "exponent"},
	{"S10 negative exponent", `1e-999999`, "", "exponent"},
	{"S10 exponent beyond an int", `1e99999999999999999999`, "", "exponent"},
	{"S10 number length", strings.Repeat("9", 65), "", "too long"},
	{"S10 keys", manyKeys(10_001), "k10000", "too many keys"},
	{"S11 duplicate key", `{"a":1,"a":2}`, "a", "duplicate"},
	{"S11 duplicate by escape", `{"a":1,"\u0061":2}`, "a", "duplicate"},
	{"S11 duplicate deep", `{"x":[1,{"a":1,"b":2,"a":2}]}`, "x[1].a", "duplicate"},
	{"S11 duplicate of many", manyKeys(100)[:len(manyKeys(100))-1] + `,"k7":0}`, "k7", "duplicate"},
	{"S11 case variant", `{"type":1,"Type":2}`, "Type", "only in case"},
	{"S11 case variant by escape", `{"type":1,"\u0054ype":2}`, "Type", "only in case"},
	{"S11 Kelvin sign", `{"k":1,"\u212a":2}`, "\u212a", "only in case"},
	{"S11 long s", "{\"s\":1,\"ſ\":2}", "ſ", "only in case"},
	{"S11 Greek case", `{"σ":1,"ς":2}`, "ς", "only in case"},
	{"S12 trailing value", `{} {}`, "", "after the value"},
	{"S12 trailing brace", `{}}`, "", "after the value"},
	{"S12 trailing NUL", "{}\x00", "", "after the value"},
	{"S12 BOM", "\xef\xbb\xbf{}", "", "byte order mark"},
	{"S12 invalid UTF-8", "{\"a\":\"\xff\"}", "", "UTF-8, at byte offset 6"},
	{"S12 overlong UTF-8", "\"\xc0\x80\"", "", "UTF-8"},
	{"S12 surrogate in UTF-8", "\"\xed\xa0\x80\"", "", "UTF-8"},
	{"S12 NUL", "\"a\x00\"", "", "control character"},
	{"S12 escaped NUL", `{"a":"\u0000"}`, "a", "bad escape"},
	{"lone high surrogate", `"\ud800"`, "", "bad escape"},
	{"lone low surrogate", `"\udc00"`, "", "bad escape"},
	{"high surrogate before a letter", `"\ud800\u0061"`, "", "bad escape"},
	{"unknown escape", `"\x41"`, "", "bad escape"},
	{"cut escape", `"\u00`, "", "bad escape"},
	{"newline in string", "\"a\nb\"", "", "control character"},
	{"nothing", ``, "", "too early"},
	{"blank", ` `, "", "too early"},
	{"open string", `"abc`, "", "too early"},
	{"open object", `{"a":1`, "a", "too early"},
	{"open array", `[1,2`, "[1]", "too early"},
	{"trailing comma", `{"a":1,}`, "a", "grammar"},
	{"trailing comma in array", `[1,]`, "[1]", "grammar"},
	{"single quotes", `{'a':1}`, "", "grammar"},
	{"bare key", `{a:1}`, "", "grammar"},
	{"no colon", `{"a" 1}`, "a", "grammar"},
	{"leading zero", `01`, "", "grammar"},
	{"plus", `+1`, "", "grammar"},
	{"no digit after the point", `1.`, "", "too early"},
	{"no exponent digits", `1e+`, "", "too early"},
	{"minus alone", `-`, "", "too early"},
	{"NaN", `NaN`, "", "grammar"},
	{"half a word", `nul`, "", "grammar"},
	{"comment", `{}//x`, "", "after the value"},
	{"strange key in the path", `{"a.b":{"\u202e":01}}`, `["a.b"]["\u202e"]`, "grammar"},
}

func manyKeys(n int) string {
	var b strings.Builder
	for i := range n {
		b.WriteString(`,"k` + strconv.Itoa(i) + `":0`)
	}
	return "{" + b.String()[1:] + "}"
}

func TestCheckRefusesWithPathAndReason(t *testing.T) {
	for _, tt := range bad {
		t.Run(tt.id, func(t *testing.T) {
			err := strictjson.Check([]byte(tt.text), strictjson.Limits{})
			e, ok := errors.AsType[*bus.Error](err)
			if !ok || e.Code != bus.CodeMalformedJSON || len(e.Defects) != 1 {
				t.Fatalf("got %v", err)
			}
			d := e.Defects[0]
			if d.Field != tt.field || !strings.Contains(d.Problem.EN, tt.says) || d.Problem.ZH == "" || d.Allowed == "" {
				t.Errorf("got %q: %s", d.Field, d.In(bus.English))
			}
		})
	}
}

func TestS10HostileSizesAreRefusedFast(t *testing.T) {
	mega := manyKeys(1_000_000)
	for name, text := range map[string]string{
		"depth 10⁵ arrays":    strings.Repeat("[", 100_000),
		"depth 10⁵ objects":   strings.Repeat(`{"a":`, 100_000),
		"10⁶ keys":            mega,
		"a number of 1 MB":    strings.Repeat("1", 1_000_000),
		"an exponent of 1 MB": "1e" + strings.Repeat("1", 1_000_000),
	} {
		start := time.Now()
		if bus.CodeOf(strictjson.Check([]byte(text), strictjson.Limits{})) != bus.CodeMalformedJSON {
			t.Errorf("%s: accepted", name)
		}
		if took := time.Since(start); took > 2*time.Second {
			t.Errorf("%s: took %v", name, took)
		}
	}
	// Comparing every pair of these would take minutes.
	start := time.Now()
	if err := strictjson.Check([]byte(manyKeys(300_000)), strictjson.Limits{Keys: 300_000}); err != nil {
		t.Error(err)
	}
	if took := time.Since(start); took > 10*time.Second {
		t.Errorf("300,000 keys within the limit took %v", took)
	}
}

func TestLimitsAreTheCallers(t *testing.T) {
	lim := strictjson.Limits{Depth: 2, Keys: 2, Number: 3, Exponent: 5}
	for text, ok := range map[string]bool{
		`[[1]]`: true, `[[[1]]]`: false,
		`{"a":1,"b":2}`: true, `{"a":1,"b":2,"c":3}`: false,
		`[{"a":1,"b":2},{"a":1,"b":2}]`: true,
		`123`:                           true, `1234`: false,
		`1e5`: true, `1e6`: false,
	} {
		if err := strictjson.Check([]byte(text), lim); (err == nil) != ok {
			t.Errorf("%s: %v", text, err)
		}
	}
}

func FuzzCheck(f *testing.F) {
	for _, text := range good {
		f.Add([]byte(text))
	}
	for _, tt := range bad {
		if len(tt.text) < 1000 {
			f.Add([]byte(tt.text))
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		for range strictjson.Members(data) { // must end and not panic on anything
		}
		for range strictjson.Elements(data) {
		}
		strictjson.Text(data)
		parsed := strictjson.Tree(data)
		compact := strictjson.AppendCompact(nil, data)
		if strictjson.Check(data, strictjson.Limits{}) != nil {
			return
		}
		if !json.Valid(data) {
			t.Fatalf("accepted what encoding/json does not: %q", data)
		}
		var tree any
		d := json.NewDecoder(strings.NewReader(string(data)))
		d.UseNumber()
		if err := d.Decode(&tree); err != nil {
			t.Fatalf("%q: %v", data, err)
		}
		if !reflect.DeepEqual(parsed, tree) {
			t.Fatalf("%q is %v, not %v", data, tree, parsed)
		}
		compareParts(t, data, tree)
		if !json.Valid(compact) || strictjson.Check(compact, strictjson.Limits{}) != nil {
			t.Fatalf("%q compacted to %q", data, compact)
		}
	})
}

// compareParts checks that the functions that take text apart see what
// encoding/json sees.
func compareParts(t *testing.T, data []byte, tree any) {
	switch tree := tree.(type) {
	case map[string]any:
		n := 0
		for key, value := range strictjson.Members(data) {
			inner, ok := tree[key]
			if !ok {
				t.Fatalf("%q has no key %q", data, key)
			}
			compareParts(t, value, inner)
			n++
		}
		if n != len(tree) || strictjson.Kind(data) != '{' {
			t.Fatalf("%q: %d of %d members", data, n, len(tree))
		}
	case []any:
		n := 0
		for i, value := range strictjson.Elements(data) {
			compareParts(t, value, tree[i])
			n++
		}
		if n != len(tree) || strictjson.Kind(data) != '[' {
			t.Fatalf("%q: %d of %d elements", data, n, len(tree))
		}
	case string:
		if text, ok := strictjson.Text(data); !ok || text != tree {
			t.Fatalf("%q: %q", data, text)
		}
		if again, _ := strictjson.Text(strictjson.AppendString(nil, tree)); again != tree {
			t.Fatalf("%q written and read: %q", tree, again)
		}
	case json.Number:
		if strings.TrimSpace(string(data)) != tree.String() {
			t.Fatalf("%q: %s", data, tree)
		}
	}
}

// sample is 64 KiB of registrations such as an agency sends.
func sample() []byte {
	row := `{"uscc":"114400000069401674","name":"广州市天河区某某贸易有限公司","legal_person":"王小明",` +
		`"id_number":"440106199001011234","phone":"13800138000","capital":5000000.00,"address":"广东省广州市天河区天河路 123 号",` +
		`"scope":["批发业","零售业","technical services"],"active":true,"updated":"2026-01-04T08:00:00+08:00"}`
	return []byte("[" + strings.TrimSuffix(strings.Repeat(row+",", 64*1024/len(row)), ",") + "]")
}

func BenchmarkCheck(b *testing.B) {
	data := sample()
	b.SetBytes(int64(len(data)))
	b.ReportAllocs()
	var checked time.Duration
	for b.Loop() {
		start := time.Now()
		if err := strictjson.Check(data, strictjson.Limits{}); err != nil {
			b.Fatal(err)
		}
		checked += time.Since(start)
	}
	var tree any
	start := time.Now()
	for range 20 {
		if err := json.Unmarshal(data, &tree); err != nil {
			b.Fatal(err)
		}
	}
	raw := time.Since(start) / 20
	b.ReportMetric(float64(raw)/(float64(checked)/float64(b.N)), "x-encoding/json")
}
