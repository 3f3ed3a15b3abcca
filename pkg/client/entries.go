package client

import (
	"context"
	"net/http"
	"strings"

	"github.com/gxbus/gxbus/pkg/bus"
)

// Readable are the entries of one kind that a node's directory replica holds:
// K is their id, V what is kept under it.
type Readable[K ~string, V any] struct {
	c    *Client
	noun string // the route's word
}

// items is the body of every list.
type items[V any] struct {
	Items []V `json:"items"`
}

// List returns all entries that the caller may see, in the order of their ids.
func (r Readable[K, V]) List(ctx context.Context) ([]V, error) {
	list, err := do[items[V]](ctx, r.c, call{method: http.MethodGet, path: []string{r.noun}})
	return list.Items, err
}

// Read returns one entry; its Revision is what Put and Delete expect.
func (r Readable[K, V]) Read(ctx context.Context, id K) (V, error) {
	return do[V](ctx, r.c, call{method: http.MethodGet, path: r.at(id)})
}

// at gives the path of an entry. A layer's id has two segments.
func (r Readable[K, V]) at(id K, more ...string) []string {
	path := append([]string{r.noun}, strings.Split(string(id), "/")...)
	return append(path, more...)
}

// Writable are entries that can be put as they are.
type Writable[K ~string, V any] struct {
	Readable[K, V]
	name func(V) (K, bus.Revision)
}

// Put creates an entry whose Revision is 0, and fails with CodeExists or
// CodeRevision if it is there; otherwise it changes the entry, which must still
// have that Revision. It returns the entry with its new revision.
func (w Writable[K, V]) Put(ctx context.Context, value V) (V, error) {
	id, revision := w.name(value)
	return put[V](ctx, w.c, call{path: w.at(id)}, revision, value)
}

// Removable are entries that can be put and deleted.
type Removable[K ~string, V any] struct{ Writable[K, V] }

// Delete removes the entry, which must still have the given revision.
func (r Removable[K, V]) Delete(ctx context.Context, id K, revision bus.Revision) error {
	_, err := do[nothing](ctx, r.c, call{method: http.MethodDelete, path: r.at(id), header: expecting(revision)})
	return err
}

func put[T any](ctx context.Context, c *Client, call call, revision bus.Revision, value any) (T, error) {
	call.method, call.header = http.MethodPut, expecting(revision)
	call, err := call.withJSON(value)
	if err != nil {
		var none T
		return none, err
	}
	return do[T](ctx, c, call)
}
