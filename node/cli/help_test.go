package cli_test

import (
	"testing"

	"github.com/spf13/cobra"

	"github.com/gxbus/gxbus/node/cli"
	"github.com/gxbus/gxbus/pkg/bus"
)

func TestEveryCommandExplainsItselfInBothLanguages(t *testing.T) {
	han := func(s string) bool {
		for _, r := range s {
			if r >= 0x4e00 && r <= 0x9fff {
				return true
			}
		}
		return false
	}
	for _, lang := range []bus.Lang{bus.English, bus.Chinese} {
		var visit func(*cobra.Command)
		visit = func(c *cobra.Command) {
			if c.Short == "" || c.Example == "" || han(c.Short) != (lang == bus.Chinese) {
				t.Errorf("%s: %s: short %q, example %q", lang, c.CommandPath(), c.Short, c.Example)
			}
			if c.Long != "" && han(c.Long) != (lang == bus.Chinese) {
				t.Errorf("%s: %s: long %q", lang, c.CommandPath(), c.Long)
			}
			for _, sub := range c.Commands() {
				visit(sub)
			}
		}
		extra := func(lang bus.Lang) *cobra.Command {
			return &cobra.Command{Use: "more", Short: bus.Text{ZH: "其他", EN: "more"}.In(lang), Example: "  gxbus more"}
		}
		root := cli.New(cli.OS(), cli.Build{}, lang, extra)
		if c, _, err := root.Find([]string{"more"}); err != nil || c.Name() != "more" {
			t.Error("the extra command is not there")
		}
		visit(root)
	}
}
