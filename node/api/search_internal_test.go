package api

import (
	"context"
	"log/slog"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/directory"
	"github.com/gxbus/gxbus/pkg/directory/command"
	"github.com/gxbus/gxbus/pkg/directory/search"
	"github.com/gxbus/gxbus/pkg/directory/state"
)

// An index that does not come on is waited for as long as what is asked needs it:
// then a list or a search is answered with what there is and says so, and only who
// asked for more is refused.
func TestAnIndexThatStaysBehindIsNotWaitedForEver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, err := state.Open(filepath.Join(t.TempDir(), "directory.db"))
		check(t, err)
		defer func() { check(t, store.Close()) }()
		apply(t, store, 1, command.ClusterInit, command.Init{Cluster: "gd", Node: bus.Node{ID: "gz"}, Divisions: bus.Guangdong()})
		stuck := stuck{directory.New("gz", store, nil, nil, time.Now)}
		index := search.Open(search.Config{Dir: filepath.Join(t.TempDir(), "search"), Directory: stuck, Logger: slog.New(slog.DiscardHandler)})
		defer func() { check(t, index.Close()) }()
		check(t, index.Wait(t.Context(), 1))
		apply(t, store, 2, command.Tick, command.Empty{})
		a := &API{Config: Config{Directory: stuck.Directory, Search: index}}

		for name, c := range map[string]struct {
			in   sought
			took time.Duration
			code bus.Code
		}{
			"words":                 {sought{Q: "样例"}, indexCourtesy, ""},
			"list":                  {sought{}, indexPatience, ""},
			"words and min-index":   {sought{Q: "样例", mustShow: 2, wantsMore: true}, indexPatience, bus.CodeUnavailable},
			"consistent":            {sought{wantsMore: true}, indexPatience, bus.CodeUnavailable},
			"what is there already": {sought{mustShow: 1, wantsMore: true}, 0, ""},
		} {
			begun := time.Now()
			wanted, err := a.indexed(t.Context(), &c.in)
			if took := time.Since(begun); bus.CodeOf(err) != c.code || took != c.took {
				t.Errorf("%s: %v after %v", name, err, took)
			}
			check(t, store.View(func(tx *state.Tx) error {
				if p := page(tx, search.Answer{Progress: index.Progress()}, "", wanted); err == nil && p.Complete != (c.took == 0) {
					t.Errorf("%s: %+v", name, p)
				}
				return nil
			}))
		}
	})
}

// stuck is a directory that never tells of a change.
type stuck struct{ *directory.Directory }

func (stuck) Changes(ctx context.Context, _ bus.Revision, _ ...state.Table) (state.Batch, error) {
	<-ctx.Done()
	return state.Batch{}, ctx.Err()
}

func apply(t *testing.T, store *state.Store, index uint64, of command.Type, body any) {
	t.Helper()
	e, err := command.New(of, bus.Principal{Node: "gz"}, "", 0, body)
	check(t, err)
	e.Node, e.At = "gz", time.Now()
	data, err := e.Encode()
	check(t, err)
	results, err := store.Apply([]state.Log{{Index: index, Data: data}})
	check(t, err)
	check(t, results[0].Err())
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
