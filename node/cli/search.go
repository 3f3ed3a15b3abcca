package cli

import (
	"bytes"
	"context"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/client"
)

// finder is what list and search have in common.
type finder struct {
	query  client.ResourceQuery
	facets bool
	limit  int
}

const searchShown = 20 // resources that search shows where nothing is said

func (a *app) listResources(n noun[bus.ResourceID, bus.Resource]) *cobra.Command {
	var f finder
	cmd := &cobra.Command{
		Use: "list", Short: a.say("列出数据资源，可筛选、计数", "List the resources, filtered and counted"), Args: a.exactly(),
		Example: "  gxbus resource list\n  gxbus resource list --division 440100 --sharing conditional --facets\n" +
			"  gxbus resource list --state draft\n  gxbus resource list -o csv > resources.csv",
		RunE: a.remote(func(ctx context.Context, c *client.Client, _ *cobra.Command, _ []string) error {
			page, err := f.pages(ctx, a, c)
			if err != nil {
				return err
			}
			return f.print(a, page, a.foundColumns(n.columns, false))
		}),
	}
	a.findFlags(cmd, &f, 0)
	return cmd
}

func (a *app) searchResources(n noun[bus.ResourceID, bus.Resource]) *cobra.Command {
	var f finder
	cmd := &cobra.Command{
		Use: "search WORD…", Short: a.say("检索数据资源", "Search the resources"),
		Args: func(cmd *cobra.Command, args []string) error { // one or more
			return a.exactly("WORD")(cmd, args[:min(len(args), 1)])
		},
		Long: a.say("检索名称、信息项、摘要、提供部门、标识或目录代码中含有全部检索词的数据资源。中文按连续的字检索，一个字也可以；字母和数字按词首检索。标点不起作用。",
			"Find the resources that have every word in their name, items, abstract, provider, id or codes. Chinese is found by\ncharacters in a row, a single one too; letters and digits by the beginning of words. Marks mean nothing."),
		Example: "  gxbus resource search 企业登记\n  gxbus resource search 许可 食品 --division 440300 --facets\n  gxbus resource search 3010010001/000001 -o json",
		RunE: a.remote(func(ctx context.Context, c *client.Client, _ *cobra.Command, args []string) error {
			f.query.Words = strings.Join(args, " ")
			page, err := f.pages(ctx, a, c)
			if err != nil {
				return err
			}
			return f.print(a, page, a.foundColumns(n.columns[:4], true))
		}),
	}
	a.findFlags(cmd, &f, searchShown)
	return cmd
}

func (a *app) findFlags(cmd *cobra.Command, f *finder, limit int) {
	flags := cmd.Flags()
	flags.Var(words(&f.query.Divisions), "division", a.say("提供部门所在 `区划`，含下级，可多个", "`division` of the provider, those below it included; repeatable"))
	flags.Var(words(&f.query.Levels), "level", a.say("区划 `级别`：province、city、county、town", "`level` of the division: province, city, county, town"))
	flags.Var(words(&f.query.Providers), "provider", a.say("提供部门的统一社会信用 `代码`", "provider's unified social credit `code`"))
	flags.Var(words(&f.query.Sharing), "sharing", a.say("共享 `类型`：unconditional、conditional、none", "sharing `type`: unconditional, conditional, none"))
	flags.Var(words(&f.query.Formats), "format", a.say("信息资源 `格式`", "`format` of the resource"))
	flags.Var(words(&f.query.Cycles), "update-cycle", a.say("更新 `周期`", "update `cycle`"))
	flags.Var(words(&f.query.Libraries), "library", a.say("基础库、主题库 `标识`", "`id` of a base or theme library"))
	flags.Var(words(&f.query.States), "state", a.say("`状态`，缺省为 published；其他状态为可见的编制稿", "`state`, published where left out; of others the drafts that you may see"))
	flags.BoolVar(&f.facets, "facets", false, a.say("按各筛选项计数", "count by every filter"))
	flags.StringVar(&f.query.Sort, "sort", "", a.say("`排序`：relevance、id、name、published、code", "`order`: relevance, id, name, published, code"))
	flags.IntVar(&f.limit, "limit", limit, a.say("最多显示 `N` 项，0 为全部", "show `N` at most, 0 for all"))
}

// words is a flag of words of a kind: repeated, or with commas between.
func words[T ~string](values *[]T) *wordsFlag {
	return &wordsFlag{
		add: func(word string) { *values = append(*values, T(word)) },
		all: func() string { return listed(*values) },
	}
}

type wordsFlag struct {
	add func(string)
	all func() string
}

// Set is for package pflag.
func (w *wordsFlag) Set(value string) error {
	for word := range strings.SplitSeq(value, ",") {
		w.add(strings.TrimSpace(word))
	}
	return nil
}

// String is for package pflag.
func (w *wordsFlag) String() string {
	if w.all == nil {
		return ""
	}
	return w.all()
}

// Type is for package pflag.
func (w *wordsFlag) Type() string { return "words" }

var facetNames = []string{"division", "level", "provider", "sharing", "format", "update_cycle", "library", "state"}

// pages reads pages until there are as many resources as are to be shown.
func (f *finder) pages(ctx context.Context, a *app, c *client.Client) (client.ResourcePage, error) {
	q := f.query
	if f.facets {
		q.Facets = facetNames
	}
	var all client.ResourcePage
	for {
		q.Limit = 1000
		if f.limit > 0 {
			q.Limit = min(q.Limit, f.limit-len(all.Items))
		}
		page, err := c.Search(ctx, q)
		if err != nil {
			return all, err
		}
		page.Items = append(all.Items, page.Items...)
		if q.Cursor != "" {
			page.Facets = all.Facets // of the first page: those after it would count again
		}
		all = page
		if q.Cursor = page.Next; q.Cursor == "" || f.limit > 0 && len(all.Items) >= f.limit {
			break
		}
		q.Facets = nil
	}
	if !all.Complete {
		a.notice(sprint("目录索引尚未跟上（", all.Indexed, " / ", all.Entries, "），结果不全"),
			sprint("the node's index has not caught up yet (", all.Indexed, " of ", all.Entries, "): not everything is shown"))
	}
	if f.limit > 0 && all.Total > len(all.Items) {
		a.notice(sprint("共 ", all.Total, " 项，显示前 ", len(all.Items), " 项"), sprint("the first ", len(all.Items), " of ", all.Total))
	}
	return all, nil
}

func (f *finder) print(a *app, page client.ResourcePage, columns []column[client.FoundResource]) error {
	if a.output != "table" {
		if f.facets && a.output != "csv" {
			return a.print(page, grid{})
		}
		return printList(a, columns, page.Items)
	}
	if err := a.emphasised(gridOf(a, columns, page.Items)); err != nil || !f.facets {
		return err
	}
	var rows []facetRow
	for _, name := range facetNames {
		for _, v := range page.Facets[name].Values {
			rows = append(rows, facetRow{name, v})
		}
		if more := page.Facets[name].More; more > 0 {
			rows = append(rows, facetRow{name, client.FacetValue{Value: "…", Name: a.say(sprint("另有 ", more, " 个取值"), sprint(more, " more values"))}})
		}
	}
	if _, err := io.WriteString(a.Out, "\n"); err != nil {
		return err
	}
	return writeTable(a.Out, gridOf(a, []column[facetRow]{
		{"facet", "分面", func(r facetRow) string { return r.facet }},
		{"value", "取值", func(r facetRow) string { return r.Value }},
		{"name", "名称", func(r facetRow) string { return r.Name }},
		{"count", "数量", func(r facetRow) string {
			if r.Value == "…" {
				return ""
			}
			return sprint(r.Count)
		}},
	}, rows))
}

type facetRow struct {
	facet string
	client.FacetValue
}

// foundColumns are the columns of a resource and its state, and, of a search, where
// the words stand.
func (a *app) foundColumns(of []column[bus.Resource], search bool) []column[client.FoundResource] {
	var columns []column[client.FoundResource]
	for _, c := range of {
		columns = append(columns, column[client.FoundResource]{c.key, c.zh, func(f client.FoundResource) string { return c.cell(f.Resource) }})
	}
	columns = append(columns, column[client.FoundResource]{"state", "状态", func(f client.FoundResource) string { return a.state(f.State) }})
	columns = append(columns, column[client.FoundResource]{"attachment", "挂接", func(f client.FoundResource) string { return a.attachmentState(f.Attachment) }})
	if search {
		columns = append(columns, column[client.FoundResource]{"match", "匹配", matched})
	}
	return columns
}

// Marks around what was looked for, until it is known what the reader is. They
// stand in the last column, where their width does not matter.
const (
	hitBegins = "⟦"
	hitEnds   = "⟧"
)

func matched(f client.FoundResource) string {
	var texts []string
	for _, h := range f.Highlights {
		var b strings.Builder
		for _, p := range h.Parts {
			if p.Hit {
				b.WriteString(hitBegins + p.Text + hitEnds)
			} else {
				b.WriteString(p.Text)
			}
		}
		texts = append(texts, h.Field+": "+b.String())
	}
	return strings.Join(texts[:min(len(texts), 2)], "; ")
}

// emphasised writes a table; on a terminal what was looked for is bold.
func (a *app) emphasised(g grid) error {
	var out bytes.Buffer
	if err := writeTable(&out, g); err != nil {
		return err
	}
	marks := strings.NewReplacer(hitBegins, "", hitEnds, "")
	if _, tty := terminal(a.Out); tty {
		marks = strings.NewReplacer(hitBegins, "\x1b[1m", hitEnds, "\x1b[0m")
	}
	_, err := marks.WriteString(a.Out, out.String())
	return err
}
