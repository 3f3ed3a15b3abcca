package consensus

import (
	"fmt"
	"io"
	"log/slog"
	"slices"

	"github.com/hashicorp/go-hclog"
)

// newLogger gives raft a logger that writes to ours. Raft's chatter below
// warnings is of use to who debugs raft only.
func newLogger(to *slog.Logger) hclog.Logger {
	logger := hclog.NewInterceptLogger(&hclog.LoggerOptions{Name: "raft", Level: hclog.Info, Output: io.Discard})
	logger.RegisterSink(sink{to})
	return logger
}

type sink struct{ to *slog.Logger }

func (s sink) Accept(name string, level hclog.Level, msg string, args ...any) {
	if level < hclog.Info { // a sink gets all, whatever the logger's level
		return
	}
	args = slices.Clone(args)
	for i, arg := range args {
		if format, ok := arg.(hclog.Format); ok && len(format) > 0 {
			args[i] = fmt.Sprintf(fmt.Sprint(format[0]), format[1:]...)
		}
	}
	to := s.to.With("component", name)
	switch {
	case level >= hclog.Error:
		to.Error(msg, args...)
	case level >= hclog.Warn:
		to.Warn(msg, args...)
	default:
		to.Debug(msg, args...)
	}
}

var _ hclog.SinkAdapter = sink{}
