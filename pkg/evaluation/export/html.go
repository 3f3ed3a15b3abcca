package export

import (
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"slices"

	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/evaluation"
)

//go:embed report.html.tmpl
var pageText string

// page is what the template reads. All of it is plain text and numbers: the
// template escapes what the catalogue and departments wrote.
type page struct {
	*view
	Boards  []board
	Ratios  []bar
	Top     string
	Trend   *trend
	Schemes []line
}

// board is the ranking of one level.
type board struct {
	Title string
	Bands []slice
	Rows  []entry
}

// entry is one who is ranked, or listed without a rank.
type entry struct {
	Rank, Name, Code, Division, Score, Band, Before, Note string
	BandAt, Weight                                        int
	Off                                                   int64
	Bar                                                   float64 // of 100
	Cells                                                 []ratio
}

// ratio is one figure in the table of a board.
type ratio struct {
	Text, Of string
	Shade    int // 0 the best to 3; -1: does not count
}

// slice is a part of a bar that shows how many are in each band.
type slice struct {
	Name          string
	At, N         int
	X, Width, Mid float64
}

// bar is a bar of a chart.
type bar struct {
	Name, Value string
	Y           int
	Width       float64
}

// trend is a line through the scores of earlier reports.
type trend struct {
	Points string
	Marks  []point
}

type point struct {
	Name, Value string
	X, Y        float64
}

// line is an indicator of the scheme in words.
type line struct {
	ID, Name, Numerator, Denominator, Where string
	Weight                                  int
}

const (
	chartWide  = 700 // in units of the charts' view boxes
	shownInRow = 300
)

func writeHTML(w io.Writer, v *view) error {
	t, err := template.New("report").Funcs(template.FuncMap{"bottom": func(bars []bar) int { return 22*len(bars) + 4 }}).Parse(pageText)
	if err != nil {
		return err
	}
	p := page{view: v, Boards: append(v.boards(v.departments, v.t("%s部门", "Departments, %s")), v.boards(v.divisions, v.t("%s地区", "Divisions, %s"))...)}
	for _, x := range v.Scheme.Indicators {
		num, den := x.Numerator.Text(), x.Denominator.Text()
		p.Schemes = append(p.Schemes, line{clean(x.ID), v.say(&x.Name), v.say(&num), v.say(&den), where(x), x.Weight})
	}
	if len(v.divisions) > 0 {
		top := v.divisions[0]
		p.Top, p.Ratios, p.Trend = v.name(code(top)), v.ratios(top), v.trend(top)
	}
	return t.Execute(w, p)
}

func (v *view) boards(standings []evaluation.Standing, title string) (boards []board) {
	for _, level := range levels {
		b := board{Title: fmt.Sprintf(title, v.level(level))}
		counts := make([]int, len(v.Scheme.Bands))
		for _, s := range standings {
			if s.Level != level {
				continue
			}
			e := v.entry(s)
			if e.BandAt >= 0 {
				counts[e.BandAt]++
			}
			b.Rows = append(b.Rows, e)
		}
		if len(b.Rows) == 0 {
			continue
		}
		b.Bands = v.slices(counts)
		boards = append(boards, b)
	}
	return boards
}

func (v *view) entry(s evaluation.Standing) entry {
	e := entry{
		Rank: rank(s), Name: clean(s.Name), Code: code(s), Division: v.name(string(s.Division)), Score: points(s.Score), Band: v.say(s.Band), BandAt: min(v.bandOf(s), 3),
		Before: before(s), Note: v.say(s.Unranked), Weight: s.Weight, Off: off(s),
	}
	if score, ok := decimal(e.Score).(float64); ok {
		e.Bar = score
	}
	for _, f := range s.Figures {
		c := ratio{Text: v.state(f.State), Of: fmt.Sprintf("%d / %d", f.Numerator, f.Denominator), Shade: -1}
		if f.State == evaluation.NotApplicable {
			c.Text = v.t("不适用", "n/a") // the cell is narrow
		}
		if f.State == evaluation.Counted {
			c.Text, c.Shade = f.Percent(), v.shade(f)
		}
		e.Cells = append(e.Cells, c)
	}
	return e
}

// shade is the band that a ratio alone would be in.
func (v *view) shade(f evaluation.Figure) int {
	return min(3, slices.IndexFunc(v.Scheme.Bands, func(b bus.Band) bool {
		return min(f.Numerator, f.Denominator)*bus.FullWeight >= int64(b.From)*f.Denominator
	}))
}

func (v *view) slices(counts []int) (all []slice) {
	total := 0
	for _, n := range counts {
		total += n
	}
	x := 0.0
	for i, n := range counts {
		if n == 0 {
			continue
		}
		wide := float64(chartWide) * float64(n) / float64(total)
		all = append(all, slice{v.say(&v.Scheme.Bands[i].Name), min(i, 3), n, x, wide, x + wide/2})
		x += wide
	}
	return all
}

func (v *view) ratios(s evaluation.Standing) (bars []bar) {
	for i, f := range s.Figures {
		x := v.Scheme.Indicators[i]
		b := bar{Name: clean(x.ID) + " " + v.say(&x.Name), Value: v.state(f.State), Y: 22 * i}
		if f.State == evaluation.Counted {
			b.Value = fmt.Sprintf("%s%%  (%d / %d)", f.Percent(), f.Numerator, f.Denominator)
			b.Width = shownInRow * float64(min(f.Numerator, f.Denominator)) / float64(f.Denominator)
		}
		bars = append(bars, b)
	}
	return bars
}

// trend draws the scores of a division in earlier reports and this one, the oldest
// first; nil where there is nothing to compare with.
func (v *view) trend(s evaluation.Standing) *trend {
	const mostMarks = 12
	type score struct{ name, points string }
	scores := []score{{clean(v.ID), points(s.Score)}}
	for _, e := range s.Earlier[:min(len(s.Earlier), mostMarks-1)] {
		scores = append(scores, score{clean(e.Report), points(e.Score)})
	}
	slices.Reverse(scores)
	scores = slices.DeleteFunc(scores, func(s score) bool { return decimal(s.points) == nil })
	if len(scores) < 2 {
		return nil
	}
	t := &trend{}
	for i, s := range scores {
		n, _ := decimal(s.points).(float64)
		m := point{s.name, s.points, 40 + float64(i)*(chartWide-80)/float64(len(scores)-1), 120 - n}
		t.Points += fmt.Sprintf("%.1f,%.1f ", m.X, m.Y)
		t.Marks = append(t.Marks, m)
	}
	return t
}

// The rest is what the template asks the view for.

// T is a text in the language of the page.
func (p page) T(zh, en string) string { return p.t(zh, en) }

// Title is the title of the page.
func (p page) Title() string { return p.title() }

// About is what the report says of itself.
func (p page) About() []fact { return p.about() }

// Rules are how the numbers come about.
func (p page) Rules() []string { return p.rules() }

// Period is the window in days.
func (p page) Period() string { return p.window() }

// Gone names the nodes that have not reported.
func (p page) Gone() string { return p.missing() }

// Language is that of the page.
func (p page) Language() string { return string(p.lang) }

// Name gives who has a code.
func (p page) Name(id bus.USCC) string { return p.name(string(id)) }

// Say is a text of the report.
func (p page) Say(t bus.Text) string { return p.say(&t) }
