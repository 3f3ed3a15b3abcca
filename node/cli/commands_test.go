package cli_test

import (
	"encoding/json"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gxbus/gxbus/node/cli"
	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/client"
)

func TestPutGoesOnTopOfWhatIsThere(t *testing.T) {
	sh := newShell(t, map[string]http.HandlerFunc{
		"GET /departments/" + uscc:                 give(bus.Department{ID: uscc, Revision: 9}),
		"PUT /departments/" + uscc:                 echo,
		"PUT /departments/" + "11441400007208381Y": echo,
	})
	file := sh.file("d.yaml", "id: 11440000006939561H\nname: 示例局\ndivision: 440000\n---\n"+
		`{"id": "11441400007208381Y", "name": "示例二局", "division": "441400"}`+"\n")
	out, _ := sh.ok("department", "put", "-f", file)
	contains(t, "table", out, "示例局", "示例二局")
	var lines []string
	for _, r := range sh.seen {
		lines = append(lines, r.line+" "+r.header.Get("If-Match")+r.header.Get("If-None-Match"))
	}
	want := []string{"GET /departments/" + uscc + " ", "PUT /departments/" + uscc + ` "9"`,
		"GET /departments/11441400007208381Y ", "PUT /departments/11441400007208381Y *"}
	if strings.Join(lines, "\n") != strings.Join(want, "\n") {
		t.Errorf("asked %q, want %q", lines, want)
	}
	if !strings.Contains(sh.seen[1].body, `"division":"440000"`) {
		t.Errorf("sent %s", sh.seen[1].body)
	}
	sh.in = "{id: 11440000006939561H, name: n, division: '440000', revision: 4}"
	sh.ok("department", "put", "-f", "-")
	if len(sh.seen) != 1 || sh.seen[0].header.Get("If-Match") != `"4"` {
		t.Errorf("a stated revision was not kept: %v", sh.seen)
	}
}

func TestNothingIsSentWhileOneDocumentIsWrong(t *testing.T) {
	sh := newShell(t, nil)
	sh.in = "{id: 11440000006939561H, name: n, division: '440000'}\n---\n{id: 114400000069395610, name: ''}\n"
	code, _, errs := sh.run("department", "put", "-f", "-", "--lang", "en")
	if code != cli.ExitFailure || len(sh.seen) != 0 {
		t.Errorf("exit %d, asked %v", code, sh.seen)
	}
	contains(t, "errors", errs, "invalid-argument", "#2 id: the check digit is wrong", "#2 name: required", "#2 division: required")
}

func TestDryRunSendsNothing(t *testing.T) {
	sh := newShell(t, nil)
	sh.in = "{id: 11440000006939561H, name: n, division: '440000'}"
	rego := filepath.Dir(sh.file("a.rego", "package a\n"))
	for want, line := range map[string]string{
		"division: \"440000\"": "department put -f - --dry-run",
		"id: s1":               "system create s1 --name n --department " + uscc + " --dry-run",
		"not_after: \"2027-01-01T00:00:00+08:00\"": "grant create g --agreement x --resource r --consumer " + uscc + " --purpose reference --item name --until 2026-12-31 --dry-run",
		"system: s1":      "subscription create sub --resource r --system s1 --purpose reference --dry-run",
		"node: guangzhou": "token create --node guangzhou --division 440100 --dry-run",
		"package a":       "policy push " + rego + " --layer division/440100 --dry-run",
	} {
		out, _ := sh.ok(strings.Fields(line)...)
		contains(t, line, out, want)
		if len(sh.seen) != 0 {
			t.Errorf("gxbus %s asked %v", line, sh.seen)
		}
	}
}

func TestCreateNeverReplaces(t *testing.T) {
	sh := newShell(t, map[string]http.HandlerFunc{"PUT /grants/g": echo, "PUT /subscriptions/s": refuse(bus.CodeExists, 409)})
	sh.ok("grant", "create", "g", "--agreement", "x", "--resource", "r", "--consumer", uscc, "--purpose", "reference,verification", "--item", "name", "--until", "2026-12-31")
	var g bus.Grant
	if err := json.Unmarshal([]byte(sh.seen[0].body), &g); err != nil || len(sh.seen) != 1 || sh.seen[0].header.Get("If-None-Match") != "*" {
		t.Fatalf("asked %v, %v", sh.seen, err)
	}
	if !g.NotBefore.Equal(now) || !g.NotAfter.Equal(time.Date(2026, 12, 31, 16, 0, 0, 0, time.UTC)) || len(g.Purposes) != 2 {
		t.Errorf("sent %+v", g)
	}
	if code, _, errs := sh.run("subscription", "create", "s", "--resource", "r", "--system", "x", "--purpose", "reference"); code != 1 || !strings.Contains(errs, "already-exists") {
		t.Errorf("exit %d: %s", code, errs)
	}
}

func TestDeleteAndRevoke(t *testing.T) {
	sh := newShell(t, map[string]http.HandlerFunc{
		"GET /drafts/r":           give(bus.Draft{ID: "r", Revision: 5}),
		"DELETE /drafts/r":        func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(204) },
		"POST /grants/g/revoke":   give(bus.Grant{ID: "g", Revoked: "done"}),
		"DELETE /subscriptions/s": refuse(bus.CodeRevision, 412),
	})
	sh.ok("draft", "delete", "r")
	if last := sh.seen[len(sh.seen)-1]; last.header.Get("If-Match") != `"5"` {
		t.Errorf("deleted at %q", last.header.Get("If-Match"))
	}
	sh.ok("grant", "revoke", "g", "--reason", "done")
	if sh.seen[0].body != `{"reason":"done"}` {
		t.Errorf("sent %s", sh.seen[0].body)
	}
	if code, _, _ := sh.run("subscription", "delete", "s", "--revision", "2"); code != 1 || len(sh.seen) != 1 || sh.seen[0].header.Get("If-Match") != `"2"` {
		t.Errorf("exit %d, asked %v", code, sh.seen)
	}
}

func TestSecretsAreAloneOnTheStandardOutput(t *testing.T) {
	sh := newShell(t, map[string]http.HandlerFunc{
		"PUT /systems/s":             give(client.Credential{Bearer: "gxs_secret"}),
		"POST /systems/s/credential": give(client.Credential{Bearer: "gxs_secret"}),
		"POST /tokens":               give(client.JoinToken{Token: "gxs_secret"}),
	})
	for _, line := range []string{"system create s --name n --department " + uscc, "system rotate s", "token create --node n --division 440100"} {
		out, errs := sh.ok(strings.Fields(line)...)
		if out != "gxs_secret\n" || strings.Contains(errs, "gxs_") || !strings.Contains(errs, "only once") {
			t.Errorf("gxbus %s: out %q, err %q", line, out, errs)
		}
		out, _ = sh.ok(append(strings.Fields(line), "-o", "json")...)
		contains(t, line, out, `": "gxs_secret"`)
	}
}

func TestLoginIsKeptForItsNodeOnly(t *testing.T) {
	session := client.Session{Token: "gxa_session", Account: "auditor", Role: bus.RoleAuditor, Expires: now.Add(time.Hour)}
	sh := newShell(t, map[string]http.HandlerFunc{
		"POST /sessions": give(session), "GET /departments": items[bus.Department](),
		"DELETE /sessions": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(204) },
	})
	once, chosen := sh.file("once", "one time\n"), sh.file("chosen", "my own\r\n")
	_, errs := sh.ok("login", "auditor", "--password-file", once, "--new-password-file", chosen)
	if sh.seen[0].body != `{"account":"auditor","password":"one time","new_password":"my own"}` {
		t.Errorf("sent %s", sh.seen[0].body)
	}
	if strings.Contains(errs, "gxa_") || strings.Contains(errs, "own") {
		t.Errorf("a secret was told: %s", errs)
	}
	file := sh.env["GXBUS_CREDENTIALS"]
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("%v, %v", info, err)
	}

	server, ca := sh.env["GXBUS_SERVER"], sh.env["GXBUS_CA"]
	delete(sh.env, "GXBUS_SERVER")
	delete(sh.env, "GXBUS_CA")
	bearer := func() string { return sh.seen[0].header.Get("Authorization") }
	if sh.ok("department", "list"); bearer() != "Bearer gxa_session" {
		t.Errorf("after login: %q", bearer())
	}
	sh.env["GXBUS_TOKEN"] = "gxs_env"
	if sh.ok("department", "list"); bearer() != "Bearer gxs_env" {
		t.Errorf("with GXBUS_TOKEN: %q", bearer())
	}
	if sh.ok("department", "list", "--token", "gxs_flag"); bearer() != "Bearer gxs_flag" {
		t.Errorf("with --token: %q", bearer())
	}
	delete(sh.env, "GXBUS_TOKEN")
	sh.env["GXBUS_SERVER"], sh.env["GXBUS_CA"] = strings.Replace(server, "127.0.0.1", "localhost", 1), ca
	sh.run("department", "list") // another name, so another node as far as we know
	for _, r := range sh.seen {
		if r.header.Get("Authorization") != "" {
			t.Error("the session went to another node")
		}
	}

	sh.env["GXBUS_SERVER"] = server
	sh.ok("logout")
	if bearer() != "Bearer gxa_session" {
		t.Error("the session was not ended at the node")
	}
	if text, _ := os.ReadFile(file); strings.Contains(string(text), "gxa_") {
		t.Errorf("still there: %s", text)
	}
}

func TestSessionsPastTheirTimeAreNotSent(t *testing.T) {
	sh := newShell(t, map[string]http.HandlerFunc{
		"POST /sessions": give(client.Session{Token: "gxa_old", Expires: now}), "GET /departments": items[bus.Department](),
	})
	sh.env["GXBUS_PASSWORD"] = "p"
	sh.ok("login", "auditor")
	if sh.ok("department", "list"); sh.seen[0].header.Get("Authorization") != "" {
		t.Error("an expired session was sent")
	}
}

func TestAFirstLoginSaysWhatIsMissing(t *testing.T) {
	sh := newShell(t, map[string]http.HandlerFunc{"POST /sessions": refuse(bus.CodePasswordChange, 403)})
	sh.env["GXBUS_PASSWORD"] = "p"
	code, _, errs := sh.run("login", "auditor")
	if code != 1 || len(sh.seen) != 1 {
		t.Errorf("exit %d, asked %v", code, sh.seen)
	}
	contains(t, "errors", errs, "password-change-required", "--new-password-file")
	if _, err := os.Stat(sh.env["GXBUS_CREDENTIALS"]); !os.IsNotExist(err) {
		t.Error("a failed login was kept")
	}
}

func TestCredentialsOthersCanReadAreRefused(t *testing.T) {
	sh := newShell(t, map[string]http.HandlerFunc{"GET /departments": items[bus.Department]()})
	for content, mode := range map[string]fs.FileMode{`{"servers":{}}`: 0o640, `{"servers":`: 0o600, `{}`: 0o604} {
		file := sh.file("credentials.json", content)
		if err := os.Chmod(file, mode); err != nil {
			t.Fatal(err)
		}
		sh.env["GXBUS_CREDENTIALS"] = file
		if code, _, errs := sh.run("department", "list"); code != 1 || len(sh.seen) != 0 {
			t.Errorf("%s %v: exit %d, asked %v: %s", content, mode, code, sh.seen, errs)
		}
	}
}

func TestPolicyCheckAndPush(t *testing.T) {
	report := bus.LayerReport{Layer: "division/440100", OK: true, Tests: []bus.LayerTest{{Name: "test_narrow", Pass: true}}}
	bad := bus.LayerReport{Layer: "division/440100", Problems: []bus.LayerProblem{
		{File: "a.rego", Row: 3, Col: 2, Code: "rego_parse_error", Message: bus.Text{ZH: "语法错误", EN: "syntax error"}}}}
	sh := newShell(t, map[string]http.HandlerFunc{
		"POST /policies/check":          give(report),
		"GET /policies/division/440100": give(bus.Layer{ID: "division/440100", Revision: 6, Modules: map[string]string{"a.rego": "package\ta\x1b\n"}}),
		"PUT /policies/division/440100": echo,
	})
	dir := filepath.Dir(sh.file("a.rego", "package a\n"))
	for name, content := range map[string]string{"a_test.rego": "package a_test\n", "notes.txt": "no policy"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("/etc/hostname", filepath.Join(dir, "out.txt")); err != nil {
		t.Fatal(err)
	}
	out, _ := sh.ok("policy", "check", dir, "--layer", "division/440100")
	contains(t, "report", out, "pass", "test_narrow")
	var sent bus.Layer
	if err := json.Unmarshal([]byte(sh.seen[0].body), &sent); err != nil || len(sent.Modules) != 2 || sent.Modules["a.rego"] != "package a\n" {
		t.Errorf("sent %+v, %v", sent, err)
	}
	sh.ok("policy", "push", dir, "--layer", "division/440100")
	if last := sh.seen[len(sh.seen)-1]; last.header.Get("If-Match") != `"6"` {
		t.Errorf("pushed over %q", last.header.Get("If-Match"))
	}
	if out, _ = sh.ok("policy", "show", "division/440100"); out != "# a.rego\npackage    a\\x1b\n" {
		t.Errorf("show printed %q", out)
	}

	sh = newShell(t, map[string]http.HandlerFunc{"POST /policies/check": give(bad)})
	code, out, errs := sh.run("policy", "check", dir, "--layer", "division/440100", "--lang", "zh")
	if code != 1 {
		t.Errorf("a bad layer: exit %d", code)
	}
	contains(t, "report", out+errs, "a.rego:3:2", "语法错误", "policy-refused")
	sh.seen = nil
	for _, layer := range []string{"base", "division", "division/", "division/a/b", "province/440000"} {
		if code, _, _ := sh.run("policy", "push", dir, "--layer", layer); code != 1 || len(sh.seen) != 0 {
			t.Errorf("layer %q: exit %d, asked %v", layer, code, sh.seen)
		}
	}
	if err := os.Symlink("/etc/hostname", filepath.Join(dir, "out.rego")); err != nil {
		t.Fatal(err)
	}
	if code, _, _ := sh.run("policy", "push", dir, "--layer", "division/440100"); code != 1 || len(sh.seen) != 0 {
		t.Error("a link out of the directory was followed")
	}
}

func TestPolicyTestNeedsNoNode(t *testing.T) {
	sh := newShell(t, nil)
	out, _ := sh.ok("policy", "test", "base")
	contains(t, "base", out, "pass", "gxbus.base_test.")
	dir := filepath.Dir(sh.file("a.rego", "package a\n"))
	code, out, errs := sh.run("policy", "test", dir, "--layer", "division/440100")
	if code != 1 {
		t.Errorf("a layer of another package: exit %d", code)
	}
	contains(t, "report", out+errs, "a.rego:1:1", "wrong-package", "policy-refused")
	if len(sh.seen) != 0 {
		t.Errorf("asked a node: %v", sh.seen)
	}
}

func TestCompletionOffersIDs(t *testing.T) {
	sh := withDepartments(t, bus.Department{ID: uscc, Name: "示例局"})
	out, _ := sh.ok("__complete", "department", "show", "")
	contains(t, "completion", out, uscc+"\t示例局", ":4")
	sh.env["GXBUS_SERVER"] = "127.0.0.1:1"
	if out, _ := sh.ok("__complete", "department", "show", ""); !strings.HasPrefix(out, ":4") {
		t.Errorf("without a node: %q", out)
	}
}
