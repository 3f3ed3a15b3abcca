package doctor

import (
	"fmt"
	"strings"
	"time"

	"github.com/gxbus/gxbus/pkg/audit"
	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/client"
)

// Witness judges how far the node's evidence log is cosigned by another node.
func Witness(w client.Witness, err error) client.Check {
	const name = "witness"
	call := bus.Text{ZH: "保持数据目录原样，通知审计管理员", EN: "keep the data directory as it is and call the auditor"}
	switch {
	case err != nil:
		return Fail(name, err.Error(), err.Error(), call)
	case w.Node == "":
		return Skipped(name, "没有其他节点可联署存证", "there is no other node to cosign the evidence")
	case w.Refused != "":
		return Fail(name, fmt.Sprintf("节点 %s 拒绝联署本节点的存证日志（%s）", w.Node, w.Refused), fmt.Sprintf("node %s refuses to cosign this node's evidence log (%s)", w.Node, w.Refused), call)
	case w.Late:
		since := w.Since.UTC().Format(time.RFC3339)
		return Warn(name, fmt.Sprintf("自 %s 起的 %d 条存证未经 %s 联署", since, w.Leaves-w.Size, w.Node),
			fmt.Sprintf("%d leaves since %s are not cosigned by %s", w.Leaves-w.Size, since, w.Node),
			bus.Text{ZH: "检查与该节点的连接；共享照常进行", EN: "check the connection with that node; sharing goes on meanwhile"})
	}
	return OK(name, fmt.Sprintf("%d 条中的 %d 条已由 %s 联署", w.Leaves, w.Size, w.Node), fmt.Sprintf("%d of %d leaves cosigned by %s", w.Size, w.Leaves, w.Node))
}

// Contradictions judges what this node, as a witness, refused of others' logs.
func Contradictions(found []audit.Contradiction, err error) client.Check {
	const name = "witnessed logs"
	if err != nil {
		return Fail(name, err.Error(), err.Error(), bus.Text{})
	}
	if len(found) == 0 {
		return OK(name, "没有矛盾的存证日志", "no log contradicts what was cosigned of it")
	}
	words := make([]string, len(found))
	for i, c := range found {
		words[i] = fmt.Sprintf("%s: %s (%s)", c.Origin, c, c.At.Format(time.RFC3339))
	}
	list := strings.Join(words, "; ")
	return Fail(name, list, list, bus.Text{ZH: "该节点的磁盘可能被回退或日志被改写：保留双方数据目录，通知审计管理员", EN: "that node's disk was rolled back or its log rewritten: keep both data directories and call the auditor"})
}
