package fleet

import "syscall"

// attributes ties a node's process to ours: should we be killed, it ends too.
// Its own group keeps Ctrl-C for us, who then end it in good order.
func attributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM, Setpgid: true}
}
