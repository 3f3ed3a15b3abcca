package exchange

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"go.etcd.io/bbolt"
	"golang.org/x/mod/sumdb/note"

	"github.com/gxbus/gxbus/pkg/audit"
	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/directory/state"
)

// bucketReceipts keeps what consumers' nodes signed last of subscriptions to resources
// that are provided here: subscription → signed note.
var bucketReceipts = []byte("receipts")

const (
	receiptFormat = "gxbus-receipt/1"
	receiptSteps  = 256       // that a receipt tells at most, the newest
	maxReceipt    = 128 << 10 // bytes of one, signed
	maxReceipts   = 100       // in one message
	maxWhys       = 4         // reasons of a denial that a receipt tells
)

// DeliveryReceipt is what the consumer's node has on record of one subscription, in short: how
// far the events have been received, handed out and acknowledged, and what became of
// those that ended otherwise. It travels as a note that is signed with the key of the
// node's evidence log, so that the provider's node can answer by it while the other
// does not.
type DeliveryReceipt struct {
	Subscription bus.SubscriptionID `json:"subscription"`
	Node         bus.NodeID         `json:"node"` // that has it on record
	At           time.Time          `json:"at"`   // as of when
	From         uint64             `json:"from"` // nothing is told of events before this one
	Steps        []Told             `json:"steps"`
}

// Told is a step over a run of events.
type Told struct {
	Kind  audit.Kind `json:"kind"`
	First uint64     `json:"first"`
	Last  uint64     `json:"last"`
	At    time.Time  `json:"at"` // of its end

	DecisionID string `json:"decision,omitempty"` // of a denial
	Reasons    []Why  `json:"reasons,omitempty"`  // of it, the first few
	Detail     string `json:"detail,omitempty"`
}

// Why is which layer denied and by which of its codes. The words for it stay at the node
// that has it on record.
type Why struct {
	Layer bus.LayerID `json:"layer"`
	Code  string      `json:"code"`
}

// continued are the steps of which later ones continue those before.
var continued = map[audit.Kind]bool{audit.KindReceived: true, audit.KindDelivered: true, audit.KindAcknowledged: true}

// add takes the next step on record into r, with the reasons of a denial; told is false
// where it is none that a receipt tells.
func (r *DeliveryReceipt) add(record audit.Record, reasons []bus.Reason) (told bool) {
	if record.Subscription != r.Subscription || !record.HasRange() {
		return false
	}
	next, _ := stateAfter(record)
	if next == "" || record.Kind == audit.KindForwarded || record.Kind == audit.KindFiltered && record.Events == 0 {
		return false
	}
	if record.Kind == audit.KindReplayed { // what was told is of an earlier run
		r.Steps, r.From = nil, 0
		return true
	}
	if r.From == 0 {
		r.From = record.First
	}
	for i := len(r.Steps) - 1; i >= 0; i-- {
		s := &r.Steps[i]
		if s.Kind == record.Kind && continued[s.Kind] && record.First <= s.Last+1 && record.Last+1 >= s.First {
			s.First, s.Last, s.At = min(s.First, record.First), max(s.Last, record.Last), record.At
			return true
		}
		if record.First <= s.Last && record.Last >= s.First {
			break // what it is a later step of stays before it
		}
	}
	step := Told{Kind: record.Kind, First: record.First, Last: record.Last, At: record.At}
	if !continued[record.Kind] {
		step.DecisionID, step.Detail = record.DecisionID, record.Detail
	}
	for _, reason := range reasons[:min(len(reasons), maxWhys)] {
		step.Reasons = append(step.Reasons, Why{reason.Layer, reason.Code})
	}
	r.Steps = append(r.Steps, step)
	if len(r.Steps) > receiptSteps {
		r.forget()
	}
	return true
}

// forget drops the oldest step that no later one continues, or the oldest, and what events it was
// about is told of no more.
func (r *DeliveryReceipt) forget() {
	oldest := 0
	for i, s := range r.Steps {
		if !continued[s.Kind] {
			oldest = i
			break
		}
	}
	r.From = max(r.From, r.Steps[oldest].Last+1)
	r.Steps = append(r.Steps[:oldest:oldest], r.Steps[oldest+1:]...)
}

// Follow moves a delivery on by what the receipt tells of an event; ok is false where
// it tells nothing of it.
func (r DeliveryReceipt) Follow(d bus.Delivery, sequence uint64) (moved bus.Delivery, ok bool) {
	if sequence < r.From {
		return d, false
	}
	var leaves []audit.Leaf
	for _, s := range r.Steps {
		if s.First <= sequence && sequence <= s.Last {
			leaves = append(leaves, s.leaves(r.Subscription)...)
		}
	}
	if len(leaves) == 0 {
		return d, false
	}
	moved = Follow(d, leaves)
	moved.AsOf = r.At
	return moved, true
}

// leaves are what the step was told of, as far as that goes.
func (s Told) leaves(of bus.SubscriptionID) (leaves []audit.Leaf) {
	record := audit.Record{Subscription: of, First: s.First, Last: s.Last, Events: 1, At: s.At, DecisionID: s.DecisionID}
	if len(s.Reasons) > 0 {
		d := bus.Decision{ID: s.DecisionID}
		for _, why := range s.Reasons {
			d.Reasons = append(d.Reasons, bus.Reason{Layer: why.Layer, Code: why.Code})
		}
		leaves = append(leaves, audit.Leaf{Record: decided(record, d)})
	}
	record.Kind, record.Detail = s.Kind, s.Detail
	return append(leaves, audit.Leaf{Record: record})
}

// seal signs r, with as many of its steps as a receipt may have bytes.
func (r DeliveryReceipt) seal(signer note.Signer) (string, error) {
	for {
		text, err := json.Marshal(r)
		if err != nil {
			return "", err
		}
		signed, err := note.Sign(&note.Note{Text: receiptFormat + "\n" + string(text) + "\n"}, signer)
		if err != nil || len(signed) <= maxReceipt || len(r.Steps) == 0 {
			return string(signed), err
		}
		r.forget()
	}
}

// openReceipt reads a receipt that key signed.
func openReceipt(signed, key string) (r DeliveryReceipt, err error) {
	verifier, err := note.NewVerifier(key)
	if err != nil {
		return r, err
	}
	if len(signed) > maxReceipt {
		return r, fmt.Errorf("a receipt of %d bytes", len(signed))
	}
	opened, err := note.Open([]byte(signed), note.VerifierList(verifier))
	if err != nil {
		return r, err
	}
	text, ok := strings.CutPrefix(opened.Text, receiptFormat+"\n")
	if !ok {
		return r, errors.New("not a receipt of this release")
	}
	return r, json.Unmarshal([]byte(text), &r)
}

// TakeReceipts keeps receipts that another node sends, which serves the consumers of
// subscriptions to resources that are provided here; none of it where one is not right.
func (x *Exchange) TakeReceipts(ctx context.Context, from bus.NodeID, signed []string) error {
	if len(signed) > maxReceipts {
		return bus.E(bus.CodeTooLarge, bus.Defect{Field: "receipts", Allowed: fmt.Sprintf("at most %d", maxReceipts)})
	}
	receipts := make([]DeliveryReceipt, len(signed))
	err := x.Directory.View(func(tx *state.Tx) error {
		node, _ := tx.Node(from)
		for i, text := range signed {
			r, err := openReceipt(text, node.EvidenceKey)
			if err != nil {
				return badReceipt(i).Because(err)
			}
			if err := x.expects(tx, from, r); err != nil {
				return err
			}
			receipts[i] = r
		}
		return nil
	})
	if err != nil {
		return err
	}
	err = x.Store.Commit(ctx, func(tx *bbolt.Tx) error {
		bucket := tx.Bucket(bucketReceipts)
		for i, r := range receipts {
			if err := bucket.Put([]byte(r.Subscription), []byte(signed[i])); err != nil {
				return err
			}
		}
		return nil
	})
	if err == nil {
		for _, r := range receipts { // what was handed out or dropped leaves room
			x.roomAt(r.Subscription)
		}
	}
	return err
}

// expects refuses a receipt of a subscription that has nothing to do with the two nodes.
func (x *Exchange) expects(tx *state.Tx, from bus.NodeID, r DeliveryReceipt) error {
	s, ok := tx.Subscription(r.Subscription)
	if !ok {
		return bus.NotFound("subscription", string(r.Subscription))
	}
	if provider, consumer := seatsOf(tx, s); r.Node != from || consumer.node != from || provider.node != x.Self {
		return bus.E(bus.CodeForbidden)
	}
	return nil
}

func badReceipt(i int) *bus.Error {
	return bus.E(bus.CodeInvalid, bus.Defect{
		Field: fmt.Sprintf("receipts[%d]", i), Problem: bus.Text{ZH: "回执不正确或签名无效", EN: "not a receipt that the node signed"}, Allowed: receiptFormat,
	})
}

// ByReceipt moves a delivery on by the newest receipt of its consumer's node, which
// does not answer now; AsOf says how old that is, and is zero where none tells of it.
func (x *Exchange) ByReceipt(d bus.Delivery, sequence uint64) (bus.Delivery, error) {
	r, ok, err := x.receiptOf(d.Subscription, d.Node)
	if err != nil || !ok {
		return d, err
	}
	moved, _ := r.Follow(d, sequence)
	return moved, nil
}

// receiptOf is the newest receipt of a subscription; ok is false where there is none, or
// one of a node that served the consumer before.
func (x *Exchange) receiptOf(id bus.SubscriptionID, from bus.NodeID) (r DeliveryReceipt, ok bool, err error) {
	var signed, key string
	err = x.Directory.View(func(tx *state.Tx) error {
		node, _ := tx.Node(from)
		key = node.EvidenceKey
		return nil
	})
	if err != nil {
		return r, false, err
	}
	err = x.Store.View(func(tx *bbolt.Tx) error {
		signed = string(tx.Bucket(bucketReceipts).Get([]byte(id)))
		return nil
	})
	if err != nil || signed == "" {
		return r, false, err
	}
	if r, err = openReceipt(signed, key); err != nil || r.Subscription != id {
		return DeliveryReceipt{}, false, nil
	}
	return r, true, nil
}

// receipts are those of the subscriptions that a page is about, each read once.
type receipts struct {
	x  *Exchange
	of map[bus.SubscriptionID]DeliveryReceipt
}

// follow moves a batch on that has left this node by what its consumer's node signed
// last. When a step was is known where it was the last of its kind.
func (s *receipts) follow(r *bus.ExchangeRecord) error {
	if r.Status != bus.ExchangeForwarded {
		return nil
	}
	receipt, known := s.of[r.Subscription]
	if !known {
		node, err := s.x.servedBy(r.Consumer)
		if err != nil {
			return err
		}
		if receipt, _, err = s.x.receiptOf(r.Subscription, node); err != nil {
			return err
		}
		if s.of == nil {
			s.of = map[bus.SubscriptionID]DeliveryReceipt{}
		}
		s.of[r.Subscription] = receipt
	}
	for _, step := range receipt.Steps {
		if r.Last < receipt.From || r.Last < step.First || r.Last > step.Last {
			continue
		}
		record := audit.Record{Kind: step.Kind}
		if step.Last == r.Last {
			record.At = step.At
		}
		advance(r, record)
	}
	if r.Status != bus.ExchangeForwarded {
		r.AsOf = receipt.At
	}
	return nil
}

// servedBy is the node that serves a department.
func (x *Exchange) servedBy(id bus.USCC) (node bus.NodeID, err error) {
	return node, x.Directory.View(func(tx *state.Tx) error {
		d, _ := tx.Department(id)
		node = seatOf(tx, d).node
		return nil
	})
}
