package bus

import "time"

// Subscription is a standing request for the events of a resource (订阅).
type Subscription struct {
	ID       SubscriptionID `json:"id"`
	Resource ResourceID     `json:"resource"`
	Consumer USCC           `json:"consumer"`
	System   SystemID       `json:"system"` // who pulls
	Grant    GrantID        `json:"grant,omitempty"`
	Purpose  Purpose        `json:"purpose"`
	Matter   string         `json:"matter,omitempty"`  // 实施清单编码
	Basis    string         `json:"basis,omitempty"`   // 使用依据
	Items    []ItemID       `json:"items,omitempty"`   // none listed: all that is allowed
	Source   string         `json:"source,omitempty"`  // of the events that it is for; any where empty; never changes
	Types    []string       `json:"types,omitempty"`   // one of which the events have; any where none; never change
	Filters  []Filter       `json:"filters,omitempty"` // which events, all of them to hold; never change
	Start    string         `json:"start,omitempty"`   // of which arrivals on: "beginning" or a time, RFC 3339; when it was made where empty
	Paused   bool           `json:"paused,omitempty"`  // nothing leaves for it, and nothing is handed out
	Replays  uint64         `json:"replays,omitempty"` // how often it was begun anew, with a new start
	Created  time.Time      `json:"created"`           // events that arrive from then on are for it
	Revision Revision       `json:"revision"`
}

// Check returns every defect of s that shows without looking anything up.
func (s Subscription) Check() []Defect {
	defects := CheckID("id", s.ID)
	if s.Resource == "" {
		defects = append(defects, missing("resource"))
	}
	if s.System == "" {
		defects = append(defects, missing("system"))
	}
	defects = append(defects, CheckPurpose("purpose", s.Purpose)...)
	defects = append(defects, CheckNumber("matter", s.Matter)...)
	defects = append(defects, CheckBasis("basis", s.Basis)...)
	if _, err := startTime(s.Start); err != nil {
		defects = append(defects, badStart("start"))
	}
	return append(append(defects, s.checkSource()...), CheckFilters("filters", s.Filters)...)
}

// The words for where a subscription begins.
const (
	StartNow       = "now"       // with what arrives from here on
	StartBeginning = "beginning" // with the oldest event that is kept
)

func startTime(start string) (at time.Time, err error) {
	if start == "" || start == StartNow || start == StartBeginning {
		return at, nil
	}
	return time.Parse(time.RFC3339, start)
}

func badStart(field string) Defect {
	return Defect{Field: field, Problem: Text{ZH: "起点不是时间", EN: "is not where a subscription can begin"}, Allowed: "now, beginning, or a time, RFC 3339"}
}

// Since is from when on arrivals are for a subscription; zero for all that are kept.
func (s Subscription) Since() time.Time {
	if s.Start == "" {
		return s.Created
	}
	at, _ := startTime(s.Start) // checked when it was written
	return at
}

// SubscriptionStep is what its consumer does with a subscription that stands.
type SubscriptionStep string

// The steps.
const (
	SubscriptionPause  SubscriptionStep = "pause"
	SubscriptionResume SubscriptionStep = "resume"
	SubscriptionReplay SubscriptionStep = "replay" // begin anew, at another start
)

// Take gives the subscription after a step that is taken at a time; from is where a
// replay begins.
func (s Subscription) Take(step SubscriptionStep, from string, now time.Time) (Subscription, []Defect) {
	if step != SubscriptionReplay && from != "" {
		return s, []Defect{{Field: "from", Problem: Text{ZH: "仅重放可指定起点", EN: "is of a replay alone"}}}
	}
	switch step {
	case SubscriptionPause, SubscriptionResume:
		s.Paused = step == SubscriptionPause
		return s, nil
	case SubscriptionReplay:
		if _, err := startTime(from); err != nil || from == "" {
			return s, []Defect{badStart("from")}
		}
		if from == StartNow {
			from = now.UTC().Format(time.RFC3339Nano)
		}
		s.Start = from
		s.Replays++
		return s, nil
	default:
		return s, oneOf("step", step, []SubscriptionStep{SubscriptionPause, SubscriptionResume, SubscriptionReplay})
	}
}
