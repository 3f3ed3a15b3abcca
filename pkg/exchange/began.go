package exchange

import (
	"time"

	"github.com/gxbus/gxbus/pkg/calendar"
)

// An exchange is counted by the day in Shanghai on which it began, and the two nodes of
// it may see it on either side of a midnight. So the node where it begins says when that
// was — the consumer's of a query, the provider's of a batch — and both put that on
// record. What is tried again is the same exchange, and keeps its begin, until some time
// after midnight: the day is then about to be closed (package evaluation), and what is
// still tried begins anew.

// keptUntil is how long after midnight what began before it is tried as the same.
const keptUntil = time.Hour

// begun is when what first began at a time, zero for not before now, counts as begun, to
// the millisecond.
func begun(first, now time.Time) time.Time {
	if first.IsZero() || !now.Before(calendar.DateOf(first).End().Add(keptUntil)) {
		return now.UTC().Truncate(time.Millisecond)
	}
	return first
}

// underWay is the batch that a forwarder is at: the number of its first event, and when
// it began.
type underWay struct {
	first uint64
	at    time.Time
}

// began says when the batch from an event on began that is to go now.
func (u *underWay) began(first uint64, now time.Time) time.Time {
	if u.first != first {
		*u = underWay{first: first}
	}
	u.at = begun(u.at, now)
	return u.at
}
