package cli

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/gxbus/gxbus/pkg/bus"
)

// Exit codes.
const (
	ExitOK      = 0
	ExitFailure = 1 // the command was understood and did not succeed
	ExitUsage   = 2 // the command was not understood; nothing was done
	ExitChanges = 3 // policy replay: some decisions would come out otherwise
	ExitUnknown = 4 // policy replay: none would, so far as can be told, but of some it cannot
)

// exitCode ends a command that has said all with a code of its own.
type exitCode int

func (c exitCode) Error() string { return fmt.Sprintf("exit code %d", int(c)) }

// Extra makes a command that the program adds to the tree.
type Extra func(lang bus.Lang) *cobra.Command

// Run carries out one command line, without the program's name, and returns the
// exit code. Errors are told on p.Err.
func Run(ctx context.Context, p Process, build Build, args []string, extra ...Extra) int {
	a := &app{Process: p, build: build, lang: Language(args, p.Env)}
	root := a.root(extra)
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	if code, ok := errors.AsType[exitCode](err); ok {
		return int(code)
	}
	if err != nil {
		return a.tell(err)
	}
	return ExitOK
}

// New returns the command tree, for generated documentation.
func New(p Process, build Build, lang bus.Lang, extra ...Extra) *cobra.Command {
	return (&app{Process: p, build: build, lang: lang}).root(extra)
}
