package cli

import (
	"context"
	"strings"

	"github.com/spf13/cobra"

	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/client"
)

func (a *app) resourceCommand() *cobra.Command {
	w := resources()
	return a.group("resource", "数据资源目录", "Data resources of the directory",
		w.list(a), w.show(a), w.putCommand(a), remove(a, w, (*client.Client).Resources),
		a.resourceTemplateCommand(), a.resourceImportCommand(), a.resourceExportCommand())
}

func resources() writer[bus.ResourceID, bus.Resource] {
	return writer[bus.ResourceID, bus.Resource]{
		noun: noun[bus.ResourceID, bus.Resource]{
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
			details: []column[bus.Resource]{
				{"abstract", "摘要", func(r bus.Resource) string { return r.Abstract }},
				{"format", "格式", func(r bus.Resource) string { return r.Format }},
				{"modes", "共享方式", func(r bus.Resource) string { return listed(r.Modes) }},
				{"open", "开放属性", func(r bus.Resource) string { return r.Open }},
				{"range", "共享范围", func(r bus.Resource) string { return r.Sharing.Range }},
				{"purposes", "使用用途", func(r bus.Resource) string { return listed(r.Sharing.Purposes) }},
				{"items", "信息项", itemNames},
			},
			entries: func(c *client.Client) client.Readable[bus.ResourceID, bus.Resource] { return c.Resources().Readable },
		},
		check: bus.Resource.Check,
		name:  func(r *bus.Resource) (bus.ResourceID, *bus.Revision) { return r.ID, &r.Revision },
		put: func(ctx context.Context, c *client.Client, r bus.Resource) (bus.Resource, error) {
			return c.Resources().Put(ctx, r)
		},
	}
}

func itemNames(r bus.Resource) string {
	names := make([]string, len(r.Items))
	for i, item := range r.Items {
		names[i] = string(item.ID) + " " + item.Name
	}
	return listed(names)
}

func listed[T ~string](values []T) string {
	words := make([]string, len(values))
	for i, v := range values {
		words[i] = string(v)
	}
	return strings.Join(words, ", ")
}
