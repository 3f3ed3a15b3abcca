package cli_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"github.com/gxbus/gxbus/node/cli"
	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/client"
)

func TestErrorsAreToldInFull(t *testing.T) {
	defects := []bus.Defect{
		{Field: "purpose", Problem: bus.Text{ZH: "不在授权内", EN: "not granted"}, Allowed: "verification"},
		{Field: "name", Problem: bus.Text{ZH: "必填", EN: "required\x1b[2J"}},
	}
	sh := newShell(t, map[string]http.HandlerFunc{
		"GET /resources/a": refuse(bus.CodeDenied, 403, defects...),
		"GET /resources/b": refuse(bus.CodeUnauthenticated, 401),
		"GET /resources/c": refuse("brand-new-code", 418),
	})
	golden := map[string]string{
		"resource show a --lang en": "gxbus: denied-by-policy: a sharing policy denies this\n" +
			"  - purpose: not granted (allowed: verification)\n  - name: required\\x1b[2J\n  decision: d-1\n",
		"resource show a --lang zh": "gxbus: denied-by-policy：共享策略不允许\n" +
			"  - purpose: 不在授权内（允许：verification）\n  - name: 必填\n  决策编号：d-1\n",
		"resource show b --lang en": "gxbus: unauthenticated: the credential is missing or not valid\n  decision: d-1\n" +
			"  hint: sign in: gxbus login ACCOUNT; a system sets GXBUS_TOKEN\n",
		"resource show c --lang en": "gxbus: brand-new-code: from the node\n  decision: d-1\n",
		"resource show --lang en":   "gxbus: usage: missing argument ID\n  hint: gxbus resource show --help\n",
		"resource shwo --lang en":   "gxbus: usage: no command shwo; did you mean show?\n  hint: gxbus resource --help\n",
		"resource shwo --lang zh":   "gxbus: usage：没有命令 shwo，是否指 show？\n  提示：gxbus resource --help\n",
	}
	for line, want := range golden {
		code, out, errs := sh.run(strings.Fields(line)...)
		if errs != want || out != "" || code == cli.ExitOK {
			t.Errorf("gxbus %s: exit %d, out %q\n%swant:\n%s", line, code, out, errs, want)
		}
	}

	_, out, errs := sh.run("resource", "show", "a", "-o", "json")
	var p client.Problem
	if err := json.Unmarshal([]byte(errs), &p); err != nil || p.Code != bus.CodeDenied || len(p.Defects) != 2 || p.Status != 403 || out != "" {
		t.Errorf("as JSON: %v\n%s", err, errs)
	}
}

func TestExitCodes(t *testing.T) {
	sh := newShell(t, map[string]http.HandlerFunc{"GET /departments": items[bus.Department]()})
	tests := map[string]int{
		"": 0, "--help": 0, "help draft put": 0, "version": 0, "department list": 0, "department": 0,
		"department show x":                   1, // not found
		"department put -f /nonexistent/file": 1,
		"nonsense":                            2,
		"department nonsense":                 2,
		"department list extra":               2,
		"department list --nonsense":          2,
		"department list -o xml":              2,
		"department list --lang fr":           2,
		"department list --timeout 0s":        2,
		"department list --timeout x":         2,
		"department put":                      2,
		"grant revoke g":                      2,
		"grant create":                        2,
		"grant create g --agreement x --resource r --consumer c --purpose reference --item i --until someday": 2,
		"grant create -f x --resource r":                      2,
		"token create --node n":                               2,
		"token create --node n --division 440000 --hours 200": 2,
		"policy push .":                                       2,
		"publish r":                                           2,
		"publish r -f x --type t":                             2,
		"publish r --type t":                                  2,
		"pull s --follow":                                     2,
		"pull s --limit 1001":                                 2,
		"completion tcsh":                                     2,
		"help nonsense":                                       2,
		"login sysadmin":                                      2, // no password, no terminal
	}
	for line, want := range tests {
		if code, _, errs := sh.run(strings.Fields(line)...); code != want {
			t.Errorf("gxbus %s: exit %d, want %d\n%s", line, code, want, errs)
		} else if want == cli.ExitUsage && len(sh.seen) > 0 {
			t.Errorf("gxbus %s spoke to the node", line)
		}
	}
}

func TestTroubleOnTheWayHasANameAndAHint(t *testing.T) {
	sh := newShell(t, nil)
	node, ca := sh.env["GXBUS_SERVER"], sh.env["GXBUS_CA"]
	tests := []struct{ name, server, ca, want string }{
		{"no node", "", ca, "no node was named (allowed: --server, GXBUS_SERVER, gxbus login)"},
		{"bad address", "http://node:1", ca, "not the address of a node"},
		{"nobody there", "127.0.0.1:1", ca, "node-unreachable: the node cannot be reached"},
		{"another authority", node, "", "hint: name the cluster's CA with --ca"},
		{"no such CA file", node, "/nonexistent", "the CA file cannot be read"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			sh.env["GXBUS_SERVER"], sh.env["GXBUS_CA"] = tt.server, tt.ca
			code, _, errs := sh.run("status")
			if code != cli.ExitFailure {
				t.Errorf("exit %d", code)
			}
			contains(t, "error", errs, tt.want)
		})
	}
}
