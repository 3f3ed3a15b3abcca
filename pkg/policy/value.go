package policy

import (
	"fmt"
	"slices"
	"strconv"

	"github.com/open-policy-agent/opa/v1/ast"
)

// valueOf gives in as OPA sees it. It is made once a decision and shared by the
// layers, which cannot change it. It says what encoding/json would, which a
// test holds it to, at a tenth of the cost of going through JSON text.
func valueOf(in Input) (ast.Value, error) {
	o, err := documentOf(in)
	if err != nil {
		return nil, err
	}
	return o.about(in.Event), nil
}

// about gives the document with the attributes of an event. The document stays as it
// is, for other events.
func (o document) about(e Event) ast.Value {
	if len(e) == 0 {
		return o.value()
	}
	event := document{}
	for name, value := range e {
		event.text(name, value)
	}
	whole := slices.Clip(o)
	whole.set("event", event.value())
	return whole.value()
}

// documentOf gives in without its event.
func documentOf(in Input) (document, error) {
	instants := []Instant{in.Time}
	if in.Grant != nil {
		instants = append(instants, in.Grant.NotBefore, in.Grant.NotAfter)
	}
	for _, t := range instants {
		if y := t.UTC().Year(); y < 0 || y > 9999 {
			return nil, fmt.Errorf("year %d is outside 0–9999", y)
		}
	}
	o := document{}
	o.number("version", int64(in.Version))
	o.text("action", string(in.Action))
	o.text("stage", string(in.Stage))
	o.text("time", in.Time.String())
	o.set("consumer", partyValue(in.Consumer))
	o.set("provider", partyValue(in.Provider))
	o.set("resource", resourceValue(in.Resource))
	if in.Grant != nil {
		o.set("grant", grantValue(*in.Grant))
	}
	o.some("purpose", string(in.Purpose))
	o.some("matter", in.Matter)
	o.some("case", in.Case)
	o.some("basis", in.Basis)
	o.some("operator", in.Operator)
	list(&o, "items", in.Items)
	directory := document{}
	directory.set("index", ast.Number(strconv.FormatUint(uint64(in.Directory.Index), 10)))
	directory.number("age_seconds", int64(in.Directory.AgeSeconds))
	o.set("directory", directory.value())
	return o, nil
}

func partyValue(p Party) ast.Value {
	o := document{}
	o.some("department", string(p.Department))
	o.some("division", string(p.Division))
	list(&o, "divisions", p.Divisions)
	o.some("system", string(p.System))
	o.some("role", string(p.Role))
	return o.value()
}

func resourceValue(r Resource) ast.Value {
	o := document{}
	o.text("id", string(r.ID))
	o.text("provider", string(r.Provider))
	list(&o, "codes", r.Codes)
	o.text("name", r.Name)
	sharing := document{}
	sharing.text("type", string(r.Sharing.Type))
	sharing.some("range", r.Sharing.Range)
	list(&sharing, "purposes", r.Sharing.Purposes)
	o.set("sharing", sharing.value())
	if len(r.Items) > 0 {
		items := make([]*ast.Term, len(r.Items))
		for i, it := range r.Items {
			items[i] = ast.NewTerm(itemValue(it))
		}
		o.set("items", ast.NewArray(items...))
	}
	o.some("network", r.Network)
	o.set("revision", ast.Number(strconv.FormatUint(uint64(r.Revision), 10)))
	return o.value()
}

func itemValue(it Item) ast.Value {
	o := document{}
	o.text("id", string(it.ID))
	o.text("type", it.Type)
	o.number("grade", int64(it.Grade))
	o.some("sharing", string(it.Sharing))
	o.some("semantic", string(it.Semantic))
	if it.Personal {
		o.set("personal", ast.Boolean(true))
	}
	return o.value()
}

func grantValue(g Grant) ast.Value {
	o := document{}
	o.text("id", string(g.ID))
	o.text("resource", string(g.Resource))
	o.text("consumer", string(g.Consumer))
	list(&o, "purposes", g.Purposes)
	list(&o, "items", g.Items)
	list(&o, "matters", g.Matters)
	o.some("division", string(g.Division))
	o.some("mode", g.Mode)
	o.some("application", string(g.Application))
	o.text("not_before", g.NotBefore.String())
	o.text("not_after", g.NotAfter.String())
	o.set("suspended", ast.Boolean(g.Suspended))
	o.set("revoked", ast.Boolean(g.Revoked))
	return o.value()
}

// document is an object in the making.
type document [][2]*ast.Term

func (o *document) set(key string, v ast.Value) {
	*o = append(*o, [2]*ast.Term{ast.InternedTerm(key), ast.NewTerm(v)})
}

func (o *document) text(key, v string) { o.set(key, ast.String(v)) }

func (o *document) number(key string, v int64) {
	o.set(key, ast.Number(strconv.FormatInt(v, 10)))
}

// some sets a text unless it is empty.
func (o *document) some(key, v string) {
	if v != "" {
		o.text(key, v)
	}
}

func (o *document) value() ast.Value { return ast.NewObject(*o...) }

// list sets an array of texts unless it is empty.
func list[T ~string](o *document, key string, values []T) {
	if len(values) == 0 {
		return
	}
	terms := make([]*ast.Term, len(values))
	for i, v := range values {
		terms[i] = ast.StringTerm(string(v))
	}
	o.set(key, ast.NewArray(terms...))
}
