package server_test

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gxbus/gxbus/node/server"
	"github.com/gxbus/gxbus/pkg/bus"
)

func TestConfigIsFileThenEnvironmentThenFlags(t *testing.T) {
	file := filepath.Join(t.TempDir(), "gxbus.yaml")
	check(t, os.WriteFile(file, []byte("data_dir: /file\nlog_level: warn\ncheckpoint_interval: 5m\n"), 0o600))
	c, err := server.LoadConfig(file, []string{"GXBUS_LOG_LEVEL=error", "GXBUS_LOG_FORMAT=json", "HOME=/root", "GXBUS_TOKEN=secret", "GXBUS_NEW_PASSWORD=secret"})
	check(t, err)
	c = c.Over(server.Config{LogFormat: "text"})
	want := server.DefaultConfig()
	want.DataDir, want.LogLevel, want.LogFormat, want.CheckpointInterval = "/file", "error", "text", 5*time.Minute
	if !reflect.DeepEqual(c, want) {
		t.Errorf("got %+v\nwant %+v", c, want)
	}
}

func TestTheEnvironmentSetsEveryKindOfValue(t *testing.T) {
	c, err := server.LoadConfig("", []string{
		"GXBUS_DISK_RESERVE=8388608", "GXBUS_SYSTEM_RATE=7", "GXBUS_LOOPBACK_BINDINGS=true", "GXBUS_CHECKPOINT_INTERVAL=5m", "GXBUS_DATA_DIR=007", "GXBUS_CLIENT_CA=true",
	})
	check(t, err)
	want := server.DefaultConfig()
	want.DiskReserve, want.SystemRate, want.LoopbackBindings, want.CheckpointInterval, want.DataDir, want.ClientCA = 8<<20, 7, true, 5*time.Minute, "007", "true"
	if !reflect.DeepEqual(c, want) {
		t.Errorf("got %+v\nwant %+v", c, want)
	}
	for _, wrong := range []string{"GXBUS_SYSTEM_RATE=many", "GXBUS_SYSTEM_RATE=1.5", "GXBUS_LOOPBACK_BINDINGS=1", "GXBUS_CHECKPOINT_INTERVAL=5"} {
		if _, err := server.LoadConfig("", []string{wrong}); bus.CodeOf(err) != bus.CodeInvalid {
			t.Errorf("%s: %v", wrong, err)
		}
	}
}

func TestConfigIsRefusedWithAllThatIsWrong(t *testing.T) {
	for _, c := range []struct {
		name, yaml string
		environ    []string
		fields     []string // of the defects; FILE is the file
		told       string
	}{
		{"unknown key", "data_dirr: /x", nil, []string{"FILE"}, "data_dirr"},
		{"two unknown keys", "a: 1\nb: 2", nil, []string{"FILE"}, "field b not found"},
		{"unknown variable", "", []string{"GXBUS_DATADIR=/x"}, []string{"GXBUS_DATADIR"}, "datadir"},
		{"duplicate key", "data_dir: /x\ndata_dir: /y", nil, []string{"FILE"}, "already defined"},
		{"second document", "data_dir: /x\n---\nunknown: 1", nil, []string{"FILE"}, "more than one document"},
		{"no duration", "checkpoint_interval: often", nil, []string{"FILE"}, "often"},
		{"no YAML", "\t{", nil, []string{"FILE"}, ""},
		{"all at once", "a: 1\nlog_level: loud\npeer_listen: nowhere", []string{"GXBUS_B=1", "GXBUS_API_LISTEN=:x", "GXBUS_CHECKPOINT_INTERVAL=1ms", "GXBUS_LOG_FORMAT=xml", "GXBUS_DATA_DIR="},
			[]string{"FILE", "GXBUS_B", "data_dir", "peer_listen", "api_listen", "log_level", "log_format", "checkpoint_interval"}, "debug, info, warn, error"},
	} {
		t.Run(c.name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "gxbus.yaml")
			check(t, os.WriteFile(file, []byte(c.yaml), 0o600))
			_, err := server.LoadConfig(file, c.environ)
			refusal, ok := errors.AsType[*bus.Error](err)
			if !ok || refusal.Code != bus.CodeInvalid {
				t.Fatalf("got %v", err)
			}
			var fields []string
			for _, d := range refusal.Defects {
				fields = append(fields, strings.Replace(d.Field, file, "FILE", 1))
				if d.Problem.ZH == "" || d.Problem.EN == "" {
					t.Errorf("%s is told in one language only", d.Field)
				}
			}
			if !slices.Equal(fields, c.fields) || !strings.Contains(err.Error(), c.told) {
				t.Errorf("tells of %v: %v\nwant %v and %q", fields, err, c.fields, c.told)
			}
			if strings.Contains(err.Error(), "server.Config") {
				t.Errorf("tells of the program's insides: %v", err)
			}
		})
	}
	if _, err := server.LoadConfig(filepath.Join(t.TempDir(), "absent"), nil); bus.CodeOf(err) != bus.CodeInvalid {
		t.Errorf("an absent file: %v", err)
	}
}
