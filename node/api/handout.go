package api

import (
	"context"

	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/client"
	"github.com/gxbus/gxbus/pkg/directory/command"
	"github.com/gxbus/gxbus/pkg/directory/state"
)

// handing is a write whose answer may hold a secret that was made for it and is kept
// nowhere.
type handing[A any] struct {
	write  command.Type
	expect bus.Revision
	body   any
	detail string // of the evidence

	// shown reads the answer and the revision of what it shows. ok is false where the
	// directory has something else than this write made.
	shown func(tx *state.Tx) (shown A, revision bus.Revision, ok bool)
}

// handOut makes a write and answers it.
func handOut[A any](ctx context.Context, a *API, by bus.Principal, h handing[A]) (*answer[A], error) {
	if _, err := a.write(ctx, by, h.write, h.expect, h.body, h.detail); err != nil {
		return nil, err
	}
	out := &answer[A]{}
	var err error
	out.Stamp, err = a.read(func(tx *state.Tx) error {
		shown, revision, ok := h.shown(tx)
		if !ok {
			return shownOnce() // the repeat of a request that made another
		}
		out.Body, out.ETag = shown, etag(revision)
		return nil
	})
	return out, err
}

// shownOnce refuses the repeat of a request whose answer held a secret: that is
// kept nowhere, and a new one would not be valid.
func shownOnce() error {
	return bus.E(bus.CodeExists, bus.Defect{
		Field: client.HeaderRequest, Problem: bus.Text{ZH: "该请求已办理，其凭证只显示一次", EN: "this request was carried out before; its secret is shown once"},
		Allowed: "a new request",
	})
}

// named reads a write of the entry that its path names: the revision it expects, and
// the entry, which has no other id.
func named[V any](in *putOf[V], id func(*V) *string) (expect bus.Revision, v V, err error) {
	if expect, err = in.revision(); err != nil {
		return 0, v, err
	}
	if v, err = in.decode(); err != nil {
		return 0, v, err
	}
	switch at := id(&v); *at {
	case "", in.ID:
		*at = in.ID
	default:
		return 0, v, notOfPath(in.ID)
	}
	return expect, v, nil
}
