package cli

import (
	"context"
	"fmt"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/gxbus/gxbus/pkg/audit"
	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/client"
)

func (a *app) proveEvent() *cobra.Command {
	var file string
	cmd := &cobra.Command{
		Use: "prove EVENT_ID", Short: a.say("为一个事件生成可离线验证的证明文件", "Make a file that proves what is recorded of an event"), Args: a.exactly("EVENT_ID"),
		Example: "  gxbus audit prove 2f6c1d -f 2f6c1d.proof\n  gxbus audit check 2f6c1d.proof --keys evidence.keys",
	}
	cmd.Flags().StringVarP(&file, "file", "f", "-", a.say("写入 `文件`", "write to `file`"))
	cmd.RunE = a.remote(func(ctx context.Context, c *client.Client, _ *cobra.Command, args []string) error {
		proof, err := c.AuditProof(ctx, args[0])
		if err != nil {
			return err
		}
		if file == "-" {
			_, err = fmt.Fprint(a.Out, proof.File)
			return err
		}
		return copyToFile(file, strings.NewReader(proof.File))
	})
	return cmd
}

func (a *app) evidenceKeys() *cobra.Command {
	return &cobra.Command{
		Use: "keys", Short: a.say("列出各节点的存证公钥，供离线验证", "List the nodes' public evidence keys, for checking elsewhere"), Args: a.exactly(),
		Example: "  gxbus audit keys > evidence.keys",
		RunE: a.remote(func(ctx context.Context, c *client.Client, _ *cobra.Command, _ []string) error {
			nodes, err := c.Nodes(ctx)
			for _, n := range nodes {
				fmt.Fprintln(a.Out, printable(n.EvidenceKey))
			}
			return err
		}),
	}
}

func (a *app) checkProof() *cobra.Command {
	var keys string
	cmd := &cobra.Command{
		Use: "check FILE", Short: a.say("离线验证证明文件", "Check a proof, without a node"), Args: a.exactly("FILE"),
		Long: a.say(`离线验证 gxbus audit prove 生成的文件，只需各节点的公钥（gxbus audit keys），一行一个。
公钥应经可信渠道取得：谁给出公钥，就是信任谁。`,
			`Check a file of gxbus audit prove. It takes the nodes' public keys (gxbus audit keys), one a line, and no node.
Get the keys from somebody you trust: they are what everything rests on.`),
		Example: "  gxbus audit check 2f6c1d.proof --keys evidence.keys",
	}
	cmd.Flags().StringVar(&keys, "keys", "", a.say("公钥 `文件`", "`file` of public keys"))
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if keys == "" {
			return a.usage(cmd, "缺少 --keys", "missing --keys")
		}
		known, err := readKeys(keys)
		if err != nil {
			return err
		}
		file, err := os.ReadFile(args[0])
		if err != nil {
			return bus.NotFound("file", args[0]).Because(err)
		}
		proven, err := audit.CheckProof(file, known...)
		if err != nil {
			return err
		}
		if a.output == "table" {
			a.provenWords(proven)
		}
		return a.print(proven, gridOf(a, a.provenColumns(), proven.Steps))
	}
	return cmd
}

// readKeys reads keys, one a line; lines that begin with # are for people.
func readKeys(path string) (keys []string, err error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, bus.NotFound("keys", path).Because(err)
	}
	for line := range strings.Lines(string(text)) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "#") {
			keys = append(keys, line)
		}
	}
	return keys, nil
}

// provenWords tells who sent what to whom, on what grounds.
func (a *app) provenWords(p audit.Proven) {
	say := func(zh, en string, args ...any) { fmt.Fprintf(a.Out, a.say(zh, en)+"\n", args...) }
	say("证明有效：事件 %s，由节点 %s 于 %s 出具", "The proof holds: event %s, made by node %s at %s", printable(p.Event), p.Node, instant(p.Made))
	if p.Digest != "" {
		say("事件摘要 sha256:%s", "digest of the event sha256:%s", p.Digest)
	}
	for _, s := range p.Steps {
		r := s.Record
		switch r.Kind {
		case audit.KindAccepted:
			say("  %s %s 向节点 %s 发布", "  %s %s published it at node %s", instant(r.At), printable(r.Principal.String()), s.Node)
		case audit.KindForwarded:
			say("  %s 节点 %s 依授权 %s、裁决 %s 发往部门 %s：第 %d–%d 号事件，摘要 %s", "  %s node %s, under grant %s, decision %s, sent to department %s: events %d–%d, digest %s",
				instant(r.At), s.Node, printable(string(r.Grant)), printable(r.DecisionID), r.Consumer, r.First, r.Last, r.Digest)
		case audit.KindReceived, audit.KindDelivered, audit.KindAcknowledged, audit.KindWithheld:
			say("  %s 节点 %s %s，部门 %s", "  %s node %s: %s, department %s", instant(r.At), s.Node, stepText(r).In(a.lang), r.Consumer)
		}
	}
	for _, g := range p.Grants {
		say("授权 %s：资源 %s 供部门 %s 使用，有效期 %s 至 %s", "grant %s: resource %s for department %s, from %s to %s",
			printable(string(g.ID)), printable(string(g.Resource)), g.Consumer, stamp(g.NotBefore), stamp(g.NotAfter))
	}
	if len(p.Silent) > 0 {
		say("出具时未答复的节点：%s", "nodes that did not answer when it was made: %s", listed(p.Silent))
	}
	for _, s := range p.Steps {
		if len(s.Witnesses) == 0 {
			say("注意：节点 %s 的检查点未经其他已知节点联署", "note: the checkpoint of node %s is cosigned by no other node that is known", s.Node)
			break
		}
	}
	fmt.Fprintln(a.Out)
}

func (a *app) provenColumns() []column[audit.ProvenStep] {
	return []column[audit.ProvenStep]{
		{"time", "时间", func(s audit.ProvenStep) string { return instant(s.Record.At) }},
		{"node", "节点", func(s audit.ProvenStep) string { return string(s.Node) }},
		{"leaf", "存证序号", func(s audit.ProvenStep) string { return fmt.Sprintf("%d/%d", s.Leaf, s.Of) }},
		{"step", "环节", func(s audit.ProvenStep) string { return stepText(s.Record).In(a.lang) }},
		{"who", "主体", func(s audit.ProvenStep) string { return s.Record.Principal.String() }},
		{"decision", "裁决", func(s audit.ProvenStep) string { return outcome(s.Record).In(a.lang) }},
		{"digest", "摘要", func(s audit.ProvenStep) string { return s.Record.Digest }},
		{"witnesses", "见证", func(s audit.ProvenStep) string { return witnessList(s.Witnesses) }},
		{"reason", "理由与义务", func(s audit.ProvenStep) string { return a.because(s.Record) }},
	}
}

func witnessList(all []audit.Cosignature) string {
	words := make([]string, len(all))
	for i, w := range all {
		words[i] = string(w.Witness) + " " + stamp(w.At)
	}
	return listed(words)
}
