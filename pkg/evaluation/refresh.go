package evaluation

import (
	"time"

	"github.com/gxbus/gxbus/pkg/calendar"
)

// slot is one turn of an update cycle: the days from first to last.
type slot struct{ first, last calendar.Date }

// slots gives the turns of an update cycle that end in a window, in which data is to
// come once. What is updated irregularly has none, and neither has what is realtime:
// that has minutes of a heartbeat, not turns.
func slots(cycle string, w Window) []slot {
	begin, ok := cycles[cycle]
	if !ok {
		return nil
	}
	var list []slot
	from, to := calendar.DateOf(w.From), calendar.DateOf(w.To) // To is midnight: the day after the window's last
	for first := begin(from); first < to; {
		next := first + 1
		for begin(next) == first {
			next++
		}
		if last := next - 1; last >= from && last < to {
			list = append(list, slot{first, last})
		}
		first = next
	}
	return list
}

// cycles gives for a day the first day of the turn that it is in.
var cycles = map[string]func(calendar.Date) calendar.Date{
	"daily": func(d calendar.Date) calendar.Date { return d },
	"weekly": func(d calendar.Date) calendar.Date { // from Monday
		return d - calendar.Date((int(d.Start().Weekday())+6)%7)
	},
	"monthly":     months(1),
	"quarterly":   months(3),
	"half-yearly": months(6),
	"yearly":      months(12),
}

func months(n int) func(calendar.Date) calendar.Date {
	return func(d calendar.Date) calendar.Date {
		year, month, _ := d.Start().Date()
		first := (int(month)-1)/n*n + 1
		return calendar.DateOf(time.Date(year, time.Month(first), 1, 0, 0, 0, 0, calendar.Shanghai))
	}
}
