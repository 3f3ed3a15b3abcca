// Package binding is how a resource is bound to the system of its provider that
// answers queries for it (服务接口挂接): over HTTP, or by a statement in a database.
//
// A binding holds addresses and secrets. It is kept at the provider's node alone,
// encrypted, and never enters the directory, a log, an error or an answer. Who may
// ask, and what is left of an answer, is for the exchange to say, not for this
// package.
package binding
