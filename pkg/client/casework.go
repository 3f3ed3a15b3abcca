package client

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"iter"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/cloudevents/sdk-go/v2/event"

	"github.com/gxbus/gxbus/pkg/bus"
)

// CorrectionReport is a doubt about data of a resource. Record is a digest or a
// reference that both departments understand; nothing personal belongs here.
type CorrectionReport struct {
	ID          bus.CorrectionID `json:"id,omitempty"`
	Resource    bus.ResourceID   `json:"resource"`
	Items       []bus.ItemID     `json:"items"`
	Record      string           `json:"record,omitempty"`
	Description string           `json:"description"`
	Event       string           `json:"event,omitempty"` // id of an event that shows it
}

// CorrectionStep is a step of the provider's (confirm, correct, explain) or the
// consumer's (pass, fail, accept, withdraw).
type CorrectionStep struct {
	Step bus.CorrectionStep `json:"step"`
	Text string             `json:"text,omitempty"`
}

// DisputeRaise opens a dispute.
type DisputeRaise struct {
	ID     bus.DisputeID `json:"id,omitempty"`
	About  bus.Subject   `json:"about"`
	Reason string        `json:"reason"`
}

// DisputeStep is a step of one of the sides: negotiate, submit or settle.
type DisputeStep struct {
	Step bus.DisputeStep `json:"step"`
	Text string          `json:"text"`
}

// DisputeVerdict decides a dispute.
type DisputeVerdict struct {
	Upheld  bool   `json:"upheld"` // for the raiser
	Opinion string `json:"opinion"`
}

// Corrections are the doubts about data and what became of them (校核).
type Corrections struct {
	Readable[bus.CorrectionID, bus.Correction]
}

// Corrections returns the corrections.
func (c *Client) Corrections() Corrections {
	return Corrections{Readable[bus.CorrectionID, bus.Correction]{c, "corrections"}}
}

// Report opens a correction. One without an id gets one here, so that a repeated
// request has no second effect.
func (c Corrections) Report(ctx context.Context, r CorrectionReport) (bus.Correction, error) {
	if r.ID == "" {
		r.ID = bus.CorrectionID(newID("c"))
	}
	return post[bus.Correction](ctx, c.c, call{path: []string{c.noun}}, r)
}

// Step takes a step of a correction, which must still have its revision.
func (c Corrections) Step(ctx context.Context, of bus.Correction, s CorrectionStep) (bus.Correction, error) {
	return post[bus.Correction](ctx, c.c, call{path: c.at(of.ID, "steps"), header: expecting(of.Revision)}, s)
}

// Disputes are the disagreements of departments over sharing (争议).
type Disputes struct {
	Readable[bus.DisputeID, bus.Dispute]
}

// Disputes returns the disputes.
func (c *Client) Disputes() Disputes {
	return Disputes{Readable[bus.DisputeID, bus.Dispute]{c, "disputes"}}
}

// Raise opens a dispute. One without an id gets one here.
func (d Disputes) Raise(ctx context.Context, r DisputeRaise) (bus.Dispute, error) {
	if r.ID == "" {
		r.ID = bus.DisputeID(newID("d"))
	}
	return post[bus.Dispute](ctx, d.c, call{path: []string{d.noun}}, r)
}

// Step takes a step of a dispute, which must still have its revision.
func (d Disputes) Step(ctx context.Context, of bus.Dispute, s DisputeStep) (bus.Dispute, error) {
	return post[bus.Dispute](ctx, d.c, call{path: d.at(of.ID, "steps"), header: expecting(of.Revision)}, s)
}

// Decide decides a dispute, which must still have its revision.
func (d Disputes) Decide(ctx context.Context, of bus.Dispute, v DisputeVerdict) (bus.Dispute, error) {
	return post[bus.Dispute](ctx, d.c, call{path: d.at(of.ID, "decision"), header: expecting(of.Revision)}, v)
}

func newID(kind string) string { return kind + "-" + strings.ToLower(rand.Text()[:12]) }

// Tasks returns what awaits the caller (待办): the nearest deadline first.
func (c *Client) Tasks(ctx context.Context) ([]bus.Task, error) {
	return Readable[string, bus.Task]{c, "tasks"}.List(ctx)
}

// Inspection says which use records of a resource are wanted; what is empty does
// not limit.
type Inspection struct {
	Grant    bus.GrantID
	Consumer bus.USCC
	From, To time.Time // To is exclusive
}

// UsePage is a page of use records. Home is the node that serves the provider,
// where that is another than the one that answers.
type UsePage struct {
	Items []bus.UseRecord `json:"items"`
	Next  *int64          `json:"next,omitempty"` // leaf to go on after; absent: that was all
	Node  bus.NodeID      `json:"node"`           // whose evidence this is
	Home  bus.NodeID      `json:"home,omitempty"`
}

// Uses yields the pages of how a resource was used, as the evidence of the node
// has it. A page can be empty.
func (c *Client) Uses(ctx context.Context, id bus.ResourceID, q Inspection) iter.Seq2[UsePage, error] {
	filter := map[string]string{"grant": string(q.Grant), "consumer": string(q.Consumer), "from": moment(q.From), "to": moment(q.To)}
	return leafPages(ctx, c, []string{"resources", string(id), "uses"}, filter, func(p UsePage) *int64 { return p.Next })
}

// leafPages yields the pages of what a node reads from its evidence; next is the leaf
// to go on after. What is empty in filter does not limit.
func leafPages[P any](ctx context.Context, c *Client, path []string, filter map[string]string, next func(P) *int64) iter.Seq2[P, error] {
	return func(yield func(P, error) bool) {
		query := given(filter)
		for {
			page, err := do[P](ctx, c, call{method: http.MethodGet, path: path, query: query})
			if !yield(page, err) || err != nil || next(page) == nil {
				return
			}
			query.Set("after", strconv.FormatInt(*next(page), 10))
		}
	}
}

func moment(at time.Time) string {
	if at.IsZero() {
		return ""
	}
	return at.Format(time.RFC3339)
}

// Reminder says that a deadline of the caller's department comes near or has
// passed. A node tells each once; where the department has moved it may come again,
// with the same id.
type Reminder struct {
	ID        string
	Overdue   bool
	Threshold bus.Threshold
	Task      bus.Task // as it was then
	Event     event.Event
}

// ReminderData is the data of a reminder's event.
type ReminderData struct {
	Threshold bus.Threshold `json:"threshold"`
	Task      bus.Task      `json:"task"`
}

// WatchTasks yields the reminders of the caller's department after a number, or
// from Now on. It connects again whenever the connection breaks. The last pair is an error.
func (c *Client) WatchTasks(ctx context.Context, from bus.Revision) iter.Seq2[Reminder, error] {
	return watch(ctx, c, call{path: []string{"reminders"}, query: url.Values{}}, from, func(m message) (r Reminder, err error) {
		if err := json.Unmarshal(m.data, &r.Event); err != nil {
			return r, notUnderstood(err)
		}
		var d ReminderData
		if err := json.Unmarshal(r.Event.Data(), &d); err != nil {
			return r, notUnderstood(err)
		}
		r.ID, r.Threshold, r.Task, r.Overdue = r.Event.ID(), d.Threshold, d.Task, d.Threshold == bus.ThresholdOverdue
		return r, nil
	})
}
