package export

import (
	"encoding/base64"
	"fmt"
	"iter"
	"slices"

	"github.com/gxbus/gxbus/pkg/evaluation"
)

const shownInChart = 20 // the best of a level

// charts counts bands and draws the best of each level, and the ratios of the
// division that is above all.
func (v *view) charts(departments, divisions string) sheet {
	name := v.t("图表", "Charts")
	s := sheet{name: name, head: 2, widths: []float64{28, 12, 12}}
	rows := [][]cell{{text(name).as(big)}, texts(heading, v.t("等次", "band"), v.t("部门数", "departments"), v.t("地区数", "divisions"))}
	for i, b := range v.Scheme.Bands {
		title := v.say(&b.Name)
		rows = append(rows, []cell{text(title).as(bands + look(i)), v.inBand(i, departments, v.departments), v.inBand(i, divisions, v.divisions)})
	}
	bandRows := len(rows)
	s.charts = append(s.charts, chart{title: v.t("各等次部门数", "Departments in each band"), categories: in(name, fixed(1, 3, bandRows)), values: in(name, fixed(2, 3, bandRows)), format: "0", rows: 4, upright: true})
	if len(v.divisions) > 0 {
		top := v.divisions[0]
		title := v.name(code(top)) + v.t(" 各指标比率", ": ratio of each indicator")
		rows = append(rows, nil, texts(heading, title, v.t("比率", "ratio")))
		first := len(rows) + 1
		for i, f := range top.Figures {
			var ratio any
			if f.State == evaluation.Counted {
				ratio = float64(f.Numerator) / float64(f.Denominator)
			}
			rows = append(rows, []cell{text(v.indicatorSheet(i)), formula(in(v.indicatorSheet(i), at(ratioColumn, figuresFrom+len(v.departments))), ratio, percent)})
		}
		s.charts = append(s.charts, chart{title: title, categories: in(name, fixed(1, first, len(rows))), values: in(name, fixed(2, first, len(rows))), format: "0%", rows: len(top.Figures)})
	}
	s.charts = append(append(s.charts, v.best(departments, v.departments, v.t("%s部门得分", "Scores of departments, %s"))...),
		v.best(divisions, v.divisions, v.t("%s地区得分", "Scores of divisions, %s"))...)
	row := 2
	for i := range s.charts {
		s.charts[i].at = at(5+11*(i%2), row)
		if i%2 == 1 {
			row += 24
		}
	}
	s.rows = of(rows...)
	return s
}

func (v *view) inBand(band int, sheet string, standings []evaluation.Standing) cell {
	if len(standings) == 0 {
		return number(0)
	}
	var n int64
	for _, s := range standings {
		if v.bandOf(s) == band {
			n++
		}
	}
	return formula(fmt.Sprintf("COUNTIF(%s,A%d)", in(sheet, fixed(7, standingsFrom, standingsFrom+len(standings)-1)), 3+band), n, plain)
}

// best draws the scores of the first of each level.
func (v *view) best(sheet string, standings []evaluation.Standing, title string) (all []chart) {
	for _, level := range levels {
		first := slices.IndexFunc(standings, func(s evaluation.Standing) bool { return s.Level == level && s.Rank > 0 })
		if first < 0 {
			continue
		}
		n := 0
		for n < shownInChart && first+n < len(standings) && standings[first+n].Level == level && standings[first+n].Rank > 0 {
			n++
		}
		if n < 2 { // nobody to compare with
			continue
		}
		from, to := standingsFrom+first, standingsFrom+first+n-1
		all = append(all, chart{title: fmt.Sprintf(title, v.level(level)), categories: in(sheet, fixed(2, from, to)), values: in(sheet, fixed(6, from, to)), format: "0.00", rows: n})
	}
	return all
}

// method says how the figures come about.
func (v *view) method() sheet {
	rows := [][]cell{{text(v.t("评价方法：", "Method: ") + v.scheme()).as(big)},
		texts(heading, v.t("指标", "id"), v.t("名称", "name"), v.t("权重", "weight"), v.t("分子", "numerator"), v.t("分母", "denominator"), v.t("条件", "where"))}
	for _, x := range v.Scheme.Indicators {
		num, den := x.Numerator.Text(), x.Denominator.Text()
		rows = append(rows, []cell{text(clean(x.ID)), text(v.say(&x.Name)).as(wrapped), number(x.Weight), text(v.say(&num)).as(wrapped), text(v.say(&den)).as(wrapped), text(where(x)).as(wrapped)})
	}
	rows = append(rows, nil, texts(heading, v.t("扣分项", "id"), v.t("名称", "name"), v.t("分值", "points")))
	for _, d := range v.Scheme.Deductions {
		rows = append(rows, []cell{text(clean(d.ID)), text(v.say(&d.Name)).as(wrapped), number(d.Points)})
	}
	rows = append(rows, nil, texts(heading, v.t("等次", "band"), "", v.t("起分", "from")))
	for i, b := range v.Scheme.Bands {
		rows = append(rows, []cell{text(v.say(&b.Name)).as(bands + look(i)), {}, number(b.From)})
	}
	rows = append(rows, nil)
	for _, rule := range v.rules() {
		rows = append(rows, []cell{text(rule).as(note)})
	}
	return sheet{name: v.t("方法", "Method"), head: 2, widths: []float64{8, 30, 8, 44, 44, 24}, rows: of(rows...)}
}

// reconciliation lists where the two sides' records do not agree, an exchange a row.
func (v *view) reconciliation() sheet {
	rows := [][]cell{{text(fmt.Sprintf(v.t("对账：双方一致 %d 笔，不一致 %d 项", "Reconciliation: %d exchanges agree, %d differences"), v.Reconciliation.Matched, len(v.Reconciliation.Differences))).as(big)},
		texts(heading, v.t("资源", "resource"), v.t("提供方", "provider"), v.t("使用方", "consumer"), v.t("订阅", "subscription"), v.t("方式", "mode"), v.t("提供方计数", "provider has"), v.t("使用方计数", "consumer has"),
			v.t("差", "difference"), v.t("问题", "problem"), v.t("交换", "exchange"), v.t("存于节点", "on record at"), v.t("存证叶", "leaf"), v.t("缺于节点", "lacking at"))}
	for _, d := range v.Reconciliation.Differences {
		r := len(rows) + 1
		rows = append(rows, []cell{
			text(clean(string(d.Resource))), text(v.name(string(d.Provider))), text(v.name(string(d.Consumer))), text(clean(string(d.Subscription))), text(clean(d.Mode)), number(d.ProviderCount), number(d.ConsumerCount),
			formula(fmt.Sprintf("F%d-G%d", r, r), d.ProviderCount-d.ConsumerCount, plain), text(v.say(&d.Problem)).as(wrapped),
		})
		for i, x := range d.Exchanges {
			if i > 0 {
				rows = append(rows, make([]cell, 9))
			}
			last := len(rows) - 1
			rows[last] = append(rows[last], text(clean(x.Exchange)), text(clean(string(x.Has))), number(x.Leaf), text(clean(x.Against())))
		}
	}
	return sheet{name: v.t("对账", "Reconciliation"), head: 2, widths: []float64{20, 24, 24, 12, 9, 11, 11, 9, 36, 30, 12, 9, 12}, rows: of(rows...)}
}

func (v *view) restatements() sheet {
	rows := [][]cell{{text(v.t("对已公布报告的更正（原报告不改）", "Restatements of published reports, which stay as they are")).as(big)},
		texts(heading, v.t("报告", "report"), v.t("名称", "name"), v.t("代码", "code"), v.t("指标", "indicator"), v.t("公布分子", "published numerator"), v.t("公布分母", "published denominator"),
			v.t("更正分子", "restated numerator"), v.t("更正分母", "restated denominator"))}
	for _, x := range v.Restatements {
		who := code(evaluation.Standing{Department: x.Department, Division: x.Division})
		rows = append(rows, []cell{text(clean(x.Report)), text(v.name(who)), text(who), text(clean(x.Indicator)),
			number(x.Published.Numerator), number(x.Published.Denominator), number(x.Restated.Numerator), number(x.Restated.Denominator)})
	}
	return sheet{name: v.t("更正", "Restatements"), head: 2, widths: []float64{12, 26, 22, 8, 10}, rows: of(rows...)}
}

// evidence lists what each figure rests on, on as many sheets as it takes.
func (v *view) evidence() []sheet {
	name := v.t("证据", "Evidence")
	const first = 3
	total := 0
	for range v.references() {
		total++
	}
	var all []sheet
	for skip := 0; skip == 0 || skip < total; skip += mostRows - first {
		title := name
		if skip > 0 {
			title = fmt.Sprintf("%s %d", name, len(all)+1)
		}
		all = append(all, sheet{name: title, head: first - 1, tall: true, widths: []float64{30, 22, 8, 44, 9, 9}, rows: func(yield func([]cell) bool) {
			if !yield([]cell{text(title).as(big)}) || !yield(texts(heading, v.t("部门", "department"), v.t("代码", "code"), v.t("指标", "id"), v.t("引用", "reference"), v.t("在分子", "numerator"), v.t("在分母", "denominator"))) {
				return
			}
			n := 0
			for row := range v.references() {
				if n++; n > skip+mostRows-first || n > skip && !yield(row) {
					return
				}
			}
		}})
	}
	return all
}

// references gives a row a reference: whose it is, of which figure or deduction,
// and where it counts.
func (v *view) references() iter.Seq[[]cell] {
	return func(yield func([]cell) bool) {
		for _, s := range v.departments {
			row := func(id string, ref evaluation.Ref, num, den bool) bool {
				return yield([]cell{text(clean(s.Name)), text(code(s)), text(clean(id)), text(clean(string(ref))), mark(num), mark(den)})
			}
			for _, f := range s.Figures {
				if f.Evidence == nil {
					continue
				}
				met := map[evaluation.Ref]bool{}
				for _, ref := range f.Evidence.Numerator {
					met[ref] = true
				}
				for _, ref := range f.Evidence.Denominator {
					if !row(f.Indicator, ref, met[ref], true) {
						return
					}
					delete(met, ref)
				}
				for _, ref := range f.Evidence.Numerator {
					if met[ref] && !row(f.Indicator, ref, true, false) {
						return
					}
				}
			}
			for _, d := range s.Deductions {
				for _, ref := range d.Evidence {
					if !row(d.Deduction, ref, true, false) {
						return
					}
				}
			}
		}
	}
}

func mark(yes bool) cell {
	if yes {
		return number(1)
	}
	return cell{}
}

// inputs is what the report was computed from, and the signature.
func (v *view) inputs() sheet {
	rows := [][]cell{{text(v.t("输入与签名", "Inputs and signature")).as(big)}}
	for _, f := range v.about() {
		rows = append(rows, []cell{text(f.Name), text(f.Value).as(wrapped)})
	}
	head := func(titles ...string) { rows = append(rows, nil, texts(heading, titles...)) }
	head(v.t("存证检查点：节点", "checkpoint of node"), v.t("签名文本", "signed note"), v.t("叶数", "leaves"), v.t("根", "root"), v.t("时间", "at"))
	for _, c := range v.Inputs.Checkpoints {
		rows = append(rows, []cell{text(clean(string(c.Node))), text(clean(c.Note)).as(wrapped), number(c.Size), text(base64.StdEncoding.EncodeToString(c.Root)), text(stamp(c.At))})
	}
	head(v.t("缺报节点", "node that has not reported"), v.t("日期", "days"))
	for _, m := range v.Inputs.Missing {
		rows = append(rows, []cell{text(clean(string(m.Node))), text(clean(fmt.Sprint(m.Days))).as(wrapped)})
	}
	head(v.t("日汇总：节点", "rollup of node"), v.t("摘要", "digest"), v.t("日期", "day"))
	for _, x := range v.Inputs.Rollups {
		rows = append(rows, []cell{text(clean(string(x.Node))), text(clean(x.Digest)), text(clean(x.Day))})
	}
	return sheet{name: v.t("输入", "Inputs"), head: 1, widths: []float64{26, 76, 12, 48, 22}, rows: of(rows...)}
}
