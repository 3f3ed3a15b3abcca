package export

import (
	"bufio"
	"encoding/csv"
	"fmt"
	"io"

	"github.com/gxbus/gxbus/pkg/catalogue"
	"github.com/gxbus/gxbus/pkg/evaluation"
)

// writeCSV writes a row a standing, an empty one, and what the report says of
// itself; all rows are as long as the headings.
func writeCSV(w io.Writer, v *view) error {
	buffer := bufio.NewWriterSize(w, 64<<10)
	buffer.WriteString("\ufeff") // without it spreadsheets take Chinese for something else
	out := csv.NewWriter(buffer)
	out.UseCRLF = true
	head := v.csvHead()
	cells := make([]string, len(head))
	write := func(texts ...string) error {
		clear(cells)
		for i, text := range texts {
			cells[i] = catalogue.Neutralised(clean(text))
		}
		return out.Write(cells)
	}
	if err := write(head...); err != nil {
		return err
	}
	for _, list := range [][]evaluation.Standing{v.departments, v.divisions} {
		for _, s := range list {
			if err := write(v.csvRow(s)...); err != nil {
				return err
			}
		}
	}
	if err := write(); err != nil {
		return err
	}
	for _, f := range v.about() {
		if err := write(f.Name, f.Value); err != nil {
			return err
		}
	}
	out.Flush()
	if err := out.Error(); err != nil {
		return err
	}
	return buffer.Flush()
}

func (v *view) csvHead() []string {
	head := []string{
		v.t("类别", "kind"), v.t("名称", "name"), v.t("代码", "code"), v.t("所属地区", "division"), v.t("层级", "level"), v.t("名次", "rank"),
		v.t("参评数", "of"), v.t("得分", "score"), v.t("得分（精确）", "exact score"), v.t("等次", "band"), v.t("适用权重", "applicable weight"), v.t("扣分", "deductions"), v.t("说明", "note"),
	}
	for _, x := range v.Scheme.Indicators {
		head = append(head, x.ID+v.t(" 分子", " numerator"), x.ID+v.t(" 分母", " denominator"), x.ID+" %", x.ID+v.t(" 状态", " state"))
	}
	return head
}

func (v *view) csvRow(s evaluation.Standing) []string {
	exact, of, deducted := "", "", fmt.Sprint(off(s))
	if s.Score != nil {
		exact = s.Score.Exact
	}
	if s.Rank > 0 {
		of = fmt.Sprint(s.Of)
	}
	row := []string{
		v.kind(s), s.Name, code(s), v.name(string(s.Division)), v.level(s.Level), rank(s), of,
		points(s.Score), exact, v.say(s.Band), fmt.Sprint(s.Weight), deducted, v.say(s.Unranked),
	}
	for _, f := range s.Figures {
		row = append(row, fmt.Sprint(f.Numerator), fmt.Sprint(f.Denominator), f.Percent(), v.state(f.State))
	}
	return row
}

func (v *view) kind(s evaluation.Standing) string {
	if s.Department != "" {
		return v.t("部门", "department")
	}
	return v.t("地区", "division")
}
