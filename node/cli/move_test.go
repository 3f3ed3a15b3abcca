package cli_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/client"
)

func TestDepartmentMoveWaitsForItsEnd(t *testing.T) {
	at := "/departments/" + uscc + "/move"
	under := client.DepartmentMove{
		Department: uscc, Home: "tianhe", State: "sealed", Arrival: "importing", Done: 2048,
		Total: client.MoveTally{Resources: 2, Events: 40, Bytes: 8192}, Move: &bus.Move{From: "tianhe", To: "guangzhou", Epoch: 7},
	}
	over := client.DepartmentMove{Department: uscc, Home: "guangzhou", Epoch: 7, State: "kept", Total: under.Total}
	left := 2
	next := func(w http.ResponseWriter, r *http.Request) {
		if left--; left > 0 {
			give(under)(w, r)
			return
		}
		give(over)(w, r)
	}
	sh := newShell(t, map[string]http.HandlerFunc{"GET " + at: next, "POST " + at: give(under), "DELETE " + at: give(over)})
	out, errs := sh.ok("department", "move", uscc, "--to", "guangzhou", "--lang", "en")
	contains(t, "a move", out, "guangzhou", "served")
	contains(t, "its beginning", errs, "tianhe → guangzhou")
	if len(sh.seen) != 3 || !strings.Contains(sh.seen[0].body, `"to":"guangzhou"`) || strings.Contains(sh.seen[0].body, "abandon") {
		t.Errorf("asked %v", sh.seen)
	}
	left = 2
	out, _ = sh.ok("department", "move", uscc, "--dry-run", "--lang", "zh")
	contains(t, "a dry run", out, "复制中", "40", "2048")
	if len(sh.seen) != 1 {
		t.Errorf("a dry run asked %v", sh.seen)
	}
	out, _ = sh.ok("department", "move", uscc, "--abort", "-o", "json")
	contains(t, "an abort", out, `"home": "guangzhou"`)
	if sh.seen[0].line != "DELETE "+at {
		t.Errorf("an abort asked %v", sh.seen)
	}
	over.Epoch, over.Home, left = 3, "tianhe", 1
	code, _, errs := sh.run("department", "move", uscc, "--to", "guangzhou", "--abandon", "--lang", "en")
	if code == 0 || !strings.Contains(errs, "was aborted") || !strings.Contains(sh.seen[0].body, `"abandon":true`) {
		t.Errorf("a move that others aborted: exit %d, %s", code, errs)
	}
	if code, _, errs := sh.run("department", "move", uscc, "--lang", "en"); code == 0 || !strings.Contains(errs, "--to") {
		t.Errorf("without a node: exit %d, %s", code, errs)
	}
}
