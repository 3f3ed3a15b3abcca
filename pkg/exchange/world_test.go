package exchange_test

import (
	"cmp"
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	cloudevent "github.com/cloudevents/sdk-go/v2/event"
	"go.etcd.io/bbolt"
	"go.uber.org/goleak"
	"golang.org/x/mod/sumdb/note"

	"github.com/gxbus/gxbus/pkg/audit"
	"github.com/gxbus/gxbus/pkg/binding"
	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/directory/command"
	"github.com/gxbus/gxbus/pkg/directory/state"
	"github.com/gxbus/gxbus/pkg/event"
	"github.com/gxbus/gxbus/pkg/exchange"
	"github.com/gxbus/gxbus/pkg/policy"
	"github.com/gxbus/gxbus/pkg/raced"
)

func TestMain(m *testing.M) {
	raced.FewerChecks()
	goleak.VerifyTestMain(m)
}

// The sample world: Shenzhen's market department publishes, Tianhe's service
// office and a second office there subscribe. Tianhe has no node of its own and
// is a tenant of Guangzhou's.
const (
	shenzhen, guangzhou = bus.NodeID("shenzhen"), bus.NodeID("guangzhou")

	market, services, archive = bus.USCC("114400000069401674"), bus.USCC("11440000006939561H"), bus.USCC("11441400007208381Y")

	firms = bus.ResourceID("sz-firms")
	grant = bus.GrantID("grant-1")
	sub   = bus.SubscriptionID("sub-1")
)

var (
	publisher = bus.Principal{System: "sz-register", Department: market}
	puller    = bus.Principal{System: "th-approval", Department: services}
	colleague = bus.Principal{System: "th-archive", Department: services}
	stranger  = bus.Principal{System: "mz-files", Department: archive}

	sysadmin = bus.Principal{Account: "sysadmin", Role: bus.RoleSystemAdministrator}
	reviewer = bus.Principal{Account: "reviewer", Role: bus.RoleReviewer, Department: archive}
	secadmin = bus.Principal{Account: "secadmin", Role: bus.RoleSecurityAdministrator}
)

const (
	patience = 30 * time.Second
	kept     = 7 * 24 * time.Hour // events, at least
)

// world is a directory, two nodes and the line between them.
type world struct {
	tb        testing.TB
	directory *directory
	decider   exchange.Decider
	clock     *clock
	sinks     endpoint
	line      *line
	nodes     map[bus.NodeID]*node
	mute      atomic.Bool                                                  // no first exchange is told of; so it is at first
	bound     func(context.Context, binding.Call) (*binding.Answer, error) // what the provider's system answers
	late      atomic.Bool                                                  // no move is told to have ended
	arrival   func(n *node, d bus.USCC, e bus.Revision) error              // looks before one is; may be nil
}

// Call asks the provider's system.
func (w *world) Call(ctx context.Context, _ bus.ResourceID, c binding.Call) (*binding.Answer, error) {
	return w.bound(ctx, c)
}

func (w *world) holdArrival(hold bool) { w.late.Store(hold) }

// arriving is asked before a node tells that a department has moved to it.
func (w *world) arriving(n *node, d bus.USCC, epoch bus.Revision) error {
	if w.late.Load() {
		return errLine
	}
	if w.arrival != nil {
		return w.arrival(n, d, epoch)
	}
	return nil
}

// fake makes a world whose decisions the test makes.
func fake(tb testing.TB) (*world, *decider) {
	d := &decider{changed: make(chan struct{})}
	return newWorld(tb, d), d
}

func newWorld(tb testing.TB, d exchange.Decider) *world {
	tb.Helper()
	w := &world{
		tb: tb, decider: d, clock: &clock{at: time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)},
		directory: newDirectory(tb), line: &line{ends: map[bus.NodeID]*exchange.Exchange{}}, nodes: map[bus.NodeID]*node{},
	}
	for _, id := range []bus.NodeID{shenzhen, guangzhou} {
		w.nodes[id] = newNode(w, id)
	}
	w.mute.Store(true) // a grant that changes has every flow decided on anew: tests of that make the change
	w.found()
	for _, n := range w.nodes {
		n.open()
	}
	return w
}

// found fills the directory.
func (w *world) found() {
	w.tb.Helper()
	w.write(bus.Principal{Node: shenzhen}, command.ClusterInit, 0, command.Init{
		Cluster: "test", CA: "none", Divisions: bus.Guangdong(), Node: w.nodeEntry(shenzhen, "440300", 1),
		Accounts: []bus.Account{{Name: "sysadmin", Role: bus.RoleSystemAdministrator}, {Name: "secadmin", Role: bus.RoleSecurityAdministrator}, {Name: "secadmin-2", Role: bus.RoleSecurityAdministrator}, {Name: "reviewer", Role: bus.RoleReviewer, Department: archive}},
	})
	w.join(guangzhou, "440100", 2)
	for _, d := range []bus.Department{
		{ID: market, Name: "示例市场部门", Division: "440300"},
		{ID: services, Name: "示例政务服务部门", Division: "440106"},
		{ID: archive, Name: "示例档案部门", Division: "440100"},
	} {
		w.write(sysadmin, command.DepartmentPut, 0, d)
	}
	province := bus.Division{Code: "440000", Name: "广东省", Level: bus.LevelProvince, Authority: archive}
	w.write(sysadmin, command.DivisionPut, 1, province)
	for _, p := range []bus.Principal{publisher, puller, colleague, stranger} {
		w.write(sysadmin, command.SystemPut, 0, bus.System{ID: p.System, Department: p.Department, Name: "示例系统", SecretHash: make([]byte, 32)})
	}
	w.catalogue(publisher, resource())
	w.write(secadmin, command.GrantPut, 0, bus.Grant{
		ID: grant, Agreement: "示例协议", Resource: firms, Consumer: services, Purposes: []bus.Purpose{bus.PurposeReference},
		Items: []bus.ItemID{"name", "legal_id", "phone"}, NotBefore: w.clock.at.AddDate(0, -1, 0), NotAfter: w.clock.at.AddDate(1, 0, 0),
	})
}

func (w *world) nodeEntry(id bus.NodeID, division bus.DivisionCode, n int) bus.Node {
	entry := bus.Node{ID: id, Division: division, PeerAddress: fmt.Sprintf("127.0.0.1:%d", 100*n+1), APIAddress: fmt.Sprintf("127.0.0.1:%d", 100*n+2)}
	if node, ok := w.nodes[id]; ok {
		entry.EvidenceKey = node.key
	}
	return entry
}

// join takes a node into the directory, as a redeemed token does.
func (w *world) join(id bus.NodeID, division bus.DivisionCode, n int) {
	w.tb.Helper()
	secret := make([]byte, 32)
	w.write(sysadmin, command.TokenCreate, 0, bus.Token{
		ID: bus.TokenID("token-" + id), Node: id, Division: division, SecretHash: secret, Expires: w.clock.at.AddDate(0, 0, 1),
	})
	w.write(bus.Principal{Node: shenzhen}, command.NodeJoin, 0, command.Join{
		Token: bus.TokenID("token-" + id), SecretHash: secret, KeyHash: secret, Node: w.nodeEntry(id, division, n),
	})
}

func resource() bus.Resource {
	return bus.Resource{
		ID: firms, Codes: []bus.ResourceCode{"305001/1"}, Name: "示例企业登记", Abstract: "示例摘要", Class: "示例分类", Provider: market, Format: "database", Modes: []string{"interface"},
		Open: "no", UpdateCycle: "realtime",
		Sharing: bus.Sharing{Type: bus.Conditional, Range: "示例范围", Purposes: []bus.Purpose{bus.PurposeReference}},
		Items: []bus.Item{
			{ID: "name", Name: "企业名称", Type: "C", Grade: 1},
			{ID: "legal_id", Name: "法定代表人证件号", Type: "C", Grade: 3, Semantic: bus.SemanticIDNumber},
			{ID: "phone", Name: "电话", Type: "C", Grade: 2, Semantic: bus.SemanticPhone},
		},
	}
}

// catalogue publishes a version of a resource, and returns its revision.
func (w *world) catalogue(by bus.Principal, r bus.Resource) bus.Revision {
	w.tb.Helper()
	content := bus.DraftContent{Resource: r, Clearance: bus.Clearance{SecrecyReview: "示例", Assessment: "示例", Consent: "示例"}}
	draft := bus.DraftRef{ID: r.ID, Revision: w.write(by, command.DraftPut, 0, content)}
	draft.Revision = w.write(by, command.DraftSubmit, 0, command.Submission{Drafts: []bus.DraftRef{draft}})
	return w.write(reviewer, command.DraftReview, 0, command.Review{Drafts: []bus.DraftRef{draft}, Approve: true})
}

// write applies one entry to the directory and returns the index it took.
func (w *world) write(by bus.Principal, t command.Type, expect bus.Revision, body any) bus.Revision {
	w.tb.Helper()
	revision, err := w.propose(by, t, expect, body)
	must(w.tb, err)
	return revision
}

// enact puts a policy layer in force, and returns its revision.
func (w *world) enact(l bus.Layer) bus.Revision {
	w.tb.Helper()
	draft := w.write(secadmin, command.LayerPush, 0, command.Push{
		Layer: l.ID, LayerPush: bus.LayerPush{Modules: l.Modules, Note: "示例"}, Report: &bus.LayerReport{Layer: l.ID, OK: true},
	})
	second := bus.Principal{Account: "secadmin-2", Role: bus.RoleSecurityAdministrator}
	return w.write(second, command.LayerActivate, draft, command.Activation{Layer: l.ID})
}

// propose applies one entry, which may be refused.
func (w *world) propose(by bus.Principal, t command.Type, expect bus.Revision, body any) (bus.Revision, error) {
	e, err := command.New(t, by, "", expect, body)
	if err != nil {
		return 0, err
	}
	e.At, e.Node = w.clock.now(), shenzhen
	data, err := e.Encode()
	if err != nil {
		return 0, err
	}
	w.directory.log.Lock()
	defer w.directory.log.Unlock()
	applied, _ := w.directory.Applied()
	results, err := w.directory.Apply([]state.Log{{Index: uint64(applied) + 1, Data: data}})
	if err != nil {
		return 0, err
	}
	return results[0].Revision, results[0].Err()
}

func (w *world) subscribe(id bus.SubscriptionID, by bus.Principal) bus.Revision {
	w.tb.Helper()
	s := bus.Subscription{ID: id, Resource: firms, Consumer: by.Department, System: by.System, Purpose: bus.PurposeReference, Basis: "示例办法第一条"}
	if by.Department == services {
		s.Grant = grant
	}
	return w.write(by, command.SubscriptionPut, 0, s)
}

func (w *world) revoke() {
	w.tb.Helper()
	w.write(secadmin, command.GrantRevoke, 0, command.Revoke{Grant: grant, Reason: "示例理由"})
}

func (w *world) provider() *node { return w.nodes[shenzhen] }
func (w *world) consumer() *node { return w.nodes[guangzhou] }

// publish publishes events number first to last and demands receipts.
func (w *world) publish(first, last int) {
	w.tb.Helper()
	for next := first; next <= last; next += 1000 {
		events := run(next, min(next+999, last))
		receipts, err := w.provider().Publish(w.tb.Context(), publisher, "", firms, events)
		must(w.tb, err)
		if len(receipts) != len(events) {
			w.tb.Fatalf("%d receipts for %d events", len(receipts), len(events))
		}
	}
}

// loseAnswer publishes events, and closes the provider's node when they have arrived at
// the consumer's and before it knows.
func (w *world) loseAnswer(first, last int) {
	w.tb.Helper()
	arrived := make(chan struct{}, 100)
	w.line.hook(nil, func(ctx context.Context, _ exchange.Batch) error {
		arrived <- struct{}{}
		<-ctx.Done() // the answer never comes back
		return ctx.Err()
	})
	w.publish(first, last)
	within(w.tb, "the delivery", arrived)
	w.provider().close()
}

// received waits until the consumer can pull count events, and returns them.
func (w *world) received(count int) []cloudevent.Event {
	w.tb.Helper()
	var events []cloudevent.Event
	eventually(w.tb, fmt.Sprintf("%d events wait in the inbox", count), func() error {
		have := w.consumer().inbox(sub)
		if len(have) != count {
			return fmt.Errorf("%d do", len(have))
		}
		return nil
	})
	if count > 0 {
		var err error
		events, _, err = w.consumer().Pull(w.tb.Context(), puller, sub, count)
		must(w.tb, err)
	}
	return events
}

// settled waits until the provider's cursor has passed sequence number last.
func (w *world) settled(id bus.SubscriptionID, last uint64) {
	w.tb.Helper()
	eventually(w.tb, fmt.Sprintf("the cursor of %s passes %d", id, last), func() error {
		if at := w.provider().cursor(id); at <= last {
			return fmt.Errorf("it is at %d", at)
		}
		return nil
	})
}

// sample makes event number n; its content depends on version too.
func sample(n int, version ...string) cloudevent.Event {
	e := cloudevent.New()
	e.SetSource("/systems/" + string(publisher.System))
	e.SetID(strconv.Itoa(n))
	e.SetType("cn.gov.sample.firm.registered")
	data := fmt.Sprintf(`{"name":"示例企业%d%s","legal_id":"440306198512301230","phone":"13800138000","inner":"never leaves"}`, n, fmt.Sprint(version))
	if err := e.SetData("application/json", []byte(data)); err != nil {
		panic(err)
	}
	return decoded(e)
}

// decoded is e as the API gives it to Publish.
func decoded(e cloudevent.Event) cloudevent.Event {
	raw, err := event.Marshal(e)
	if err == nil {
		e, err = event.Unmarshal(raw)
	}
	if err != nil {
		panic(err)
	}
	return e
}

func run(first, last int) (events []cloudevent.Event) {
	for n := first; n <= last; n++ {
		events = append(events, sample(n))
	}
	return events
}

func ids(events []cloudevent.Event) (ids []int) {
	for _, e := range events {
		n, err := strconv.Atoi(e.ID())
		if err != nil {
			panic(err)
		}
		ids = append(ids, n)
	}
	return ids
}

func numbers(first, last int) (ids []int) {
	for n := first; n <= last; n++ {
		ids = append(ids, n)
	}
	return ids
}

// eventually waits until check returns nil.
func eventually(tb testing.TB, what string, check func() error) {
	tb.Helper()
	deadline := time.NewTimer(patience)
	defer deadline.Stop()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for {
		err := check()
		if err == nil {
			return
		}
		select {
		case <-tick.C:
		case <-deadline.C:
			tb.Fatalf("waited %v until %s: %v", patience, what, err)
		}
	}
}

// within waits for a token or the end of a channel.
func within[T any](tb testing.TB, what string, c <-chan T) {
	tb.Helper()
	select {
	case <-c:
	case <-time.After(patience):
		tb.Fatalf("waited %v for %s", patience, what)
	}
}

func must(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}

func wantCode(tb testing.TB, err error, want bus.Code) {
	tb.Helper()
	if got := bus.CodeOf(err); got != want {
		tb.Fatalf("got code %q (%v), want %q", got, err, want)
	}
}

// node is one node's exchange, which can be closed and opened again.
type node struct {
	*exchange.Exchange
	id     bus.NodeID
	path   string
	signer string
	key    string
	store  *exchange.Store
	log    *audit.Log
	world  *world
	retry  time.Duration // pause after a failure
	most   time.Duration // what that grows to; 0: four times that
	full   atomic.Bool   // there is no room for events
	lacked atomic.Int64  // room, so often
	tells  bool          // sends receipts

	connected chan bus.NodeID // tells of connections
	bytes     int64           // that its file may hold; 0: any
	inboxes   int64           // bytes that an inbox may hold; 0: any
	queries   int             // of a system of another node, a second; 0: the default
}

func newNode(w *world, id bus.NodeID) *node {
	n := &node{id: id, path: filepath.Join(w.tb.TempDir(), "exchange.db"), world: w, retry: time.Millisecond, connected: make(chan bus.NodeID)}
	var err error
	n.signer, n.key, err = audit.GenerateKey(audit.Origin("test", id))
	must(w.tb, err)
	w.tb.Cleanup(n.close)
	return n
}

func (n *node) open() {
	n.world.tb.Helper()
	store, err := exchange.OpenStore(n.path, func(err error) { n.world.tb.Error("halt: ", err) })
	must(n.world.tb, err)
	n.store = store
	must(n.world.tb, store.Commit(context.Background(), func(tx *bbolt.Tx) error {
		if _, err := tx.CreateBucketIfNotExists([]byte(binding.Bucket)); err != nil {
			return err
		}
		n.log, err = audit.Open(tx, audit.Origin("test", n.id))
		return err
	}))
	var signer note.Signer
	if n.tells {
		signer, _, err = audit.OpenKey(n.signer)
		must(n.world.tb, err)
	}
	n.Exchange, err = exchange.Open(exchange.Config{
		Signer: signer, ReceiptEvery: n.retry, Connected: n.connected,
		Self: n.id, Store: store, Log: n.log, EvidenceKey: n.key, Directory: n.world.directory, Decider: n.world.decider,
		Peers: n.world.line.from(n.id), Bindings: n.world, Now: n.world.clock.now, Logger: slog.New(slog.DiscardHandler),
		Arrived: func(_ context.Context, d bus.USCC, epoch bus.Revision) error {
			if err := n.world.arriving(n, d, epoch); err != nil {
				return err
			}
			_, err := n.world.propose(bus.Principal{Node: n.id}, command.DepartmentMoved, 0, command.Moved{Department: d, Epoch: epoch})
			return err
		},
		Delivered: func(_ context.Context, id bus.GrantID, at time.Time) error {
			if n.world.mute.Load() {
				return errLine
			}
			_, err := n.world.propose(bus.Principal{Node: n.id}, command.GrantDelivered, 0, command.Delivered{Grant: id, At: at})
			return err
		},
		RetryMin: n.retry, RetryMax: cmp.Or(n.most, 4*n.retry), Retention: exchange.Retention{Kept: kept, Bytes: n.bytes, Inbox: n.inboxes}, QueryRate: n.queries,
		Webhooks: &n.world.sinks, Origin: string(n.id) + ".test", Seal: seal(n.world.tb, n.id+" sinks"), Bound: n.bound(), Room: n.room, PushMin: n.retry, PushMax: 4 * n.retry,
	})
	must(n.world.tb, err)
	n.world.line.connect(n.id, n.Exchange)
}

func (n *node) room() error {
	if n.full.Load() {
		n.lacked.Add(1)
		return bus.E(bus.CodeStorageFull)
	}
	return nil
}

// bound is what the bindings of a node are encrypted with.
func (n *node) bound() cipher.AEAD { return seal(n.world.tb, n.id+" bindings") }

// seal is by a key of a node's own.
func seal(tb testing.TB, of bus.NodeID) cipher.AEAD {
	key := sha256.Sum256([]byte(of))
	block, err := aes.NewCipher(key[:])
	must(tb, err)
	sealed, err := cipher.NewGCMWithRandomNonce(block)
	must(tb, err)
	return sealed
}

func (n *node) close() {
	if n.Exchange == nil {
		return
	}
	n.world.line.connect(n.id, nil)
	n.Exchange.Close()
	if err := n.store.Close(); err != nil {
		n.world.tb.Error(err)
	}
	n.Exchange = nil
}

func (n *node) reopen() {
	n.world.tb.Helper()
	n.close()
	n.open()
}

// records lists the evidence, or that of some kinds.
func (n *node) records(kinds ...audit.Kind) (records []audit.Record) {
	n.world.tb.Helper()
	wanted := map[audit.Kind]bool{}
	for _, k := range kinds {
		wanted[k] = true
	}
	must(n.world.tb, n.store.View(func(tx *bbolt.Tx) error {
		size, err := n.log.Size(tx)
		for leaf, recordErr := range n.log.Records(tx, 0, size) {
			if err = errors.Join(err, recordErr); len(kinds) == 0 || wanted[leaf.Record.Kind] {
				records = append(records, leaf.Record)
			}
		}
		return err
	}))
	return records
}

// inbox lists the sequence numbers that wait for a subscription.
func (n *node) inbox(id bus.SubscriptionID) (waiting []uint64) {
	n.world.tb.Helper()
	must(n.world.tb, n.store.View(func(tx *bbolt.Tx) error {
		b := tx.Bucket([]byte("inbox")).Bucket([]byte(id))
		if b == nil {
			return nil
		}
		return b.ForEach(func(key, _ []byte) error {
			waiting = append(waiting, number(key))
			return nil
		})
	}))
	return waiting
}

// delivered is the largest number that was handed out, or dealt with instead.
func (n *node) delivered(id bus.SubscriptionID) int {
	n.world.tb.Helper()
	var mark struct {
		Delivered int `json:"delivered"`
	}
	must(n.world.tb, n.store.View(func(tx *bbolt.Tx) error {
		data := tx.Bucket([]byte("marks")).Get([]byte(id))
		if data == nil {
			return nil
		}
		return json.Unmarshal(data, &mark)
	}))
	return mark.Delivered
}

func (n *node) cursor(id bus.SubscriptionID) (at uint64) {
	n.world.tb.Helper()
	must(n.world.tb, n.store.View(func(tx *bbolt.Tx) error {
		if key := tx.Bucket([]byte("cursors")).Get([]byte(id)); key != nil {
			at = number(key[:8])
		}
		return nil
	}))
	return at
}

// contents is the digest of all that the node keeps but evidence.
func (n *node) contents() [32]byte {
	n.world.tb.Helper()
	h := sha256.New()
	must(n.world.tb, n.store.View(func(tx *bbolt.Tx) error {
		for _, name := range []string{"events", "arrivals", "cursors", "inbox", "marks", "holdings", "ledger", "sinks", "tries", "bindings"} {
			hashBucket(h.Write, tx.Bucket([]byte(name)))
		}
		return nil
	}))
	return [32]byte(h.Sum(nil))
}

func hashBucket(write func([]byte) (int, error), b *bbolt.Bucket) {
	cursor := b.Cursor()
	for key, value := cursor.First(); key != nil; key, value = cursor.Next() {
		_, _ = write(fmt.Appendf(nil, "%x=%x;", key, value)) // a hash takes everything
		if value == nil && b.Bucket(key) != nil {
			hashBucket(write, b.Bucket(key))
		}
	}
}

// verify demands that the evidence is sound, and the inboxes as heavy as is noted.
func (n *node) verify() {
	n.world.tb.Helper()
	must(n.world.tb, n.store.View(func(tx *bbolt.Tx) error {
		return weighed(tx.Bucket([]byte("inbox")))
	}))
	must(n.world.tb, n.store.View(func(tx *bbolt.Tx) error {
		report, err := n.log.Verify(tx, nil, n.key)
		if err == nil && !report.Verified {
			err = fmt.Errorf("evidence of %s: %+v", n.id, report)
		}
		return err
	}))
}

// weighed compares the weights of inboxes with what is in them.
func weighed(inboxes *bbolt.Bucket) error {
	all := uint64(0)
	err := inboxes.ForEachBucket(func(id []byte) error {
		weight := uint64(0)
		err := inboxes.Bucket(id).ForEach(func(_, data []byte) error {
			weight += 32 + uint64(len(data))
			return nil
		})
		if noted := inboxes.Bucket(id).Sequence(); noted != weight {
			return fmt.Errorf("inbox %s weighs %d, not %d", id, weight, noted)
		}
		all += weight
		return err
	})
	if err == nil && inboxes.Sequence() != all {
		err = fmt.Errorf("all inboxes weigh %d, not %d", all, inboxes.Sequence())
	}
	return err
}

func number(key []byte) (n uint64) {
	for _, b := range key {
		n = n<<8 | uint64(b)
	}
	return n
}

type directoryTx = state.Tx

// directory is a real replica whose age the test sets.
type directory struct {
	*state.Store
	log sync.Mutex // held while an entry is put at its end
	mu  sync.Mutex
	age time.Duration
}

func newDirectory(tb testing.TB) *directory {
	store, err := state.Open(filepath.Join(tb.TempDir(), "directory.db"))
	must(tb, err)
	tb.Cleanup(func() {
		if err := store.Close(); err != nil {
			tb.Error(err)
		}
	})
	return &directory{Store: store}
}

func (d *directory) Age() (time.Duration, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.age, nil
}

func (d *directory) setAge(age time.Duration) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.age = age
}

type clock struct {
	mu sync.Mutex
	at time.Time
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

// line carries batches between the nodes of a world. before and after run in
// place of the network: an error from before is a batch lost on the way, one
// from after an answer lost on the way back.
type line struct {
	mu            sync.Mutex
	ends          map[bus.NodeID]*exchange.Exchange
	before, after func(context.Context, exchange.Batch) error
	carried       []exchange.Batch // what arrived
	handover      func(exchange.Handover, exchange.Parcel) (exchange.Parcel, error)
	reply         func(*exchange.Reply) // sees what answers a query; may be nil
}

func (l *line) connect(id bus.NodeID, x *exchange.Exchange) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ends[id] = x
}

// end is a node's exchange; nil while it is closed.
func (l *line) end(id bus.NodeID) *exchange.Exchange {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.ends[id]
}

func (l *line) hook(before, after func(context.Context, exchange.Batch) error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.before, l.after = before, after
}

func (l *line) onHandover(during func(exchange.Handover, exchange.Parcel) (exchange.Parcel, error)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.handover = during
}

func (l *line) batches() []exchange.Batch {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.carried
}

var errLine = errors.New("the line is down")

// end is one node's end of the line.
type end struct {
	*line
	id bus.NodeID
}

func (l *line) from(id bus.NodeID) end { return end{l, id} }

// Handover goes the way of a batch.
func (e end) Handover(ctx context.Context, from bus.NodeID, ask exchange.Handover) (exchange.Parcel, error) {
	e.mu.Lock()
	other, during := e.ends[from], e.handover
	e.mu.Unlock()
	if other == nil {
		return exchange.Parcel{}, errLine
	}
	parcel, err := other.Handover(ctx, e.id, ask)
	if err == nil && during != nil {
		parcel, err = during(ask, parcel)
	}
	return parcel, err
}

// Query goes straight to the other node.
func (e end) Query(ctx context.Context, to bus.NodeID, query cloudevent.Event, recorded exchange.Recorded) (*exchange.Reply, error) {
	e.mu.Lock()
	other, during := e.ends[to], e.reply
	e.mu.Unlock()
	if other == nil {
		return nil, errLine
	}
	reply, err := other.Answer(ctx, e.id, query, recorded)
	if err == nil && during != nil {
		during(reply)
	}
	return reply, err
}

// Receipts go straight to the other node.
func (e end) Receipts(ctx context.Context, to bus.NodeID, signed []string) error {
	e.mu.Lock()
	other := e.ends[to]
	e.mu.Unlock()
	if other == nil {
		return errLine
	}
	return other.TakeReceipts(ctx, e.id, signed)
}

// Recall goes the way of a batch.
func (e end) Recall(ctx context.Context, to bus.NodeID, back exchange.Recall) (received uint64, err error) {
	e.mu.Lock()
	before, after, other := e.before, e.after, e.ends[to]
	e.mu.Unlock()
	if before != nil {
		if err := before(ctx, exchange.Batch{Heading: back.Heading}); err != nil {
			return 0, err
		}
	}
	if other == nil {
		return 0, errLine
	}
	if received, err = other.Recall(ctx, e.id, back); err == nil && after != nil {
		err = after(ctx, exchange.Batch{Heading: back.Heading})
	}
	return received, err
}

func (l *line) Deliver(ctx context.Context, to bus.NodeID, batch exchange.Batch) error {
	l.mu.Lock()
	before, after := l.before, l.after
	l.mu.Unlock()
	if before != nil {
		if err := before(ctx, batch); err != nil {
			return err
		}
	}
	l.mu.Lock()
	end := l.ends[to]
	l.mu.Unlock()
	if end == nil {
		return errLine
	}
	if err := end.Receive(ctx, batch.From, batch); err != nil {
		return err
	}
	l.mu.Lock()
	l.carried = append(l.carried, batch)
	l.mu.Unlock()
	if after != nil {
		return after(ctx, batch)
	}
	return nil
}

// decider allows everything until it is told otherwise.
type decider struct {
	mu      sync.Mutex
	rule    func(policy.Input) bus.Decision
	outside func(policy.Input) // runs before a decision, may wait
	asked   []policy.Input
	changed chan struct{} // closed when asked has grown
}

func (d *decider) Decide(_ context.Context, in policy.Input) bus.Decision {
	d.mu.Lock()
	outside := d.outside
	d.mu.Unlock()
	if outside != nil {
		outside(in)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	decision := allow(in)
	if d.rule != nil {
		decision = d.rule(in)
	}
	d.asked = append(d.asked, in)
	close(d.changed)
	d.changed = make(chan struct{})
	decision.ID, decision.Action, decision.At, decision.Index = fmt.Sprintf("d%d", len(d.asked)), string(in.Action), in.Time.Time, in.Directory.Index
	decision.Layers = map[bus.LayerID]bus.Revision{bus.BaseLayer: 0}
	return decision
}

// DecideEvents does not look at events.
func (d *decider) DecideEvents(ctx context.Context, in policy.Input, n int, _ func(int) policy.Event) (bus.Decision, int) {
	return d.Decide(ctx, in), n
}

// follow sets the rule.
func (d *decider) follow(rule func(policy.Input) bus.Decision) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.rule = rule
}

func (d *decider) followOutside(outside func(policy.Input)) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.outside = outside
}

// awaitAsked waits until the decider was asked count times more for an action.
func (d *decider) awaitAsked(tb testing.TB, action policy.Action, count int) {
	tb.Helper()
	d.awaitAskedSince(tb, d.position(), action, count)
}

// position is how often the decider was asked so far.
func (d *decider) position() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.asked)
}

// awaitAskedSince waits until the decider was asked count times for an action after a position.
func (d *decider) awaitAskedSince(tb testing.TB, from int, action policy.Action, count int) {
	tb.Helper()
	eventually(tb, fmt.Sprintf("%d decisions on %s", count, action), func() error {
		d.mu.Lock()
		defer d.mu.Unlock()
		got := 0
		for _, in := range d.asked[from:] {
			if in.Action == action {
				got++
			}
		}
		if got < count {
			return fmt.Errorf("%d so far", got)
		}
		return nil
	})
}

func allow(in policy.Input) bus.Decision {
	items := make([]bus.ItemID, len(in.Resource.Items))
	for i, it := range in.Resource.Items {
		items[i] = it.ID
	}
	return bus.Decision{Allow: true, Obligations: bus.Obligations{Items: items}}
}

func refuse(code string) bus.Decision {
	return bus.Decision{Reasons: []bus.Reason{{Layer: bus.BaseLayer, Code: code, Message: bus.Text{ZH: "示例理由", EN: "a sample reason"}}}}
}

// only limits a rule to one action; all else is allowed.
func only(action policy.Action, rule func(policy.Input) bus.Decision) func(policy.Input) bus.Decision {
	return func(in policy.Input) bus.Decision {
		if in.Action == action {
			return rule(in)
		}
		return allow(in)
	}
}

func always(d bus.Decision) func(policy.Input) bus.Decision {
	return func(policy.Input) bus.Decision { // every decision has maps of its own
		d := d
		d.Obligations.Masks = maps.Clone(d.Obligations.Masks)
		return d
	}
}
