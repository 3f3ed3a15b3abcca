package api_test

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gxbus/gxbus/node/sample"
	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/calendar"
	"github.com/gxbus/gxbus/pkg/client"
)

func TestTheCatalogueOverTheAPI(t *testing.T) {
	w := newWorld(t)
	for name, test := range map[string]func(*world, *testing.T){
		"art. 3 nothing of a marked resource reaches a disk":   markedLeavesNoTrace,
		"an import is answered row by row and can be repeated": importIsRepeated,
		"a dry run writes nothing":                             dryRunWritesNothing,
		"drafts are listed by page":                            draftsByPage,
		"art. 16 and 17 deadlines are shown and follow":        deadlinesFollow,
		"versions tell others no more than their content":      versionsOfOthers,
		"a disabled account":                                   disabledAccount,
	} {
		t.Run(name, func(t *testing.T) {
			w.t = t
			test(w, t)
		})
	}
}

// The log of the directory is replicated: what is secret must not even be proposed.
func markedLeavesNoTrace(w *world, t *testing.T) {
	const canary = "canary-secret-name"
	marked := spareResource(300)
	marked.Name, marked.Abstract, marked.Secrecy = canary, canary, "秘密"
	api := w.First.Client(w.bearers[provider])
	rows, err := api.ImportDrafts(context.Background(), client.DraftImport{Drafts: []bus.DraftContent{{Resource: marked}, sample.Content(spareResource(301))}})
	check(t, err)
	if len(rows) != 2 || rows[0].Code != bus.CodeSecret || rows[0].ID != marked.ID || rows[1].Outcome != bus.OutcomeCreated {
		t.Errorf("rows %+v", rows)
	}
	if _, err := api.Drafts().Put(context.Background(), bus.Draft{Resource: marked}); !client.IsCode(err, bus.CodeSecret) {
		t.Errorf("put: %v", err)
	}
	files := 0
	check(t, filepath.WalkDir(w.First.Config.DataDir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		files++
		if bytes.Contains(data, []byte(canary)) {
			t.Errorf("%s holds it", filepath.Base(path))
		}
		return err
	}))
	if files == 0 {
		t.Error("no file was looked at")
	}
}

func importIsRepeated(w *world, t *testing.T) {
	body := asJSON(t, client.DraftImport{Submit: true, Drafts: []bus.DraftContent{
		sample.Content(spareResource(310)), {Resource: spareResource(311)}, sample.Content(spareResource(310)),
	}})
	post := func(key string) reply {
		return w.ask(request{method: "POST", path: "/api/v1/drafts/import", who: operator, header: map[string]string{"Idempotency-Key": key}, body: text(body)})
	}
	first := post("import-310")
	for _, want := range []string{`"outcome":"created","state":"in-review"`, `"outcome":"created","state":"draft"`, `"field":"clearance.consent"`, `"outcome":"unchanged","state":"in-review"`} {
		if !strings.Contains(first.body, want) {
			t.Errorf("%s lacks %s", first.body, want)
		}
	}
	if again := post("import-310"); again.body != first.body {
		t.Errorf("repeated: %s", again.body)
	}
	if anew := post("import-310b"); strings.Count(anew.body, `"outcome":"unchanged"`) != 3 {
		t.Errorf("sent anew: %s", anew.body)
	}
}

func dryRunWritesNothing(w *world, t *testing.T) {
	before := w.nouns()
	rows, err := w.First.Client(w.bearers[operator]).ImportDrafts(context.Background(), client.DraftImport{
		DryRun: true, Submit: true, Drafts: []bus.DraftContent{sample.Content(spareResource(320))},
	})
	check(t, err)
	if len(rows) != 1 || rows[0].Outcome != bus.OutcomeCreated || rows[0].State != bus.StateInReview {
		t.Errorf("rows %+v", rows)
	}
	if after := w.nouns(); after != before {
		t.Error("something was written")
	}
}

func draftsByPage(w *world, t *testing.T) {
	var drafts []bus.DraftContent
	for n := range 7 {
		drafts = append(drafts, sample.Content(spareResource(330+n)))
	}
	api := w.First.Client(w.bearers[provider])
	_, err := api.ImportDrafts(context.Background(), client.DraftImport{Drafts: drafts})
	check(t, err)
	all, err := api.Drafts().List(context.Background(), client.DraftFilter{State: bus.StateDraft, Provider: sample.ShenzhenMarket.ID})
	check(t, err)
	seen := 0
	for after := ""; ; {
		page := w.ask(request{method: "GET", path: "/api/v1/drafts?state=draft&limit=2&after=" + after, who: provider})
		seen += strings.Count(page.body, `"state":"draft"`)
		_, next, more := strings.Cut(page.body, `"next":"`)
		if !more {
			break
		}
		after, _, _ = strings.Cut(next, `"`)
	}
	if len(all) < 7 || seen != len(all) {
		t.Errorf("%d drafts, %d by page", len(all), seen)
	}
	if mine, err := w.First.Client(w.bearers[stranger]).Drafts().List(context.Background(), client.DraftFilter{}); err != nil || len(mine) > 0 {
		t.Errorf("a stranger lists %d: %v", len(mine), err)
	}
}

func deadlinesFollow(w *world, t *testing.T) {
	ctx := context.Background()
	_, err := w.First.Client(w.bearers[provider]).ImportDrafts(ctx, client.DraftImport{Submit: true, Drafts: []bus.DraftContent{sample.Content(spareResource(340))}})
	check(t, err)
	trigger := w.trigger()
	days := calendar.New(calendar.BuiltIn())
	read := func() (review, change bus.Deadline) {
		d, err := w.First.Client(w.bearers[reviewer]).Drafts().Read(ctx, spareResource(340).ID)
		check(t, err)
		tr, err := w.First.Client(w.bearers[reviewer]).Triggers().Read(ctx, trigger.Resource, trigger.Number)
		check(t, err)
		return *d.Deadline, *tr.Deadline
	}
	review, change := read()
	if want := days.Deadline(w.clock.Now(), bus.ReviewDays); !review.Due.Equal(want.Due) || review.Estimated != want.Estimated || review.Overdue {
		t.Errorf("the review is due %+v, want %+v", review, want)
	}
	if want := days.Deadline(trigger.At, bus.ChangeDays); !change.Due.Equal(want.Due) || change.Overdue {
		t.Errorf("the change is due %+v, want %+v", change, want)
	}
	var off []calendar.Day // the whole time is holiday, as it turns out
	for d := calendar.DateOf(w.clock.Now()); d < calendar.DateOf(review.Due); d++ {
		off = append(off, calendar.Day{Date: d.String(), Name: "样例节", Kind: calendar.KindOff})
	}
	_, err = w.First.Client(w.bearers[sysadmin]).UpdateCalendar(ctx, off)
	check(t, err)
	if later, _ := read(); !later.Due.After(review.Due) {
		t.Errorf("the review is still due %+v", later)
	}
	var back []calendar.Day
	for _, d := range off {
		back = append(back, calendar.Day{Date: d.Date, Kind: calendar.KindNormal})
	}
	_, err = w.First.Client(w.bearers[sysadmin]).UpdateCalendar(ctx, back)
	check(t, err)
}

func versionsOfOthers(w *world, t *testing.T) {
	path := fmt.Sprint("/api/v1/resources/", registration, "/versions/1")
	for who, sees := range map[string]bool{provider: true, operator: true, reviewer: true, auditor: true, consumer: false, stranger: false} {
		got := w.ask(request{method: "GET", path: path, who: who})
		if told := strings.Contains(got.body, "secrecy_review") && strings.Contains(got.body, `"submitted"`); got.status != 200 || told != sees {
			t.Errorf("%s is told %s", who, got.body)
		}
	}
}

func disabledAccount(w *world, t *testing.T) {
	ctx := context.Background()
	bearer := w.AddAccount(bus.Account{Name: "leaver", Role: bus.RoleOperator, Department: sample.ShenzhenMarket.ID})
	w.bearers["leaver"] = bearer
	accounts := w.First.Client(w.bearers[secadmin]).Accounts()
	account, err := accounts.Read(ctx, "leaver")
	check(t, err)
	account.Disabled = true
	_, err = accounts.Put(ctx, account)
	check(t, err)
	if got := w.ask(request{method: "GET", path: "/api/v1/drafts", who: "leaver"}); got.status != 401 {
		t.Errorf("an open session is answered %d", got.status)
	}
	if _, err := w.First.Client("").SignIn(ctx, client.SignIn{Account: "leaver", Password: w.Passwords["leaver"]}); !client.IsCode(err, bus.CodeUnauthenticated) {
		t.Errorf("signed in: %v", err)
	}
	w.clock.advance(time.Second)
}
