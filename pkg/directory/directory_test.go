package directory_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/directory"
	"github.com/gxbus/gxbus/pkg/directory/command"
	"github.com/gxbus/gxbus/pkg/directory/state"
)

var sysadmin = bus.Principal{Account: "sysadmin", Role: bus.RoleSystemAdministrator}

// tokenless is refused by the state: it has no id.
func tokenless(t *testing.T) command.Entry {
	return entryOf(t, command.TokenCreate, sysadmin, bus.Token{})
}

// sz is a node that vouches for administrators.
var sz = bus.Node{ID: "sz", Voter: true}

// chosenPassword is a write that may come in at any node that votes.
func chosenPassword(t *testing.T) command.Entry {
	e := entryOf(t, command.AccountPut, sysadmin, bus.Account{Name: "sysadmin", Role: sysadmin.Role, PasswordHash: "$argon2id$"})
	e.Expect = 1
	return e
}

func otherPassword(t *testing.T) command.Entry {
	e := chosenPassword(t)
	e.Expect = 2
	return e
}

// A leader that loses its place after it has committed answers "unavailable":
// the repeat must be the same request and must not write twice.
func TestWriteRepeatsTheSameRequestUntilItIsAnswered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGroup(t, "gz")
		g.fail = []error{bus.E(bus.CodeNoLeader), context.DeadlineExceeded}
		g.lose = []error{errors.New("leadership lost while committing")}
		d := g.join("gz")
		g.must(d.Write(t.Context(), initEntry(t)))
		start := time.Now()

		g.fail = []error{bus.E(bus.CodeNoLeader), bus.E(bus.CodeUnavailable)}
		g.lose = []error{errors.New("leadership lost while committing"), context.Canceled}
		result := g.must(d.Write(t.Context(), tickEntry(t)))

		if waited := time.Since(start); waited != 400*time.Millisecond {
			t.Errorf("four failures took %v", waited)
		}
		requests := g.requests()
		last := requests[len(requests)-5:]
		if last[0] == "" || len(slices.Compact(slices.Clone(last))) != 1 {
			t.Errorf("the repeats asked as %q", last)
		}
		if again := slices.Compact(requests); len(again) != 2 {
			t.Errorf("two writes asked as %q", again)
		}
		if result.Index != g.written(command.Tick)[0] {
			t.Errorf("the answer is of %d, the first write was at %d", result.Index, g.written(command.Tick)[0])
		}
	})
}

func TestWriteKeepsTheCallersRequestID(t *testing.T) {
	g := newGroup(t, "gz")
	d := g.join("gz")
	e := initEntry(t)
	e.Request = "mine"
	g.must(d.Write(t.Context(), e))
	if got := g.requests(); !slices.Equal(got, []string{"mine"}) {
		t.Errorf("asked as %q", got)
	}
}

func TestWriteWithoutALeaderEndsWithTheContext(t *testing.T) {
	for name, c := range map[string]struct {
		patience, want time.Duration
	}{
		"a caller in a hurry":    {3 * time.Second, 3 * time.Second},
		"a caller without hurry": {time.Hour, 10 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := newGroup(t, "").join("gz")
				ctx, cancel := context.WithTimeout(t.Context(), c.patience)
				defer cancel()
				start := time.Now()
				_, err := d.Write(ctx, tickEntry(t))
				if bus.CodeOf(err) != bus.CodeNoLeader || time.Since(start) != c.want {
					t.Errorf("after %v: %v", time.Since(start), err)
				}
			})
		})
	}
}

func TestWriteFindsALeaderThatComesLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGroup(t, "")
		d := g.join("gz")
		time.AfterFunc(5*time.Second, func() { g.elect("gz") })
		start := time.Now()
		g.must(d.Write(t.Context(), initEntry(t)))
		if waited := time.Since(start); waited < 5*time.Second || waited > 5*time.Second+100*time.Millisecond {
			t.Errorf("it took %v", waited)
		}
	})
}

func TestARefusalIsReturnedAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGroup(t, "gz")
		d, far := g.join("gz"), g.join("sz")
		g.must(d.Write(t.Context(), initWith(t, sz)))
		start, asked := time.Now(), len(g.requests())
		for name, at := range map[string]*directory.Directory{"the leader": d, "another node": far} {
			_, err := at.Write(t.Context(), tokenless(t))
			refused, ok := errors.AsType[*bus.Error](err)
			if !ok || refused.Code != bus.CodeInvalid || len(refused.Defects) == 0 {
				t.Errorf("%s: %v", name, err)
			}
		}
		large := tickEntry(t)
		large.Request = string(make([]byte, command.MaxSize))
		if _, err := d.Write(t.Context(), large); bus.CodeOf(err) != bus.CodeTooLarge {
			t.Error("a large entry: ", err)
		}
		g.fail = []error{bus.E(bus.CodeForbidden)}
		if _, err := d.Write(t.Context(), tickEntry(t)); bus.CodeOf(err) != bus.CodeForbidden {
			t.Error("a leader that forbids: ", err)
		}
		if time.Since(start) != 0 || len(g.requests()) != asked+3 {
			t.Errorf("it took %v and %d requests", time.Since(start), len(g.requests())-asked)
		}
	})
}

// Write returns when the replica of its own node shows the write.
func TestWriteWaitsForItsOwnReplica(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGroup(t, "gz")
		g.must(g.join("gz").Write(t.Context(), initWith(t, sz)))
		far := g.join("sz")
		g.lag("sz", true)
		done := make(chan error, 1)
		go func() {
			_, err := far.Write(t.Context(), chosenPassword(t))
			done <- err
		}()
		synctest.Wait()
		select {
		case err := <-done:
			t.Fatal("it did not wait: ", err)
		default:
		}
		g.lag("sz", false)
		if err := <-done; err != nil {
			t.Error(err)
		}

		g.lag("sz", true)
		start := time.Now()
		_, err := far.Write(t.Context(), otherPassword(t))
		if bus.CodeOf(err) != bus.CodeUnavailable || time.Since(start) != 10*time.Second {
			t.Errorf("behind for ever, after %v: %v", time.Since(start), err)
		}
	})
}

// S31: a node forwards nothing in the name of somebody whom another serves.
func TestS31AForwardingNodeVouchesForThePrincipal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGroup(t, "gz")
		d := g.join("gz")
		g.must(d.Write(t.Context(), initWith(t, sz)))
		if _, err := d.Accept(t.Context(), "county", encode(t, chosenPassword(t))); bus.CodeOf(err) != bus.CodeWrongNode {
			t.Errorf("an administrator's password, from a node that does not vote: %v", err)
		}
		if _, err := d.Accept(t.Context(), "sz", encode(t, chosenPassword(t))); err != nil {
			t.Errorf("from one that does: %v", err)
		}
	})
}

// S22: whoever passes an entry on, its node and time are what the leader knows.
func TestAcceptRestampsTimeAndOrigin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGroup(t, "gz")
		d := g.join("gz")
		e := initEntry(t)
		e.At, e.Node, e.Principal = time.Unix(1, 0), "forged", bus.Principal{Node: "sz"}
		if _, err := d.Accept(t.Context(), "sz", encode(t, e)); err != nil {
			t.Fatal(err)
		}
		if logged := g.entries()[0]; logged.Node != "sz" || !logged.At.Equal(time.Now()) {
			t.Errorf("logged as of %s at %v", logged.Node, logged.At)
		}
	})
}

func TestAcceptRefuses(t *testing.T) {
	g := newGroup(t, "gz")
	d := g.join("gz")
	g.must(d.Write(t.Context(), initEntry(t)))
	before := len(g.entries())
	large := tickEntry(t)
	large.Principal.Node = "sz"
	large.Request = string(slices.Repeat([]byte("r"), command.MaxSize))
	for name, c := range map[string]struct {
		data []byte
		code bus.Code
	}{
		"a forged node":          {encode(t, tickEntry(t)), bus.CodeForbidden},
		"no entry":               {[]byte("{"), bus.CodeInvalid},
		"nothing":                {nil, bus.CodeInvalid},
		"an unknown type":        {[]byte(`{"type":"moon.put","v":1,"at":"2026-01-02T03:04:05Z","node":"","by":{"node":"sz"}}` + "\t" + `{}`), bus.CodeInvalid},
		"an unknown version":     {[]byte(`{"type":"tick","v":2,"at":"2026-01-02T03:04:05Z","node":"","by":{"node":"sz"}}` + "\t" + `{}`), bus.CodeInvalid},
		"an unknown field":       {[]byte(`{"type":"tick","v":1,"at":"2026-01-02T03:04:05Z","node":"","by":{"node":"sz"}}` + "\t" + `{"x":1}`), bus.CodeInvalid},
		"a body of another kind": {[]byte(`{"type":"token.create","v":1,"at":"2026-01-02T03:04:05Z","node":"","by":{"node":"sz"}}` + "\t" + `{"id":1}`), bus.CodeInvalid},
		"what is too large":      {mustMarshal(t, large), bus.CodeTooLarge},
	} {
		if _, err := d.Accept(t.Context(), "sz", c.data); bus.CodeOf(err) != c.code {
			t.Errorf("%s: %v, want %s", name, err, c.code)
		}
	}
	if got := len(g.entries()); got != before {
		t.Errorf("%d refused entries reached the log, where they would stop every node", got-before)
	}
}

func TestAcceptTellsAFailureFromARefusal(t *testing.T) {
	for name, c := range map[string]struct {
		answer any
		err    error
		code   bus.Code
	}{
		"not the leader":         {nil, bus.E(bus.CodeNoLeader), bus.CodeNoLeader},
		"a failing log":          {nil, errors.New("disk"), bus.CodeUnavailable},
		"a late answer":          {nil, context.DeadlineExceeded, bus.CodeUnavailable},
		"a halted state":         {errors.New("halted"), nil, bus.CodeInternal},
		"an entry not applied":   {[]state.Result{{}}, nil, bus.CodeInternal},
		"too many answers":       {[]state.Result{{Index: 3}, {Index: 3}}, nil, bus.CodeInternal},
		"an answer of no kind":   {7, nil, bus.CodeInternal},
		"no answer":              {nil, nil, bus.CodeInternal},
		"a refusal is an answer": {[]state.Result{{Index: 3, Refusal: &state.Refusal{Code: bus.CodeExists}}}, nil, ""},
	} {
		d := directory.New("gz", openStore(t), fixed{answer: c.answer, err: c.err}, nil, time.Now)
		if _, err := d.Accept(t.Context(), "gz", encode(t, tickEntry(t))); bus.CodeOf(err) != c.code {
			t.Errorf("%s: %v, want %q", name, err, c.code)
		}
	}
}

func TestAgeIsTheLargerOfContactAndTick(t *testing.T) {
	const year = 365 * 24 * time.Hour
	for name, c := range map[string]struct {
		contact, sinceTick, want time.Duration
	}{
		"the leader, fresh":           {0, 0, 0},
		"between two ticks":           {0, directory.TickPeriod, directory.TickPeriod},
		"a tick overdue":              {0, directory.TickPeriod + 7*time.Second, directory.TickPeriod + 7*time.Second},
		"a cut link, a fresh tick":    {9 * time.Second, time.Second, 9 * time.Second},
		"a link, but a lagging copy":  {time.Second, 10 * time.Minute, 10 * time.Minute},
		"a clock behind the leader's": {2 * time.Second, -time.Hour, 2 * time.Second},
		"never heard since the start": {year, time.Second, year},
	} {
		store, now := openStore(t), time.Date(2026, 3, 4, 12, 0, 0, 0, time.UTC)
		e := tickEntry(t)
		e.At = now.Add(-c.sinceTick)
		if _, err := store.Apply([]state.Log{{Index: 1, Data: encode(t, e)}}); err != nil {
			t.Fatal(err)
		}
		d := directory.New("sz", store, fixed{contact: c.contact}, nil, func() time.Time { return now })
		if got, err := d.Age(); got != c.want || err != nil {
			t.Errorf("%s: %v, want %v: %v", name, got, c.want, err)
		}
	}
	if age, err := directory.New("sz", openStore(t), fixed{}, nil, time.Now).Age(); age < 100*year || err != nil {
		t.Errorf("an empty replica is %v old: %v", age, err)
	}
}

func TestAgeOfAClosedReplicaIsAnError(t *testing.T) {
	store := openStore(t)
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	if age, err := directory.New("gz", store, fixed{}, nil, time.Now).Age(); err == nil {
		t.Errorf("it is %v old", age)
	}
}

func TestTicksAreWrittenByTheLeaderAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGroup(t, "gz")
		leader, other := g.join("gz"), g.join("sz")
		g.must(leader.Write(t.Context(), initEntry(t)))
		ctx, cancel := context.WithCancel(t.Context())
		var running sync.WaitGroup
		running.Go(func() { leader.RunTicks(ctx) })
		running.Go(func() { other.RunTicks(ctx) })
		pass := func(d time.Duration) {
			timer := time.NewTimer(d)
			<-timer.C
			synctest.Wait()
		}
		pass(10*directory.TickPeriod + time.Second)
		if got := len(g.written(command.Tick)); got != 11 {
			t.Errorf("%d ticks in ten periods", got)
		}
		for _, e := range g.entries() {
			if e.Node != "gz" {
				t.Errorf("%s ticked", e.Node)
			}
		}
		g.elect("sz")
		pass(directory.TickPeriod)
		entries := g.entries()
		if last := entries[len(entries)-1]; last.Node != "sz" {
			t.Errorf("after an election %s ticked", last.Node)
		}
		cancel()
		running.Wait()
	})
}

func TestViewAndWaitAreOfTheLocalReplica(t *testing.T) {
	g := newGroup(t, "gz")
	d := g.join("gz")
	_, moved := d.Applied()
	result := g.must(d.Write(t.Context(), initEntry(t)))
	<-moved
	if err := d.Wait(t.Context(), result.Index); err != nil {
		t.Error(err)
	}
	err := d.View(func(tx *state.Tx) error {
		if tx.Index() != result.Index {
			t.Errorf("the view is of %d", tx.Index())
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}
