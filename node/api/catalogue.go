package api

import (
	"context"
	"net/http"
	"strconv"

	"github.com/danielgtaylor/huma/v2"
	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/calendar"
	"github.com/gxbus/gxbus/pkg/client"
	"github.com/gxbus/gxbus/pkg/directory/command"
	"github.com/gxbus/gxbus/pkg/directory/state"
)

// addCatalogue registers what stands around the catalogue's entries: their
// triggers, who is the source of what, libraries and the calendar.
func (a *API) addCatalogue(h huma.API) {
	a.addTriggers(h)
	a.addClaims(h)
	a.addLibraries(h)
	a.addCalendar(h)
}

// TriggerPath is the path of one trigger.
type TriggerPath struct {
	ByID
	Number int `path:"number" minimum:"1" maximum:"999999"`
}

func (a *API) addTriggers(h huma.API) {
	op := func(id, method, path, summary, description string) huma.Operation {
		return huma.Operation{OperationID: id, Method: method, Path: "/api/v1" + path, Tags: []string{"triggers"}, Summary: summary, Description: description}
	}
	handle(a, h, op("list-triggers", http.MethodGet, "/triggers", "List triggers", "What made changes of catalogue entries due, as far as the caller may see."),
		func(_ context.Context, p bus.Principal, _ *struct{}) (*answer[list[bus.Trigger]], error) {
			return a.triggers(p)
		})
	handle(a, h, op("show-trigger", http.MethodGet, "/resources/{id}/triggers/{number}", "Show trigger", ""),
		func(_ context.Context, p bus.Principal, in *TriggerPath) (*answer[bus.Trigger], error) {
			return a.trigger(p, in.ID, in.Number)
		})
	type record struct {
		ByID
		Sent[client.TriggerRecord]
	}
	recorded := op("record-trigger", http.MethodPost, "/resources/{id}/triggers", "Record trigger", "A change of the entry is then due in 10 working days.")
	handle(a, h, describes[client.TriggerRecord](a, h, recorded), func(ctx context.Context, p bus.Principal, in *record) (*answer[bus.Trigger], error) {
		t, err := in.decode()
		if err != nil {
			return nil, err
		}
		if err := a.foundToChange(ctx, p, in.ID); err != nil {
			return nil, err
		}
		id := bus.ResourceID(in.ID)
		result, err := a.write(ctx, p, command.TriggerRecord, 0, command.Trigger{Resource: id, Kind: t.Kind, At: t.At, Description: t.Description}, in.ID)
		if err != nil {
			return nil, err
		}
		number := 0
		err = a.Directory.View(func(tx *state.Tx) error {
			for t := range tx.TriggersOf(id) {
				if t.Revision <= result.Revision {
					number = t.Number
				}
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
		return a.trigger(p, in.ID, number)
	})
	type extension struct {
		TriggerPath
		Expected
		Sent[client.ExtensionRequest]
	}
	extend := op("extend-trigger", http.MethodPost, "/resources/{id}/triggers/{number}/extension", "Ask for more time", "Once, before it is due; it counts once the data authority consents.")
	handle(a, h, describes[client.ExtensionRequest](a, h, extend), func(ctx context.Context, p bus.Principal, in *extension) (*answer[bus.Trigger], error) {
		e, err := in.decode()
		if err != nil {
			return nil, err
		}
		body := command.Extension{Resource: bus.ResourceID(in.ID), Number: in.Number, Days: e.Days, Reason: e.Reason}
		return a.writeTrigger(ctx, p, command.TriggerExtend, in.Expected, in.TriggerPath, body)
	})
	type consent struct {
		TriggerPath
		Expected
		Sent[client.Consent]
	}
	answered := op("consent-trigger", http.MethodPost, "/resources/{id}/triggers/{number}/consent", "Answer a request for more time", "Before it is due.")
	handle(a, h, describes[client.Consent](a, h, answered), func(ctx context.Context, p bus.Principal, in *consent) (*answer[bus.Trigger], error) {
		c, err := in.decode()
		if err != nil {
			return nil, err
		}
		body := command.Consent{Resource: bus.ResourceID(in.ID), Number: in.Number, Approve: c.Approve, Opinion: c.Opinion}
		return a.writeTrigger(ctx, p, command.TriggerConsent, in.Expected, in.TriggerPath, body)
	})
}

func (a *API) writeTrigger(ctx context.Context, p bus.Principal, t command.Type, expected Expected, at TriggerPath, body any) (*answer[bus.Trigger], error) {
	expect, err := expected.revision()
	if err != nil {
		return nil, err
	}
	if _, err := a.write(ctx, p, t, expect, body, at.ID+"/"+strconv.Itoa(at.Number)); err != nil {
		return nil, err
	}
	return a.trigger(p, at.ID, at.Number)
}

func (a *API) triggers(p bus.Principal) (*answer[list[bus.Trigger]], error) {
	out := &answer[list[bus.Trigger]]{Body: list[bus.Trigger]{Items: []bus.Trigger{}}}
	var err error
	out.Stamp, err = a.read(func(tx *state.Tx) error {
		days := tx.Calendar()
		for t := range tx.Triggers() {
			if tx.Sees(p, tx.Provider(t.Resource)) {
				out.Body.Items = append(out.Body.Items, a.shownTrigger(days, t))
			}
		}
		return nil
	})
	return out, err
}

func (a *API) trigger(p bus.Principal, id string, number int) (*answer[bus.Trigger], error) {
	out := &answer[bus.Trigger]{}
	var err error
	out.Stamp, err = a.read(func(tx *state.Tx) error {
		t, ok := tx.Trigger(bus.ResourceID(id), number)
		if !ok || !tx.Sees(p, tx.Provider(t.Resource)) {
			return bus.NotFound("trigger", id+"/"+strconv.Itoa(number))
		}
		out.Body, out.ETag = a.shownTrigger(tx.Calendar(), t), etag(t.Revision)
		return nil
	})
	return out, err
}

// shownTrigger is a trigger with when its change is, or was, due.
func (a *API) shownTrigger(days calendar.Calendar, t bus.Trigger) bus.Trigger {
	at := a.Now()
	if t.Met != nil {
		at = *t.Met
	}
	deadline := days.Deadline(t.At, t.Days()).At(at)
	t.Deadline = &deadline
	return t
}

func (a *API) addClaims(h huma.API) {
	type ClaimPath struct {
		Entity string `path:"entity" maxLength:"63" pattern:"^[0-9a-z-]+$"`
		Item   string `path:"item" maxLength:"64" pattern:"^[0-9A-Za-z_]+$"`
	}
	type decision struct {
		ClaimPath
		Expected
		Sent[client.ClaimVerdict]
	}
	op := func(id, method, at, summary, description string) huma.Operation {
		return huma.Operation{OperationID: id, Method: method, Path: "/api/v1/claims" + at, Tags: []string{"claims"}, Summary: summary, Description: description}
	}
	find := func(tx *state.Tx, id ClaimPath) (bus.Claim, bool) {
		return tx.Claim(bus.EntityID(id.Entity), bus.ItemID(id.Item))
	}
	show := func(p bus.Principal, id ClaimPath) (*answer[bus.Claim], error) {
		n := noun[bus.Claim]{
			tag:      "claim",
			find:     func(tx *state.Tx, _ string) (bus.Claim, bool) { return find(tx, id) },
			revision: func(c bus.Claim) bus.Revision { return c.Revision },
			visible:  (*state.Tx).SeesClaim,
		}
		return n.showing(a, p, id.Entity+"/"+id.Item)
	}
	handle(a, h, op("list-claims", http.MethodGet, "", "List claims", "Who is the one source of which item, as far as the caller may see."),
		func(_ context.Context, p bus.Principal, _ *struct{}) (*answer[list[bus.Claim]], error) {
			return noun[bus.Claim]{list: (*state.Tx).Claims, visible: (*state.Tx).SeesClaim}.listed(a, p)
		})
	handle(a, h, op("show-claim", http.MethodGet, "/{entity}/{item}", "Show claim", ""),
		func(_ context.Context, p bus.Principal, in *ClaimPath) (*answer[bus.Claim], error) {
			return show(p, *in)
		})
	decide := op("decide-claim", http.MethodPost, "/{entity}/{item}/decision", "Decide a claim", "Confirm the source, or transfer it; by the authority of the lowest division that both are of.")
	handle(a, h, describes[client.ClaimVerdict](a, h, decide), func(ctx context.Context, p bus.Principal, in *decision) (*answer[bus.Claim], error) {
		expect, err := in.revision()
		if err != nil {
			return nil, err
		}
		d, err := in.decode()
		if err != nil {
			return nil, err
		}
		body := command.Decision{Entity: bus.EntityID(in.Entity), Item: bus.ItemID(in.Item), Resource: d.Resource, Transfer: d.Transfer, Reason: d.Reason}
		if _, err := a.write(ctx, p, command.ClaimDecide, expect, body, in.Entity+"/"+in.Item+" "+string(d.Resource)); err != nil {
			return nil, err
		}
		return show(p, in.ClaimPath)
	})
}

func (a *API) addLibraries(h huma.API) {
	addNoun(a, h, noun[bus.Library]{
		path: "libraries", tag: "library", table: state.Libraries,
		list: (*state.Tx).Libraries,
		find: func(tx *state.Tx, id string) (bus.Library, bool) { return tx.Library(bus.LibraryID(id)) },
		alone: func(tx *state.Tx, p bus.Principal, l bus.Library) (bus.Library, error) {
			v, err := a.viewer(context.Background(), tx, p)
			if err != nil {
				return l, err
			}
			for r := range tx.InLibrary(l) {
				if v.finds(r) {
					l.Resources++
				}
			}
			return l, nil
		},
		revision: func(v bus.Library) bus.Revision { return v.Revision },
		id:       func(v *bus.Library) *string { return (*string)(&v.ID) },
		put:      command.LibraryPut, delete: command.LibraryDelete,
	})
}

func (a *API) addCalendar(h huma.API) {
	op := func(id, method, path, summary, description string) huma.Operation {
		return huma.Operation{OperationID: id, Method: method, Path: "/api/v1/calendar" + path, Tags: []string{"calendar"}, Summary: summary, Description: description}
	}
	type ofYear struct {
		Year int `query:"year" minimum:"0" maximum:"9999" doc:"only the days of this year"`
	}
	show := func(year int) (*answer[client.Days], error) {
		out := &answer[client.Days]{Body: client.Days{Days: []calendar.Day{}}}
		var err error
		out.Stamp, err = a.read(func(tx *state.Tx) error {
			for d := range tx.CalendarDays() {
				if at, err := calendar.ParseDate(d.Date); year == 0 || err == nil && at.Year() == year {
					out.Body.Days = append(out.Body.Days, d)
				}
			}
			return nil
		})
		return out, err
	}
	handle(a, h, op("show-calendar", http.MethodGet, "", "Show the announced days", ""),
		func(_ context.Context, _ bus.Principal, in *ofYear) (*answer[client.Days], error) {
			return show(in.Year)
		})
	put := op("put-calendar", http.MethodPut, "", "Add announced days", "Each replaces what is known of its date. All deadlines follow.")
	handle(a, h, describes[client.Days](a, h, put), func(ctx context.Context, p bus.Principal, in *Sent[client.Days]) (*answer[client.Days], error) {
		body, err := in.decode()
		if err != nil {
			return nil, err
		}
		if _, err := a.write(ctx, p, command.CalendarPut, 0, command.Days{Days: body.Days}, strconv.Itoa(len(body.Days))+" days"); err != nil {
			return nil, err
		}
		return show(0)
	})
	type term struct {
		Start string `query:"start" required:"true" maxLength:"10" doc:"day of the event, 2006-01-02"`
		Days  int    `query:"days" required:"true" minimum:"0" maximum:"1000" doc:"working days"`
	}
	handle(a, h, op("due", http.MethodGet, "/due", "Work out a deadline", "The start does not count; the last day ends at 24:00 in Shanghai."),
		func(_ context.Context, _ bus.Principal, in *term) (*answer[client.DueAnswer], error) {
			start, err := calendar.ParseDate(in.Start)
			if err != nil {
				return nil, bus.E(bus.CodeInvalid, bus.Defect{Field: "start", Problem: bus.Text{ZH: "日期格式不正确", EN: "not a date"}, Allowed: "2026-01-31"})
			}
			out := &answer[client.DueAnswer]{}
			out.Stamp, err = a.read(func(tx *state.Tx) error {
				last, estimated := tx.Calendar().Due(start, in.Days)
				out.Body = client.DueAnswer{Last: last.String(), Deadline: bus.Deadline{Due: last.End(), Estimated: estimated}}
				return nil
			})
			return out, err
		})
}
