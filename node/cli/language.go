package cli

import (
	"strings"

	"github.com/gxbus/gxbus/pkg/bus"
)

// Language chooses the language of a command: --lang, then GXBUS_LANG, then the
// locale as POSIX orders it (LC_ALL, LC_MESSAGES, LANG). English where none is
// Chinese. It looks at the arguments before they are parsed, because the help
// of every command is already written in it.
func Language(args []string, env func(string) string) bus.Lang {
	if value, ok := langFlag(args); ok {
		return languageOf(value)
	}
	for _, name := range []string{"GXBUS_LANG", "LC_ALL", "LC_MESSAGES", "LANG"} {
		if value := env(name); value != "" {
			return languageOf(value)
		}
	}
	return bus.English
}

func langFlag(args []string) (string, bool) {
	for i, arg := range args {
		if arg == "--" {
			break
		}
		if arg == "--lang" && i+1 < len(args) {
			return args[i+1], true
		}
		if value, ok := strings.CutPrefix(arg, "--lang="); ok {
			return value, true
		}
	}
	return "", false
}

// languageOf reads zh, zh_CN.UTF-8, zh-Hans and the like.
func languageOf(locale string) bus.Lang {
	if strings.HasPrefix(strings.ToLower(locale), "zh") {
		return bus.Chinese
	}
	return bus.English
}

// say gives a sentence in the language of the command.
func (a *app) say(zh, en string) string { return bus.Text{ZH: zh, EN: en}.In(a.lang) }
