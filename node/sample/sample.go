// Package sample is a small made-up province to try the bus with: sample
// departments, systems, resources and events for the demo, tests and
// benchmarks. None of them is a real department, enterprise or person, and no
// program that serves real data uses this package.
package sample

import (
	"fmt"
	"strings"
	"time"

	cloudevent "github.com/cloudevents/sdk-go/v2/event"
	"github.com/gxbus/gxbus/pkg/bus"
)

// Departments of the sample.
var (
	ShenzhenMarket  = department("440300", 1, "深圳市市场监督管理局（样例）")
	TianheServices  = department("440106", 2, "天河区政务服务局（样例）")
	TianheHousing   = department("440106", 3, "天河区住房建设局（样例）")
	GuangzhouHealth = department("440100", 4, "广州市卫生健康委（样例）")
	ProvinceData    = department("440000", 5, "广东省政务数据局（样例）")
	ProvinceCivil   = department("440000", 6, "广东省民政厅（样例）")
	NanshanTax      = department("440305", 7, "南山区税务服务中心（样例）")
	YuexiuServices  = department("440104", 8, "越秀区政务服务局（样例）") // a tenant of its city's node
)

// Departments lists the sample departments.
func Departments() []bus.Department {
	return []bus.Department{
		ShenzhenMarket, TianheServices, TianheHousing, GuangzhouHealth, ProvinceData, ProvinceCivil, NanshanTax, YuexiuServices,
	}
}

func department(division bus.DivisionCode, n int, name string) bus.Department {
	return bus.Department{ID: USCC(division, n), Name: name, Division: division}
}

// USCC makes the n-th sample unified social credit code of a division, with both
// check digits right (GB 32100, GB 11714). n is at most 9999.
func USCC(division bus.DivisionCode, n int) bus.USCC {
	const alphabet = "0123456789ABCDEFGHJKLMNPQRTUWXY"
	body := fmt.Sprintf("9999%04d", n) // no real organisation code begins so
	for _, check := range "0123456789X" {
		first17 := fmt.Sprintf("11%s%s%c", division, body, check)
		for _, last := range alphabet {
			if code := bus.USCC(first17 + string(last)); code.Valid() {
				return code
			}
		}
	}
	return "" // not for 0 ≤ n ≤ 9999 and six digits: one pair of check digits always fits
}

// SystemOf is the sample system of a department.
func SystemOf(d bus.Department) bus.System {
	return bus.System{ID: bus.SystemID("sample-" + strings.ToLower(string(d.ID[2:17]))), Department: d.ID, Name: d.Name + "业务系统"}
}

// EnterpriseRegistration is the resource of the demo's story.
func EnterpriseRegistration() bus.Resource {
	return bus.Resource{
		ID: "enterprise-registration", Codes: []bus.ResourceCode{"3010010001/000001", "202001/000001"},
		Name: "企业登记信息（样例）", Abstract: "企业设立、变更、注销登记的基本信息", Class: "市场监管", Provider: ShenzhenMarket.ID, Format: "database",
		Sharing: bus.Sharing{
			Type: bus.Conditional, Range: "全省行政机关",
			Purposes: []bus.Purpose{bus.PurposeAdministrativeBasis, bus.PurposeReference, bus.PurposeVerification, bus.PurposeCollaboration},
		},
		Modes: []string{"batch"}, Open: "no", UpdateCycle: "realtime", Network: "government", Scenario: "government-service",
		Items: []bus.Item{
			{ID: "uscc", Name: "统一社会信用代码", Type: "C", Length: 18, Grade: 1, Semantic: bus.SemanticUSCC},
			{ID: "enterprise_name", Name: "企业名称", Type: "C", Length: 200, Grade: 1},
			{ID: "legal_representative", Name: "法定代表人", Type: "C", Length: 50, Grade: 2, Semantic: bus.SemanticName},
			{ID: "legal_representative_id", Name: "法定代表人证件号码", Type: "C", Length: 18, Grade: 3, Semantic: bus.SemanticIDNumber},
			{ID: "phone", Name: "联系电话", Type: "C", Length: 11, Grade: 3, Semantic: bus.SemanticPhone},
			{ID: "registered_address", Name: "住所", Type: "C", Length: 200, Grade: 2, Semantic: bus.SemanticAddress},
			{ID: "registered_capital", Name: "注册资本", Type: "Y", Grade: 1},
			{ID: "established", Name: "成立日期", Type: "D", Grade: 1},
		},
	}
}

// Items lists the item ids of a resource.
func Items(r bus.Resource) []bus.ItemID {
	ids := make([]bus.ItemID, len(r.Items))
	for i, it := range r.Items {
		ids[i] = it.ID
	}
	return ids
}

var titles = []string{"行政许可", "行政处罚", "公共设施", "统计指标", "办事指南"}

// Resources lists the sample resources, EnterpriseRegistration first: five more
// for each department, of every sharing type.
func Resources() []bus.Resource {
	all := []bus.Resource{EnterpriseRegistration()}
	for i, d := range Departments() {
		for j, title := range titles {
			all = append(all, plain(d, i, j, title))
		}
	}
	return all
}

func plain(d bus.Department, i, j int, title string) bus.Resource {
	r := bus.Resource{
		ID:    bus.ResourceID(fmt.Sprintf("sample-%s-%d-%d", d.Division, i+1, j+1)),
		Codes: []bus.ResourceCode{bus.ResourceCode(fmt.Sprintf("3%02d%03d/%06d", 10+i, j+1, 100*i+j+1))},
		Name:  strings.TrimSuffix(d.Name, "（样例）") + title + "（样例）", Abstract: title + "的基本信息", Class: "综合政务",
		Provider: d.ID, Format: "database",
		Sharing: bus.Sharing{Type: bus.Unconditional}, Modes: []string{"batch"}, Open: "yes", UpdateCycle: "daily",
		Items: []bus.Item{
			{ID: "number", Name: "编号", Type: "C", Length: 32, Grade: 1},
			{ID: "title", Name: "名称", Type: "C", Length: 200, Grade: 1},
			{ID: "published", Name: "发布日期", Type: "D", Grade: 1},
		},
	}
	switch j {
	case 1:
		r.Sharing = bus.Sharing{Type: bus.Conditional, Range: "全省行政机关", Purposes: []bus.Purpose{bus.PurposeAdministrativeBasis, bus.PurposeVerification}}
		r.Open, r.OpenTerms = "conditional", "实名注册"
	case 3:
		r.Sharing = bus.Sharing{
			Type: bus.NotShared, Reason: "统计调查资料在公布前不得提供",
			Basis: &bus.Basis{Kind: "law", Citation: "中华人民共和国统计法 第二十六条"},
		}
		r.Open = "no"
	}
	return r
}

// IDNumber makes a sample identity number with a right check digit; the birth
// date, in 1900, is nobody's.
func IDNumber(n int) string {
	for _, check := range "0123456789X" {
		if s := fmt.Sprintf("44030019000101%03d%c", n%1000, check); bus.ValidIDNumber(s) {
			return s
		}
	}
	return ""
}

// Event makes the n-th sample enterprise-registration event of a system.
func Event(system bus.System, n int) cloudevent.Event {
	e := cloudevent.New()
	e.SetID(fmt.Sprintf("registration-%06d", n))
	e.SetSource(system.Source())
	e.SetType("cn.gov.sample.enterprise.registered.v1")
	e.SetTime(time.Date(2026, 1, 5, 9, 0, 0, 0, time.UTC).Add(time.Duration(n) * time.Second))
	err := e.SetData(cloudevent.ApplicationJSON, map[string]any{
		"uscc": string(USCC("440300", n%10000)), "enterprise_name": fmt.Sprintf("样例企业%06d有限公司", n),
		"legal_representative": "样例" + string([]rune("甲乙丙丁戊己庚辛壬癸")[n%10]), "legal_representative_id": IDNumber(n),
		"phone": fmt.Sprintf("1990000%04d", n%10000), "registered_address": fmt.Sprintf("广东省深圳市南山区样例路%d号", n%500+1),
		"registered_capital": (n%50 + 1) * 100000, "established": "2026-01-05", "internal_remark": "不在目录之内",
	})
	if err != nil {
		panic("sample event: " + err.Error()) // a map of strings and integers always encodes
	}
	return e
}

// Grant registers a sample agreement from before the bus about all items of a resource, for every purpose it
// lists, good for a year around now.
func Grant(id bus.GrantID, r bus.Resource, consumer bus.Department) bus.Grant {
	now := time.Now().UTC()
	return bus.Grant{
		ID: id, Resource: r.ID, Consumer: consumer.ID, Purposes: r.Sharing.Purposes, Items: Items(r),
		NotBefore: now.AddDate(0, -1, 0), NotAfter: now.AddDate(1, 0, 0), Agreement: "样例共享协议〔2025〕第 1 号",
	}
}
