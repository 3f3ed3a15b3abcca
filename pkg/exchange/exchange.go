package exchange

import (
	"cmp"
	"context"
	"crypto/cipher"
	"log/slog"
	"sync"
	"time"

	cloudevent "github.com/cloudevents/sdk-go/v2/event"
	"github.com/gxbus/gxbus/pkg/audit"
	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/directory/state"
	"github.com/gxbus/gxbus/pkg/policy"
	"github.com/gxbus/gxbus/pkg/rate"
	"go.etcd.io/bbolt"
	"golang.org/x/mod/sumdb/note"
)

// Directory is what the exchange reads of the local replica.
type Directory interface {
	View(func(*state.Tx) error) error
	Applied() (bus.Revision, <-chan struct{})
	Age() (time.Duration, error)
}

// Decider is the policy decision point. It never fails: what it cannot decide,
// it denies.
type Decider interface {
	Decide(ctx context.Context, input policy.Input) bus.Decision
	// DecideEvents decides on the first of n events, and says how many from it on
	// the decision is about.
	DecideEvents(ctx context.Context, input policy.Input, n int, event func(int) policy.Event) (d bus.Decision, alike int)
}

// Peers takes a batch to another node, which answers once it has it on disk, or takes it
// back, and fetches parcels of a department that moves here; and asks it.
type Peers interface {
	Deliver(ctx context.Context, to bus.NodeID, batch Batch) error
	Recall(ctx context.Context, to bus.NodeID, back Recall) (received uint64, err error)
	Handover(ctx context.Context, from bus.NodeID, ask Handover) (Parcel, error)
	Query(ctx context.Context, to bus.NodeID, query cloudevent.Event, recorded Recorded) (*Reply, error)
	Receipts(ctx context.Context, to bus.NodeID, signed []string) error
}

// Config joins the exchange to its surroundings.
type Config struct {
	Self         bus.NodeID
	Store        *Store
	Log          *audit.Log
	EvidenceKey  string      // verifier key of Log
	Signer       note.Signer // of receipts, the key of Log; nil: none are sent
	Directory    Directory
	Decider      Decider
	Peers        Peers
	Bindings     Bindings
	Arrived      func(context.Context, bus.USCC, bus.Revision) error // tells the directory that a move has ended here
	Connected    <-chan bus.NodeID                                   // nodes that a connection was made with; nil: none is told
	Delivered    func(context.Context, bus.GrantID, time.Time) error // tells the directory of the first exchange under a grant, once or more
	Now          func() time.Time
	Logger       *slog.Logger
	RetryMin     time.Duration // before a failed or held batch is tried again; 200 ms where it is 0
	RetryMax     time.Duration // what that grows to; 10 s where it is 0
	QueryRate    int           // queries that one system of another node has a second; 500 where it is 0
	Retention    Retention     // how long and how much is kept of events
	Webhooks     Webhooks      // takes events to sinks; nil: nowhere
	Origin       string        // that sinks are asked to allow, see WebHook-Request-Origin
	Seal         cipher.AEAD   // of sinks, where there are Webhooks
	Bound        cipher.AEAD   // of what Bindings keeps in the same file; nil: they do not move
	PushMin      time.Duration // before an event is sent to its sink again; a second where it is 0
	PushMax      time.Duration // what that grows to; an hour where it is 0
	ReceiptEvery time.Duration // how often providers' nodes are told; 5 s where it is 0
	Room         func() error  // refuses events for want of room, so that some is left for evidence and acknowledgements; nil: never
}

// Exchange is this node's part of the exchange plane.
type Exchange struct {
	Config
	arrivals *arrivals
	refusals *rate.Buckets[bus.NodeID]
	paces    paces
	opened   time.Time
	queries  *rate.Buckets[bus.SystemID]
	schemas  schemas
	routes   routes

	cancel  context.CancelFunc
	workers sync.WaitGroup

	resettling chan struct{} // a part of a move has ended
	firsts     chan struct{} // a first exchange was noted
	inboxes    bells
	lanes      lanes
	trimming   chan struct{} // the log has no room
	trims      sync.Mutex    // one at a time
	sinks      chan struct{} // a sink was put or deleted

	mu         sync.Mutex
	forwarders map[bus.SubscriptionID]*forwarder
}

// Open starts the exchange over an open store.
func Open(c Config) (*Exchange, error) {
	c.RetryMin = cmp.Or(c.RetryMin, 200*time.Millisecond)
	c.RetryMax = cmp.Or(c.RetryMax, 10*time.Second)
	c.QueryRate = cmp.Or(c.QueryRate, 500)
	c.PushMin = cmp.Or(c.PushMin, time.Second)
	c.ReceiptEvery = cmp.Or(c.ReceiptEvery, receiptEvery)
	c.PushMax = cmp.Or(c.PushMax, time.Hour)
	if c.Room == nil {
		c.Room = func() error { return nil }
	}
	x := &Exchange{Config: c, opened: c.Now(), paces: paces{sent: map[string]time.Time{}}, refusals: rate.New[bus.NodeID](c.Now, refusalRate), queries: rate.New[bus.SystemID](c.Now, c.QueryRate), forwarders: map[bus.SubscriptionID]*forwarder{}, resettling: make(chan struct{}, 1), firsts: make(chan struct{}, 1), trimming: make(chan struct{}, 1), sinks: make(chan struct{}, 1)}
	err := c.Store.View(func(tx *bbolt.Tx) error {
		x.arrivals = openArrivals(tx)
		return nil
	})
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	x.cancel = cancel
	x.workers.Go(func() { x.supervise(ctx) })
	x.workers.Go(func() { x.hasten(ctx) })
	x.workers.Go(func() { x.resettle(ctx) })
	x.workers.Go(func() { x.tellFirsts(ctx) })
	x.workers.Go(func() { x.keepTrimmed(ctx) })
	x.workers.Go(func() { x.superintend(ctx) })
	x.workers.Go(func() { x.sendReceipts(ctx) })
	x.workers.Go(func() { x.keepForgetting(ctx) })
	return x, nil
}

// Close stops forwarding and waits for what is under way. The store stays open.
func (x *Exchange) Close() {
	x.cancel()
	x.workers.Wait()
}

// Record writes evidence that goes with no other step.
func (x *Exchange) Record(ctx context.Context, records ...audit.Record) error {
	return x.Store.Commit(ctx, func(tx *bbolt.Tx) error { return x.append(tx, records...) })
}

// append stamps records and adds them to the evidence log.
func (x *Exchange) append(tx *bbolt.Tx, records ...audit.Record) error {
	now := x.Now().UTC()
	for i := range records {
		records[i].At, records[i].Node = now, x.Self
	}
	_, err := x.Log.Append(tx, records...)
	return err
}
