package api

import (
	"context"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/client"
	"github.com/gxbus/gxbus/pkg/directory/search"
	"github.com/gxbus/gxbus/pkg/directory/state"
	"github.com/gxbus/gxbus/pkg/exchange"
)

const (
	indexCourtesy = 2 * time.Second  // how long a search waits for the index to show what this replica does
	indexPatience = 10 * time.Second // and how long a list, or whoever asks for it, as long as the index follows
	highlighted   = 5                // texts of one entry that are shown with their hits
)

// sought is what a list of resources is asked for.
type sought struct {
	Q         string   `query:"q" maxLength:"1024" doc:"words that must all be in a resource's name, items, abstract, provider or codes; no query language"`
	Division  []string `query:"division,explode" doc:"of the provider, or above it"`
	Level     []string `query:"level,explode" doc:"of the provider's division: province, city, county, town"`
	Provider  []string `query:"provider,explode" doc:"unified social credit code"`
	Sharing   []string `query:"sharing,explode" doc:"unconditional, conditional, none"`
	Format    []string `query:"format,explode"`
	Cycle     []string `query:"update_cycle,explode"`
	Library   []string `query:"library,explode"`
	State     []string `query:"state,explode" doc:"published where absent; of others the drafts that the caller may see"`
	Facets    []string `query:"facets,explode" doc:"what to count by: division, level, provider, sharing, format, update_cycle, library, state"`
	Sort      string   `query:"sort" doc:"relevance, id, name, published, code; relevance where there are words, else id"`
	Limit     int      `query:"limit" minimum:"1" maximum:"1000" default:"50" doc:"resources on a page"`
	Cursor    string   `query:"cursor" doc:"next of the page before"`
	mustShow  bus.Revision
	wantsMore bool
}

// Resolve notes how fresh the answer must be.
func (s *sought) Resolve(ctx huma.Context) []error {
	n, err := strconv.ParseUint(ctx.Query(client.QueryMinIndex), 10, 64)
	s.wantsMore = err == nil && n > 0 || ctx.Query(client.QueryConsistent) == "true"
	s.mustShow = bus.Revision(n)
	return nil
}

func (s *sought) query() search.Query {
	q := search.Query{Words: s.Q, Sort: search.Sort(s.Sort), Limit: s.Limit, Cursor: s.Cursor, Where: map[search.Dimension][]string{}}
	for d, values := range map[search.Dimension][]string{
		search.ByDivision: s.Division, search.ByLevel: s.Level, search.ByProvider: s.Provider, search.BySharing: s.Sharing,
		search.ByFormat: s.Format, search.ByCycle: s.Cycle, search.ByLibrary: s.Library, search.ByState: s.State,
	} {
		q.Where[d] = listed(values)
	}
	for _, f := range listed(s.Facets) {
		q.Facets = append(q.Facets, search.Dimension(f))
	}
	return q
}

// listed takes values given one by one, separated by commas, or both.
func listed(values []string) []string {
	var all []string
	for _, v := range values {
		for part := range strings.SplitSeq(v, ",") {
			if part = strings.TrimSpace(part); part != "" {
				all = append(all, part)
			}
		}
	}
	return all
}

func (a *API) addSearch(h huma.API) {
	handle(a, h, huma.Operation{
		OperationID: "list-resource", Method: http.MethodGet, Path: "/api/v1/resources", Tags: []string{"resources"},
		Summary: "Find resources",
		Description: "Those that have every word of q and, of each filter, one of its values; all published ones where neither is given. " +
			"Whoever walks through the pages sees each resource that stays as it is exactly once.",
	}, a.resources)
	type question struct {
		ByID
		Purpose    []string `query:"purpose,explode" doc:"only for these purposes"`
		Matter     string   `query:"matter" maxLength:"128" doc:"matter code of the use"`
		Department string   `query:"department" maxLength:"18" pattern:"^[0-9A-Z]*$" doc:"for an administrator: which department"`
	}
	handle(a, h, huma.Operation{
		OperationID: "explain-access", Method: http.MethodGet, Path: "/api/v1/resources/{id}/access", Tags: []string{"resources"},
		Summary:     "Explain what a department may do with a resource",
		Description: "Worked out by the decisions that doing it would need, and recorded; it changes nothing and promises nothing.",
	}, func(ctx context.Context, p bus.Principal, in *question) (*answer[bus.Access], error) {
		q := exchange.Access{Resource: bus.ResourceID(in.ID), Department: bus.USCC(in.Department), Matter: in.Matter}
		for _, purpose := range listed(in.Purpose) {
			q.Purposes = append(q.Purposes, bus.Purpose(purpose))
		}
		return a.access(ctx, p, q)
	})
}

func (a *API) resources(ctx context.Context, p bus.Principal, in *sought) (*answer[client.ResourcePage], error) {
	wanted, err := a.indexed(ctx, in)
	if err != nil {
		return nil, err
	}
	out := &answer[client.ResourcePage]{}
	var found search.Answer
	out.Stamp, err = a.read(func(tx *state.Tx) error {
		v, err := a.viewer(ctx, tx, p)
		if err != nil {
			return err
		}
		if found, err = a.Search.Search(ctx, in.query(), v); err != nil {
			return err
		}
		out.Body = page(tx, found, in.Q, wanted)
		return nil
	})
	if err == nil {
		*out.Index = min(*out.Index, found.Progress.Index)
	}
	return out, err
}

// indexed waits until the index shows what the answer must, and returns what that
// is: what the caller asks for, else all that this replica shows. Of a list, which
// somebody may take for whole, that takes longer than of a search of words. An answer
// of less says that it is not complete, and is refused to who asked for more.
func (a *API) indexed(ctx context.Context, in *sought) (bus.Revision, error) {
	wanted, _ := a.Directory.Applied()
	if in.mustShow > 0 {
		wanted = in.mustShow
	}
	wait := func(patience time.Duration) bool {
		waiting, cancel := context.WithTimeout(ctx, patience)
		defer cancel()
		return a.Search.Wait(waiting, wanted) == nil
	}
	if wait(indexCourtesy) {
		return wanted, nil
	}
	follows := a.Search.Progress().Complete // it is not being made anew
	if follows && (in.wantsMore || strings.TrimSpace(in.Q) == "") && wait(indexPatience-indexCourtesy) {
		return wanted, nil
	}
	if !follows || !in.wantsMore {
		return wanted, ctx.Err()
	}
	return 0, bus.E(bus.CodeUnavailable, bus.Defect{
		Field: client.QueryMinIndex, Problem: bus.Text{ZH: "检索索引尚未到达该位置", EN: "the search index has not come so far yet"},
		Allowed: "≤ " + strconv.FormatUint(uint64(a.Search.Progress().Index), 10),
	})
}

// page reads what was found, as the directory has it now. It is complete where the
// index has come to what is wanted.
func page(tx *state.Tx, found search.Answer, words string, wanted bus.Revision) client.ResourcePage {
	p := client.ResourcePage{
		Items: []client.FoundResource{}, Total: found.Total, Next: found.Next,
		Complete: found.Progress.Complete, Indexed: found.Progress.Indexed, Entries: found.Progress.Total,
	}
	if p.Complete && found.Progress.Index < wanted {
		p.Complete, p.Entries = false, tx.Count(state.Resources)+tx.Count(state.Drafts)
	}
	for _, hit := range found.Hits {
		shown, ok := entry(tx, hit)
		if !ok {
			continue // it went away a moment ago
		}
		if words != "" {
			shown.Highlights = highlights(tx, shown.Resource, words)
		}
		p.Items = append(p.Items, shown)
	}
	if found.Facets != nil {
		p.Facets = map[string]client.Facet{}
	}
	for d, f := range found.Facets {
		facet := client.Facet{Values: []client.FacetValue{}, More: f.More}
		for _, c := range f.Counts {
			facet.Values = append(facet.Values, client.FacetValue{Value: c.Value, Name: nameOf(tx, d, c.Value), Count: c.Count})
		}
		p.Facets[string(d)] = facet
	}
	return p
}

func entry(tx *state.Tx, hit search.Hit) (found client.FoundResource, ok bool) {
	if !hit.Draft {
		r, ok := tx.Resource(hit.ID)
		return client.FoundResource{Resource: r, State: bus.StatePublished, Attachment: attachment(tx, r.ID)}, ok
	}
	d, ok := tx.Draft(hit.ID)
	d.Resource.ID, d.Resource.Revision = d.ID, d.Revision
	return client.FoundResource{Resource: d.Resource, State: d.State}, ok
}

// attachment is how a resource is attached, if anything is known of that.
func attachment(tx *state.Tx, id bus.ResourceID) *bus.Attachment {
	if a, ok := tx.Attachment(id); ok {
		return &a
	}
	return nil
}

func nameOf(tx *state.Tx, d search.Dimension, value string) string {
	switch d {
	case search.ByDivision:
		division, _ := tx.Division(bus.DivisionCode(value))
		return division.Name
	case search.ByProvider:
		department, _ := tx.Department(bus.USCC(value))
		return department.Name
	case search.ByLibrary:
		library, _ := tx.Library(bus.LibraryID(value))
		return library.Name
	}
	return ""
}

// highlights shows where in a resource the words stand.
func highlights(tx *state.Tx, r bus.Resource, words string) []client.Highlight {
	var all []client.Highlight
	add := func(field, text string) {
		if len(all) == highlighted {
			return
		}
		parts := search.Highlight(words, text)
		if parts == nil {
			return
		}
		h := client.Highlight{Field: field}
		for _, p := range parts {
			h.Parts = append(h.Parts, client.Part(p))
		}
		all = append(all, h)
	}
	department, _ := tx.Department(r.Provider)
	add("name", r.Name)
	for i, c := range r.Codes {
		add("codes["+strconv.Itoa(i)+"]", string(c))
	}
	add("id", string(r.ID))
	for _, it := range r.Items {
		add("items."+string(it.ID), strings.TrimSpace(it.Name+" "+string(it.ID)+" "+it.English))
	}
	add("abstract", r.Abstract)
	add("provider", department.Name)
	add("office", r.Office)
	return all
}
