package bus

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Filter is one filter expression of a CloudEvents Subscriptions object: which
// events a subscription is for, by their attributes. Exactly one dialect is set.
type Filter struct {
	Exact  map[string]string `json:"exact,omitempty"`  // attribute → its value
	Prefix map[string]string `json:"prefix,omitempty"` // attribute → how its value begins
	Suffix map[string]string `json:"suffix,omitempty"` // attribute → how its value ends
	All    []Filter          `json:"all,omitempty"`    // each of them
	Any    []Filter          `json:"any,omitempty"`    // at least one of them
	Not    *Filter           `json:"not,omitempty"`
	SQL    string            `json:"sql,omitempty"` // a CloudEvents SQL 1.0 expression that is true
}

// The caps on the filters of a subscription: each is asked of every event.
const (
	maxFilters     = 64  // expressions, those inside others included
	maxFilterDepth = 8   // of one inside another
	maxFilterText  = 256 // bytes of a value
	maxFilterSQL   = 1024
)

const dialects = "exact, prefix, suffix, all, any, not, sql"

// Equal reports whether two filters say the same in the same way.
func (f Filter) Equal(g Filter) bool {
	if (f.Not == nil) != (g.Not == nil) || f.Not != nil && !f.Not.Equal(*g.Not) {
		return false
	}
	return f.SQL == g.SQL && maps.Equal(f.Exact, g.Exact) && maps.Equal(f.Prefix, g.Prefix) && maps.Equal(f.Suffix, g.Suffix) &&
		slices.EqualFunc(f.All, g.All, Filter.Equal) && slices.EqualFunc(f.Any, g.Any, Filter.Equal)
}

// CheckFilters returns the defects of filters that show without compiling them:
// what a CloudEvents SQL expression says is not looked at.
func CheckFilters(field string, filters []Filter) []Defect {
	c := filterCheck{left: maxFilters}
	c.list(field, filters, 1)
	if c.left < 0 {
		return []Defect{{Field: field, Problem: Text{ZH: "过滤条件过多", EN: "too many filters"}, Allowed: fmt.Sprintf("%d, those inside others included", maxFilters)}}
	}
	return c.defects
}

type filterCheck struct {
	left    int // expressions that may still come
	defects []Defect
}

func (c *filterCheck) add(field, zh, en, allowed string) {
	c.defects = append(c.defects, Defect{Field: field, Problem: Text{ZH: zh, EN: en}, Allowed: allowed})
}

func (c *filterCheck) list(field string, filters []Filter, depth int) {
	for i, f := range filters {
		c.one(fmt.Sprintf("%s[%d]", field, i), f, depth)
	}
}

func (c *filterCheck) one(field string, f Filter, depth int) {
	if c.left--; c.left < 0 {
		return
	}
	if depth > maxFilterDepth {
		c.add(field, "过滤条件嵌套过深", "filters lie too deep in each other", fmt.Sprintf("%d deep", maxFilterDepth))
		return
	}
	set := 0
	for _, dialect := range []struct {
		name   string
		values map[string]string
	}{{"exact", f.Exact}, {"prefix", f.Prefix}, {"suffix", f.Suffix}} {
		if len(dialect.values) > 0 {
			set++
			c.values(field+"."+dialect.name, dialect.values)
		}
	}
	for _, dialect := range []struct {
		name    string
		filters []Filter
	}{{"all", f.All}, {"any", f.Any}} {
		if len(dialect.filters) > 0 {
			set++
			c.list(field+"."+dialect.name, dialect.filters, depth+1)
		}
	}
	if f.Not != nil {
		set++
		c.one(field+".not", *f.Not, depth+1)
	}
	if f.SQL != "" {
		set++
		if len(f.SQL) > maxFilterSQL {
			c.add(field+".sql", "表达式过长", "the expression is too long", fmt.Sprintf("%d bytes", maxFilterSQL))
		}
	}
	if set != 1 {
		c.add(field, "须恰有一种非空的过滤方式", "has to have exactly one dialect, which is not empty", dialects)
	}
}

func (c *filterCheck) values(field string, values map[string]string) {
	for _, name := range slices.Sorted(maps.Keys(values)) {
		if name == "" || len(name) > 20 || name == "data" || strings.Trim(name, "abcdefghijklmnopqrstuvwxyz0123456789") != "" {
			c.add(field+"."+name, "不是事件属性名", "is not the name of an attribute", "1–20 of a–z and 0–9, not data")
		}
		if value := values[name]; value == "" || len(value) > maxFilterText {
			c.add(field+"."+name, "取值为空或过长", "the value is empty or too long", fmt.Sprintf("1–%d bytes", maxFilterText))
		}
	}
}
