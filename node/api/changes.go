package api

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	cloudevent "github.com/cloudevents/sdk-go/v2/event"
	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"
	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/client"
	"github.com/gxbus/gxbus/pkg/directory/state"
	"github.com/gxbus/gxbus/pkg/event"
)

const (
	pulse   = time.Second // how often an answer that goes on makes sure that its caller still may
	sseType = "text/event-stream"
)

// followed is a noun whose changes are told.
type followed struct {
	kind string
	// seen gives a stored entry as a principal may see it; ok is false where it may not.
	seen func(tx *state.Tx, p bus.Principal, stored []byte) (shown any, ok bool, err error)
}

// follow has the changes of a noun told to who sees its entries.
func follow[V any](a *API, n noun[V]) {
	if n.table == "" {
		return
	}
	a.followed[n.table] = followed{n.tag, func(tx *state.Tx, p bus.Principal, stored []byte) (any, bool, error) {
		var v V
		if err := json.Unmarshal(stored, &v); err != nil {
			return nil, false, fmt.Errorf("read a stored %s: %w", n.tag, err)
		}
		shown, ok := n.seen(tx, p, v)
		return shown, ok, nil
	}}
}

type changesQuery struct {
	From   string   `query:"from" doc:"directory index after which the changes are wanted; the present one where absent"`
	Kind   []string `query:"kind" doc:"kinds of entries, separated by commas; all where absent"`
	Wait   int      `query:"wait" minimum:"0" maximum:"30" default:"30" doc:"seconds that a batch waits for a change; a stream goes on"`
	LastID string   `header:"Last-Event-ID" doc:"where a stream broke off; in place of from"`
	Accept string   `header:"Accept" doc:"text/event-stream for a stream, else a batch is answered"`
}

func (a *API) addChanges(h huma.API) {
	op := huma.Operation{
		OperationID: "watch-directory", Method: http.MethodGet, Path: "/api/v1/changes", Tags: []string{"directory"},
		Summary: "Follow the changes of the directory",
		Description: "CloudEvents of type cn.gxbus.directory.<kind>.put or .deleted, in the order of the directory's log, of the entries that the caller may see. " +
			"An entry that changed twice may be told of twice with its newest value, never with an older value after a newer one. " +
			"Go on from Gxbus-Index of a batch, or from the id of a stream's newest message. 410 resync-required where the changes after from are no longer kept: list anew.",
		Responses: map[string]*huma.Response{"200": {
			Description: "changes",
			Content:     map[string]*huma.MediaType{event.ContentTypeBatch: {}, sseType: {}},
			Headers: map[string]*huma.Param{
				client.HeaderIndex: {Description: "of a batch: go on from here", Schema: &huma.Schema{Type: huma.TypeInteger}},
			},
		}},
	}
	handle(a, h, op, func(ctx context.Context, p bus.Principal, in *changesQuery) (*huma.StreamResponse, error) {
		f, err := a.following(ctx, p, in)
		if err != nil {
			return nil, err
		}
		return f.answer(ctx, in.Accept, time.Duration(in.Wait)*time.Second)
	})
}

// answer goes on as a stream, where that is asked for, else until a batch is full.
func (f *following) answer(ctx context.Context, accept string, wait time.Duration) (*huma.StreamResponse, error) {
	running, release, err := f.api.streams.begin(ctx, f.by)
	if err != nil {
		return nil, err
	}
	return &huma.StreamResponse{Body: func(hc huma.Context) {
		defer release()
		r, w := humago.Unwrap(hc)
		if wanted(accept) {
			f.stream(running, w)
			return
		}
		if err := f.batch(running, w, wait); err != nil {
			f.api.writeProblem(w, r, err)
		}
	}}, nil
}

// wanted reports whether a client asks for a stream.
func wanted(accept string) bool {
	for media := range strings.SplitSeq(accept, ",") {
		media, _, _ = strings.Cut(media, ";")
		if strings.EqualFold(strings.TrimSpace(media), sseType) {
			return true
		}
	}
	return false
}

// following is one caller's way through what goes on: the changes of the directory,
// or the reminders of this node.
type following struct {
	api    *API
	by     bus.Principal
	asked  *http.Request
	from   bus.Revision // what was told last, as its source counts
	header string       // of a batch: where to go on from
	most   int          // messages that a stream still has; 0 for no end

	// wait waits for more of the source; tell gives what of it the caller may see, and
	// how far the source has been told then.
	wait func(ctx context.Context, from bus.Revision) (tell func() (news []told, through bus.Revision, err error), err error)
}

// following checks what is asked for.
func (a *API) following(ctx context.Context, p bus.Principal, in *changesQuery) (*following, error) {
	f := &following{api: a, by: p, asked: callerOf(ctx).http, header: client.HeaderIndex}
	var tables []state.Table
	var defects []bus.Defect
	for i, kind := range in.Kind {
		table, ok := a.tableOf(kind)
		if !ok {
			defects = append(defects, bus.Defect{
				Field: fmt.Sprintf("kind[%d]", i), Problem: bus.Text{ZH: "没有此类目录条目：" + kind, EN: "no such kind of entry: " + kind},
				Allowed: strings.Join(a.kinds(), ", "),
			})
		}
		tables = append(tables, table)
	}
	if len(tables) == 0 {
		tables = slices.Collect(maps.Keys(a.followed))
	}
	f.wait = func(ctx context.Context, from bus.Revision) (func() ([]told, bus.Revision, error), error) {
		batch, err := a.Directory.Changes(ctx, from, tables...)
		return func() ([]told, bus.Revision, error) {
			news, err := f.changes(batch)
			return news, batch.Through, err
		}, err
	}
	field, text := "from", in.From
	if in.LastID != "" {
		field, text = "Last-Event-ID", in.LastID
	}
	f.from, _ = a.Directory.Applied()
	if text != "" {
		n, err := strconv.ParseUint(text, 10, 64)
		if err != nil {
			defects = append(defects, notAn(field))
		}
		f.from = bus.Revision(n)
	}
	if err := bus.Invalid(defects); err != nil {
		return nil, err
	}
	return f, a.Directory.View(func(tx *state.Tx) error {
		_, err := tx.Changes(f.from, 1)
		return err
	})
}

func (a *API) tableOf(kind string) (state.Table, bool) {
	for table, f := range a.followed {
		if f.kind == kind {
			return table, true
		}
	}
	return "", false
}

func (a *API) kinds() []string {
	var kinds []string
	for _, f := range a.followed {
		kinds = append(kinds, f.kind)
	}
	return slices.Sorted(slices.Values(kinds))
}

// told is a change as its reader may see it.
type told struct {
	index bus.Revision
	event event.Event
}

// next waits up to a pulse for more of the log and returns what of it the caller
// may see; f.from moves on in any case. The caller is asked for again before each
// answer: whoever was disabled meanwhile is refused (threat S20).
func (f *following) next(ctx context.Context) ([]told, error) {
	waiting, cancel := context.WithTimeout(ctx, pulse)
	defer cancel()
	tell, err := f.wait(waiting, f.from)
	if err != nil && (!errors.Is(err, context.DeadlineExceeded) || ctx.Err() != nil) {
		return nil, err
	}
	if p, err := callerOf(f.asked.Context()).again(); err != nil || p != f.by {
		return nil, cmp.Or(err, error(bus.E(bus.CodeUnauthenticated)))
	}
	news, through, err := tell()
	f.from = through
	return news, err
}

// changes are those of a batch that the caller may see.
func (f *following) changes(batch state.Batch) (changes []told, err error) {
	err = f.api.Directory.View(func(tx *state.Tx) error {
		for _, c := range batch.Changes {
			e, ok, err := f.tell(tx, c)
			if err != nil {
				return err
			}
			if ok {
				changes = append(changes, told{c.Index, e})
			}
		}
		return nil
	})
	return changes, err
}

// tell makes the event of a change; ok is false where the caller may not see the
// entry, or, of one that was deleted, might not when it was there.
func (f *following) tell(tx *state.Tx, c state.Changed) (e event.Event, ok bool, err error) {
	noun, what := f.api.followed[c.Table], "put"
	stored := c.Value
	if stored == nil {
		stored, what = c.Was, "deleted"
	}
	shown, ok, err := noun.seen(tx, f.by, stored)
	if !ok || err != nil {
		return e, ok, err
	}
	e = cloudevent.New()
	e.SetID(fmt.Sprintf("%d/%s/%s", c.Index, noun.kind, c.Key))
	e.SetSource("/clusters/" + f.api.Cluster.ID() + "/directory")
	e.SetType(client.ChangeType + noun.kind + "." + what)
	e.SetSubject(c.Key)
	e.SetTime(c.At)
	e.SetExtension(client.ExtensionIndex, strconv.FormatUint(uint64(c.Index), 10))
	if c.Value != nil {
		err = e.SetData(cloudevent.ApplicationJSON, shown)
	}
	return e, true, err
}

// batch answers the next changes as one CloudEvents batch, or an empty one where
// none came in time.
func (f *following) batch(ctx context.Context, w http.ResponseWriter, wait time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	var changes []told
	for len(changes) == 0 {
		before := f.from
		var err error
		if changes, err = f.next(ctx); err != nil && ctx.Err() == nil {
			return err
		}
		if ctx.Err() != nil && f.from == before {
			break
		}
	}
	events := make([]event.Event, len(changes))
	for i, c := range changes {
		events[i] = c.event
	}
	body, err := event.MarshalBatch(events)
	if err != nil {
		return err
	}
	age, err := f.api.Directory.Age()
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", event.ContentTypeBatch)
	w.Header().Set(f.header, strconv.FormatUint(uint64(f.from), 10))
	w.Header().Set(client.HeaderAge, strconv.FormatInt(int64(age.Seconds()), 10))
	_, _ = w.Write(body) // a client that went away asks again
	return nil
}
