package cli

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"
)

// usageError is a command line that was not understood.
type usageError struct {
	command string // its path
	message string
}

func (e *usageError) Error() string { return e.message }

func (a *app) usage(cmd *cobra.Command, zh, en string) error {
	return &usageError{cmd.CommandPath(), a.say(zh, en)}
}

// exactly wants these arguments, named as in Use.
func (a *app) exactly(names ...string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		switch {
		case len(args) < len(names):
			return a.usage(cmd, "缺少参数 "+names[len(args)], "missing argument "+names[len(args)])
		case len(args) > len(names):
			return a.usage(cmd, "多余的参数 "+args[len(names)], "unexpected argument "+args[len(names)])
		}
		return nil
	}
}

// between wants at least and at most so many arguments, named as in Use.
func (a *app) between(least, most int, names ...string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) > most {
			return a.usage(cmd, "多余的参数 "+args[most], "unexpected argument "+args[most])
		}
		return a.exactly(names[:max(least, len(args))]...)(cmd, args)
	}
}

// need tells the first of the flags that was not given.
func (a *app) need(cmd *cobra.Command, flags ...string) error {
	for _, name := range flags {
		if !cmd.Flags().Changed(name) {
			return a.usage(cmd, "缺少 --"+name, "missing --"+name)
		}
	}
	return nil
}

func (a *app) helpCommand() *cobra.Command {
	return &cobra.Command{
		Use: "help [COMMAND]", Short: a.say("显示命令的帮助", "Show the help of a command"), Hidden: true,
		Example: "  gxbus help draft put",
		RunE: func(cmd *cobra.Command, args []string) error {
			target, rest, err := cmd.Root().Find(args)
			if err != nil || target == nil || len(rest) > 0 {
				return a.usage(cmd, "没有命令 "+strings.Join(args, " "), "no command "+strings.Join(args, " "))
			}
			return target.Help()
		},
	}
}

func (a *app) writeHelp(cmd *cobra.Command) {
	text := cmd.Long
	if text == "" {
		text = cmd.Short
	}
	fmt.Fprintf(cmd.OutOrStdout(), "%s\n\n", strings.TrimSpace(text))
	_ = a.writeUsage(cmd)
}

// writeUsage says how a command is called: its line, examples, commands, flags.
func (a *app) writeUsage(cmd *cobra.Command) error {
	var b strings.Builder
	line := cmd.UseLine()
	if cmd.HasAvailableSubCommands() {
		group := cmd.CommandPath() + a.say(" 命令", " COMMAND")
		if strings.Contains(cmd.Use, " ") { // it does something by itself too
			group = line + "\n  " + group
		}
		line = group
	}
	fmt.Fprintf(&b, "%s\n  %s\n", a.say("用法：", "Usage:"), line)
	if cmd.Example != "" {
		fmt.Fprintf(&b, "\n%s\n%s\n", a.say("示例：", "Examples:"), strings.TrimRight(cmd.Example, "\n"))
	}
	if cmd.HasAvailableSubCommands() {
		fmt.Fprintf(&b, "\n%s\n", a.say("命令：", "Commands:"))
		width := 0
		for _, c := range cmd.Commands() {
			width = max(width, len(c.Name()))
		}
		for _, c := range cmd.Commands() {
			if c.IsAvailableCommand() {
				fmt.Fprintf(&b, "  %-*s  %s\n", width, c.Name(), c.Short)
			}
		}
	}
	if flags := cmd.LocalNonPersistentFlags(); flags.HasAvailableFlags() {
		fmt.Fprintf(&b, "\n%s\n%s", a.say("选项：", "Flags:"), flags.FlagUsages())
	}
	fmt.Fprintf(&b, "\n%s\n%s", a.say("通用选项：", "Global flags:"), cmd.Root().PersistentFlags().FlagUsages())
	_, err := cmd.OutOrStdout().Write([]byte(b.String()))
	return err
}
