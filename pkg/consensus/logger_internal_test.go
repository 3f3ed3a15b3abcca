package consensus

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"

	"github.com/hashicorp/go-hclog"
)

func TestRaftLogsThroughOurs(t *testing.T) {
	var out bytes.Buffer
	logger := newLogger(slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{Level: slog.LevelDebug})))
	logger.Info("chatter", "n", 1)
	logger.Warn("warned", "reason", hclog.Fmt("%d of %d", 1, 3))
	logger.Error("failed")
	logger.Debug("noise")
	for _, want := range []string{"level=DEBUG msg=chatter", "level=WARN msg=warned", "level=ERROR msg=failed", "component=raft", "n=1", `reason="1 of 3"`} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in\n%s", want, &out)
		}
	}
	if strings.Contains(out.String(), "noise") {
		t.Error("raft's debugging is logged")
	}
}
