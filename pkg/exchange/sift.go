package exchange

import (
	"context"
	"fmt"

	cloudevent "github.com/cloudevents/sdk-go/v2/event"
	"github.com/gxbus/gxbus/pkg/audit"
	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/event"
)

// fate is what obligations make of one event of a batch.
type fate int

const (
	toPass     fate = iota
	toFilter        // no row of it meets the conditions: it is left out
	toWithhold      // they cannot be applied to it
	toExpire        // it is of no use any more
)

// sifted is an event of a batch with its fate.
type sifted struct {
	numbered
	fate  fate
	event cloudevent.Event // what is left of it, of one that passes
	data  []byte           // its canonical form, at the provider's node
	rows  int              // left out of it
	code  bus.Code         // why it is withheld
	told  bool             // left out before, on record
}

// traceOf is the id of the trace of the first event that is part of one.
func traceOf(all []sifted) string {
	for _, s := range all {
		if id := event.TraceOf(s.event); id != "" {
			return id
		}
	}
	return ""
}

// sift applies the obligations of a decision to each event of a batch, for one of
// the two nodes. mark is the watermark that those which pass carry, "" for none.
func (x *Exchange) sift(ctx context.Context, f flow, d bus.Decision, events []numbered, second bool) (all []sifted, mark string, err error) {
	at, own := site{second: second}, f.provider
	if second {
		own = f.consumer
	}
	pseudonyms := !second && masksBy(d.Obligations, bus.MaskPseudonym)
	if pseudonyms || d.Obligations.Watermark {
		secret, err := x.secret(ctx, own)
		if err != nil {
			return nil, "", err
		}
		if pseudonyms {
			at.key = f.pseudonymKey(secret)
		}
		if d.Obligations.Watermark {
			mark = watermark(secret, d.ID)
		}
	}
	enforced, refusal := newEnforcement(d.Obligations, at)
	if f.free(d.Obligations) {
		enforced = nil
	}
	all = make([]sifted, len(events))
	for i, n := range events {
		e, err := n.event()
		if err != nil {
			return nil, "", fmt.Errorf("resource %s: %w", f.resource.ID, err)
		}
		n.read, events[i].read = nil, nil // it is changed from here on
		if until, ok := event.Expiry(e); ok && !until.After(d.At) {
			all[i] = sifted{numbered: n, fate: toExpire}
			continue
		}
		all[i] = siftOne(n, e, enforced, refusal, second, mark)
	}
	return all, mark, nil
}

func siftOne(n numbered, e cloudevent.Event, enforced *enforcement, refusal error, second bool, mark string) sifted {
	one, err := sifted{numbered: n, event: e}, refusal
	passes := true
	switch {
	case refusal != nil:
	case enforced == nil:
		clean(&one.event, second)
	default:
		one.event, passes, one.rows, err = enforced.apply(e)
	}
	if err == nil && passes {
		if one.data, err = one.finish(second, mark); err == nil {
			return one
		}
	}
	one.event, one.fate = cloudevent.Event{}, toFilter
	if err != nil {
		one.fate, one.rows, one.code = toWithhold, 0, bus.CodeOf(err)
	}
	return one
}

// finish puts the watermark on an event that passes. What the bus adds may make it
// one with too many attributes, which is then withheld; the consumer's node adds
// nothing but a watermark.
func (s *sifted) finish(second bool, mark string) ([]byte, error) {
	stamp(&s.event, second, mark)
	if second && mark == "" {
		return nil, nil
	}
	return event.Marshal(s.event)
}

// clean takes away what only nodes may say of an event.
func clean(e *cloudevent.Event, second bool) {
	if event.Extension(*e, attrApplied) != nil {
		e.SetExtension(attrApplied, nil)
	}
	if event.Extension(*e, event.ExtWatermark) != nil && !second {
		e.SetExtension(event.ExtWatermark, nil)
	}
}

func masksBy(ob bus.Obligations, method bus.MaskMethod) bool {
	for _, m := range ob.Masks {
		if m.Method == method {
			return true
		}
	}
	return false
}

// free reports whether obligations ask for nothing to be done to data: within one
// department, where all items pass as they are.
func (f flow) free(ob bus.Obligations) bool {
	return f.resource.Provider == f.subscription.Consumer && len(ob.Masks) == 0 && len(ob.Rows) == 0 && len(ob.Items) == len(f.resource.Items)
}

// leave leaves out what was left out before.
func leave(all []sifted, before leftOut) {
	for i, s := range all {
		if before.has(s.Sequence) {
			all[i] = sifted{numbered: s.numbered, fate: toFilter, told: true}
		}
	}
}

// leftOutOfThese lists the numbers of those that do not pass.
func leftOutOfThese(all []sifted) (numbers leftOut) {
	for _, s := range all {
		if s.fate != toPass {
			numbers = append(numbers, s.Sequence)
		}
	}
	return numbers
}

// upTo cuts a batch after the first n that pass.
func upTo(all []sifted, n int) []sifted {
	for i, s := range all {
		if s.fate != toPass {
			continue
		}
		if n == 0 {
			return all[:i]
		}
		n--
	}
	return all
}

// passed lists those that pass, and their numbers.
func passed(all []sifted) (left []sifted, numbers []uint64) {
	for _, s := range all {
		if s.fate == toPass {
			left, numbers = append(left, s), append(numbers, s.Sequence)
		}
	}
	return left, numbers
}

// fates records what does not pass: each that was withheld, each run of those that
// were filtered or have expired, and how many rows were left out of those that pass.
func (f flow) fates(d bus.Decision, all []sifted) (records []audit.Record) {
	var run, trimmed []numbered
	rows, trimmedRows := 0, 0
	kinds := map[fate]audit.Kind{toFilter: audit.KindFiltered, toExpire: audit.KindExpired}
	kind := audit.KindFiltered
	end := func() {
		if len(run) > 0 {
			record := f.record(run)
			record.Kind, record.DecisionID, record.Rows = kind, d.ID, rows
			records = append(records, record)
		}
		run, rows = nil, 0
	}
	for _, s := range all {
		switch {
		case s.told:
		case s.fate == toFilter || s.fate == toExpire:
			if len(run) > 0 && (run[len(run)-1].Sequence+1 != s.Sequence || kind != kinds[s.fate]) {
				end() // what lies between has ended elsewhere
			}
			kind = kinds[s.fate]
			run, rows = append(run, s.numbered), rows+s.rows
			continue
		case s.fate == toWithhold:
			record := f.record([]numbered{s.numbered})
			record.Kind, record.DecisionID, record.Code, record.Detail = audit.KindWithheld, d.ID, s.code, "obligation cannot be applied"
			records = append(records, record)
		case s.rows > 0:
			trimmed, trimmedRows = append(trimmed, s.numbered), trimmedRows+s.rows
		}
		end()
	}
	end()
	if len(trimmed) > 0 {
		record := f.record(trimmed)
		record.Kind, record.DecisionID, record.Rows = audit.KindFiltered, d.ID, trimmedRows
		record.Events, record.Digest = 0, ""
		records = append(records, record)
	}
	return records
}
