// Package filter decides which events a subscription is for, by the filter
// dialects of CloudEvents Subscriptions 1.0: exact, prefix, suffix, all, any, not
// and sql, which is CloudEvents SQL 1.0. It is pure: filters are compiled once, and
// asked of attributes alone, never of data.
package filter

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	cesql "github.com/cloudevents/sdk-go/sql/v2"
	"github.com/cloudevents/sdk-go/sql/v2/utils"

	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/event"
)

// Matcher is compiled filters. It is for one goroutine at a time.
type Matcher struct{ test test }

// test says whether an event passes; an error where an expression could not be
// evaluated for it, which then does not hold.
type test func(event.Event) (bool, error)

// Compile checks and compiles filters, all of which an event has to pass.
// CodeInvalid names the filter, and of an expression the position.
func Compile(filters []bus.Filter) (*Matcher, error) {
	defects := bus.CheckFilters("filters", filters)
	if len(defects) > 0 {
		return nil, bus.Invalid(defects)
	}
	m := &Matcher{all(compile("filters", filters, &defects))}
	return m, bus.Invalid(defects)
}

// Match reports whether an event passes. Where an expression fails on it (it asks
// for an attribute that the event lacks, say) it counts as false, and err says so.
func (m *Matcher) Match(e event.Event) (bool, error) { return m.test(e) }

func compile(field string, filters []bus.Filter, defects *[]bus.Defect) []test {
	tests := make([]test, len(filters))
	for i, f := range filters {
		tests[i] = compileOne(fmt.Sprintf("%s[%d]", field, i), f, defects)
	}
	return tests
}

func compileOne(field string, f bus.Filter, defects *[]bus.Defect) test {
	switch {
	case len(f.Exact) > 0:
		return attributes(f.Exact, func(have, want string) bool { return have == want })
	case len(f.Prefix) > 0:
		return attributes(f.Prefix, strings.HasPrefix)
	case len(f.Suffix) > 0:
		return attributes(f.Suffix, strings.HasSuffix)
	case len(f.All) > 0:
		return all(compile(field+".all", f.All, defects))
	case len(f.Any) > 0:
		return some(compile(field+".any", f.Any, defects))
	case f.Not != nil:
		return not(compileOne(field+".not", *f.Not, defects))
	}
	expression, bad := parse(f.SQL)
	for _, d := range bad {
		d.Field = field + ".sql"
		*defects = append(*defects, d)
	}
	return func(e event.Event) (bool, error) { return evaluate(expression, e) }
}

func all(tests []test) test {
	return func(e event.Event) (bool, error) {
		var failed error
		for _, t := range tests {
			ok, err := t(e)
			if failed = errors.Join(failed, err); !ok {
				return false, failed
			}
		}
		return true, failed
	}
}

func some(tests []test) test {
	return func(e event.Event) (bool, error) {
		var failed error
		for _, t := range tests {
			ok, err := t(e)
			if failed = errors.Join(failed, err); ok {
				return true, failed
			}
		}
		return false, failed
	}
}

// not holds where t does not, but not because t failed: what could not be said is
// no reason to hand an event out.
func not(t test) test {
	return func(e event.Event) (bool, error) {
		ok, err := t(e)
		return !ok && err == nil, err
	}
}

// attributes holds where each attribute is there and its value compares.
func attributes(wanted map[string]string, compare func(have, want string) bool) test {
	names := slices.Sorted(maps.Keys(wanted))
	return func(e event.Event) (bool, error) {
		for _, name := range names {
			if have, ok := attribute(e, name); !ok || !compare(have, wanted[name]) {
				return false, nil
			}
		}
		return true, nil
	}
}

// attribute gives the canonical string of an attribute.
func attribute(e event.Event, name string) (string, bool) {
	switch value := utils.GetAttribute(e, name).(type) {
	case nil:
		return "", false
	case string:
		return value, value != ""
	default:
		return fmt.Sprint(value), true
	}
}

// evaluate asks an expression of an event. It never panics: what the evaluator
// stumbles over counts as failed.
func evaluate(expression cesql.Expression, e event.Event) (ok bool, err error) {
	defer func() {
		if r := recover(); r != nil {
			ok, err = false, fmt.Errorf("cannot be evaluated: %v", r)
		}
	}()
	value, err := expression.Evaluate(e)
	if err != nil {
		return false, err
	}
	ok, is := value.(bool)
	if !is {
		return false, errors.New("is not a truth value")
	}
	return ok, nil
}
