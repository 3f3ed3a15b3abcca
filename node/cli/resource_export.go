package cli

import (
	"context"
	"io"
	"iter"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/catalogue"
	"github.com/gxbus/gxbus/pkg/client"
)

// exportFlags say which entries are exported, and how.
type exportFlags struct {
	format, file                             string
	drafts                                   bool
	provider, division, code, sharing, title string
	base                                     string
}

var exports = append(slices.Clone(formats), string(catalogue.DCAT))

func (a *app) resourceExportCommand() *cobra.Command {
	var f exportFlags
	cmd := &cobra.Command{
		Use: "export", Short: a.say("导出目录条目（XLSX、CSV、JSON Lines、DCAT）", "Export catalogue entries (XLSX, CSV, JSON Lines, DCAT)"), Args: a.exactly(),
		Long: a.say("导出已发布的目录条目，列式与导入相同，导出的文件可再导入。dcat 为向社会开放的资源的 JSON-LD。",
			"Export the published entries in the layout that import reads. dcat is JSON-LD of the resources that are open to the public."),
		Example: "  gxbus resource export -f catalogue.xlsx\n  gxbus resource export --format jsonl --division 440100 > guangzhou.jsonl\n" +
			"  gxbus resource export --format dcat --base https://data.example.gov.cn/ -f open.jsonld",
	}
	flags := cmd.Flags()
	flags.StringVar(&f.format, "format", "", a.say("`格式`：xlsx、csv、jsonl、dcat（缺省按文件名，否则 jsonl）", "`format`: xlsx, csv, jsonl, dcat (else by the file's name, else jsonl)"))
	flags.StringVarP(&f.file, "file", "f", "-", a.say("写入 `文件`，\"-\" 为标准输出", "`file` to write, \"-\" for the standard output"))
	flags.BoolVar(&f.drafts, "drafts", false, a.say("导出编制稿而非已发布的，不能用 dcat", "the drafts, not what is published; not as dcat"))
	flags.StringVar(&f.provider, "provider", "", a.say("仅该 `部门` 的", "only of this `department`"))
	flags.StringVar(&f.division, "division", "", a.say("仅该 `区划` 及其下级的", "only of this `division` and those below it"))
	flags.StringVar(&f.code, "code", "", a.say("仅代码以此 `前缀` 开头的", "only with a code that begins with `prefix`"))
	flags.StringVar(&f.sharing, "sharing", "", a.say("仅该共享 `类型` 的", "only of this sharing `type`"))
	flags.StringVar(&f.base, "base", "", a.say("dcat 中标识的 `网址` 前缀（缺省为节点地址）", "`URL` that ids of dcat are made below (else the node's)"))
	flags.StringVar(&f.title, "title", "政务数据开放目录", a.say("dcat 目录的 `名称`", "`name` of the dcat catalogue"))
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if f.format == "" {
			f.format = string(catalogue.FormatOf(f.file))
		}
		if f.format == "" {
			f.format = string(catalogue.JSONL)
		}
		if !slices.Contains(exports, f.format) {
			return a.usage(cmd, "--format 不支持 "+f.format+"（允许：xlsx、csv、jsonl、dcat）", "--format cannot be "+f.format+" (allowed: xlsx, csv, jsonl, dcat)")
		}
		if f.drafts && f.format == string(catalogue.DCAT) {
			return a.usage(cmd, "--format 不能为 dcat：编制稿尚未发布，不得作为开放数据（--drafts 允许：xlsx、csv、jsonl）",
				"--format cannot be dcat: drafts are not published, so not open data (allowed with --drafts: xlsx, csv, jsonl)")
		}
		return a.remote(func(ctx context.Context, c *client.Client, _ *cobra.Command, _ []string) error {
			return a.export(ctx, c, f)
		})(cmd, nil)
	}
	return cmd
}

func (a *app) export(ctx context.Context, c *client.Client, f exportFlags) error {
	departments, err := c.Departments().List(ctx)
	if err != nil {
		return err
	}
	names := map[bus.USCC]string{}
	for _, d := range departments {
		names[d.ID] = d.Name
	}
	within, err := f.within(ctx, c, departments)
	if err != nil {
		return err
	}
	write := func(w io.Writer) error {
		var out catalogue.Writer
		if f.format == string(catalogue.DCAT) {
			if f.base == "" {
				f.base = c.Server()
			}
			out = catalogue.NewDCATWriter(w, catalogue.Public{Base: f.base, Title: f.title, Departments: names})
		} else if out, err = catalogue.NewWriter(w, catalogue.Format(f.format), a.lang, names); err != nil {
			return err
		}
		return a.exportTo(out, f.entries(ctx, c), within)
	}
	if f.file == "-" {
		return write(a.Out)
	}
	return writeFile(f.file, write)
}

// exportTo writes what is wanted of entries, and names those that the format
// cannot hold exactly.
func (a *app) exportTo(out catalogue.Writer, entries iter.Seq2[bus.Draft, error], wanted func(bus.Resource) bool) error {
	bar := a.progress(0)
	defer bar.done()
	var unlike []bus.ResourceID
	count := 0
	for d, err := range entries {
		if err != nil {
			return err
		}
		if !wanted(d.Resource) {
			continue
		}
		exact, err := out.Write(d)
		if err != nil {
			return err
		}
		if !exact {
			unlike = append(unlike, d.Resource.ID)
		}
		count++
		bar.step()
	}
	if err := out.Close(); err != nil {
		return err
	}
	bar.done()
	a.notice(sprint("已导出 ", count, " 条"), sprint(count, " exported"))
	if len(unlike) > 0 {
		a.notice("此格式不能原样保存以下条目，请用 jsonl："+listed(unlike), "this format does not hold these exactly, jsonl does: "+listed(unlike))
	}
	return nil
}

func (f exportFlags) entries(ctx context.Context, c *client.Client) iter.Seq2[bus.Draft, error] {
	return func(yield func(bus.Draft, error) bool) {
		if f.drafts {
			drafts, err := c.Drafts().List(ctx, client.DraftFilter{Provider: bus.USCC(f.provider)})
			if err != nil {
				yield(bus.Draft{}, err)
				return
			}
			for _, d := range drafts {
				if !yield(d, nil) {
					return
				}
			}
			return
		}
		for r, err := range c.Resources().Each(ctx) {
			if !yield(bus.Draft{ID: r.ID, Resource: r}, err) || err != nil {
				return
			}
		}
	}
}

// within makes the filter of the flags.
func (f exportFlags) within(ctx context.Context, c *client.Client, departments []bus.Department) (func(bus.Resource) bool, error) {
	var inDivision map[bus.USCC]bool
	if f.division != "" {
		divisions, err := c.Divisions().List(ctx)
		if err != nil {
			return nil, err
		}
		tree := bus.Divisions{}
		for _, d := range divisions {
			tree[d.Code] = d
		}
		if _, ok := tree[bus.DivisionCode(f.division)]; !ok {
			return nil, bus.NotFound("division", f.division)
		}
		inDivision = map[bus.USCC]bool{}
		for _, d := range departments {
			inDivision[d.ID] = slices.Contains(tree.Chain(d.Division), bus.DivisionCode(f.division))
		}
	}
	return func(r bus.Resource) bool {
		return (inDivision == nil || inDivision[r.Provider]) && (f.provider == "" || string(r.Provider) == f.provider) &&
			(f.sharing == "" || string(r.Sharing.Type) == f.sharing) &&
			(f.code == "" || slices.ContainsFunc(r.Codes, func(c bus.ResourceCode) bool { return strings.HasPrefix(string(c), f.code) }))
	}, nil
}
