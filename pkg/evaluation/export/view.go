package export

import (
	"cmp"
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/calendar"
	"github.com/gxbus/gxbus/pkg/evaluation"
)

// view is a report as all formats read it, in one language.
type view struct {
	evaluation.Report
	lang        bus.Lang
	digest      string
	departments []evaluation.Standing // by level and rank, those without a rank last
	divisions   []evaluation.Standing // the same
	names       map[string]string     // of departments and divisions
}

var levels = []bus.Level{bus.LevelProvince, bus.LevelCity, bus.LevelCounty, bus.LevelTown}

func newView(r evaluation.Report, lang bus.Lang) (*view, error) {
	if err := bus.Invalid(check(r)); err != nil {
		return nil, err
	}
	v := &view{Report: r, lang: lang, digest: r.Digest(), names: map[string]string{}}
	v.departments, v.divisions = inOrder(r.Departments), inOrder(r.Divisions)
	for _, s := range slices.Concat(v.departments, v.divisions) {
		v.names[code(s)] = clean(s.Name)
	}
	return v, nil
}

// check finds what a report that was computed never has, and a file may.
func check(r evaluation.Report) []bus.Defect {
	var defects []bus.Defect
	for _, s := range slices.Concat(r.Departments, r.Divisions) {
		whole := len(s.Figures) == len(r.Scheme.Indicators)
		for i := 0; whole && i < len(s.Figures); i++ {
			f := s.Figures[i]
			whole = f.Indicator == r.Scheme.Indicators[i].ID && f.Numerator >= 0 && f.Denominator >= 0 &&
				(f.State == evaluation.Counted) == (f.Denominator > 0)
		}
		if !whole {
			defects = append(defects, bus.Defect{
				Field: "report." + code(s), Problem: bus.Text{ZH: "指标数据与方案不符", EN: "its figures are not those of the scheme"},
			})
		}
	}
	return defects
}

func inOrder(standings []evaluation.Standing) []evaluation.Standing {
	last := func(rank int) int { return cmp.Or(rank, int(^uint(0)>>1)) }
	return slices.SortedStableFunc(slices.Values(standings), func(a, b evaluation.Standing) int {
		return cmp.Or(
			cmp.Compare(slices.Index(levels, a.Level), slices.Index(levels, b.Level)),
			cmp.Compare(last(a.Rank), last(b.Rank)), cmp.Compare(code(a), code(b)),
		)
	})
}

// code is what a standing is known by.
func code(s evaluation.Standing) string {
	if s.Department != "" {
		return string(s.Department)
	}
	return string(s.Division)
}

// t is a text in the language of v.
func (v *view) t(zh, en string) string { return bus.Text{ZH: zh, EN: en}.In(v.lang) }

// say is a text of the report in the language of v; "" for none.
func (v *view) say(t *bus.Text) string {
	if t == nil {
		return ""
	}
	return clean(t.In(v.lang))
}

// clean is a text that every format can hold.
func clean(text string) string {
	const longest = 8000 // a cell takes 32,767 UTF-16 units
	text = strings.Map(func(r rune) rune {
		if r < ' ' && r != '\n' && r != '\t' || r == 0x7f || r == 0xfffe || r == 0xffff {
			return -1
		}
		return r
	}, strings.ToValidUTF8(text, "\ufffd"))
	if runes := []rune(text); len(runes) > longest {
		return string(runes[:longest]) + "…"
	}
	return text
}

func (v *view) level(l bus.Level) string {
	switch l {
	case bus.LevelProvince:
		return v.t("省级", "province")
	case bus.LevelCity:
		return v.t("市级", "city")
	case bus.LevelCounty:
		return v.t("县级", "county")
	case bus.LevelTown:
		return v.t("乡镇级", "town")
	}
	return clean(string(l))
}

func (v *view) state(s evaluation.State) string {
	switch s {
	case evaluation.Counted:
		return v.t("计入", "counted")
	case evaluation.NotApplicable:
		return v.t("不适用", "not applicable")
	case evaluation.Missing:
		return v.t("缺报", "missing")
	}
	return clean(string(s))
}

// name gives who has a code; the code where nobody in the report has it.
func (v *view) name(code string) string { return cmp.Or(v.names[code], clean(code)) }

// bandOf is the place of a standing's band in the scheme; -1 without one.
func (v *view) bandOf(s evaluation.Standing) int {
	if s.Band == nil {
		return -1
	}
	return slices.IndexFunc(v.Scheme.Bands, func(b bus.Band) bool { return b.Name == *s.Band })
}

// off is what is taken off a standing, before the cap.
func off(s evaluation.Standing) (points int64) {
	for _, d := range s.Deductions {
		points += d.Points
	}
	return points
}

// rank is a rank for reading.
func rank(s evaluation.Standing) string {
	if s.Rank == 0 {
		return "—"
	}
	return fmt.Sprint(s.Rank)
}

func points(s *evaluation.Score) string {
	if s == nil {
		return ""
	}
	return clean(s.Points)
}

// before is the last score of an earlier report.
func before(s evaluation.Standing) string {
	if len(s.Earlier) == 0 {
		return ""
	}
	return points(s.Earlier[0].Score)
}

func (v *view) title() string {
	title := v.t("共享绩效评价报告 ", "Evaluation of data sharing ") + clean(v.ID)
	if v.Provisional {
		title += v.t("（期中数据）", " (provisional)")
	}
	if v.Restates != "" {
		title += fmt.Sprintf(v.t("（更正 %s）", " (restates %s)"), clean(v.Restates))
	}
	return title
}

// window is the period in days, the last one included.
func (v *view) window() string {
	return fmt.Sprintf("%s – %s", calendar.DateOf(v.Window.From), calendar.DateOf(v.Window.To)-1)
}

func (v *view) scheme() string {
	version := v.t("随版本发布", "as released")
	if v.Scheme.Version > 0 {
		version = fmt.Sprintf(v.t("第 %d 版", "version %d"), v.Scheme.Version)
	}
	return fmt.Sprintf("%s (%s)", clean(v.Scheme.Name), version)
}

func (v *view) missing() string {
	var nodes []string
	for _, m := range v.Inputs.Missing {
		nodes = append(nodes, fmt.Sprintf(v.t("%s（%d 天）", "%s (%d days)"), clean(string(m.Node)), len(m.Days)))
	}
	return strings.Join(nodes, v.t("、", ", "))
}

// fact is something that a report says of itself.
type fact struct{ Name, Value string }

// about is what every export carries: what was computed, from what, and by whom.
func (v *view) about() []fact {
	facts := []fact{
		{v.t("报告", "report"), clean(v.ID)},
		{v.t("更正的报告", "restates"), cmp.Or(clean(v.Restates), v.t("无", "none"))},
		{v.t("周期", "window"), v.window()},
		{v.t("数据读取时间", "inputs read at"), stamp(v.At)},
		{v.t("集群", "cluster"), clean(v.Cluster)},
		{v.t("计算节点", "computed by node"), clean(string(v.Node))},
		{v.t("方案", "scheme"), v.scheme()},
		{v.t("方案摘要", "digest of the scheme"), clean(v.Scheme.Digest)},
		{v.t("目录索引", "directory index"), fmt.Sprint(v.Inputs.Directory)},
		{v.t("目录材料摘要", "digest of the directory's material"), clean(v.Inputs.DirectoryDigest)},
		{v.t("日汇总数", "daily rollups"), fmt.Sprint(len(v.Inputs.Rollups))},
		{v.t("缺报节点", "nodes that have not reported"), cmp.Or(v.missing(), v.t("无", "none"))},
	}
	for _, c := range v.Inputs.Checkpoints {
		facts = append(facts, fact{v.t("存证检查点 ", "checkpoint of ") + clean(string(c.Node)), checkpoint(c)})
	}
	return append(facts, fact{v.t("报告摘要", "digest of the report"), v.digest}, fact{v.t("签名", "signature"), cmp.Or(clean(v.Signature), v.t("未签署", "not signed"))})
}

func checkpoint(c bus.Checkpoint) string {
	return fmt.Sprintf("%d %s %s", c.Size, base64.StdEncoding.EncodeToString(c.Root), stamp(c.At))
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// where is what an indicator chooses by, in a stable order.
func where(x bus.Indicator) string {
	var parts []string
	for _, name := range bus.Attributes() {
		if values := x.Where[name]; len(values) > 0 {
			parts = append(parts, clean(name+" = "+strings.Join(values, " | ")))
		}
	}
	return strings.Join(parts, "; ")
}

// rules are what a reader must know of how the numbers come about.
func (v *view) rules() []string {
	return []string{
		v.t("比率 = 分子 ÷ 分母，均为整数；只在显示时四舍五入到两位小数。", "A ratio is numerator over denominator, both whole; it is rounded half up to two decimals only to be shown."),
		v.t("分母为 0 的指标不适用，其权重由适用指标分担：得分 = 100 × Σ(比率 × 权重) ÷ 适用权重 − 扣分。",
			"An indicator with denominator 0 does not apply, and the others carry its weight: score = 100 × Σ(ratio × weight) ÷ applicable weight − deductions."),
		fmt.Sprintf(v.t("扣分合计最多 %d 分，得分不低于 0。适用权重不足 %d 的仅列示不排名。", "At most %d points are deducted, and no score is below 0. Below an applicable weight of %d there is no rank."), v.Scheme.Cap, v.Scheme.RankedFrom),
		v.t("名次在同一层级内按未四舍五入的得分排列，得分相同名次相同。", "Ranks are within a level, by the score before rounding; equals share one."),
		v.t("地区的分子、分母由所属及下级部门逐项相加，不对百分比求平均。", "A division's numerators and denominators are those of the departments in it and below, added up; percentages are never averaged."),
		v.t("缺报节点的数据按缺报列示，不计为 0。", "What a node has not reported is shown as missing, never as zero."),
		v.t("名次与等次为签署时的结果，不随单元格改动而变化。", "Ranks and bands are those that were signed; they do not follow a cell that is changed."),
	}
}
