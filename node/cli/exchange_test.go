package cli_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/cloudevents/sdk-go/v2/event"

	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/client"
)

// accept takes a batch and gives a receipt for each event.
func accept(w http.ResponseWriter, r *http.Request) {
	var events []event.Event
	var out client.Receipts
	if err := json.NewDecoder(r.Body).Decode(&events); err != nil {
		w.WriteHeader(400)
		return
	}
	for i, e := range events {
		out.Receipts = append(out.Receipts, client.Receipt{Source: e.Source(), ID: e.ID(), Sequence: uint64(i + 1), Duplicate: i == 0})
	}
	w.WriteHeader(202)
	_ = json.NewEncoder(w).Encode(out)
}

func line(id int) string {
	return fmt.Sprintf(`{"specversion":"1.0","id":"%d","source":"/systems/s","type":"t","datacontenttype":"application/json","data":{"n":%d}}`, id, id)
}

func TestPublishFromALongFile(t *testing.T) {
	sh := newShell(t, map[string]http.HandlerFunc{"POST /resources/r/events": accept})
	var b strings.Builder
	for i := range 2500 {
		b.WriteString(line(i) + "\n\n")
	}
	sh.in = b.String()
	out, errs := sh.ok("publish", "r", "-f", "-", "-o", "json")
	var receipts []client.Receipt
	if err := json.Unmarshal([]byte(out), &receipts); err != nil || len(receipts) != 2500 || len(sh.seen) != 3 {
		t.Fatalf("%d receipts in %d requests, %v", len(receipts), len(sh.seen), err)
	}
	for i, r := range receipts {
		if r.ID != fmt.Sprint(i) {
			t.Fatalf("receipt %d is of %s", i, r.ID)
		}
	}
	contains(t, "notice", errs, "2500 accepted, 3 of them duplicates")
}

func TestPublishNamesTheBadLine(t *testing.T) {
	sh := newShell(t, map[string]http.HandlerFunc{"POST /resources/r/events": accept})
	for bad, want := range map[string]string{
		"{": "line 2: not an event in JSON", `{"specversion":"1.0","id":"1","source":"/s"}`: "line 2: the event is not complete",
	} {
		sh.in = line(1) + "\n" + bad + "\n"
		code, _, errs := sh.run("publish", "r", "-f", "-")
		if code != 1 || len(sh.seen) != 0 {
			t.Errorf("exit %d, asked %d times", code, len(sh.seen))
		}
		contains(t, "errors", errs, "malformed-event", want)
	}
}

func TestPublishOneEvent(t *testing.T) {
	sh := newShell(t, map[string]http.HandlerFunc{"POST /resources/r/events": accept})
	file := sh.file("data.json", ` {"n": 1, "n2": "<局>"} `)
	sh.in = `"from stdin"`
	for data, want := range map[string]string{"@" + file: `{"n": 1, "n2": "<局>"}`, "-": `"from stdin"`, "17": "17"} {
		sh.ok("publish", "r", "--source", "/systems/s", "--type", "t", "--id", "7", "--subject", "sub", "--data", data)
		var events []event.Event
		if err := json.Unmarshal([]byte(sh.seen[0].body), &events); err != nil || len(events) != 1 {
			t.Fatalf("sent %s, %v", sh.seen[0].body, err)
		}
		if e := events[0]; e.ID() != "7" || e.Subject() != "sub" || !e.Time().Equal(now) || string(e.Data()) != want {
			t.Errorf("sent %s, want data %s", sh.seen[0].body, want)
		}
	}
	if code, _, errs := sh.run("publish", "r", "--source", "/s", "--type", "t", "--data", "{"); code != 1 || len(sh.seen) != 0 || !strings.Contains(errs, "malformed-json") {
		t.Errorf("bad data: exit %d: %s", code, errs)
	}
	if code, _, _ := sh.run("publish", "R/..", "--source", "/s", "--type", "t"); code != 1 || len(sh.seen) != 0 {
		t.Error("a bad resource id was sent")
	}
}

func pulled(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set(client.HeaderLast, "12")
	_, _ = io.WriteString(w, "["+line(1)+","+line(2)+"]")
}

func TestPullAcknowledgesOnlyWhenAsked(t *testing.T) {
	sh := newShell(t, map[string]http.HandlerFunc{
		"GET /subscriptions/s/events": pulled,
		"POST /subscriptions/s/ack":   func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(204) },
	})
	out, errs := sh.ok("pull", "s", "--limit", "2", "-o", "json")
	if len(sh.seen) != 1 || sh.seen[0].line != "GET /subscriptions/s/events?limit=2" || strings.Count(out, "\n") != 2 {
		t.Errorf("asked %v, wrote %q", sh.seen, out)
	}
	contains(t, "notice", errs, "up to sequence 12, not acknowledged")
	sh.in = out // what pull writes, publish reads
	sh.env["GXBUS_TOKEN"] = "t"
	out, _ = sh.ok("pull", "s", "--ack")
	contains(t, "table", out, "/systems/s", `{"n":2}`)
	if len(sh.seen) != 2 || sh.seen[1].body != `{"last":12}` {
		t.Errorf("asked %v", sh.seen)
	}
}

// What a table leaves out nobody who has only the table can have traced.
func TestPullShowsWatermarksWhereAnEventHasOne(t *testing.T) {
	marked := strings.Replace(line(2), `"type":"t"`, `"type":"t","gxbuswatermark":"3kq2f5vdu7n4yh6wzc1xwm2a"`, 1)
	for body, want := range map[string][]string{
		line(1) + "," + marked: {"id,time,source,type,subject,watermark,data", `1,,/systems/s,t,,,"{""n"":1}"`, `2,,/systems/s,t,,3kq2f5vdu7n4yh6wzc1xwm2a,"{""n"":2}"`},
		line(1):                {"id,time,source,type,subject,data", `1,,/systems/s,t,,"{""n"":1}"`},
	} {
		sh := newShell(t, map[string]http.HandlerFunc{"GET /subscriptions/s/events": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set(client.HeaderLast, "12")
			_, _ = io.WriteString(w, "["+body+"]")
		}})
		out, _ := sh.ok("pull", "s", "-o", "csv")
		if got := strings.Split(strings.TrimSpace(strings.TrimPrefix(out, "\ufeff")), "\r\n"); !slices.Equal(got, want) {
			t.Errorf("wrote %q", got)
		}
	}
}

func TestPullThatCannotWriteDoesNotAcknowledge(t *testing.T) {
	sh := newShell(t, map[string]http.HandlerFunc{"GET /subscriptions/s/events": pulled})
	for _, output := range []string{"json", "yaml", "csv", "table"} {
		if code := sh.runInto(fullDisk{}, "pull", "s", "--ack", "-o", output); code != 1 || len(sh.seen) != 1 {
			t.Errorf("%s: exit %d, asked %d times", output, code, len(sh.seen))
		}
	}
}

// fullDisk takes nothing.
type fullDisk struct{}

func (fullDisk) Write([]byte) (int, error) { return 0, os.ErrClosed }

func TestAnExportThatBreaksOffLeavesNoFile(t *testing.T) {
	broken := false
	sh := newShell(t, map[string]http.HandlerFunc{
		"GET /audit/export": func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, "{\"leaf\":0}\n")
			if broken {
				w.(http.Flusher).Flush()
				panic(http.ErrAbortHandler)
			}
		},
		"GET /audit/trace": give(client.Trace{Event: "e1", Silent: []bus.NodeID{"n3"}, Steps: []client.TraceStep{
			{Node: "n1", Leaf: 4, Record: json.RawMessage(`{ "kind": "publish" }`)}}}),
		"GET /audit/watermarks/m1": give(client.Trace{Silent: []bus.NodeID{"n3"}, Steps: []client.TraceStep{
			{Node: "n1", Leaf: 4, Record: json.RawMessage(`{"kind":"decision","principal":{"system":"s1"},"grant":"g1","first":1,"last":3,"decision":{"id":"d1","action":"forward","allow":true},"watermark":"m1"}`)},
			{Node: "n1", Leaf: 5, Record: json.RawMessage(`{"kind":"asked","resource":"r1","case":"case-1","decision_id":"d2"}`)}}}),
	})
	file := filepath.Join(t.TempDir(), "evidence.jsonl")
	sh.ok("audit", "export", "-f", file)
	if text, err := os.ReadFile(file); err != nil || string(text) != "{\"leaf\":0}\n" {
		t.Errorf("%q, %v", text, err)
	}
	broken = true
	second := filepath.Join(t.TempDir(), "evidence.jsonl")
	if code, _, _ := sh.run("audit", "export", "-f", second); code != 1 {
		t.Errorf("a broken export: exit %d", code)
	}
	if left, _ := os.ReadDir(filepath.Dir(second)); len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
	out, errs := sh.ok("audit", "trace", "e1")
	contains(t, "trace", out+errs, "unknown step publish", "n3")
	out, errs = sh.ok("audit", "watermark", "m1", "--lang", "zh")
	contains(t, "watermark", out+errs, "策略裁决：转发", "g1", "s1", "1–3", "d1", "m1", "n3", "r1 case-1", "d2")
}

func TestStatus(t *testing.T) {
	sh := newShell(t, map[string]http.HandlerFunc{"GET /status": give(client.Status{
		Cluster: "c1", Node: "n1", AppliedIndex: 7, AgeSeconds: 0.25,
		Members: []client.Member{{ID: "n1", DivisionName: "广东省", Layers: []client.LayerState{{ID: "base", Standing: client.LayerBroken, Problem: "x"}}}},
	})})
	out, _ := sh.ok("status", "--lang", "zh")
	contains(t, "status", out, "集群 c1", "主节点 无", "目录序号 7", "广东省", "1, base@0 无法编译，拒绝")
	sh.ok("status", "--hash")
	if sh.seen[0].line != "GET /status?hash=true" {
		t.Errorf("asked %v", sh.seen[0].line)
	}
}
