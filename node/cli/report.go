package cli

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"strings"

	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/client"
)

// Codes of failures on this side of the connection.
const (
	codeUsage       bus.Code = "usage"
	codeFailed      bus.Code = "failed"
	codeUnreachable bus.Code = "node-unreachable"
	codeFile        bus.Code = "file-unusable"
	codeUntrusted   bus.Code = "node-untrusted"
	codeInterrupted bus.Code = "interrupted"
	codeUnwell      bus.Code = "node-unwell"
)

// told is an error as people see it.
type told struct {
	client.Problem
	hint string
	exit int
}

// tell writes err to the error stream and gives the exit code. With -o json it
// is written as a problem document.
func (a *app) tell(err error) int {
	t := a.told(err)
	if a.output == "json" {
		enc := json.NewEncoder(a.Err)
		enc.SetEscapeHTML(false)
		enc.SetIndent("", "  ")
		_ = enc.Encode(t.Problem)
		return t.exit
	}
	fmt.Fprintf(a.Err, "gxbus: %s%s%s\n", t.Code, a.say("：", ": "), printable(t.Title))
	for _, d := range t.Defects {
		fmt.Fprintf(a.Err, "  - %s\n", printable(d.In(a.lang)))
	}
	if t.Detail != "" && len(t.Defects) == 0 { // else it says the defects again
		fmt.Fprintf(a.Err, "  %s\n", printable(t.Detail))
	}
	if t.DecisionID != "" {
		fmt.Fprintf(a.Err, "  %s%s\n", a.say("决策编号：", "decision: "), printable(t.DecisionID))
	}
	if t.hint != "" {
		fmt.Fprintf(a.Err, "  %s%s\n", a.say("提示：", "hint: "), t.hint)
	}
	return t.exit
}

func (a *app) told(err error) told {
	t := told{Problem: a.problem(err), exit: ExitFailure}
	t.Type = "about:blank"
	t.hint = a.hint(t.Code)
	if usage, ok := errors.AsType[*usageError](err); ok {
		t.exit, t.hint = ExitUsage, usage.command+" --help"
	}
	return t
}

// problem puts any error into the API's form of one.
func (a *app) problem(err error) client.Problem {
	if p, ok := errors.AsType[*client.Problem](err); ok {
		problem := *p
		if text := p.Code.Text().In(a.lang); p.Code.Known() {
			problem.Title = text
		}
		return problem
	}
	if e, ok := errors.AsType[*bus.Error](err); ok {
		p := client.Problem{Code: e.Code, Title: e.Code.Text().In(a.lang), Defects: e.Defects}
		if e.Err != nil {
			p.Detail = e.Err.Error()
		}
		return p
	}
	if usage, ok := errors.AsType[*usageError](err); ok {
		return client.Problem{Code: codeUsage, Title: usage.message}
	}
	code, title := a.local(err)
	return client.Problem{Code: code, Title: title, Detail: err.Error()}
}

// local names failures that never reached a node.
func (a *app) local(err error) (bus.Code, string) {
	if errors.Is(err, errUnwell) {
		return codeUnwell, a.say("节点有未通过的检查", "the node is not well")
	}
	if errors.Is(err, context.Canceled) {
		return codeInterrupted, a.say("已中断", "interrupted")
	}
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return codeUntrusted, a.say("节点证书不受信任", "the node's certificate is not trusted")
	}
	if _, ok := errors.AsType[*fs.PathError](err); ok {
		return codeFile, a.say("文件或目录无法使用", "a file or directory cannot be used")
	}
	if _, ok := errors.AsType[net.Error](err); ok {
		return codeUnreachable, a.say("无法连接节点", "the node cannot be reached")
	}
	return codeFailed, a.say("操作失败", "the command failed")
}

// hint says what to do next.
func (a *app) hint(code bus.Code) string {
	switch code {
	case bus.CodeUnauthenticated:
		return a.say("请登录：gxbus login ACCOUNT；业务系统请设置 GXBUS_TOKEN", "sign in: gxbus login ACCOUNT; a system sets GXBUS_TOKEN")
	case bus.CodePasswordChange:
		return a.say("请设新口令：gxbus login ACCOUNT --new-password-file FILE", "choose a password: gxbus login ACCOUNT --new-password-file FILE")
	case bus.CodeRevision:
		return a.say("请用 show 重新读取，改后再写入", "read it again with show, then put the change")
	case bus.CodeResync:
		return a.say("请重新列出目录条目，再用其位置作 --from 继续", "list the entries anew, then go on with the index of then as --from")
	case bus.CodeNoLeader, bus.CodeUnavailable, bus.CodePeerUnreachable, bus.CodeWrongNode:
		return a.say("查看节点状态：gxbus status", "see the nodes: gxbus status")
	case bus.CodePolicyRefused:
		return a.say("逐条检查：gxbus policy check DIR --layer LAYER", "see each problem: gxbus policy check DIR --layer LAYER")
	case bus.CodeForbidden:
		return a.say("此操作属于其他角色，见 docs/operations.md 的 Who does what", "this is another role's to do: see docs/operations.md, \"Who does what\"")
	case codeUntrusted:
		return a.say("请用 --ca 指定集群 CA 证书", "name the cluster's CA with --ca")
	case codeUnreachable:
		return a.say("请检查 --server 地址及节点是否运行", "check --server, and that the node runs")
	default:
		return ""
	}
}

// printable writes what a terminal would obey as escapes, so that no text from
// elsewhere moves the cursor, breaks a line or reverses its order.
func printable(s string) string {
	var b strings.Builder
	for _, r := range s {
		if r == '\u3000' || isGraphic(r) {
			b.WriteRune(r)
			continue
		}
		quoted := fmt.Sprintf("%+q", r)
		b.WriteString(quoted[1 : len(quoted)-1])
	}
	return b.String()
}
