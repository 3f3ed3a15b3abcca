package cli

import (
	"strings"

	"github.com/spf13/cobra"
)

var shells = []string{"bash", "zsh", "fish", "powershell"}

func (a *app) completionCommand() *cobra.Command {
	return &cobra.Command{
		Use: "completion SHELL", Short: a.say("生成命令补全脚本", "Print a shell completion script"), Args: a.exactly("SHELL"),
		Long: a.say("生成命令补全脚本，支持 bash、zsh、fish、powershell。标识类参数从当前节点查询。",
			"Print a completion script for bash, zsh, fish or powershell. Ids are asked of the current node."),
		Example:           "  source <(gxbus completion bash)\n  gxbus completion fish > ~/.config/fish/completions/gxbus.fish",
		ValidArgsFunction: cobra.FixedCompletions(shells, cobra.ShellCompDirectiveNoFileComp),
		RunE: func(cmd *cobra.Command, args []string) error {
			root := cmd.Root()
			switch args[0] {
			case "bash":
				return root.GenBashCompletionV2(a.Out, true)
			case "zsh":
				return root.GenZshCompletion(a.Out)
			case "fish":
				return root.GenFishCompletion(a.Out, true)
			case "powershell":
				return root.GenPowerShellCompletionWithDesc(a.Out)
			}
			allowed := strings.Join(shells, ", ")
			return a.usage(cmd, "不支持 "+args[0]+"（允许："+allowed+"）", "no completion for "+args[0]+" (allowed: "+allowed+")")
		},
	}
}
