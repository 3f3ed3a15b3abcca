// Package intake takes the entries of a file into a node's directory: it checks
// them first, sends those that are well-formed in chunks, remembers which chunks
// were acknowledged, and accounts for every entry that was read.
//
// It knows neither the file's form, which is package catalogue's, nor how a node
// is reached.
package intake

import (
	"encoding/csv"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/catalogue"
)

// Verdict is what an entry of a file came to.
type Verdict string

// The verdicts. Each entry that is read has one of them.
const (
	Taken   Verdict = "taken"   // as it is
	Mended  Verdict = "mended"  // with something put right
	Refused Verdict = "refused" // not at all
)

// Result is what became of one entry.
type Result struct {
	Row     int              `json:"row"`            // where it begins in the file
	Rows    int              `json:"rows"`           // how many rows it takes
	ID      bus.ResourceID   `json:"id,omitempty"`   // as the file or the bus says
	Code    bus.ResourceCode `json:"code,omitempty"` // its first
	Name    string           `json:"name,omitempty"`
	Verdict Verdict          `json:"verdict"`
	Outcome bus.Outcome      `json:"outcome,omitempty"` // at the node; empty where it was not sent
	State   bus.EntryState   `json:"state,omitempty"`   // after it
	Merged  int              `json:"merged,omitempty"`  // the row that says the same
	Notes   []catalogue.Note `json:"notes,omitempty"`   // but for what is synthetic, which Report counts

	place catalogue.Place
	at    int64 // in the spool
	size  int   // of what is sent
	sum   [16]byte
}

// Report accounts for a file: Taken + Mended + Refused = Read, and of those that
// were not refused Created + Changed + Unchanged + Merged are sent or merged.
type Report struct {
	File      string         `json:"file"`
	Mapping   string         `json:"mapping,omitempty"`
	DryRun    bool           `json:"dry_run,omitempty"`
	Checked   bool           `json:"checked_only,omitempty"` // nothing was sent, not even to ask
	Read      int            `json:"read"`
	Taken     int            `json:"taken"`
	Mended    int            `json:"mended"`
	Refused   int            `json:"refused"`
	Created   int            `json:"created"`
	Changed   int            `json:"changed"`
	Unchanged int            `json:"unchanged"`
	Merged    int            `json:"merged"`              // said what another row says
	Lacking   int            `json:"lacking"`             // taken, and not fit for submission yet
	Synthetic map[string]int `json:"synthetic,omitempty"` // field → entries in which it is made up
	Entries   []Result       `json:"entries"`
}

// count sums the entries up.
func (r *Report) count() error {
	r.Read, r.Taken, r.Mended, r.Refused, r.Merged, r.Lacking = len(r.Entries), 0, 0, 0, 0, 0
	r.Created, r.Changed, r.Unchanged = 0, 0, 0
	for i := range r.Entries {
		e := &r.Entries[i]
		e.judge()
		switch e.Verdict {
		case Taken:
			r.Taken++
		case Mended:
			r.Mended++
		case Refused:
			r.Refused++
			continue
		}
		switch {
		case e.Merged > 0:
			r.Merged++
		case e.Outcome == bus.OutcomeCreated:
			r.Created++
		case e.Outcome == bus.OutcomeChanged:
			r.Changed++
		case e.Outcome == bus.OutcomeUnchanged:
			r.Unchanged++
		}
		if e.has(catalogue.Lacking) {
			r.Lacking++
		}
	}
	accounted := r.Created + r.Changed + r.Unchanged + r.Merged
	if r.Taken+r.Mended+r.Refused != r.Read || !r.Checked && accounted != r.Taken+r.Mended {
		return fmt.Errorf("the report does not add up: %+v", struct{ Read, Taken, Mended, Refused, Created, Changed, Unchanged, Merged int }{
			r.Read, r.Taken, r.Mended, r.Refused, r.Created, r.Changed, r.Unchanged, r.Merged,
		})
	}
	return nil
}

func (r *Result) judge() {
	switch {
	case r.has(catalogue.Refused):
		r.Verdict = Refused
	case r.has(catalogue.Mended):
		r.Verdict = Mended
	default:
		r.Verdict = Taken
	}
}

func (r *Result) has(kind catalogue.Kind) bool {
	for i := range r.Notes {
		if r.Notes[i].Kind == kind {
			return true
		}
	}
	return false
}

// WriteCSV writes a line a note: where it stands, what is wrong, what is allowed.
func (r *Report) WriteCSV(w io.Writer, lang bus.Lang) error {
	if _, err := io.WriteString(w, "\ufeff"); err != nil {
		return err
	}
	out := csv.NewWriter(w)
	out.UseCRLF = true
	line := func(cells ...string) {
		for i := range cells {
			cells[i] = catalogue.Neutralised(cells[i])
		}
		_ = out.Write(cells) // told by Flush
	}
	head := bus.Text{ZH: "行,列,字段,代码,资源,结论,类别,问题,允许", EN: "row,column,field,code,resource,verdict,kind,problem,allowed"}.In(lang)
	line(strings.Split(head, ",")...)
	for i := range r.Entries {
		e := &r.Entries[i]
		for _, n := range e.Notes {
			line(strconv.Itoa(n.Row), n.Column, n.Field, string(e.Code), e.Name, e.Verdict.In(lang), KindIn(n.Kind, lang), n.Problem.In(lang), n.Allowed)
		}
	}
	out.Flush()
	return out.Error()
}

// In names a verdict in a language.
func (v Verdict) In(lang bus.Lang) string {
	return bus.Text{ZH: map[Verdict]string{Taken: "采用", Mended: "修正后采用", Refused: "拒绝"}[v], EN: string(v)}.In(lang)
}

// KindIn names the kind of a note in a language.
func KindIn(k catalogue.Kind, lang bus.Lang) string {
	zh := map[catalogue.Kind]string{catalogue.Refused: "拒绝", catalogue.Mended: "修正", catalogue.Synthetic: "合成", catalogue.Lacking: "待补正"}[k]
	return bus.Text{ZH: zh, EN: string(k)}.In(lang)
}
