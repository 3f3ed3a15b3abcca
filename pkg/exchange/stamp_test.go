package exchange_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	cloudevent "github.com/cloudevents/sdk-go/v2/event"

	"github.com/gxbus/gxbus/pkg/audit"
	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/exchange"
	"github.com/gxbus/gxbus/pkg/policy"
)

func TestDataThatIsNotOfTheSchemaIsRefusedWithEveryDefect(t *testing.T) {
	w, _ := fake(t)
	typed := resource()
	typed.ID, typed.Codes = "sz-typed", []bus.ResourceCode{"305001/2"}
	typed.Items = append(typed.Items, bus.Item{ID: "staff", Name: "人数", Type: "I", Grade: 1})
	w.catalogue(publisher, typed)
	publish := func(data ...string) ([]string, error) {
		events := make([]cloudevent.Event, len(data))
		for i := range data {
			events[i] = sample(100 + i)
			must(t, events[i].SetData("application/json", json.RawMessage(data[i])))
		}
		_, err := w.provider().Publish(t.Context(), publisher, "r", typed.ID, events)
		var fields []string
		if e, ok := errors.AsType[*bus.Error](err); ok {
			for _, d := range e.Defects {
				fields = append(fields, d.Field)
			}
		}
		return fields, err
	}
	var fields []string
	refusal(t, w, bus.CodeSchema, func() (err error) {
		fields, err = publish(`{"staff":1}`, `{"staff":"1"}`, `[{"staff":2},{"staff":2.5},7]`)
		return err
	})
	if got := strings.Join(fields, " "); got != "[1].data/staff [2].data/1/staff [2].data/2" {
		t.Errorf("defects at %s", got)
	}
	_, err := publish(`{"staff":3,"inner":"is no item"}`)
	must(t, err)

	// The schema is that of the version in force, here one that the provider supplies.
	typed.Schema = json.RawMessage(`{"required":["name"],"properties":{"staff":{"type":"string"}}}`)
	w.catalogue(publisher, typed)
	if fields, err = publish(`{"staff":3}`); bus.CodeOf(err) != bus.CodeSchema || strings.Join(fields, " ") != "[0].data [0].data/staff" {
		t.Errorf("under the next version: %v at %v", err, fields)
	}
}

func TestARepeatIsTheSameThoughItsStampsWouldDiffer(t *testing.T) { // S02
	w, _ := fake(t)
	w.subscribe(sub, puller)
	first, err := w.provider().Publish(t.Context(), publisher, "", firms, run(1, 1))
	must(t, err)
	w.clock.advance(time.Hour)
	w.catalogue(publisher, resource()) // another version, and so another dataschema
	again, err := w.provider().Publish(t.Context(), publisher, "", firms, run(1, 1))
	must(t, err)
	if !again[0].Duplicate || again[0].Digest != first[0].Digest || again[0].Sequence != 1 {
		t.Errorf("first %+v, again %+v", first[0], again[0])
	}
	stated := sample(2)
	stated.SetExtension("recordedtime", "2026-01-05T09:00:00+08:00")
	stated.SetDataSchema("https://example.org/other")
	_, err = w.provider().Publish(t.Context(), publisher, "", firms, []cloudevent.Event{stated})
	must(t, err)
	for i, e := range w.received(2) {
		version, recorded := i+1, w.clock.now().Add(-time.Hour).Format(time.RFC3339)
		if i == 1 {
			recorded = "2026-01-05T09:00:00+08:00"
		}
		want := fmt.Sprintf("https://127.0.0.1:102/api/v1/resources/sz-firms/versions/%d/schema", version)
		if e.DataSchema() != want || e.Extensions()["recordedtime"] != recorded {
			t.Errorf("event %d: dataschema %s, recordedtime %v; want %s, %s", i+1, e.DataSchema(), e.Extensions()["recordedtime"], want, recorded)
		}
	}
}

func TestAnExpiredEventIsNeverHandedOutAndEndsOnRecord(t *testing.T) {
	w, d := fake(t)
	until := func(n int, after time.Duration) cloudevent.Event {
		e := sample(n)
		e.SetExtension("expirytime", w.clock.now().Add(after).Format(time.RFC3339))
		return e
	}
	refusal(t, w, bus.CodeSchema, func() error {
		_, err := w.provider().Publish(t.Context(), publisher, "", firms, []cloudevent.Event{until(9, 0)})
		return err
	})
	w.subscribe(sub, puller)
	_, err := w.provider().Publish(t.Context(), publisher, "", firms, []cloudevent.Event{sample(1), until(2, time.Minute), sample(3), until(4, time.Hour)})
	must(t, err)
	w.settled(sub, 4) // they are in the inbox
	w.clock.advance(2 * time.Minute)
	events, last, err := w.consumer().Pull(t.Context(), puller, sub, 10)
	must(t, err)
	if got := fmt.Sprint(ids(events)); got != "[1 3 4]" || last != 4 {
		t.Errorf("handed out %s up to %d", got, last)
	}
	expired := w.consumer().records(audit.KindExpired)
	if len(expired) != 1 || expired[0].First != 2 || expired[0].Last != 2 || expired[0].Events != 1 {
		t.Errorf("on record at the consumer's node: %+v", expired)
	}

	w.line.hook(func(context.Context, exchange.Batch) error { return errLine }, nil)
	_, err = w.provider().Publish(t.Context(), publisher, "", firms, []cloudevent.Event{until(5, time.Minute), sample(6)})
	must(t, err)
	d.awaitAsked(t, policy.ActionForward, 2) // the line has refused them once
	w.clock.advance(2 * time.Minute)
	w.line.hook(nil, nil)
	w.settled(sub, 6)
	expired = w.provider().records(audit.KindExpired)
	if len(expired) != 1 || expired[0].First != 5 || expired[0].Last != 5 {
		t.Errorf("on record at the provider's node: %+v", expired)
	}
	w.provider().verify()
	w.consumer().verify()
}

func TestAMarkOfSecrecyKeepsAnEventOffTheBus(t *testing.T) { // decree 809 art. 3
	w, _ := fake(t)
	for _, mark := range []string{"机密", "机密 ", "\u3000机 密", "机\u200b密", "secret", "SECRET", "Top Secret", "TOP_SECRET", " work-secret.", "ＳＥＣＲＥＴ"} {
		e := sample(1)
		e.SetExtension("dataclassification", mark)
		t.Logf("marked %q", mark)
		refusal(t, w, bus.CodeSecret, func() error {
			_, err := w.provider().Publish(t.Context(), publisher, "", firms, []cloudevent.Event{e})
			return err
		})
	}
	for n, mark := range []string{"公开", "内部", "not secret", "secretariat", "2"} {
		e := sample(n + 1)
		e.SetExtension("dataclassification", mark)
		_, err := w.provider().Publish(t.Context(), publisher, "", firms, []cloudevent.Event{e})
		must(t, err)
	}
}
