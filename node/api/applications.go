package api

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"
	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/client"
	"github.com/gxbus/gxbus/pkg/directory/command"
	"github.com/gxbus/gxbus/pkg/directory/state"
)

// applicationsOf asks for a page of applications.
type applicationsOf struct {
	State      string `query:"state" enum:"draft,pending,returned,approved,refused,withdrawn" doc:"only those in this state"`
	Resource   string `query:"resource" maxLength:"63" pattern:"^[0-9a-z-]*$" doc:"only those for this resource"`
	Department string `query:"department" maxLength:"18" pattern:"^[0-9A-Z]*$" doc:"only those of this department"`
	After      string `query:"after" maxLength:"64" pattern:"^[0-9a-z-]*$" doc:"only those after this id: next of the page before"`
	Limit      int    `query:"limit" minimum:"1" maximum:"1000" default:"1000" doc:"how many at most"`
}

func (q applicationsOf) wants(a bus.Application) bool {
	return (q.State == "" || string(a.State) == q.State) &&
		(q.Resource == "" || string(a.Content.Resource) == q.Resource) &&
		(q.Department == "" || string(a.Content.Department) == q.Department)
}

// stepOf is a step with an application as it was at a revision.
type stepOf[T any] struct {
	ByID
	Expected
	Sent[T]
}

// applications serves the applications for data (共享申请).
type applications struct {
	*API
	noun noun[bus.Application]
}

// addApplications registers the applications: a department's operators write and
// submit them, the provider's reviewers answer.
func (a *API) addApplications(h huma.API) {
	var days workdays
	s := applications{a, noun[bus.Application]{
		path: "applications", tag: "application", table: state.Applications,
		find: func(tx *state.Tx, id string) (bus.Application, bool) {
			return tx.Application(bus.ApplicationID(id))
		},
		revision: func(v bus.Application) bus.Revision { return v.Revision },
		visible:  (*state.Tx).SeesApplication,
		worked: func(tx *state.Tx, v bus.Application) bus.Application {
			return tx.ShownApplication(days.of(tx), v, a.Now())
		},
	}}
	follow(a, s.noun)
	op := func(id, method, path, summary, description string) huma.Operation {
		return huma.Operation{OperationID: id, Method: method, Path: "/api/v1/applications" + path, Summary: summary, Description: description, Tags: []string{"applications"}}
	}
	handle(a, h, op("list-applications", http.MethodGet, "", "List applications", "Those that the caller may see, by id."),
		func(_ context.Context, p bus.Principal, in *applicationsOf) (*answer[client.ApplicationPage], error) {
			return s.page(p, in)
		})
	handle(a, h, op("show-application", http.MethodGet, "/{id}", "Show application", "With all that keeps a draft from being submitted."),
		func(_ context.Context, p bus.Principal, in *ByID) (*answer[bus.Application], error) {
			return s.show(p, in.ID)
		})
	put := op("put-application", http.MethodPut, "/{id}", "Create or complete application", "What is there must be well-formed; what is missing may come later.")
	handle(a, h, describes[bus.ApplicationContent](a, h, put), s.put)
	handle(a, h, op("delete-application", http.MethodDelete, "/{id}", "Delete application", "A draft that was never submitted."),
		func(ctx context.Context, p bus.Principal, in *deleteOf) (*deleted, error) {
			expect, err := in.revision()
			if err != nil {
				return nil, err
			}
			result, err := a.write(ctx, p, command.ApplicationDelete, expect, command.Key{ID: in.ID}, in.ID)
			return &deleted{result.Index}, err
		})
	submit := op("submit-application", http.MethodPost, "/{id}/submit", "Submit application",
		"Refused whole, with all that it lacks, or by a policy layer of either side (action apply). What is shared unconditionally is answered at once, and the grant is there.")
	handle(a, h, describes[client.Empty](a, h, submit), s.submit)
	addStep(s, h, op("answer-application", http.MethodPost, "/{id}/answer", "Answer application",
		"approve, refuse or return, by a reviewer of the provider. A refusal and a consent to less carry reasons; it is returned once at most."),
		command.ApplicationAnswer, func(id string, b client.ApplicationAnswer) (any, string) {
			return command.Answer{Application: bus.ApplicationID(id), Verdict: command.Verdict(b.Verdict), Terms: b.Terms, Opinion: b.Opinion}, string(b.Verdict)
		})
	addStep(s, h, op("withdraw-application", http.MethodPost, "/{id}/withdraw", "Withdraw application", "By the applying department, before it is answered."),
		command.ApplicationWithdraw, func(id string, b client.ApplicationWithdrawal) (any, string) {
			return command.ApplicationWithdrawal{Application: bus.ApplicationID(id), Reason: b.Reason}, ""
		})
	addStep(s, h, op("extend-application", http.MethodPost, "/{id}/extension", "Ask for more time to answer",
		"Once, before the answer is due; it counts once the data authority consents, before it is due too."),
		command.ApplicationExtend, func(id string, b client.ExtensionRequest) (any, string) {
			return command.MoreTime{Application: bus.ApplicationID(id), Days: b.Days, Reason: b.Reason}, ""
		})
	addStep(s, h, op("consent-application", http.MethodPost, "/{id}/consent", "Answer a request for more time", "By a reviewer of the provider's data authority."),
		command.ApplicationConsent, func(id string, b client.Consent) (any, string) {
			return command.MoreTimeConsent{Application: bus.ApplicationID(id), Approve: b.Approve, Opinion: b.Opinion}, ""
		})
}

// addStep registers a step with an application, which is answered as it is after it.
func addStep[T any](s applications, h huma.API, op huma.Operation, t command.Type, body func(id string, sent T) (entry any, remark string)) {
	handle(s.API, h, describes[T](s.API, h, op), func(ctx context.Context, p bus.Principal, in *stepOf[T]) (*answer[bus.Application], error) {
		expect, err := in.revision()
		if err != nil {
			return nil, err
		}
		sent, err := in.decode()
		if err != nil {
			return nil, err
		}
		entry, remark := body(in.ID, sent)
		if remark != "" {
			remark = " " + remark
		}
		return s.step(ctx, p, t, expect, entry, in.ID, remark)
	})
}

func (s applications) step(ctx context.Context, p bus.Principal, t command.Type, expect bus.Revision, entry any, id, remark string) (*answer[bus.Application], error) {
	if _, err := s.write(ctx, p, t, expect, entry, id+remark); err != nil {
		return nil, err
	}
	return s.show(p, id)
}

func (s applications) submit(ctx context.Context, p bus.Principal, in *stepOf[client.Empty]) (*answer[bus.Application], error) {
	expect, err := in.revision()
	if err != nil {
		return nil, err
	}
	if _, err := in.decode(); err != nil {
		return nil, err
	}
	if err := s.mayApply(ctx, p, bus.ApplicationID(in.ID), expect); err != nil {
		return nil, err
	}
	return s.step(ctx, p, command.ApplicationSubmit, expect, command.Key{ID: in.ID}, in.ID, "")
}

// mayApply asks the policies about an application at a revision. Where it is not the
// caller's to submit as it is, or names no resource yet, there is nothing to ask: the
// directory refuses it. Of a revision that this node does not have it can say nothing.
func (s applications) mayApply(ctx context.Context, p bus.Principal, id bus.ApplicationID, expect bus.Revision) error {
	s.Cluster.CatchUp(ctx) // it may have been written a moment ago
	var a bus.Application
	err := s.Directory.View(func(tx *state.Tx) error {
		var ok bool
		if a, ok = tx.Application(id); !ok {
			return bus.NotFound("application", string(id))
		}
		return nil
	})
	if err != nil {
		return err
	}
	if p.Role != bus.RoleOperator || p.Department != a.Content.Department || a.Revision > expect {
		return nil
	}
	if a.Revision < expect {
		return bus.E(bus.CodeRevision)
	}
	if _, early := a.After(bus.ApplySubmit); early != nil || a.Content.Resource == "" {
		return nil
	}
	return s.Exchange.Apply(ctx, p, requestOf(ctx), a)
}

func (s applications) page(p bus.Principal, in *applicationsOf) (*answer[client.ApplicationPage], error) {
	out := &answer[client.ApplicationPage]{Body: client.ApplicationPage{Items: []bus.Application{}}}
	var err error
	out.Stamp, err = s.read(func(tx *state.Tx) error {
		for v := range tx.ApplicationsAfter(bus.ApplicationID(in.After)) {
			if !in.wants(v) {
				continue
			}
			shown, ok := s.noun.seen(tx, p, v)
			if !ok {
				continue
			}
			if len(out.Body.Items) == in.Limit {
				out.Body.Next = out.Body.Items[in.Limit-1].ID
				return nil
			}
			out.Body.Items = append(out.Body.Items, shown)
		}
		return nil
	})
	return out, err
}

// show answers what is not there and what is not to be seen alike.
func (s applications) show(p bus.Principal, id string) (*answer[bus.Application], error) {
	out, err := s.noun.showing(s.API, p, id)
	if err != nil {
		return nil, err
	}
	if v := &out.Body; v.State == bus.ApplicationDraft || v.State == bus.ApplicationReturned {
		_, err = s.read(func(tx *state.Tx) error {
			v.Shown.Missing = tx.Lacking(v.Content, s.Now())
			return nil
		})
	}
	return out, err
}

func (s applications) put(ctx context.Context, p bus.Principal, in *putOf[bus.ApplicationContent]) (*answer[bus.Application], error) {
	expect, err := in.revision()
	if err != nil {
		return nil, err
	}
	content, err := in.decode()
	if err != nil {
		return nil, err
	}
	if p.Department != "" && content.Resource != "" { // what a policy hides from a department it does not ask for
		s.Cluster.CatchUp(ctx) // the resource may be a moment old
		if err := s.found(ctx, p, string(content.Resource)); err != nil {
			return nil, err
		}
	}
	if _, err := s.write(ctx, p, command.ApplicationPut, expect, command.Application{ID: bus.ApplicationID(in.ID), Content: content}, in.ID); err != nil {
		return nil, err
	}
	return s.show(p, in.ID)
}
