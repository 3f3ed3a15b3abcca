package cli

import (
	"context"
	"fmt"
	"io"
	"strings"

	"golang.org/x/term"

	"github.com/gxbus/gxbus/pkg/bus"
)

// maxPassword bounds a password file.
const maxPassword = 4 << 10

// password finds a password: in a file, in the environment, or by asking on a
// terminal. It is "" where there is none of these.
func (a *app) password(ctx context.Context, file, env, prompt string) (string, error) {
	if file != "" {
		return a.passwordFile(file)
	}
	if value := a.Env(env); value != "" {
		return value, nil
	}
	return a.ask(ctx, prompt)
}

// passwordFile reads the first line of a file.
func (a *app) passwordFile(file string) (string, error) {
	in, err := a.open(file)
	if err != nil {
		return "", err
	}
	defer in.Close()
	content, err := io.ReadAll(io.LimitReader(in, maxPassword))
	if err != nil {
		return "", err
	}
	line, _, _ := strings.Cut(string(content), "\n")
	if line = strings.TrimSuffix(line, "\r"); line == "" {
		return "", bus.E(bus.CodeInvalid, bus.Defect{Field: file, Problem: bus.Text{ZH: "文件第一行为空", EN: "the first line of the file is empty"}})
	}
	return line, nil
}

// ask reads a password from the terminal without echo. Such a read cannot be
// cut short, so on an interrupt it is left behind in a process that ends.
func (a *app) ask(ctx context.Context, prompt string) (string, error) {
	fd, ok := terminal(a.In)
	if !ok {
		return "", nil
	}
	before, err := term.GetState(fd)
	if err != nil {
		return "", err
	}
	fmt.Fprint(a.Err, prompt)
	type line struct {
		text []byte
		err  error
	}
	read := make(chan line, 1)
	go func() {
		text, err := term.ReadPassword(fd)
		read <- line{text, err}
	}()
	select {
	case got := <-read:
		fmt.Fprintln(a.Err)
		return string(got.text), got.err
	case <-ctx.Done():
		fmt.Fprintln(a.Err)
		_ = term.Restore(fd, before)
		return "", ctx.Err()
	}
}

// choose asks for a new password twice; "" where there is no terminal.
func (a *app) choose(ctx context.Context) (string, error) {
	first, err := a.ask(ctx, a.say("新口令：", "New password: "))
	if err != nil || first == "" {
		return "", err
	}
	second, err := a.ask(ctx, a.say("再输入一次：", "Again: "))
	if err != nil {
		return "", err
	}
	if first != second {
		return "", bus.E(bus.CodeInvalid, bus.Defect{Field: "new_password", Problem: bus.Text{ZH: "两次输入不一致", EN: "the two are not the same"}})
	}
	return first, nil
}
