package reminder_test

import (
	"context"
	"errors"
	"log/slog"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"github.com/gxbus/gxbus/pkg/audit"
	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/calendar"
	"github.com/gxbus/gxbus/pkg/directory/command"
	"github.com/gxbus/gxbus/pkg/directory/state"
	"github.com/gxbus/gxbus/pkg/reminder"
)

const (
	market  bus.USCC = "114400000069401674"
	housing bus.USCC = "11440000006939561H"
)

var (
	sysadmin = bus.Principal{Account: "sysadmin", Role: bus.RoleSystemAdministrator}
	byMarket = bus.Principal{Account: "market", Role: bus.RoleOperator, Department: market}
	zone     = calendar.Shanghai
	start    = time.Date(2026, 3, 4, 9, 0, 0, 0, zone) // its ten working days end with 2026-03-18
)

// world is a node with a directory in which a trigger is due.
type world struct {
	t         *testing.T
	directory *state.Store
	file      store
	log       *audit.Log
	index     uint64
	self      bus.NodeID

	mu  sync.Mutex
	now time.Time
}

func (w *world) clock() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.now
}

func (w *world) set(now time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.now = now
}

func newWorld(t *testing.T) *world {
	t.Helper()
	dir := t.TempDir()
	directory, err := state.Open(filepath.Join(dir, "directory.db"))
	check(t, err)
	db, err := bbolt.Open(filepath.Join(dir, "exchange.db"), 0o600, nil)
	check(t, err)
	t.Cleanup(func() { check(t, errors.Join(directory.Close(), db.Close())) })
	w := &world{t: t, directory: directory, file: store{db}, now: start, self: "gz"}
	check(t, db.Update(func(tx *bbolt.Tx) (err error) {
		w.log, err = audit.Open(tx, audit.Origin("gd", "gz"))
		return err
	}))
	w.write(bus.Principal{Node: "gz"}, command.ClusterInit, 0, command.Init{
		Cluster: "gd", CA: "pem", Calendar: calendar.BuiltIn(),
		Node:      bus.Node{ID: "gz", Division: "440100", PeerAddress: "gz.example:1", APIAddress: "gz.example:2", EvidenceKey: "gz+00000000+AAAA"},
		Divisions: []bus.Division{{Code: "440100", Name: "广州市", Level: bus.LevelCity, Authority: housing}},
		Accounts: []bus.Account{
			{Name: "sysadmin", Role: bus.RoleSystemAdministrator}, {Name: "market", Role: bus.RoleOperator, Department: market},
			{Name: "reviewer", Role: bus.RoleReviewer, Department: housing},
		},
	})
	for _, id := range []bus.USCC{market, housing} {
		w.write(sysadmin, command.DepartmentPut, 0, bus.Department{ID: id, Name: "样例部门", Division: "440100"})
	}
	r := w.write(byMarket, command.DraftPut, 0, bus.DraftContent{
		Resource: bus.Resource{
			ID: "registrations", Codes: []bus.ResourceCode{"307001/1"}, Name: "样例", Abstract: "样例", Class: "样例", Provider: market, Format: "database",
			Modes: []string{"batch"}, Open: "no", UpdateCycle: "daily", Items: []bus.Item{{ID: "uscc", Name: "代码", Type: "C", Grade: 1}},
			Sharing: bus.Sharing{Type: bus.Unconditional},
		},
		Clearance: bus.Clearance{SecrecyReview: "样例", Consent: "样例"},
	})
	r = w.write(byMarket, command.DraftSubmit, 0, command.Submission{Drafts: []bus.DraftRef{{ID: "registrations", Revision: r}}})
	reviewer := bus.Principal{Account: "reviewer", Role: bus.RoleReviewer, Department: housing}
	w.write(reviewer, command.DraftReview, 0, command.Review{Drafts: []bus.DraftRef{{ID: "registrations", Revision: r}}, Approve: true})
	w.write(byMarket, command.TriggerRecord, 0, command.Trigger{Resource: "registrations", Kind: bus.TriggerLaw, At: start, Description: "样例"})
	return w
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func (w *world) write(by bus.Principal, typ command.Type, expect bus.Revision, body any) bus.Revision {
	w.t.Helper()
	e, err := command.New(typ, by, "", expect, body)
	check(w.t, err)
	e.At, e.Node = w.clock(), "gz"
	data, err := e.Encode()
	check(w.t, err)
	w.index++
	results, err := w.directory.Apply([]state.Log{{Index: w.index, Data: data}})
	check(w.t, err)
	check(w.t, results[0].Err())
	return results[0].Revision
}

// open starts the reminders; they look for themselves at once, and then once an hour.
func (w *world) open() *reminder.Reminders {
	w.t.Helper()
	r, err := reminder.Open(reminder.Config{
		Self: w.self, Store: w.file, Log: w.log, Directory: w.directory, Now: w.clock,
		Logger: slog.New(slog.DiscardHandler), Every: time.Hour,
	})
	check(w.t, err)
	return r
}

// told lists the thresholds that a department was reminded of.
func (w *world) told(r *reminder.Reminders, department bus.USCC) (told []bus.Threshold) {
	w.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	cancel() // nothing is waited for
	found, _, err := r.Wait(ctx, department, 0, 100)
	if err != nil && !errors.Is(err, context.Canceled) {
		w.t.Fatal(err)
	}
	for _, one := range found {
		told = append(told, one.Threshold)
	}
	return told
}

func TestEachThresholdIsToldOnceAlsoOverRestarts(t *testing.T) {
	w := newWorld(t)
	var want []bus.Threshold
	for _, tc := range []struct {
		day int
		new bus.Threshold
	}{
		{4, ""}, {12, ""}, {13, bus.ThresholdThree}, {15, ""}, {16, ""}, {17, bus.ThresholdOne}, {18, ""}, {19, bus.ThresholdOverdue}, {20, ""}, {30, ""},
	} {
		w.set(time.Date(2026, 3, tc.day, 9, 0, 0, 0, zone))
		if tc.new != "" {
			want = append(want, tc.new)
		}
		for range 2 { // as if the node had been stopped in between
			r := w.open()
			check(t, r.Remind(context.Background()))
			check(t, r.Remind(context.Background()))
			r.Close()
			if got := w.told(r, market); !slices.Equal(got, want) {
				t.Fatalf("on March %d: %v, want %v", tc.day, got, want)
			}
		}
	}
	if leaves := w.evidence(); leaves != 3 {
		t.Errorf("%d leaves about 3 reminders", leaves)
	}
}

func (w *world) evidence() (n int) {
	check(w.t, w.file.View(func(tx *bbolt.Tx) error {
		for leaf, err := range w.log.Records(tx, 0, 1000) {
			if err != nil {
				return err
			}
			if leaf.Record.Kind == audit.KindReminded {
				n++
			}
		}
		return nil
	}))
	return n
}

// Who was down over a threshold is told the last one alone.
func TestOnlyTheLastThresholdIsTold(t *testing.T) {
	w := newWorld(t)
	w.set(time.Date(2026, 3, 20, 9, 0, 0, 0, zone))
	r := w.open()
	defer r.Close()
	check(t, r.Remind(context.Background()))
	if got := w.told(r, market); !slices.Equal(got, []bus.Threshold{bus.ThresholdOverdue}) {
		t.Errorf("told %v", got)
	}
	if got := w.told(r, housing); len(got) > 0 {
		t.Errorf("another department was told %v", got)
	}
}

// A deadline that moves is another: the consumer of the old reminder is reminded of
// the new one.
func TestAMovedDeadlineIsToldAgain(t *testing.T) {
	w := newWorld(t)
	w.set(time.Date(2026, 3, 17, 9, 0, 0, 0, zone))
	r := w.open()
	defer r.Close()
	check(t, r.Remind(context.Background()))
	w.write(sysadmin, command.CalendarPut, 0, command.Days{Days: []calendar.Day{{Date: "2026-03-18", Name: "样例", Kind: calendar.KindOff}}})
	check(t, r.Remind(context.Background()))
	if got := w.told(r, market); !slices.Equal(got, []bus.Threshold{bus.ThresholdOne, bus.ThresholdOne}) {
		t.Errorf("told %v", got)
	}
}

func TestANodeRemindsItsOwnDepartmentsAndUnderTheSameIDs(t *testing.T) {
	w := newWorld(t)
	w.set(time.Date(2026, 3, 17, 9, 0, 0, 0, zone))
	first := w.open()
	check(t, first.Remind(context.Background()))
	first.Close()
	other := newWorld(t) // the same directory at another node, that has told nothing yet
	other.set(w.clock().Add(time.Hour))
	second := other.open()
	defer second.Close()
	check(t, second.Remind(context.Background()))
	if a, b := w.ids(first), other.ids(second); len(a) != 1 || !slices.Equal(a, b) {
		t.Errorf("one node says %v, the other %v", a, b)
	}
	stranger := newWorld(t)
	stranger.self = "elsewhere"
	stranger.set(w.clock())
	third := stranger.open()
	defer third.Close()
	check(t, third.Remind(context.Background()))
	if got := stranger.told(third, market); len(got) > 0 {
		t.Errorf("a node that does not serve the department told it %v", got)
	}
}

func (w *world) ids(r *reminder.Reminders) (ids []string) {
	found, _, _ := r.Wait(context.Background(), market, 0, 100)
	for _, one := range found {
		ids = append(ids, one.ID)
	}
	return ids
}

func TestWaitEndsWithAReminder(t *testing.T) {
	w := newWorld(t)
	r := w.open()
	defer r.Close()
	check(t, r.Remind(context.Background()))
	waited := make(chan []reminder.Reminder)
	go func() {
		found, through, err := r.Wait(context.Background(), market, 0, 10)
		if err != nil || through != 1 {
			t.Errorf("through %d: %v", through, err)
		}
		waited <- found
	}()
	w.write(byMarket, command.TriggerRecord, 0, command.Trigger{Resource: "registrations", Kind: bus.TriggerDuty, At: start.AddDate(0, -1, 0), Description: "样例"})
	check(t, r.Remind(context.Background()))
	if found := <-waited; len(found) != 1 || found[0].Threshold != bus.ThresholdOverdue {
		t.Errorf("%+v", found)
	}
}

// What is done is forgotten after ninety days, what is not is kept.
func TestOldRemindersAreForgottenOnceTheirTaskIsDone(t *testing.T) {
	w := newWorld(t)
	w.set(time.Date(2026, 3, 20, 9, 0, 0, 0, zone))
	r := w.open()
	defer r.Close()
	remind := func() {
		t.Helper()
		check(t, r.Remind(context.Background()))
	}
	remind()
	w.set(w.clock().AddDate(0, 0, 100))
	w.write(byMarket, command.TriggerRecord, 0, command.Trigger{Resource: "registrations", Kind: bus.TriggerDuty, At: start, Description: "样例"})
	remind()
	if got := w.told(r, market); len(got) != 2 {
		t.Fatalf("told %v: the task of the first is not done", got)
	}
	changed := bus.DraftContent{}
	check(t, w.directory.View(func(tx *state.Tx) error {
		changed.Resource, _ = tx.Resource("registrations")
		return nil
	}))
	changed.Resource.Version, changed.Resource.Revision, changed.Resource.Published = 0, 0, time.Time{}
	changed.Clearance = bus.Clearance{SecrecyReview: "样例", Consent: "样例"}
	rev := w.write(byMarket, command.DraftPut, 0, changed)
	w.write(byMarket, command.DraftSubmit, 0, command.Submission{Drafts: []bus.DraftRef{{ID: "registrations", Revision: rev}}})
	w.set(w.clock().AddDate(0, 0, 100)) // the review is overdue, which is told now
	remind()
	if got := w.told(r, market); len(got) != 0 {
		t.Errorf("still kept: %v", got)
	}
}

// store is a bbolt file, one transaction a step.
type store struct{ db *bbolt.DB }

func (s store) Commit(_ context.Context, write func(*bbolt.Tx) error) error {
	return s.db.Update(write)
}
func (s store) View(fn func(*bbolt.Tx) error) error { return s.db.View(fn) }
