package cli

import (
	"context"
	"os"

	"github.com/spf13/cobra"

	"github.com/gxbus/gxbus/node/evidence"
	"github.com/gxbus/gxbus/node/server"
	"github.com/gxbus/gxbus/pkg/audit"
	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/client"
)

func (a *app) verifyEvidence() *cobra.Command {
	var dataDir, key string
	cmd := &cobra.Command{
		Use: "verify [FILE]", Short: a.say("验证存证日志", "Verify an evidence log"), Args: cobra.MaximumNArgs(1),
		Long: a.say(`验证存证日志：重新计算每一条记录和整棵树，核对全部签名检查点，并指出第一条有问题的记录。
  不带参数：取所连节点的日志，用目录中登记的公钥和检查点在本机验证
  FILE：    验证导出文件，--key 给出该节点的公钥（gxbus node list -o json 的 evidence_key）
  --data-dir：验证已停止节点的数据目录`,
			`Verify an evidence log: recompute every leaf and the tree, check every signed checkpoint, and name the
first bad leaf.
  no argument:  fetch the log of the node and verify it here, with the key and checkpoints of the directory
  FILE:         verify an export; --key is the node's public key (evidence_key of gxbus node list -o json)
  --data-dir:   verify the data directory of a node that is not running`),
		Example: "  gxbus audit verify\n  gxbus audit verify evidence.jsonl --key 'gxbus/gx-abc/guangzhou+1a2b3c4d+…'\n  gxbus audit verify --data-dir /var/lib/gxbus",
	}
	cmd.Flags().StringVar(&dataDir, "data-dir", "", a.say("已停止节点的数据 `目录`", "data `directory` of a stopped node"))
	cmd.Flags().StringVar(&key, "key", "", a.say("节点的存证 `公钥`", "the node's evidence `key`, public"))
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		switch {
		case dataDir != "" && len(args) == 0:
			report, err := server.VerifyEvidence(server.DataDir(dataDir))
			return a.evidenceReport(report, err)
		case dataDir != "":
			return a.usage(cmd, "FILE 与 --data-dir 只能给一个", "give FILE or --data-dir, not both")
		case len(args) == 0:
			return a.remote(a.verifyRemote)(cmd, args)
		case key == "":
			return a.usage(cmd, "缺少 --key", "missing --key")
		}
		file, err := os.Open(args[0])
		if err != nil {
			return bus.NotFound("file", args[0]).Because(err)
		}
		defer file.Close()
		report, err := audit.VerifyExport(file, nil, key)
		return a.evidenceReport(report, err)
	}
	return cmd
}

func (a *app) verifyRemote(ctx context.Context, c *client.Client, _ *cobra.Command, _ []string) error {
	report, err := evidence.VerifyNode(ctx, c)
	return a.evidenceReport(report, err)
}

// evidenceReport prints a report, and fails where the log does not verify.
func (a *app) evidenceReport(r audit.Report, err error) error {
	if err != nil {
		return err
	}
	state := a.say("通过", "verified")
	if !r.Verified {
		state = a.say("未通过", "NOT VERIFIED")
	}
	bad := ""
	if r.BadLeaf >= 0 {
		bad = sprint(r.BadLeaf)
	}
	err = a.print(r, grid{
		keys:  []string{"result", "log", "leaves", "checkpoints", "bad_leaf", "problem"},
		heads: []string{a.say("结果", "result"), a.say("日志", "log"), a.say("记录数", "leaves"), a.say("检查点", "checkpoints"), a.say("问题记录", "bad leaf"), a.say("说明", "problem")},
		rows:  [][]string{{state, r.Origin, sprint(r.Leaves), sprint(r.Checkpoints), bad, r.Problem.In(a.lang)}},
	})
	if err == nil && !r.Verified {
		return errNotVerified
	}
	return err
}

// errNotVerified makes the command fail; the report has said why.
var errNotVerified = bus.E(bus.CodeEvidence)
