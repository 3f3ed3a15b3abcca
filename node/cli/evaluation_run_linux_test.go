package cli_test

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"os"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/gxbus/gxbus/node/cli"
	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/client"
)

// teletype opens a terminal, and what is shown on it.
func teletype(t *testing.T) (tty, shown *os.File) {
	t.Helper()
	shown, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Skip("no pseudo-terminals here:", err)
	}
	t.Cleanup(func() { shown.Close() })
	must(t, unix.IoctlSetPointerInt(int(shown.Fd()), unix.TIOCSPTLCK, 0))
	n, err := unix.IoctlGetInt(int(shown.Fd()), unix.TIOCGPTN)
	must(t, err)
	tty, err = os.OpenFile(fmt.Sprint("/dev/pts/", n), os.O_RDWR|unix.O_NOCTTY, 0)
	must(t, err)
	return tty, shown
}

// While a node makes a report its progress is asked for, and shown on a terminal as it
// comes: a bar where the steps are counted, a number where nobody knows how many there are.
// Where the error stream is none nothing is asked.
func TestARunShowsHowFarTheNodeHasCome(t *testing.T) {
	told := []client.EvaluationProgress{{Stage: client.StageCollect, Done: 30, Of: 120}, {Stage: client.StageCollect, Done: 60, Of: 120}, {Stage: client.StageCompute}, {Stage: client.StageName, Done: 4}}
	var asked atomic.Int64
	enough := make(chan struct{})
	sh := newShell(t, map[string]http.HandlerFunc{
		"POST /evaluation/reports": func(w http.ResponseWriter, r *http.Request) {
			select {
			case <-enough:
			case <-time.After(20 * time.Second):
				t.Error("nobody asked how far it has come")
			}
			refuse(bus.CodeUnavailable, http.StatusServiceUnavailable)(w, r)
		},
		"GET /evaluation/reports/q1/progress": func(w http.ResponseWriter, r *http.Request) {
			n := int(asked.Add(1))
			if n > len(told) {
				if n == len(told)+1 {
					close(enough)
				}
				refuse(bus.CodeNotFound, http.StatusNotFound)(w, r)
				return
			}
			give(told[n-1])(w, r)
		},
	})
	tty, master := teletype(t)
	var shown bytes.Buffer
	read := make(chan struct{})
	go func() {
		defer close(read)
		_, _ = io.Copy(&shown, master) // ends with an error when nobody has the terminal open
	}()
	code := cli.Run(t.Context(), cli.Process{
		In: strings.NewReader(""), Out: io.Discard, Err: tty, Now: func() time.Time { return now }, Env: func(name string) string { return sh.env[name] },
	}, cli.Build{}, []string{"evaluation", "run", "q1", "--from", "2026-01-01", "--to", "2026-03-31", "--lang", "en", "--server", sh.env["GXBUS_SERVER"], "--ca", sh.env["GXBUS_CA"]})
	if code == 0 {
		t.Error("the node refused, and the command did not")
	}
	must(t, tty.Close())
	<-read
	for _, want := range []string{`\r\[#{7} {23}\] 30/120 asking the nodes`, `\r\[#{15} {15}\] 60/120 asking the nodes for their rollups\r?\n`, `\r0 adding up the figures\r?\n`, `\r4 looking for`} {
		if !regexp.MustCompile(want).MatchString(shown.String()) {
			t.Errorf("%q is not shown:\n%q", want, shown.String())
		}
	}
	before := asked.Load()
	if _, _, errs := sh.run("evaluation", "run", "q1", "--from", "2026-01-01", "--to", "2026-03-31"); asked.Load() != before || strings.Contains(errs, "\r") {
		t.Errorf("asked %d times more, %q", asked.Load()-before, errs)
	}
}
