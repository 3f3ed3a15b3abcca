package exchange

import (
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"

	cloudevent "github.com/cloudevents/sdk-go/v2/event"
	"github.com/cloudevents/sdk-go/v2/types"
	"github.com/gxbus/gxbus/pkg/audit"
	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/directory/state"
	"github.com/gxbus/gxbus/pkg/event"
	"github.com/gxbus/gxbus/pkg/policy"
	"go.etcd.io/bbolt"
)

// Receipt acknowledges an event that is on the disk of its provider's node.
type Receipt struct {
	Source, ID string
	Sequence   uint64
	Digest     [32]byte
	Duplicate  bool // accepted before; this is the receipt of then
}

// Publish accepts events of a resource, as event.Decode gives them, from one of its
// provider's systems, all or none, and returns a receipt an event, in order. An event that was accepted
// before with the same content is answered as then; with another content the
// publication is refused (bus.CodeEventConflict). Every refusal is recorded.
func (x *Exchange) Publish(ctx context.Context, by bus.Principal, request string, id bus.ResourceID, events []cloudevent.Event) ([]Receipt, error) {
	record := audit.Record{Principal: by, Request: request, Resource: id}
	receipts, err := x.publish(ctx, by, record, id, events)
	if err == nil {
		x.wake(id)
		return receipts, nil
	}
	return nil, x.refuse(ctx, record, err)
}

// refuse records err where it is a refusal, and returns it, or why it could not
// be recorded. A caller that hangs up does not escape the record.
func (x *Exchange) refuse(ctx context.Context, record audit.Record, err error) error {
	if refusal := refused(record, err); refusal != nil {
		if err := x.Refused(context.WithoutCancel(ctx), *refusal); err != nil {
			return err
		}
	}
	return err
}

// refused makes the record of a refusal, or nil where err is a fault of ours or
// the denial stands in the log already as a decision.
func refused(record audit.Record, err error) *audit.Record {
	code := bus.CodeOf(err)
	switch code.Kind() {
	case bus.KindInternal, bus.KindUnavailable, bus.KindStorageFull, bus.KindProvider, bus.KindLate:
		return nil
	}
	if code == bus.CodeDenied {
		return nil
	}
	record.Kind, record.Code = audit.KindRefused, code
	return &record
}

func (x *Exchange) publish(ctx context.Context, by bus.Principal, record audit.Record, id bus.ResourceID, events []cloudevent.Event) ([]Receipt, error) {
	flow, err := x.publishing(by, id, events)
	if err == nil {
		err = x.Room()
	}
	if err == nil {
		err = x.logRoom()
	}
	if err != nil {
		return nil, err
	}
	runs := x.decideAll(ctx, flow, events)
	record.Provider = flow.resource.Provider
	if last := runs[len(runs)-1]; !last.Allow {
		return nil, ofEvent(x.deny(ctx, record, last.Decision), runs)
	}
	candidates, err := x.prepare(flow, events)
	if err != nil {
		return nil, err
	}
	var receipts []Receipt
	err = x.Store.Commit(ctx, func(tx *bbolt.Tx) error {
		receipts, err = x.accept(tx, record, runs, flow.provider, candidates)
		return err
	})
	return receipts, err
}

// publishing reads what a publication is decided on, and checks what does not
// need a policy: that the resource exists, is served here, and that the events
// are the system's own.
func (x *Exchange) publishing(by bus.Principal, id bus.ResourceID, events []cloudevent.Event) (f flow, err error) {
	err = x.Directory.View(func(tx *state.Tx) error {
		r, ok := tx.Resource(id)
		if !ok {
			return bus.NotFound("resource", string(id))
		}
		provider, ok := tx.Department(r.Provider)
		if !ok {
			return bus.NotFound("department", string(r.Provider))
		}
		f.provider = seatOf(tx, provider)
		if err := x.serves(tx, f.provider); err != nil {
			return err
		}
		own, ok := tx.Department(by.Department)
		if !ok {
			return bus.E(bus.CodeForbidden)
		}
		if defects := foreignSources(tx, by, events); len(defects) > 0 {
			return bus.E(bus.CodeSourceMismatch, defects...)
		}
		f.resource, f.input = r, x.input(tx, r)
		f.input.Action, f.input.Stage = policy.ActionPublish, policy.StageProvider
		f.input.Provider = party(tx, own, by.System)
		node, _ := tx.Node(x.Self)
		f.schema = types.ParseURI("https://" + node.APIAddress + SchemaPath(id, r.Version))
		return nil
	})
	if err != nil {
		return f, err
	}
	return f, x.aged(&f.input)
}

func foreignSources(tx *state.Tx, by bus.Principal, events []cloudevent.Event) []bus.Defect {
	system, _ := tx.System(by.System)
	var defects []bus.Defect
	for i, e := range events {
		if system.ID == "" || !system.OwnsSource(e.Source()) {
			defects = append(defects, bus.Defect{
				Field:   fmt.Sprintf("[%d].source", i),
				Problem: bus.Text{ZH: "来源不属于当前系统：" + e.Source(), EN: "not a source of this system: " + e.Source()},
				Allowed: system.Source() + ", " + system.Source() + "/…",
			})
		}
	}
	return defects
}

// candidate is an event ready to be stored.
type candidate struct {
	Receipt
	key   arrivalKey
	event cloudevent.Event // as it was published
	data  []byte           // as it is stored
}

// accept stores the new ones of the candidates with the records of the decisions
// and of the acceptance, in the committer's transaction.
func (x *Exchange) accept(tx *bbolt.Tx, record audit.Record, runs []run, at seat, candidates []candidate) ([]Receipt, error) {
	if err := keeps(tx, at); err != nil {
		return nil, err
	}
	id := record.Resource
	log, err := tx.Bucket(bucketEvents).CreateBucketIfNotExists([]byte(id))
	if err != nil {
		return nil, err
	}
	log.FillPercent = 1 // sequence numbers only grow
	keys := make([]arrivalKey, len(candidates))
	for i, c := range candidates {
		keys[i] = c.key
	}
	before := x.arrivals.find(tx, keys)
	receipts := make([]Receipt, len(candidates))
	next := max(tail(tx, id), at.base) + 1
	fresh := accepted{record: record, runs: runs}
	var conflicts []bus.Defect
	for i, c := range candidates {
		if at, ok := before[c.key]; ok {
			same := false
			if receipts[i], same, err = repeat(tx, c, at); err != nil {
				return nil, err
			} else if !same {
				conflicts = append(conflicts, conflict(i, c))
			}
			continue
		}
		at := Occurrence{id, next}
		if err := log.Put(sequenceKey(next), stored{x.Now(), c.Digest, c.data}.encode()); err != nil {
			return nil, err
		}
		if err := x.arrivals.add(tx, c.key, at); err != nil {
			return nil, err
		}
		before[c.key] = at // the same event may stand twice in one publication
		receipts[i] = c.Receipt
		receipts[i].Sequence = next
		fresh.add(i, receipts[i], c)
		next++
	}
	if len(conflicts) > 0 {
		return nil, bus.E(bus.CodeEventConflict, conflicts[:min(len(conflicts), maxTold)]...)
	}
	if fresh.end(); len(fresh.made) == 0 {
		return receipts, nil // nothing new, nothing to record
	}
	return receipts, x.append(tx, fresh.made...)
}

// ofEvent says which event a publication was denied for, where it was for one.
func ofEvent(err error, runs []run) error {
	at := 0
	for _, r := range runs[:len(runs)-1] {
		at += r.events
	}
	if e, ok := errors.AsType[*bus.Error](err); ok && alone(runs[len(runs)-1].Decision) {
		e.Defects = append(e.Defects, bus.Defect{
			Field:   fmt.Sprintf("[%d]", at),
			Problem: bus.Text{ZH: "该事件被策略拒绝，整次发布未接收", EN: "policy denies this event; nothing of the publication was accepted"},
		})
	}
	return err
}

// accepted makes the records of what is new of a publication, one for each decision.
type accepted struct {
	record  audit.Record
	runs    []run
	to      int // the event after those of the last run begun
	digests [][32]byte
	made    []audit.Record
}

// add takes the next event that is new, i in the publication.
func (a *accepted) add(i int, r Receipt, c candidate) {
	if i >= a.to {
		a.end()
		for ; i >= a.to; a.runs = a.runs[1:] {
			a.record.DecisionID, a.record.Decision = a.runs[0].ID, &a.runs[0].Decision
			a.to += a.runs[0].events
		}
		a.record.First = r.Sequence
	}
	a.record.Last = r.Sequence
	a.digests = append(a.digests, r.Digest)
	a.record.Bytes += int64(len(c.data))
	a.record.Trace = cmp.Or(a.record.Trace, event.TraceOf(c.event))
}

// end makes the records of the run under way.
func (a *accepted) end() {
	if len(a.digests) == 0 {
		return
	}
	record, d := a.record, a.record.Decision
	record.Kind, record.Decision = audit.KindAccepted, nil
	record.Events, record.Digest = len(a.digests), audit.Digest(a.digests...)
	a.record.Bytes, a.record.Trace = 0, ""
	a.made, a.digests = append(a.made, decided(record, *d), record), nil
}

// repeat answers an event that arrived before, with the receipt of then; same is
// false where its content was another.
func repeat(tx *bbolt.Tx, c candidate, at Occurrence) (receipt Receipt, same bool, err error) {
	have, ok, err := remembered(tx, at)
	if err != nil || !ok {
		return Receipt{}, false, err
	}
	if same = have.digest == c.Digest; !same { // the stamps of now may be others
		data, err := event.MarshalDecoded(have.on(c.event))
		if err != nil {
			return Receipt{}, false, err
		}
		same = have.digest == sha256.Sum256(data)
	}
	return Receipt{Source: c.Source, ID: c.ID, Sequence: at.Sequence, Digest: have.digest, Duplicate: true}, same, nil
}

// conflict is the defect of event i of a publication, which arrived before with
// another content.
func conflict(i int, c candidate) bus.Defect {
	return bus.Defect{
		Field:   fmt.Sprintf("[%d].id", i),
		Problem: bus.Text{ZH: "已接收过内容不同的同号事件：" + describe(c.Source, c.ID), EN: "accepted before with another content: " + describe(c.Source, c.ID)},
		Allowed: "the same content again, or a new id",
	}
}
