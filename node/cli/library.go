package cli

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/client"
)

func (a *app) libraryCommand() *cobra.Command {
	w := libraries()
	return a.group("library", "基础库与主题库", "Groups of resources by their codes",
		w.list(a), w.show(a), w.putCommand(a), remove(a, w, (*client.Client).Libraries))
}

func libraries() writer[bus.LibraryID, bus.Library] {
	return writer[bus.LibraryID, bus.Library]{
		noun: noun[bus.LibraryID, bus.Library]{
			zh: "库", en: "library", example: "population",
			columns: []column[bus.Library]{
				{"id", "标识", func(l bus.Library) string { return string(l.ID) }},
				{"name", "名称", func(l bus.Library) string { return l.Name }},
				{"kind", "类型", func(l bus.Library) string { return string(l.Kind) }},
				{"prefix", "代码前缀", func(l bus.Library) string { return l.Prefix }},
				{"lead", "牵头部门", func(l bus.Library) string { return string(l.Lead) }},
				{"revision", "修订号", func(l bus.Library) string { return sprint(l.Revision) }},
			},
			details: []column[bus.Library]{
				{"resources", "资源数", func(l bus.Library) string { return sprint(l.Resources) }},
			},
			entries: func(c *client.Client) client.Readable[bus.LibraryID, bus.Library] { return c.Libraries().Readable },
		},
		check: func(l bus.Library) []bus.Defect {
			if l.Kind == bus.LibraryBase { // only its lead changes: the node knows the rest
				return nil
			}
			return l.Check()
		},
		name: func(l *bus.Library) (bus.LibraryID, *bus.Revision) { return l.ID, &l.Revision },
		put: func(ctx context.Context, c *client.Client, l bus.Library) (bus.Library, error) {
			return c.Libraries().Put(ctx, l)
		},
	}
}
