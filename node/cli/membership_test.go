package cli_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/client"
)

func TestStepsOfANode(t *testing.T) {
	done := give(client.NodeChanged{Outlook: bus.Outlook{Node: "foshan", Voters: 3, Needed: 2, Ready: 3}, Done: true})
	sh := newShell(t, map[string]http.HandlerFunc{
		"POST /nodes/foshan/promote": done, "POST /nodes/foshan/demote": done, "POST /nodes/foshan/drain": done,
		"POST /nodes/foshan/resume": done, "POST /nodes/foshan/remove": done,
		"POST /nodes/foshan/divisions": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) },
	})
	for line, want := range map[string]string{
		"node promote foshan":               "POST /nodes/foshan/promote {}",
		"node promote foshan --force":       `POST /nodes/foshan/promote {"force":true}`,
		"node demote foshan --dry-run":      `POST /nodes/foshan/demote {"dry_run":true}`,
		"node drain foshan":                 "POST /nodes/foshan/drain {}",
		"node drain foshan --end":           "POST /nodes/foshan/resume {}",
		"node drain foshan --end --dry-run": `POST /nodes/foshan/resume {"dry_run":true}`,
		"node remove foshan":                "POST /nodes/foshan/remove {}",
		"node assign foshan 440601":         `POST /nodes/foshan/divisions {"division":"440601"}`,
	} {
		sh.ok(strings.Fields(line)...)
		if got := sh.seen[0].line + " " + sh.seen[0].body; got != want || len(sh.seen) != 1 {
			t.Errorf("gxbus %s asked %v, want %s", line, sh.seen, want)
		}
	}
	if code, _, _ := sh.run("node", "remove", "foshan", "--force"); code != 2 || len(sh.seen) != 0 {
		t.Errorf("a removal is forced: exit %d, asked %v", code, sh.seen)
	}
}

func TestADryRunOfAStepShowsTheQuorumThatWouldBe(t *testing.T) {
	sh := newShell(t, map[string]http.HandlerFunc{"POST /nodes/foshan/demote": give(client.NodeChanged{Outlook: bus.Outlook{
		Node: "foshan", Step: bus.StepDemote, Voters: 2, Needed: 2, Ready: 1, Missing: []bus.NodeID{"shenzhen"},
		Warnings: []bus.Text{{ZH: "偶数", EN: "an even number"}}, Problems: []bus.Defect{{Field: "quorum", Problem: bus.Text{ZH: "不足", EN: "too few"}}},
	}})})
	out, errs := sh.ok("node", "demote", "foshan", "--dry-run", "--lang", "en")
	contains(t, "table", out, "shenzhen", "voters", "needed")
	contains(t, "notices", errs, "an even number", "it would be refused: quorum: too few")
	out, _ = sh.ok("node", "demote", "foshan", "--dry-run", "-o", "json")
	contains(t, "json", out, `"missing": [`, `"problems": [`)
}

func TestTheListOfNodesTellsWhatIsOutOfTheOrdinary(t *testing.T) {
	sh := newShell(t, map[string]http.HandlerFunc{"GET /status": give(client.Status{Leader: "guangdong", Members: []client.Member{
		{ID: "guangdong", Suffrage: "voter", Voter: true, CA: true, LastHeard: now},
		{ID: "foshan", Suffrage: "non-voter", Voter: true, Silent: true, LastHeard: now, Serves: []bus.DivisionCode{"440600", "440604"}},
		{ID: "zhuhai", Suffrage: "voter", Voter: true, Draining: true},
	}})})
	out, _ := sh.ok("node", "list", "--lang", "en", "-o", "csv")
	contains(t, "list", out, "CA", `"silent, will vote"`, `"draining, gives up its vote"`, "2026-03-02 09:00:00", `"440600, 440604"`)
	out, _ = sh.ok("node", "show", "foshan", "--lang", "en")
	contains(t, "foshan", out, "peer_address", "silent")
	if code, _, errs := sh.run("node", "show", "nowhere"); code != 1 || !strings.Contains(errs, "not-found") {
		t.Errorf("exit %d: %s", code, errs)
	}
}

func TestTheRootIsShownReplacedAndRetired(t *testing.T) {
	authority := give(client.Authority{
		Roots: []client.Root{
			{Fingerprint: strings.Repeat("a", 64), Holder: "guangdong", Certificate: "-----OLD-----\n"},
			{Fingerprint: strings.Repeat("b", 64), Holder: "guangzhou", Signs: true, Crossed: true, Certificate: "-----NEW-----\n"},
		},
		Nodes: []client.Certified{{Node: "foshan", Root: strings.Repeat("a", 64), Expires: now}},
	})
	sh := newShell(t, map[string]http.HandlerFunc{"GET /ca": authority, "POST /ca/rotate": authority, "POST /ca/retire": authority})
	out, _ := sh.ok("ca", "status", "--lang", "en")
	contains(t, "status", out, "being replaced", "signs, also signed by the old root", "foshan", "aaaaaaaaaaaaaaaa ")
	if out, _ := sh.ok("ca", "bundle"); out != "-----OLD-----\n-----NEW-----\n" {
		t.Errorf("the bundle is %q", out)
	}
	for line, want := range map[string]string{
		"ca rotate": "{}", "ca rotate --to guangzhou": `{"to":"guangzhou"}`, "ca retire": "{}", "ca retire --force": `{"force":true}`,
	} {
		if sh.ok(strings.Fields(line)...); sh.seen[0].body != want {
			t.Errorf("gxbus %s sent %s, want %s", line, sh.seen[0].body, want)
		}
	}
}
