package api

import (
	"cmp"
	"context"
	"fmt"
	"net/http"

	"github.com/danielgtaylor/huma/v2"
	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/client"
	"github.com/gxbus/gxbus/pkg/directory/command"
	"github.com/gxbus/gxbus/pkg/directory/state"
	"github.com/gxbus/gxbus/pkg/policy"
)

// LayerPath names a policy layer by kind and what it is of:
// /policies/division/440100.
type LayerPath struct {
	Kind string `path:"kind" enum:"division,department"`
	Of   string `path:"of" maxLength:"64" pattern:"^[0-9A-Za-z]+$"`
}

func (p LayerPath) id() bus.LayerID { return bus.LayerID(p.Kind + "/" + p.Of) }

// policyOperation is an operation of the policies.
func policyOperation(id, method, path, summary, description string) huma.Operation {
	return huma.Operation{OperationID: id, Method: method, Path: "/api/v1/policies" + path, Summary: summary, Description: description, Tags: []string{"policies"}}
}

// addPolicies registers policy layers: what is in force, the drafts beside it and
// the revisions before it. One security administrator pushes a draft, another
// activates it.
func (a *API) addPolicies(h huma.API) {
	layers := noun[bus.Layer]{tag: "layer", table: state.Layers, list: (*state.Tx).Layers}
	drafts := noun[bus.LayerDraft]{
		tag: "layer-draft", table: state.LayerDrafts, list: (*state.Tx).LayerDrafts,
		visible: func(_ *state.Tx, p bus.Principal, _ bus.LayerDraft) bool { return administrator(p) },
	}
	follow(a, layers)
	follow(a, drafts)
	op := policyOperation
	handle(a, h, op("list-layers", http.MethodGet, "", "List policy layers", "Those in force."), func(_ context.Context, p bus.Principal, _ *struct{}) (*answer[list[bus.Layer]], error) {
		return layers.listed(a, p)
	})
	handle(a, h, op("list-layer-drafts", http.MethodGet, "/drafts", "List drafts of policy layers", "For administrators."),
		func(_ context.Context, p bus.Principal, _ *struct{}) (*answer[list[bus.LayerDraft]], error) {
			return drafts.listed(a, p)
		})
	handle(a, h, op("show-layer", http.MethodGet, "/{kind}/{of}", "Show a policy layer", "As it is in force."), func(_ context.Context, _ bus.Principal, in *LayerPath) (*answer[bus.Layer], error) {
		return a.layer(in.id())
	})
	check := op("check-layer", http.MethodPost, "/check", "Check and test a policy layer without storing it", "As a push does.")
	handle(a, h, describes[bus.Layer](a, h, check), func(ctx context.Context, p bus.Principal, in *Sent[bus.Layer]) (*answer[bus.LayerReport], error) {
		if err := only(bus.RoleSecurityAdministrator, p); err != nil {
			return nil, err
		}
		layer, err := in.decode()
		if err != nil {
			return nil, err
		}
		return &answer[bus.LayerReport]{Body: a.Policy.Check(ctx, layer)}, nil
	})
	a.addLayerDraft(h)
	a.addLayerHistory(h)
}

// addLayerDraft registers what is done with the draft of one layer.
func (a *API) addLayerDraft(h huma.API) {
	type push struct {
		LayerPath
		Expected
		Sent[bus.LayerPush]
	}
	type activate struct {
		LayerPath
		Expected
		Sent[client.LayerActivation]
	}
	type discard struct {
		LayerPath
		Expected
	}
	op, at := policyOperation, "/{kind}/{of}/draft"
	handle(a, h, op("show-layer-draft", http.MethodGet, at, "Show the draft of a policy layer", "With the report of its check."),
		func(_ context.Context, p bus.Principal, in *LayerPath) (*answer[bus.LayerDraft], error) {
			return a.layerDraft(p, in.id())
		})
	pushed := op("push-layer", http.MethodPut, at, "Push a draft of a policy layer",
		"A text, an older revision to roll back to, or removal. It is checked and tested; what is in force stays until another security administrator activates the draft.")
	handle(a, h, describes[bus.LayerPush](a, h, pushed), func(ctx context.Context, p bus.Principal, in *push) (*answer[bus.LayerDraft], error) {
		body, err := in.decode()
		if err != nil {
			return nil, err
		}
		return a.pushLayer(ctx, p, in.Expected, in.id(), body)
	})
	handle(a, h, op("discard-layer", http.MethodDelete, at, "Discard the draft of a policy layer", ""), func(ctx context.Context, p bus.Principal, in *discard) (*deleted, error) {
		expect, err := in.revision()
		if err != nil {
			return nil, err
		}
		key := string(in.id())
		result, err := a.write(ctx, p, command.LayerDiscard, expect, command.Key{ID: key}, fmt.Sprintf("%s draft %d", key, expect))
		return &deleted{result.Index}, err
	})
	activated := op("activate-layer", http.MethodPost, at+"/activate", "Put the draft of a policy layer in force",
		"As a new revision, by a security administrator other than the one who pushed it. If-Match names the draft that was looked at.")
	handle(a, h, describes[client.LayerActivation](a, h, activated), func(ctx context.Context, p bus.Principal, in *activate) (*answer[bus.LayerRevision], error) {
		body, err := in.decode()
		if err != nil {
			return nil, err
		}
		return a.activateLayer(ctx, p, in.Expected, command.Activation{Layer: in.id(), Note: body.Note})
	})
}

// addLayerHistory registers the revisions of one layer, which are for administrators
// to see: they name people.
func (a *API) addLayerHistory(h huma.API) {
	type revision struct {
		LayerPath
		Revision uint64 `path:"revision" minimum:"1"`
	}
	op := policyOperation
	handle(a, h, op("list-layer-revisions", http.MethodGet, "/{kind}/{of}/revisions", "List the revisions of a policy layer", "The first one first, without their texts and reports."),
		func(_ context.Context, p bus.Principal, in *LayerPath) (*answer[list[bus.LayerRevision]], error) {
			return a.layerRevisions(p, in.id())
		})
	handle(a, h, op("show-layer-revision", http.MethodGet, "/{kind}/{of}/revisions/{revision}", "Show a revision of a policy layer", "With its text, who pushed and who activated it, when and why."),
		func(_ context.Context, p bus.Principal, in *revision) (*answer[bus.LayerRevision], error) {
			return a.layerRevision(p, in.id(), bus.Revision(in.Revision))
		})
}

func (a *API) layer(id bus.LayerID) (*answer[bus.Layer], error) {
	out := &answer[bus.Layer]{}
	var err error
	out.Stamp, err = a.read(func(tx *state.Tx) error {
		var ok bool
		if out.Body, ok = tx.Layer(id); !ok {
			return bus.NotFound("layer", string(id))
		}
		return nil
	})
	out.ETag = etag(out.Body.Revision)
	return out, err
}

// layerDraft answers what is not there and what is not to be seen alike.
func (a *API) layerDraft(p bus.Principal, id bus.LayerID) (*answer[bus.LayerDraft], error) {
	out := &answer[bus.LayerDraft]{}
	var err error
	out.Stamp, err = a.read(func(tx *state.Tx) error {
		var ok bool
		if out.Body, ok = tx.LayerDraft(id); !ok || !administrator(p) {
			return bus.NotFound("draft", string(id))
		}
		return nil
	})
	out.ETag = etag(out.Body.Revision)
	return out, err
}

func (a *API) layerRevisions(p bus.Principal, id bus.LayerID) (*answer[list[bus.LayerRevision]], error) {
	if !administrator(p) {
		return nil, bus.E(bus.CodeForbidden)
	}
	out := &answer[list[bus.LayerRevision]]{}
	var err error
	out.Stamp, err = a.read(func(tx *state.Tx) error {
		for r := range tx.LayerRevisions(id) {
			r.Draft.Modules, r.Draft.Report = nil, nil
			out.Body.Items = append(out.Body.Items, r)
		}
		if len(out.Body.Items) == 0 {
			return bus.NotFound("layer", string(id))
		}
		return nil
	})
	return out, err
}

func (a *API) layerRevision(p bus.Principal, id bus.LayerID, revision bus.Revision) (*answer[bus.LayerRevision], error) {
	if !administrator(p) {
		return nil, bus.E(bus.CodeForbidden)
	}
	out := &answer[bus.LayerRevision]{}
	var err error
	out.Stamp, err = a.read(func(tx *state.Tx) error {
		var ok bool
		if out.Body, ok = tx.LayerRevision(id, revision); !ok {
			return bus.NotFound("revision", fmt.Sprintf("%s@%d", id, revision))
		}
		return nil
	})
	out.ETag = etag(out.Body.Revision)
	return out, err
}

// pushLayer checks what is pushed and makes it the layer's draft.
func (a *API) pushLayer(ctx context.Context, p bus.Principal, e Expected, id bus.LayerID, push bus.LayerPush) (*answer[bus.LayerDraft], error) {
	if err := only(bus.RoleSecurityAdministrator, p); err != nil {
		return nil, err
	}
	expect, err := e.revision()
	if err != nil {
		return nil, err
	}
	if err := bus.Invalid(push.Form()); err != nil {
		return nil, err
	}
	body := command.Push{Layer: id, LayerPush: push}
	text, err := a.textOf(id, push)
	if err != nil {
		return nil, err
	}
	said := "removal"
	if !push.Remove {
		report := a.Policy.Check(ctx, text)
		if !report.OK {
			return nil, refusedLayer(report)
		}
		body.Report = kept(report)
		covered, lines := report.Covered()
		said = fmt.Sprintf("text %.16s, %d tests, %d of %d lines covered", policy.Digest(text.Modules), len(report.Tests), covered, lines)
	}
	if push.Rollback != 0 {
		said = fmt.Sprintf("rollback to %d, %s", push.Rollback, said)
	}
	result, err := a.put(ctx, p, command.LayerPush, expect, body)
	if err != nil {
		return nil, err
	}
	if err := a.administered(ctx, p, command.LayerPush, fmt.Sprintf("%s draft %d (%s): %s", id, result.Revision, said, push.Note)); err != nil {
		return nil, err
	}
	return a.layerDraft(p, id)
}

// textOf is the text that a push puts up: its own, or that of an older revision.
func (a *API) textOf(id bus.LayerID, push bus.LayerPush) (layer bus.Layer, err error) {
	layer = bus.Layer{ID: id, Modules: push.Modules}
	if push.Rollback == 0 {
		return layer, nil
	}
	_, err = a.read(func(tx *state.Tx) error {
		old, ok := tx.LayerRevision(id, push.Rollback)
		if !ok {
			return bus.NotFound("revision", fmt.Sprintf("%s@%d", id, push.Rollback))
		}
		layer.Modules = old.Draft.Modules
		return nil
	})
	return layer, err
}

const keptOutput = 1 << 10 // bytes of what a test prints that go into the directory

// kept is the report of a check as the directory keeps it.
func kept(r bus.LayerReport) *bus.LayerReport {
	tests := make([]bus.LayerTest, len(r.Tests))
	for i, t := range r.Tests {
		t.Output = t.Output[:min(len(t.Output), keptOutput)]
		tests[i] = t
	}
	r.Tests = tests
	return &r
}

// refusedLayer tells all that a check found.
func refusedLayer(report bus.LayerReport) error {
	refusal := bus.E(bus.CodePolicyRefused)
	for _, problem := range report.Problems {
		refusal.Defects = append(refusal.Defects, bus.Defect{Field: cmp.Or(problem.Where(), "modules"), Problem: problem.Message})
	}
	return refusal
}

func (a *API) activateLayer(ctx context.Context, p bus.Principal, e Expected, body command.Activation) (*answer[bus.LayerRevision], error) {
	expect, err := e.revision()
	if err != nil {
		return nil, err
	}
	result, err := a.put(ctx, p, command.LayerActivate, expect, body)
	if err != nil {
		return nil, err
	}
	detail := fmt.Sprintf("%s draft %d as revision %d: %s", body.Layer, expect, result.Revision, body.Note)
	if err := a.administered(ctx, p, command.LayerActivate, detail); err != nil {
		return nil, err
	}
	a.Layers.Wait(ctx, result.Index) // whoever asks this node next is answered by it
	return a.layerRevision(p, body.Layer, result.Revision)
}
