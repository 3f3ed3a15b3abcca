package api

import (
	"context"
	"iter"
	"net/http"
	"reflect"

	"github.com/danielgtaylor/huma/v2"
	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/directory/command"
	"github.com/gxbus/gxbus/pkg/directory/state"
)

// noun is one kind of directory entry as the API serves it.
type noun[V any] struct {
	path, tag string
	table     state.Table                 // "": its changes are not told
	list      func(*state.Tx) iter.Seq[V] // nil: not through here
	find      func(*state.Tx, string) (V, bool)
	revision  func(V) bus.Revision
	id        func(*V) *string                       // the field that the path names
	visible   func(*state.Tx, bus.Principal, V) bool // nil: to every principal
	shown     func(V) V                              // without what is nobody's business; nil: as it is
	worked    func(*state.Tx, V) V                   // with what follows from it and the directory; nil: as it is

	// alone adds what is worked out where one is shown by itself; nil: nothing.
	alone func(tx *state.Tx, p bus.Principal, v V) (V, error)

	// found refuses, with its record, who is not to find the entry that the path names.
	found func(ctx context.Context, a *API, p bus.Principal, id string) error

	put    command.Type // "": not through here
	delete command.Type // "": never deleted
}

func typeOf(v any) reflect.Type { return reflect.TypeOf(v) }

// ByID is the path of one entry.
type ByID struct {
	ID string `path:"id" maxLength:"64" pattern:"^[0-9A-Za-z-]+$"`
}

type putOf[V any] struct {
	ByID
	Expected
	Sent[V]
}

type deleteOf struct {
	ByID
	Expected
}

// deleted answers a deletion.
type deleted struct {
	Index bus.Revision `header:"Gxbus-Index"`
}

// addNoun registers list, show, put and delete of a noun.
func addNoun[V any](a *API, h huma.API, n noun[V]) {
	at := "/api/v1/" + n.path
	follow(a, n)
	op := func(id, method, path, summary string) huma.Operation {
		return huma.Operation{OperationID: id + "-" + n.tag, Method: method, Path: path, Summary: summary + " " + n.tag, Tags: []string{n.path}}
	}
	if n.list != nil {
		handle(a, h, op("list", http.MethodGet, at, "List"), func(_ context.Context, p bus.Principal, _ *struct{}) (*answer[list[V]], error) {
			return n.listed(a, p)
		})
	}
	handle(a, h, op("show", http.MethodGet, at+"/{id}", "Show"), func(ctx context.Context, p bus.Principal, in *ByID) (*answer[V], error) {
		if n.found != nil {
			if err := n.found(ctx, a, p, in.ID); err != nil {
				return nil, err
			}
		}
		return n.showing(a, p, in.ID)
	})
	if n.put != "" {
		handle(a, h, describes[V](a, h, op("put", http.MethodPut, at+"/{id}", "Create or change")), func(ctx context.Context, p bus.Principal, in *putOf[V]) (*answer[V], error) {
			return n.putting(ctx, a, p, in)
		})
	}
	if n.delete != "" {
		handle(a, h, op("delete", http.MethodDelete, at+"/{id}", "Delete"), func(ctx context.Context, p bus.Principal, in *deleteOf) (*deleted, error) {
			expect, err := in.revision()
			if err != nil {
				return nil, err
			}
			result, err := a.write(ctx, p, n.delete, expect, command.Key{ID: in.ID}, in.ID)
			return &deleted{result.Index}, err
		})
	}
}

func (n noun[V]) listed(a *API, p bus.Principal) (*answer[list[V]], error) {
	out := &answer[list[V]]{Body: list[V]{Items: []V{}}}
	var err error
	out.Stamp, err = a.read(func(tx *state.Tx) error {
		for v := range n.list(tx) {
			if shown, ok := n.seen(tx, p, v); ok {
				out.Body.Items = append(out.Body.Items, shown)
			}
		}
		return nil
	})
	return out, err
}

// showing answers what is not there and what is not to be seen alike.
func (n noun[V]) showing(a *API, p bus.Principal, id string) (*answer[V], error) {
	out := &answer[V]{}
	var err error
	out.Stamp, err = a.read(func(tx *state.Tx) error {
		v, ok := n.find(tx, id)
		if ok {
			out.Body, ok = n.seen(tx, p, v)
		}
		if !ok {
			return bus.NotFound(n.tag, id)
		}
		if n.alone == nil {
			return nil
		}
		var err error
		out.Body, err = n.alone(tx, p, out.Body)
		return err
	})
	out.ETag = etag(n.revision(out.Body))
	return out, err
}

// seen is the one rule of who sees what: an entry as a principal may see it, or
// not at all. Lists, single entries and changes all ask it.
func (n noun[V]) seen(tx *state.Tx, p bus.Principal, v V) (shown V, ok bool) {
	if n.visible != nil && !n.visible(tx, p, v) {
		return shown, false
	}
	if n.shown != nil {
		v = n.shown(v)
	}
	if n.worked != nil {
		v = n.worked(tx, v)
	}
	return v, true
}

func (n noun[V]) putting(ctx context.Context, a *API, p bus.Principal, in *putOf[V]) (*answer[V], error) {
	expect, v, err := named(in, n.id)
	if err != nil {
		return nil, err
	}
	if _, err := a.write(ctx, p, n.put, expect, v, in.ID); err != nil {
		return nil, err
	}
	return n.showing(a, p, in.ID)
}

func notOfPath(id string) error {
	return bus.E(bus.CodeInvalid, bus.Defect{Field: "id", Problem: bus.Text{ZH: "与路径不一致", EN: "differs from the path"}, Allowed: id})
}

// administrator reports whether p holds one of the separated roles: those see
// the whole directory, secrets excepted.
func administrator(p bus.Principal) bool { return p.Role.Administrator() }

func (a *API) addNouns(h huma.API) {
	addNoun(a, h, noun[bus.Division]{
		path: "divisions", tag: "division", table: state.Divisions,
		list:     (*state.Tx).Divisions,
		find:     func(tx *state.Tx, id string) (bus.Division, bool) { return tx.Division(bus.DivisionCode(id)) },
		revision: func(v bus.Division) bus.Revision { return v.Revision },
		id:       func(v *bus.Division) *string { return (*string)(&v.Code) },
		put:      command.DivisionPut,
	})
	addNoun(a, h, noun[bus.Node]{
		path: "nodes", tag: "node", table: state.Nodes,
		list:     (*state.Tx).Nodes,
		find:     func(tx *state.Tx, id string) (bus.Node, bool) { return tx.Node(bus.NodeID(id)) },
		revision: func(v bus.Node) bus.Revision { return v.Revision },
	})
	addNoun(a, h, noun[bus.Department]{
		path: "departments", tag: "department", table: state.Departments,
		list:     (*state.Tx).Departments,
		find:     func(tx *state.Tx, id string) (bus.Department, bool) { return tx.Department(bus.USCC(id)) },
		revision: func(v bus.Department) bus.Revision { return v.Revision },
		id:       func(v *bus.Department) *string { return (*string)(&v.ID) },
		put:      command.DepartmentPut, delete: command.DepartmentDelete,
	})
	addNoun(a, h, noun[bus.Resource]{
		path: "resources", tag: "resource", table: state.Resources,
		find:     func(tx *state.Tx, id string) (bus.Resource, bool) { return tx.Resource(bus.ResourceID(id)) },
		revision: func(v bus.Resource) bus.Revision { return v.Revision },
		visible:  a.discovers,
		found:    func(ctx context.Context, a *API, p bus.Principal, id string) error { return a.found(ctx, p, id) },
	})
	a.addAccounts(h)
	a.addVersions(h)
	a.addGrants(h)
	a.addApplications(h)
	a.addSubscriptions(h)
	a.addSystems(h)
}

func (a *API) addSubscriptions(h huma.API) {
	subscriptions := noun[bus.Subscription]{
		path: "subscriptions", tag: "subscription", table: state.Subscriptions,
		list:     (*state.Tx).Subscriptions,
		find:     func(tx *state.Tx, id string) (bus.Subscription, bool) { return tx.Subscription(bus.SubscriptionID(id)) },
		revision: func(v bus.Subscription) bus.Revision { return v.Revision },
		id:       func(v *bus.Subscription) *string { return (*string)(&v.ID) },
		visible: func(_ *state.Tx, p bus.Principal, v bus.Subscription) bool {
			return administrator(p) || p.Department == v.Consumer
		},
		delete: command.SubscriptionDelete,
	}
	addNoun(a, h, subscriptions)
	a.addSubscribing(h, subscriptions)
	a.addSubscriptionSteps(h, subscriptions)
	a.addSinks(h)
	a.addDeliveries(h)
}
