// Package catalogue reads and writes catalogue entries in the forms that people
// keep them in: workbooks and CSV in the column layout of the compilation guide
// (政务信息资源目录编制指南, 发改高技〔2017〕1272号), JSON Lines of the bus, and
// DCAT for the public.
//
// A [Source] yields the entries of a file one by one, each with what is wrong
// with it and where that stands in the file; a file that is itself unusable is
// an error before the first entry. Everything is streamed and bounded, so that
// a hostile file costs little. A [Mapping] lets it read the lists of others.
//
// It is pure: it reaches no node, and knows none of the rules that need the
// directory.
package catalogue
