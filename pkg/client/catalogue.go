package client

import (
	"context"
	"net/http"
	"net/url"
	"strconv"

	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/calendar"
)

// Libraries are the groups of resources by code (基础库, 主题库).
func (c *Client) Libraries() Removable[bus.LibraryID, bus.Library] {
	return Removable[bus.LibraryID, bus.Library]{Writable[bus.LibraryID, bus.Library]{
		Readable[bus.LibraryID, bus.Library]{c, "libraries"},
		func(l bus.Library) (bus.LibraryID, bus.Revision) { return l.ID, l.Revision },
	}}
}

// Claims are who is the one source of which item of an entity (一数一源); the id of
// one is "entity/item".
type Claims struct {
	Readable[string, bus.Claim]
}

// Claims returns the claims.
func (c *Client) Claims() Claims { return Claims{Readable[string, bus.Claim]{c, "claims"}} }

// Decide decides a claim, which must still have the given revision.
func (c Claims) Decide(ctx context.Context, id string, revision bus.Revision, d ClaimVerdict) (bus.Claim, error) {
	return post[bus.Claim](ctx, c.c, call{path: c.at(id, "decision"), header: expecting(revision)}, d)
}

// Triggers are what made changes of catalogue entries due.
type Triggers struct{ c *Client }

// Triggers returns the triggers.
func (c *Client) Triggers() Triggers { return Triggers{c} }

func (t Triggers) at(id bus.ResourceID, more ...string) []string {
	return append([]string{"resources", string(id), "triggers"}, more...)
}

// List returns the triggers that the caller may see, by resource.
func (t Triggers) List(ctx context.Context) ([]bus.Trigger, error) {
	return Readable[string, bus.Trigger]{t.c, "triggers"}.List(ctx)
}

// Read returns one trigger of a resource, numbered from 1.
func (t Triggers) Read(ctx context.Context, id bus.ResourceID, number int) (bus.Trigger, error) {
	return do[bus.Trigger](ctx, t.c, call{method: http.MethodGet, path: t.at(id, strconv.Itoa(number))})
}

// Record records a trigger: a change of the entry is then due.
func (t Triggers) Record(ctx context.Context, id bus.ResourceID, r TriggerRecord) (bus.Trigger, error) {
	return post[bus.Trigger](ctx, t.c, call{path: t.at(id)}, r)
}

// Extend asks for more time, once and before the change is due.
func (t Triggers) Extend(ctx context.Context, of bus.Trigger, r ExtensionRequest) (bus.Trigger, error) {
	return post[bus.Trigger](ctx, t.c, call{path: t.at(of.Resource, strconv.Itoa(of.Number), "extension"), header: expecting(of.Revision)}, r)
}

// Consent answers a request for more time, before the change is due.
func (t Triggers) Consent(ctx context.Context, of bus.Trigger, r Consent) (bus.Trigger, error) {
	return post[bus.Trigger](ctx, t.c, call{path: t.at(of.Resource, strconv.Itoa(of.Number), "consent"), header: expecting(of.Revision)}, r)
}

// Calendar returns the announced days of a year, of all years where it is 0.
func (c *Client) Calendar(ctx context.Context, year int) ([]calendar.Day, error) {
	query := url.Values{}
	if year != 0 {
		query.Set("year", strconv.Itoa(year))
	}
	answer, err := do[Days](ctx, c, call{method: http.MethodGet, path: []string{"calendar"}, query: query})
	return answer.Days, err
}

// UpdateCalendar adds announced days; each replaces what is known of its date.
func (c *Client) UpdateCalendar(ctx context.Context, days []calendar.Day) ([]calendar.Day, error) {
	call := call{method: http.MethodPut, path: []string{"calendar"}}
	call, err := call.withJSON(Days{days})
	if err != nil {
		return nil, err
	}
	answer, err := do[Days](ctx, c, call)
	return answer.Days, err
}

// Due works out when a term of working days ends that begins on a day, given as
// "2006-01-02".
func (c *Client) Due(ctx context.Context, start string, days int) (DueAnswer, error) {
	query := url.Values{"start": {start}, "days": {strconv.Itoa(days)}}
	return do[DueAnswer](ctx, c, call{method: http.MethodGet, path: []string{"calendar", "due"}, query: query})
}
