package cli_test

import (
	"testing"

	"github.com/gxbus/gxbus/node/cli"
	"github.com/gxbus/gxbus/pkg/bus"
)

func TestLanguage(t *testing.T) {
	tests := []struct {
		name string
		args []string
		env  map[string]string
		want bus.Lang
	}{
		{"nothing set", nil, nil, bus.English},
		{"LANG", nil, map[string]string{"LANG": "zh_CN.UTF-8"}, bus.Chinese},
		{"LC_MESSAGES before LANG", nil, map[string]string{"LANG": "zh_CN.UTF-8", "LC_MESSAGES": "en_GB"}, bus.English},
		{"LC_ALL before all locales", nil, map[string]string{"LC_ALL": "zh_CN", "LC_MESSAGES": "en_GB", "LANG": "C"}, bus.Chinese},
		{"C is English", nil, map[string]string{"LC_ALL": "C", "LANG": "zh_CN"}, bus.English},
		{"GXBUS_LANG before the locale", nil, map[string]string{"GXBUS_LANG": "zh", "LC_ALL": "en_US"}, bus.Chinese},
		{"--lang before all", []string{"status", "--lang", "en"}, map[string]string{"GXBUS_LANG": "zh"}, bus.English},
		{"--lang=", []string{"--lang=zh", "status"}, nil, bus.Chinese},
		{"after --", []string{"audit", "trace", "--", "--lang=zh"}, nil, bus.English},
		{"--lang without a value", []string{"--lang"}, map[string]string{"LANG": "zh_CN"}, bus.Chinese},
		{"another language", nil, map[string]string{"LANG": "fr_FR.UTF-8"}, bus.English},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := cli.Language(tt.args, func(name string) string { return tt.env[name] }); got != tt.want {
				t.Errorf("Language = %s, want %s", got, tt.want)
			}
		})
	}
}
