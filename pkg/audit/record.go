package audit

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/gxbus/gxbus/pkg/bus"
)

// Limits of a record.
const (
	MaxLeaf       = 64 << 10 // bytes of one encoded leaf
	MaxDecisionID = 256      // bytes of a decision's id
)

// RecordVersion is the leaf form written by this release. It also fixes the
// suite: SHA-256 for the tree, Ed25519 for checkpoints.
const RecordVersion = 1

// Kind says which step a record is of.
type Kind string

// The kinds of record.
const (
	KindDecision     Kind = "decision"      // a policy decision, whole
	KindAccepted     Kind = "accepted"      // published events are durable here
	KindForwarded    Kind = "forwarded"     // the consumer's node holds them durably
	KindReceived     Kind = "received"      // they are in the consumer's inbox
	KindDelivered    Kind = "delivered"     // handed out to the consumer
	KindAcknowledged Kind = "acknowledged"  // the consumer has taken them
	KindWithheld     Kind = "withheld"      // dropped: denied, or the grant was revoked
	KindRefused      Kind = "refused"       // a request refused before policy was asked
	KindAdministered Kind = "administered"  // a directory write through this node
	KindRestored     Kind = "restored"      // the leaves so far came out of a backup
	KindExplained    Kind = "explained"     // what a department may do with a resource was worked out and told
	KindInspected    Kind = "inspected"     // use records were looked at
	KindReminded     Kind = "reminded"      // a department was reminded of a deadline
	KindMovedOut     Kind = "moved-out"     // a department's data, whole, is ready for the node it moves to
	KindMovedIn      Kind = "moved-in"      // it is on this node's disk, the same
	KindFiltered     Kind = "filtered"      // rows left out: they do not meet a policy's conditions
	KindHeld         Kind = "held"          // they wait: a limit is reached
	KindExpired      Kind = "expired"       // dropped: their expirytime has come
	KindAsked        Kind = "asked"         // a query is let through here
	KindAnswered     Kind = "answered"      // its answer, or that there is none
	KindReplayed     Kind = "replayed"      // the consumer had a subscription begin anew: what waited goes
	KindDeadLettered Kind = "dead-lettered" // given up: the consumer's webhook did not take it after all attempts
	KindRedriven     Kind = "redriven"      // a dead letter is to be delivered after all
	KindDiscarded    Kind = "discarded"     // a dead letter was thrown away by the consumer, or its subscription with what waited
	KindUnmatched    Kind = "unmatched"     // passed over: the subscription's own filters are not for them
	KindArchived     Kind = "archived"      // leaves are in a sealed segment, and no longer in the live file
	KindPruned       Kind = "pruned"        // a segment past its retention was deleted, by order
	KindDelayed      Kind = "delayed"       // not taken further for now, for a fault; on record once, however often it is tried
	KindHeartbeat    Kind = "heartbeat"     // what was heard of a realtime resource's service in an hour
)

var kinds = []Kind{
	KindDecision, KindAccepted, KindForwarded, KindReceived, KindDelivered,
	KindAcknowledged, KindWithheld, KindRefused, KindAdministered, KindRestored, KindExplained, KindMovedOut, KindMovedIn,
	KindFiltered, KindHeld, KindExpired,
	KindInspected, KindReminded, KindAsked, KindAnswered,
	KindUnmatched, KindReplayed, KindDeadLettered, KindRedriven, KindDiscarded, KindArchived, KindPruned,
	KindDelayed, KindHeartbeat,
}

// Known reports whether k is a kind of this release.
func (k Kind) Known() bool { return slices.Contains(kinds, k) }

// Record is one leaf of the log. Its canonical encoding is the encoding/json of
// this struct, at most [MaxLeaf] bytes; fields are only ever added, at the end
// and omitted when empty, so that a version's bytes stay readable.
type Record struct {
	V            int                `json:"v"`    // set by Append
	Kind         Kind               `json:"kind"` // which step
	At           time.Time          `json:"at"`   // when, by the node's clock; UTC
	Node         bus.NodeID         `json:"node"` // whose log; set by Append
	Principal    bus.Principal      `json:"principal,omitzero"`
	Request      string             `json:"request,omitempty"` // request id
	Resource     bus.ResourceID     `json:"resource,omitempty"`
	Subscription bus.SubscriptionID `json:"subscription,omitempty"`
	Grant        bus.GrantID        `json:"grant,omitempty"`
	Provider     bus.USCC           `json:"provider,omitempty"` // department
	Consumer     bus.USCC           `json:"consumer,omitempty"` // department
	Purpose      bus.Purpose        `json:"purpose,omitempty"`
	Matter       string             `json:"matter,omitempty"` // 实施清单编码
	First        uint64             `json:"first,omitempty"`  // sequence numbers of the resource's
	Last         uint64             `json:"last,omitempty"`   // events, inclusive; 0, 0 is none
	Events       int                `json:"events,omitempty"` // events in the range that the step touched
	Digest       string             `json:"digest,omitempty"` // over those events, see Digest
	Decision     *bus.Decision      `json:"decision,omitempty"`
	DecisionID   string             `json:"decision_id,omitempty"` // the decision that the step rests on
	Code         bus.Code           `json:"code,omitempty"`        // refusals: the stable code
	Detail       string             `json:"detail,omitempty"`      // administered, explained: what was done or told, one line, no secrets
	Restored     *Restored          `json:"restored,omitempty"`    // of a restore: the log that this one was
	Grounds      *Grounds           `json:"grounds,omitempty"`     // of a decision; set by Append
	Rows         int                `json:"rows,omitempty"`        // filtered: rows left out; Events are those of which none is left
	Watermark    string             `json:"watermark,omitempty"`   // of a decision: what goes out on it carries this
	Case         string             `json:"case,omitempty"`        // 办件号
	Correlation  string             `json:"correlation,omitempty"` // of a query: the same at both nodes
	Status       int                `json:"status,omitempty"`      // answered: of the provider's system
	Bytes        int64              `json:"bytes,omitempty"`       // of the events that the step is about
	Segment      *Segment           `json:"segment,omitempty"`     // archived, pruned: which
	Took         int64              `json:"took_us,omitempty"`     // answered: µs since it was asked here
	Heartbeat    *bus.Heartbeat     `json:"heartbeat,omitempty"`   // heartbeat: the hour's minutes
	Began        time.Time          `json:"began,omitzero"`        // of a query or batch: when it began, the same at both nodes; UTC
	Basis        string             `json:"basis,omitempty"`       // 使用依据
	Operator     string             `json:"operator,omitempty"`    // 经办人代号, of a query: the consumer's pseudonym
	Trace        string             `json:"trace,omitempty"`       // W3C trace id: of a query, or of the first of the events that has one
	Asked        time.Time          `json:"asked,omitzero"`        // answered: when the provider's node let the query through, as that node says
	Replied      time.Time          `json:"replied,omitzero"`      // answered: when the provider's system began to answer, as that node says
}

// Leaf is a record with its place in the log, counted from 0.
type Leaf struct {
	Index  int64  `json:"index"`
	Record Record `json:"record"`
}

const digestPrefix = "sha256:"

// Digest gives the digest of a run of events: "sha256:" and the hex SHA-256
// over their own SHA-256 digests, concatenated in the order of sequence.
func Digest(events ...[sha256.Size]byte) string {
	h := sha256.New()
	for i := range events {
		h.Write(events[i][:])
	}
	return digestPrefix + hex.EncodeToString(h.Sum(nil))
}

// HasRange reports whether r is about a range of events.
func (r Record) HasRange() bool { return r.Last != 0 }

// Check returns every defect of r that keeps it from being a leaf.
func (r Record) Check() []bus.Defect {
	var defects []bus.Defect
	add := func(field, zh, en, allowed string) {
		defects = append(defects, bus.Defect{Field: field, Problem: bus.Text{ZH: zh, EN: en}, Allowed: allowed})
	}
	if !r.Kind.Known() {
		add("kind", "未知的存证类型", "not a kind of record", kindsAllowed())
	}
	if r.At.IsZero() {
		add("at", "必填", "required", "a time")
	}
	if (r.Kind == KindDecision) != (r.Decision != nil) {
		add("decision", "仅决策记录须带完整决策", "a decision record carries the whole decision, no other does", "")
	}
	if r.Decision != nil && (r.Decision.ID == "" || len(r.Decision.ID) > MaxDecisionID) {
		add("decision.id", "决策编号长度不正确", "the decision's id has the wrong length", fmt.Sprintf("1–%d bytes", MaxDecisionID))
	}
	if r.Kind == KindRefused && r.Code == "" {
		add("code", "必填", "required", "the stable code of the refusal")
	}
	if slices.Contains([]Kind{KindAdministered, KindExplained, KindInspected, KindReminded}, r.Kind) && r.Detail == "" {
		add("detail", "必填", "required", "what was done or told, one line")
	}
	if (r.Kind == KindRestored) != (r.Restored != nil) {
		add("restored", "仅恢复记录须带原日志信息", "a record of a restore names the former log, no other does", "")
	}
	if (r.Kind == KindArchived || r.Kind == KindPruned) != (r.Segment != nil) {
		add("segment", "仅归档记录须带归档段", "a record of an archived segment names it, no other does", "")
	}
	if (r.Kind == KindHeartbeat) != (r.Heartbeat != nil) {
		add("heartbeat", "仅心跳记录须带逐分钟心跳", "a record of a heartbeat has its minutes, no other does", "")
	}
	if r.Heartbeat != nil {
		defects = append(defects, r.Heartbeat.Check()...)
	}
	if r.Digest != "" && !validDigest(r.Digest) {
		add("digest", "摘要格式不正确", "not a digest", digestPrefix+" and 64 lower-case hex digits")
	}
	return append(append(defects, r.Grounds.check()...), r.checkRange()...)
}

func (r Record) checkRange() []bus.Defect {
	var defects []bus.Defect
	length := r.Last - r.First + 1
	switch {
	case (r.First == 0) != (r.Last == 0) || r.First > r.Last:
		defects = append(defects, bus.Defect{Field: "first", Problem: bus.Text{ZH: "序号范围不正确", EN: "not a range of sequence numbers"}, Allowed: "0, 0 or 1 ≤ first ≤ last"})
	case r.Events < 0 || r.HasRange() && uint64(r.Events) > length:
		defects = append(defects, bus.Defect{Field: "events", Problem: bus.Text{ZH: "事件数超出范围", EN: "more events than the range holds"}, Allowed: "0 to last − first + 1"})
	}
	if r.HasRange() { // the ids become parts of an index key
		defects = append(defects, bus.CheckID("resource", r.Resource)...)
		if r.Subscription != "" {
			defects = append(defects, bus.CheckID("subscription", r.Subscription)...)
		}
	}
	return defects
}

func validDigest(s string) bool {
	digits, ok := strings.CutPrefix(s, digestPrefix)
	sum, err := hex.DecodeString(digits)
	return ok && err == nil && len(sum) == sha256.Size && strings.ToLower(digits) == digits
}

func kindsAllowed() string {
	words := make([]string, len(kinds))
	for i, k := range kinds {
		words[i] = string(k)
	}
	return strings.Join(words, ", ")
}

// encode gives the canonical bytes of r.
func (r *Record) encode() ([]byte, error) {
	data, err := json.Marshal(r)
	if err != nil {
		return nil, fmt.Errorf("encode evidence: %w", err)
	}
	if len(data) > MaxLeaf {
		return nil, bus.E(bus.CodeTooLarge, bus.Defect{
			Problem: bus.Text{ZH: "存证记录过大", EN: "the evidence record is too large"},
			Allowed: fmt.Sprintf("at most %d bytes", MaxLeaf),
		})
	}
	return data, nil
}

// decode reads a leaf. It asks for no canonical bytes: those are the tree's to
// prove, and a later release may encode an old record otherwise.
func decode(data []byte) (Record, error) {
	var r Record
	if err := json.Unmarshal(data, &r); err != nil {
		return Record{}, fmt.Errorf("decode evidence: %w", err)
	}
	if r.V != RecordVersion {
		return Record{}, fmt.Errorf("decode evidence: version %d, this release reads %d", r.V, RecordVersion)
	}
	return r, nil
}
