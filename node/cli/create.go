package cli

import (
	"slices"

	"github.com/spf13/cobra"
)

// creation makes the command that creates one entry from flags, or several from
// a file. An entry that is already there is not changed.
type creation[K ~string, V any] struct {
	writer[K, V]
	example string
	needed  []string // flags
}

func (n creation[K, V]) command(a *app, made func(cmd *cobra.Command, id string) (V, error)) *cobra.Command {
	var file string
	var dry bool
	cmd := &cobra.Command{
		Use: "create ID", Short: a.say("新建"+n.zh, "Create a "+n.en), Args: cobra.ArbitraryArgs, Example: n.example,
	}
	cmd.Flags().StringVarP(&file, "file", "f", "", a.say("改从 `文件` 读取（YAML、JSON，\"-\" 为标准输入）", "read a `file` instead (YAML or JSON, \"-\" for the standard input)"))
	a.dryRunFlag(cmd, &dry)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		values, err := n.values(a, cmd, args, file, made)
		if err != nil {
			return err
		}
		for i := range values {
			_, revision := n.name(&values[i])
			*revision = 0
		}
		n.onlyNew = true
		return n.putAll(cmd.Context(), a, values, dry)
	}
	return cmd
}

func (n creation[K, V]) values(a *app, cmd *cobra.Command, args []string, file string, made func(*cobra.Command, string) (V, error)) ([]V, error) {
	if file == "" {
		if err := a.exactly("ID")(cmd, args); err != nil {
			return nil, err
		}
		if err := a.need(cmd, n.needed...); err != nil {
			return nil, err
		}
		v, err := made(cmd, args[0])
		return []V{v}, err
	}
	if err := a.exactly()(cmd, args); err != nil {
		return nil, err
	}
	if slices.ContainsFunc(n.needed, cmd.Flags().Changed) {
		return nil, a.usage(cmd, "--file 不能与其他内容选项同用", "--file takes the place of the other flags")
	}
	return readDocuments[V](a, file)
}
