// Package search finds entries of the directory: by words in their names, items,
// abstracts, providers and codes, by facets, page by page.
//
// The index is derived state. Its words are on disk (bleve's scorch, with CJK
// bigrams), what is filtered, counted and sorted by is in memory, and both are made
// anew from the directory whenever they are lost, damaged or of another release. It
// follows the directory by its change log and says how far it has come. Who may see
// what is not known here: a Viewer is asked. See DESIGN.md.
package search
