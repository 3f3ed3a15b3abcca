package cli

import (
	"io"

	"github.com/spf13/cobra"

	"github.com/gxbus/gxbus/pkg/catalogue"
)

func (a *app) resourceTemplateCommand() *cobra.Command {
	return &cobra.Command{
		Use: "template FILE.xlsx", Short: a.say("写出空白的目录填报工作簿", "Write an empty workbook for catalogue entries"), Args: a.exactly("FILE.xlsx"),
		Long: a.say("写出按《政务信息资源目录编制指南》列式的空白工作簿，带下拉选项和说明；“样例”表有示例。",
			"Write an empty workbook in the column layout of the compilation guide, with drop-downs and notes; its second sheet is an example."),
		Example: "  gxbus resource template catalogue.xlsx\n  gxbus resource import catalogue.xlsx --sheet 样例 --check",
		RunE: func(cmd *cobra.Command, args []string) error {
			if extension(args[0]) != "xlsx" {
				return a.usage(cmd, "文件名应以 .xlsx 结尾", "the file's name must end in .xlsx")
			}
			return writeFile(args[0], func(w io.Writer) error { return catalogue.WriteTemplate(w, a.lang) })
		},
	}
}
