package evaluation

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"iter"
	"math/bits"
	"net/http"
	"slices"
	"time"

	"github.com/gxbus/gxbus/pkg/audit"
	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/calendar"
)

// An exchange counts once, on the day on which it began, with the best that had
// become of it by the close of that day: some time after midnight, so that what was
// under way comes to its end. A request id that comes again until then is the same
// exchange; one that comes later is another, of its own day.
const (
	Grace    = 2 * time.Hour  // from the end of a day to its close
	lookback = 24 * time.Hour // before a day, for request ids that were used already
)

// Closes is when a day's rollup can be derived.
func Closes(day calendar.Date) time.Time { return day.End().Add(Grace) }

// Opens is from when on leaves bear on a day's rollup.
func Opens(day calendar.Date) time.Time { return day.Start().Add(-lookback) }

// Exchange is one exchange as the evidence of one node shows it.
type Exchange struct {
	Name string // "request/…", the same at both nodes; "batch/subscription/first-last"; "publication/resource/last"
	About
	At     time.Time // when it began
	Took   time.Duration
	Leaf   int64 // that settled it
	First  uint64
	Last   uint64
	Events int64
	Bytes  int64

	decision string // its id, of the attempt that settled a query
}

// late is how long after a day's close leaves with times of before are still heeded,
// for clocks are set back now and then.
const late = time.Hour

// Derive gives the rollups of days, not signed, from the leaves of a node's log in
// their order; those from [Opens] of the first day to [Closes] of the last do. Days
// are in order. It holds no more than the exchanges of three days.
func Derive(node bus.NodeID, leaves iter.Seq2[audit.Leaf, error], days []calendar.Date) ([]Rollup, error) {
	var rollups []Rollup
	err := derive(leaves, days, func(day calendar.Date, d *deriver) {
		rollups = append(rollups, Rollup{Format: RollupFormat, Node: node, Day: day.String(), From: d.from, To: d.to, Rows: Rows(d.of(day))})
	})
	return rollups, err
}

// Exchanges gives the exchanges of days, as Derive counts them.
func Exchanges(leaves iter.Seq2[audit.Leaf, error], days ...calendar.Date) ([]Exchange, error) {
	var all []Exchange
	err := derive(leaves, days, func(day calendar.Date, d *deriver) { all = append(all, d.of(day)...) })
	return all, err
}

// derive hands out what the leaves say of each day, in order.
func derive(leaves iter.Seq2[audit.Leaf, error], days []calendar.Date, done func(calendar.Date, *deriver)) error {
	under := make([]*deriver, len(days))
	next := 0 // the first day that is not done
	finish := func() {
		if under[next] == nil {
			under[next] = &deriver{}
		}
		done(days[next], under[next])
		under[next] = nil
		next++
	}
	for leaf, err := range leaves {
		if err != nil {
			return err
		}
		at := leaf.Record.At
		for next < len(days) && !at.Before(Closes(days[next]).Add(late)) {
			finish()
		}
		for i := next; i < len(days) && !at.Before(Opens(days[i])); i++ {
			if !at.Before(Closes(days[i])) {
				continue
			}
			if under[i] == nil {
				under[i] = &deriver{open: map[string]int{}, decided: map[string]int{}, arrived: map[bus.ResourceID][]arrival{}, beats: map[string]beat{}, from: leaf.Index}
			}
			under[i].to = leaf.Index + 1
			under[i].take(leaf)
		}
	}
	for next < len(days) {
		finish()
	}
	return nil
}

// of gives the exchanges that began on a day.
func (d *deriver) of(day calendar.Date) []Exchange {
	from, to := day.Start(), day.End()
	return slices.DeleteFunc(d.all, func(x Exchange) bool { return x.Outcome == "" || x.At.Before(from) || !x.At.Before(to) })
}

// deriver puts the leaves of exchanges together.
type deriver struct {
	from, to int64 // leaves
	all      []Exchange
	open     map[string]int // by name and side, or what stands for the name until it is known
	decided  map[string]int // batches by the decision that let them go
	arrived  map[bus.ResourceID][]arrival
	beats    map[string]beat // by name
}

// arrival is when events up to a number came in.
type arrival struct {
	last uint64
	at   time.Time
}

func (d *deriver) take(leaf audit.Leaf) {
	r := leaf.Record
	switch {
	case r.Correlation != "":
		d.query(leaf)
	case r.Kind == audit.KindAccepted:
		d.arrived[r.Resource] = append(d.arrived[r.Resource], arrival{r.Last, r.At})
		d.all = append(d.all, Exchange{
			Name:  fmt.Sprintf("publication/%s/%d", r.Resource, r.Last),
			About: About{Side: ProviderSide, Mode: ModePublish, Resource: r.Resource, Provider: cmp.Or(r.Provider, r.Principal.Department), Outcome: Succeeded},
			At:    r.At, Leaf: leaf.Index, First: r.First, Last: r.Last, Events: int64(r.Events), Bytes: r.Bytes,
		})
	case r.Heartbeat != nil:
		d.heartbeat(leaf)
	case r.Kind == audit.KindReceived:
		x := batch(leaf, ConsumerSide)
		x.Outcome = Succeeded
		d.all = append(d.all, x)
	case r.Subscription != "":
		d.batch(leaf)
	}
}

func batch(leaf audit.Leaf, side Side) Exchange {
	r := leaf.Record
	at, _ := began(r)
	return Exchange{
		Name:  fmt.Sprintf("batch/%s/%d-%d", r.Subscription, r.First, r.Last),
		About: About{Side: side, Mode: ModeBatch, Resource: r.Resource, Provider: r.Provider, Consumer: r.Consumer, Subscription: r.Subscription, Purpose: r.Purpose},
		At:    at, Leaf: leaf.Index, First: r.First, Last: r.Last, Events: int64(r.Events), Bytes: r.Bytes,
	}
}

// skew is how far apart the clocks of two nodes may be.
const skew = 5 * time.Minute

// began is when the exchange of a leaf began, and whether both nodes have that on
// record: an exchange across a midnight counts on one day at both. It is believed of a
// day that was not closed at the time of the leaf, and not of one to come; what is not
// believed began with the leaf, as in leaves of before.
func began(r audit.Record) (at time.Time, agreed bool) {
	if b := r.Began; !b.IsZero() && !b.After(r.At.Add(skew)) && r.At.Before(Closes(calendar.DateOf(b))) {
		return b, true
	}
	return r.At, false
}

// joins reports whether a leaf is of an exchange that is known, and not of another of
// the same name, which is of a later day. What had no success yet when it was tried
// anew, and began anew, is of the later day alone.
func (x *Exchange) joins(r audit.Record) bool {
	day := calendar.DateOf(x.At)
	if !r.At.Before(Closes(day)) {
		return false
	}
	if at, agreed := began(r); agreed && calendar.DateOf(at) > day {
		if x.Outcome == Succeeded {
			return false
		}
		x.At = at
	}
	return true
}

// batch follows a batch at the provider's node: from the decision that lets it go,
// which may be taken again while it is retried, to the other node's answer. One of
// which obligations leave nothing was never to go. One that is decided on after it went
// goes again, for its consumer had the subscription replayed; it counts once it has gone.
func (d *deriver) batch(leaf audit.Leaf) {
	r := leaf.Record
	switch r.Kind {
	case audit.KindDecision:
		if r.Decision.Action != "forward" || !r.HasRange() {
			return
		}
		key := fmt.Sprintf("%s/%d", r.Subscription, r.First)
		i, again := d.open[key]
		replayed := again && d.all[i].Outcome == Succeeded
		if replayed || !again || !d.all[i].joins(r) {
			i = len(d.all)
			d.all, d.open[key] = append(d.all, batch(leaf, ProviderSide)), i
		}
		d.decided[r.Decision.ID] = i
		switch x := &d.all[i]; {
		case replayed:
		case r.Decision.Allow:
			x.Outcome, x.Fault = Failed, ""
		default:
			x.Outcome, x.Fault = Denied, fault(r.Decision.Reasons)
		}
	case audit.KindForwarded:
		if i, ok := d.decided[r.DecisionID]; ok {
			at, done := d.all[i].At, batch(leaf, ProviderSide)
			done.At, done.Outcome, done.Took = at, Succeeded, d.since(r)
			d.all[i] = done
		}
	case audit.KindFiltered, audit.KindHeld, audit.KindExpired:
		if i, ok := d.decided[r.DecisionID]; ok && d.all[i].Outcome == Failed {
			d.all[i].Outcome = "" // it waits, or nothing of it is left, unless some of it is forwarded
		}
	}
}

// since is how long the oldest event of a forwarded batch was under way, 0 where the
// leaves do not show its arrival.
func (d *deriver) since(r audit.Record) time.Duration {
	arrivals := d.arrived[r.Resource]
	i, _ := slices.BinarySearchFunc(arrivals, r.First, func(a arrival, first uint64) int { return cmp.Compare(a.last, first) })
	if i == len(arrivals) {
		return 0
	}
	return r.At.Sub(arrivals[i].at)
}

// query follows a query at one of its nodes.
func (d *deriver) query(leaf audit.Leaf) {
	r := leaf.Record
	side := ConsumerSide
	if r.Principal.Node != "" { // another node asked for its system
		side = ProviderSide
	}
	key := string(side) + "/" + r.Correlation
	i, again := d.open[key]
	if !again || !d.all[i].joins(r) {
		i = len(d.all)
		d.open[key] = i
		at, _ := began(r)
		d.all = append(d.all, Exchange{Name: "request/" + r.Correlation, At: at, About: About{
			Side: side, Mode: ModeInterface, Resource: r.Resource, Provider: r.Provider, Consumer: r.Consumer, Purpose: r.Purpose,
		}})
	}
	x := &d.all[i]
	outcome, code := settled(r)
	withdrawn := r.DecisionID != "" && r.DecisionID == x.decision // an answer that was not handed out after all
	if outcome == "" || x.Outcome == Succeeded && !withdrawn {    // of a request that is made again the best counts
		return
	}
	x.Outcome, x.Fault, x.Leaf, x.decision = outcome, code, leaf.Index, r.DecisionID
	x.Provider, x.Consumer = cmp.Or(r.Provider, x.Provider), cmp.Or(r.Consumer, x.Consumer)
	if side == ConsumerSide {
		x.Within = outcome != Denied && r.Matter != "" && r.Case != "" && r.Purpose != ""
	}
	if r.Kind == audit.KindAnswered {
		x.Took, x.Bytes = cmp.Or(time.Duration(r.Took)*time.Microsecond, r.At.Sub(x.At)), r.Bytes
	}
}

// settled says what a leaf of a query makes of it; "" where it goes on. A query that
// was let through and has no answer has failed.
func settled(r audit.Record) (Outcome, bus.Code) {
	switch r.Kind {
	case audit.KindDecision:
		if !r.Decision.Allow {
			return Denied, fault(r.Decision.Reasons)
		}
	case audit.KindAsked:
		return Failed, bus.CodeUnavailable
	case audit.KindRefused:
		return faultOf(r.Code), r.Code
	case audit.KindAnswered:
		if r.Code != "" {
			return faultOf(r.Code), r.Code
		}
		return byStatus(r.Status)
	}
	return "", ""
}

// fault is the code of the first reason of a denial.
func fault(reasons []bus.Reason) bus.Code {
	if len(reasons) == 0 {
		return bus.CodeDenied
	}
	return bus.Code(reasons[0].Code)
}

// faultOf says whose fault a refusal is.
func faultOf(code bus.Code) Outcome {
	switch {
	case code == bus.CodeDenied || code == bus.CodeHeld || code.Kind() == bus.KindRateLimited:
		return Denied
	case slices.Contains([]bus.Kind{
		bus.KindInvalid, bus.KindUnauthenticated, bus.KindForbidden, bus.KindNotFound, bus.KindConflict, bus.KindPrecondition, bus.KindTooLarge, bus.KindUnsupported,
	}, code.Kind()):
		return CallerFault
	default:
		return Failed
	}
}

// byStatus says what an answer of the provider's system is: "nothing there" is an
// answer; that it does not let the node in, or has no time, is the provider's fault,
// and not the caller's.
func byStatus(status int) (Outcome, bus.Code) {
	switch {
	case status < http.StatusBadRequest, status == http.StatusNotFound, status == http.StatusGone:
		return Succeeded, ""
	case status >= http.StatusInternalServerError, slices.Contains([]int{
		http.StatusUnauthorized, http.StatusForbidden, http.StatusProxyAuthRequired, http.StatusRequestTimeout, http.StatusTooManyRequests,
	}, status):
		return Failed, bus.Code(fmt.Sprint("status-", status))
	default:
		return CallerFault, bus.Code(fmt.Sprint("status-", status))
	}
}

// Rows adds exchanges up, by what they have in common.
func Rows(exchanges []Exchange) []Row {
	rows := map[About]*Row{}
	sums := map[About]identity{}
	for _, x := range exchanges {
		row := rows[x.About]
		if row == nil {
			row = &Row{About: x.About}
			rows[x.About] = row
		}
		row.Count++
		row.Events += x.Events
		row.Bytes += x.Bytes
		sums[x.About] = sums[x.About].plus(identityOf(x.Name))
		if x.Took > 0 {
			row.Latency = row.Latency.add(x.Took)
		}
	}
	list := make([]Row, 0, len(rows))
	for about, row := range rows {
		row.Sum = sums[about].String()
		list = append(list, *row)
	}
	slices.SortFunc(list, func(a, b Row) int { return a.compare(b.About) })
	return list
}

func (a About) compare(b About) int {
	within := 0
	if a.Within != b.Within {
		within = 1
		if b.Within {
			within = -1
		}
	}
	return cmp.Or(
		cmp.Compare(a.Side, b.Side), cmp.Compare(a.Mode, b.Mode), cmp.Compare(a.Resource, b.Resource), cmp.Compare(a.Provider, b.Provider),
		cmp.Compare(a.Consumer, b.Consumer), cmp.Compare(a.Subscription, b.Subscription), cmp.Compare(a.Purpose, b.Purpose),
		cmp.Compare(a.Outcome, b.Outcome), cmp.Compare(a.Fault, b.Fault), within,
	)
}

func (l Latency) add(took time.Duration) Latency {
	if l == nil {
		l = make(Latency, len(LatencyBounds)+1)
	}
	i, _ := slices.BinarySearch(LatencyBounds, took.Milliseconds()+1)
	l[i]++
	return l
}

// identity stands for a set of exchanges: the sum of the digests of their names
// modulo 2^128, which is the same in any order, and can be added and taken away.
type identity struct{ high, low uint64 }

func identityOf(name string) identity {
	sum := sha256.Sum256([]byte(name))
	return identity{binary.BigEndian.Uint64(sum[:8]), binary.BigEndian.Uint64(sum[8:16])}
}

func (a identity) plus(b identity) identity {
	low, carry := bits.Add64(a.low, b.low, 0)
	high, _ := bits.Add64(a.high, b.high, carry)
	return identity{high, low}
}

func (a identity) minus(b identity) identity {
	low, borrow := bits.Sub64(a.low, b.low, 0)
	high, _ := bits.Sub64(a.high, b.high, borrow)
	return identity{high, low}
}

func (a identity) String() string {
	return hex.EncodeToString(binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(nil, a.high), a.low))
}

// readIdentity reads what String gave; ok is false for anything else.
func readIdentity(text string) (a identity, ok bool) {
	data, err := hex.DecodeString(text)
	if err != nil || len(data) != 16 {
		return a, false
	}
	return identity{binary.BigEndian.Uint64(data[:8]), binary.BigEndian.Uint64(data[8:])}, true
}
