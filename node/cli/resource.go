package cli

import (
	"context"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/client"
)

func (a *app) resourceCommand() *cobra.Command {
	n := resources(a)
	return a.group("resource", "数据资源目录", "Data resources of the directory",
		a.listResources(n), a.searchResources(n), n.show(a), a.resourceAccess(n),
		a.resourceVersions(n), a.resourceSchema(n), a.resourceDiff(n), a.withdrawResource(n), a.recordTrigger(n), a.resourceUses(n),
		a.resourceTemplateCommand(), a.resourceImportCommand(), a.resourceExportCommand())
}

func resources(a *app) noun[bus.ResourceID, bus.Resource] {
	return noun[bus.ResourceID, bus.Resource]{
		zh: "数据资源", en: "resource", example: "enterprise-registration",
		columns: []column[bus.Resource]{
			{"id", "标识", func(r bus.Resource) string { return string(r.ID) }},
			{"name", "名称", func(r bus.Resource) string { return r.Name }},
			{"codes", "目录代码", func(r bus.Resource) string { return listed(r.Codes) }},
			{"provider", "提供部门", func(r bus.Resource) string { return string(r.Provider) }},
			{"sharing", "共享类型", func(r bus.Resource) string { return string(r.Sharing.Type) }},
			{"update_cycle", "更新周期", func(r bus.Resource) string { return r.UpdateCycle }},
			{"revision", "修订号", func(r bus.Resource) string { return sprint(r.Revision) }},
		},
		details: entryDetails(a),
		inner:   func(r bus.Resource) grid { return itemGrid(a, r) },
		entries: func(c *client.Client) client.Readable[bus.ResourceID, bus.Resource] { return c.Resources().Readable },
	}
}

func (a *app) resourceVersions(n noun[bus.ResourceID, bus.Resource]) *cobra.Command {
	columns := []column[bus.Version]{
		{"version", "版本", func(v bus.Version) string { return sprint(v.Resource.Version) }},
		{"published", "发布时间", func(v bus.Version) string { return stamp(v.Resource.Published) }},
		{"name", "名称", func(v bus.Version) string { return v.Resource.Name }},
		{"sharing", "共享类型", func(v bus.Version) string { return string(v.Resource.Sharing.Type) }},
		{"submitted_by", "提交", func(v bus.Version) string { return who(v.Submitted.By) }},
		{"approved_by", "审核", func(v bus.Version) string { return who(v.Approved.By) }},
		{"withdrawn", "撤销时间", func(v bus.Version) string {
			if v.Withdrawn == nil {
				return ""
			}
			return stamp(v.Withdrawn.Approved.At)
		}},
	}
	return &cobra.Command{
		Use: "versions ID [N]", Short: a.say("列出已发布的各个版本，或显示其中一个", "List the published versions, or show one"),
		Args: a.between(1, 2, "ID", "N"), Example: "  gxbus resource versions enterprise-registration\n  gxbus resource versions enterprise-registration 1 -o yaml",
		ValidArgsFunction: n.complete(a),
		RunE: a.remote(func(ctx context.Context, c *client.Client, cmd *cobra.Command, args []string) error {
			if len(args) == 1 {
				versions, err := c.Resources().Versions(ctx, bus.ResourceID(args[0]))
				if err != nil {
					return err
				}
				return printList(a, columns, versions)
			}
			number, err := a.number(cmd, args[1])
			if err != nil {
				return err
			}
			v, err := c.Resources().Version(ctx, bus.ResourceID(args[0]), number)
			if err != nil {
				return err
			}
			return printOne(a, columns, v)
		}),
	}
}

func (a *app) resourceDiff(n noun[bus.ResourceID, bus.Resource]) *cobra.Command {
	columns := []column[bus.Difference]{
		{"field", "字段", func(d bus.Difference) string { return d.Field }},
		{"was", "原值", func(d bus.Difference) string { return d.Was }},
		{"is", "现值", func(d bus.Difference) string { return d.Is }},
	}
	return &cobra.Command{
		Use: "diff ID [N M]", Short: a.say("逐项比较两个版本", "Compare two versions, field by field"), Args: a.between(1, 3, "ID", "N", "M"),
		Long: a.say("逐项比较两个已发布的版本；不写版本号时比较最近两个。信息项按标识对应。",
			"Compare two published versions field by field, the last two where no numbers are given. Items are matched by id."),
		Example:           "  gxbus resource diff enterprise-registration\n  gxbus resource diff enterprise-registration 1 3 -o json",
		ValidArgsFunction: n.complete(a),
		RunE: a.remote(func(ctx context.Context, c *client.Client, cmd *cobra.Command, args []string) error {
			was, is, err := a.twoVersions(ctx, c, cmd, args)
			if err != nil {
				return err
			}
			return printList(a, columns, bus.Diff(was.Resource, is.Resource))
		}),
	}
}

// twoVersions reads the versions that are compared.
func (a *app) twoVersions(ctx context.Context, c *client.Client, cmd *cobra.Command, args []string) (was, is bus.Version, err error) {
	id := bus.ResourceID(args[0])
	if len(args) == 2 {
		return was, is, a.usage(cmd, "须写明两个版本号", "two version numbers, or none")
	}
	if len(args) == 1 {
		versions, err := c.Resources().Versions(ctx, id)
		if err != nil || len(versions) == 0 {
			return was, is, err
		}
		last := len(versions) - 1
		return versions[max(last-1, 0)], versions[last], nil
	}
	for i, v := range []*bus.Version{&was, &is} {
		number, err := a.number(cmd, args[i+1])
		if err != nil {
			return was, is, err
		}
		if *v, err = c.Resources().Version(ctx, id, number); err != nil {
			return was, is, err
		}
	}
	return was, is, nil
}

func (a *app) number(cmd *cobra.Command, word string) (int, error) {
	n, err := strconv.Atoi(word)
	if err != nil || n < 1 {
		return 0, a.usage(cmd, "不是版本号："+word, "not a version number: "+word)
	}
	return n, nil
}

func (a *app) withdrawResource(n noun[bus.ResourceID, bus.Resource]) *cobra.Command {
	var reason string
	cmd := &cobra.Command{
		Use: "withdraw ID --reason TEXT", Short: a.say("申请撤销一个数据资源", "Ask for the withdrawal of a resource"), Args: a.exactly("ID"),
		Long: a.say("申请撤销一个已发布的数据资源，由数据主管部门审核。审核通过后不再共享；各版本保留，标识与目录代码不再分配。",
			"Ask for a published resource to leave the directory; the data authority decides. Once it is approved nothing more of it is\nshared. Its versions stay, and its id and codes are nobody else's."),
		Example:           "  gxbus resource withdraw enterprise-registration --reason '系统已停用'",
		ValidArgsFunction: n.complete(a),
	}
	cmd.Flags().StringVar(&reason, "reason", "", a.say("撤销 `原因`", "why, as `text`"))
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := a.need(cmd, "reason"); err != nil {
			return err
		}
		return a.remote(func(ctx context.Context, c *client.Client, _ *cobra.Command, _ []string) error {
			r, err := c.Resources().Read(ctx, bus.ResourceID(args[0]))
			if err != nil {
				return err
			}
			d, err := c.Resources().Withdraw(ctx, r.ID, r.Revision, reason)
			if err != nil {
				return err
			}
			return printOne(a, draftColumns(a), d)
		})(cmd, args)
	}
	return cmd
}

// who gives a principal for people, "" where it is not told.
func who(p bus.Principal) string {
	if p == (bus.Principal{}) {
		return ""
	}
	return p.String()
}

func listed[T ~string](values []T) string {
	words := make([]string, len(values))
	for i, v := range values {
		words[i] = string(v)
	}
	return strings.Join(words, ", ")
}
