package cli

import (
	"cmp"
	"context"
	"io"
	"os"
	"slices"

	"github.com/spf13/cobra"

	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/client"
	"github.com/gxbus/gxbus/pkg/evaluation"
	"github.com/gxbus/gxbus/pkg/evaluation/export"
)

func (a *app) evaluationExport() *cobra.Command {
	var file, format string
	cmd := &cobra.Command{
		Use: "export ID", Short: a.say("导出报告（XLSX、HTML、CSV、JSON）", "Export a report (XLSX, HTML, CSV, JSON)"), Args: a.exactly("ID"),
		Example: "  gxbus evaluation export 2026-q1 -f 2026-q1.xlsx\n  gxbus evaluation export 2026-q1 --format html > 2026-q1.html",
	}
	cmd.Flags().StringVarP(&file, "file", "f", "-", a.say("写入 `文件`，\"-\" 为标准输出", "`file` to write, \"-\" for the standard output"))
	cmd.Flags().StringVar(&format, "format", "", a.say("`格式`：xlsx、html、csv、json（缺省按文件名，否则 json）", "`format`: xlsx, html, csv, json (else by the file's name, else json)"))
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		f := cmp.Or(export.Format(format), export.FormatOf(file), export.JSON)
		if !slices.Contains(export.Formats(), f) {
			return a.usage(cmd, "--format 不支持 "+string(f)+"（允许：xlsx、html、csv、json）", "--format cannot be "+string(f)+" (allowed: xlsx, html, csv, json)")
		}
		return a.remote(func(ctx context.Context, c *client.Client, _ *cobra.Command, args []string) error {
			data, err := c.Evaluation(ctx, args[0])
			if err != nil {
				return err
			}
			r, err := evaluation.DecodeReport(data)
			if err != nil {
				return err
			}
			write := func(w io.Writer) error { return export.Write(w, r, f, a.lang) }
			if file == "-" {
				return write(a.Out)
			}
			return writeFile(file, write)
		})(cmd, args)
	}
	return cmd
}

// openReport reads a report to be verified: the JSON, or the one in a workbook, which
// is then open to be checked; it is nil for JSON.
func openReport(path string) (evaluation.Report, *export.Workbook, error) {
	if export.FormatOf(path) != export.XLSX {
		r, err := readReport(path)
		return r, nil, err
	}
	file, err := os.Open(path)
	if err != nil {
		return evaluation.Report{}, nil, bus.NotFound("file", path).Because(err)
	}
	defer file.Close()
	book, err := export.OpenWorkbook(file)
	if err != nil {
		return evaluation.Report{}, nil, err
	}
	return book.Report, book, nil
}
