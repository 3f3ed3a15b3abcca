package due_test

import (
	"encoding/csv"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/calendar"
	"github.com/gxbus/gxbus/pkg/directory/command"
	"github.com/gxbus/gxbus/pkg/directory/due"
	"github.com/gxbus/gxbus/pkg/directory/state"
)

const (
	market  bus.USCC = "114400000069401674" // provider, in 越秀
	housing bus.USCC = "11440000006939561H" // consumer, in 天河
	tax     bus.USCC = "11441400007208381Y" // the city's data authority
)

var (
	node     = bus.Principal{Node: "gz"}
	sysadmin = bus.Principal{Account: "sysadmin", Role: bus.RoleSystemAdministrator}
	security = bus.Principal{Account: "security", Role: bus.RoleSecurityAdministrator}
	provider = bus.Principal{Account: "provider", Role: bus.RoleOperator, Department: market}
	consumer = bus.Principal{Account: "consumer", Role: bus.RoleOperator, Department: housing}
	system   = bus.Principal{System: "sample-housing", Department: housing}
	reviewer = bus.Principal{Account: "reviewer", Role: bus.RoleReviewer, Department: tax}
)

// world is a directory with a resource and a grant.
type world struct {
	t     testing.TB
	store *state.Store
	index uint64
	now   time.Time
}

func newWorld(t testing.TB) *world {
	t.Helper()
	store, err := state.Open(filepath.Join(t.TempDir(), "directory.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	w := &world{t: t, store: store, now: at("2026-03-04")}
	w.write(node, command.ClusterInit, 0, command.Init{
		Cluster: "gd", CA: "pem", Calendar: calendar.BuiltIn(),
		Node: bus.Node{ID: "gz", Division: "440100", PeerAddress: "gz.example:1", APIAddress: "gz.example:2", EvidenceKey: "gz+00000000+AAAA"},
		Divisions: []bus.Division{
			{Code: "440000", Name: "广东省", Level: bus.LevelProvince},
			{Code: "440100", Name: "广州市", Level: bus.LevelCity, Parent: "440000", Authority: tax},
			{Code: "440104", Name: "越秀区", Level: bus.LevelCounty, Parent: "440100"},
			{Code: "440106", Name: "天河区", Level: bus.LevelCounty, Parent: "440100"},
		},
		Accounts: []bus.Account{
			{Name: "sysadmin", Role: bus.RoleSystemAdministrator}, {Name: "security", Role: bus.RoleSecurityAdministrator},
			{Name: "provider", Role: bus.RoleOperator, Department: market}, {Name: "consumer", Role: bus.RoleOperator, Department: housing},
			{Name: "reviewer", Role: bus.RoleReviewer, Department: tax},
		},
	})
	for id, division := range map[bus.USCC]bus.DivisionCode{market: "440104", housing: "440106", tax: "440100"} {
		w.write(sysadmin, command.DepartmentPut, 0, bus.Department{ID: id, Name: "样例部门", Division: division})
	}
	w.write(sysadmin, command.SystemPut, 0, bus.System{ID: "sample-housing", Department: housing, Name: "样例系统", SecretHash: make([]byte, 32)})
	r := w.draft("registrations", "307001/1")
	r = w.write(provider, command.DraftSubmit, 0, command.Submission{Drafts: ref("registrations", r)})
	w.write(reviewer, command.DraftReview, 0, command.Review{Drafts: ref("registrations", r), Approve: true})
	w.write(security, command.GrantPut, 0, bus.Grant{
		ID: "g1", Resource: "registrations", Consumer: housing, Purposes: []bus.Purpose{bus.PurposeReference}, Items: []bus.ItemID{"uscc"},
		NotBefore: w.now, NotAfter: w.now.AddDate(1, 0, 0), Agreement: "样例〔2025〕1号",
	})
	return w
}

func (w *world) draft(id bus.ResourceID, code bus.ResourceCode) bus.Revision {
	w.t.Helper()
	return w.write(provider, command.DraftPut, 0, bus.DraftContent{
		Resource: bus.Resource{
			ID: id, Codes: []bus.ResourceCode{code}, Name: "样例资源", Abstract: "样例", Class: "样例", Provider: market, Format: "database",
			Modes: []string{"batch"}, Open: "no", UpdateCycle: "daily", Items: []bus.Item{{ID: "uscc", Name: "代码", Type: "C", Grade: 1}},
			Sharing: bus.Sharing{Type: bus.Conditional, Range: "样例", Purposes: []bus.Purpose{bus.PurposeReference}},
		},
		Clearance: bus.Clearance{SecrecyReview: "样例", Consent: "样例"},
	})
}

func ref(id bus.ResourceID, r bus.Revision) []bus.DraftRef {
	return []bus.DraftRef{{ID: id, Revision: r}}
}

func (w *world) write(by bus.Principal, typ command.Type, expect bus.Revision, body any) bus.Revision {
	w.t.Helper()
	e, err := command.New(typ, by, "", expect, body)
	if err != nil {
		w.t.Fatal(err)
	}
	e.At, e.Node = w.now, "gz"
	data, err := e.Encode()
	if err != nil {
		w.t.Fatal(err)
	}
	w.index++
	results, err := w.store.Apply([]state.Log{{Index: w.index, Data: data}})
	if err == nil {
		err = results[0].Err()
	}
	if err != nil {
		w.t.Fatalf("%s: %v", typ, err)
	}
	return results[0].Revision
}

func (w *world) tasks() (tasks []bus.Task) {
	w.t.Helper()
	err := w.store.View(func(tx *state.Tx) error {
		tasks = due.Tasks(tx, w.now)
		return nil
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return tasks
}

// of lists p's tasks by id.
func (w *world) of(p bus.Principal) (ids []string) {
	w.t.Helper()
	for _, t := range due.Of(p, w.tasks()) {
		ids = append(ids, t.ID)
	}
	return ids
}

func (w *world) expect(p bus.Principal, want ...string) {
	w.t.Helper()
	if got := w.of(p); !slices.Equal(got, want) {
		w.t.Errorf("%v awaits %v, want %v", p, got, want)
	}
}

// at is nine in the morning of a day.
func at(day string) time.Time {
	d, err := calendar.ParseDate(day)
	if err != nil {
		panic(err)
	}
	return d.Start().Add(9 * time.Hour)
}

func TestACorrectionGoesFromSideToSide(t *testing.T) {
	w := newWorld(t)
	w.expect(provider)
	w.expect(consumer)
	r := w.write(consumer, command.CorrectionReport, 0, command.CorrectionReported{ID: "c1", Resource: "registrations", Items: []bus.ItemID{"uscc"}, Description: "样例"})
	step := func(by bus.Principal, step bus.CorrectionStep) {
		t.Helper()
		r = w.write(by, command.CorrectionStep, r, command.CorrectionStepped{Correction: "c1", Step: step, Text: "样例"})
	}
	w.expect(provider, "correction/c1")
	w.expect(consumer)
	step(provider, bus.CorrectionConfirm)
	w.expect(provider, "correction/c1") // the same task: its term goes on
	step(provider, bus.CorrectionCorrect)
	w.expect(provider)
	w.expect(consumer, "correction-retest/c1")
	w.expect(system, "correction-retest/c1") // a department's systems have its operators' tasks
	step(consumer, bus.CorrectionFail)
	w.expect(consumer)
	w.expect(provider, "correction/c1")
	step(provider, bus.CorrectionCorrect)
	step(consumer, bus.CorrectionPass)
	w.expect(provider)
	w.expect(consumer)
}

func TestADisputeGoesFromBothSidesToTheAuthority(t *testing.T) {
	w := newWorld(t)
	r := w.write(consumer, command.CorrectionReport, 0, command.CorrectionReported{ID: "c1", Resource: "registrations", Items: []bus.ItemID{"uscc"}, Description: "样例"})
	w.write(provider, command.CorrectionStep, r, command.CorrectionStepped{Correction: "c1", Step: bus.CorrectionExplain, Text: "样例"})
	w.expect(consumer, "correction-accept/c1")
	r = w.write(consumer, command.DisputeRaise, 0, command.DisputeRaised{ID: "d1", About: bus.Subject{Kind: bus.SubjectCorrection, ID: "c1"}, Reason: "样例"})
	w.expect(consumer, "dispute-negotiate/d1/"+string(housing))
	w.expect(provider, "dispute-negotiate/d1/"+string(market))
	w.expect(reviewer)
	r = w.write(provider, command.DisputeStep, r, command.DisputeStepped{Dispute: "d1", Step: bus.DisputeNegotiate, Text: "样例"})
	w.write(consumer, command.DisputeStep, r, command.DisputeStepped{Dispute: "d1", Step: bus.DisputeSubmit, Text: "样例"})
	w.expect(consumer)
	w.expect(reviewer, "dispute-decide/d1")
}

func TestCatalogueTasks(t *testing.T) {
	w := newWorld(t)
	r := w.draft("licences", "307002/1")
	w.expect(reviewer)
	w.write(provider, command.DraftSubmit, 0, command.Submission{Drafts: ref("licences", r)})
	w.expect(reviewer, "draft-review/licences")
	r = w.write(provider, command.TriggerRecord, 0, command.Trigger{Resource: "registrations", Kind: bus.TriggerLaw, At: w.now, Description: "样例"})
	w.expect(provider, "trigger/registrations/1")
	r = w.write(provider, command.TriggerExtend, r, command.Extension{Resource: "registrations", Number: 1, Days: 5, Reason: "样例"})
	w.expect(reviewer, "draft-review/licences", "trigger-consent/registrations/1") // the nearest first
	if left := due.Of(provider, w.tasks())[0].Left; left.Days != 10 {
		t.Errorf("%d working days before the consent", left.Days)
	}
	w.write(reviewer, command.TriggerConsent, r, command.Consent{Resource: "registrations", Number: 1, Approve: true})
	w.expect(reviewer, "draft-review/licences")
	if left := due.Of(provider, w.tasks())[0].Left; left.Days != 15 {
		t.Errorf("%d working days after it", left.Days)
	}
}

func TestGrantsAboutToEnd(t *testing.T) {
	w := newWorld(t)
	end := w.now.AddDate(1, 0, 0)
	for _, tc := range []struct {
		now  time.Time
		want []string
	}{
		{end.AddDate(0, 0, -31), nil}, {end.AddDate(0, 0, -30), []string{"grant-expiring/g1"}}, {end.Add(-time.Second), []string{"grant-expiring/g1"}}, {end, nil},
	} {
		w.now = tc.now
		w.expect(consumer, tc.want...)
	}
}

func TestAWithdrawnResourceIsNotToBeAppliedForAgain(t *testing.T) {
	w := newWorld(t)
	w.now = at("2027-02-20")
	w.expect(consumer, "grant-expiring/g1")
	r := w.write(provider, command.ResourceWithdraw, w.revisionOf("registrations"), command.Withdrawal{Resource: "registrations", Reason: "样例"})
	w.expect(reviewer, "draft-review/registrations")
	w.expect(consumer, "grant-expiring/g1")
	w.write(reviewer, command.DraftReview, 0, command.Review{Drafts: ref("registrations", r), Approve: true})
	w.expect(reviewer)
	w.expect(consumer)
}

func (w *world) revisionOf(id bus.ResourceID) (r bus.Revision) {
	w.t.Helper()
	err := w.store.View(func(tx *state.Tx) error {
		resource, _ := tx.Resource(id)
		r = resource.Revision
		return nil
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return r
}

func TestTimeLeftAndThresholds(t *testing.T) {
	w := newWorld(t)
	w.now = at("2026-02-12") // ten working days over Spring Festival: to 2026-03-04
	w.write(consumer, command.CorrectionReport, 0, command.CorrectionReported{ID: "c1", Resource: "registrations", Items: []bus.ItemID{"uscc"}, Description: "样例"})
	for _, tc := range []struct {
		day         string
		days, hours int
		threshold   bus.Threshold
	}{
		{"2026-02-12", 10, 20*24 + 15, bus.ThresholdNone},
		{"2026-02-27", 4, 5*24 + 15, bus.ThresholdNone},
		{"2026-02-28", 3, 4*24 + 15, bus.ThresholdThree}, // a Saturday that is worked
		{"2026-03-01", 3, 3*24 + 15, bus.ThresholdThree},
		{"2026-03-02", 2, 2*24 + 15, bus.ThresholdThree},
		{"2026-03-03", 1, 24 + 15, bus.ThresholdOne},
		{"2026-03-04", 0, 15, bus.ThresholdOne},
		{"2026-03-05", 0, 0, bus.ThresholdOverdue},
	} {
		w.now = at(tc.day)
		task := due.Of(provider, w.tasks())[0]
		if task.Left.Days != tc.days || task.Left.Hours != tc.hours || task.Reached() != tc.threshold || task.Deadline.Overdue != (tc.threshold == bus.ThresholdOverdue) || task.Deadline.Estimated {
			t.Errorf("%s: %+v left, threshold %q, %+v", tc.day, *task.Left, task.Reached(), *task.Deadline)
		}
	}
}

// The oracle counts day by day, from the file of announced days alone.
func TestCorrectionDeadlinesEqualACountDayByDay(t *testing.T) {
	file, err := os.Open("../../calendar/holidays.csv")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	rows, err := csv.NewReader(file).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	announced := map[string]string{}
	for _, row := range rows[1:] {
		announced[row[0]] = row[2]
	}
	zone := time.FixedZone("", 8*3600)
	w := newWorld(t)
	numbered := 0
	rapid.Check(t, func(rt *rapid.T) {
		w.now = time.Unix(rapid.Int64Range(1483200000, 1796000000).Draw(rt, "reported"), 0).UTC() // 2017 to the end of 2026
		numbered++
		id := fmt.Sprint("c", numbered)
		w.write(consumer, command.CorrectionReport, 0, command.CorrectionReported{ID: bus.CorrectionID(id), Resource: "registrations", Items: []bus.ItemID{"uscc"}, Description: "样例"})
		local := w.now.In(zone)
		day := time.Date(local.Year(), local.Month(), local.Day(), 12, 0, 0, 0, zone)
		for left := 10; left > 0; {
			day = day.AddDate(0, 0, 1)
			kind := announced[day.Format("2006-01-02")]
			weekend := day.Weekday() == time.Saturday || day.Weekday() == time.Sunday
			if kind == "work" || kind == "" && !weekend {
				left--
			}
		}
		want := time.Date(day.Year(), day.Month(), day.Day()+1, 0, 0, 0, 0, zone)
		for _, task := range w.tasks() {
			if task.Subject == id && !task.Deadline.Due.Equal(want) {
				rt.Fatalf("reported %v: due %v, want %v", local, task.Deadline.Due, want)
			}
		}
	})
}

// Nearest first, and the order is whole: two looks at once see the same.
func TestTasksAreSortedByDeadline(t *testing.T) {
	w := newWorld(t)
	for i, day := range []string{"2026-03-09", "2026-03-05", "2026-03-05"} {
		w.now = at(day)
		w.write(consumer, command.CorrectionReport, 0, command.CorrectionReported{ID: bus.CorrectionID(fmt.Sprint("c", i)), Resource: "registrations", Items: []bus.ItemID{"uscc"}, Description: "样例"})
	}
	w.expect(provider, "correction/c1", "correction/c2", "correction/c0")
}

// A draft of a policy layer awaits the security administrators but the one who pushed
// it, until one of them has activated it.
func TestADraftOfALayerAwaitsAnother(t *testing.T) {
	w := newWorld(t)
	second := bus.Principal{Account: "second", Role: bus.RoleSecurityAdministrator}
	w.write(security, command.AccountPut, 0, bus.Account{Name: "second", Role: bus.RoleSecurityAdministrator, PasswordHash: "$argon2id$"})
	pushed := w.write(security, command.LayerPush, 0, command.Push{
		Layer: "division/440100", LayerPush: bus.LayerPush{Modules: map[string]string{"a.rego": "package a"}, Note: "样例"}, Report: &bus.LayerReport{Layer: "division/440100", OK: true},
	})
	awaiting := func(p bus.Principal) (kinds []bus.TaskKind) {
		if err := w.store.View(func(tx *state.Tx) error {
			for _, task := range due.Of(p, due.Tasks(tx, w.now)) {
				kinds = append(kinds, task.Kind)
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		return kinds
	}
	if got := awaiting(security); slices.Contains(got, bus.TaskLayerActivate) {
		t.Errorf("who pushed it is asked to activate it: %v", got)
	}
	if got := awaiting(second); !slices.Contains(got, bus.TaskLayerActivate) {
		t.Errorf("the second is not asked: %v", got)
	}
	w.write(second, command.LayerActivate, pushed, command.Activation{Layer: "division/440100"})
	if got := awaiting(second); slices.Contains(got, bus.TaskLayerActivate) {
		t.Errorf("it still waits: %v", got)
	}
}
