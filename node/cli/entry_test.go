package cli_test

import (
	"encoding/json"
	"net/http"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/gxbus/gxbus/pkg/bus"
)

// fill sets every field below v to something of its own, and gives the texts by path.
func fill(v reflect.Value, path string, texts map[string]string) {
	switch at := v.Addr().Interface().(type) {
	case *json.RawMessage:
		*at, texts[path] = json.RawMessage(`{}`), "the provider's own"
		return
	case *time.Time:
		*at, texts[path] = now, "2026-03-02 09:00:00"
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			name, _, _ := strings.Cut(v.Type().Field(i).Tag.Get("json"), ",")
			fill(v.Field(i), path+"."+name, texts)
		}
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		fill(v.Index(0), path, texts)
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem(), path, texts)
	case reflect.String:
		texts[path] = "v" + path
		v.SetString(texts[path])
	case reflect.Bool:
		v.SetBool(true)
		texts[path] = "yes"
	default:
		n := 7000 + int64(len(texts))
		if v.CanInt() {
			v.SetInt(n)
		} else {
			v.SetUint(uint64(n))
		}
		texts[path] = strconv.FormatInt(n, 10)
	}
}

func TestShowTellsEveryFieldOfAnEntry(t *testing.T) {
	var full bus.Resource
	texts := map[string]string{}
	fill(reflect.ValueOf(&full).Elem(), "", texts)
	delete(texts, ".secrecy") // nothing that has one is stored
	flags := 0
	for _, text := range texts {
		if text == "yes" {
			flags++
		}
	}
	sh := newShell(t, map[string]http.HandlerFunc{
		"GET /resources/r": give(full),
		"GET /drafts/r":    give(bus.Draft{ID: "r", Resource: full, Revision: full.Revision}),
	})
	for _, noun := range []string{"resource", "draft"} {
		out, _ := sh.ok(noun, "show", "r", "--lang", "en")
		for path, text := range texts {
			if noun == "draft" && path == ".id" { // the draft's is told, and is the same
				continue
			}
			contains(t, noun+path, out, text)
		}
		if got := strings.Count(out, "yes"); got != flags {
			t.Errorf("%s: %d flags of an item are told, of %d:\n%s", noun, got, flags, out)
		}
	}
}

const shownEntry = `项目              内容
标识              r
名称              企业登记（示例）
目录代码          307001/1
提供部门          11440000006939561H
共享类型          有条件共享
更新周期          实时
修订号            3
提供方内设机构    登记处
格式              数据库
来源系统          登记系统
所在网络          政务外网
应用场景          监管
事项编码          440125001000, 440125002000
关联资源代码      307002/1
共享方式          服务接口, 批量交换
共享范围          全省
使用用途          行政依据
不予共享理由      电话属个人信息
不予共享依据类型  法律
不予共享依据      《××法》第×条
开放属性          不予开放

信息项  名称          数据类型  长度  分级  共享类型  语义  个人信息  数源
uscc    信用代码      字符型C   18    1级                             是
phone   联系电话 tel  字符型C         3级   不予共享  电话  是
`

func TestAnEntryIsShownInTermsAndAligned(t *testing.T) {
	sh := newShell(t, map[string]http.HandlerFunc{"GET /resources/r": give(bus.Resource{
		ID: "r", Codes: []bus.ResourceCode{"307001/1"}, Name: "企业登记（示例）", Provider: uscc, Office: "登记处", Format: "database",
		System: "登记系统", Network: "government", Scenario: "supervision", Matters: []string{"440125001000", "440125002000"},
		Related: []bus.ResourceCode{"307002/1"}, Modes: []string{"interface", "batch"}, Open: "no", UpdateCycle: "realtime", Revision: 3,
		Sharing: bus.Sharing{Type: bus.Conditional, Range: "全省", Purposes: []bus.Purpose{bus.PurposeAdministrativeBasis},
			Reason: "电话属个人信息", Basis: &bus.Basis{Kind: "law", Citation: "《××法》第×条"}},
		Items: []bus.Item{
			{ID: "uscc", Name: "信用代码", Type: "C", Length: 18, Grade: 1, Source: true},
			{ID: "phone", Name: "联系电话 tel", Type: "C", Grade: 3, Semantic: bus.SemanticPhone, Sharing: bus.NotShared},
		},
	})})
	if out, _ := sh.ok("resource", "show", "r", "--lang", "zh"); out != shownEntry {
		t.Errorf("shown:\n%swant:\n%s", out, shownEntry)
	}
	out, _ := sh.ok("resource", "show", "r", "--lang", "zh", "-o", "csv")
	contains(t, "csv", out, "related,307002/1\r\n", "basis_kind,law\r\n", "subtype,\r\n", "items,\"uscc 信用代码, phone 联系电话 tel\"\r\n")
	if strings.Contains(out, "data_type") {
		t.Errorf("csv has a second table:\n%s", out)
	}
}
