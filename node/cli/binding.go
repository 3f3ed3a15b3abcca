package cli

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/gxbus/gxbus/pkg/binding"
	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/client"
)

func (a *app) bindingCommand() *cobra.Command {
	return a.group("binding", "服务挂接", "What resources are bound to",
		a.putBinding(), a.listBindings(), a.showBinding(), a.probeBinding(), a.deleteBinding())
}

func (a *app) bindingColumns() []column[binding.Shown] {
	return []column[binding.Shown]{
		{"resource", "数据资源", func(b binding.Shown) string { return string(b.Resource) }},
		{"kind", "类型", func(b binding.Shown) string { return string(b.Kind) }},
		{"timeout_ms", "时限（毫秒）", func(b binding.Shown) string { return sprint(b.Timeout) }},
		{"max_rows", "行数上限", func(b binding.Shown) string { return sprint(b.MaxRows) }},
		{"max_bytes", "字节上限", func(b binding.Shown) string { return sprint(b.MaxBytes) }},
		{"by", "挂接人", func(b binding.Shown) string { return b.By }},
		{"at", "挂接时间", func(b binding.Shown) string { return stamp(b.At) }},
		{"state", "挂接状态", func(b binding.Shown) string {
			if b.Unreadable {
				return a.say("无法解密", "unreadable")
			}
			return a.attachmentState(b.Attachment)
		}},
		{"since", "状态起始", func(b binding.Shown) string {
			if b.Attachment == nil {
				return ""
			}
			return stamp(b.Attachment.Since)
		}},
		{"heartbeat", "最近心跳", func(b binding.Shown) string {
			if b.Attachment == nil {
				return ""
			}
			return stamp(b.Attachment.Heartbeat)
		}},
	}
}

var attachmentWords = map[string]string{"attached": "已挂接", "failing": "异常", "detached": "已解除"}

// attachmentState says how the service that a resource is bound to is; empty where
// nobody asked it yet.
func (a *app) attachmentState(at *bus.Attachment) string {
	if at == nil {
		return ""
	}
	return a.wordOf(attachmentWords, string(at.State))
}

func (a *app) putBinding() *cobra.Command {
	var file string
	cmd := &cobra.Command{
		Use: "put", Short: a.say("将资源挂接到提供部门的服务", "Bind a resource to a service of its provider"), Args: a.exactly(),
		Long: a.say("由提供部门在本部门所在节点办理。地址与密钥仅在该节点加密保存，不进入目录、日志和错误，也不再显示。",
			"By the provider's department, at its node. Addresses and secrets are kept there, encrypted; they do not enter the\ndirectory, logs or errors, and are not shown again."),
		Example: "  gxbus binding put -f binding.yaml\n  gxbus binding put -f - < binding.yaml",
	}
	cmd.Flags().StringVarP(&file, "file", "f", "", a.say("YAML 或 JSON `文件`，\"-\" 为标准输入", "YAML or JSON `file`, \"-\" for the standard input"))
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if err := a.need(cmd, "file"); err != nil {
			return err
		}
		bindings, err := readDocuments[binding.Binding](a, file)
		if err != nil {
			return err
		}
		for i, b := range bindings {
			if err := bus.Invalid(numbered(i+1, b.Check())); err != nil {
				return err
			}
		}
		return a.remote(func(ctx context.Context, c *client.Client, _ *cobra.Command, _ []string) error {
			var all []binding.Shown
			for _, b := range bindings {
				shown, err := c.PutBinding(ctx, b)
				if err != nil {
					return err
				}
				all = append(all, shown)
			}
			return printList(a, a.bindingColumns(), all)
		})(cmd, args)
	}
	return cmd
}

func (a *app) listBindings() *cobra.Command {
	return &cobra.Command{
		Use: "list", Short: a.say("列出本节点的挂接", "List the bindings of the node"), Args: a.exactly(), Example: "  gxbus binding list",
		RunE: a.remote(func(ctx context.Context, c *client.Client, _ *cobra.Command, _ []string) error {
			all, err := c.Bindings(ctx)
			if err != nil {
				return err
			}
			return printList(a, a.bindingColumns(), all)
		}),
	}
}

func (a *app) showBinding() *cobra.Command {
	return a.ofBinding("show", "查看挂接（不含地址与密钥）", "Show a binding, but for its address and secrets", func(ctx context.Context, c *client.Client, id bus.ResourceID) error {
		b, err := c.Binding(ctx, id)
		if err != nil {
			return err
		}
		return printOne(a, a.bindingColumns(), b)
	})
}

func (a *app) probeBinding() *cobra.Command {
	return a.ofBinding("probe", "探测所挂接的服务", "Ask whether the service is there", func(ctx context.Context, c *client.Client, id bus.ResourceID) error {
		if err := c.ProbeBinding(ctx, id); err != nil {
			return err
		}
		a.notice("服务可用", "the service is there")
		return nil
	})
}

func (a *app) deleteBinding() *cobra.Command {
	return a.ofBinding("delete", "解除挂接", "End a binding", func(ctx context.Context, c *client.Client, id bus.ResourceID) error {
		return c.DeleteBinding(ctx, id)
	})
}

func (a *app) ofBinding(use, zh, en string, do func(context.Context, *client.Client, bus.ResourceID) error) *cobra.Command {
	return &cobra.Command{
		Use: use + " RESOURCE", Short: a.say(zh, en), Args: a.exactly("RESOURCE"), ValidArgsFunction: resources(a).complete(a),
		Example: "  gxbus binding " + use + " enterprise-registration",
		RunE: a.remote(func(ctx context.Context, c *client.Client, _ *cobra.Command, args []string) error {
			return do(ctx, c, bus.ResourceID(args[0]))
		}),
	}
}
