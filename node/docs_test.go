package main_test

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/gxbus/gxbus/node/nodetest"
)

// What the documents show of a first exchange is run as it stands there.
func TestTheFirstExchangeIsAsTheDocsShow(t *testing.T) {
	for page, section := range map[string]string{"operations.md": "A first exchange", "afternoon.zh-CN.md": ""} {
		t.Run(page, func(t *testing.T) {
			text, err := os.ReadFile("../docs/" + page)
			must(t, err)
			said := follow(t, shown(t, string(text), section))
			for _, want := range []string{"样**", "199****0001", "registration-1"} {
				if !strings.Contains(said, want) {
					t.Errorf("nothing says %s:\n%s", want, said)
				}
			}
		})
	}
}

// follow runs commands beside a new node, and returns what they said.
func follow(t *testing.T, commands string) string {
	t.Helper()
	dir, program := t.TempDir(), buildProgram(t)
	for _, folder := range []string{"deploy", "policies"} {
		path, err := filepath.Abs(filepath.Join("..", folder))
		must(t, err)
		must(t, os.Symlink(path, filepath.Join(dir, folder)))
	}
	must(t, os.WriteFile(filepath.Join(dir, "gxbus"), []byte(typist), 0o700))
	api, peer := nodetest.FreeAddress(t), nodetest.FreeAddress(t)
	run := func(name string, args ...string) *exec.Cmd {
		cmd := exec.Command(name, args...)
		cmd.Dir, cmd.WaitDelay = dir, time.Minute
		cmd.Env = []string{"PATH=" + dir + ":" + os.Getenv("PATH"), "HOME=" + dir, "LC_ALL=C", "PROGRAM=" + program, "GXBUS_SERVER=" + api, "GXBUS_CA=data/ca.crt"}
		return cmd
	}
	out, err := run(program, "init", "--data-dir", "data", "--node", "guangdong", "--division", "440000", "--api-address", api, "--peer-address", peer, "-o", "json").Output()
	must(t, err)
	var administrators []struct{ Account, Password string }
	must(t, json.Unmarshal(out, &administrators))
	for _, a := range administrators {
		must(t, os.WriteFile(filepath.Join(dir, "once-"+a.Account), []byte(a.Password), 0o600))
	}
	serve := run(program, "serve", "--data-dir", "data", "--api-listen", api, "--peer-listen", peer)
	must(t, serve.Start())
	t.Cleanup(func() {
		must(t, serve.Process.Signal(syscall.SIGTERM))
		must(t, serve.Wait())
	})
	nodetest.Eventually(t, "the node serves", func() error { return run(filepath.Join(dir, "gxbus"), "login", "sysadmin").Run() })
	told, err := run("sh", "-eux", "-c", strings.ReplaceAll(commands, "127.0.0.1:8440", api)).CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, told)
	}
	return string(told)
}

// typist is a gxbus that types passwords as people would: at the first sign-in the one
// that was shown once, and then the one chosen.
const typist = `#!/bin/sh
set -eu
export GXBUS_PASSWORD=quiet-river-72-stones
case $1 in
login)
	if [ -e once-$2 ]; then
		export GXBUS_NEW_PASSWORD=$GXBUS_PASSWORD
		GXBUS_PASSWORD=$(cat once-$2)
	fi
	"$PROGRAM" "$@"
	rm -f once-$2
	;;
account)
	"$PROGRAM" "$@" -o json | tee made
	sed -n 's/.*"password": "\(.*\)".*/\1/p' made >once-$3
	;;
*) exec "$PROGRAM" "$@" ;;
esac
`

var shell = regexp.MustCompile("(?ms)^```sh\n(.*?)^```$")

// shown gives the commands that a section of a document shows, or all of it.
func shown(t *testing.T, text, section string) string {
	t.Helper()
	if section != "" {
		_, rest, found := strings.Cut(text, fmt.Sprintf("\n## %s\n", section))
		if !found {
			t.Fatalf("there is no section %s", section)
		}
		text, _, _ = strings.Cut(rest, "\n## ")
	}
	var commands strings.Builder
	for _, block := range shell.FindAllStringSubmatch(text, -1) {
		commands.WriteString(block[1])
	}
	return commands.String()
}
