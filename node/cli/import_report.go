package cli

import (
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/gxbus/gxbus/pkg/catalogue"
	"github.com/gxbus/gxbus/pkg/catalogue/intake"
)

const shownNotes = 50 // of a report, in a table

// writeAccount writes the whole account of an import to a file.
func (a *app) writeAccount(target, path string, o catalogue.Options, r *intake.Report) error {
	return writeFile(target, func(w io.Writer) error {
		switch extension(target) {
		case "json":
			return writeJSON(w, r)
		case "csv":
			return r.WriteCSV(w, a.lang)
		default:
			var notes []catalogue.Note
			for i := range r.Entries {
				notes = append(notes, r.Entries[i].Notes...)
			}
			return catalogue.Annotate(w, path, o, a.lang, notes)
		}
	})
}

// finding is a note of an entry, a row of the report as a table.
type finding struct {
	entry *intake.Result
	catalogue.Note
}

func (a *app) findingColumns() []column[finding] {
	return []column[finding]{
		{"row", "行", func(f finding) string { return sprint(f.Row) }},
		{"column", "列", func(f finding) string {
			if f.Column != "" {
				return f.Column
			}
			return f.Field
		}},
		{"code", "代码", func(f finding) string { return string(f.entry.Code) }},
		{"kind", "类别", func(f finding) string { return intake.KindIn(f.Kind, a.lang) }},
		{"problem", "问题", func(f finding) string { return f.Problem.In(a.lang) }},
		{"allowed", "允许", func(f finding) string { return f.Allowed }},
	}
}

// printAccount prints the totals and the first of what there is to say: what was
// refused before what was mended. As JSON or YAML it is the account of every
// entry of which there is something to say.
func (a *app) printAccount(r *intake.Report) error {
	if a.output == "json" || a.output == "yaml" {
		noted := r.Totals()
		noted.Entries = slices.DeleteFunc(slices.Clone(r.Entries), func(e intake.Result) bool { return len(e.Notes) == 0 })
		return a.print(noted, grid{})
	}
	var found []finding
	for _, kind := range []catalogue.Kind{catalogue.Refused, catalogue.Lacking, catalogue.Mended} {
		for i := range r.Entries {
			for _, n := range r.Entries[i].Notes {
				if n.Kind == kind {
					found = append(found, finding{&r.Entries[i], n})
				}
			}
		}
	}
	a.totals(r)
	if len(found) == 0 {
		return nil
	}
	if hidden := len(found) - shownNotes; hidden > 0 && a.output == "table" {
		found = found[:shownNotes]
		defer a.notice(sprint("另有 ", hidden, " 处未列出，见 --report"), sprint(hidden, " more are not shown: see --report"))
	}
	return printList(a, a.findingColumns(), found)
}

// totals tells the sums on the error stream.
func (a *app) totals(r *intake.Report) {
	a.notice(sprint("读取 ", r.Read, " 条：采用 ", r.Taken, "，修正后采用 ", r.Mended, "，拒绝 ", r.Refused),
		sprint(r.Read, " read: ", r.Taken, " taken, ", r.Mended, " mended, ", r.Refused, " refused"))
	switch {
	case r.Checked:
		a.notice(sprint("仅检查格式，未连接节点；合并 ", r.Merged), sprint("only the form was checked, nothing was sent; ", r.Merged, " merged"))
	case r.DryRun:
		a.notice(sprint("试运行，未写入：将新建 ", r.Created, "，修改 ", r.Changed, "，不变 ", r.Unchanged, "，合并 ", r.Merged),
			sprint("dry run, nothing was written: ", r.Created, " to be created, ", r.Changed, " changed, ", r.Unchanged, " unchanged, ", r.Merged, " merged"))
	default:
		a.notice(sprint("新建 ", r.Created, "，修改 ", r.Changed, "，不变 ", r.Unchanged, "，合并 ", r.Merged),
			sprint(r.Created, " created, ", r.Changed, " changed, ", r.Unchanged, " unchanged, ", r.Merged, " merged"))
	}
	if r.Lacking > 0 {
		a.notice(sprint("其中 ", r.Lacking, " 条尚不完整，不能提交审核"), sprint(r.Lacking, " of them are not complete and cannot be submitted yet"))
	}
	if len(r.Synthetic) > 0 {
		var zh, en []string
		for _, field := range slices.Sorted(maps.Keys(r.Synthetic)) {
			zh = append(zh, sprint(field, "（", r.Synthetic[field], "）"))
			en = append(en, sprint(field, " (", r.Synthetic[field], ")"))
		}
		a.notice("合成值，来源没有："+strings.Join(zh, "、"), "synthetic, not of the source: "+strings.Join(en, ", "))
	}
}
