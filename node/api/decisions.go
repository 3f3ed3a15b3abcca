package api

import (
	"context"
	"encoding/base64"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/gxbus/gxbus/pkg/audit"
	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/decision"
	"github.com/gxbus/gxbus/pkg/decision/replay"
	"github.com/gxbus/gxbus/pkg/policy"
)

// maxPassed is how many leaves one page of decisions looks at.
const maxPassed = 200_000

// sifted is what a list of decisions is asked for.
type sifted struct {
	Since      string `query:"since" doc:"decisions from then on, RFC 3339"`
	Until      string `query:"until" doc:"and up to, not including, then"`
	Outcome    string `query:"outcome" enum:"allow,deny" doc:"both where absent"`
	Layer      string `query:"layer" maxLength:"64" doc:"that applied; of denials, that denied"`
	Resource   string `query:"resource" maxLength:"128"`
	Department string `query:"department" maxLength:"18" doc:"on either side"`
	Limit      int    `query:"limit" minimum:"1" maximum:"1000" default:"100" doc:"decisions on a page"`
	Cursor     string `query:"cursor" maxLength:"64" doc:"next of the page before"`
}

// addDecisions registers what is read of recorded decisions.
func (a *API) addDecisions(h huma.API) {
	op := func(id, path, summary, description string) huma.Operation {
		return huma.Operation{
			OperationID: id, Method: http.MethodGet, Path: "/api/v1/decisions" + path, Summary: summary, Description: description, Tags: []string{"policies"},
		}
	}
	about := "In the form of OPA's decision log. Security administrators and auditors read all decisions of this node, a department those that it is a party of."
	list := op("list-decisions", "", "List recorded decisions, newest first", about+" A page may be empty and have a next one.")
	handle(a, h, list, func(_ context.Context, p bus.Principal, in *sifted) (*answer[decision.EventPage], error) {
		page, err := a.decisions(p, in)
		return &answer[decision.EventPage]{Body: page}, err
	})
	type one struct {
		ID string `path:"id" maxLength:"256"`
	}
	handle(a, h, op("explain-decision", "/{id}", "Show a recorded decision and the rules behind it", about), func(ctx context.Context, p bus.Principal, in *one) (*answer[decision.Event], error) {
		e, err := a.decision(ctx, p, in.ID)
		return &answer[decision.Event]{Body: e}, err
	})
}

// readsDecision says whether a decision is there for a caller. That a policy hid a
// resource from a department it is not told: it would learn of the resource.
func readsDecision(p bus.Principal, r audit.Record) bool {
	switch {
	case p.Role == bus.RoleSecurityAdministrator || p.Role == bus.RoleAuditor:
		return true
	case administrator(p) || p.Department == "":
		return false
	case r.Provider == p.Department:
		return true
	}
	return (r.Consumer == p.Department || r.Principal.Department == p.Department) && r.Decision.Action != string(policy.ActionDiscover)
}

func (a *API) decision(ctx context.Context, p bus.Principal, id string) (e decision.Event, err error) {
	err = a.Exchange.ReadEvidence(func(log *audit.Reader) error {
		leaf, err := log.Decision(id)
		if err == nil && !readsDecision(p, leaf.Record) {
			err = bus.NotFound("decision", id)
		}
		if err == nil {
			e = replay.Explain(ctx, a.Policy, leaf, log)
		}
		return err
	})
	return e, err
}

func (a *API) decisions(p bus.Principal, in *sifted) (page decision.EventPage, err error) {
	page.Items = []decision.Event{}
	fits, err := in.filter()
	if err != nil {
		return page, err
	}
	err = a.Exchange.ReadEvidence(func(log *audit.Reader) error {
		at, err := log.Size()
		if err != nil {
			return err
		}
		if in.Cursor != "" {
			var before [1]int64
			if err := readCursor(in.Cursor, before[:]); err != nil {
				return err
			}
			at = min(at, before[0])
		}
		last := max(0, at-maxPassed)
		for at > last && len(page.Items) < in.Limit {
			at--
			leaf, ok, err := log.DecisionAt(at)
			if err != nil {
				return err
			}
			if ok && readsDecision(p, leaf.Record) && fits(leaf.Record) {
				page.Items = append(page.Items, replay.Event(leaf, log))
			}
		}
		if at > 0 {
			page.Next = cursor(at)
		}
		return nil
	})
	return page, err
}

// filter makes the test of a record.
func (in *sifted) filter() (func(audit.Record) bool, error) {
	var defects []bus.Defect
	since, defects := momentOf("since", in.Since, defects)
	until, defects := momentOf("until", in.Until, defects)
	if err := bus.Invalid(defects); err != nil {
		return nil, err
	}
	layer := bus.LayerID(in.Layer)
	return func(r audit.Record) bool {
		d := r.Decision
		_, applied := d.Layers[layer]
		denied := slices.ContainsFunc(d.Reasons, func(reason bus.Reason) bool { return reason.Layer == layer })
		party := in.Department == "" || in.Department == string(r.Provider) || in.Department == string(r.Consumer)
		return !d.At.Before(since) && (until.IsZero() || d.At.Before(until)) &&
			(in.Outcome == "" || (in.Outcome == "allow") == d.Allow) &&
			(layer == "" || applied && in.Outcome != "deny" || denied) &&
			(in.Resource == "" || in.Resource == string(r.Resource)) && party
	}, nil
}

func momentOf(field, text string, defects []bus.Defect) (time.Time, []bus.Defect) {
	if text == "" {
		return time.Time{}, defects
	}
	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		defects = append(defects, bus.Defect{Field: field, Problem: bus.Text{ZH: "时间格式不正确", EN: "not a time"}, Allowed: "RFC 3339, 2026-03-04T00:00:00+08:00"})
	}
	return t, defects
}

// cursor writes places in the log as one word.
func cursor(places ...int64) string {
	var words []string
	for _, n := range places {
		words = append(words, strconv.FormatInt(n, 10))
	}
	return base64.RawURLEncoding.EncodeToString([]byte(strings.Join(words, ".")))
}

// readCursor reads as many places as there is room for.
func readCursor(word string, places []int64) error {
	text, err := base64.RawURLEncoding.DecodeString(word)
	words := strings.Split(string(text), ".")
	if err == nil && len(words) != len(places) {
		err = fmt.Errorf("%d places", len(words))
	}
	for i := 0; i < len(places) && err == nil; i++ {
		if places[i], err = strconv.ParseInt(words[i], 10, 64); err == nil && places[i] < 0 {
			err = fmt.Errorf("place %d", places[i])
		}
	}
	if err != nil {
		return bus.E(bus.CodeInvalid, bus.Defect{
			Field: "cursor", Problem: bus.Text{ZH: "翻页标记不正确", EN: "not a cursor of this list"}, Allowed: "next of the page before",
		}).Because(err)
	}
	return nil
}
