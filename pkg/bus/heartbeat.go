package bus

import (
	"slices"
	"strings"
	"time"
)

// Heartbeat is what the provider's node heard, in one hour, of the service behind a
// realtime entry (实时): a letter for each of its 60 minutes. Two of one service about
// one hour are added up with [Heartbeat.With].
type Heartbeat struct {
	Hour    time.Time `json:"hour"`    // its begin
	Minutes string    `json:"minutes"` // 60 letters: "1" it answered, "0" it did not, "-" it was not asked
}

// CycleRealtime is the update cycle of what is updated in real time (实时).
const CycleRealtime = "realtime"

// Heartbeats reports whether minutes of a heartbeat are expected of r: it is updated in
// real time, and is asked for over an interface. What comes as events alone has none:
// where nothing happens nothing comes, and nobody can tell that from a failure.
func (r *Resource) Heartbeats() bool {
	return r.UpdateCycle == CycleRealtime && slices.Contains(r.Modes, "interface")
}

const (
	minuteUp    = '1'
	minuteDown  = '0'
	minuteBlank = '-'
)

const minutesAnHour = 60

// Check returns every defect of h.
func (h Heartbeat) Check() []Defect {
	var defects []Defect
	if h.Hour.IsZero() || !h.Hour.Equal(h.Hour.Truncate(time.Hour)) {
		defects = append(defects, Defect{"heartbeat.hour", Text{"须为整点", "not the begin of an hour"}, "as 2026-03-02T01:00:00Z"})
	}
	if len(h.Minutes) != minutesAnHour || strings.Trim(h.Minutes, "10-") != "" {
		defects = append(defects, Defect{"heartbeat.minutes", Text{"须逐分钟标注", "not a letter a minute"}, "60 of 1, 0 and -"})
	}
	return defects
}

// Up is in how many minutes it answered, 0–60.
func (h Heartbeat) Up() int { return strings.Count(h.Minutes, string(minuteUp)) }

// With adds what another heartbeat says of the same hour: a minute counts as up where
// one of them says so, in any order and however often.
func (h Heartbeat) With(other Heartbeat) Heartbeat {
	minutes := []byte(h.Minutes)
	for i := range min(len(minutes), len(other.Minutes)) {
		minutes[i] = heard(minutes[i], other.Minutes[i])
	}
	h.Minutes = string(minutes)
	return h
}

// heard joins what is known of a minute.
func heard(a, b byte) byte {
	switch {
	case a == minuteUp || b == minuteUp:
		return minuteUp
	case a == minuteDown || b == minuteDown:
		return minuteDown
	default:
		return minuteBlank
	}
}

// Pulse gathers the heartbeats of one service from the answers to a node's probes.
// Its zero value is of a service that was not asked yet.
type Pulse struct {
	hours    map[time.Time][]byte
	last     time.Time // minute of the last probe
	answered bool
}

// Beat adds a probe. A minute is up in which the service answered; one between two
// probes that both had an answer is up too, where they are no further apart than gap,
// and down where one had none. Of a longer gap nobody knows anything.
func (p *Pulse) Beat(at time.Time, answered bool, gap time.Duration) {
	minute := at.UTC().Truncate(time.Minute)
	if !p.last.IsZero() && minute.Sub(p.last) <= gap {
		for between := p.last.Add(time.Minute); between.Before(minute); between = between.Add(time.Minute) {
			p.mark(between, answered && p.answered)
		}
	}
	p.mark(minute, answered)
	p.last, p.answered = minute, answered
}

func (p *Pulse) mark(minute time.Time, up bool) {
	hour := minute.Truncate(time.Hour)
	if p.hours == nil {
		p.hours = map[time.Time][]byte{}
	}
	if p.hours[hour] == nil {
		p.hours[hour] = []byte(strings.Repeat(string(minuteBlank), minutesAnHour))
	}
	letter := byte(minuteDown)
	if up {
		letter = minuteUp
	}
	i := int(minute.Sub(hour) / time.Minute)
	p.hours[hour][i] = heard(p.hours[hour][i], letter)
}

// Until gives the heartbeats of the hours that were over at a time, the earliest first.
func (p *Pulse) Until(at time.Time) []Heartbeat {
	var list []Heartbeat
	for hour, minutes := range p.hours {
		if !hour.Add(time.Hour).After(at) {
			list = append(list, Heartbeat{hour, string(minutes)})
		}
	}
	slices.SortFunc(list, func(a, b Heartbeat) int { return a.Hour.Compare(b.Hour) })
	return list
}

// Forget drops the hours that were over at a time; idle reports whether nothing is left,
// and the last probe is too long ago for another to go on from it.
func (p *Pulse) Forget(at time.Time, gap time.Duration) (idle bool) {
	for hour := range p.hours {
		if !hour.Add(time.Hour).After(at) {
			delete(p.hours, hour)
		}
	}
	return len(p.hours) == 0 && at.Sub(p.last) > gap+time.Minute
}
