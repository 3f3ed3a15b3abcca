package export

import (
	"fmt"
	"iter"
	"slices"
	"strconv"
	"strings"

	"github.com/gxbus/gxbus/pkg/evaluation"
)

// Rows of the first standing on a summary and on an indicator's sheet. Who is on
// row standingsFrom+n of the departments' summary is on row figuresFrom+n of every
// indicator's sheet, and the divisions follow the departments there.
const (
	standingsFrom = 7
	figuresFrom   = 4
)

// Columns of an indicator's sheet.
const (
	numeratorColumn = iota + 4
	denominatorColumn
	ratioColumn
	percentColumn
	pointsColumn
)

// sheets lays out all that a reader sees of a workbook.
func (v *view) sheets() []sheet {
	deductions, places := v.deductions()
	all := []sheet{
		v.summary(v.t("汇总", "Summary"), v.departments, figuresFrom, places),
		v.summary(v.t("地区", "Divisions"), v.divisions, figuresFrom+len(v.departments), nil),
	}
	all = append(all, v.charts(all[0].name, all[1].name))
	for i := range v.Scheme.Indicators {
		all = append(all, v.indicator(i))
	}
	all = append(all, deductions, v.method(), v.reconciliation())
	if len(v.Restatements) > 0 {
		all = append(all, v.restatements())
	}
	return append(append(all, v.evidence()...), v.inputs())
}

func (v *view) indicatorSheet(i int) string {
	x := v.Scheme.Indicators[i]
	return sheetName(x.ID + " " + x.Name.In(v.lang))
}

// summary is the ranking of departments or of divisions. Its points are those of
// the indicators' sheets, from row figures on.
func (v *view) summary(name string, standings []evaluation.Standing, figures int, deducted map[string]string) sheet {
	const first = 12 // column of the first indicator
	last := first + len(v.Scheme.Indicators) - 1
	s := sheet{name: name, head: standingsFrom - 1, left: 2, printed: first - 1, widths: []float64{6, 26, 21, 14, 8, 9, 9, 9, 7, 9, 24, 9}}
	if len(standings) > 0 {
		s.bars = fmt.Sprintf("F%d:F%d", standingsFrom, standingsFrom+len(standings)-1)
	}
	s.rows = func(yield func([]cell) bool) {
		for _, row := range v.summaryHead() {
			if !yield(row) {
				return
			}
		}
		for n, st := range standings {
			r := standingsFrom + n
			across := fmt.Sprintf("%s:%s", at(first, r), at(last, r))
			row := []cell{
				text(rank(st)), text(clean(st.Name)), text(code(st)), text(v.name(string(st.Division))), text(v.level(st.Level)),
				formula(fmt.Sprintf(`IF(H%d>0,ROUND(MAX(0,100*SUM(%s)/H%d-MIN(I%d,%d)),2),"")`, r, across, r, r, v.Scheme.Cap), decimal(points(st.Score)), decimals),
				text(v.say(st.Band)).as(bands + look(v.bandOf(st))),
				formula(applicable(first, last, r), int64(st.Weight), plain),
				number(off(st)), text(before(st)), text(v.say(st.Unranked)),
			}
			if st.Rank > 0 {
				row[0] = number(st.Rank)
			}
			if st.Band == nil {
				row[6] = cell{}
			}
			if was := decimal(before(st)); was != nil {
				row[9] = cell{value: was, look: decimals}
			}
			if sum := deducted[code(st)]; sum != "" {
				row[8] = formula(sum, off(st), plain)
			}
			for i, f := range st.Figures {
				row = append(row, formula(in(v.indicatorSheet(i), at(pointsColumn, figures+n)), v.points(i, f), decimals))
			}
			if !yield(row) {
				return
			}
		}
	}
	return s
}

// applicable adds up the weights over the points of a row that are not empty. It is
// spelt out: programs do not agree on whether an empty text is at least 0.
func applicable(first, last, row int) string {
	terms := make([]string, 0, last-first+1)
	for c := first; c <= last; c++ {
		terms = append(terms, fmt.Sprintf(`IF(%s="",0,%s$%d)`, at(c, row), letter(c), standingsFrom-1))
	}
	return strings.Join(terms, "+")
}

func (v *view) summaryHead() [][]cell {
	remark := ""
	if len(v.Inputs.Missing) > 0 {
		remark = v.t("缺报节点：", "not reported: ") + v.missing()
	}
	head := texts(heading, v.t("名次", "rank"), v.t("名称", "name"), v.t("代码", "code"), v.t("地区", "division"), v.t("层级", "level"), v.t("得分", "score"),
		v.t("等次", "band"), v.t("适用权重", "weight"), v.t("扣分", "off"), v.t("上期得分", "before"), v.t("说明", "note"))
	weights := texts(heading, "", v.t("权重", "weight"), "", "", "", "", "", "", "", "", "")
	for i, x := range v.Scheme.Indicators {
		head = append(head, text(v.indicatorSheet(i)).as(heading))
		weights = append(weights, number(x.Weight).as(heading))
	}
	return [][]cell{
		{text(v.title()).as(big)},
		{text(v.t("周期：", "window: ") + v.window() + v.t("　方案：", "   scheme: ") + v.scheme() + v.t("　计算节点：", "   node: ") + clean(string(v.Node))).as(note)},
		{text(v.t("报告摘要：", "digest: ") + v.digest + v.t("（签名见末页）", " (signature on the last sheet)")).as(note)},
		{text(remark).as(note)},
		head, weights,
	}
}

// decimal is a rounded number as a cell holds it; nil for none.
func decimal(s string) any {
	n, err := strconv.ParseFloat(s, 64)
	if err != nil {
		return nil
	}
	return n
}

// points are what a figure brings of its indicator's weight; nil where it does not
// apply.
func (v *view) points(i int, f evaluation.Figure) any {
	if f.State != evaluation.Counted {
		return nil
	}
	return float64(min(f.Numerator, f.Denominator)) / float64(f.Denominator) * float64(v.Scheme.Indicators[i].Weight)
}

// indicator has the two numbers of everyone, and formulas that say what they make.
func (v *view) indicator(i int) sheet {
	x := v.Scheme.Indicators[i]
	condition := where(x)
	if condition != "" {
		condition = v.t("　条件：", "   where: ") + condition
	}
	num, den := x.Numerator.Text(), x.Denominator.Text()
	return sheet{name: v.indicatorSheet(i), head: figuresFrom - 1, left: 2, tall: true, widths: []float64{11, 30, 22, 12, 12, 11, 11, 11, 12}, rows: func(yield func([]cell) bool) {
		title := append(texts(big, v.indicatorSheet(i), "", "", "", "", ""), text(v.t("权重", "weight")).as(heading), number(x.Weight).as(heading))
		ok := yield(title) &&
			yield([]cell{text(v.t("分子：", "numerator: ") + v.say(&num) + v.t("　分母：", "   denominator: ") + v.say(&den) + condition).as(note)}) &&
			yield(texts(heading, v.t("类别", "kind"), v.t("名称", "name"), v.t("代码", "code"), v.t("分子", "numerator"), v.t("分母", "denominator"),
				v.t("比率", "ratio"), v.t("百分比", "per cent"), v.t("得分", "points"), v.t("状态", "state")))
		r := figuresFrom
		for _, st := range slices.Concat(v.departments, v.divisions) {
			if !ok {
				return
			}
			f := st.Figures[i]
			var ratio any
			if f.State == evaluation.Counted {
				ratio = float64(f.Numerator) / float64(f.Denominator)
			}
			ok = yield([]cell{
				text(v.kind(st)), text(clean(st.Name)), text(code(st)), number(f.Numerator), number(f.Denominator),
				formula(fmt.Sprintf(`IF(E%d>0,D%d/E%d,"")`, r, r, r), ratio, percent),
				formula(fmt.Sprintf(`IF(E%d>0,ROUND(100*D%d/E%d,2),"")`, r, r, r), decimal(f.Percent()), decimals),
				formula(fmt.Sprintf(`IF(E%d>0,MIN(D%d,E%d)/E%d*$H$1,"")`, r, r, r, r), v.points(i, f), decimals),
				text(v.state(f.State)),
			})
			r++
		}
	}}
}

// deductions lists what is taken off, and gives for each department the formula
// that adds its own up.
func (v *view) deductions() (sheet, map[string]string) {
	const first = 3
	name, places := v.t("扣分", "Deductions"), map[string]string{}
	r := first
	for _, s := range v.departments {
		if n := len(s.Deductions); n > 0 {
			places[code(s)] = "SUM(" + in(name, fmt.Sprintf("G%d:G%d", r, r+n-1)) + ")"
			r += n
		}
	}
	return sheet{name: name, head: first - 1, tall: true, widths: []float64{30, 22, 7, 36, 8, 8, 8}, rows: func(yield func([]cell) bool) {
		ok := yield([]cell{text(fmt.Sprintf(v.t("扣分（合计最多 %d 分）", "Deductions (%d points at most)"), v.Scheme.Cap)).as(big)}) &&
			yield(texts(heading, v.t("部门", "department"), v.t("代码", "code"), v.t("扣分项", "id"), v.t("名称", "name"), v.t("次数", "times"), v.t("每次", "each"), v.t("扣分", "off")))
		r := first
		for _, s := range v.departments {
			for _, d := range s.Deductions {
				title, each := "", int64(0)
				if d.Times != 0 {
					each = d.Points / d.Times
				}
				for _, x := range v.Scheme.Deductions {
					if x.ID == d.Deduction {
						title = v.say(&x.Name)
					}
				}
				if !ok {
					return
				}
				ok = yield([]cell{
					text(clean(s.Name)), text(code(s)), text(clean(d.Deduction)), text(title),
					number(d.Times), number(each), formula(fmt.Sprintf("E%d*F%d", r, r), d.Points, plain),
				})
				r++
			}
		}
	}}, places
}

// of gives rows one after another.
func of(rows ...[]cell) iter.Seq[[]cell] { return slices.Values(rows) }
