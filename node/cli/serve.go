package cli

import (
	"errors"
	"io"
	"log/slog"
	"os"

	"github.com/spf13/cobra"

	"github.com/gxbus/gxbus/node/server"
)

func (a *app) serveCommand() *cobra.Command {
	var file string
	var flags server.Config
	cmd := &cobra.Command{
		Use: "serve", Short: a.say("运行节点", "Run the node"), Args: a.exactly(),
		Long: a.say("运行节点，直到收到中断信号。配置依次取自 YAML 文件、GXBUS_* 环境变量和命令行，后者优先；不认识的配置项一律拒绝。",
			"Run the node until it is interrupted. Its configuration comes from a YAML file, then GXBUS_* variables,\nthen flags, the later over the earlier; an unknown key is refused."),
		Example: "  gxbus serve --config /etc/gxbus/gxbus.yaml\n  GXBUS_LOG_LEVEL=debug gxbus serve --data-dir /var/lib/gxbus",
	}
	f := cmd.Flags()
	f.StringVar(&file, "config", "", a.say("YAML 配置 `文件`", "YAML configuration `file`"))
	f.StringVar(&flags.DataDir, "data-dir", "", a.say("数据 `目录`", "data `directory`"))
	f.StringVar(&flags.PeerListen, "peer-listen", "", a.say("节点间监听 `地址`", "`address` to listen on for other nodes"))
	f.StringVar(&flags.APIListen, "api-listen", "", a.say("接口监听 `地址`", "`address` to listen on for agencies and administrators"))
	f.StringVar(&flags.LogLevel, "log-level", "", a.say("日志 `级别`：debug、info、warn、error", "log `level`: debug, info, warn, error"))
	f.StringVar(&flags.LogFormat, "log-format", "", a.say("日志 `格式`：text、json", "log `format`: text, json"))
	f.DurationVar(&flags.CheckpointInterval, "checkpoint-interval", 0, a.say("存证检查点的发布 `间隔`", "`time` between published evidence checkpoints"))
	f.DurationVar(&flags.RaftHeartbeat, "raft-heartbeat", 0, a.say("主节点失联多久后选举，各表决节点应一致的 `时长`", "`silence` of the leader that calls an election; the same on every voter"))
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		config, err := server.LoadConfig(file, os.Environ())
		if err != nil {
			return err
		}
		return a.serve(cmd, config.Over(flags))
	}
	return cmd
}

// serve runs the node until the context ends or the node fails.
func (a *app) serve(cmd *cobra.Command, config server.Config) error {
	if err := config.Validate(); err != nil {
		return err
	}
	collectAtLeisure()
	ctx := cmd.Context()
	node, err := server.Open(ctx, config, server.Options{Version: a.build.Version, Logger: logger(a.Err, config)})
	if err != nil {
		return err
	}
	select {
	case <-ctx.Done():
		return node.Close()
	case err := <-node.Failed():
		return errors.Join(err, node.Close())
	}
}

// logger writes one line an event. Text that came from outside is quoted, so
// that no event can look like two (threat S50).
func logger(w io.Writer, c server.Config) *slog.Logger {
	var level slog.Level
	_ = level.UnmarshalText([]byte(c.LogLevel)) // Validate let no other through
	options := &slog.HandlerOptions{Level: level}
	if c.LogFormat == "json" {
		return slog.New(slog.NewJSONHandler(w, options))
	}
	return slog.New(slog.NewTextHandler(w, options))
}
