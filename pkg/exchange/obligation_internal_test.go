package exchange

import (
	"encoding/json"
	"errors"
	"strconv"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"pgregory.net/rapid"

	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/event"
	"github.com/gxbus/gxbus/pkg/strictjson"
)

func keepMask(head, tail int) bus.Mask {
	return bus.Mask{Method: bus.MaskKeep, Head: head, Tail: tail}
}

func TestMask(t *testing.T) {
	year, verify, pseudonyms := bus.Mask{Method: bus.MaskYear}, bus.Mask{Method: bus.MaskVerify}, bus.Mask{Method: bus.MaskPseudonym}
	surname, county, null := bus.Mask{Method: bus.MaskSurname}, bus.Mask{Method: bus.MaskCounty}, bus.Mask{Method: bus.MaskNull}
	for _, tt := range []struct {
		m           bus.Mask
		value, want string
	}{
		{keepMask(6, 4), `"440106199001011234"`, `"440106********1234"`},
		{keepMask(3, 4), `"13800138000"`, `"138****8000"`},
		{keepMask(3, 4), `13800138000`, `"138****8000"`},
		{keepMask(0, 4), `"6222021234567890123"`, `"***************0123"`},
		{keepMask(6, 4), `"44010619"`, `"********"`},
		{keepMask(3, 4), `"1380013"`, `"*******"`},
		{keepMask(3, 4), `"13800138"`, `"138*0138"`},
		{keepMask(1<<62, 1<<62), `"123"`, `"***"`},
		{keepMask(0, 0), `"中文"`, `"**"`},
		{keepMask(1, 1), `"\u4e2d文\ud83d\ude00"`, `"中*😀"`},
		{keepMask(1, 1), `""`, `""`},
		{keepMask(1, 1), `-1.50`, `"-***0"`},
		{keepMask(1, 1), `true`, `null`},
		{keepMask(1, 1), `{"a":"440106"}`, `null`},
		{keepMask(1, 1), `["440106"]`, `null`},
		{keepMask(1, 1), `null`, `null`},
		{null, `"x"`, `null`},
		{bus.Mask{Method: "unknown"}, `"x"`, `null`},
		{bus.Mask{}, `{"a" : 1.50}`, `{"a" : 1.50}`},

		{year, `"1990-01-02"`, `"1990"`},
		{year, `"1990/1/2"`, `"1990"`},
		{year, `"1990.1"`, `"1990"`},
		{year, `"1990年1月2日"`, `"1990"`},
		{year, `"1990年"`, `"1990"`},
		{year, `"1990"`, `"1990"`},
		{year, `1990`, `"1990"`},
		{year, `"19900102"`, `"1990"`},
		{year, `19900102`, `"1990"`},
		{year, `"1990-01-02T08:00:00+08:00"`, `"1990"`},
		{year, `"1990-01-02 08:00:00"`, `"1990"`},
		{year, `"440106199001011235"`, `"1990"`},
		{year, `"11010519491231109x"`, `"1949"`},
		{year, `"11010519491231109X"`, `"1949"`},
		{year, `"440106900101123"`, `"1990"`},  // 15 digits, of before 1999
		{year, `"440106901301123"`, `null`},    // no month 13
		{year, `"440106199001011234"`, `null`}, // wrong check digit
		{year, `"440106199002301239"`, `null`},
		{year, `"19901302"`, `null`},
		{year, `"13800138"`, `null`},
		{year, `"440106"`, `null`},
		{year, `"0755-12"`, `null`},
		{year, `"1990-02-30"`, `null`},
		{year, `"1990-1-2-3"`, `null`},
		{year, `"大约1990年"`, `null`},
		{year, `"１９９０"`, `null`},
		{year, `true`, `null`},
		{year, `null`, `null`},
		{year, `{}`, `null`},
		{year, `""`, `null`},

		{verify, `"x"`, `true`},
		{verify, `0`, `true`},
		{verify, `false`, `true`}, // there is a value
		{verify, `[]`, `true`},
		{verify, `""`, `false`},
		{verify, `null`, `false`},

		{pseudonyms, `"440106199001011233"`, `null`}, // without a key

		{surname, `"王小明"`, `"王**"`},
		{surname, `"李娜"`, `"李*"`},
		{surname, `"欧阳修"`, `"欧阳*"`},
		{surname, `"诸葛孔明"`, `"诸葛**"`},
		{surname, `"司马"`, `"司*"`},
		{surname, `"王"`, `"*"`},
		{surname, `"阿卜杜拉·买买提"`, `"阿*******"`},
		{surname, `"John"`, `"J***"`},

		{county, `"广东省广州市天河区天河路123号"`, `"广东省广州市天河区****"`},
		{county, `"广东省广州市天河区"`, `"广东省广州市天河区****"`},
		{county, `"广州市天河区天河路"`, `"广州市天河区****"`},
		{county, `"广东省 深圳市 南山区 科技园"`, `"广东省 深圳市 南山区****"`},
		{county, `"广东广州市番禺区市桥街"`, `"广东广州市番禺区****"`},
		{county, `"广东省茂名市高州市石鼓镇"`, `"广东省茂名市高州市****"`},
		{county, `"广东省清远市连南瑶族自治县三江镇"`, `"广东省清远市连南瑶族自治县****"`},
		{county, `"广东省汕尾市城区凤山街道"`, `"广东省汕尾市城区****"`},
		{county, `"北京市海淀区中关村大街"`, `"北京市海淀区****"`},
		{county, `"上海市浦东新区世纪大道"`, `"上海市浦东新区****"`},
		{county, `"山东省青岛市市北区"`, `"山东省青岛市市北区****"`},
		{county, `"江西省景德镇市昌江区"`, `"江西省景德镇市昌江区****"`},
		{county, `"河南新乡市红旗区"`, `"河南新乡市红旗区****"`},
		{county, `"河南省郑州市上街区济源路"`, `"河南省郑州市上街区****"`},
		{county, `"宁夏回族自治区银川市兴庆区北京路"`, `"宁夏回族自治区银川市兴庆区****"`},
		{county, `"新疆维吾尔自治区喀什地区疏附县托克扎克镇"`, `"新疆维吾尔自治区喀什地区疏附县****"`},
		{county, `"内蒙古自治区锡林郭勒盟苏尼特左旗满都拉图镇"`, `"内蒙古自治区锡林郭勒盟苏尼特左旗****"`},
		{county, `"甘肃省临夏回族自治州积石山保安族东乡族撒拉族自治县吹麻滩镇"`, `"甘肃省临夏回族自治州积石山保安族东乡族撒拉族自治县****"`},
		{county, `"香港特别行政区中西区"`, `"香港特别行政区中西区****"`},
		{county, `"广东省东莞市南城街道西平社区"`, `"**************"`},
		{county, `"广东省中山市石岐区"`, `"*********"`},
		{county, `"广东省广州市"`, `"******"`},
		{county, `"广州市红旗路1号"`, `"********"`},
		{county, `"广州市长安市场路3号"`, `"**********"`},
		{county, `"佛山市家具工业区5栋"`, `"**********"`},
		{county, `"清远市龙塘镇东区3号"`, `"**********"`},
		{county, `"珠海市华发新城南区2栋"`, `"***********"`},
		{county, `"阳光花园东区12号"`, `"*********"`},
		{county, `"天河区天河路"`, `"******"`},
		{county, `"幸福小区"`, `"****"`},
		{county, `"No. 1 Main Street"`, `"*****************"`},
		{county, `""`, `""`},
	} {
		if got := string(mask(json.RawMessage(tt.value), tt.m, nil)); got != tt.want {
			t.Errorf("%s of %s: got %s, want %s", tt.m.Method, tt.value, got, tt.want)
		}
	}
}

func TestPseudonyms(t *testing.T) {
	m := bus.Mask{Method: bus.MaskPseudonym}
	one, other := []byte("the key of one grant"), []byte("the key of another")
	code := func(value string, key []byte) string { return string(mask(json.RawMessage(value), m, key)) }
	number := code(`"440106199001011233"`, one)
	if len(number) != len(`"p:"`)+26 || strings.Contains(number, "4401") {
		t.Errorf("pseudonym %s", number)
	}
	if again := code(`440106199001011233`, one); again != number {
		t.Errorf("the same digits as a number: %s", again)
	}
	for name, differs := range map[string]string{
		"another key": code(`"440106199001011233"`, other), "another value": code(`"440106199001011234"`, one), "a space more": code(`"440106199001011233 "`, one),
	} {
		if differs == number {
			t.Errorf("%s: the same pseudonym", name)
		}
	}
	for value, want := range map[string]string{`""`: `""`, `null`: `null`, `true`: `null`, `{"a":1}`: `null`} {
		if got := code(value, one); got != want {
			t.Errorf("%s: %s, want %s", value, got, want)
		}
	}
	f := func(grant bus.GrantID, consumer bus.USCC) flow {
		f := flow{subscription: bus.Subscription{Grant: grant, Consumer: consumer}}
		f.resource.ID = "r"
		return f
	}
	secret := []byte("a department's secret")
	keys := map[string]bool{}
	for _, f := range []flow{f("g1", "a"), f("g2", "a"), f("", "a"), f("", "b")} {
		keys[string(f.pseudonymKey(secret))] = true
	}
	if len(keys) != 4 || string(f("g1", "a").pseudonymKey(secret)) != string(f("g1", "b").pseudonymKey(secret)) {
		t.Errorf("%d keys for four uses", len(keys))
	}
}

func TestMaskNeverShowsMoreThanItMay(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.StringOf(rapid.RuneFrom([]rune("0123456789Xab中王欧阳司马省市区县广东天河路镇号"))).Draw(t, "text")
		value := strictjson.AppendString(nil, text)
		runes := []rune(text)
		head, tail := rapid.IntRange(0, 8).Draw(t, "head"), rapid.IntRange(0, 8).Draw(t, "tail")
		kept, _ := strictjson.Text(mask(value, keepMask(head, tail), nil))
		if shown := shownOf(runes, []rune(kept)); shown > head+tail || len(runes) > 0 && shown >= len(runes) {
			t.Fatalf("keep %d+%d of %q: %q", head, tail, text, kept)
		}
		name, _ := strictjson.Text(mask(value, bus.Mask{Method: bus.MaskSurname}, nil))
		if shown := shownOf(runes, []rune(name)); shown > 2 || len(runes) > 0 && shown >= len(runes) {
			t.Fatalf("surname of %q: %q", text, name)
		}
		address, _ := strictjson.Text(mask(value, bus.Mask{Method: bus.MaskCounty}, nil))
		if front, cut := strings.CutSuffix(address, "****"); strings.Trim(address, "*") != "" &&
			(!cut || !strings.HasPrefix(text, front) || !strings.ContainsRune("市区县旗", last(front))) {
			t.Fatalf("county of %q: %q", text, address)
		}
	})
}

// shownOf counts the places where masked still shows text, which has no stars.
func shownOf(text, masked []rune) int {
	if len(text) != len(masked) {
		return len(text) + len(masked)
	}
	shown := 0
	for i, r := range masked {
		if r != '*' {
			shown++
		}
		if r != '*' && r != text[i] {
			return len(text) + 1
		}
	}
	return shown
}

func last(s string) rune { r, _ := utf8.DecodeLastRuneInString(s); return r }

func jsonEvent(t testing.TB, contentType, data string) event.Event {
	t.Helper()
	e, err := event.Unmarshal([]byte(`{"specversion":"1.0","id":"1","source":"/systems/a","type":"t","x":1}`))
	if err != nil {
		t.Fatal(err)
	}
	e.SetDataContentType(contentType)
	e.DataEncoded = []byte(data)
	return e
}

// applied applies obligations at the provider's node.
func applied(e event.Event, ob bus.Obligations) (event.Event, error) {
	f, err := newEnforcement(ob, site{})
	if err != nil {
		return event.Event{}, err
	}
	e, _, _, err = f.apply(e)
	return e, err
}

var obligations = bus.Obligations{
	Items: []bus.ItemID{"name", "id_number", "capital", "gone", "name", "detail"},
	Masks: map[bus.ItemID]bus.Mask{
		"name": {Method: bus.MaskSurname}, "id_number": keepMask(6, 4), "gone": {Method: bus.MaskDrop}, "elsewhere": {Method: bus.MaskNull},
	},
}

func TestApplyLeavesOnlyItemsInTheirOrder(t *testing.T) {
	for data, want := range map[string]string{
		`{"capital": 5000000.00, "secret":"x", "id_number":"440106199001011234","\u006eame":"王小明","gone":1}`: `{"name":"王**","id_number":"440106********1234","capital":5000000.00}`,
		` [ {"name":"李娜"} , {"secret":1}, {"detail":{"name":"王小明", "n":[1e2]}} ] `:                           `[{"name":"李*"},{},{"detail":{"name":"王小明","n":[1e2]}}]`,
		`[]`:                      `[]`,
		`{}`:                      `{}`,
		`{"Name":"王小明"}`:          `{}`,
		`{"name":{"name":"王小明"}}`: `{"name":null}`,
		`{"capital":12345678901234567890.123456789}`: `{"capital":12345678901234567890.123456789}`,
	} {
		e := jsonEvent(t, "application/json; charset=utf-8", data)
		got, err := applied(e, obligations)
		if err != nil || string(got.Data()) != want {
			t.Errorf("%s: %s, %v", data, got.Data(), err)
			continue
		}
		if string(e.Data()) != data || got.ID() != e.ID() || got.Extensions()["x"] != e.Extensions()["x"] {
			t.Errorf("%s: more than the data of a copy changed", data)
		}
	}
}

func TestApplyFailsClosed(t *testing.T) {
	for _, tt := range []struct{ contentType, data, field string }{
		{"application/json", `"440106199001011234"`, "data"},
		{"application/json", `1`, "data"},
		{"application/json", `null`, "data"},
		{"application/json", `[{"name":"x"},"440106199001011234"]`, "data[1]"},
		{"application/json", `[[{"name":"x"}]]`, "data[0]"},
		{"application/json", `{"name":"x","name":"y"}`, "data"},
		{"application/json", `{"name":"x"}{}`, "data"},
		{"application/json", `{`, "data"},
		{"text/plain", `{"name":"x"}`, "data"},
		{"application/xml", `<a/>`, "data"},
		{"text/csv", `x`, "data"},
	} {
		got, err := applied(jsonEvent(t, tt.contentType, tt.data), obligations)
		e, ok := errors.AsType[*bus.Error](err)
		if !ok || e.Code != bus.CodeDenied || e.Defects[0].Field != tt.field || got.Context != nil || got.DataEncoded != nil {
			t.Errorf("%s %s: %v, %v", tt.contentType, tt.data, got, err)
		}
	}
	for name, m := range map[string]bus.Mask{"unknown": {Method: "blur"}, "zero": {}, "negative": keepMask(-1, 2)} {
		ob := bus.Obligations{Items: []bus.ItemID{"name"}, Masks: map[bus.ItemID]bus.Mask{"name": m}}
		if _, err := applied(jsonEvent(t, "application/json", `{"name":"x"}`), ob); bus.CodeOf(err) != bus.CodeDenied {
			t.Errorf("%s mask: %v", name, err)
		}
	}
}

func TestApplyOfNothingHandsOutNothing(t *testing.T) {
	got, err := applied(jsonEvent(t, "application/json", `{"name":"x"}`), bus.Obligations{})
	if err != nil || string(got.Data()) != `{}` {
		t.Errorf("%s, %v", got.Data(), err)
	}
	empty := jsonEvent(t, "application/json", ``)
	if got, err := applied(empty, bus.Obligations{}); err != nil || len(got.Data()) != 0 {
		t.Errorf("%s, %v", got.Data(), err)
	}
}

func FuzzApply(f *testing.F) {
	for _, data := range []string{`{"name":"王小明","id_number":"440106199001011234"}`, `[{"capital":1.0}]`, `{"name":"\u0000"}`, `[1]`, `{"detail":{"a":[ 1 ]}}`} {
		f.Add([]byte(data), 6, 4)
	}
	f.Fuzz(func(t *testing.T, data []byte, head, tail int) {
		ob := bus.Obligations{Items: obligations.Items, Masks: map[bus.ItemID]bus.Mask{
			"name": {Method: bus.MaskCounty}, "id_number": keepMask(head, tail), "capital": {Method: bus.MaskSurname},
			"gone": {Method: bus.MaskYear}, "detail": {Method: bus.MaskVerify},
		}}
		got, err := applied(jsonEvent(t, "application/json", string(data)), ob)
		if err != nil {
			if bus.CodeOf(err) != bus.CodeDenied {
				t.Fatal(err)
			}
			return
		}
		if len(data) == 0 {
			return
		}
		if err := strictjson.Check(got.Data(), strictjson.Limits{}); err != nil {
			t.Fatalf("%q became %q: %v", data, got.Data(), err)
		}
		objects := []json.RawMessage{got.Data()}
		if strictjson.Kind(got.Data()) == '[' {
			objects = nil
			for _, o := range strictjson.Elements(got.Data()) {
				objects = append(objects, o)
			}
		}
		for _, o := range objects {
			for name := range strictjson.Members(o) {
				if name != "name" && name != "id_number" && name != "capital" && name != "gone" && name != "detail" {
					t.Fatalf("%q let %q through", data, name)
				}
			}
		}
	})
}

// BenchmarkApply masks two of ten items of a 1 KiB event; the ratio is to plain
// encoding/json reading and writing the same data.
func BenchmarkApply(b *testing.B) {
	data := `{"name":"王小明","id_number":"440106199001011234","phone":"13800138000","scope":"` + strings.Repeat("批发业、零售业；", 30) + `"`
	var ob bus.Obligations
	for i := range 7 {
		item := "item_" + strconv.Itoa(i)
		data += `,"` + item + `":"some value ` + item + `"`
		ob.Items = append(ob.Items, bus.ItemID(item))
	}
	data += `}`
	ob.Items = append(ob.Items, "name", "id_number", "scope")
	ob.Masks = map[bus.ItemID]bus.Mask{"name": {Method: bus.MaskSurname}, "id_number": keepMask(6, 4)}
	e := jsonEvent(b, "application/json", data)
	b.SetBytes(int64(len(data)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := applied(e, ob); err != nil {
			b.Fatal(err)
		}
	}
	b.StopTimer()
	const rounds = 500
	start := time.Now()
	for range rounds {
		var object map[string]any
		if err := json.Unmarshal([]byte(data), &object); err != nil {
			b.Fatal(err)
		}
		if _, err := json.Marshal(object); err != nil {
			b.Fatal(err)
		}
	}
	plain := float64(time.Since(start)) / rounds
	b.ReportMetric(plain/(float64(b.Elapsed())/float64(b.N)), "x-encoding/json")
}
