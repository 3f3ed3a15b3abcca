package evaluation

import (
	"fmt"

	"github.com/gxbus/gxbus/pkg/bus"
)

// Finding is what a verification found: everything that does not hold, the first
// figure that differs among it.
type Finding struct {
	Verified bool       `json:"verified"`
	Problems []bus.Text `json:"problems,omitempty"` // in the order in which they were found
	Figures  int        `json:"figures"`            // that were made again
	Rollups  int        `json:"rollups"`            // that were derived again
	First    *Differing `json:"first,omitempty"`    // the first figure that differs

	Differences []Difference `json:"differences,omitempty"` // between the two sides' evidence, with the exchanges behind them
}

// Differing is a figure that comes out otherwise when it is made again.
type Differing struct {
	Department bus.USCC         `json:"department,omitempty"`
	Division   bus.DivisionCode `json:"division,omitempty"`
	What       string           `json:"what"` // an indicator's id; deductions, score or rank
	Reported   string           `json:"reported"`
	Again      string           `json:"again"`
}

func (f *Finding) wrong(zh, en string) {
	f.Problems = append(f.Problems, bus.Text{ZH: zh, EN: en})
}

// Check makes a report again from its material, whose rollups were derived from the
// evidence itself, and compares: the rollups that it used, then figure by figure in
// the order of the report. The signature must be that of one of keys.
func (m *Material) Check(r Report, before []Report, keys ...string) (Finding, error) {
	var f Finding
	if err := r.Verify(keys...); err != nil {
		f.wrong("报告签名与内容不符", "the signature of the report does not fit its content")
	}
	if got := SchemeDigest(r.Scheme.Scheme); got != r.Scheme.Digest {
		f.wrong("报告所载方案与其摘要不符", "the scheme in the report is not the one that its digest names")
	}
	if err := m.settle(); err != nil {
		return f, err
	}
	if digestOf(m.Directory) != r.Inputs.DirectoryDigest {
		f.wrong("目录材料与报告所用的不符", "the directory is not the one that the report was made of")
	}
	m.used(r, &f)
	again, err := m.Evaluate(Order{ID: r.ID, Window: r.Window, Scheme: r.Scheme, At: r.At, Node: r.Node, Before: before})
	if err != nil {
		return f, err
	}
	f.compare("部门", "department", r.Departments, again.Departments)
	f.compare("区划", "division", r.Divisions, again.Divisions)
	if r.Reconciliation.Matched != again.Reconciliation.Matched || len(r.Reconciliation.Differences) != len(again.Reconciliation.Differences) {
		f.wrong("对账结果与重算不符", "the reconciliation comes out otherwise")
	}
	f.Differences = again.Reconciliation.Differences
	f.Verified = len(f.Problems) == 0
	return f, nil
}

// used compares the rollups of a report with those that the evidence gives. Only those
// that the report used are kept.
func (m *Material) used(r Report, f *Finding) {
	type key struct {
		node bus.NodeID
		day  string
	}
	named := map[key]string{}
	for _, u := range r.Inputs.Rollups {
		named[key{u.Node, u.Day}] = u.Digest
	}
	m.Rollups.keep(func(p *packed) bool { return named[key{p.node, p.text}] != "" })
	for _, x := range m.Rollups.used() {
		f.Rollups++
		if x.Digest != named[key{x.Node, x.Day}] {
			f.wrong(fmt.Sprintf("节点 %s %s 的日汇总与其存证不符", x.Node, x.Day), fmt.Sprintf("the rollup of node %s of %s is not what its evidence gives", x.Node, x.Day))
		}
		delete(named, key{x.Node, x.Day})
	}
	for _, u := range r.Inputs.Rollups {
		if named[key{u.Node, u.Day}] != "" {
			f.wrong(fmt.Sprintf("没有节点 %s %s 的存证，无法重算", u.Node, u.Day), fmt.Sprintf("there is no evidence of node %s of %s to derive its rollup from", u.Node, u.Day))
		}
	}
}

// compare compares standings one by one.
func (f *Finding) compare(zh, en string, reported, again []Standing) {
	if len(reported) != len(again) {
		f.wrong(fmt.Sprintf("%s数量为 %d，重算为 %d", zh, len(reported), len(again)), fmt.Sprintf("there are %d of a %s, again %d", len(reported), en, len(again)))
	}
	for i := range min(len(reported), len(again)) {
		a, b := reported[i], again[i]
		if a.who() != b.who() {
			f.wrong(fmt.Sprintf("第 %d 个%s不同", i+1, zh), fmt.Sprintf("%s %d is another", en, i+1))
			return
		}
		for k := range max(len(a.Figures), len(b.Figures)) {
			f.Figures++
			x, y := at(a.Figures, k), at(b.Figures, k)
			f.differs(a, x.Indicator, x.text(), y.text())
		}
		f.differs(a, "deductions", points(a.Deductions), points(b.Deductions))
		f.differs(a, "score", a.Score.text(), b.Score.text())
		f.differs(a, "rank", fmt.Sprintf("%d/%d", a.Rank, a.Of), fmt.Sprintf("%d/%d", b.Rank, b.Of))
	}
}

func (f *Finding) differs(s Standing, what, reported, again string) {
	if reported == again {
		return
	}
	whose := string(s.Department)
	if whose == "" {
		whose = string(s.Division)
	}
	if f.First == nil {
		f.First = &Differing{Department: s.Department, Division: s.Division, What: what, Reported: reported, Again: again}
	}
	f.wrong(fmt.Sprintf("%s 的 %s 为 %s，重算为 %s", whose, what, reported, again), fmt.Sprintf("%s of %s is %s, again it is %s", what, whose, reported, again))
}

func at(figures []Figure, i int) Figure {
	if i < len(figures) {
		return figures[i]
	}
	return Figure{}
}

func (f Figure) text() string { return fmt.Sprintf("%d/%d %s", f.Numerator, f.Denominator, f.State) }

func (s *Score) text() string {
	if s == nil {
		return "none"
	}
	return s.Exact + " " + s.Points
}

func points(deductions []Deducted) string {
	text := ""
	for _, d := range deductions {
		text += fmt.Sprintf("%s×%d ", d.Deduction, d.Times)
	}
	return text
}
