package bus

import (
	"maps"
	"slices"
	"time"
)

// SubjectKind is what a dispute can be about.
type SubjectKind string

// The kinds of subject (decree 809 art. 28).
const (
	SubjectApplication SubjectKind = "application" // its refusal
	SubjectGrant       SubjectKind = "grant"       // its stop
	SubjectCorrection  SubjectKind = "correction"  // the explanation that there is no error
	SubjectClaim       SubjectKind = "claim"       // who is the one source; its id is "entity/item"
)

// SubjectKinds lists what a dispute can be about.
func SubjectKinds() []SubjectKind {
	return []SubjectKind{SubjectApplication, SubjectGrant, SubjectCorrection, SubjectClaim}
}

// Subject is what a dispute is about.
type Subject struct {
	Kind SubjectKind `json:"kind"`
	ID   string      `json:"id"`
}

// String gives the subject as "kind/id".
func (s Subject) String() string { return string(s.Kind) + "/" + s.ID }

// DisputeState is where a dispute is in its life.
type DisputeState string

// The states of a dispute.
const (
	DisputeNone        DisputeState = ""
	DisputeNegotiating DisputeState = "negotiating" // 协商中
	DisputeSubmitted   DisputeState = "submitted"   // 待裁定
	DisputeSettled     DisputeState = "settled"     // 协商一致
	DisputeDecided     DisputeState = "decided"     // 已裁定
)

// DisputeStep moves a dispute from state to state.
type DisputeStep string

// The steps. To settle is the raiser's, who has what they wanted or wants it no
// more; to negotiate and to submit is either side's; to decide the authority's.
const (
	DisputeRaise     DisputeStep = "raise"     // 提起
	DisputeNegotiate DisputeStep = "negotiate" // 协商记录
	DisputeSubmit    DisputeStep = "submit"    // 协商不成，提请裁定
	DisputeSettle    DisputeStep = "settle"    // 协商一致
	DisputeDecide    DisputeStep = "decide"    // 裁定
)

// disputes is the life of a dispute. A step that is not listed is refused.
var disputes = map[DisputeState]map[DisputeStep]DisputeState{
	DisputeNone:        {DisputeRaise: DisputeNegotiating},
	DisputeNegotiating: {DisputeNegotiate: DisputeNegotiating, DisputeSubmit: DisputeSubmitted, DisputeSettle: DisputeSettled},
	DisputeSubmitted:   {DisputeDecide: DisputeDecided, DisputeSettle: DisputeSettled},
}

// Dispute is a disagreement of two departments over sharing (争议, decree 809 art.
// 28): they negotiate; where that fails the data authority of the lowest division
// that both are of decides.
type Dispute struct {
	ID         DisputeID    `json:"id"`
	About      Subject      `json:"about"`
	Raiser     USCC         `json:"raiser"`
	Respondent USCC         `json:"respondent"`
	State      DisputeState `json:"state"`
	Steps      []DisputeAct `json:"steps"` // the first is why it was raised; all are kept
	Ruling     *Ruling      `json:"ruling,omitempty"`
	Revision   Revision     `json:"revision"`

	// Who decides, or would: worked out when it is shown, empty once it is over.
	Division  DivisionCode `json:"division,omitempty"`
	Authority USCC         `json:"authority,omitempty"`
}

// DisputeAct is one step that was taken.
type DisputeAct struct {
	Step DisputeStep `json:"step"`
	By   Principal   `json:"by"`
	At   time.Time   `json:"at"`
	Text string      `json:"text"`
}

// Ruling is the authority's decision of a dispute.
type Ruling struct {
	Division  DivisionCode `json:"division"` // whose authority decided
	Authority USCC         `json:"authority"`
	By        Principal    `json:"by"`
	At        time.Time    `json:"at"`
	Upheld    bool         `json:"upheld"` // for the raiser
	Opinion   string       `json:"opinion"`
}

// Open reports whether something is still to be done about d.
func (d Dispute) Open() bool { return len(disputes[d.State]) > 0 }

// Party reports whether a department is one of the two sides.
func (d Dispute) Party(department USCC) bool {
	return department != "" && (department == d.Raiser || department == d.Respondent)
}

// After returns d after a step, or CodeWrongState with what could be done instead.
// Each step says something; nothing is submitted before a negotiation is on
// record, and a decision comes with Decide alone.
func (d Dispute) After(act DisputeAct) (Dispute, error) {
	next, ok := disputes[d.State][act.Step]
	if !ok {
		return d, E(CodeWrongState, Defect{
			Field:   "state",
			Problem: Text{"当前状态为 " + string(d.State) + "，不能 " + string(act.Step), "it is " + string(d.State) + ": no " + string(act.Step) + " now"},
			Allowed: join(slices.Sorted(maps.Keys(disputes[d.State]))),
		})
	}
	defects := CheckImpersonal("text", act.Text)
	if !filled(act.Text) {
		defects = append(defects, missing("text"))
	}
	if err := Invalid(defects); err != nil {
		return d, err
	}
	negotiated := func(a DisputeAct) bool { return a.Step == DisputeNegotiate }
	if act.Step == DisputeSubmit && !slices.ContainsFunc(d.Steps, negotiated) {
		return d, E(CodeWrongState, Defect{
			Field: "state", Problem: Text{"须先协商并留有记录", "the sides negotiate first, on record"}, Allowed: string(DisputeNegotiate) + ", " + string(DisputeSettle),
		})
	}
	d.State, d.Steps = next, append(slices.Clone(d.Steps), act)
	return d, nil
}

// Decide returns d decided by the authority's ruling.
func (d Dispute) Decide(r Ruling) (Dispute, error) {
	if d.Party(r.Authority) || d.Party(r.By.Department) {
		return d, E(CodeForbidden, Defect{Field: "by", Problem: Text{"当事部门不得裁定", "no side of a dispute decides it"}})
	}
	d, err := d.After(DisputeAct{Step: DisputeDecide, By: r.By, At: r.At, Text: r.Opinion})
	if err != nil {
		return d, err
	}
	d.Ruling = &r
	return d, nil
}

// Arbiter returns who decides between two departments: the data authority of the
// lowest division that both are of, and where that has none, or its authority is
// one of the two, that of the next one above. one and other are the chains of
// their divisions, nearest first; authority gives a division's, or "".
func Arbiter(one, other []DivisionCode, authority func(DivisionCode) USCC, sides ...USCC) (division DivisionCode, decides USCC, ok bool) {
	for _, code := range one {
		if !slices.Contains(other, code) {
			continue
		}
		if a := authority(code); a != "" && !slices.Contains(sides, a) {
			return code, a, true
		}
	}
	return "", "", false
}
