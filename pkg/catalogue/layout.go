package catalogue

import (
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/gxbus/gxbus/pkg/bus"
)

// layout is the columns of a sheet in the guide's order.
var layout = []*column{
	{"id", bus.Text{ZH: "资源标识", EN: "Resource ID"}, nil,
		bus.Text{ZH: "可留空：按第一个信息资源代码查找或生成", EN: "may be blank: it is found by, or made from, the first code"}, false,
		token(func(p *place) *bus.ResourceID { return &p.draft.Resource.ID })},
	{"class.1", bus.Text{ZH: "信息资源分类（类）", EN: "Class"}, []string{"类"},
		bus.Text{ZH: "可留空；须与信息资源代码一致", EN: "may be blank; must agree with the code"}, false, classPart(0, classWords)},
	{"class.2", bus.Text{ZH: "信息资源分类（项）", EN: "Category"}, []string{"项"},
		bus.Text{ZH: "2 位数字，可留空", EN: "2 digits, may be blank"}, false, classPart(1, nil)},
	{"class.3", bus.Text{ZH: "信息资源分类（目）", EN: "Subcategory"}, []string{"目"},
		bus.Text{ZH: "3 位数字，可留空", EN: "3 digits, may be blank"}, false, classPart(2, nil)},
	{"class.4", bus.Text{ZH: "信息资源分类（细目）", EN: "Detail"}, []string{"细目"},
		bus.Text{ZH: "可留空", EN: "may be blank"}, false, classPart(3, nil)},
	{"name", bus.Text{ZH: "信息资源名称", EN: "Name"}, nil,
		bus.Text{ZH: "必填", EN: "required"}, true, prose(func(p *place) *string { return &p.draft.Resource.Name })},
	{"codes", bus.Text{ZH: "信息资源代码", EN: "Codes"}, []string{"代码"},
		bus.Text{ZH: "必填：类1位 项2位 目3位 细目 / 顺序号；多个以分号隔开", EN: "required: class 1, category 2, subcategory 3 digits, detail, /, sequence; several parted by semicolons"}, true,
		list(nil, func(p *place) *[]bus.ResourceCode { return &p.draft.Resource.Codes })},
	{"provider_name", bus.Text{ZH: "信息资源提供方", EN: "Provider name"}, []string{"提供方"},
		bus.Text{ZH: "便于阅读；以提供方代码为准", EN: "for readers; the provider's code counts"}, false, shown(func(p *place) string { return p.provider })},
	{"provider", bus.Text{ZH: "提供方代码", EN: "Provider"}, []string{"信息资源提供方代码"},
		bus.Text{ZH: "必填：18 位统一社会信用代码", EN: "required: unified social credit code, 18 characters"}, true,
		token(func(p *place) *bus.USCC { return &p.draft.Resource.Provider })},
	{"office", bus.Text{ZH: "提供方内设机构", EN: "Office"}, nil,
		bus.Text{ZH: "可留空", EN: "may be blank"}, false, prose(func(p *place) *string { return &p.draft.Resource.Office })},
	{"contact", bus.Text{ZH: "联系方式", EN: "Contact"}, nil,
		bus.Text{ZH: "内设机构的联系方式，可留空", EN: "of the office, may be blank"}, false, prose(func(p *place) *string { return &p.draft.Resource.Contact })},
	{"abstract", bus.Text{ZH: "信息资源摘要", EN: "Abstract"}, nil,
		bus.Text{ZH: "内容的概要", EN: "what it holds"}, false, prose(func(p *place) *string { return &p.draft.Resource.Abstract })},
	{"format", bus.Text{ZH: "信息资源格式分类", EN: "Format"}, []string{"信息资源格式"},
		bus.Text{ZH: "必填", EN: "required"}, true, choice(formatWords, func(p *place) *string { return &p.draft.Resource.Format })},
	{"subtype", bus.Text{ZH: "信息资源格式子类", EN: "Subtype"}, []string{"信息资源格式类型"},
		bus.Text{ZH: "如 MySQL、XLSX，可留空", EN: "as MySQL, XLSX; may be blank"}, false, prose(func(p *place) *string { return &p.draft.Resource.Subtype })},

	{"items.name", bus.Text{ZH: "信息项名称", EN: "Item name"}, nil,
		bus.Text{ZH: "每个信息项一行；资源各列写在其第一行，或每行重复", EN: "a row an item; the resource's columns on its first row, or repeated"}, true,
		prose(func(p *place) *string { return &p.item.Name })},
	{"items.id", bus.Text{ZH: "信息项标识", EN: "Item ID"}, nil,
		bus.Text{ZH: "数据中的字段名；留空则用英文名", EN: "its key in the data; the English name where blank"}, false,
		token(func(p *place) *bus.ItemID { return &p.item.ID })},
	{"items.english", bus.Text{ZH: "信息项英文名", EN: "Item English name"}, nil,
		bus.Text{ZH: "与标识不同时填写", EN: "where it is not the id"}, false, prose(func(p *place) *string { return &p.item.English })},
	{"items.type", bus.Text{ZH: "数据类型", EN: "Item type"}, nil,
		bus.Text{ZH: "必填", EN: "required"}, true, choice(typeWords, func(p *place) *string { return &p.item.Type })},
	{"items.length", bus.Text{ZH: "数据长度", EN: "Item length"}, nil,
		bus.Text{ZH: "字符数，可留空", EN: "in characters, may be blank"}, false, number(nil, func(p *place) *int { return &p.item.Length })},
	{"items.grade", bus.Text{ZH: "信息项敏感分级", EN: "Item grade"}, []string{"数据分级", "敏感分级"},
		bus.Text{ZH: "必填：1 级最低，4 级最高", EN: "required: 1 lowest to 4"}, true, number(gradeWords, func(p *place) *int { return &p.item.Grade })},
	{"items.sharing", bus.Text{ZH: "信息项共享类型", EN: "Item sharing type"}, nil,
		bus.Text{ZH: "与资源不同时填写", EN: "where it differs from the resource's"}, false, choice(sharingWords, func(p *place) *bus.SharingType { return &p.item.Sharing })},
	{"items.open", bus.Text{ZH: "信息项开放", EN: "Item open"}, nil,
		bus.Text{ZH: "是否向社会开放", EN: "open to the public"}, false, flag(func(p *place) *bool { return &p.item.Open })},
	{"items.semantic", bus.Text{ZH: "信息项语义", EN: "Item semantic"}, nil,
		bus.Text{ZH: "决定如何脱敏", EN: "decides how it is masked"}, false, choice(semanticWords, func(p *place) *bus.Semantic { return &p.item.Semantic })},
	{"items.personal", bus.Text{ZH: "个人信息", EN: "Item personal"}, []string{"是否个人信息"},
		bus.Text{ZH: "语义未说明的个人信息填“是”", EN: "personal information that no semantic tells of"}, false, flag(func(p *place) *bool { return &p.item.Personal })},
	{"items.source", bus.Text{ZH: "数源标记", EN: "Item source"}, nil,
		bus.Text{ZH: "本资源是该信息项的唯一数源", EN: "this is its one source"}, false, flag(func(p *place) *bool { return &p.item.Source })},

	{"entity", bus.Text{ZH: "实体", EN: "Entity"}, nil,
		bus.Text{ZH: "每行数据描述的对象，如 natural-person；用于一数一源", EN: "what its rows are about, as natural-person"}, false,
		token(func(p *place) *bus.EntityID { return &p.draft.Resource.Entity })},
	{"classification", bus.Text{ZH: "数据分类", EN: "Classification"}, nil,
		bus.Text{ZH: "按本省分类方案", EN: "by the province's scheme"}, false, prose(func(p *place) *string { return &p.draft.Resource.Class })},
	{"secrecy", bus.Text{ZH: "涉密标识", EN: "Secrecy"}, nil,
		bus.Text{ZH: "涉密资源不得编入目录，填写即拒绝", EN: "whatever has a mark is refused"}, false, token(func(p *place) *string { return &p.draft.Resource.Secrecy })},
	{"source_system", bus.Text{ZH: "来源系统", EN: "Source system"}, nil,
		bus.Text{ZH: "可留空", EN: "may be blank"}, false, prose(func(p *place) *string { return &p.draft.Resource.System })},
	{"sharing.type", bus.Text{ZH: "共享类型", EN: "Sharing type"}, nil,
		bus.Text{ZH: "必填；只写文字，不写编号", EN: "required; in words, never as a number"}, true,
		choice(sharingWords, func(p *place) *bus.SharingType { return &p.draft.Resource.Sharing.Type })},
	{"sharing.range", bus.Text{ZH: "共享范围", EN: "Sharing range"}, []string{"共享条件（范围）"},
		bus.Text{ZH: "有条件共享必填", EN: "required where conditional"}, false, prose(func(p *place) *string { return &p.draft.Resource.Sharing.Range })},
	{"sharing.purposes", bus.Text{ZH: "使用用途", EN: "Purposes"}, []string{"共享条件（用途）"},
		bus.Text{ZH: "有条件共享必填，多个以分号隔开", EN: "required where conditional, parted by semicolons"}, false,
		list(purposeWords, func(p *place) *[]bus.Purpose { return &p.draft.Resource.Sharing.Purposes })},
	{"sharing.reason", bus.Text{ZH: "不予共享理由", EN: "Reason not to share"}, nil,
		bus.Text{ZH: "不予共享必填", EN: "required where not shared"}, false, prose(func(p *place) *string { return &p.draft.Resource.Sharing.Reason })},
	{"sharing.basis.kind", bus.Text{ZH: "不予共享依据类型", EN: "Basis kind"}, nil,
		bus.Text{ZH: "不予共享必填；部门规章、地方性法规不能作为依据", EN: "required where not shared"}, false, ofBasis(choice(basisWords, func(p *place) *string { return &basisOf(p).Kind }))},
	{"sharing.basis.citation", bus.Text{ZH: "不予共享依据", EN: "Basis"}, nil,
		bus.Text{ZH: "不予共享必填：名称和条款", EN: "required where not shared: title and article"}, false, ofBasis(prose(func(p *place) *string { return &basisOf(p).Citation }))},
	{"modes", bus.Text{ZH: "共享方式分类", EN: "Sharing modes"}, []string{"共享方式"},
		bus.Text{ZH: "必填，多个以分号隔开", EN: "required, parted by semicolons"}, true, list(modeWords, func(p *place) *[]string { return &p.draft.Resource.Modes })},
	{"open", bus.Text{ZH: "开放属性", EN: "Open"}, []string{"是否向社会开放"},
		bus.Text{ZH: "必填", EN: "required"}, true, choice(openWords, func(p *place) *string { return &p.draft.Resource.Open })},
	{"open_terms", bus.Text{ZH: "开放条件", EN: "Open terms"}, nil,
		bus.Text{ZH: "有条件开放时填写", EN: "where open is conditional"}, false, prose(func(p *place) *string { return &p.draft.Resource.OpenTerms })},
	{"update_cycle", bus.Text{ZH: "更新周期", EN: "Update cycle"}, nil,
		bus.Text{ZH: "必填", EN: "required"}, true, choice(cycleWords, func(p *place) *string { return &p.draft.Resource.UpdateCycle })},
	{"network", bus.Text{ZH: "所在网络", EN: "Network"}, []string{"网络"},
		bus.Text{ZH: "可留空", EN: "may be blank"}, false, choice(networkWords, func(p *place) *string { return &p.draft.Resource.Network })},
	{"scenario", bus.Text{ZH: "应用场景", EN: "Scenario"}, nil,
		bus.Text{ZH: "可留空", EN: "may be blank"}, false, choice(scenarioWords, func(p *place) *string { return &p.draft.Resource.Scenario })},
	{"matters", bus.Text{ZH: "事项编码", EN: "Matters"}, nil,
		bus.Text{ZH: "事项基本目录编码、实施清单编码，多个以分号隔开", EN: "parted by semicolons"}, false, list(nil, func(p *place) *[]string { return &p.draft.Resource.Matters })},
	{"related", bus.Text{ZH: "关联资源代码", EN: "Related codes"}, nil,
		bus.Text{ZH: "多个以分号隔开", EN: "parted by semicolons"}, false, list(nil, func(p *place) *[]bus.ResourceCode { return &p.draft.Resource.Related })},
	{"published", bus.Text{ZH: "发布日期", EN: "Published"}, nil,
		bus.Text{ZH: "由平台给出，导入时不读", EN: "set by the bus, not read"}, false, shown(published)},
	{"version", bus.Text{ZH: "版本", EN: "Version"}, nil,
		bus.Text{ZH: "由平台给出，导入时不读", EN: "set by the bus, not read"}, false, shown(version)},
	{"clearance.secrecy_review", bus.Text{ZH: "保密审查", EN: "Secrecy review"}, nil,
		bus.Text{ZH: "文号；提交审核前必填", EN: "the document; before it is submitted"}, false, prose(func(p *place) *string { return &p.draft.Clearance.SecrecyReview })},
	{"clearance.assessment", bus.Text{ZH: "个人信息影响评估", EN: "Assessment"}, nil,
		bus.Text{ZH: "文号；含个人信息的，提交审核前必填", EN: "the document; where items are personal"}, false, prose(func(p *place) *string { return &p.draft.Clearance.Assessment })},
	{"clearance.consent", bus.Text{ZH: "负责人同意", EN: "Consent"}, nil,
		bus.Text{ZH: "文号；提交审核前必填", EN: "the document; before it is submitted"}, false, prose(func(p *place) *string { return &p.draft.Clearance.Consent })},
}

// ignored are headings of columns that people add for themselves, and of the
// one that an annotated report has.
var ignored = []string{"序号", "备注", "No.", reasonHeading.ZH, reasonHeading.EN}

// ofBasis keeps a cell that is read from making the basis that there is not.
func ofBasis(b binding) binding {
	cell := b.cell
	b.cell = func(p *place) string {
		if p.draft.Resource.Sharing.Basis == nil {
			return ""
		}
		return cell(p)
	}
	return b
}

func basisOf(p *place) *bus.Basis {
	sharing := &p.draft.Resource.Sharing
	if sharing.Basis == nil {
		sharing.Basis = &bus.Basis{}
	}
	return sharing.Basis
}

var beijing = time.FixedZone("Asia/Shanghai", 8*60*60)

func published(p *place) string {
	at := p.draft.Resource.Published
	if at.IsZero() {
		return ""
	}
	return at.In(beijing).Format("2006-01-02")
}

func version(p *place) string {
	if v := p.draft.Resource.Version; v > 0 {
		return strconv.Itoa(v)
	}
	return ""
}

// columnOf finds a column by its key.
func columnOf(key string) *column { return byKey[key] }

var (
	byKey     = keyed()
	byHeading = headed()
)

func keyed() map[string]*column {
	m := make(map[string]*column, len(layout))
	for _, c := range layout {
		m[c.key] = c
	}
	return m
}

// headed finds columns by what heads them; nil for those that are passed over.
func headed() map[string]*column {
	m := map[string]*column{}
	for _, c := range layout {
		for _, heading := range append([]string{c.heading.ZH, c.heading.EN, c.key}, c.also...) {
			m[plainHeading(heading)] = c
		}
	}
	for _, heading := range ignored {
		m[plainHeading(heading)] = nil
	}
	return m
}

// plainHeading takes off what headings differ in without meaning it: space,
// case, an asterisk for "required", the width of brackets.
func plainHeading(heading string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r) || r == '*' || r == '＊' || r == '\ufeff':
			return -1
		case r == '（':
			return '('
		case r == '）':
			return ')'
		}
		return unicode.ToLower(r)
	}, heading)
}

// Keys lists the fields of an entry that a row can fill, as a mapping names
// them: "sharing.type", "items.grade".
func Keys() []string {
	keys := make([]string, len(layout))
	for i, c := range layout {
		keys[i] = c.key
	}
	return keys
}
