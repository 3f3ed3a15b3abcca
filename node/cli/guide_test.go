package cli_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gxbus/gxbus/node/cli"
	"github.com/gxbus/gxbus/pkg/raced"
)

// shown are the commands of a guide's console blocks, each with what it prints.
func shown(t *testing.T, path string) (commands []string, prints [][]string) {
	t.Helper()
	guide, err := os.ReadFile(path)
	must(t, err)
	inside := false
	for line := range strings.Lines(string(guide)) {
		line = strings.TrimRight(line, "\n")
		switch command, ok := strings.CutPrefix(line, "$ "); {
		case strings.HasPrefix(line, "```"):
			inside = line == "```console"
		case !inside:
		case ok:
			commands, prints = append(commands, command), append(prints, nil)
		default:
			prints[len(prints)-1] = append(prints[len(prints)-1], line)
		}
	}
	return commands, prints
}

// The guide to the evaluation shows what its commands print, but for what it says that
// it leaves out.
func TestTheEvaluationGuideShowsWhatItsCommandsPrint(t *testing.T) {
	raced.Later(t)
	guide, err := filepath.Abs("../../docs/evaluation.md")
	must(t, err)
	commands, prints := shown(t, guide)
	if len(commands) < 10 {
		t.Fatalf("the guide shows %d commands", len(commands))
	}
	t.Chdir(t.TempDir())
	sh := newShell(t, nil) // the node is not asked
	sh.env["GXBUS_LANG"] = "en"
	for i, command := range commands {
		var out string
		if args := strings.Fields(command); args[0] == "gxbus" {
			code, printed, errs := sh.run(args[1:]...)
			if out = printed; code != cli.ExitOK && !strings.Contains(errs, "evidence-not-verified") {
				t.Fatalf("%s: exit %d\n%s", command, code, errs)
			}
		} else {
			printed, err := exec.Command("sh", "-c", command).CombinedOutput()
			if out = string(printed); err != nil {
				t.Fatalf("%s: %v\n%s", command, err, out)
			}
		}
		if got, ok := follows(out, prints[i]); !ok {
			t.Errorf("%s prints\n%s\nthe guide shows\n%s\nfrom where it differs: %s", command, out, strings.Join(prints[i], "\n"), got)
		}
	}
	if len(sh.seen) > 0 {
		t.Errorf("the node was asked: %v", sh.seen)
	}
}

// follows reports whether a text is made of lines; "…" stands for any number of them.
func follows(text string, lines []string) (rest string, ok bool) {
	have := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	if text == "" {
		have = nil
	}
	for i := 0; i < len(lines); i++ {
		if lines[i] != "…" {
			if len(have) == 0 || strings.TrimRight(have[0], " ") != lines[i] {
				return lines[i], false
			}
			have = have[1:]
			continue
		}
		if i == len(lines)-1 {
			return "", true
		}
		for len(have) > 0 && strings.TrimRight(have[0], " ") != lines[i+1] {
			have = have[1:]
		}
	}
	return strings.Join(have, "\n"), len(have) == 0
}

func TestWhatNeedsNoNodeSaysWhatItNeeds(t *testing.T) {
	sh := newShell(t, nil)
	folder := t.TempDir()
	explain := []string{"evaluation", "explain", "--evidence", folder, "--indicator", "B2"}
	for name, args := range map[string][]string{
		"no department":         explain,
		"no days":               append(explain[:len(explain):len(explain)], "--department", uscc),
		"no last day":           append(explain[:len(explain):len(explain)], "--department", uscc, "--from", "2026-01-01"),
		"neither id nor file":   {"evaluation", "show"},
		"both an id and a file": {"evaluation", "show", "q1", "--file", "q1.json"},
	} {
		if code, _, errs := sh.run(args...); code != cli.ExitUsage || errs == "" {
			t.Errorf("%s: exit %d, %s", name, code, errs)
		}
	}
	days := append(explain[:len(explain):len(explain)], "--department", uscc, "--from", "2026-02-01", "--to", "2026-02-01")
	if code, _, errs := sh.run(days...); code == cli.ExitOK || !strings.Contains(errs, "invalid") {
		t.Errorf("no day at all: exit %d, %s", code, errs)
	}
	days[len(days)-1] = "2026-03-01"
	if code, _, errs := sh.run(days...); code == cli.ExitOK || !strings.Contains(errs, "directory.json") {
		t.Errorf("a folder without material: exit %d, %s", code, errs)
	}
}
