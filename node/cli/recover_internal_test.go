package cli

import (
	"bytes"
	"strings"
	"testing"

	"github.com/gxbus/gxbus/node/server"
	"github.com/gxbus/gxbus/pkg/bus"
)

// What recover says decides what somebody does who has lost a quorum.
func TestRecoverSaysWhatToDo(t *testing.T) {
	voters := []bus.NodeID{"a", "b", "c", "d", "e"}
	for name, c := range map[string]struct {
		survey server.Survey
		en, zh []string // all of it, line by line: a part of each
	}{
		"no voter": {server.Survey{Node: "x", Voters: voters}, []string{"this node does not vote"}, []string{"本节点不是表决成员"}},
		"the only voter": {
			server.Survey{Node: "a", Voters: voters[:1]}, []string{"do not recover, start it"}, []string{"无须恢复"},
		},
		"a majority": {
			server.Survey{Node: "a", Voters: voters, Reachable: []bus.NodeID{"b", "c"}}, []string{"b, c answer: do not recover, start this node"}, []string{"（b, c）：无须恢复"},
		},
		"one of three": {
			server.Survey{Node: "a", Voters: voters[:3]},
			[]string{"b, c do not answer. A cut network looks the same", "to recover is to give up b, c"}, []string{"b, c 无应答。网络中断看来也是如此", "恢复即放弃 b, c"},
		},
		"two of five": {
			server.Survey{Node: "a", Voters: voters, Reachable: []bus.NodeID{"b"}},
			[]string{"c, d, e do not answer", "there are b too: stop them, look at each with --dry-run", "to recover is to give up b, c, d, e"},
			[]string{"c, d, e 无应答", "尚有 b：停机后逐个用 --dry-run 查看", "恢复即放弃 b, c, d, e"},
		},
	} {
		for lang, want := range map[bus.Lang][]string{bus.English: c.en, bus.Chinese: c.zh} {
			checkLines(t, name, said(lang, func(a *app) { a.advise(c.survey) }), want)
		}
	}
	recovered := func(lost ...bus.NodeID) func(*app) {
		return func(a *app) {
			if err := a.recovered(server.Recovered{Survey: server.Survey{Node: "a"}, Lost: lost}); err != nil {
				t.Error(err)
			}
		}
	}
	checkLines(t, "after", said(bus.English, recovered("b", "c")), []string{
		"1. start this node", "2. see to it that b, c do not start", "--data-dir DIR --rejoin there, then start it", "gxbus node remove ID", "gxbus node promote ID",
	})
	checkLines(t, "after, none lost", said(bus.Chinese, recovered()), []string{"1. 启动本节点"})
}

func said(lang bus.Lang, do func(*app)) []string {
	var out, errs bytes.Buffer
	do(&app{Process: Process{Out: &out, Err: &errs}, lang: lang, output: "table"})
	return strings.Split(strings.TrimSuffix(errs.String(), "\n"), "\n")
}

func checkLines(t *testing.T, name string, got, want []string) {
	t.Helper()
	for i, line := range got {
		if len(got) != len(want) || !strings.Contains(line, want[i]) {
			t.Errorf("%s:\n%s\nwant %q", name, strings.Join(got, "\n"), want)
			return
		}
	}
}
