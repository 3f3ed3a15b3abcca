// Package command defines the entries of the directory's replicated log: what
// can be asked of the directory, as bytes that every later release still reads.
//
// Types and versions are append-only. A body gains a field only where its
// absence keeps the old meaning; any other change is a new version beside the
// old one, and testdata keeps the bytes of each. What an entry does to the
// directory is package state's business.
package command

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"time"

	jsonv2 "github.com/go-json-experiment/json"

	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/calendar"
	"github.com/gxbus/gxbus/pkg/strictjson"
)

// Type names what an entry asks for.
type Type string

// The entry types.
const (
	ClusterInit        Type = "cluster.init"
	TokenCreate        Type = "token.create"
	NodeJoin           Type = "node.join"
	NodePut            Type = "node.put"
	NodePlace          Type = "node.place"
	NodeRemove         Type = "node.remove"
	DivisionAssign     Type = "division.assign"
	RootAdd            Type = "root.add"
	RootCross          Type = "root.cross"
	RootRetire         Type = "root.retire"
	DivisionPut        Type = "division.put"
	DepartmentPut      Type = "department.put"
	DepartmentDelete   Type = "department.delete"
	DepartmentMove     Type = "department.move"
	DepartmentAbort    Type = "department.move-abort"
	DepartmentMoved    Type = "department.moved"
	SystemPut          Type = "system.put"
	ResourceWithdraw   Type = "resource.withdraw"
	DraftPut           Type = "draft.put"
	DraftDelete        Type = "draft.delete"
	DraftSubmit        Type = "draft.submit"
	DraftReview        Type = "draft.review"
	DraftImport        Type = "draft.import"
	ClaimDecide        Type = "claim.decide"
	TriggerRecord      Type = "trigger.record"
	TriggerExtend      Type = "trigger.extend"
	TriggerConsent     Type = "trigger.consent"
	CalendarPut        Type = "calendar.put"
	LibraryPut         Type = "library.put"
	LibraryDelete      Type = "library.delete"
	GrantPut           Type = "grant.put"
	GrantRevoke        Type = "grant.revoke"
	GrantConfirm       Type = "grant.confirm"
	SubscriptionPut    Type = "subscription.put"
	SubscriptionDelete Type = "subscription.delete"
	SubscriptionStep   Type = "subscription.step"
	AccountPut         Type = "account.put"
	CheckpointPut      Type = "checkpoint.put"
	Tick               Type = "tick"
	CredentialAdd      Type = "system.credential-add"
	CredentialEnd      Type = "system.credential-end"
	LayerPush          Type = "layer.push"
	LayerActivate      Type = "layer.activate"
	LayerDiscard       Type = "layer.discard"

	ApplicationPut      Type = "application.put"
	ApplicationDelete   Type = "application.delete"
	ApplicationSubmit   Type = "application.submit"
	ApplicationAnswer   Type = "application.answer"
	ApplicationWithdraw Type = "application.withdraw"
	ApplicationExtend   Type = "application.extend"
	ApplicationConsent  Type = "application.consent"
	GrantStop           Type = "grant.stop"
	GrantDelivered      Type = "grant.delivered"
	AttachmentPut       Type = "attachment.put"
	CorrectionReport    Type = "correction.report"
	CorrectionStep      Type = "correction.step"
	DisputeRaise        Type = "dispute.raise"
	DisputeStep         Type = "dispute.step"
	DisputeDecide       Type = "dispute.decide"

	SchemePropose  Type = "scheme.propose"
	SchemeActivate Type = "scheme.activate"
	ReportPublish  Type = "report.publish"
)

// MaxSize is the largest entry in bytes; a larger import is split.
const MaxSize = 512 << 10

// Entry is one entry of the log. Its bytes are its head and its body, each compact
// JSON, with a tab between them: JSON escapes a tab inside a text, so that the
// body is found, and handed on, without being read.
type Entry struct {
	Type      Type            `json:"type"`
	Version   int             `json:"v"`
	At        time.Time       `json:"at"`                // leader's clock when it was proposed
	Node      bus.NodeID      `json:"node"`              // where it entered the bus
	Principal bus.Principal   `json:"by"`                // who asked
	Request   string          `json:"request,omitempty"` // repeat-safe: the second is answered as the first
	Expect    bus.Revision    `json:"expect,omitempty"`  // revision it changes; 0: must not exist
	Body      json.RawMessage `json:"-"`                 // compact

	holds reflect.Type // what a body was made from; nil where it was read
	made  *byte        // where that body begins
}

// Bodies that are not simply a noun of package bus.
type (
	// Init is the body of ClusterInit.
	Init struct {
		Cluster   string         `json:"cluster"`
		CA        string         `json:"ca"` // PEM certificate
		Divisions []bus.Division `json:"divisions"`
		Node      bus.Node       `json:"node"`
		Accounts  []bus.Account  `json:"accounts"`
		Calendar  []calendar.Day `json:"calendar,omitempty"`
		Libraries []bus.Library  `json:"libraries,omitempty"`
	}
	// Join is the body of NodeJoin: a token redeemed by the holder of a key.
	Join struct {
		Token      bus.TokenID `json:"token"`
		SecretHash []byte      `json:"secret_hash"` // SHA-256 of the presented secret
		KeyHash    []byte      `json:"key_hash"`    // SHA-256 of the node's public key
		Node       bus.Node    `json:"node"`
	}
	// Place is the body of NodePlace: what a node is meant to be.
	Place struct {
		Node     bus.NodeID `json:"node"`
		Voter    bool       `json:"voter"`
		Draining bool       `json:"draining"`
	}
	// Assign is the body of DivisionAssign: a division without a node gets one.
	Assign struct {
		Division bus.DivisionCode `json:"division"`
		Node     bus.NodeID       `json:"node"`
	}
	// Cross is the body of RootCross: the newest root, signed by the one before it.
	Cross struct {
		Fingerprint string `json:"fingerprint"` // of the newest root
		Certificate []byte `json:"certificate"` // DER
	}
	// RetireRoot is the body of RootRetire.
	RetireRoot struct {
		Fingerprint string `json:"fingerprint"` // of the older root
		Force       bool   `json:"force"`       // though nodes still have certificates under it
	}
	// Key is the body of NodeRemove, ApplicationSubmit, LayerDiscard and the Delete
	// types.
	Key struct {
		ID string `json:"id"`
	}
	// Withdrawal is the body of ResourceWithdraw.
	Withdrawal struct {
		Resource bus.ResourceID `json:"resource"`
		Reason   string         `json:"reason"`
	}
	// Submission is the body of DraftSubmit. One draft is refused as such; of
	// several each is answered for itself.
	Submission struct {
		Drafts []bus.DraftRef `json:"drafts"`
	}
	// Review is the body of DraftReview, answered as a Submission is.
	Review struct {
		Drafts  []bus.DraftRef `json:"drafts"`
		Approve bool           `json:"approve"`
		Opinion string         `json:"opinion,omitempty"`
	}
	// Import is the body of DraftImport: each draft is answered for itself.
	Import struct {
		Drafts []bus.DraftContent `json:"drafts"`
		Submit bool               `json:"submit,omitempty"` // the complete ones
	}
	// Decision is the body of ClaimDecide: between the source of an item of an
	// entity and a resource that disputes it.
	Decision struct {
		Entity   bus.EntityID   `json:"entity"`
		Item     bus.ItemID     `json:"item"`
		Resource bus.ResourceID `json:"resource"`
		Transfer bool           `json:"transfer"` // to that resource
		Reason   string         `json:"reason"`
	}
	// Trigger is the body of TriggerRecord.
	Trigger struct {
		Resource    bus.ResourceID  `json:"resource"`
		Kind        bus.TriggerKind `json:"kind"`
		At          time.Time       `json:"at"`
		Description string          `json:"description"`
	}
	// Extension is the body of TriggerExtend.
	Extension struct {
		Resource bus.ResourceID `json:"resource"`
		Number   int            `json:"number"`
		Days     int            `json:"days"`
		Reason   string         `json:"reason"`
	}
	// Consent is the body of TriggerConsent.
	Consent struct {
		Resource bus.ResourceID `json:"resource"`
		Number   int            `json:"number"`
		Approve  bool           `json:"approve"`
		Opinion  string         `json:"opinion,omitempty"`
	}
	// Days is the body of CalendarPut.
	Days struct {
		Days []calendar.Day `json:"days"`
	}
	// Revoke is the body of GrantRevoke.
	Revoke struct {
		Grant  bus.GrantID `json:"grant"`
		Reason string      `json:"reason"`
	}
	// Confirm is the body of GrantConfirm: suspended grants that stand again.
	Confirm struct {
		Grants []bus.GrantID `json:"grants"`
	}
	// SubscriptionStepped is the body of SubscriptionStep.
	SubscriptionStepped struct {
		Subscription bus.SubscriptionID   `json:"subscription"`
		Step         bus.SubscriptionStep `json:"step"`
		From         string               `json:"from,omitempty"` // of a replay
	}
	// Move is the body of DepartmentMove: a department is to be served by
	// another node.
	Move struct {
		Department bus.USCC   `json:"department"`
		To         bus.NodeID `json:"to"`
		Abandon    bool       `json:"abandon,omitempty"` // without its events: the node that serves it is lost
	}
	// Moved is the body of DepartmentMoved: the new node has all of it on its
	// disk.
	Moved struct {
		Department bus.USCC     `json:"department"`
		Epoch      bus.Revision `json:"epoch"` // of the move
	}
	// NewCredential is the body of CredentialAdd: one more credential of a system.
	// Those of its kind that are live then end at Overlap, if they would not before.
	NewCredential struct {
		System     bus.SystemID   `json:"system"`
		Credential bus.Credential `json:"credential"`
		Overlap    time.Time      `json:"overlap,omitzero"`
	}
	// EndCredential is the body of CredentialEnd: it is good no more.
	EndCredential struct {
		System     bus.SystemID     `json:"system"`
		Credential bus.CredentialID `json:"credential"`
	}
	// Push is the body of LayerPush: the draft of a layer, which replaces the one that
	// is expected.
	Push struct {
		Layer bus.LayerID `json:"layer"`
		bus.LayerPush
		Report *bus.LayerReport `json:"report,omitempty"` // of the node that was asked
	}
	// Activation is the body of LayerActivate: the draft that is expected comes into
	// force.
	Activation struct {
		Layer bus.LayerID `json:"layer"`
		Note  string      `json:"note,omitempty"`
	}
	// CorrectionReported is the body of CorrectionReport.
	CorrectionReported struct {
		ID          bus.CorrectionID `json:"id"`
		Resource    bus.ResourceID   `json:"resource"`
		Items       []bus.ItemID     `json:"items"`
		Record      string           `json:"record,omitempty"`
		Description string           `json:"description"`
		Event       string           `json:"event,omitempty"`
	}
	// CorrectionStepped is the body of CorrectionStep: any step but the report and
	// those of a dispute.
	CorrectionStepped struct {
		Correction bus.CorrectionID   `json:"correction"`
		Step       bus.CorrectionStep `json:"step"`
		Text       string             `json:"text,omitempty"`
	}
	// DisputeRaised is the body of DisputeRaise.
	DisputeRaised struct {
		ID     bus.DisputeID `json:"id"`
		About  bus.Subject   `json:"about"`
		Reason string        `json:"reason"`
	}
	// DisputeStepped is the body of DisputeStep: negotiate, submit or settle.
	DisputeStepped struct {
		Dispute bus.DisputeID   `json:"dispute"`
		Step    bus.DisputeStep `json:"step"`
		Text    string          `json:"text"`
	}
	// DisputeDecided is the body of DisputeDecide.
	DisputeDecided struct {
		Dispute bus.DisputeID `json:"dispute"`
		Upheld  bool          `json:"upheld"` // for the raiser
		Opinion string        `json:"opinion"`
	}
	// Empty is the body of Tick.
	Empty struct{}
)

// New makes a version 1 entry.
func New(t Type, by bus.Principal, request string, expect bus.Revision, body any) (Entry, error) {
	data, err := json.Marshal(body)
	if err != nil {
		return Entry{}, fmt.Errorf("encode %s: %w", t, err)
	}
	return Entry{Type: t, Version: 1, Principal: by, Request: request, Expect: expect, Body: data, holds: reflect.TypeOf(body), made: &data[0]}, nil
}

// Holds reports whether the body was made, here and now, from a value of type t, so
// that nobody need read it to know that it can be read.
func (e Entry) Holds(t reflect.Type) bool {
	return e.holds == t && len(e.Body) > 0 && e.made == &e.Body[0]
}

// What stands between the parts of an entry, and between entries.
const (
	headEnd  = '\t'
	entryEnd = '\n'
)

// Encode gives the bytes of e; CodeTooLarge above MaxSize. Whether the body fits
// the type, state.Known says; one that would reach into the next entry is refused
// here.
func (e Entry) Encode() ([]byte, error) {
	data, err := json.Marshal(e)
	if err != nil {
		return nil, fmt.Errorf("encode entry: %w", err)
	}
	if len(e.Body) == 0 || bytes.ContainsAny(e.Body, "\t\n") {
		return nil, fmt.Errorf("encode entry: the body of %s is not compact JSON", e.Type)
	}
	data = append(append(data, headEnd), e.Body...)
	if len(data) > MaxSize {
		return nil, bus.E(bus.CodeTooLarge, bus.Defect{
			Problem: bus.Text{ZH: "目录写入过大", EN: "the directory write is too large"}, Allowed: fmt.Sprintf("%d bytes", MaxSize),
		})
	}
	return data, nil
}

// Together makes one entry of the log from several, each encoded: they are applied
// together, in order, under one index. None has a line feed inside, for JSON
// escapes them.
func Together(entries [][]byte) []byte { return bytes.Join(entries, []byte{entryEnd}) }

// Split gives the entries that were put together.
func Split(data []byte) [][]byte { return bytes.Split(data, []byte{entryEnd}) }

// ErrUnknown means that an entry is of a type or version, or has a field, that
// this release does not know: it was written by a newer one, and going on would
// make replicas differ.
var ErrUnknown = errors.New("log entry of an unknown type, version or field: upgrade this node")

// Decode reads an entry. Its type and version may still be unknown to state, and
// its body may not fit them. The body is a part of data.
func Decode(data []byte) (Entry, error) {
	head, body, whole := bytes.Cut(data, []byte{headEnd})
	if !whole {
		return Entry{}, fmt.Errorf("%w: there is no body", ErrUnknown)
	}
	e := Entry{Body: body}
	if err := decode(head, &e); err != nil {
		return Entry{}, fmt.Errorf("%w: %w", ErrUnknown, err)
	}
	return e, nil
}

// DecodeBody reads the body of e into a pointer to one of the bodies above or to
// a noun of package bus.
func (e Entry) DecodeBody(body any) error {
	if err := decode(e.Body, body); err != nil {
		return fmt.Errorf("%w: body of %s: %w", ErrUnknown, e.Type, err)
	}
	return nil
}

// decode refuses what it would otherwise drop in silence: a replica of an older
// release would then keep less than the others.
func decode(data []byte, v any) error {
	return strictjson.Own(data, v, jsonv2.RejectUnknownMembers(true))
}
