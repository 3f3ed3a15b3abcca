package catalogue_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/catalogue"
	"golang.org/x/text/encoding/simplifiedchinese"
)

const head = "信息资源名称,信息资源代码,提供方代码,信息资源格式,信息项名称,信息项英文名,数据类型,数据长度,敏感分级,共享类型,共享方式,是否向社会开放,更新周期,信息资源摘要\n"

func file(t testing.TB, name, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// refusals gives the refusals of entries as "row column field".
func refusals(entries ...catalogue.Entry) []string {
	var all []string
	for _, e := range entries {
		for _, n := range e.Notes {
			if n.Kind == catalogue.Refused {
				all = append(all, strings.Join([]string{string(rune('0' + n.Row)), n.Column, n.Field}, " "))
			}
		}
	}
	return all
}

func TestRowsOfAResourceAreOneEntry(t *testing.T) {
	const first = "企业登记,301001/1,11440300999900011J,数据库,名称,name,字符型,200,1级,无条件共享,批量交换,否,每日,摘要\n"
	for name, content := range map[string]string{
		"on the first row only": head + first + ",,,,电话,phone,C,11,3,,,,,\n",
		"repeated":              head + first + "企业登记,301001/1,11440300999900011J,数据库,电话,phone,字符型C,11,三级,无条件共享,批量交换,否,每日,摘要\n",
		"below a title":         "政务信息资源目录\n填报单位：样例局,,\n" + head + first + ",,,,电话,phone,C,11,3,,,,,\n",
		"with blank rows":       head + ",,,\n" + first + ",,,,,,,,,,,,,\n,,,,电话,phone,c,11,第三级,,,,,\n",
		"with columns of one's own": "序号," + strings.TrimSuffix(head, "\n") + ",备注,原因\n1," + strings.TrimSuffix(first, "\n") + ",x,y\n" +
			"2,,,,,电话,phone,C,11,3,,,,,,,\n",
	} {
		t.Run(name, func(t *testing.T) {
			entries := read(t, file(t, "a.csv", content), catalogue.Options{})
			if len(entries) != 1 || len(refusals(entries...)) > 0 {
				t.Fatalf("%d entries: %v", len(entries), refusals(entries...))
			}
			r := entries[0].Draft.Resource
			want := []bus.Item{{ID: "name", Name: "名称", Type: "C", Length: 200, Grade: 1}, {ID: "phone", Name: "电话", Type: "C", Length: 11, Grade: 3}}
			if !slices.Equal(r.Items, want) || r.Sharing.Type != bus.Unconditional || r.Open != "no" || r.UpdateCycle != "daily" || r.Modes[0] != "batch" {
				t.Errorf("got %+v", r)
			}
		})
	}
}

func TestWhatIsWrongIsToldWhereItStands(t *testing.T) {
	row := func(change map[string]string) string {
		cells := map[string]string{"信息资源名称": "名称", "信息资源代码": "301001/1", "提供方代码": "11440300999900011J", "信息资源格式": "数据库", "信息项名称": "名称", "信息项英文名": "name",
			"数据类型": "C", "敏感分级": "1", "共享类型": "无条件共享", "共享方式": "文件", "是否向社会开放": "是", "更新周期": "每年"}
		for k, v := range change {
			cells[k] = v
		}
		var b strings.Builder
		var names, values []string
		for _, k := range slices.Sorted(mapKeys(cells)) {
			names, values = append(names, k), append(values, `"`+strings.ReplaceAll(cells[k], `"`, `""`)+`"`)
		}
		b.WriteString(strings.Join(names, ",") + "\n" + strings.Join(values, ",") + "\n")
		return b.String()
	}
	for name, tc := range map[string]struct {
		change  map[string]string
		want    string
		allowed string // part of it
	}{
		"a sharing type as a number":  {map[string]string{"共享类型": "1"}, "2 共享类型 sharing.type", "无条件共享 (unconditional), 有条件共享 (conditional), 不予共享 (none)"},
		"a rule of a department":      {map[string]string{"不予共享依据类型": "部门规章"}, "2 不予共享依据类型 sharing.basis.kind", "法律 (law)"},
		"a code that is none":         {map[string]string{"信息资源代码": "9/1"}, "2 信息资源代码 codes[0]", "^[1-3]"},
		"a class against its code":    {map[string]string{"类": "1 基础信息资源"}, "2 类 class.1", "3"},
		"a category against its code": {map[string]string{"项": "02"}, "2 项 class.2", "01"},
		"a check digit":               {map[string]string{"提供方代码": "11440300999900011K"}, "2 提供方代码 provider", "GB 32100"},
		"a word nobody knows":         {map[string]string{"更新周期": "偶尔"}, "2 更新周期 update_cycle", "每年 (yearly)"},
		"one of several words":        {map[string]string{"共享方式": "文件；光盘"}, "2 共享方式 modes", "文件下载 (file)"},
		"a grade out of range":        {map[string]string{"敏感分级": "5"}, "2 敏感分级 items[0].grade", "1级"},
		"a length in words":           {map[string]string{"数据长度": "很长"}, "2 数据长度 items[0].length", ""},
		"an item's key":               {map[string]string{"信息项标识": "名 称"}, "2 信息项标识 items[0].id", "^[A-Za-z_]"},
		"a secrecy mark":              {map[string]string{"涉密标识": "秘密"}, "2 涉密标识 secrecy", ""},
		"control characters":          {map[string]string{"信息资源名称": "名\x1b[2J"}, "2 信息资源名称 name", ""},
		"a huge cell":                 {map[string]string{"信息资源名称": strings.Repeat("长", 20000)}, "2 信息资源名称 name", "32767"},
	} {
		t.Run(name, func(t *testing.T) {
			entries := read(t, file(t, "a.csv", row(tc.change)), catalogue.Options{})
			if got := refusals(entries...); !slices.Equal(got, []string{tc.want}) {
				t.Fatalf("got %q, want %q", got, tc.want)
			}
			for _, n := range entries[0].Notes {
				if n.Kind == catalogue.Refused && (!strings.Contains(n.Allowed, tc.allowed) || n.Problem.ZH == "" || n.Problem.EN == "") {
					t.Errorf("allowed %q, want %q; %+v", n.Allowed, tc.allowed, n.Problem)
				}
			}
		})
	}
}

func mapKeys(m map[string]string) func(func(string) bool) {
	return func(yield func(string) bool) {
		for k := range m {
			if !yield(k) {
				return
			}
		}
	}
}

func TestARowThatContradictsItsFirstIsRefused(t *testing.T) {
	entries := read(t, file(t, "a.csv", head+"甲,301001/1,11440300999900011J,数据库,名称,name,C,,1,无条件共享,文件,是,每年,\n"+
		"甲,301001/1,11440300999900011J,数据库,电话,phone,C,,9,有条件共享,文件,是,每年,\n"+"乙,301001/2,11440300999900011J,数据库,名称,name,C,,1,无条件共享,文件,是,每年,\n"), catalogue.Options{})
	if len(entries) != 2 || entries[1].Row != 4 {
		t.Fatalf("%d entries", len(entries))
	}
	if got := refusals(entries...); !slices.Equal(got, []string{"3 共享类型 sharing.type", "3 敏感分级 items[1].grade"}) {
		t.Errorf("got %q", got)
	}
}

func TestEncodingsOfCSV(t *testing.T) {
	plain := head + "企业登记,301001/1,11440300999900011J,数据库,名称,name,C,,1,无条件共享,文件,是,每年,䶮㐀𠮷\n"
	gb, err := simplifiedchinese.GB18030.NewEncoder().String(plain)
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string]string{"plain": plain, "with a byte order mark": "\ufeff" + plain, "GB18030": gb, "CRLF": strings.ReplaceAll(plain, "\n", "\r\n"),
		"longer than a block": head + strings.Repeat("企业登记,301001/1,11440300999900011J,数据库,名称,name,C,,1,无条件共享,文件,是,每年,䶮㐀𠮷\n\n", 1) + strings.Repeat(",,,,,,,,,,,,,\n", 30_000) + "乙,301001/9,11440300999900011J,,,,,,,,,,,䶮㐀𠮷\n",
		"GB18030, longer":     gb + strings.Repeat(",,,,,,,,,,,,,\n", 30_000)} {
		entries := read(t, file(t, "a.csv", content), catalogue.Options{})
		if len(refusals(entries...)) > 0 || entries[0].Draft.Resource.Abstract != "䶮㐀𠮷" {
			t.Errorf("%s: %v", name, refusals(entries...))
		}
	}
}

func TestJSONLinesAreStrict(t *testing.T) {
	good := `{"resource":{"codes":["301001/1"],"name":"名","provider":"11440300999900011J","items":[],"sharing":{},"version":7,"revision":9}}`
	content := strings.Join([]string{good, `{"resource":{"name":"x","name":"y"}}`, "", `{"resource":{"nmae":"x"}}`, good + good, "[1]", strings.Replace(good, "301001/1", "301001/2", 1)}, "\n")
	entries := read(t, file(t, "a.jsonl", content), catalogue.Options{})
	if len(entries) != 6 {
		t.Fatalf("%d entries", len(entries))
	}
	for i, wrong := range []bool{false, true, true, true, true, false} {
		if entries[i].Has(catalogue.Refused) != wrong {
			t.Errorf("line %d: %v", entries[i].Row, entries[i].Notes)
		}
	}
	if r := entries[0].Draft.Resource; r.Version != 0 || r.Revision != 0 {
		t.Errorf("what the bus sets was read: %+v", r)
	}
	if entries[2].Row != 4 || entries[5].Row != 7 {
		t.Errorf("rows %d, %d", entries[2].Row, entries[5].Row)
	}
}
