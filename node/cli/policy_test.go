package cli_test

import (
	"encoding/json"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/client"
)

const layer440100 = "/policies/division/440100"

func TestPolicyStatusShowsWhoLagsAndWhoCannotCompile(t *testing.T) {
	current := client.LayerState{ID: "division/440100", Revision: 9, InForce: 9, Standing: client.LayerCurrent, Digest: strings.Repeat("ab", 32)}
	behind, broken := current, current
	behind.Revision, behind.Standing = 7, client.LayerBehind
	broken.Standing, broken.Problem = client.LayerBroken, "rego_parse_error"
	sh := newShell(t, map[string]http.HandlerFunc{"GET /status": give(client.Status{Members: []client.Member{
		{ID: "guangdong", Reachable: true, Layers: []client.LayerState{current}},
		{ID: "guangzhou", Reachable: true, Layers: []client.LayerState{behind}},
		{ID: "shenzhen", Reachable: true, Layers: []client.LayerState{broken}},
		{ID: "tianhe"},
	}})})
	out, errs := sh.ok("policy", "status")
	contains(t, "status", out, "guangzhou", "behind", "shenzhen", "broken", "rego_parse_error")
	contains(t, "summary", errs, "4 nodes, of which 1 did not answer; 2 layers are not as in force", "did not answer: tianhe")
	if strings.Contains(out, "guangdong") {
		t.Errorf("lists what is as it should be:\n%s", out)
	}
	out, _ = sh.ok("policy", "status", "--all", "--lang", "zh")
	contains(t, "all", out, "guangdong", "一致", "落后", "无法编译，拒绝", "生效的修订")
	out, _ = sh.ok("status", "--lang", "zh")
	contains(t, "members", out, "division/440100@7 落后", "division/440100@9 无法编译，拒绝")
}

func TestPolicyHistoryAlignsInChinese(t *testing.T) {
	at := time.Date(2026, 3, 4, 4, 0, 0, 0, time.UTC)
	act := func(account, note string) bus.LayerAct {
		return bus.LayerAct{By: bus.Principal{Account: account, Role: bus.RoleSecurityAdministrator}, At: at, Note: note}
	}
	sh := newShell(t, map[string]http.HandlerFunc{"GET " + layer440100 + "/revisions": items(
		bus.LayerRevision{Revision: 42, Draft: bus.LayerDraft{ID: "division/440100", Pushed: act("甲", "首版")}, Activated: act("乙", "")},
		bus.LayerRevision{Revision: 57, Draft: bus.LayerDraft{ID: "division/440100", Rollback: 42, Pushed: act("secadmin", "back\x1b")}, Activated: act("乙", "好")},
		bus.LayerRevision{Revision: 60, Draft: bus.LayerDraft{ID: "division/440100", Remove: true, Pushed: act("secadmin", "x")}, Activated: act("乙", "")},
	)})
	out, _ := sh.ok("policy", "history", "division/440100", "--lang", "zh")
	contains(t, "history", out, "修订号", "提交人", "启用人", "复核意见", "恢复 42", "撤销", "2026-03-04 12:00:00", `back\x1b`)
	lines := strings.Split(out, "\n")
	want := cells(lines[0], "启用人")
	for _, line := range lines[1:4] {
		if got := cells(line, "account:乙"); got != want {
			t.Errorf("the column begins at cell %d, its head at %d:\n%s", got, want, out)
		}
	}
}

// cells is where a word begins, in terminal cells: a Chinese character takes two.
func cells(line, word string) int {
	before, _, _ := strings.Cut(line, word)
	n := 0
	for _, r := range before {
		if n++; r > 0x2000 {
			n++
		}
	}
	return n
}

func TestPolicyActivateNamesTheDraftThatWasLookedAt(t *testing.T) {
	sh := newShell(t, map[string]http.HandlerFunc{
		"POST " + layer440100 + "/draft/activate": give(bus.LayerRevision{Revision: 58, Draft: bus.LayerDraft{ID: "division/440100"}}),
		"GET " + layer440100:                      refuse(bus.CodeNotFound, 404),
		"GET " + layer440100 + "/draft":           give(bus.LayerDraft{ID: "division/440100", Revision: 57, Modules: map[string]string{"a.rego": "package a\x1b\n"}}),
		"GET " + layer440100 + "/revisions/42":    give(bus.LayerRevision{Revision: 42, Draft: bus.LayerDraft{Modules: map[string]string{"a.rego": "package b\n"}}}),
	})
	out, _ := sh.ok("policy", "activate", "division/440100", "57", "--note", "好")
	contains(t, "activated", out, "58")
	if r := sh.seen[0]; r.header.Get("If-Match") != `"57"` || !strings.Contains(r.body, "好") {
		t.Errorf("sent %q: %s", r.header.Get("If-Match"), r.body)
	}
	out, _ = sh.ok("policy", "activate", "division/440100", "57", "--dry-run")
	contains(t, "dry run", out, `+package a\x1b`)
	out, _ = sh.ok("policy", "diff", "division/440100", "42", "draft", "-o", "json")
	var found []struct{ File, Diff string }
	if err := json.Unmarshal([]byte(out), &found); err != nil || len(found) != 1 || found[0].File != "a.rego" || !strings.Contains(found[0].Diff, "-package b\n") {
		t.Errorf("diff %s: %v", out, err)
	}
	for _, line := range []string{
		"policy activate division/440100", "policy activate division/440100 x", "policy activate division/440100 0",
		"policy diff division/440100 x", "policy rollback division/440100 1", "policy show division/440100 --draft --revision 3",
	} {
		if code, _, errs := sh.run(strings.Fields(line)...); code != 2 {
			t.Errorf("gxbus %s: exit %d: %s", line, code, errs)
		}
	}
}

func TestPolicyPushSaysAllThatTheNodeRefuses(t *testing.T) {
	sh := newShell(t, map[string]http.HandlerFunc{
		"GET " + layer440100 + "/draft": refuse(bus.CodeNotFound, 404),
		"PUT " + layer440100 + "/draft": refuse(bus.CodePolicyRefused, 400,
			bus.Defect{Field: "a.rego:3:1", Problem: bus.Text{ZH: "语法错误", EN: "syntax error"}}, bus.Defect{Field: "b.rego:7:2", Problem: bus.Text{ZH: "包名不正确", EN: "wrong package"}}),
	})
	dir := filepath.Dir(sh.file("a.rego", "package a\n"))
	code, _, errs := sh.run("policy", "push", dir, "--layer", "division/440100", "--note", "n", "--lang", "zh")
	if code != 1 {
		t.Errorf("exit %d", code)
	}
	contains(t, "defects", errs, "a.rego:3:1: 语法错误", "b.rego:7:2: 包名不正确")
}
