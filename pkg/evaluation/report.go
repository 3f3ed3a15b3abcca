package evaluation

import (
	"time"

	"github.com/gxbus/gxbus/pkg/bus"
)

// ReportFormat names the form of a report's JSON; report.schema.json describes it.
const ReportFormat = "gxbus-evaluation/1"

// Report is an evaluation of all departments and divisions over a window. Figures
// are whole numbers; the one thing that is rounded is [Score.Points], for reading.
type Report struct {
	Format      string     `json:"format"`
	ID          string     `json:"id"`                    // as "2026-q1"
	Provisional bool       `json:"provisional,omitempty"` // the window is not over
	Window      Window     `json:"window"`
	At          time.Time  `json:"at"` // when the inputs were read
	Cluster     string     `json:"cluster"`
	Node        bus.NodeID `json:"node"` // that computed and signed it
	Scheme      SchemeUsed `json:"scheme"`
	Inputs      Inputs     `json:"inputs"`

	Departments    []Standing     `json:"departments"`
	Divisions      []Standing     `json:"divisions"` // parents first
	Reconciliation Reconciliation `json:"reconciliation"`
	Restates       string         `json:"restates,omitempty"`     // id of the published report, about the same window, of which this is a restatement
	Restatements   []Restatement  `json:"restatements,omitempty"` // what is otherwise in that one, which stays as it is

	Signature string `json:"signature,omitempty"` // signed note over the rest, by Node's evidence key
}

// SchemeUsed is the scheme of a report, whole.
type SchemeUsed struct {
	Version int    `json:"version"` // in the directory; 0: the one that ships with the release
	Digest  string `json:"digest"`
	bus.Scheme
}

// Inputs are what a report was computed from.
type Inputs struct {
	Directory       bus.Revision     `json:"directory"`        // index that the directory was read at
	DirectoryDigest string           `json:"directory_digest"` // of what was read of it
	Rollups         []RollupUsed     `json:"rollups"`          // by node and day
	Missing         []MissingNode    `json:"missing"`          // nodes that have not reported for all days
	Checkpoints     []bus.Checkpoint `json:"checkpoints"`      // of the nodes' evidence, as the directory held them
}

// RollupUsed names a rollup that went into a report.
type RollupUsed struct {
	Node   bus.NodeID `json:"node"`
	Day    string     `json:"day"`
	Digest string     `json:"digest"`
}

// MissingNode is a node whose rollups of some days are not there. What it would
// have said is not known: nothing of it counts as zero.
type MissingNode struct {
	Node bus.NodeID `json:"node"`
	Days []string   `json:"days"`
}

// Standing is how one department or division comes out.
type Standing struct {
	Department bus.USCC         `json:"department,omitempty"` // of a department
	Division   bus.DivisionCode `json:"division"`             // that it is of; of a division, its own
	Level      bus.Level        `json:"level"`                // of that division: who stands on one level is ranked together
	Name       string           `json:"name"`
	Figures    []Figure         `json:"figures"`              // one an indicator, in the scheme's order
	Deductions []Deducted       `json:"deductions,omitempty"` // those that apply
	Weight     int              `json:"weight"`               // of the indicators that apply
	Score      *Score           `json:"score,omitempty"`      // nil: no indicator applies
	Band       *bus.Text        `json:"band,omitempty"`
	Rank       int              `json:"rank,omitempty"` // among Of on its level, 1 the best; equals share one
	Of         int              `json:"of,omitempty"`
	Unranked   *bus.Text        `json:"unranked,omitempty"` // why it has no rank
	Earlier    []Earlier        `json:"earlier,omitempty"`  // in reports of before, the newest first
}

// State says what a figure is worth.
type State string

// The states of a figure.
const (
	Counted       State = "counted"
	NotApplicable State = "not-applicable" // 不适用: there was nothing to count
	Missing       State = "missing"        // 缺报: a node that would know has not reported
)

// Figure is one indicator of one department or division.
type Figure struct {
	Indicator   string       `json:"indicator"`
	State       State        `json:"state"`
	Numerator   int64        `json:"numerator"`
	Denominator int64        `json:"denominator"`
	Missing     []bus.NodeID `json:"missing,omitempty"`  // that have not reported for all days
	Evidence    *Evidence    `json:"evidence,omitempty"` // of a department; a division's are those of its departments
}

// Evidence is what a figure rests on, in order. What is in the denominator and
// not in the numerator was missed.
type Evidence struct {
	Numerator   []Ref `json:"numerator,omitempty"`
	Denominator []Ref `json:"denominator,omitempty"`
}

// Deducted is a deduction that applies.
type Deducted struct {
	Deduction string `json:"deduction"`
	Times     int64  `json:"times"`
	Points    int64  `json:"points"` // times what one takes off; the scheme caps the sum
	Evidence  []Ref  `json:"evidence,omitempty"`
}

// Score is a number of points from 0 to 100.
type Score struct {
	Exact  string `json:"exact"`  // a ratio of two whole numbers, in lowest terms, as "1751/20"
	Points string `json:"points"` // rounded half up to two decimals, as "87.55"
}

// Earlier is how the same department or division came out in a report of before.
type Earlier struct {
	Report string `json:"report"`
	Score  *Score `json:"score,omitempty"`
	Rank   int    `json:"rank,omitempty"`
	Of     int    `json:"of,omitempty"`
}

// Reconciliation is how the two sides' records of exchanges agree.
type Reconciliation struct {
	Matched     int64        `json:"matched"` // exchanges that both sides have
	Differences []Difference `json:"differences"`
}

// Difference is where the two sides' records, or a node's rollup and its evidence,
// do not agree.
type Difference struct {
	Resource      bus.ResourceID     `json:"resource"`
	Provider      bus.USCC           `json:"provider"`
	Consumer      bus.USCC           `json:"consumer"`
	Subscription  bus.SubscriptionID `json:"subscription,omitempty"` // of batches
	Mode          string             `json:"mode"`
	ProviderCount int64              `json:"provider_count"` // exchanges; of batches, the events in them
	ConsumerCount int64              `json:"consumer_count"`
	Exchanges     []Unmatched        `json:"exchanges,omitempty"` // which, where the evidence was asked
	Problem       bus.Text           `json:"problem"`
}

// Unmatched is an exchange that one side alone has, or that a rollup counts
// otherwise than its evidence.
type Unmatched struct {
	Exchange string     `json:"exchange"` // as "batch/s1/101-200" or "request/6f…"
	Has      bus.NodeID `json:"has"`      // whose evidence has it
	Leaf     int64      `json:"leaf"`     // there
	Lacks    bus.NodeID `json:"lacks"`    // whose evidence, or rollup, does not

	OtherDay string `json:"other_day,omitempty"` // the day, out of the window, on which Lacks has it after all
}

// Against names the node that lacks the exchange, with the day on which it has it after
// all.
func (u Unmatched) Against() string {
	if u.OtherDay == "" {
		return string(u.Lacks)
	}
	return string(u.Lacks) + " " + u.OtherDay
}

// Restatement is what is known now of a figure in a report that is published: the
// report stays as it is.
type Restatement struct {
	Report     string           `json:"report"`
	Department bus.USCC         `json:"department,omitempty"`
	Division   bus.DivisionCode `json:"division,omitempty"`
	Indicator  string           `json:"indicator"`
	Published  Ratio            `json:"published"`
	Restated   Ratio            `json:"restated"`
}

// Ratio is a figure's two numbers.
type Ratio struct {
	Numerator   int64 `json:"numerator"`
	Denominator int64 `json:"denominator"`
}
