package main_test

import (
	"bytes"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/gxbus/gxbus/node/nodetest"
)

// The demo tells its whole story, and leaves nodes that a program of docs/examples can
// speak to with what it was given.
func TestTheDemoTellsItsStory(t *testing.T) {
	dir, program := t.TempDir(), buildProgram(t)
	agency := filepath.Join(t.TempDir(), "agency")
	build(t, agency, "../docs/examples/go")
	var said output
	told := exec.Command(program, "demo", "--dir", dir, "--lang", "en")
	told.Stdout, told.Stderr = &said, &said
	must(t, told.Start())
	ended := make(chan error, 1)
	go func() { ended <- told.Wait() }()
	story := func() string {
		said.mu.Lock()
		defer said.mu.Unlock()
		return said.text.String()
	}
	nodetest.Eventually(t, "the story is told", func() error {
		select {
		case err := <-ended:
			t.Fatalf("%v\n%s", err, story())
		default:
		}
		if !strings.Contains(story(), "Ctrl-C ends it all") {
			return fmt.Errorf("so far:\n%s", story())
		}
		return nil
	})
	if strings.Contains(story(), "✗") || strings.Count(story(), "✓") != 14 {
		t.Errorf("%s", story())
	}
	try := func(who, step string) []byte {
		t.Helper()
		out, err := exec.Command("sh", "-c", ". "+filepath.Join(dir, who)+" && "+agency+" "+step).CombinedOutput()
		if err != nil {
			t.Errorf("%s: %v\n%s", step, err, out)
		}
		return out
	}
	try("provider.env", "publish")
	if out := try("consumer.env", "query"); !bytes.Contains(out, []byte("199****0007")) || bytes.Contains(out, []byte("registered_address")) {
		t.Errorf("the answer, which Guangzhou narrows: %s", out)
	}
	must(t, told.Process.Signal(syscall.SIGINT))
	if err := <-ended; err != nil {
		t.Errorf("%v\n%s", err, story())
	}
}
