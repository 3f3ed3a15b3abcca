//go:build !linux

package fleet

import "syscall"

// attributes keeps Ctrl-C for us, who then end the process in good order.
func attributes() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }
