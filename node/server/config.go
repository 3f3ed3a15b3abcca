package server

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/gxbus/gxbus/pkg/backup"
	"github.com/gxbus/gxbus/pkg/bus"
	"go.yaml.in/yaml/v3"
)

// Config is a node's configuration: a YAML file, then GXBUS_* variables (the key
// in capitals), then flags, the later over the earlier.
type Config struct {
	DataDir            string        `yaml:"data_dir"`            // all of the node's state
	PeerListen         string        `yaml:"peer_listen"`         // host:port for other nodes
	APIListen          string        `yaml:"api_listen"`          // host:port for agencies and administrators
	MetricsListen      string        `yaml:"metrics_listen"`      // host:port where Prometheus reads the node's metrics; empty: nowhere
	LogLevel           string        `yaml:"log_level"`           // debug, info, warn, error
	LogFormat          string        `yaml:"log_format"`          // text, json
	CheckpointInterval time.Duration `yaml:"checkpoint_interval"` // how often the evidence log's head is published
	RaftHeartbeat      time.Duration `yaml:"raft_heartbeat"`      // silence of the leader that calls an election; the same on every voter
	DiskReserve        int64         `yaml:"disk_reserve"`        // bytes kept free: below it no new writes and events are taken
	RecoveryKey        string        `yaml:"recovery_key"`        // public part, that backups are sealed to where none is named
	RetentionDays      float64       `yaml:"retention_days"`      // how long events are kept that all subscriptions are past, and repetitions known; also parts of a day
	LogBytes           int64         `yaml:"log_bytes"`           // what exchange.db may hold; beyond it no events are taken
	InboxBytes         int64         `yaml:"inbox_bytes"`         // what may wait here for one subscription; more waits at the provider's node
	ArchiveDays        int           `yaml:"archive_days"`        // age at which evidence goes into sealed segments, out of exchange.db
	EvidenceDays       int           `yaml:"evidence_days"`       // how long evidence is kept, at least: older segments may be deleted, by order
	SystemRate         int           `yaml:"system_rate"`         // requests of one system in a second, and queries of one of another node; more get 429
	SystemEventRate    int           `yaml:"system_event_rate"`   // events that one system publishes in a second; more get 429
	ClientCA           string        `yaml:"client_ca"`           // PEM file: who issues client certificates that name systems
	LoopbackBindings   bool          `yaml:"loopback_bindings"`   // resources may be bound to services on this very machine
	ProbeInterval      time.Duration `yaml:"probe_interval"`      // how often the services that resources are bound to are asked whether they are there
	WebhookNetworks    string        `yaml:"webhook_networks"`    // private networks that events may be taken to, separated by commas
	OIDC               OIDC          `yaml:"oidc"`                // where people can sign in beside here
}

// threeYears is, in days, how long records of use are kept at least (decree 809 art. 29).
const threeYears = 3*365 + 1

// DefaultConfig is what holds where nothing is said.
func DefaultConfig() Config {
	return Config{
		DataDir: "/var/lib/gxbus", PeerListen: "0.0.0.0:8441", APIListen: "0.0.0.0:8440",
		LogLevel: "info", LogFormat: "text", CheckpointInterval: time.Minute, RaftHeartbeat: time.Second,
		DiskReserve: 256 << 20, RetentionDays: 7, LogBytes: 32 << 30, InboxBytes: 1 << 30, SystemRate: 500, SystemEventRate: 50_000,
		ArchiveDays: 180, EvidenceDays: threeYears, ProbeInterval: time.Minute,
	}
}

// LoadConfig reads the file at path, if one is named, and the environment. An
// unknown key, in either, is refused; all that is wrong is told at once.
func LoadConfig(path string, environ []string) (Config, error) {
	c := DefaultConfig()
	var defects []bus.Defect
	if path != "" {
		data, err := os.ReadFile(path)
		if err != nil {
			return c, bus.E(bus.CodeInvalid, bus.Defect{Field: "config", Problem: bus.Text{ZH: "无法读取配置文件", EN: "the configuration cannot be read"}}).Because(err)
		}
		defects = c.merge(data, path)
	}
	for _, variable := range environ {
		name, value, _ := strings.Cut(variable, "=")
		key, ours := strings.CutPrefix(name, "GXBUS_")
		if !ours || clientVariable(key) {
			continue
		}
		line, err := yaml.Marshal(map[string]*yaml.Node{strings.ToLower(key): scalar(value)})
		if err != nil {
			return c, err
		}
		defects = append(defects, c.merge(line, name)...)
	}
	return c, bus.Invalid(append(defects, c.defects()...))
}

// scalar is the value of a variable: a number, a boolean or a text, as its key wants
// it. An empty one and null are texts, not what holds where nothing is said.
func scalar(value string) *yaml.Node {
	n := &yaml.Node{Kind: yaml.ScalarNode, Value: value}
	var plain any
	if n.Decode(&plain) == nil && plain == nil {
		n.Style = yaml.DoubleQuotedStyle
	}
	return n
}

// clientVariable reports whether GXBUS_key is for the command line's client side.
func clientVariable(key string) bool {
	switch key {
	case "SERVER", "CA", "TOKEN", "CERT", "KEY", "LANG", "CREDENTIALS", "PASSWORD", "NEW_PASSWORD", "SINK_SECRET", "SINK_AUTHORIZATION":
		return true
	}
	return false
}

// merge reads one YAML document over c and returns what it could not take.
func (c *Config) merge(data []byte, from string) []bus.Defect {
	decoder := yaml.NewDecoder(bytes.NewReader(data))
	decoder.KnownFields(true)
	err := decoder.Decode(c)
	if errors.Is(err, io.EOF) {
		return nil // empty, or comments only
	}
	if err == nil {
		if decoder.Decode(&yaml.Node{}) == io.EOF {
			return nil
		}
		err = errors.New("more than one document")
	}
	return []bus.Defect{{
		Field: from, Problem: bus.Text{ZH: "配置无法识别：" + yamlProblem(err), EN: yamlProblem(err)}, Allowed: strings.Join(configKeys(), ", "),
	}}
}

// yamlProblem is the decoder's message without the Go type in it.
func yamlProblem(err error) string {
	text := strings.TrimPrefix(strings.TrimPrefix(err.Error(), "yaml: "), "unmarshal errors:")
	text = strings.NewReplacer(" in type server.Config", "", " in type server.OIDC", "").Replace(text)
	return strings.Join(strings.Fields(text), " ")
}

// configKeys lists the keys of Config.
func configKeys() []string {
	t := reflect.TypeFor[Config]()
	keys := make([]string, t.NumField())
	for i := range keys {
		keys[i] = t.Field(i).Tag.Get("yaml")
	}
	return keys
}

// Validate returns every defect of c at once.
func (c Config) Validate() error { return bus.Invalid(c.defects()) }

func (c Config) defects() []bus.Defect {
	var defects []bus.Defect
	if c.DataDir == "" {
		defects = append(defects, bus.Defect{Field: "data_dir", Problem: bus.Text{ZH: "必填", EN: "required"}})
	}
	defects = append(defects, bus.CheckAddress("peer_listen", c.PeerListen)...)
	defects = append(defects, bus.CheckAddress("api_listen", c.APIListen)...)
	if c.MetricsListen != "" {
		defects = append(defects, bus.CheckAddress("metrics_listen", c.MetricsListen)...)
	}
	one := func(field, value string, allowed ...string) {
		for _, a := range allowed {
			if value == a {
				return
			}
		}
		defects = append(defects, bus.Defect{Field: field, Problem: bus.Text{ZH: "取值不允许：" + value, EN: "value not allowed: " + value}, Allowed: strings.Join(allowed, ", ")})
	}
	one("log_level", c.LogLevel, "debug", "info", "warn", "error")
	one("log_format", c.LogFormat, "text", "json")
	within := func(field string, value, least, most time.Duration) {
		if value < least || value > most {
			defects = append(defects, bus.Defect{Field: field, Problem: bus.Text{ZH: "超出范围", EN: "out of range"}, Allowed: fmt.Sprintf("%v–%v", least, most)})
		}
	}
	within("checkpoint_interval", c.CheckpointInterval, time.Second, 24*time.Hour)
	within("probe_interval", c.ProbeInterval, time.Second, time.Hour)
	within("raft_heartbeat", c.RaftHeartbeat, 200*time.Millisecond, time.Minute)
	if c.DiskReserve < 1<<20 {
		defects = append(defects, bus.Defect{Field: "disk_reserve", Problem: bus.Text{ZH: "过小", EN: "too small"}, Allowed: "1048576 bytes or more"})
	}
	if !(c.RetentionDays >= 0.0001 && c.RetentionDays <= 3650) { // nor what is no number
		defects = append(defects, bus.Defect{Field: "retention_days", Problem: bus.Text{ZH: "超出范围", EN: "out of range"}, Allowed: "0.0001–3650, in days"})
	}
	if c.ArchiveDays < 1 || c.ArchiveDays > threeYears {
		defects = append(defects, bus.Defect{Field: "archive_days", Problem: bus.Text{ZH: "超出范围", EN: "out of range"}, Allowed: fmt.Sprintf("1–%d", threeYears)})
	}
	if c.EvidenceDays < threeYears || c.EvidenceDays > 36500 {
		defects = append(defects, bus.Defect{Field: "evidence_days", Problem: bus.Text{ZH: "不得少于三年", EN: "three years at least (decree 809 art. 29)"}, Allowed: fmt.Sprintf("%d–36500", threeYears)})
	}
	if c.LogBytes < 64<<20 {
		defects = append(defects, bus.Defect{Field: "log_bytes", Problem: bus.Text{ZH: "过小", EN: "too small"}, Allowed: "67108864 bytes or more"})
	}
	if c.InboxBytes < 1<<20 {
		defects = append(defects, bus.Defect{Field: "inbox_bytes", Problem: bus.Text{ZH: "过小", EN: "too small"}, Allowed: "1048576 bytes or more"})
	}
	between := func(field string, rate int) {
		if rate < 1 || rate > 1_000_000 {
			defects = append(defects, bus.Defect{Field: field, Problem: bus.Text{ZH: "超出范围", EN: "out of range"}, Allowed: "1–1000000"})
		}
	}
	between("system_rate", c.SystemRate)
	between("system_event_rate", c.SystemEventRate)
	_, bad := c.webhookNetworks()
	defects = append(append(defects, bad...), c.OIDC.defects()...)
	if c.RecoveryKey != "" {
		_, err := backup.ParsePublic(c.RecoveryKey)
		defects = append(defects, defectsOf("recovery_key", err)...)
	}
	return defects
}

// defectsOf gives the defects of a value that another package read, under its key.
func defectsOf(key string, err error) []bus.Defect {
	e, ok := errors.AsType[*bus.Error](err)
	if !ok {
		return nil
	}
	defects := slices.Clone(e.Defects)
	for i := range defects {
		defects[i].Field = key
	}
	return defects
}

// Over returns c with the fields of over that say something in place of its own.
func (c Config) Over(over Config) Config {
	from, to := reflect.ValueOf(over), reflect.ValueOf(&c).Elem()
	for i := range from.NumField() {
		if !from.Field(i).IsZero() {
			to.Field(i).Set(from.Field(i))
		}
	}
	return c
}
