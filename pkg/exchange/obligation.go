package exchange

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/event"
	"github.com/gxbus/gxbus/pkg/strictjson"
)

// attrApplied is from node to node: what was done that cannot be done, or told, a
// second time. What a publisher gives it, or [event.ExtWatermark], does not leave its node.
const attrApplied = "gxbusapplied"

// site is where obligations are applied.
type site struct {
	second bool   // at the consumer's node: the provider's has applied some
	key    []byte // for pseudonyms; none at the consumer's node
}

// enforcement is a set of obligations made ready for many events.
type enforcement struct {
	site
	items   []bus.ItemID
	masks   []bus.Mask     // by place; the zero mask leaves the value
	places  map[string]int // item → place
	rows    []bus.RowCondition
	digests []string // of rows, as in attrApplied
	tested  map[string]bool
	mark    string // attrApplied of what is enforced here

	values  []json.RawMessage // of the object at hand, by place
	rowSeen []json.RawMessage // of the object at hand, by row condition
}

// newEnforcement refuses a mask or a condition that is not valid: what can't be
// enforced is not passed on.
func newEnforcement(ob bus.Obligations, at site) (*enforcement, error) {
	f := &enforcement{site: at, places: map[string]int{}, rows: ob.Rows, tested: map[string]bool{}}
	for item, m := range ob.Masks {
		if !m.Valid() {
			return nil, unenforceable("masks.", string(item))
		}
	}
	var mark []string
	for _, item := range ob.Items {
		m := ob.Masks[item]
		if _, twice := f.places[string(item)]; twice || m.Method == bus.MaskDrop {
			continue
		}
		f.places[string(item)] = len(f.items)
		f.items = append(f.items, item)
		f.masks = append(f.masks, m)
		if m.Method == bus.MaskVerify || m.Method == bus.MaskPseudonym {
			mark = append(mark, string(item)+"="+string(m.Method))
		}
	}
	for i, c := range ob.Rows {
		if !c.Valid() {
			return nil, unenforceable("rows", "["+strconv.Itoa(i)+"]")
		}
		digest := digestOfRow(c)
		f.digests = append(f.digests, digest)
		f.tested[string(c.Item)] = true
		mark = append(mark, digest)
	}
	f.mark = strings.Join(mark, " ")
	f.values = make([]json.RawMessage, len(f.items))
	f.rowSeen = make([]json.RawMessage, len(f.rows))
	return f, nil
}

// digestOfRow identifies a condition to the other node.
func digestOfRow(c bus.RowCondition) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%q %q %q", c.Item, c.Within, c.Equals))
	return "row:" + hex.EncodeToString(sum[:16])
}

// apply returns e with the obligations applied to its data: of an array of
// objects only those that meet all row conditions are left, of every object only
// the items, in their order, with their masks applied; an item that is absent
// stays absent. What is not masked keeps its exact text. out counts the rows left
// out; passes is false where a condition has left none. Data is one JSON object or
// an array of them; an event without data has no row to test. e itself is not
// changed.
//
// Data of any other shape gives CodeDenied.
func (f *enforcement) apply(e event.Event) (obliged event.Event, passes bool, out int, err error) {
	applied, _ := event.Extension(e, attrApplied).(string)
	now := f
	if f.second && applied != "" {
		now = f.after(applied)
	}
	if len(e.DataEncoded) == 0 {
		return f.stamped(e, applied), len(now.rows) == 0, 0, nil
	}
	if !jsonData(e) {
		return event.Event{}, false, 0, unenforceable("data", "")
	}
	if err := strictjson.Check(e.DataEncoded, strictjson.Limits{}); err != nil {
		return event.Event{}, false, 0, unenforceable("data", "").Because(err)
	}
	data, kept, out, err := now.project(e.DataEncoded)
	if err != nil {
		return event.Event{}, false, 0, err
	}
	e = f.stamped(e, applied)
	e.DataEncoded, e.DataBase64 = data, false
	return e, kept > 0 || out == 0, out, nil
}

// stamped returns a copy of e that tells the consumer's node what was applied, or,
// there, tells it no longer.
func (f *enforcement) stamped(e event.Event, applied string) event.Event {
	e = e.Clone()
	switch {
	case !f.second && f.mark != "":
		e.SetExtension(attrApplied, f.mark)
	case applied != "":
		e.SetExtension(attrApplied, nil)
	}
	return e
}

// after gives what is left to do of f on an event that the provider's node has
// applied obligations to: a condition that it tested is met, though the item may
// be gone; a value that it made a pseudonym or a yes or no of shows nothing more.
// A value that is still to become a pseudonym becomes null: the key is not here.
func (f *enforcement) after(applied string) *enforcement {
	rest := *f
	rest.masks = append([]bus.Mask(nil), f.masks...)
	rest.rows = append([]bus.RowCondition(nil), f.rows...)
	done := map[string]bool{}
	for word := range strings.SplitSeq(applied, " ") {
		done[word] = true
		item, method, _ := strings.Cut(word, "=")
		place, ok := f.places[item]
		before := bus.Mask{Method: bus.MaskMethod(method)}
		if ok && f.masks[place].Method != "" && f.masks[place].Stricter(before) == before {
			rest.masks[place] = bus.Mask{}
		}
	}
	rest.rows = rest.rows[:0]
	for i, c := range f.rows {
		if !done[f.digests[i]] {
			rest.rows = append(rest.rows, c)
		}
	}
	return &rest
}

func jsonData(e event.Event) bool {
	contentType := e.DataMediaType()
	return contentType == "application/json" || strings.HasSuffix(contentType, "/json") || strings.HasSuffix(contentType, "+json")
}

func unenforceable(field, item string) *bus.Error {
	return bus.E(bus.CodeDenied, bus.Defect{
		Field:   field + item,
		Problem: bus.Text{ZH: "无法对此内容执行策略的义务", EN: "is content on which the obligations can't be enforced"},
		Allowed: "a JSON object or an array of JSON objects, known masks, and conditions on rows",
	})
}

// project returns what is left of checked data, how many objects are, and how many
// were left out.
func (f *enforcement) project(data []byte) (left []byte, kept, out int, err error) {
	left = make([]byte, 0, len(data))
	switch strictjson.Kind(data) {
	case '{':
		if !f.read(data) {
			return nil, 0, 1, nil
		}
		return f.append(left), 1, 0, nil
	case '[':
		left = append(left, '[')
		for i, element := range strictjson.Elements(data) {
			if strictjson.Kind(element) != '{' {
				return nil, 0, 0, unenforceable("data", "["+strconv.Itoa(i)+"]")
			}
			if !f.read(element) {
				out++
				continue
			}
			if kept > 0 {
				left = append(left, ',')
			}
			left = f.append(left)
			kept++
		}
		return append(left, ']'), kept, out, nil
	}
	return nil, 0, 0, unenforceable("data", "")
}

// read takes an object in hand and reports whether it meets the conditions.
func (f *enforcement) read(object []byte) bool {
	clear(f.values)
	clear(f.rowSeen)
	for name, value := range strictjson.Members(object) {
		if place, ok := f.places[name]; ok {
			f.values[place] = value
		}
		if len(f.rows) > 0 && f.tested[name] {
			for i, c := range f.rows {
				if string(c.Item) == name {
					f.rowSeen[i] = value
				}
			}
		}
	}
	for i, c := range f.rows {
		if !meets(f.rowSeen[i], c) {
			return false
		}
	}
	return true
}

// append adds what is left of the object in hand to dst.
func (f *enforcement) append(dst []byte) []byte {
	dst = append(dst, '{')
	first := true
	for place, value := range f.values {
		if value == nil && f.masks[place].Method != bus.MaskVerify {
			continue
		}
		if !first {
			dst = append(dst, ',')
		}
		first = false
		dst = append(strictjson.AppendString(dst, string(f.items[place])), ':')
		dst = strictjson.AppendCompact(dst, mask(value, f.masks[place], f.key))
	}
	return append(dst, '}')
}
