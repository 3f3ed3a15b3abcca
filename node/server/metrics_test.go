package server_test

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/gxbus/gxbus/pkg/bus"
)

// counted reads the metrics of the nodes that a query went through: they tell of it,
// and of nobody. S57: the API's port does not have them.
func counted(t *testing.T, s *story) {
	for _, id := range []bus.NodeID{"tianhe", "shenzhen"} {
		response, err := http.Get("http://" + s.Nodes[id].Server.MetricsAddress() + "/metrics")
		check(t, err)
		body, err := io.ReadAll(response.Body)
		check(t, err)
		_ = response.Body.Close()
		for _, line := range []string{
			`gxbus_query_seconds_count{fault="",outcome="answered"} `, `gxbus_policy_decisions_total{action="query",outcome="allow"} `,
			"gxbus_raft_leader_known 1", "gxbus_directory_applied_index ", "gxbus_evidence_leaves ", "gxbus_exchange_live_bytes ", "go_goroutines ",
		} {
			if !strings.Contains(string(body), "\n"+line) {
				t.Errorf("%s: no line %s in\n%s", id, line, body)
			}
		}
		for _, word := range []string{"1144", "办件", string(s.resource.ID), "grant-1", "440106001000", canary} {
			for line := range strings.Lines(string(body)) {
				if name := line[:max(strings.LastIndexByte(line, ' '), 0)]; strings.Contains(name, word) { // any digits may be in the figure
					t.Errorf("%s tells of %s: %s", id, word, line)
				}
			}
		}
	}
	public, err := webOf(t, s.First).Get("https://" + s.First.Config.APIListen + "/metrics")
	check(t, err)
	_ = public.Body.Close()
	if public.StatusCode != http.StatusNotFound {
		t.Errorf("the API's port answers %s", public.Status)
	}
}
