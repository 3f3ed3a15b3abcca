package cli_test

import (
	"bytes"
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gxbus/gxbus/node/cli"
	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/spf13/cobra"
)

// Every command shows how it is used, in both languages, and its examples are
// of itself.
func TestEveryCommandHasExamplesInBothLanguages(t *testing.T) {
	for lang, heading := range map[bus.Lang]string{bus.English: "Examples:", bus.Chinese: "示例："} {
		var out bytes.Buffer
		process := cli.Process{In: &out, Out: &out, Err: &out, Env: func(string) string { return "" }, Now: time.Now}
		var walk func(c *cobra.Command)
		walk = func(c *cobra.Command) {
			out.Reset()
			path := strings.Fields(c.CommandPath())
			args := append(slices.Clone(path[1:]), "--help", "--lang", string(lang))
			if code := cli.Run(context.Background(), process, cli.Build{}, args); code != cli.ExitOK {
				t.Errorf("%s --help exits with %d", c.CommandPath(), code)
			}
			if !strings.Contains(out.String(), heading) || c.Short == "" {
				t.Errorf("%s --help in %s has no %q:\n%s", c.CommandPath(), lang, heading, out.String())
			}
			if !strings.Contains(c.Example, c.CommandPath()) && !c.HasSubCommands() {
				t.Errorf("the examples of %s are of something else:\n%s", c.CommandPath(), c.Example)
			}
			for _, sub := range c.Commands() {
				walk(sub)
			}
		}
		walk(cli.New(process, cli.Build{}, lang))
	}
}
