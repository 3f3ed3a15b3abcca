package catalogue

import "strings"

// words is a vocabulary: what the values of a field are called on a sheet.
type words []word

type word struct {
	value string
	names []string // the first one is written, all are read
}

var (
	formatWords = words{
		{"file", []string{"电子文件"}}, {"spreadsheet", []string{"电子表格"}}, {"database", []string{"数据库"}},
		{"image", []string{"图形图像"}}, {"stream", []string{"流媒体"}}, {"self-describing", []string{"自描述格式"}},
		{"service", []string{"服务接口"}},
	}
	sharingWords = words{
		{"unconditional", []string{"无条件共享"}}, {"conditional", []string{"有条件共享"}}, {"none", []string{"不予共享"}},
	}
	purposeWords = words{
		{"administrative-basis", []string{"行政依据"}}, {"reference", []string{"工作参考"}},
		{"verification", []string{"数据校核"}}, {"collaboration", []string{"业务协同"}},
	}
	basisWords = words{
		{"law", []string{"法律"}}, {"administrative-regulation", []string{"行政法规"}},
		{"state-council-decision", []string{"国务院决定"}},
	}
	modeWords = words{
		{"interface", []string{"服务接口", "接口"}}, {"batch", []string{"批量交换", "库表交换"}}, {"file", []string{"文件下载", "文件"}},
	}
	openWords = words{
		{"yes", []string{"无条件开放", "开放", "是"}}, {"conditional", []string{"有条件开放", "有条件"}},
		{"no", []string{"不予开放", "不开放", "否"}},
	}
	cycleWords = words{
		{"realtime", []string{"实时"}}, {"daily", []string{"每日", "每天"}}, {"weekly", []string{"每周"}}, {"monthly", []string{"每月"}},
		{"quarterly", []string{"每季度", "每季"}}, {"half-yearly", []string{"每半年"}}, {"yearly", []string{"每年"}}, {"irregular", []string{"不定期"}},
	}
	networkWords = words{
		{"government", []string{"政务外网"}}, {"internet", []string{"互联网"}}, {"departmental", []string{"部门专网"}},
	}
	scenarioWords = words{
		{"government-service", []string{"政务服务"}}, {"public-service", []string{"公共服务"}},
		{"supervision", []string{"监管"}}, {"other", []string{"其他"}},
	}
	typeWords = words{
		{"C", []string{"字符型C", "字符型", "字符"}}, {"N", []string{"数值型N", "数值型", "数值"}}, {"Y", []string{"货币型Y", "货币型", "货币"}},
		{"D", []string{"日期型D", "日期型", "日期"}}, {"T", []string{"日期时间型T", "日期时间型", "日期时间"}},
		{"L", []string{"逻辑型L", "逻辑型", "逻辑"}}, {"M", []string{"备注型M", "备注型", "备注"}}, {"G", []string{"通用型G", "通用型", "通用"}},
		{"B", []string{"双精度型B", "双精度型", "双精度"}}, {"I", []string{"整型I", "整型"}}, {"F", []string{"浮点型F", "浮点型", "浮点"}},
	}
	semanticWords = words{
		{"id-number", []string{"居民身份证号"}}, {"name", []string{"姓名"}}, {"phone", []string{"电话"}}, {"address", []string{"地址"}},
		{"bank-card", []string{"银行卡号"}}, {"uscc", []string{"统一社会信用代码"}}, {"division", []string{"行政区划代码"}},
	}
	gradeWords = words{
		{"1", []string{"1级", "一级", "第一级"}}, {"2", []string{"2级", "二级", "第二级"}},
		{"3", []string{"3级", "三级", "第三级"}}, {"4", []string{"4级", "四级", "第四级"}},
	}
	flagWords = words{
		{"true", []string{"是", "1"}}, {"false", []string{"否", "0"}},
	}
	classWords = words{
		{"1", []string{"1 基础信息资源", "基础信息资源", "基础信息资源类", "基础"}},
		{"2", []string{"2 主题信息资源", "主题信息资源", "主题信息资源类", "主题"}},
		{"3", []string{"3 部门信息资源", "部门信息资源", "部门信息资源类", "部门"}},
	}
)

// Term gives the Chinese term for a word in a field of an entry, named as the command
// line heads it. What has none stands for itself.
func Term(field, word string) string { return terms[field].name(word) }

var terms = map[string]words{
	"sharing": sharingWords, "update_cycle": cycleWords, "format": formatWords, "open": openWords,
	"purpose": purposeWords, "purposes": purposeWords, "mode": modeWords, "modes": modeWords,
	"network": networkWords, "scenario": scenarioWords, "basis_kind": basisWords,
	"data_type": typeWords, "grade": gradeWords, "semantic": semanticWords,
}

// value finds the value that a text names: by one of its Chinese names, or the
// bus's own word in any case.
func (w words) value(text string) (string, bool) {
	text = strings.TrimSpace(text)
	for _, word := range w {
		if strings.EqualFold(word.value, text) {
			return word.value, true
		}
		for _, name := range word.names {
			if name == text {
				return word.value, true
			}
		}
	}
	return "", false
}

// name gives the name that is written for a value; a value outside the
// vocabulary stands for itself.
func (w words) name(value string) string {
	for _, word := range w {
		if word.value == value {
			return word.names[0]
		}
	}
	return value
}

// names lists what is written, for drop-downs.
func (w words) names() []string {
	names := make([]string, len(w))
	for i, word := range w {
		names[i] = word.names[0]
	}
	return names
}

// allowed lists the names, each with the bus's own word.
func (w words) allowed() string {
	var b strings.Builder
	for i, word := range w {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(word.names[0] + " (" + word.value + ")")
	}
	return b.String()
}
