package exchange

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"time"

	cloudevent "github.com/cloudevents/sdk-go/v2/event"
	"go.etcd.io/bbolt"

	"github.com/gxbus/gxbus/pkg/audit"
	"github.com/gxbus/gxbus/pkg/binding"
	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/directory/state"
	"github.com/gxbus/gxbus/pkg/event"
	"github.com/gxbus/gxbus/pkg/policy"
)

// Bindings call the systems of providers that are served here.
type Bindings interface {
	Call(ctx context.Context, resource bus.ResourceID, c binding.Call) (*binding.Answer, error)
}

// Query asks for data of a resource that its provider has bound to a service. Its
// deadline and its end are the context's.
type Query struct {
	Resource bus.ResourceID `json:"resource"`
	Grant    bus.GrantID    `json:"grant,omitempty"`
	Purpose  bus.Purpose    `json:"purpose,omitempty"`
	Matter   string         `json:"matter,omitempty"`
	Case     string         `json:"case,omitempty"`
	Basis    string         `json:"basis,omitempty"`
	Operator string         `json:"operator,omitempty"`
	Items    []bus.ItemID   `json:"items,omitempty"` // none listed: all that is allowed
	Call     binding.Call   `json:"call"`
}

// Reply is the answer to a query. Body gives what obligations leave of it; anything but
// its end is an answer that was cut off. The end that Query gives is on record at both
// nodes; of that which Answer gives, Kept tells.
type Reply struct {
	Status      int // of the provider's system
	Header      http.Header
	Correlation string
	Request     string // digest of the query
	Decision    string // its id
	Applied     string // between nodes: what was done that cannot be done a second time
	Watermark   string
	Body        io.ReadCloser
	Outcome     func() (Outcome, error) // of the whole, once Body has ended
	Kept        func() error            // between nodes: waits, once Body has ended, until that is on record
}

// Outcome is what an answer came to.
type Outcome struct {
	Rows   int    `json:"rows"`
	Cut    bool   `json:"cut"` // a cap of rows or bytes was reached: there was more
	Digest string `json:"digest"`
	Points        // between nodes
}

// Points are when a query was let through at the provider's node, and when the provider's
// system began to answer.
type Points struct {
	Asked   time.Time `json:"asked,omitzero"`
	Replied time.Time `json:"replied,omitzero"`
}

// asking is a query on its way through one node.
type asking struct {
	x       *Exchange
	query   Query
	by      bus.Principal
	request string // the caller's id
	digest  [32]byte
	stage   policy.Stage
	began   time.Time

	flow     flow
	decision bus.Decision
	record   audit.Record
	points   Points // at the consumer's node, once the provider's has told them
	ended    bool   // that it has no answer is on record
	mark     string // watermark
	key      []byte // for pseudonyms
}

// Query asks, for a system that is served here, the node of a resource's provider. A
// decision is taken and on record before; the answer's end, and what it came to, is on
// record before the whole of it is handed out. The same request id again with the same
// query counts once under every limit; with another it is CodeRequestConflict.
func (x *Exchange) Query(ctx context.Context, by bus.Principal, request string, q Query) (*Reply, error) {
	a, err := x.asking(by, request, q, policy.StageConsumer)
	if err != nil {
		return nil, err
	}
	reply, err := a.ask(ctx)
	return reply, a.refuse(ctx, err)
}

// refuse is Exchange.refuse, but of a query whose end is on record: it is told once.
func (a *asking) refuse(ctx context.Context, err error) error {
	if a.ended {
		return err
	}
	return a.x.refuse(ctx, a.record, err)
}

// Recorded waits until a query is on record at the node that asks, and tells when it
// first began. After an error it is not, and nothing may be done about it.
type Recorded func() (began time.Time, err error)

// Answer answers a query that the node from asks for one of its systems. It decides while
// that node writes its record; what it does itself, and its own record, come after.
func (x *Exchange) Answer(ctx context.Context, from bus.NodeID, e cloudevent.Event, recorded Recorded) (reply *Reply, err error) {
	var q Query
	if err := json.Unmarshal(e.Data(), &q); err != nil || e.Type() != queryType {
		return nil, bus.E(bus.CodeMalformedEvent).Because(err)
	}
	by := bus.Principal{System: systemOf(e.Source())}
	request, _ := event.Extension(e, attrRequest).(string)
	if err := bus.Invalid(append(q.Check(), checkNames(by.System, request)...)); err != nil {
		return nil, x.refuse(ctx, audit.Record{Principal: bus.Principal{Node: from}, Detail: "query"}, err)
	}
	a, err := x.asking(by, request, q, policy.StageProvider)
	if err != nil {
		return nil, err
	}
	a.record.Principal.Node = from
	ctx, cancel := a.until(ctx, e)
	defer func() {
		if err != nil {
			cancel()
		}
	}()
	weighed := a.read(from)
	if weighed == nil {
		if err := x.pace(ctx, from, a.record); err != nil {
			return nil, err
		}
		a.decision = x.decide(ctx, a.flow)
	}
	began, err := recorded()
	if err != nil {
		return nil, err
	}
	a.record.Began = began.UTC().Truncate(time.Millisecond)
	if reply, err = a.answer(ctx, from, weighed); err != nil {
		return nil, a.refuse(ctx, err)
	}
	reply.Body = &binding.Ending{ReadCloser: reply.Body, End: cancel}
	return reply, nil
}

func (x *Exchange) asking(by bus.Principal, request string, q Query, stage policy.Stage) (*asking, error) {
	told := q // of the headers what says what is asked: the others may differ in a repeat
	told.Call.Header = http.Header{"Accept": q.Call.Header["Accept"], "Content-Type": q.Call.Header["Content-Type"]}
	data, err := json.Marshal(told)
	if err != nil {
		return nil, bus.E(bus.CodeInvalid).Because(err)
	}
	a := &asking{x: x, query: q, by: by, request: request, digest: sha256.Sum256(data), stage: stage, began: x.Now()}
	named := sha256.Sum256([]byte(string(by.System) + "\x00" + request))
	a.record = audit.Record{
		Principal: by, Request: request, Resource: q.Resource, Grant: q.Grant, Purpose: q.Purpose, Matter: q.Matter, Case: q.Case,
		Basis: q.Basis, Operator: q.Operator,
		Digest: digestText(a.digest[:]), Correlation: hex.EncodeToString(named[:16]), Began: begun(time.Time{}, a.began),
		Trace: event.TraceID(q.Call.Header.Get("Traceparent")),
	}
	return a, nil
}

// ask takes a query through the consumer's node. What is allowed here goes to the
// provider's node, which decides on it while it is put on record here, and is told of
// that before it does anything else.
func (a *asking) ask(ctx context.Context) (*Reply, error) {
	self := a.x.Self
	if err := a.weigh(ctx, self); err != nil {
		return nil, err
	}
	if !a.decision.Allow {
		return nil, a.settle(ctx, self)
	}
	e, err := a.event(ctx)
	if err != nil {
		return nil, err
	}
	to := a.flow.provider.node
	settled, unsettled := make(chan struct{}), error(nil)
	go func() {
		defer close(settled)
		unsettled = a.settle(ctx, self)
	}()
	recorded := func() (time.Time, error) {
		<-settled
		return a.record.Began, unsettled
	}
	var reply *Reply
	if to == self {
		reply, err = a.x.Answer(ctx, to, e, recorded)
	} else {
		reply, err = a.x.Peers.Query(ctx, to, e, recorded)
	}
	switch <-settled; {
	case unsettled != nil:
		if reply != nil { // of a node that did not wait
			_ = reply.Body.Close()
		}
		return nil, unsettled
	case err != nil:
		return nil, a.failed(ctx, err)
	}
	return a.pass(ctx, reply, 0, 0)
}

// answer takes a query, on which a decision was taken, through the provider's node.
func (a *asking) answer(ctx context.Context, from bus.NodeID, weighed error) (*Reply, error) {
	if a.x.Now().Sub(a.began) >= lookAgain { // the one who asks took its time
		weighed = a.weigh(ctx, from)
	}
	if weighed != nil {
		return nil, weighed
	}
	if err := a.settle(ctx, from); err != nil {
		return nil, err
	}
	a.points.Asked = a.x.Now().UTC()
	call := a.query.Call
	call.Key = a.record.Correlation
	got, err := a.x.Bindings.Call(ctx, a.query.Resource, call)
	if err != nil {
		return nil, a.failed(ctx, err)
	}
	a.points.Replied = a.x.Now().UTC()
	return a.pass(ctx, &Reply{Status: got.Status, Header: got.Header, Body: got.Body}, got.MaxRows, got.MaxBytes)
}

// pass wraps an answer in what is left to do to it here.
func (a *asking) pass(ctx context.Context, reply *Reply, rows int, bytes int64) (*Reply, error) {
	body, err := a.obliging(ctx, reply, rows, bytes)
	if err != nil {
		return nil, errors.Join(a.failed(ctx, err), reply.Body.Close())
	}
	reply.Body, reply.Outcome, reply.Kept = body, body.outcome, body.waits
	reply.Correlation, reply.Request, reply.Decision = a.record.Correlation, a.record.Digest, a.decision.ID
	reply.Header.Del("Content-Length") // what is left of it is another
	return reply, nil
}

// failed puts on record that a query has no answer, and gives the error as the caller
// is told it.
func (a *asking) failed(ctx context.Context, err error) error {
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		err = bus.E(bus.CodeLate).Because(err)
	case errors.Is(err, context.Canceled):
		err = bus.E(bus.CodeUnavailable).Because(err)
	}
	a.ended = true
	record := a.answered()
	record.Code = bus.CodeOf(err)
	return errors.Join(a.x.Record(context.WithoutCancel(ctx), record), err)
}

func (a *asking) answered() audit.Record {
	record := a.record
	record.Kind, record.DecisionID, record.Digest = audit.KindAnswered, a.decision.ID, ""
	record.Asked, record.Replied = a.points.Asked, a.points.Replied
	record.Took = a.x.Now().Sub(a.began).Microseconds()
	return record
}

// tries is how often a query is decided on again, where the directory changes
// while the decision is being recorded.
const tries = 5

// weigh decides on a query that came through the node from.
func (a *asking) weigh(ctx context.Context, from bus.NodeID) error {
	if err := a.read(from); err != nil {
		return err
	}
	a.decision = a.x.decide(ctx, a.flow)
	return nil
}

// settle puts on record what was decided, with what it counts, until that stands.
func (a *asking) settle(ctx context.Context, from bus.NodeID) error {
	for range tries {
		if !a.decision.Allow {
			return a.x.deny(ctx, a.record, a.decision)
		}
		if err := a.enter(ctx); err != nil {
			return err
		}
		// As in forwarding: nothing rests on a decision that no longer stands.
		if same, err := a.x.unchanged(a.flow.basis); err != nil || same {
			return err
		}
		if stands, err := a.stands(ctx, from); err != nil || stands {
			return err
		}
		if err := a.weigh(ctx, from); err != nil {
			return err
		}
	}
	return bus.E(bus.CodeUndecided)
}

// read reads what the query is decided on. The system that asks is looked up here,
// whatever another node says of it; its node alone asks for it (threat S31).
func (a *asking) read(from bus.NodeID) error {
	x, q := a.x, a.query
	err := x.Directory.View(func(tx *state.Tx) error {
		system, ok := tx.System(a.by.System)
		if !ok || system.Disabled {
			return bus.E(bus.CodeForbidden, bus.Defect{Field: "system", Problem: bus.Text{ZH: "没有这个系统，或者已停用", EN: "no such system, or a disabled one"}})
		}
		f, ok := x.flow(tx, bus.Subscription{
			Resource: q.Resource, Consumer: system.Department, System: system.ID, Grant: q.Grant, Purpose: q.Purpose, Matter: q.Matter,
			Basis: q.Basis, Items: q.Items,
		})
		if !ok {
			if _, known := tx.Resource(q.Resource); !known {
				return bus.NotFound("resource", string(q.Resource))
			}
			return bus.E(bus.CodeForbidden)
		}
		a.by.Department = system.Department
		a.record.Principal.Department, a.record.Provider, a.record.Consumer = system.Department, f.resource.Provider, system.Department
		f.input.Action, f.input.Stage, f.input.Case, f.input.Operator = policy.ActionQuery, a.stage, q.Case, q.Operator
		a.flow = f
		if from != f.consumer.node {
			return bus.E(bus.CodeWrongNode, bus.Defect{Field: "system", Problem: bus.Text{ZH: "该系统由其他节点服务", EN: "another node speaks for this system"}})
		}
		return x.serves(tx, a.seat())
	})
	if err != nil {
		return err
	}
	return x.aged(&a.flow.input)
}

// seat is that of the department whose node this is.
func (a *asking) seat() seat {
	if a.stage == policy.StageProvider {
		return a.flow.provider
	}
	return a.flow.consumer
}

// stands reports whether the query would be let through now as it was.
func (a *asking) stands(ctx context.Context, from bus.NodeID) (bool, error) {
	now := *a
	if err := now.read(from); err != nil {
		return false, err
	}
	d := a.x.decide(ctx, now.flow)
	if !d.Allow {
		return false, a.x.deny(ctx, now.record, d)
	}
	return sameObligations(d.Obligations, a.decision.Obligations), nil
}

func sameObligations(a, b bus.Obligations) bool {
	one, err := json.Marshal(a)
	two, failed := json.Marshal(b)
	return err == nil && failed == nil && string(one) == string(two)
}

// enter puts the decision on record, and counts the query where it is no repeat.
func (a *asking) enter(ctx context.Context) error {
	x, own, ob := a.x, a.seat(), a.decision.Obligations
	if err := a.secrets(ctx); err != nil {
		return err
	}
	var reached *full
	err := x.Store.Commit(ctx, func(tx *bbolt.Tx) error {
		if err := keeps(tx, own); err != nil {
			return err
		}
		before, err := a.before(tx, own)
		if err != nil {
			return err
		}
		if a.stage == policy.StageConsumer {
			a.record.Began = begun(before.began, a.began)
		}
		asked, decision := a.record, decided(a.record, a.decision)
		asked.Kind, asked.DecisionID, decision.Watermark = audit.KindAsked, a.decision.ID, a.mark
		reached = nil
		if before.key == nil {
			use := use{at: own, action: policy.ActionQuery + "." + policy.Action(a.stage), flow: a.flow, limits: ob.Limits, request: true}
			admission, err := use.admit(tx, nil, x.Now())
			if err != nil {
				return err
			}
			if reached = admission.reached; reached != nil {
				return x.append(tx, decision)
			}
			if err := admission.count(tx, 0); err != nil {
				return err
			}
		}
		return errors.Join(a.note(tx, own, before), keepMark(tx, a.mark, a.decision.ID), x.append(tx, decision, asked))
	})
	if err == nil && reached != nil {
		err = limited(a.decision, *reached, x.Now())
	}
	return err
}

// secrets makes the watermark of what goes out, and at the provider's node the key of
// its pseudonyms, where the decision asks for them.
func (a *asking) secrets(ctx context.Context) error {
	ob := a.decision.Obligations
	pseudonyms := a.stage == policy.StageProvider && masksBy(ob, bus.MaskPseudonym)
	a.mark, a.key = "", nil
	if !pseudonyms && !ob.Watermark {
		return nil
	}
	secret, err := a.x.secret(ctx, a.seat())
	if err != nil {
		return err
	}
	if pseudonyms {
		a.key = a.flow.pseudonymKey(secret)
	}
	if ob.Watermark {
		a.mark = watermark(secret, a.decision.ID)
	}
	return nil
}

// Provides returns the department that provides a resource, where it is served here.
func (x *Exchange) Provides(id bus.ResourceID) (provider bus.USCC, err error) {
	return provider, x.Directory.View(func(tx *state.Tx) error {
		r, ok := tx.Resource(id)
		if !ok {
			return bus.NotFound("resource", string(id))
		}
		d, ok := tx.Department(r.Provider)
		if !ok {
			return bus.NotFound("department", string(r.Provider))
		}
		provider = d.ID
		return x.serves(tx, seatOf(tx, d))
	})
}
