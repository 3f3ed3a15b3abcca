package state

import (
	"iter"

	"github.com/gxbus/gxbus/pkg/bus"
)

// planAttachmentPut takes how a resource is attached from the node that serves its
// provider, and from no other.
func planAttachmentPut(tx *Tx, r request[bus.Attachment]) ([]Change, error) {
	next := r.body
	if err := bus.Invalid(next.Check()); err != nil {
		return nil, err
	}
	provider, ok := tx.Department(tx.Provider(next.Resource))
	if !ok {
		return nil, bus.NotFound("resource", string(next.Resource))
	}
	if home, ok := tx.Home(provider); !ok || home != r.Principal.Node {
		return nil, bus.E(bus.CodeForbidden)
	}
	if next.Since.IsZero() || next.Since.After(r.At) {
		next.Since = r.At // a clock that is ahead of the leader's
	}
	if next.Heartbeat.After(r.At) {
		next.Heartbeat = r.At
	}
	next.Node, next.Revision = r.Principal.Node, r.index
	return set(Attachments, string(next.Resource), next)
}

// Attachment returns how a resource is attached, as the node says that serves its
// provider now; ok is false where that node said nothing.
func (t *Tx) Attachment(id bus.ResourceID) (a bus.Attachment, ok bool) {
	if a, ok = read[bus.Attachment](t, Attachments, string(id)); !ok {
		return a, false
	}
	provider, _ := t.Department(t.Provider(id))
	home, served := t.Home(provider)
	return a, served && home == a.Node
}

// Attachments yields what nodes said of attachments, by resource: also those of
// resources that were withdrawn, and of nodes that a provider has moved from.
func (t *Tx) Attachments() iter.Seq[bus.Attachment] { return all[bus.Attachment](t, Attachments) }
