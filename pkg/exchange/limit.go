package exchange

import (
	"fmt"
	"time"

	"github.com/gxbus/gxbus/pkg/bus"
)

// china is the time zone in which a day is one: that of the decree's deadlines.
var china = time.FixedZone("Asia/Shanghai", 8*60*60)

// windowAt returns when the window of a limit that an instant lies in began and
// ends; both are zero for one that is no time.
func windowAt(per bus.Window, at time.Time) (begin, end time.Time) {
	at = at.In(china)
	switch per {
	case bus.PerMinute:
		begin = at.Truncate(time.Minute)
		return begin, begin.Add(time.Minute)
	case bus.PerHour:
		begin = at.Truncate(time.Hour)
		return begin, begin.Add(time.Hour)
	case bus.PerDay:
		begin = time.Date(at.Year(), at.Month(), at.Day(), 0, 0, 0, 0, china)
		return begin, begin.AddDate(0, 0, 1)
	default:
		return time.Time{}, time.Time{}
	}
}

// meter is how many passed in the newest window of a limit.
type meter struct {
	Begin int64 `json:"begin,omitempty"` // of the window, Unix seconds; 0 for one that is no time
	Count int   `json:"count"`
}

// at returns the meter as it stands at an instant, and when its window ends: a
// new window begins at nought. A clock that was set back by less than a window
// does not begin the one before again.
func (c meter) at(per bus.Window, now time.Time) (current meter, end time.Time) {
	begin, end := windowAt(per, now)
	if begin.IsZero() {
		return c, end
	}
	if length := end.Sub(begin); c.Begin > begin.Unix() && c.Begin <= begin.Add(length).Unix() {
		return c, time.Unix(c.Begin, 0).Add(length)
	}
	if c.Begin != begin.Unix() {
		c = meter{Begin: begin.Unix()}
	}
	return c, end
}

// full says which limit lets nothing more through, and until when.
type full struct {
	limit bus.Limit
	until time.Time // zero: not by waiting
}

// room returns how many of want more may pass under limits, given the meter of
// each as it stands now; reached is the limit that holds up the rest the longest,
// nil where all may pass.
func room(want int, limits []bus.Limit, meters []meter, ends []time.Time) (n int, reached *full) {
	n = want
	for i, l := range limits {
		n = min(n, max(l.Limit-meters[i].Count, 0))
	}
	if n == want {
		return n, nil
	}
	for i, l := range limits {
		if l.Limit-meters[i].Count > n {
			continue // others fill up first
		}
		if reached == nil || ends[i].IsZero() || !reached.until.IsZero() && ends[i].After(reached.until) {
			reached = &full{l, ends[i]}
		}
	}
	return n, reached
}

// text says which limit it is, for people.
func (f full) text() bus.Text {
	whose := map[bus.LimitKey]string{bus.KeyConsumer: "每个部门", bus.KeySystem: "每个系统", bus.KeyGrant: "每项授权"}[f.limit.Key]
	window := map[bus.Window]string{bus.PerMinute: "每分钟", bus.PerHour: "每小时", bus.PerDay: "每日", bus.PerCase: "每个办件"}[f.limit.Per]
	text := bus.Text{
		ZH: fmt.Sprintf("已达限额：%s%s %d 件", whose, window, f.limit.Limit),
		EN: fmt.Sprintf("the limit of %d per %s for each %s is reached", f.limit.Limit, f.limit.Per, f.limit.Key),
	}
	if f.until.IsZero() {
		return text
	}
	when := f.until.In(china).Format(time.RFC3339)
	return bus.Text{ZH: text.ZH + "，" + when + " 后可继续", EN: text.EN + ", until " + when}
}
