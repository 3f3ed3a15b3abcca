package cli_test

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/gxbus/gxbus/node/cli"
	"github.com/gxbus/gxbus/pkg/bus"
)

// Every gxbus that the documents show is a command that there is, with flags that it has.
func TestTheDocsShowCommandsThatThereAre(t *testing.T) {
	pages, err := filepath.Glob("../../docs/*.md")
	must(t, err)
	pages = append(pages, "../../README.md", "../../README.zh-CN.md", "../../docs/examples/README.md", "../../deploy/README.md")
	root := cli.New(cli.Process{Out: &bytes.Buffer{}, Err: &bytes.Buffer{}}, cli.Build{}, bus.English)
	lines := 0
	for _, page := range pages {
		text, err := os.ReadFile(page)
		must(t, err)
		for _, line := range commandLines(string(text)) {
			lines++
			if problem := unknownIn(root, line); problem != "" {
				t.Errorf("%s: %s: %s", page, strings.Join(line, " "), problem)
			}
		}
	}
	if lines < 200 {
		t.Errorf("found %d commands alone", lines)
	}
}

var (
	fenced  = regexp.MustCompile("(?ms)^ *```[a-z]*\n(.*?)^ *```$")
	inlined = regexp.MustCompile("`(gxbus [^`]+)`")
	started = regexp.MustCompile(`^(?:[A-Z_]+=\S+ +|[A-Za-z_]+=\$\(|build/|\$ +)*gxbus +(.*)`)
	ended   = regexp.MustCompile(`\s(#|\||>|<|&&|;|…|\)).*`)
	quoted  = regexp.MustCompile(`'[^']*'|"[^"]*"`)
)

// commandLines finds what comes after gxbus, up to a pipe or a comment, word by word.
func commandLines(text string) (lines [][]string) {
	take := func(line string) {
		if found := started.FindStringSubmatch(line); found != nil {
			line = ended.ReplaceAllString(quoted.ReplaceAllString(found[1], "x"), "")
			lines = append(lines, strings.Fields(line))
		}
	}
	for _, block := range fenced.FindAllStringSubmatch(text, -1) {
		for line := range strings.Lines(strings.ReplaceAll(block[1], "\\\n", " ")) {
			take(strings.TrimSpace(line))
		}
	}
	for _, inline := range inlined.FindAllStringSubmatch(fenced.ReplaceAllString(text, ""), -1) {
		take(inline[1])
	}
	return lines
}

// unknownIn says which word of a command line there is not.
func unknownIn(root *cobra.Command, line []string) string {
	cmd, rest, err := root.Find(line)
	if err != nil {
		return err.Error()
	}
	group := cmd.HasSubCommands() && cmd.Use == cmd.Name() // it takes nothing itself
	if group && len(rest) > 0 && !strings.HasPrefix(rest[0], "-") && !strings.Contains(rest[0], "|") {
		return "no command " + rest[0]
	}
	for _, word := range rest {
		name, _, _ := strings.Cut(strings.Trim(word, "[](),."), "=")
		if flag, long := strings.CutPrefix(name, "--"); long && flag != "" && lookup(cmd, func(s *pflag.FlagSet) *pflag.Flag { return s.Lookup(flag) }) == nil {
			return "no flag " + name
		}
		if len(name) == 2 && name[0] == '-' && lookup(cmd, func(s *pflag.FlagSet) *pflag.Flag { return s.ShorthandLookup(name[1:]) }) == nil {
			return "no flag " + name
		}
	}
	return ""
}

func lookup(cmd *cobra.Command, in func(*pflag.FlagSet) *pflag.Flag) *pflag.Flag {
	if found := in(cmd.Flags()); found != nil {
		return found
	}
	return in(cmd.InheritedFlags())
}
