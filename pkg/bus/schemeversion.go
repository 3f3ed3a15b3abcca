package bus

import (
	"regexp"
	"time"
)

// SchemeVersion is a scheme as the directory keeps it. Of all that were activated the
// one that was last is in force; none is ever changed.
type SchemeVersion struct {
	Version   int        `json:"version"` // 1, 2, …; 0 is the scheme that ships with the release
	Scheme    Scheme     `json:"scheme"`
	Proposed  SchemeAct  `json:"proposed"`
	Activated *SchemeAct `json:"activated,omitempty"`
	Revision  Revision   `json:"revision"`
}

// SchemeAct is who did something to a scheme or with a report, when and why.
type SchemeAct struct {
	By   Principal `json:"by"`
	At   time.Time `json:"at"`
	Note string    `json:"note,omitempty"`
}

// SchemeProposal is a scheme that an authority may want to evaluate by.
type SchemeProposal struct {
	Scheme Scheme `json:"scheme"`
	Note   string `json:"note"` // why
}

// Check returns every defect of p.
func (p SchemeProposal) Check() []Defect {
	defects := p.Scheme.Check()
	if !filled(p.Note) {
		defects = append(defects, missing("note"))
	}
	return defects
}

// ReportSeal names the content of a signed evaluation report.
type ReportSeal struct {
	ID        string    `json:"id"`     // as "2026-q1"
	Format    string    `json:"format"` // of the report, as "gxbus-evaluation/1"
	From      time.Time `json:"from"`   // its window, [From, To)
	To        time.Time `json:"to"`
	Node      NodeID    `json:"node"`               // that made and signed it
	Scheme    int       `json:"scheme"`             // version
	Digest    string    `json:"digest"`             // "sha256:" and hex, of all but the signature
	Signature string    `json:"signature"`          // signed note of two lines, format and digest, by Node's evidence key
	Restates  string    `json:"restates,omitempty"` // id of the published report that it restates
}

var digestForm = regexp.MustCompile(`^sha256:[0-9a-f]{64}$`)

// Check returns every defect of s that can be told without the directory.
func (s ReportSeal) Check() []Defect {
	defects := CheckID("id", s.ID)
	if !filled(s.Format) {
		defects = append(defects, missing("format"))
	}
	if !digestForm.MatchString(s.Digest) {
		defects = append(defects, Defect{"digest", Text{"摘要格式不正确", "not a digest"}, digestForm.String()})
	}
	if !s.To.After(s.From) {
		defects = append(defects, Defect{"to", Text{"截止时间应晚于起始时间", "must be after from"}, ""})
	}
	if s.Restates == s.ID {
		defects = append(defects, Defect{"restates", Text{"报告不能更正自身", "a report does not restate itself"}, "another report"})
	}
	return defects
}

// Text is what the node signed.
func (s ReportSeal) Text() string { return s.Format + "\n" + s.Digest + "\n" }

// PublishedReport is an evaluation report that was published (评价结果公布): whoever
// has a report can tell by it whether that is the published one. It is never changed;
// what is found later is published as another report, which names this one.
type PublishedReport struct {
	ReportSeal
	Published SchemeAct `json:"published"`
	Revision  Revision  `json:"revision"`
}
