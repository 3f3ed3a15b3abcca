package cli

import (
	"github.com/spf13/cobra"
)

func (a *app) versionCommand() *cobra.Command {
	return &cobra.Command{
		Use: "version", Short: a.say("显示版本", "Show the version"), Args: a.exactly(),
		Example: "  gxbus version -o json",
		RunE: func(*cobra.Command, []string) error {
			return printOne(a, []column[Build]{
				{"version", "版本", func(b Build) string { return b.Version }},
				{"commit", "提交", func(b Build) string { return b.Commit }},
				{"go", "Go 版本", func(b Build) string { return b.Go }},
			}, a.build)
		},
	}
}
