package cli

import (
	"fmt"
	"strings"
)

// notice tells something beside the result, on the error stream.
func (a *app) notice(zh, en string) { fmt.Fprintln(a.Err, printable(a.say(zh, en))) }

func sprint(parts ...any) string {
	var b strings.Builder
	for _, p := range parts {
		fmt.Fprint(&b, p)
	}
	return b.String()
}

// secret prints a secret, once: alone on the standard output, where a script
// reads it, or within value where a format was asked for. The warning goes to
// the error stream.
func (a *app) secret(word string, value any) error {
	a.notice("该凭证只显示这一次，请妥善保存", "this secret is shown only once; keep it safe")
	switch a.output {
	case "json":
		return writeJSON(a.Out, value)
	case "yaml":
		return writeYAML(a.Out, value)
	default:
		_, err := fmt.Fprintln(a.Out, word)
		return err
	}
}

// bar shows on a terminal how far a long list has come.
type bar struct {
	a           *app
	made, total int
	shown       bool
	about       string // what is done; empty where the command says it
}

const longList = 10

// progress makes a bar; total 0 is an unknown end. It stays silent for a short
// list and where the error stream is no terminal.
func (a *app) progress(total int) *bar {
	_, tty := terminal(a.Err)
	return &bar{a: a, total: total, shown: tty && (total == 0 || total > longList)}
}

func (b *bar) step() { b.add(1) }

func (b *bar) add(n int) {
	b.made += n
	if !b.shown {
		return
	}
	if b.total == 0 {
		fmt.Fprintf(b.a.Err, "\r%d %s", b.made, b.about)
		return
	}
	const width = 30
	full := width * b.made / b.total
	fmt.Fprintf(b.a.Err, "\r[%s%s] %d/%d %s", strings.Repeat("#", full), strings.Repeat(" ", width-full), b.made, b.total, b.about)
}

// done ends the bar's line.
func (b *bar) done() {
	if b.shown && (b.made > 0 || b.about != "") {
		fmt.Fprintln(b.a.Err)
	}
	b.shown = false
}
