package peer

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
)

// muxLogger gives the multiplexer's lines to slog. It says nothing of payloads,
// and its errors are mostly a peer that went away, so that they are warnings.
type muxLogger struct{ log *slog.Logger }

func (m muxLogger) Print(v ...any)   { m.line(fmt.Sprint(v...)) }
func (m muxLogger) Println(v ...any) { m.line(fmt.Sprintln(v...)) }

func (m muxLogger) Printf(format string, v ...any) { m.line(fmt.Sprintf(format, v...)) }

func (m muxLogger) line(text string) {
	text = strings.TrimSpace(text)
	level := slog.LevelDebug
	if rest, ok := strings.CutPrefix(text, "[ERR] "); ok {
		level, text = slog.LevelWarn, rest
	}
	m.log.Log(context.Background(), level, strings.TrimPrefix(text, "[WARN] "))
}
