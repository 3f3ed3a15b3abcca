package state_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"testing"

	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/directory/command"
	"github.com/gxbus/gxbus/pkg/directory/state"
	"pgregory.net/rapid"
)

// changes returns what changed after from, one line a change.
func (r *replica) changes(from bus.Revision, limit int, of ...state.Table) (lines []string, through bus.Revision) {
	r.t.Helper()
	r.view(func(tx *state.Tx) {
		batch, err := tx.Changes(from, limit, of...)
		if err != nil {
			r.t.Fatal(err)
		}
		for _, c := range batch.Changes {
			what := "put"
			if c.Value == nil {
				what = "deleted"
			}
			lines = append(lines, fmt.Sprintf("%d %s %s %s", c.Index, what, c.Table, c.Key))
		}
		through = batch.Through
	})
	return lines, through
}

func TestChangesFollowTheLog(t *testing.T) {
	w := newWorld(t)
	start := bus.Revision(w.index)
	w.must(byGZ, command.NodePut, w.revision["gz"], with(node("gz", "440100"), func(n *bus.Node) { n.PeerAddress = "gz.example:7301" }))
	w.must(byGZ, command.Tick, 0, command.Empty{})
	w.must(bySysadmin, command.TokenCreate, 0, token("t-x", "x")) // holds a secret's hash: nobody's to follow
	if result := w.ask(ask{by: byMarket, typ: command.DraftPut, body: content(resource("registrations", "no code"))}); result.Err() == nil {
		t.Fatal("not refused")
	}
	w.must(byMarket, command.DraftPut, 0, content(resource("r3", "307003/1")))
	w.must(byHousing, command.SubscriptionDelete, w.revision["s1"], command.Key{ID: "s1"})
	w.must(byMarket, command.DraftPut, 0, content(resource("r4", "307004/1")))

	want := []string{
		fmt.Sprintf("%d put nodes gz", start+1),
		fmt.Sprintf("%d put drafts r3", start+5),
		fmt.Sprintf("%d deleted subscriptions s1", start+6),
		fmt.Sprintf("%d put drafts r4", start+7),
	}
	got, through := w.changes(start, 100)
	if !slices.Equal(got, want) || through != start+7 {
		t.Errorf("through %d: %q\nwant %q", through, got, want)
	}
	if got, _ := w.changes(start, 100, state.Drafts, state.Subscriptions); !slices.Equal(got, want[1:]) {
		t.Errorf("of two tables: %q", got)
	}
	if got, through := w.changes(start, 2); !slices.Equal(got, want[:2]) || through != start+5 {
		t.Errorf("two of them, through %d: %q", through, got)
	}
	if got, through := w.changes(start+7, 100); got != nil || through != start+7 {
		t.Errorf("after the last, through %d: %q", through, got)
	}
	if got, through := w.changes(start+99, 100); got != nil || through != start+99 {
		t.Errorf("after what is to come, through %d: %q", through, got)
	}
}

func TestADeletionTellsWhatWasThere(t *testing.T) {
	w := newWorld(t)
	w.must(byHousing, command.SubscriptionDelete, w.revision["s1"], command.Key{ID: "s1"})
	w.view(func(tx *state.Tx) {
		batch, err := tx.Changes(bus.Revision(w.index)-1, 1)
		if err != nil || len(batch.Changes) != 1 {
			t.Fatal(batch, err)
		}
		var was bus.Subscription
		c := batch.Changes[0]
		if err := json.Unmarshal(c.Was, &was); err != nil || was.Consumer != housing || c.Value != nil || !c.At.Equal(noon) {
			t.Errorf("%+v: %v", c, err)
		}
	})
}

// An entry that was put, deleted and put again is told of as it is now, and by
// none of the changes as it was.
func TestChangesShowNothingOlderAfterSomethingNewer(t *testing.T) {
	w := newWorld(t)
	start := bus.Revision(w.index)
	name := func(n string) bus.Department {
		return with(department(freeDepartment), func(d *bus.Department) { d.Name = n })
	}
	first := w.must(bySysadmin, command.DepartmentPut, 0, name("一"))
	w.must(bySysadmin, command.DepartmentDelete, first, command.Key{ID: string(freeDepartment)})
	again := w.must(bySysadmin, command.DepartmentPut, 0, name("二"))
	w.view(func(tx *state.Tx) {
		batch, err := tx.Changes(start, 100)
		if err != nil || len(batch.Changes) != 2 {
			t.Fatal(batch, err)
		}
		for _, c := range batch.Changes {
			if !bytes.Contains(c.Value, []byte("二")) {
				t.Errorf("change %d tells of %s", c.Index, c.Value)
			}
		}
	})
	w.must(bySysadmin, command.DepartmentDelete, again, command.Key{ID: string(freeDepartment)})
	got, _ := w.changes(start, 100)
	want := []string{
		fmt.Sprintf("%d deleted departments %s", start+2, freeDepartment), fmt.Sprintf("%d deleted departments %s", start+4, freeDepartment),
	}
	if !slices.Equal(got, want) {
		t.Errorf("after it is gone: %q", got)
	}
}

func TestTheChangeLogForgetsAndSaysSo(t *testing.T) {
	w := newWorld(t)
	first := bus.Revision(w.index)
	kept := uint64(first) + state.KeptEntries
	w.index = kept - 1
	w.must(byMarket, command.DraftPut, 0, content(resource("r3", "307003/1"))) // at kept: all before first is too old
	r := newReplica(t)
	r.restoreFrom(w.snapshot())
	for name, r := range map[string]*replica{"as written": w.replica, "restored": r} {
		r.view(func(tx *state.Tx) {
			if floor := tx.ChangesFloor(); floor != first-1 {
				t.Errorf("%s: the log begins after %d, want %d", name, floor, first-1)
			}
			_, err := tx.Changes(first-2, 100)
			if e, ok := err.(*bus.Error); !ok || e.Code != bus.CodeResync || len(e.Defects) != 1 || e.Defects[0].Allowed != fmt.Sprintf("%d or later", first-1) {
				t.Errorf("%s: from before the log begins: %v", name, err)
			}
		})
		want := []string{
			fmt.Sprintf("%d deleted layer-drafts division/440100", first), fmt.Sprintf("%d put layers division/440100", first),
			fmt.Sprintf("%d put drafts r3", kept),
		}
		if got, _ := r.changes(first-1, 100); !slices.Equal(got, want) {
			t.Errorf("%s: %q", name, got)
		}
	}
}

// Who follows the changes, in pieces and from anywhere, holds in the end what the
// tables hold.
func TestWhoFollowsTheChangesHoldsTheTables(t *testing.T) {
	if testing.Short() {
		t.Skip("writes many files")
	}
	rapid.Check(t, func(rt *rapid.T) {
		author, r := &replica{t: t, now: noon}, newReplica(t)
		held, at := map[string]string{}, bus.Revision(0)
		r.applyInBatches(rt, randomLog(rt, author), func() {
			if !rapid.Bool().Draw(rt, "follow") {
				return
			}
			r.view(func(tx *state.Tx) {
				batch, err := tx.Changes(at, rapid.IntRange(1, 5).Draw(rt, "limit"))
				if err != nil {
					rt.Fatal(err)
				}
				follow(rt, held, batch)
				at = batch.Through
			})
		})
		for applied, _ := r.store.Applied(); at < applied; {
			r.view(func(tx *state.Tx) {
				batch, err := tx.Changes(at, 3)
				if err != nil || batch.Through <= at {
					rt.Fatal(batch, err)
				}
				follow(rt, held, batch)
				at = batch.Through
			})
		}
		want := map[string]string{}
		if err := r.store.Dump(func(table state.Table, key, value []byte) error {
			if slices.Contains(state.Watched(), table) {
				want[string(table)+"/"+string(key)] = string(value)
			}
			return nil
		}); err != nil {
			rt.Fatal(err)
		}
		if !maps.Equal(held, want) {
			rt.Fatalf("held %v\nwant %v", held, want)
		}
	})
}

func follow(rt *rapid.T, held map[string]string, batch state.Batch) {
	for _, c := range batch.Changes {
		id := string(c.Table) + "/" + c.Key
		if c.Value == nil {
			if len(c.Was) == 0 {
				rt.Fatalf("%s was deleted and nothing was there", id)
			}
			delete(held, id)
			continue
		}
		held[id] = string(c.Value)
	}
}
