package api

import (
	"context"
	"errors"
	"net/http"
	"strconv"
	"time"

	cloudevent "github.com/cloudevents/sdk-go/v2/event"
	"github.com/danielgtaylor/huma/v2"

	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/client"
	"github.com/gxbus/gxbus/pkg/directory/due"
	"github.com/gxbus/gxbus/pkg/directory/state"
	"github.com/gxbus/gxbus/pkg/event"
	"github.com/gxbus/gxbus/pkg/reminder"
)

// Reminders is what the API asks of this node's reminders.
type Reminders interface {
	Wait(ctx context.Context, department bus.USCC, after uint64, limit int) (found []reminder.Reminder, through uint64, err error)
	Last() (uint64, error)
}

const remindersAtOnce = 500

// addTasks registers what awaits the caller, and the reminders of it.
func (a *API) addTasks(h huma.API) {
	tasks := huma.Operation{
		OperationID: "list-tasks", Method: http.MethodGet, Path: "/api/v1/tasks", Tags: []string{"tasks"}, Summary: "List tasks",
		Description: "What awaits the caller, by role and department: the nearest deadline first, what has none last.",
	}
	handle(a, h, tasks, func(_ context.Context, p bus.Principal, _ *struct{}) (*answer[list[bus.Task]], error) {
		return a.tasks(p)
	})
	watch := huma.Operation{
		OperationID: "watch-reminders", Method: http.MethodGet, Path: "/api/v1/reminders", Tags: []string{"tasks"}, Summary: "Follow the reminders of the caller's department",
		Description: "CloudEvents of type cn.gxbus.task.due-soon (3 working days before a deadline, and 1) or cn.gxbus.task.overdue, each once, from the node that serves the department. " +
			"Go on from Gxbus-Last of a batch, or from the id of a stream's newest message.",
		Responses: map[string]*huma.Response{"200": {
			Description: "reminders",
			Content:     map[string]*huma.MediaType{event.ContentTypeBatch: {}, sseType: {}},
			Headers: map[string]*huma.Param{
				client.HeaderLast: {Description: "of a batch: go on from here", Schema: &huma.Schema{Type: huma.TypeInteger}},
			},
		}},
	}
	handle(a, h, watch, func(ctx context.Context, p bus.Principal, in *remindersQuery) (*huma.StreamResponse, error) {
		f, err := a.reminded(ctx, p, in)
		if err != nil {
			return nil, err
		}
		return f.answer(ctx, in.Accept, time.Duration(in.Wait)*time.Second)
	})
}

type remindersQuery struct {
	From   string `query:"from" doc:"number of the reminder after which others are wanted, 0 for all that are kept; the newest where absent"`
	Wait   int    `query:"wait" minimum:"0" maximum:"30" default:"30" doc:"seconds that a batch waits for a reminder; a stream goes on"`
	LastID string `header:"Last-Event-ID" doc:"where a stream broke off; in place of from"`
	Accept string `header:"Accept" doc:"text/event-stream for a stream, else a batch is answered"`
}

func (a *API) tasks(p bus.Principal) (*answer[list[bus.Task]], error) {
	out := &answer[list[bus.Task]]{}
	var err error
	out.Stamp, err = a.read(func(tx *state.Tx) error {
		out.Body.Items = due.Of(p, due.Tasks(tx, a.Now()))
		return nil
	})
	return out, err
}

// reminded checks what is asked for: a department is reminded by the node that
// serves it.
func (a *API) reminded(ctx context.Context, p bus.Principal, in *remindersQuery) (*following, error) {
	if p.Department == "" {
		return nil, bus.E(bus.CodeForbidden, bus.Defect{
			Problem: bus.Text{ZH: "提醒只发给部门", EN: "departments are reminded"}, Allowed: "a system or an account of a department",
		})
	}
	err := a.Directory.View(func(tx *state.Tx) error {
		d, _ := tx.Department(p.Department)
		if home, _ := tx.Home(d); home != a.Self {
			node, _ := tx.Node(home)
			return bus.E(bus.CodeWrongNode, bus.Defect{
				Field: "department", Problem: bus.Text{ZH: "该部门由节点 " + string(home) + " 服务", EN: "the department is served by node " + string(home)},
				Allowed: string(home) + " at " + node.APIAddress,
			})
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	f := &following{api: a, by: p, asked: callerOf(ctx).http, header: client.HeaderLast}
	field, text := "from", in.From
	if in.LastID != "" {
		field, text = "Last-Event-ID", in.LastID
	}
	last, err := a.Reminders.Last()
	if err != nil {
		return nil, err
	}
	f.from = bus.Revision(last)
	if text != "" {
		n, err := strconv.ParseUint(text, 10, 64)
		if err != nil {
			return nil, bus.Invalid([]bus.Defect{notAn(field)})
		}
		f.from = bus.Revision(n)
	}
	f.wait = func(ctx context.Context, from bus.Revision) (func() ([]told, bus.Revision, error), error) {
		found, through, err := a.Reminders.Wait(ctx, p.Department, uint64(from), remindersAtOnce)
		return func() ([]told, bus.Revision, error) {
			news, err := a.reminders(found)
			return news, bus.Revision(through), err
		}, err
	}
	return f, nil
}

// reminders makes the events of reminders. Their source names no node: whoever is
// reminded again, by the node that their department has moved to, sees the same
// source and id.
func (a *API) reminders(found []reminder.Reminder) (events []told, err error) {
	for _, r := range found {
		e := cloudevent.New()
		e.SetID(r.ID)
		e.SetSource("/clusters/" + a.Cluster.ID() + "/tasks")
		e.SetType(client.ReminderType + "due-soon")
		if r.Threshold == bus.ThresholdOverdue {
			e.SetType(client.ReminderType + "overdue")
		}
		e.SetSubject(r.Task.ID)
		e.SetTime(r.At)
		err = errors.Join(err, e.SetData(cloudevent.ApplicationJSON, client.ReminderData{Threshold: r.Threshold, Task: r.Task}))
		events = append(events, told{bus.Revision(r.Number), e})
	}
	return events, err
}
