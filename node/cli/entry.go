package cli

import (
	"slices"

	"github.com/gxbus/gxbus/pkg/bus"
)

// entryDetails are what show tells of a catalogue entry beside what lists tell.
func entryDetails(a *app) []column[bus.Resource] {
	return []column[bus.Resource]{
		{"abstract", "摘要", func(r bus.Resource) string { return r.Abstract }},
		{"office", "提供方内设机构", func(r bus.Resource) string { return r.Office }},
		{"contact", "联系方式", func(r bus.Resource) string { return r.Contact }},
		{"format", "格式", func(r bus.Resource) string { return r.Format }},
		{"subtype", "格式子类", func(r bus.Resource) string { return r.Subtype }},
		{"classification", "数据分类", func(r bus.Resource) string { return r.Class }},
		{"entity", "实体", func(r bus.Resource) string { return string(r.Entity) }},
		{"source_system", "来源系统", func(r bus.Resource) string { return r.System }},
		{"network", "所在网络", func(r bus.Resource) string { return r.Network }},
		{"scenario", "应用场景", func(r bus.Resource) string { return r.Scenario }},
		{"matters", "事项编码", func(r bus.Resource) string { return listed(r.Matters) }},
		{"related", "关联资源代码", func(r bus.Resource) string { return listed(r.Related) }},
		{"modes", "共享方式", func(r bus.Resource) string { return listed(r.Modes) }},
		{"range", "共享范围", func(r bus.Resource) string { return r.Sharing.Range }},
		{"purposes", "使用用途", func(r bus.Resource) string { return listed(r.Sharing.Purposes) }},
		{"sharing_reason", "不予共享理由", func(r bus.Resource) string { return r.Sharing.Reason }},
		{"basis_kind", "不予共享依据类型", func(r bus.Resource) string { return basisOf(r).Kind }},
		{"basis", "不予共享依据", func(r bus.Resource) string { return basisOf(r).Citation }},
		{"open", "开放属性", func(r bus.Resource) string { return r.Open }},
		{"open_terms", "开放条件", func(r bus.Resource) string { return r.OpenTerms }},
		{"schema", "数据模式", func(r bus.Resource) string {
			if len(r.Schema) == 0 {
				return ""
			}
			return a.say("提供方自定，见 -o yaml", "the provider's own: -o yaml has it")
		}},
		{"version", "版本", func(r bus.Resource) string {
			if r.Version == 0 {
				return ""
			}
			return sprint(r.Version)
		}},
		{"published", "发布时间", func(r bus.Resource) string { return stamp(r.Published) }},
		{"items", "信息项", func(r bus.Resource) string {
			if a.output == "table" { // which has them below
				return ""
			}
			return itemNames(r)
		}},
	}
}

func basisOf(r bus.Resource) bus.Basis {
	if r.Sharing.Basis == nil {
		return bus.Basis{}
	}
	return *r.Sharing.Basis
}

// itemGrid is the items of an entry, in the columns that say something of one.
func itemGrid(a *app, r bus.Resource) grid {
	number := func(n int) string {
		if n == 0 {
			return ""
		}
		return sprint(n)
	}
	flag := func(set bool) string {
		if !set {
			return ""
		}
		return a.say("是", "yes")
	}
	columns := []column[bus.Item]{
		{"item", "信息项", func(i bus.Item) string { return string(i.ID) }},
		{"name", "名称", func(i bus.Item) string { return i.Name }},
		{"english", "英文名", func(i bus.Item) string { return i.English }},
		{"data_type", "数据类型", func(i bus.Item) string { return i.Type }},
		{"length", "长度", func(i bus.Item) string { return number(i.Length) }},
		{"grade", "分级", func(i bus.Item) string { return number(i.Grade) }},
		{"sharing", "共享类型", func(i bus.Item) string { return string(i.Sharing) }},
		{"open", "开放", func(i bus.Item) string { return flag(i.Open) }},
		{"semantic", "语义", func(i bus.Item) string { return string(i.Semantic) }},
		{"personal", "个人信息", func(i bus.Item) string { return flag(i.IsPersonal()) }},
		{"source", "数源", func(i bus.Item) string { return flag(i.Source) }},
	}
	said := slices.DeleteFunc(columns, func(c column[bus.Item]) bool {
		return !slices.ContainsFunc(r.Items, func(i bus.Item) bool { return c.cell(i) != "" })
	})
	return gridOf(a, said, r.Items)
}

func itemNames(r bus.Resource) string {
	names := make([]string, len(r.Items))
	for i, item := range r.Items {
		names[i] = string(item.ID) + " " + item.Name
	}
	return listed(names)
}
