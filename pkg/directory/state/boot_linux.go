package state

import (
	"os"
	"strings"
)

// bootID names the run of the machine that the process is part of: another after
// each start of the system. Empty where it is not known, and then no two are the
// same.
func bootID() string {
	id, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(id))
}
