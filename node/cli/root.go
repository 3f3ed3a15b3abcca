package cli

import (
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/gxbus/gxbus/pkg/bus"
)

// app is one run of the command line.
type app struct {
	Process
	build Build
	lang  bus.Lang

	server, ca, token string
	certificate, key  string // of a system
	output, langFlag  string
	timeout           time.Duration
	consistent        bool
}

var (
	outputs   = []string{"table", "json", "yaml", "csv"}
	languages = []string{"zh", "en"}
)

func (a *app) root(extra []Extra) *cobra.Command {
	root := a.group("gxbus", "政务数据共享交换节点", "Nodes of a government data sharing and exchange bus",
		a.initCommand(), a.joinCommand(), a.serveCommand(), a.demoCommand(),
		a.loginCommand(), a.logoutCommand(), a.statusCommand(), a.nodeCommand(), a.caCommand(), a.tokenCommand(),
		a.divisionCommand(), a.departmentCommand(), a.accountCommand(), a.systemCommand(),
		a.resourceCommand(), a.draftCommand(), a.triggerCommand(), a.claimCommand(), a.libraryCommand(), a.calendarCommand(),
		a.applicationCommand(), a.grantCommand(), a.subscriptionCommand(), a.eventCommand(), a.correctionCommand(), a.disputeCommand(), a.taskCommand(),
		a.policyCommand(), a.publishCommand(), a.pullCommand(), a.exchangeCommand(), a.bindingCommand(), a.queryCommand(), a.watchCommand(), a.auditCommand(), a.evaluationCommand(),
		a.backupCommand(), a.restoreCommand(), a.recoveryKeyCommand(), a.recoverCommand(), a.doctorCommand(), a.compactCommand(),
		a.versionCommand(), a.completionCommand(),
	)
	for _, make := range extra {
		root.AddCommand(make(a.lang))
	}
	root.SilenceErrors, root.SilenceUsage = true, true
	root.Example = `  gxbus demo
  gxbus login sysadmin --server 127.0.0.1:8440 --ca /var/lib/gxbus/ca.crt
  gxbus status
  gxbus resource list -o csv`
	root.CompletionOptions.DisableDefaultCmd = true
	root.SetIn(a.In)
	root.SetOut(a.Out)
	root.SetErr(a.Err)
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error { return a.usage(cmd, err.Error(), err.Error()) })
	root.SetUsageFunc(func(cmd *cobra.Command) error { return a.writeUsage(cmd) })
	root.SetHelpFunc(func(cmd *cobra.Command, _ []string) { a.writeHelp(cmd) })
	root.SetHelpCommand(a.helpCommand())
	root.PersistentPreRunE = func(cmd *cobra.Command, _ []string) error { return a.checkGlobals(cmd) }
	a.globalFlags(root)
	return root
}

func (a *app) globalFlags(root *cobra.Command) {
	flags := root.PersistentFlags()
	flags.BoolP("help", "h", false, a.say("显示帮助", "show help"))
	flags.StringVar(&a.server, "server", "", a.say("节点 `地址`，https URL 或 host:port（环境变量 GXBUS_SERVER；缺省为上次登录的节点）",
		"`address` of the node, https URL or host:port (env GXBUS_SERVER; else the node of the last login)"))
	flags.StringVar(&a.ca, "ca", "", a.say("集群 CA 证书 `文件`（GXBUS_CA；缺省为登录时所用）",
		"cluster CA `file` in PEM (env GXBUS_CA; else the one of the login)"))
	flags.StringVar(&a.token, "token", "", a.say("访问 `凭证` 或签名密钥（宜用环境变量 GXBUS_TOKEN，命令行参数他人可见）",
		"`bearer` or signing key (better in env GXBUS_TOKEN: others can see a command line)"))
	flags.StringVar(&a.certificate, "cert", "", a.say("业务系统客户端证书 `文件`（GXBUS_CERT）", "`file` with a system's client certificate in PEM (env GXBUS_CERT)"))
	flags.StringVar(&a.key, "key", "", a.say("该证书的私钥 `文件`（GXBUS_KEY）", "`file` with that certificate's key in PEM (env GXBUS_KEY)"))
	flags.StringVarP(&a.output, "output", "o", "table", a.say("输出 `格式`：table、json、yaml、csv", "output `format`: table, json, yaml, csv"))
	flags.StringVar(&a.langFlag, "lang", "", a.say("`语言`：zh、en（GXBUS_LANG；缺省随系统区域设置）", "`language`: zh, en (env GXBUS_LANG; else the locale)"))
	flags.DurationVar(&a.timeout, "timeout", 30*time.Second, a.say("单次请求的 `时限`", "`limit` of one request"))
	flags.BoolVar(&a.consistent, "consistent", false, a.say("读取须包含此前各节点已确认的全部写入（需要主节点）",
		"reads show every write acknowledged anywhere before (needs a leader)"))
	_ = root.RegisterFlagCompletionFunc("output", cobra.FixedCompletions(outputs, cobra.ShellCompDirectiveNoFileComp))
	_ = root.RegisterFlagCompletionFunc("lang", cobra.FixedCompletions(languages, cobra.ShellCompDirectiveNoFileComp))
}

func (a *app) checkGlobals(cmd *cobra.Command) error {
	if !slices.Contains(outputs, a.output) {
		wrong := a.output
		a.output = "table"
		return a.usage(cmd, "--output 不支持 "+wrong+"（允许：table、json、yaml、csv）", "--output cannot be "+wrong+" (allowed: table, json, yaml, csv)")
	}
	if a.langFlag != "" && !slices.Contains(languages, a.langFlag) {
		return a.usage(cmd, "--lang 不支持 "+a.langFlag+"（允许：zh、en）", "--lang cannot be "+a.langFlag+" (allowed: zh, en)")
	}
	if a.timeout <= 0 {
		return a.usage(cmd, "--timeout 应大于 0", "--timeout must be more than 0")
	}
	return nil
}

// group makes a command that only holds others.
func (a *app) group(use, zh, en string, commands ...*cobra.Command) *cobra.Command {
	group := &cobra.Command{Use: use, Short: a.say(zh, en), Args: cobra.ArbitraryArgs}
	group.RunE = func(cmd *cobra.Command, args []string) error {
		if len(args) == 0 {
			return cmd.Help()
		}
		zh, en := "没有命令 "+args[0], "no command "+args[0]
		if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
			zh, en = zh+"，是否指 "+near[0]+"？", en+"; did you mean "+near[0]+"?"
		}
		return a.usage(cmd, zh, en)
	}
	group.SuggestionsMinimumDistance = 2
	group.AddCommand(commands...)
	for _, c := range commands {
		if group.Example == "" {
			group.Example = c.Example
		}
	}
	return group
}
