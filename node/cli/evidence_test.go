package cli_test

import (
	"encoding/json"
	"net/http"
	"testing"
	"time"

	"github.com/gxbus/gxbus/pkg/binding"
	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/client"
)

// pages answers a list in two pages.
func pages(w http.ResponseWriter, r *http.Request) {
	step := client.TraceStep{Node: "n1", Leaf: 4, Record: json.RawMessage(`{"kind":"asked","resource":"firms","case":"办件-1","at":"2026-03-02T04:00:00Z"}`)}
	page := client.Trace{Steps: []client.TraceStep{step}, Silent: []bus.NodeID{"n3"}, Next: "more"}
	if r.URL.Query().Get("page") == "more" {
		page.Steps[0].Node, page.Next = "n2", ""
	}
	give(page)(w, r)
}

func TestATimelineIsReadToItsEndAndNamesTheSilent(t *testing.T) {
	sh := newShell(t, map[string]http.HandlerFunc{"GET /audit/trace": pages})
	out, errs := sh.ok("audit", "trace", "--case", "办件-1", "--to", "2026-03-31", "--lang", "zh")
	contains(t, "timeline", out+errs, "n1", "n2", "firms 办件-1", "放行查询", "未答复的节点：n3")
	if len(sh.seen) != 2 || sh.seen[0].line != "GET /audit/trace?case=%E5%8A%9E%E4%BB%B6-1&to=2026-04-01T00%3A00%3A00%2B08%3A00" {
		t.Errorf("asked %v", sh.seen)
	}
	out, _ = sh.ok("audit", "trace", "e-1", "-o", "json")
	var whole client.Trace
	if err := json.Unmarshal([]byte(out), &whole); err != nil || len(whole.Steps) != 2 || len(whole.Silent) != 1 || whole.Next != "" {
		t.Errorf("%s, %v", out, err)
	}
}

func TestHowServicesAreAndReceiptsAreShown(t *testing.T) {
	at := time.Date(2026, 3, 2, 4, 0, 0, 0, time.UTC)
	sh := newShell(t, map[string]http.HandlerFunc{
		"GET /bindings": give(map[string]any{"items": []binding.Shown{
			{Resource: "firms", Kind: binding.KindHTTP, Attachment: &bus.Attachment{State: bus.Failing, Since: at, Heartbeat: at.Add(-time.Hour)}}, {Resource: "new"},
		}}),
		"GET /events/e-1/deliveries": give(map[string]any{"items": []client.Deliveries{{Resource: "firms", Sequence: 7, Deliveries: []bus.Delivery{
			{Subscription: "s", Node: "n3", State: bus.DeliveryAcknowledged, Silent: true, AsOf: at},
		}}}}),
	})
	out, _ := sh.ok("binding", "list", "--lang", "zh")
	contains(t, "bindings", out, "异常", "2026-03-02 12:00:00", "2026-03-02 11:00:00")
	out, _ = sh.ok("event", "deliveries", "e-1")
	contains(t, "deliveries", out, "acknowledged", "as_of", "2026-03-02 12:00:00")
}

func TestSegmentsThatWouldGoAreListedOnly(t *testing.T) {
	at := time.Date(2022, 3, 2, 4, 0, 0, 0, time.UTC)
	sh := newShell(t, map[string]http.HandlerFunc{
		"GET /audit/segments": give(map[string]any{"items": []client.Segment{
			{File: "000000000000-000000000256.jsonl.zst", End: 256, From: at, To: at}, {File: "000000000256-000000000512.jsonl.zst", First: 256, End: 512, To: at.AddDate(2, 0, 0), Problem: bus.CodeEvidence},
		}}),
		"POST /audit/segments/prune": give(map[string]any{"items": []client.Segment{}}),
	})
	out, _ := sh.ok("audit", "segment", "list")
	contains(t, "segments", out, "as sealed", "missing or damaged", "256")
	out, _ = sh.ok("audit", "segment", "prune", "--before", "2023-01-01", "--dry-run", "-o", "csv")
	contains(t, "would go", out, "000000000000-000000000256.jsonl.zst")
	if len(sh.seen) != 1 {
		t.Errorf("a dry run asked %v", sh.seen)
	}
	sh.ok("audit", "segment", "prune", "--before", "2023-01-01")
	if want := `{"before":"2023-01-01T00:00:00+08:00"}`; len(sh.seen) != 1 || sh.seen[0].body != want {
		t.Errorf("asked %v, want %s", sh.seen, want)
	}
}
