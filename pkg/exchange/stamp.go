package exchange

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode"

	cloudevent "github.com/cloudevents/sdk-go/v2/event"
	"github.com/cloudevents/sdk-go/v2/types"
	"golang.org/x/text/unicode/norm"

	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/event"
	"github.com/gxbus/gxbus/pkg/schema"
)

// schemas keeps the compiled schema of each resource's version in force.
type schemas struct {
	mu sync.Mutex
	of map[bus.ResourceID]compiled
}

type compiled struct {
	version int
	checker *schema.Checker // nil: the version has no schema
}

// checker returns what checks the data of a resource's events, or nil where
// nothing does. A version is compiled once.
func (s *schemas) checker(r bus.Resource) (*schema.Checker, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c, ok := s.of[r.ID]; ok && c.version == r.Version {
		return c.checker, nil
	}
	text, err := schema.Of(r)
	if err != nil {
		return nil, err
	}
	c := compiled{version: r.Version}
	if len(text) > 0 {
		if c.checker, err = schema.Compile(text); err != nil {
			return nil, fmt.Errorf("schema of resource %s, version %d: %w", r.ID, r.Version, err)
		}
	}
	if s.of == nil {
		s.of = map[bus.ResourceID]compiled{}
	}
	s.of[r.ID] = c
	return c.checker, nil
}

// SchemaPath is where a node answers the schema of a version of a resource.
func SchemaPath(id bus.ResourceID, version int) string {
	return "/api/v1/resources/" + string(id) + "/versions/" + strconv.Itoa(version) + "/schema"
}

// stamps are the attributes that the bus sets on an event which it accepts.
type stamps struct {
	schema   *types.URI // in place of what the publisher says; nil: what it says
	recorded string     // where the publisher says nothing
}

// on returns e with the stamps; e itself is not changed.
func (s stamps) on(e cloudevent.Event) cloudevent.Event {
	context, ok := e.Context.(*cloudevent.EventContextV1)
	if !ok {
		return e // of another version, which is refused
	}
	stamped := *context
	if s.schema != nil && len(e.DataEncoded) > 0 && jsonData(e) {
		stamped.DataSchema = s.schema
	}
	if _, has := stamped.Extensions[event.ExtRecorded]; !has && s.recorded != "" {
		stamped.Extensions = maps.Clone(stamped.Extensions)
		if stamped.Extensions == nil {
			stamped.Extensions = map[string]any{}
		}
		stamped.Extensions[event.ExtRecorded] = s.recorded
	}
	e.Context = &stamped
	return e
}

// stampsOf reads the stamps on an accepted event, in its canonical form.
func stampsOf(data []byte) (s stamps, err error) {
	e, err := event.Unmarshal(data)
	if err != nil {
		return s, err
	}
	s.recorded, _ = event.Extension(e, event.ExtRecorded).(string)
	if context, ok := e.Context.(*cloudevent.EventContextV1); ok {
		s.schema = context.DataSchema
	}
	return s, nil
}

// maxTold is how many defects of one publication are told at most.
const maxTold = 100

// prepare makes events ready to be stored, or tells all that is wrong with them.
func (x *Exchange) prepare(f flow, events []cloudevent.Event) ([]candidate, error) {
	checker, err := x.schemas.checker(f.resource)
	if err != nil {
		return nil, err
	}
	now := x.Now().UTC()
	s := stamps{recorded: types.FormatTime(now)}
	if checker != nil {
		s.schema = f.schema
	}
	candidates := make([]candidate, len(events))
	var defects []bus.Defect
	for i, e := range events {
		if marked(e) {
			return nil, bus.E(bus.CodeSecret, bus.Defect{
				Field: fmt.Sprintf("[%d].%s", i, event.ExtClassification), Allowed: "an event without a mark",
				Problem: bus.Text{ZH: "国家秘密、工作秘密不得通过总线共享", EN: "what is marked as a state or work secret is not shared by the bus"},
			})
		}
		if defects = append(defects, unfit(i, e, checker, now)...); len(defects) >= maxTold {
			break
		}
		data, err := event.MarshalDecoded(s.on(e))
		if err != nil { // it may have no room for stamps
			data, err = event.MarshalDecoded(e)
		}
		if err != nil {
			if e, ok := errors.AsType[*bus.Error](err); ok {
				inPlace(i, e.Defects)
			}
			return nil, err
		}
		source := e.Source()
		candidates[i] = candidate{
			Receipt: Receipt{Source: source, ID: e.ID(), Digest: sha256.Sum256(data)},
			key:     keyOf(f.resource.ID, source, e.ID()),
			event:   e,
			data:    data,
		}
	}
	if len(defects) > 0 {
		return nil, bus.E(bus.CodeSchema, defects...)
	}
	return candidates, nil
}

// inPlace names in defects the event of a publication that they are of.
func inPlace(i int, defects []bus.Defect) []bus.Defect {
	for n := range defects {
		defects[n].Field = fmt.Sprintf("[%d].%s", i, defects[n].Field)
	}
	return defects
}

// unfit lists what keeps event i of a publication from being stored: it is of no
// use any more, or its data is not what its resource's schema says. A schema is
// about JSON; of other data there is nothing to say, and nothing that is masked.
func unfit(i int, e cloudevent.Event, checker *schema.Checker, now time.Time) []bus.Defect {
	if at, ok := event.Expiry(e); ok && !at.After(now) {
		return []bus.Defect{{
			Field: fmt.Sprintf("[%d].%s", i, event.ExtExpiry), Problem: bus.Text{ZH: "事件已过期", EN: "the event has expired"}, Allowed: "a time to come",
		}}
	}
	if checker == nil || len(e.DataEncoded) == 0 || !jsonData(e) {
		return nil
	}
	return inPlace(i, checker.Check("data", e.DataEncoded))
}

// marks are classifications that keep an event off the bus (decree 809 art. 3).
var marks = []string{"绝密", "机密", "秘密", "国家秘密", "工作秘密", "top-secret", "state-secret", "secret", "work-secret"}

// marked reports whether an event is marked so, however the mark is written: in capitals
// or full width, with blanks around it or within, with underscores for hyphens.
func marked(e cloudevent.Event) bool {
	text, _ := event.Extension(e, event.ExtClassification).(string)
	if text == "" {
		return false
	}
	words := strings.FieldsFunc(strings.ToLower(norm.NFKC.String(text)), func(r rune) bool {
		return !unicode.IsLetter(r) && !unicode.IsNumber(r)
	})
	return slices.Contains(marks, strings.Join(words, "-")) || slices.Contains(marks, strings.Join(words, ""))
}
