package peer

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"strings"

	"github.com/hashicorp/go-hclog"
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

// RaftLogger returns a logger for hashicorp/raft whose lines go to log.
func RaftLogger(log *slog.Logger) hclog.Logger {
	logger := hclog.NewInterceptLogger(&hclog.LoggerOptions{Name: "raft", Output: io.Discard, Level: hclog.Off})
	logger.RegisterSink(raftSink{log})
	return logger
}

type raftSink struct{ log *slog.Logger }

// Accept passes one line on; args are pairs of key and value as slog has them.
func (s raftSink) Accept(name string, level hclog.Level, message string, args ...any) {
	s.log.Log(context.Background(), levels[level], name+": "+message, args...)
}

var levels = map[hclog.Level]slog.Level{
	hclog.Trace: slog.LevelDebug,
	hclog.Debug: slog.LevelDebug,
	hclog.Info:  slog.LevelInfo,
	hclog.Warn:  slog.LevelWarn,
	hclog.Error: slog.LevelError,
}
