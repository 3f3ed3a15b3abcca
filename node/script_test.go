package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gxbus/gxbus/node/nodetest"
	"github.com/gxbus/gxbus/node/server"
	"github.com/gxbus/gxbus/pkg/decision"
	"github.com/rogpeppe/go-internal/testscript"
)

// The scripts run the program as people do: every gxbus in them is a process.
func TestMain(m *testing.M) {
	testscript.Main(tidy{m}, map[string]func(){"gxbus": main})
}

// tidy removes the program that tests have built.
type tidy struct{ *testing.M }

func (m tidy) Run() int {
	code := m.M.Run()
	_ = os.RemoveAll(filepath.Join(os.TempDir(), fmt.Sprint("gxbus-test-", os.Getpid())))
	return code
}

func TestScripts(t *testing.T) {
	sink := httptest.NewServer(http.HandlerFunc(endpoint))
	t.Cleanup(sink.Close)
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: false,
		Setup: func(env *testscript.Env) error {
			env.Setenv("HOME", env.WorkDir)
			env.Setenv("LC_ALL", "C")
			env.Setenv("GORACE", "atexit_sleep_ms=0") // else each program waits a second for races of others at its end
			env.Setenv("API", nodetest.FreeAddress(t))
			env.Setenv("PEER", nodetest.FreeAddress(t))
			env.Setenv("ENDPOINT", sink.URL)
			env.Setenv("DATA", env.WorkDir+"/node")
			env.Setenv("GXBUS_CREDENTIALS", env.WorkDir+"/credentials.json")
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits":    exits,
			"ready":    ready,
			"decision": decisionID,
			"onetime":  oneTime,
			"readenv":  readEnv,
			"eventual": eventual,
			"follow":   follow,
			"fill":     fill,
		},
	})
}

// endpoint is where events are taken to: /take takes them, /refuse does not, and
// /forbid does not want to be asked. Below /firms it is a provider's service.
func endpoint(w http.ResponseWriter, r *http.Request) {
	switch {
	case strings.HasPrefix(r.URL.Path, "/firms"):
		firms(w, r)
	case r.Method == http.MethodOptions && r.URL.Path != "/forbid":
		w.Header().Set("WebHook-Allowed-Origin", "*")
	case r.URL.Path == "/refuse":
		w.WriteHeader(http.StatusServiceUnavailable)
	}
}

// firms answers with a row for each of two firms, or for the one that is asked for.
func firms(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	name := strings.TrimPrefix(r.URL.Path, "/firms/")
	switch {
	case r.Header.Get("X-Key") != "canary-of-the-service":
		w.WriteHeader(http.StatusUnauthorized)
	case name == "all":
		fmt.Fprint(w, `[{"name":"样例企业一","phone":"19900000001"},{"name":"样例企业二","phone":"19900000002"}]`)
	case name == "absent":
		w.WriteHeader(http.StatusNotFound)
		fmt.Fprint(w, `{"title":"no such firm","phone":"19900000009"}`)
	default:
		fmt.Fprintf(w, `[{"name":%q,"phone":"19900000001","internal_remark":%q}]`, name, r.URL.RawQuery)
	}
}

// fill FILE replaces each $NAME in a file by the variable's value.
func fill(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: fill FILE")
	}
	filled := os.Expand(ts.ReadFile(args[0]), ts.Getenv)
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(filled), 0o600))
}

// exits CODE PROGRAM ARG... runs a program and wants that exit code.
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE PROGRAM ARG...")
	}
	code := 0
	if err := ts.Exec(args[1], args[2:]...); err != nil {
		failed, ok := errors.AsType[*exec.ExitError](err)
		if !ok {
			ts.Fatalf("%v", err)
		}
		code = failed.ExitCode()
	}
	if fmt.Sprint(code) != args[0] {
		ts.Fatalf("exit code %d, want %s", code, args[0])
	}
}

// follow TEXT PROGRAM ARG... runs a program that goes on until a line of its output
// holds TEXT, white space aside, then interrupts it and wants it to end well.
func follow(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: follow TEXT PROGRAM ARG...")
	}
	ctx, cancel := context.WithTimeout(context.Background(), 40*time.Second)
	defer cancel()
	path, err := exec.LookPath(args[1])
	ts.Check(err)
	cmd := exec.CommandContext(ctx, path, args[2:]...)
	for _, name := range []string{"HOME", "LC_ALL", "PATH", "GXBUS_SERVER", "GXBUS_CA", "GXBUS_TOKEN", "GXBUS_CREDENTIALS"} {
		cmd.Env = append(cmd.Env, name+"="+ts.Getenv(name))
	}
	out, err := cmd.StdoutPipe()
	ts.Check(err)
	var errs bytes.Buffer
	cmd.Stderr = &errs
	ts.Check(cmd.Start())
	found := false
	for lines := bufio.NewScanner(out); !found && lines.Scan(); {
		found = strings.Contains(strings.Join(strings.Fields(lines.Text()), " "), args[0])
	}
	ts.Check(cmd.Process.Signal(os.Interrupt))
	_, _ = io.Copy(io.Discard, out)
	if err := cmd.Wait(); err != nil || !found {
		ts.Fatalf("found %v, ended with %v: %s", found, err, errs.String())
	}
}

// eventual PATTERN PROGRAM ARG... runs a program until its output holds PATTERN.
func eventual(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: eventual TEXT PROGRAM ARG...")
	}
	wait(ts, "the output holds "+args[0], func() error {
		if err := ts.Exec(args[1], args[2:]...); err != nil {
			return err
		}
		if out := ts.ReadFile("stdout"); !strings.Contains(out, args[0]) {
			return fmt.Errorf("it is %q", out)
		}
		return nil
	})
}

// ready ADDRESS CA waits until a node is ready.
func ready(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: ready ADDRESS CA")
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM([]byte(ts.ReadFile(args[1]))) {
		ts.Fatalf("%s holds no certificate", args[1])
	}
	web := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}}}
	defer web.CloseIdleConnections()
	wait(ts, args[0]+" is ready", func() error {
		response, err := web.Get("https://" + args[0] + "/readyz")
		if err != nil {
			return err
		}
		defer response.Body.Close()
		if response.StatusCode != http.StatusOK {
			return errors.New(response.Status)
		}
		return nil
	})
}

func wait(ts *testscript.TestScript, what string, check func() error) {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		err := check()
		if err == nil {
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			ts.Fatalf("waited until %s: %v", what, err)
		}
	}
}

// decision FILE OUT writes the id of the first of the decisions that FILE lists in
// JSON.
func decisionID(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: decision FILE OUT")
	}
	var all []decision.Event
	ts.Check(json.Unmarshal([]byte(ts.ReadFile(args[0])), &all))
	if len(all) == 0 {
		ts.Fatalf("%s lists no decision", args[0])
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[1]), []byte(all[0].DecisionID), 0o600))
}

// onetime FILE ACCOUNT OUT writes an account's one-time password out of the
// JSON that init printed.
func oneTime(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: onetime FILE ACCOUNT OUT")
	}
	var passwords []server.OneTime
	var restored server.Restored
	answer := []byte(ts.ReadFile(args[0]))
	if json.Unmarshal(answer, &restored) == nil {
		passwords = restored.Passwords
	} else {
		ts.Check(json.Unmarshal(answer, &passwords))
	}
	for _, p := range passwords {
		if p.Account == args[1] {
			ts.Check(os.WriteFile(ts.MkAbs(args[2]), []byte(p.Password+"\n"), 0o600))
			return
		}
	}
	ts.Fatalf("no password of %s", args[1])
}

// readenv NAME FILE sets a variable to the content of a file.
func readEnv(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: readenv NAME FILE")
	}
	ts.Setenv(args[0], strings.TrimSpace(ts.ReadFile(args[1])))
}
