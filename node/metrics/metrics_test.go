package metrics_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/gxbus/gxbus/node/metrics"
	"github.com/gxbus/gxbus/pkg/audit"
	"github.com/gxbus/gxbus/pkg/bus"
)

func scrape(t *testing.T, m *metrics.Metrics) (int, string) {
	t.Helper()
	w := httptest.NewRecorder()
	m.Handler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", http.NoBody))
	return w.Code, w.Body.String()
}

func standing() (metrics.Standing, error) {
	return metrics.Standing{
		Leader: true, LeaderKnown: true, Term: 3, Applied: 41, Committed: 42, ReplicaAge: 2 * time.Second, Leaves: 100, Unwitnessed: 7, UnwitnessedFor: time.Minute,
		FileBytes: 4096, LiveBytes: 1024, DiskFree: 1 << 30, InboxBytes: 4000, InboxesFull: 2, InboxesWaiting: 3, Backlog: map[bus.NodeID]uint64{"tianhe": 12},
	}, nil
}

func open(t *testing.T, stand func() (metrics.Standing, error)) *metrics.Metrics {
	t.Helper()
	m, err := metrics.New("1.2.3", stand)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestWhatANodeDidAndHowItStands(t *testing.T) {
	m := open(t, standing)
	for _, r := range []audit.Record{
		{Kind: audit.KindAccepted, First: 1, Last: 100, Events: 100, Bytes: 1000},
		{Kind: audit.KindForwarded, First: 1, Last: 100, Events: 97},
		{Kind: audit.KindDeadLettered, First: 3, Last: 3, Events: 1},
		{Kind: audit.KindDecision, Decision: &bus.Decision{Action: "forward", Allow: true}, Grounds: &audit.Grounds{Took: int64(300 * time.Microsecond)}},
		{Kind: audit.KindDecision, Decision: &bus.Decision{Action: "query"}},
		{Kind: audit.KindRefused, Code: bus.CodeForbidden},
		{Kind: audit.KindRefused, Code: bus.CodeRateLimited, Events: 15},
		{Kind: audit.KindAnswered, Took: 4000},
		{Kind: audit.KindAnswered, Took: 2_000_000, Code: bus.CodeLate},
	} {
		m.Observe(r)
	}
	_, body := scrape(t, m)
	for _, line := range []string{
		`gxbus_events_total{step="accepted"} 100`, `gxbus_events_total{step="forwarded"} 97`, `gxbus_events_total{step="dead-lettered"} 1`,
		`gxbus_event_bytes_total{step="accepted"} 1000`, `gxbus_evidence_leaves_total{kind="decision"} 2`,
		`gxbus_policy_decisions_total{action="forward",outcome="allow"} 1`, `gxbus_policy_decisions_total{action="query",outcome="deny"} 1`,
		`gxbus_policy_decision_seconds_bucket{le="0.00025"} 0`, `gxbus_policy_decision_seconds_bucket{le="0.0005"} 1`,
		`gxbus_refusals_total{code="forbidden"} 1`, `gxbus_refusals_total{code="rate-limited"} 1`, `gxbus_events_total{step="refused"} 15`,
		`gxbus_query_seconds_bucket{fault="",outcome="answered",le="0.005"} 1`, `gxbus_query_seconds_sum{fault="provider",outcome="failed"} 2`,
		`gxbus_raft_leader 1`, `gxbus_raft_term 3`, `gxbus_directory_applied_index 41`, `gxbus_raft_committed_index 42`, `gxbus_directory_age_seconds 2`,
		`gxbus_evidence_leaves 100`, `gxbus_evidence_unwitnessed_leaves 7`, `gxbus_evidence_unwitnessed_seconds 60`,
		`gxbus_exchange_live_bytes 1024`, `gxbus_forward_backlog_events{node="tianhe"} 12`, `gxbus_inbox_bytes 4000`, `gxbus_inboxes_full 2`, `gxbus_forward_inbox_full 3`, `gxbus_build_info{version="1.2.3"} 1`, `go_goroutines `,
	} {
		if !strings.Contains(body, "\n"+line) {
			t.Errorf("no line %s", line)
		}
	}
	if t.Failed() {
		t.Log(body)
	}
}

// Whatever a record says of people, departments, resources and cases, and whatever
// another node makes up, no label has it.
func TestNoLabelNamesAnybody(t *testing.T) {
	m := open(t, standing)
	canary := func(what string) string { return "canary-" + what }
	for _, kind := range []audit.Kind{audit.KindAccepted, audit.KindForwarded, audit.KindDecision, audit.KindRefused, audit.KindAsked, audit.KindAnswered, audit.Kind(canary("kind"))} {
		m.Observe(audit.Record{
			Kind: kind, Node: "canary-node", Principal: bus.Principal{Account: canary("account"), System: "canary-system", Department: "11440000006939561H"},
			Request: canary("request"), Resource: "canary-resource", Subscription: "canary-subscription", Grant: "canary-grant", Provider: "114400000069401674", Consumer: "11440000006939561H",
			Purpose: "canary-purpose", Matter: canary("matter"), Case: "办件-canary-1", First: 1, Last: 2, Events: 2, Code: bus.Code(canary("code")), Detail: canary("detail"), Correlation: canary("correlation"),
			Decision: &bus.Decision{ID: canary("decision"), Action: canary("action"), Reasons: []bus.Reason{{Layer: "department/114400000069401674", Code: canary("reason")}}}, DecisionID: canary("decision"),
		})
	}
	_, body := scrape(t, m)
	for _, word := range []string{"canary", "办件", "1144", "department"} {
		if strings.Contains(body, word) {
			t.Errorf("%q is among the metrics:\n%s", word, body)
		}
	}
	for _, line := range []string{`gxbus_evidence_leaves_total{kind="other"} 1`, `gxbus_refusals_total{code="other"} 1`, `gxbus_policy_decisions_total{action="other",outcome="deny"} 1`} {
		if !strings.Contains(body, line) {
			t.Errorf("no line %s", line)
		}
	}
}

func TestANodeThatCannotSayHowItStandsIsSeen(t *testing.T) {
	if code, _ := scrape(t, open(t, func() (metrics.Standing, error) { return metrics.Standing{}, errors.New("no") })); code != http.StatusInternalServerError {
		t.Errorf("answered %d", code)
	}
}
