package api_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gxbus/gxbus/node/sample"
	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/client"
	"github.com/gxbus/gxbus/pkg/directory/state"
)

// told is what the tests read of a change.
type told struct {
	ID, Source, Type, Subject, Gxbusindex string
	Data                                  json.RawMessage
}

func (w *world) changes(who, query string) ([]told, reply) {
	w.t.Helper()
	got := w.ask(request{method: "GET", path: "/api/v1/changes?" + query, who: who})
	var events []told
	if got.status == http.StatusOK {
		check(w.t, json.Unmarshal([]byte(got.body), &events))
	}
	return events, got
}

// listsOf are the lists where a kind of entry is seen, and the field of its key.
var listsOf = map[string][2]string{
	"division": {"divisions", "code"}, "node": {"nodes", "id"}, "department": {"departments", "id"}, "system": {"systems", "id"},
	"resource": {"resources", "id"}, "grant": {"grants", "id"}, "subscription": {"subscriptions", "id"}, "layer": {"policies", "id"},
	"checkpoint": {"audit/checkpoints", "node"}, "draft": {"drafts", "id"}, "layer-draft": {"policies/drafts", "id"}, "library": {"libraries", "id"},
	"application": {"applications", "id"},
	"correction":  {"corrections", "id"}, "dispute": {"disputes", "id"},
}

// Everybody is told of the changes of what he sees in the lists, as he sees it
// there, and of nothing else.
func TestChangesShowWhatTheListsShow(t *testing.T) {
	w := newWorld(t)
	w.dispute()
	if len(listsOf) != len(state.Watched()) {
		t.Fatalf("%d tables are watched, %d kinds have a list here", len(state.Watched()), len(listsOf))
	}
	for _, who := range []string{provider, consumer, stranger, sysadmin, secadmin, auditor} {
		seen := map[string]string{}
		for kind, list := range listsOf {
			var body struct{ Items []map[string]any }
			check(t, json.Unmarshal([]byte(w.ask(request{method: "GET", path: "/api/v1/" + list[0], who: who}).body), &body))
			for _, item := range body.Items {
				if kind == "resource" {
					delete(item, "state") // of the catalogue's list, and published all of them
				}
				seen[fmt.Sprint(kind, " ", item[list[1]])] = asJSON(t, item)
			}
		}
		events, got := w.changes(who, "from=0")
		followed := map[string]string{}
		for _, e := range events {
			kind, put := strings.CutSuffix(strings.TrimPrefix(e.Type, "cn.gxbus.directory."), ".put")
			if !put {
				continue // a draft that was published; what it was is in no list
			}
			if e.ID != e.Gxbusindex+"/"+kind+"/"+e.Subject || !strings.HasSuffix(e.Source, "/directory") {
				t.Errorf("%s: %+v", who, e)
			}
			var item map[string]any
			check(t, json.Unmarshal(e.Data, &item))
			followed[kind+" "+e.Subject] = asJSON(t, item)
		}
		if !maps.Equal(seen, followed) {
			t.Errorf("%s sees %v\nand follows %v", who, seen, followed)
		}
		if got.header.Get("Gxbus-Index") == "" || got.header.Get("Gxbus-Age") == "" || got.header.Get("Content-Type") != "application/cloudevents-batch+json" {
			t.Errorf("headers %v", got.header)
		}
	}
}

func TestS27ADeletionIsToldToWhoSawWhatWasThere(t *testing.T) {
	w := newWorld(t)
	ctx := context.Background()
	_, before := w.changes(sysadmin, "wait=0")
	from := "from=" + before.header.Get("Gxbus-Index") + "&wait=0"
	subscriptions := w.First.Client(w.bearers[consumer]).Subscriptions()
	s, err := subscriptions.Read(ctx, "sub-1")
	check(t, err)
	check(t, subscriptions.Delete(ctx, s.ID, s.Revision))
	for who, want := range map[string]int{provider: 0, consumer: 1, stranger: 0, sysadmin: 1, auditor: 1} {
		events, got := w.changes(who, from)
		if len(events) != want || got.header.Get("Gxbus-Index") == before.header.Get("Gxbus-Index") {
			t.Errorf("%s is told of %+v, up to %s", who, events, got.header.Get("Gxbus-Index"))
		}
		if want == 1 && (events[0].Type != "cn.gxbus.directory.subscription.deleted" || events[0].Subject != "sub-1" || events[0].Data != nil) {
			t.Errorf("%s is told of %+v", who, events[0])
		}
	}
	if events, _ := w.changes(consumer, from+"&kind=grant,resource"); len(events) != 0 {
		t.Errorf("of other kinds: %+v", events)
	}
}

func TestChangesRefuseWhatTheyDoNotKnow(t *testing.T) {
	w := newWorld(t)
	for query, want := range map[string][]string{
		"from=x&kind=account,grant,token": {"from", "kind[0]", "kind[2]"},
		"wait=31":                         {"wait"},
		"min-index=-1&consistent=maybe":   {"min-index", "consistent"},
	} {
		_, got := w.changes(auditor, query)
		var fields []string
		for _, d := range got.problem.Defects {
			fields = append(fields, d.Field)
		}
		slices.Sort(fields)
		slices.Sort(want)
		if got.status != http.StatusBadRequest || !slices.Equal(fields, want) {
			t.Errorf("%s: %d %s", query, got.status, got.body)
		}
	}
}

func TestAChangeEndsAPoll(t *testing.T) {
	w := newWorld(t)
	polled := make(chan []told, 1)
	_, before := w.changes(sysadmin, "wait=0")
	go func() {
		events, _ := w.changes(stranger, "kind=department&wait=30&from="+before.header.Get("Gxbus-Index"))
		polled <- events
	}()
	_, err := w.First.Client(w.bearers[sysadmin]).Departments().Put(context.Background(), spare(1))
	check(t, err)
	if events := <-polled; len(events) != 1 || events[0].Subject != string(spare(1).ID) {
		t.Errorf("polled %+v", events)
	}
}

// watched is an open stream of changes.
type watched struct {
	lines chan string // closed when the stream has ended
	close context.CancelFunc
}

func (w *world) stream(who, query string, header map[string]string) watched {
	w.t.Helper()
	return w.streamOf(who, "/api/v1/changes?"+query, header)
}

// streamOf opens a stream of server-sent events.
func (w *world) streamOf(who, path string, header map[string]string) watched {
	w.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	w.t.Cleanup(cancel)
	q, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+w.First.Config.APIListen+path, nil)
	check(w.t, err)
	q.Header.Set("Authorization", "Bearer "+w.bearers[who])
	q.Header.Set("Accept", "text/event-stream")
	for name, value := range header {
		q.Header.Set(name, value)
	}
	resp, err := w.http.Do(q)
	check(w.t, err)
	s := watched{make(chan string, 100), cancel}
	if resp.StatusCode != http.StatusOK {
		s.lines <- resp.Status
		close(s.lines)
		_ = resp.Body.Close()
		return s
	}
	go func() {
		defer close(s.lines)
		defer resp.Body.Close()
		for lines := bufio.NewScanner(resp.Body); lines.Scan(); {
			s.lines <- lines.Text()
		}
	}()
	return s
}

// expect reads until a line holds text, and returns what came before it.
func (s watched) expect(t *testing.T, text string) (before []string) {
	t.Helper()
	patience := time.NewTimer(40 * time.Second)
	defer patience.Stop()
	for {
		select {
		case line, ok := <-s.lines:
			if !ok {
				t.Fatalf("the stream ended before %q: %q", text, before)
			}
			if strings.Contains(line, text) {
				return before
			}
			before = append(before, line)
		case <-patience.C:
			t.Fatalf("no %q came: %q", text, before)
		}
	}
}

// ended waits for the end and returns how long it took.
func (s watched) ended(t *testing.T) (last []string, took time.Duration) {
	t.Helper()
	start := time.Now()
	patience := time.NewTimer(40 * time.Second)
	defer patience.Stop()
	for {
		select {
		case line, ok := <-s.lines:
			if !ok {
				return last, time.Since(start)
			}
			last = append(last, line)
		case <-patience.C:
			t.Fatal("the stream goes on")
		}
	}
}

func TestAStreamOfChanges(t *testing.T) {
	w := newWorld(t)
	ctx := context.Background()
	admin := w.First.Client(w.bearers[sysadmin])
	s := w.stream(stranger, "kind=department", nil)
	s.expect(t, "id: ")
	d, err := admin.Departments().Put(ctx, spare(1))
	check(t, err)
	s.expect(t, fmt.Sprint("id: ", d.Revision))
	if before := s.expect(t, string(d.ID)); len(before) != 0 {
		t.Errorf("before the change came %q", before)
	}
	check(t, admin.Departments().Delete(ctx, d.ID, d.Revision))
	s.expect(t, "department.deleted")

	again := w.stream(stranger, "kind=department&from=999999", map[string]string{"Last-Event-ID": fmt.Sprint(d.Revision - 1)})
	again.expect(t, fmt.Sprint("id: ", d.Revision-1))
	again.expect(t, "department.deleted") // the put tells nothing any more
	again.close()

	t.Run("S20 a disabled system's stream dies", func(t *testing.T) {
		w.t = t
		systems := admin.Systems()
		system, err := systems.Read(ctx, sample.SystemOf(sample.GuangzhouHealth).ID)
		check(t, err)
		system.Disabled = true
		_, err = systems.Put(ctx, system)
		check(t, err)
		last, took := s.ended(t)
		if took > 2*time.Second || !strings.Contains(strings.Join(last, "\n"), `"code":"unauthenticated"`) {
			t.Errorf("after %v: %q", took, last)
		}
		told := 0
		for _, leaf := range w.leaves() {
			if leaf.Code == bus.CodeUnauthenticated && leaf.Principal.System == system.ID {
				told++
			}
		}
		if told != 1 {
			t.Errorf("%d leaves tell of it", told)
		}
	})
	t.Run("S20 a stream dies with its session", func(t *testing.T) {
		w.t = t
		w.bearers["second"] = w.SignIn(w.First, "auditor")
		s := w.stream("second", "", nil)
		s.expect(t, "id: ")
		w.ask(request{method: "DELETE", path: "/api/v1/sessions", who: "second"})
		if last, took := s.ended(t); took > 2*time.Second || !strings.Contains(strings.Join(last, "\n"), `"code":"unauthenticated"`) {
			t.Errorf("after %v: %q", took, last)
		}
		s = w.stream(auditor, "", nil)
		s.expect(t, "id: ")
		w.clock.advance(31 * time.Minute) // an open stream is nobody at work
		s.ended(t)
		w.clock.advance(-31 * time.Minute)
	})
}

func TestS15StreamsOfOnePrincipalAreCounted(t *testing.T) {
	w := newWorld(t)
	var open []watched
	for range 8 {
		s := w.stream(consumer, "", nil)
		s.expect(t, "id: ")
		open = append(open, s)
	}
	if last, _ := w.stream(consumer, "", nil).ended(t); !strings.Contains(last[0], "429") {
		t.Errorf("a ninth is answered %q", last)
	}
	w.stream(provider, "", nil).expect(t, "id: ")
	open[0].close()
	open[0].ended(t)
	check(t, until(func() bool {
		s := w.stream(consumer, "", nil)
		line := <-s.lines
		return strings.HasPrefix(line, "id: ")
	}))
}

func until(done func() bool) error {
	patience, tick := time.NewTimer(40*time.Second), time.NewTicker(50*time.Millisecond)
	defer patience.Stop()
	defer tick.Stop()
	for !done() {
		select {
		case <-tick.C:
		case <-patience.C:
			return context.DeadlineExceeded
		}
	}
	return nil
}

func TestANodeThatStopsEndsItsStreams(t *testing.T) {
	w := newWorld(t)
	s := w.stream(consumer, "", nil)
	s.expect(t, "id: ")
	start := time.Now()
	w.First.Stop()
	s.ended(t)
	if took := time.Since(start); took > 4*time.Second { // a shutdown that waits for streams takes five
		t.Errorf("stopping took %v", took)
	}
}

func TestTheClientFollowsTheDirectory(t *testing.T) {
	w := newWorld(t)
	ctx := context.Background()
	_, err := w.First.Client(w.bearers[sysadmin]).Departments().Put(ctx, spare(1))
	check(t, err)
	for change, err := range w.First.Client(w.bearers[consumer]).Watch(ctx, 0, "department") {
		check(t, err)
		var d bus.Department
		check(t, change.Entry(&d))
		if change.Kind != "department" || change.Deleted || string(d.ID) != change.Key || change.Index != d.Revision {
			t.Errorf("told of %+v", change)
		}
		if d.ID == spare(1).ID {
			break
		}
	}
}

func TestReadsWaitForWhatTheyMustShow(t *testing.T) {
	w := newWorld(t)
	ctx := context.Background()
	admin := w.First.Client(w.bearers[sysadmin])
	d, err := admin.Departments().Put(ctx, spare(1))
	check(t, err)
	if admin.Written() != d.Revision {
		t.Errorf("the client wrote at %d, the department is of %d", admin.Written(), d.Revision)
	}
	check(t, admin.Departments().Delete(ctx, d.ID, d.Revision))
	if admin.Written() <= d.Revision {
		t.Error("a deletion does not tell its index")
	}
	reader := w.First.Client(w.bearers[consumer])
	if _, err := reader.Consistent().AtLeast(admin.Written()).Departments().Read(ctx, d.ID); !client.IsCode(err, bus.CodeNotFound) {
		t.Error("read after the deletion: ", err)
	}
	read := make(chan error, 1)
	go func() {
		_, err := reader.AtLeast(admin.Written() + 1).Departments().List(ctx)
		read <- err
	}()
	_, err = admin.Departments().Put(ctx, spare(2))
	check(t, err)
	check(t, <-read)
}
