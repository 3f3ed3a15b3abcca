package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"github.com/gxbus/gxbus/node/demo"
	"github.com/gxbus/gxbus/pkg/bus"
)

func (a *app) demoCommand() *cobra.Command {
	var once, keep bool
	var dir string
	o := demo.Options{}
	cmd := &cobra.Command{
		Use: "demo", Short: a.say("用五个节点演示完整的共享交换过程", "Tell the whole story with five nodes on this machine"), Args: a.exactly(),
		Long: a.say(`在本机启动五个节点（1 省 2 市 2 区，各一个进程），装入样例部门和资源，演示跨层级交换、脱敏、
拒绝、市级收窄、撤销授权、主节点被强制终止和存证验证。演示完成后节点保持运行，按 Ctrl-C 结束。`,
			`Start five nodes on this machine (a province, two cities, two counties; a process each), load sample
departments and resources, and show an exchange across the levels: masked, denied, narrowed, revoked,
through the loss of the leader, with evidence that verifies. The nodes stay up until Ctrl-C.`),
		Example: "  gxbus demo\n  gxbus demo --once --output json\n  gxbus demo --dir ./demo",
	}
	f := cmd.Flags()
	f.BoolVar(&once, "once", false, a.say("演示完即结束", "end when the story is told"))
	f.BoolVar(&keep, "keep", false, a.say("保留临时数据目录（用 --dir 指定的目录总是保留）", "keep the temporary data directory; one named with --dir is always kept"))
	f.StringVar(&dir, "dir", "", a.say("数据 `目录`，缺省为临时目录", "`directory` for the data; a temporary one where left out"))
	f.IntVar(&o.Events, "events", 1000, a.say("发布的事件 `数`", "`number` of events to publish"))
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if o.Events < 1 || o.Events > 100_000 {
			return a.usage(cmd, "--events 应为 1–100000", "--events is 1–100000")
		}
		return a.demo(cmd.Context(), o, dir, once, keep)
	}
	cmd.AddCommand(a.demoLoad())
	return cmd
}

func (a *app) demo(ctx context.Context, o demo.Options, dir string, once, keep bool) (err error) {
	if o.Program, err = os.Executable(); err != nil {
		return fmt.Errorf("find this program: %w", err)
	}
	if o.Dir, err = demoDir(dir); err != nil {
		return err
	}
	if !keep && dir == "" {
		defer func() { err = errors.Join(err, os.RemoveAll(o.Dir)) }()
	}
	if a.output == "table" {
		o.Tell = a.tellStep
		a.notice("数据目录 "+o.Dir, "data in "+o.Dir)
	}
	told, err := demo.Run(ctx, o)
	defer func() { err = errors.Join(err, told.Close()) }()
	if a.output != "table" {
		err = errors.Join(err, a.print(told.Report, gridOf(a, stepColumnsOfDemo(a.lang), told.Report.Steps)))
	}
	if err != nil || once {
		return err
	}
	a.whereToLook(told, o.Dir)
	<-ctx.Done()
	a.notice("正在停止节点…", "stopping the nodes…")
	return nil
}

// demoDir makes the demo's directory. One that has something in it is refused:
// the demo removes what it made.
func demoDir(dir string) (string, error) {
	if dir == "" {
		return os.MkdirTemp("", "gxbus-demo-")
	}
	dir, err := filepath.Abs(dir) // it is told to others
	if err != nil {
		return "", err
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", err
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return "", err
	}
	if len(entries) > 0 {
		return "", bus.E(bus.CodeInUse, bus.Defect{Field: "dir", Problem: bus.Text{ZH: "目录不为空：" + dir, EN: "not empty: " + dir}, Allowed: "an empty or new directory"})
	}
	return dir, nil
}

// tellStep prints a step as it ends, so that the story can be followed.
func (a *app) tellStep(s demo.Step) {
	sign := "✓"
	if !s.OK {
		sign = "✗"
	}
	fmt.Fprintf(a.Out, "%s %s %6.1f s  %s\n", sign, padded(s.Title.In(a.lang), 34), float64(s.Millis)/1000, printable(s.Told.In(a.lang)))
}

func stepColumnsOfDemo(lang bus.Lang) []column[demo.Step] {
	return []column[demo.Step]{
		{"name", "步骤", func(s demo.Step) string { return s.Name }},
		{"ok", "成功", func(s demo.Step) string { return sprint(s.OK) }},
		{"ms", "毫秒", func(s demo.Step) string { return sprint(s.Millis) }},
		{"detail", "说明", func(s demo.Step) string { return s.Told.In(lang) }},
	}
}

func (a *app) whereToLook(d *demo.Demo, dir string) {
	first := d.Report.Nodes[0]
	fmt.Fprintf(a.Out, a.say(`
节点仍在运行。另开一个终端看看：

  export GXBUS_SERVER=%[1]s GXBUS_CA=%[2]s/%[3]s/ca.crt
  %[5]s login auditor          # 口令 %[4]s
  %[5]s status                 # 成员、表决权、主节点、落后
  %[5]s audit trace registration-000007
  %[5]s audit verify
  %[5]s resource list
  %[5]s demo load --dir quarter --scale 0.01    # 一个季度的样例数据及其评价报告

业务系统怎么接入（docs/examples 另有 curl、Python、Node.js 和 Go 的）：

  . %[2]s/consumer.env && java docs/examples/java/Agency.java pull
  . %[2]s/provider.env && java docs/examples/java/Agency.java publish     # 再开一个终端

接口说明 https://%[1]s/openapi.json，日志 %[2]s/*.log。按 Ctrl-C 结束。
`, `
The nodes are up. Look around from another terminal:

  export GXBUS_SERVER=%[1]s GXBUS_CA=%[2]s/%[3]s/ca.crt
  %[5]s login auditor          # password %[4]s
  %[5]s status                 # members, suffrage, leader, lag
  %[5]s audit trace registration-000007
  %[5]s audit verify
  %[5]s resource list
  %[5]s demo load --dir quarter --scale 0.01    # a sample quarter and its evaluation report

How an agency's system does it (docs/examples has curl, Python, Node.js and Go too):

  . %[2]s/consumer.env && java docs/examples/java/Agency.java pull
  . %[2]s/provider.env && java docs/examples/java/Agency.java publish     # from another terminal

The API is described at https://%[1]s/openapi.json, logs are in %[2]s/*.log. Ctrl-C ends it all.
`), first.API, dir, first.ID, d.Password("auditor"), os.Args[0])
}
