package cli

import (
	"fmt"
	"net"

	"github.com/spf13/cobra"

	"github.com/gxbus/gxbus/node/server"
	"github.com/gxbus/gxbus/pkg/bus"
)

// foundingFlags are what init and join ask alike.
func (a *app) foundingFlags(cmd *cobra.Command, f *server.Founding) {
	flags := cmd.Flags()
	flags.StringVar((*string)(&f.Dir), "data-dir", server.DefaultConfig().DataDir, a.say("数据 `目录`，须为空或不存在", "data `directory`, empty or new"))
	flags.StringVar((*string)(&f.Node), "node", "", a.say("节点 `标识`，如 guangzhou", "`id` of the node, e.g. guangzhou"))
	flags.StringVar((*string)(&f.Division), "division", "", a.say("行政区划 `代码`，如 440100", "`code` of its division, e.g. 440100"))
	flags.StringVar(&f.PeerAddress, "peer-address", "", a.say("其他节点连接本节点的 `地址`（host:port）", "`address` other nodes dial (host:port)"))
	flags.StringVar(&f.APIAddress, "api-address", "", a.say("业务系统和管理员连接的 `地址`（host:port）", "`address` agencies and administrators dial (host:port)"))
	flags.StringSliceVar(&f.Hosts, "host", nil, a.say("证书中另加的 `主机名` 或 IP", "further `name` or IP in the node's certificate"))
}

func (a *app) initCommand() *cobra.Command {
	var f server.Founding
	cmd := &cobra.Command{
		Use: "init", Short: a.say("建立新集群的第一个节点", "Make the first node of a new cluster"), Args: a.exactly(),
		Long: a.say("建立新集群的第一个节点：集群根证书、节点密钥和三员账号。三个一次性口令只显示这一次。",
			"Make the first node of a new cluster: its root certificate, the node's keys, and the three separated\nadministrator accounts. Their one-time passwords are shown this once."),
		Example: "  gxbus init --data-dir /var/lib/gxbus --node guangdong --division 440000 \\\n      --peer-address 10.0.0.1:8441 --api-address 10.0.0.1:8440",
	}
	a.foundingFlags(cmd, &f)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if err := a.need(cmd, "node", "division", "peer-address", "api-address"); err != nil {
			return err
		}
		f.Now = a.Now()
		passwords, err := server.Init(cmd.Context(), f)
		if err != nil {
			return err
		}
		a.notice("一次性口令只显示这一次，首次登录时须修改", "these one-time passwords are shown only once, and changed at the first sign-in")
		if err := printList(a, passwordColumns, passwords); err != nil {
			return err
		}
		a.nextSteps(f)
		return nil
	}
	return cmd
}

var passwordColumns = []column[server.OneTime]{
	{"account", "账号", func(p server.OneTime) string { return p.Account }},
	{"role", "角色", func(p server.OneTime) string { return string(p.Role) }},
	{"password", "一次性口令", func(p server.OneTime) string { return p.Password }},
}

func (a *app) nextSteps(f server.Founding) {
	serve := fmt.Sprintf("gxbus serve --data-dir %s", f.Dir)
	if _, port, err := net.SplitHostPort(f.PeerAddress); err == nil {
		serve += " --peer-listen 0.0.0.0:" + port
	}
	if _, port, err := net.SplitHostPort(f.APIAddress); err == nil {
		serve += " --api-listen 0.0.0.0:" + port
	}
	a.notice("下一步："+serve, "next: "+serve)
}

func (a *app) joinCommand() *cobra.Command {
	var f server.Founding
	var tokenFile string
	var relayed bool
	cmd := &cobra.Command{
		Use: "join", Short: a.say("凭入网令牌加入已有集群", "Make a node of an existing cluster with a join token"), Args: a.exactly(),
		Long: a.say("凭入网令牌加入已有集群。--server 是任一已有节点的接口地址；令牌从文件或标准输入读取。\n防火墙内、不接受其他节点连接的节点用 --relayed 代替 --peer-address：只连上级节点，由其转接；此类节点不参与表决。",
			"Make a node of an existing cluster. --server is the API address of any member; the token is read from\na file or from standard input. A join that was cut off can be repeated with the same token.\nA node behind a firewall takes --relayed instead of --peer-address: it connects to the node above, which\nrelays for it, and takes no connections. Such a node cannot vote."),
		Example: "  gxbus join --server 10.0.0.1:8440 --token-file token --data-dir /var/lib/gxbus --node guangzhou \\\n      --division 440100 --peer-address 10.0.1.1:8441 --api-address 10.0.1.1:8440\n" +
			"  gxbus join --server 10.0.1.1:8440 --token-file token --data-dir /var/lib/gxbus --node tianhe \\\n      --division 440106 --relayed --api-address 10.1.6.1:8440",
	}
	a.foundingFlags(cmd, &f)
	cmd.Flags().BoolVar(&relayed, "relayed", false, a.say("不接受其他节点的连接，经上级节点转接", "take no connections of other nodes: the node above relays"))
	cmd.Flags().StringVar(&tokenFile, "token-file", "-", a.say("入网令牌 `文件`，- 为标准输入", "`file` with the join token; - is standard input"))
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if err := a.need(cmd, "server", "node", "division", "api-address"); err != nil {
			return err
		}
		if relayed == (f.PeerAddress != "") {
			return a.usage(cmd, "--peer-address 与 --relayed 须二者选一", "one of --peer-address and --relayed is needed")
		}
		token, err := a.passwordFile(tokenFile)
		if err != nil {
			return err
		}
		f.Now = a.Now()
		if err := server.Join(cmd.Context(), f, a.server, token); err != nil {
			return err
		}
		a.notice("已加入集群", "joined")
		a.nextSteps(f)
		return a.print(struct {
			Node     bus.NodeID       `json:"node"`
			Division bus.DivisionCode `json:"division"`
		}{f.Node, f.Division}, grid{keys: []string{"node", "division"}, heads: []string{a.say("节点", "node"), a.say("行政区划", "division")}, rows: [][]string{{string(f.Node), string(f.Division)}}})
	}
	return cmd
}
