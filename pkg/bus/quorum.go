package bus

import (
	"fmt"
	"slices"
	"strings"
)

// Step is a change of a node's place in the bus.
type Step string

// The steps.
const (
	StepPromote Step = "promote" // it votes
	StepDemote  Step = "demote"  // it votes no more
	StepDrain   Step = "drain"   // it gives up its tasks: leadership, vote, new departments
	StepResume  Step = "resume"  // it takes them on again
	StepRemove  Step = "remove"  // it leaves the bus for good
)

// CloseBehind is how many entries behind the leader a member still counts as
// caught up: it has them within moments.
const CloseBehind = 1000

// Standing is a member of the directory group as the leader sees it now.
type Standing struct {
	Node  NodeID
	Voter bool
	Live  bool   // it answers
	Lag   uint64 // entries behind the leader, where it answers
}

func (s Standing) ready() bool { return s.Live && s.Lag <= CloseBehind }

// Outlook is what a step would make of the directory group's quorum.
type Outlook struct {
	Step     Step     `json:"step"`
	Node     NodeID   `json:"node"`
	Voters   int      `json:"voters"`            // after the step
	Needed   int      `json:"needed"`            // a majority of them
	Ready    int      `json:"ready"`             // of them that answer now and have caught up
	Missing  []NodeID `json:"missing,omitempty"` // the others
	Warnings []Text   `json:"warnings,omitempty"`
	Problems []Defect `json:"problems,omitempty"` // why it is not safe; none: it is
	Forcible bool     `json:"forcible,omitempty"` // it can be committed in spite of the problems
}

// Foresee says what a step would make of the quorum, given the members as they
// are. It is what keeps an administrator from ending the group: a step is safe
// if the voters that are left, or come to be, and that are ready now make a
// majority. Where they do not, the step could not even be committed, and no
// force helps.
func Foresee(members []Standing, step Step, id NodeID) Outlook {
	o := Outlook{Step: step, Node: id, Forcible: true}
	at := slices.IndexFunc(members, func(s Standing) bool { return s.Node == id })
	subject := Standing{Node: id}
	if at >= 0 {
		subject = members[at]
	}
	after := subject
	switch step {
	case StepPromote:
		after.Voter = true
	case StepDemote, StepDrain, StepRemove:
		after.Voter = false
	}
	if step == StepPromote && !subject.ready() {
		o.Problems = append(o.Problems, notCaughtUp(subject))
		after.Live, after.Lag = true, 0 // it gets its vote once it has caught up
	}
	for _, s := range append(slices.DeleteFunc(slices.Clone(members), func(s Standing) bool { return s.Node == id }), after) {
		switch {
		case !s.Voter:
		case s.ready():
			o.Voters++
			o.Ready++
		default:
			o.Voters++
			o.Missing = append(o.Missing, s.Node)
		}
	}
	slices.Sort(o.Missing)
	o.Needed = o.Voters/2 + 1
	if after.Voter != subject.Voter {
		o.judge()
	}
	if step == StepDrain && len(o.Problems) > 0 { // a node that drains keeps its vote for as long as it is needed
		for _, p := range o.Problems {
			o.Warnings = append(o.Warnings, Text{"该节点暂时保留表决权：" + p.In(Chinese), "it keeps its vote for now: " + p.In(English)})
		}
		o.Problems = nil
	}
	o.Forcible = o.Forcible && len(o.Problems) > 0
	return o
}

// judge finds what is wrong with the quorum that would be.
func (o *Outlook) judge() {
	switch {
	case o.Voters == 0:
		o.Forcible = false
		o.Problems = append(o.Problems, Defect{
			"node", Text{"这是最后一个表决节点", "this is the last voter"}, "promote another node first",
		})
		return
	case o.Ready < o.Needed:
		o.Forcible = false
		missing := make([]string, len(o.Missing))
		for i, id := range o.Missing {
			missing[i] = string(id)
		}
		names := strings.Join(missing, ", ")
		o.Problems = append(o.Problems, Defect{
			"quorum",
			Text{
				fmt.Sprintf("此后 %d 个表决节点需 %d 个在线，现仅 %d 个；缺 %s", o.Voters, o.Needed, o.Ready, names),
				fmt.Sprintf("of %d voters %d would be needed, and only %d are ready; missing: %s", o.Voters, o.Needed, o.Ready, names),
			},
			"bring the missing voters back, or promote another node, first",
		})
		return
	}
	if o.Voters%2 == 0 {
		o.Warnings = append(o.Warnings, Text{
			fmt.Sprintf("表决节点为偶数（%d），容错能力不高于 %d 个", o.Voters, o.Voters-1),
			fmt.Sprintf("an even number of voters: %d bear no more losses than %d", o.Voters, o.Voters-1),
		})
	}
	if o.Ready == o.Needed {
		o.Warnings = append(o.Warnings, Text{
			"此后再失去任一表决节点，目录即停止写入", "after this the loss of any one voter stops directory writes",
		})
	}
}

func notCaughtUp(s Standing) Defect {
	d := Defect{
		"node", Text{"节点 " + string(s.Node) + " 现不可达", "node " + string(s.Node) + " does not answer now"},
		"a node that has caught up; with force it votes once it has",
	}
	if s.Live {
		d.Problem = Text{
			fmt.Sprintf("节点 %s 落后 %d 条", s.Node, s.Lag), fmt.Sprintf("node %s is %d entries behind", s.Node, s.Lag),
		}
	}
	return d
}

// Refusal returns a CodeQuorum error with all that is not safe about the step,
// or nil. Force passes over what can be committed all the same.
func (o Outlook) Refusal(force bool) error {
	if len(o.Problems) == 0 || force && o.Forcible {
		return nil
	}
	return E(CodeQuorum, o.Problems...)
}

// Committable reports whether the group as it would be could commit.
func (o Outlook) Committable() bool { return o.Voters > 0 && o.Ready >= o.Needed }
