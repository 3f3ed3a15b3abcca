// Package schema says what the data of a resource's events must look like: as JSON
// Schema 2020-12, generated from the resource's items or supplied by its provider,
// one for each published version.
//
// Data is one row, a JSON object with item ids as keys, or an array of rows. A
// generated schema asks of each item the type and length that the catalogue states
// (发改高技〔2017〕1272号), takes null for what has no value, and leaves alone keys
// that are no items: those never leave the provider's department.
//
// A supplied schema comes from outside: it may refer to nothing but itself, not
// recur, and not be larger than is stated here, so that checking an event ends soon.
// The package does not know events, batches or who may publish.
package schema
