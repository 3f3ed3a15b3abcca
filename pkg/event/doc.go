// Package event reads and writes events as CloudEvents 1.0.2: the HTTP binding
// in its binary, structured and batched modes, and one canonical JSON form for
// storage, digests and batches between nodes.
//
// Reading is strict, so that every node, policy and consumer sees the same
// event in the same bytes: strict JSON only (package strictjson), headers that
// do not contradict the body, attributes within their rules and caps. Every
// defect is told at once. The value is the CloudEvents SDK's own event; its
// HTTP receiver and JSON reader are not used, because they bound nothing and
// let duplicate keys pass.
//
// It does not know resources, schemas, who may publish what, or duplicates of
// an event accepted before: that is package exchange.
package event
