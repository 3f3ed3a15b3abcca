// Package signin is what a node remembers of those who call it: failed sign-ins,
// which lead to a lockout (登录锁定), the nonces of signed requests, how fast each
// system calls, and when each credential was last used.
//
// It is the node's own memory and no part of the directory. It knows no secret,
// verifies nothing and decides about no permission: callers tell it what happened
// and ask it whether to go on.
package signin
