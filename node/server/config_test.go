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

// A variable is what its key wants: a number, a boolean, a duration, or whatever text.
func TestAVariableOfTheEnvironmentHasTheTypeOfItsKey(t *testing.T) {
	want := server.DefaultConfig()
	want.SystemEventRate = 700
	want.SystemRate, want.DiskReserve, want.LoopbackBindings, want.CheckpointInterval, want.RetentionDays = 7, 1<<30, true, 3*time.Second, 0.25
	want.WebhookNetworks, want.RecoveryKey, want.ClientCA, want.DataDir = "10.0.0.0/8, ::1/128", "12345", "yes: #no\nnull", "true"
	c, err := server.LoadConfig("", []string{
		"GXBUS_SYSTEM_RATE=7", "GXBUS_SYSTEM_EVENT_RATE=700", "GXBUS_DISK_RESERVE=1073741824", "GXBUS_LOOPBACK_BINDINGS=true", "GXBUS_RETENTION_DAYS=0.25", "GXBUS_CHECKPOINT_INTERVAL=3s",
		"GXBUS_WEBHOOK_NETWORKS=10.0.0.0/8, ::1/128", "GXBUS_RECOVERY_KEY=12345", "GXBUS_CLIENT_CA=yes: #no\nnull", "GXBUS_DATA_DIR=true",
	})
	if !reflect.DeepEqual(c, want) {
		t.Errorf("%v\ngot  %+v\nwant %+v", err, c, want)
	}
	for _, variable := range []string{"GXBUS_SYSTEM_RATE=many", "GXBUS_LOOPBACK_BINDINGS=1e", "GXBUS_SYSTEM_RATE=", "GXBUS_SYSTEM_RATE=null", "GXBUS_LOG_LEVEL=~"} {
		if _, err := server.LoadConfig("", []string{variable}); bus.CodeOf(err) != bus.CodeInvalid {
			t.Errorf("%s is taken: %v", variable, err)
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
		{"kept for no time", "retention_days: 0.00001", nil, []string{"retention_days"}, "0.0001–3650"},
		{"kept for no number", "retention_days: .nan", nil, []string{"retention_days"}, "0.0001–3650"},
		{"inboxes too small for a batch", "inbox_bytes: 1000000", nil, []string{"inbox_bytes"}, "1048576"},
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
