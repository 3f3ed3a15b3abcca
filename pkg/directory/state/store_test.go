package state_test

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"sync"
	"testing"

	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/directory/command"
	"github.com/gxbus/gxbus/pkg/directory/state"
)

func TestARepeatedRequestIsAnsweredAsBefore(t *testing.T) {
	w := newWorld(t)
	good := ask{by: bySysadmin, typ: command.DepartmentPut, request: "r1", body: department(freeDepartment)}
	bad := ask{by: bySysadmin, typ: command.SystemPut, request: "r1", body: system("Bad", tax)} // the same id for another type
	put, refused := w.ask(good), w.ask(bad)
	if put.Err() != nil || refused.Err() == nil {
		t.Fatalf("%+v, %+v", put, refused)
	}
	w.must(bySysadmin, command.DepartmentDelete, put.Revision, command.Key{ID: string(freeDepartment)})
	check := func(when string) {
		t.Helper()
		w.now = w.now.Add(1) // proposed anew
		if again := w.ask(good); !reflect.DeepEqual(again, put) {
			t.Errorf("%s: %+v, want %+v", when, again, put)
		}
		if again := w.ask(bad); !reflect.DeepEqual(again, refused) {
			t.Errorf("%s: %+v, want %+v", when, again, refused)
		}
		w.view(func(tx *state.Tx) {
			if _, ok := tx.Department(freeDepartment); ok {
				t.Errorf("%s: it was written again", when)
			}
		})
	}
	check("at once")
	w.reopen()
	check("after a restart")
	w.restoreFrom(w.snapshot())
	check("after a restore")
}

func TestARequestIDIsItsPrincipals(t *testing.T) {
	w := newWorld(t)
	first := ask{by: bySecurity, typ: command.GrantPut, request: "r1", body: grant("g2")}
	if err := w.ask(first).Err(); err != nil {
		t.Fatal(err)
	}
	first.by = byReviewer
	if got := bus.CodeOf(w.ask(first).Err()); got != bus.CodeExists {
		t.Errorf("another's request with the same id is answered %q", got)
	}
}

// To answer a second write as the first would lose it in silence.
func TestARequestIDUsedForAnotherWriteIsRefused(t *testing.T) {
	w := newWorld(t)
	first := ask{by: bySysadmin, typ: command.DepartmentPut, request: "r1", body: department(freeDepartment)}
	put := w.ask(first)
	other := first
	other.body = with(department(freeDepartment), func(d *bus.Department) { d.Name = "另一部门" })
	expects := first
	expects.expect = put.Revision
	checkRefusals(t, w, []refusal{
		{"another body", other, bus.CodeInUse, "request"},
		{"another expected revision", expects, bus.CodeInUse, "request"},
	})
	if again := w.ask(first); !reflect.DeepEqual(again, put) {
		t.Errorf("the first is answered %+v, want %+v", again, put)
	}
}

func TestRequestsAreForgottenInTheEnd(t *testing.T) {
	w := newWorld(t)
	ask := ask{by: bySysadmin, typ: command.DepartmentPut, request: "r1", body: department(freeDepartment)}
	first := w.ask(ask)
	next := func(request string) {
		ask := ask
		ask.request, ask.expect, ask.body = request, w.revision[string(tax)], department(tax)
		w.revision[string(tax)] = w.ask(ask).Revision
	}
	w.index = uint64(first.Index) + state.KeptEntries - 1
	next("r2") // as far as its memory goes
	if again := w.ask(ask); !reflect.DeepEqual(again, first) {
		t.Errorf("%d entries later: %+v, want %+v", state.KeptEntries, again, first)
	}
	next("r3")
	if got := bus.CodeOf(w.ask(ask).Err()); got != bus.CodeExists {
		t.Errorf("after its time a request is answered %q", got)
	}
	err := w.store.Dump(func(table state.Table, _, _ []byte) error {
		if table == "journal" {
			w.revision[string(table)]++
		}
		return nil
	})
	if err != nil || w.revision["journal"] != 3 {
		t.Errorf("remembered: %d entries: %v", w.revision["journal"], err)
	}
}

func TestAppliedEntriesAreSkipped(t *testing.T) {
	w := newWorld(t)
	log := w.log(ask{by: bySysadmin, typ: command.DepartmentPut, body: department(freeDepartment)})
	next := w.log(ask{by: bySysadmin, typ: command.DepartmentPut, body: department(tax)})
	if _, err := w.store.Apply([]state.Log{log}); err != nil {
		t.Fatal(err)
	}
	before := w.contents()
	w.reopen()
	results, err := w.store.Apply([]state.Log{{Index: log.Index - 1, Data: []byte("not even an entry")}, log, next})
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(results[:2], make([]state.Result, 2)) || bus.CodeOf(results[2].Err()) != bus.CodeExists {
		t.Errorf("%+v", results)
	}
	if after := w.contents(); !reflect.DeepEqual(before, after) {
		t.Error("an entry was applied twice")
	}
	if applied, _ := w.store.Applied(); applied != bus.Revision(next.Index) {
		t.Errorf("applied %d, want %d", applied, next.Index)
	}
}

func TestAnUnknownEntryStopsTheWholeBatch(t *testing.T) {
	w := newWorld(t)
	for name, broken := range map[string]string{
		"unknown type":    `{"type":"moon.put","v":1,"at":"2026-01-02T03:04:05Z","node":"gz","by":{"node":"gz"}}` + "\t" + `{}`,
		"unknown version": `{"type":"tick","v":2,"at":"2026-01-02T03:04:05Z","node":"gz","by":{"node":"gz"}}` + "\t" + `{}`,
		"unknown field":   `{"type":"tick","v":1,"at":"2026-01-02T03:04:05Z","node":"gz","by":{"node":"gz"}}` + "\t" + `{"phase":1}`,
		"no body":         `{"type":"tick","v":1,"at":"2026-01-02T03:04:05Z","node":"gz","by":{"node":"gz"}}`,
		"no entry":        `]`,
	} {
		t.Run(name, func(t *testing.T) {
			before, index := w.hash(), w.index
			applied, moved := w.store.Applied()
			good := w.log(ask{by: bySysadmin, typ: command.DepartmentPut, body: department(freeDepartment)})
			results, err := w.store.Apply([]state.Log{good, {Index: good.Index + 1, Data: []byte(broken)}, {Index: good.Index + 2, Data: good.Data}})
			if !errors.Is(err, command.ErrUnknown) || results != nil {
				t.Errorf("%+v: %v", results, err)
			}
			if w.hash() != before {
				t.Error("a part of the batch was applied")
			}
			if after, _ := w.store.Applied(); after != applied {
				t.Errorf("applied moved from %d to %d", applied, after)
			}
			select {
			case <-moved:
				t.Error("waiters were woken")
			default:
			}
			w.index = index
		})
	}
}

// What is asked before proposing agrees with what Apply does.
func TestKnown(t *testing.T) {
	w := onesWorld(t)
	for typ, o := range ones(w) {
		e, err := command.New(typ, o.ask.by, "", 0, o.ask.body)
		if err != nil {
			t.Fatal(err)
		}
		if err := state.Known(e); err != nil {
			t.Errorf("%s: %v", typ, err)
		}
		e.Version = 2
		if err := state.Known(e); !errors.Is(err, command.ErrUnknown) {
			t.Errorf("%s of version 2: %v", typ, err)
		}
		e.Version, e.Body = 1, []byte(`{"no-such-field":1}`)
		if err := state.Known(e); !errors.Is(err, command.ErrUnknown) {
			t.Errorf("%s with an unknown field: %v", typ, err)
		}
	}
}

func TestWait(t *testing.T) {
	w := newWorld(t)
	ctx, cancel := context.WithCancel(t.Context())
	applied, _ := w.store.Applied()
	if err := w.store.Wait(ctx, applied); err != nil {
		t.Error("for what is there: ", err)
	}
	const waiters = 5
	done := make(chan error, waiters)
	for range waiters {
		go func() { done <- w.store.Wait(t.Context(), applied+2) }()
	}
	for range 2 {
		select {
		case err := <-done:
			t.Fatal("it did not wait: ", err)
		default:
		}
		w.must(byGZ, command.Tick, 0, command.Empty{})
	}
	for range waiters {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	cancel()
	if err := w.store.Wait(ctx, applied+99); !errors.Is(err, context.Canceled) {
		t.Error("for what never comes: ", err)
	}
}

// A view shows one index, also while entries are applied and snapshots restored:
// each department's name below is the same in both.
func TestViewsAreOfOneIndex(t *testing.T) {
	w := newWorld(t)
	other := w.must(bySysadmin, command.DepartmentPut, 0, department(freeDepartment))
	snapshot := w.snapshot()
	named := func(id bus.USCC, n int) bus.Department {
		return with(department(id), func(d *bus.Department) { d.Name = fmt.Sprint("样例", n) })
	}
	stop := make(chan struct{})
	var readers sync.WaitGroup
	for range 3 {
		readers.Go(func() {
			for last := bus.Revision(0); ; {
				select {
				case <-stop:
					return
				default:
				}
				applied, _ := w.store.Applied()
				err := w.store.View(func(tx *state.Tx) error {
					a, _ := tx.Department(tax)
					b, _ := tx.Department(freeDepartment)
					if a.Name != b.Name || tx.Index() < last || tx.Index() < applied {
						return fmt.Errorf("at %d, after %d and %d: %q and %q", tx.Index(), last, applied, a.Name, b.Name)
					}
					last = tx.Index()
					return nil
				})
				if err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	one := w.revision[string(tax)]
	for n := range 40 {
		batch := []state.Log{
			w.log(ask{by: bySysadmin, typ: command.DepartmentPut, expect: one, body: named(tax, n)}),
			w.log(ask{by: bySysadmin, typ: command.DepartmentPut, expect: other, body: named(freeDepartment, n)}),
		}
		results, err := w.store.Apply(batch)
		if err != nil || results[0].Err() != nil || results[1].Err() != nil {
			t.Fatal(results, err)
		}
		one, other = results[0].Revision, results[1].Revision
		if n%10 == 9 {
			w.restoreFrom(w.snapshot())
		}
	}
	close(stop)
	readers.Wait()
	w.restoreFrom(snapshot)
}

func TestOpenRefusesWhatIsNoDirectory(t *testing.T) {
	r := newReplica(t)
	if _, err := state.Open(r.path); err == nil || !strings.Contains(err.Error(), "timeout") {
		t.Error("a second opener: ", err)
	}
	if _, err := state.Open(t.TempDir()); err == nil {
		t.Error("a folder was opened")
	}
	if _, err := state.OpenReadOnly(r.path + ".none"); err == nil {
		t.Error("nothing was opened to look at")
	}
}

func TestOpenReadOnlyShowsWhatIsThere(t *testing.T) {
	w := newWorld(t)
	if err := w.store.Close(); err != nil {
		t.Fatal(err)
	}
	store, err := state.OpenReadOnly(w.path)
	if err != nil {
		t.Fatal(err)
	}
	w.store = store
	w.view(func(tx *state.Tx) {
		if tx.Index() != bus.Revision(w.index) {
			t.Errorf("index %d, want %d", tx.Index(), w.index)
		}
		if _, ok := tx.Grant("g1"); !ok {
			t.Error("a grant is missing")
		}
	})
}

func TestHome(t *testing.T) {
	w := newWorld(t)
	w.view(func(tx *state.Tx) {
		for _, c := range []struct {
			name string
			d    bus.Department
			want bus.NodeID
		}{
			{"its own node", bus.Department{Division: "440106", Node: "gz"}, "gz"},
			{"its division's", bus.Department{Division: "440106"}, "th"},
			{"its city's", bus.Department{Division: "440100"}, "gz"},
			{"none above", bus.Department{Division: "440000"}, ""},
			{"an unknown division", bus.Department{Division: "990000"}, ""},
		} {
			if got, ok := tx.Home(c.d); got != c.want || ok != (c.want != "") {
				t.Errorf("%s: %q, %v", c.name, got, ok)
			}
		}
	})
}
