package cli_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/gxbus/gxbus/node/cli"
	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/client"
)

func TestOnlyWhatIsPublishedIsOpenData(t *testing.T) {
	open := bus.Resource{ID: "r", Name: "行政处罚信息（示例）", Provider: uscc, Open: "yes", Modes: []string{"file"}, Version: 1}
	draft := open
	draft.ID, draft.Version = "d", 0
	sh := newShell(t, map[string]http.HandlerFunc{
		"GET /departments": items[bus.Department](),
		"GET /resources":   give(client.ResourcePage{Items: []client.FoundResource{{Resource: open}}, Complete: true}),
		"GET /drafts":      items(bus.Draft{ID: "d", Resource: draft}),
	})
	out, _ := sh.ok("resource", "export", "--format", "dcat")
	contains(t, "dcat", out, `"dcat:Dataset"`, "/resources/r")

	for lang, want := range map[string]string{
		"en": "gxbus: usage: --format cannot be dcat: drafts are not published, so not open data (allowed with --drafts: xlsx, csv, jsonl)",
		"zh": "gxbus: usage：--format 不能为 dcat：编制稿尚未发布，不得作为开放数据（--drafts 允许：xlsx、csv、jsonl）",
	} {
		code, out, errs := sh.run("resource", "export", "--drafts", "--format", "dcat", "--lang", lang)
		if code != cli.ExitUsage || out != "" || !strings.Contains(errs, want) || len(sh.seen) > 0 {
			t.Errorf("exit %d, %d requests\n%s%s", code, len(sh.seen), out, errs)
		}
	}
	if out, _ := sh.ok("resource", "export", "--drafts"); !strings.Contains(out, `"id":"d"`) {
		t.Errorf("drafts as JSON Lines: %s", out)
	}
}
