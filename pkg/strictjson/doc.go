// Package strictjson reads JSON (RFC 8259) from outside without the latitude
// that lets two readers see two different documents in one text: no duplicate
// keys, no keys that differ only in case, no invalid UTF-8, no byte order mark,
// no NUL, nothing after the value, and bounded depth, keys and numbers.
//
// [Check] judges a text in one pass and linear time; [Decode] also fills a Go
// value, with every key spelt exactly as its field. [Members], [Elements],
// [Text], [Kind] and [AppendCompact] take a checked text apart without building
// a tree.
//
// It is not a JSON library: it has no encoder but [AppendString], no streaming
// and no schema.
package strictjson
