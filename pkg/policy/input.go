package policy

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/gxbus/gxbus/pkg/bus"
)

// InputVersion is the version of the input document that this package makes.
const InputVersion = 1

// Action is what is being decided.
type Action string

// The actions of this version. Download is reserved: the base policy refuses it.
const (
	ActionPublish   Action = "publish"   // a provider hands an event to its node
	ActionSubscribe Action = "subscribe" // a consumer registers a subscription
	ActionForward   Action = "forward"   // the provider's node sends events on
	ActionDeliver   Action = "deliver"   // the consumer's node hands events out
	ActionDiscover  Action = "discover"  // somebody finds a resource in the directory; nothing about a use is in the input
	ActionQuery     Action = "query"     // a consumer asks the provider's system, at both nodes
	ActionApply     Action = "apply"     // a department applies for data, which people answer
	ActionDownload  Action = "download"
)

// Known reports whether a is an action of this version.
func (a Action) Known() bool {
	switch a {
	case ActionPublish, ActionSubscribe, ActionForward, ActionDeliver, ActionDiscover, ActionQuery, ActionApply, ActionDownload:
		return true
	}
	return false
}

// Stage is which side's node evaluates.
type Stage string

// The stages.
const (
	StageProvider Stage = "provider"
	StageConsumer Stage = "consumer"
)

// Input is the document that policies see as `input`. What is empty (a list, a
// grant, an event, a text) is an absent key, so that policies never meet null.
type Input struct {
	Version   int            `json:"version"` // InputVersion
	Action    Action         `json:"action"`
	Stage     Stage          `json:"stage"`
	Time      Instant        `json:"time"`     // when the node was asked
	Consumer  Party          `json:"consumer"` // who receives; empty on publish
	Provider  Party          `json:"provider"` // who provides
	Resource  Resource       `json:"resource"`
	Grant     *Grant         `json:"grant,omitempty"`
	Purpose   bus.Purpose    `json:"purpose,omitempty"`  // of this use; the grant lists its own
	Matter    string         `json:"matter,omitempty"`   // 实施清单编码
	Case      string         `json:"case,omitempty"`     // 办件号
	Basis     string         `json:"basis,omitempty"`    // 使用依据
	Operator  string         `json:"operator,omitempty"` // 经办人代号, of a query
	Items     []bus.ItemID   `json:"items,omitempty"`    // asked for; none listed: all that is allowed
	Event     Event          `json:"event,omitempty"`
	Directory DirectoryState `json:"directory"`
}

// Party is one side of an exchange.
type Party struct {
	Department bus.USCC           `json:"department,omitempty"`
	Division   bus.DivisionCode   `json:"division,omitempty"`  // the department's
	Divisions  []bus.DivisionCode `json:"divisions,omitempty"` // Division and its ancestors, nearest first
	System     bus.SystemID       `json:"system,omitempty"`    // the calling system, where one calls
	Role       bus.Role           `json:"role,omitempty"`      // of an administrator, who is of no department
}

// Resource is the part of a resource that policies may look at.
type Resource struct {
	ID       bus.ResourceID     `json:"id"`
	Provider bus.USCC           `json:"provider"` // the department that owns it
	Codes    []bus.ResourceCode `json:"codes,omitempty"`
	Name     string             `json:"name"`
	Sharing  Sharing            `json:"sharing"`
	Items    []Item             `json:"items,omitempty"`
	Network  string             `json:"network,omitempty"` // government, internet, departmental
	Revision bus.Revision       `json:"revision"`
}

// Sharing is a resource's sharing attribute.
type Sharing struct {
	Type     bus.SharingType `json:"type"`
	Range    string          `json:"range,omitempty"`
	Purposes []bus.Purpose   `json:"purposes,omitempty"`
}

// Item is an information item of a resource.
type Item struct {
	ID       bus.ItemID      `json:"id"`
	Type     string          `json:"type"`
	Grade    int             `json:"grade"`              // 1 (lowest) – 4
	Sharing  bus.SharingType `json:"sharing,omitempty"`  // where it differs from the resource's
	Semantic bus.Semantic    `json:"semantic,omitempty"` // what it means
	Personal bool            `json:"personal,omitempty"` // personal information, by what it means or as its provider says
}

// Grant is the consent that a use relies on.
type Grant struct {
	ID          bus.GrantID       `json:"id"`
	Resource    bus.ResourceID    `json:"resource"`
	Consumer    bus.USCC          `json:"consumer"`
	Purposes    []bus.Purpose     `json:"purposes,omitempty"`
	Items       []bus.ItemID      `json:"items,omitempty"`
	Matters     []string          `json:"matters,omitempty"`     // none listed: any
	Division    bus.DivisionCode  `json:"division,omitempty"`    // about this division and those below; none: all
	Mode        string            `json:"mode,omitempty"`        // 共享方式 that was consented to; none: any
	Application bus.ApplicationID `json:"application,omitempty"` // that it answers; none: it registers an agreement
	NotBefore   Instant           `json:"not_before"`
	NotAfter    Instant           `json:"not_after"` // exclusive
	Suspended   bool              `json:"suspended"`
	Revoked     bool              `json:"revoked"`
}

// Event is the context attributes of a CloudEvent by name, in their canonical
// string form.
type Event map[string]string

// DirectoryState says how fresh the node's directory replica is.
type DirectoryState struct {
	Index      bus.Revision `json:"index"`       // last applied directory index
	AgeSeconds int          `json:"age_seconds"` // since the leader was last heard
}

// ResourceOf gives the part of r that policies may look at.
func ResourceOf(r bus.Resource) Resource {
	items := make([]Item, len(r.Items))
	for i, it := range r.Items {
		items[i] = Item{ID: it.ID, Type: it.Type, Grade: it.Grade, Sharing: it.Sharing, Semantic: it.Semantic, Personal: it.IsPersonal()}
	}
	return Resource{
		ID: r.ID, Provider: r.Provider, Codes: r.Codes, Name: r.Name, Items: items, Network: r.Network, Revision: r.Revision,
		Sharing: Sharing{Type: r.Sharing.Type, Range: r.Sharing.Range, Purposes: r.Sharing.Purposes},
	}
}

// GrantOf gives the part of g that policies may look at.
func GrantOf(g bus.Grant) *Grant {
	seen := &Grant{
		ID: g.ID, Resource: g.Resource, Consumer: g.Consumer, Purposes: g.Purposes, Items: g.Items, Matters: g.Matters, Division: g.Division,
		NotBefore: Instant{g.NotBefore}, NotAfter: Instant{g.NotAfter}, Suspended: g.Suspended != "", Revoked: g.Revoked != "",
	}
	if g.Consent != nil {
		seen.Mode, seen.Application = g.Consent.Mode, g.Consent.Application
	}
	return seen
}

// requested lists the items that in asks for, each once, in order.
func (in Input) requested() []bus.ItemID {
	if len(in.Items) == 0 {
		all := make([]bus.ItemID, len(in.Resource.Items))
		for i, it := range in.Resource.Items {
			all[i] = it.ID
		}
		return all
	}
	seen := make(map[bus.ItemID]bool, len(in.Items))
	var once []bus.ItemID
	for _, id := range in.Items {
		if !seen[id] {
			seen[id] = true
			once = append(once, id)
		}
	}
	return once
}

// Instant is a point in time that policies see as RFC 3339 in UTC with exactly
// nine decimals, "2026-01-02T03:04:05.000000000Z", so that policies compare
// instants as strings and a year 9999 does not overflow.
type Instant struct{ time.Time }

const instantLayout = "2006-01-02T15:04:05.000000000Z"

// String gives the fixed-width form.
func (t Instant) String() string { return t.UTC().Format(instantLayout) }

// MarshalJSON writes the fixed-width form. It fails outside the years 0–9999.
func (t Instant) MarshalJSON() ([]byte, error) {
	if y := t.UTC().Year(); y < 0 || y > 9999 {
		return nil, fmt.Errorf("year %d is outside 0–9999", y)
	}
	return json.Marshal(t.String())
}

// UnmarshalJSON reads any RFC 3339 time.
func (t *Instant) UnmarshalJSON(data []byte) error { return t.Time.UnmarshalJSON(data) }
